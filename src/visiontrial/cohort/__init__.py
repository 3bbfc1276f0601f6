"""Reconstructed patients: from what a paper prints to an ensemble of cohorts that agree with all of it.

Data flow one way through these rooms: `specification` (what is known of the trial) →
`problem` (the same as arrays) → `model` (how patients could have come about) → `chain`
(the search for a cohort that agrees) → `rows` (ADSL and ADTTE) → `store` (the ensemble).
`verify` judges stored rows with other people's libraries and knows nothing of the search.

The patients are synthetic. They agree with the paper by construction, so agreement proves
only that the printed numbers can be true together.
"""
