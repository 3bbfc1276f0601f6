"""What becomes of the primary results if those who dropped out fared differently.

A Kaplan-Meier curve, a log-rank test and a Cox model treat a patient who is censored as one who
would have fared like those still observed. Nobody can check that. These rooms say what other
assumptions would do to the hazard ratio:

`dropout` (who dropped out, when and why) → `hazards` (what is imputed from, drawn anew for each
imputation) → `imputation` (times after the dropout) and `bounds` (the extremes) → `fits` (a Cox
model for each completed data set) → `pooling` (Rubin's rules) → `scenarios` and `tipping` (the
assumptions that are shown) → `precomputed` (all of it, for every member of the ensemble).

`coverage` proves the method on simulated trials whose truth is known; `weighting` shows, on
simulated trials too, what inverse probability of censoring weights do.

The patients are reconstructed. Times are whole days, day 1 the day of randomization; arm 1 is
177Lu-PSMA-617, arm 0 the control arm; hazard ratios are arm 1 against arm 0.
"""
