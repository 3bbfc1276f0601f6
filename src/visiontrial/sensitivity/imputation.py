"""Times after the dropout, imputed many times over under a stated assumption.

    imputer = Imputer(rows, 50, generator)
    completed = imputer.complete(rows.factors({1: 2.0}))      # dropouts of arm 1 at twice the hazard

Three families of assumptions share one draw (`hazards`):

- *delta-adjusted Kaplan-Meier imputation*: after the dropout the hazard is that of the patient's own arm,
  multiplied by a factor (Zhao, Herring, Zhou, Ali and Koch 2014, doi 10.1080/10543406.2013.860769);
- *gamma imputation*: the same on the log scale, from a Cox model that knows the patient's stratification
  factors (Jackson et al. 2014, doi 10.1002/sim.6274); gamma is the logarithm of the factor;
- *reference-based imputation*: after the dropout the hazard is that of the other arm.

The same resamples and the same exponentials serve every assumption about the same rows, so that two
assumptions differ by what is assumed and not by the draw.

An imputed time ends at `Rows.end`: the patient is censored at the data cutoff, or has the event on the day
of his death where that is known.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from visiontrial.sensitivity import hazards
from visiontrial.sensitivity.dropout import Rows

Model = Literal["kaplan-meier", "cox"]


class Times(NamedTuple):
    """Days and events, (m, d) or (m, n): m imputations of d dropouts, or of all n patients."""

    days: np.ndarray
    event: np.ndarray


class Imputer:
    """Draws m imputations for the dropouts of `rows`, proper by the bootstrap within arms.

    `generator` decides resamples and exponentials; both are drawn here, once.
    """

    def __init__(self, rows: Rows, imputations: int, generator: np.random.Generator):
        if imputations < 2:
            raise ValueError(f"{imputations} imputations have no variance between them: make at least 2")
        self.rows = rows
        self.imputations = imputations
        self._weights = hazards.resample(generator, rows.data.arm, imputations)
        self._amounts = generator.standard_exponential((imputations, len(rows.dropouts)))

    @cached_property
    def _kaplan_meier(self) -> tuple[hazards.Hazards, hazards.Hazards]:
        return tuple(hazards.kaplan_meier(self.rows.data, self._weights, arm) for arm in (0, 1))

    @cached_property
    def _cox(self):
        return hazards.breslow(self.rows.data, self.rows.covariates, self._weights)

    def times(
        self, factor: np.ndarray, *, jump: tuple[int, ...] = (), model: Model = "kaplan-meier"
    ) -> Times:
        """Imputed times of the dropouts, (m, d).

        `factor`: by what the hazard after each dropout is multiplied, (d,), 0 (no event ever) and
        infinity (on the next day with an event in the arm) included. `jump`: the arms whose
        dropouts take the other arm's hazard. `model`: what the hazard is estimated with.
        """
        rows, arm = self.rows, self.rows.dropout_arm
        source = np.where(np.isin(arm, jump), 1 - arm, arm)
        with np.errstate(divide="ignore"):
            amount = self._amounts / (np.asarray(factor, float) * self._relative(model))
        curves = self._kaplan_meier if model == "kaplan-meier" else self._cox[0]
        days = np.empty(self._amounts.shape, np.int64)
        censored = rows.data.days[rows.dropouts]
        for origin, curve in enumerate(curves):
            mine = source == origin
            days[:, mine] = curve.first_day_after(censored[mine], amount[:, mine])
        end = rows.end[rows.dropouts]
        return Times(np.minimum(days, end), (days <= end) | rows.dies[rows.dropouts])

    def _relative(self, model: Model) -> np.ndarray:
        """The hazard of each dropout relative to the curve he is imputed from: (m, d), or 1."""
        if model == "kaplan-meier":
            return np.ones(1)
        return np.exp(self._cox[1] @ self.rows.covariates[self.rows.dropouts].T)

    def complete(self, factor: np.ndarray, **options) -> Times:
        """All patients' times with those of the dropouts imputed, (m, n); options as of `times`."""
        return completed(self.rows, self.times(factor, **options))


def completed(rows: Rows, times: Times) -> Times:
    """All patients' times, (m, n), from those of the dropouts, (m, d)."""
    days = np.tile(rows.data.days, (len(times.days), 1))
    event = np.tile(rows.data.event, (len(times.days), 1))
    days[:, rows.dropouts], event[:, rows.dropouts] = times
    return Times(days, event)
