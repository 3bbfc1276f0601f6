"""From a chain's arrays to tables in the manner of ADaM: ADSL, one row per patient, and ADTTE."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from visiontrial.cohort import model
from visiontrial.cohort.problem import DIED, LEFT, Problem
from visiontrial.cohort.specification import Trial, factor_column, population_flag


def tables(trial: Trial, fixed: Problem, state: model.State, end_state: np.ndarray, rng: np.random.Generator):
    """ADSL and ADTTE of the state in which a chain ended; patients in random order, numbered from 1.

    `rng` decides the order of patients and which of an end point's reasons to stop is written
    where assessment stopped; neither touches a time.
    """
    order = rng.permutation(fixed.arm.size)
    subject = pd.Series([f"{trial.identifier}-{number:04d}" for number in range(1, order.size + 1)])
    adsl = _subjects(trial, fixed, state, end_state, order)
    adsl.insert(0, "USUBJID", subject)
    parts = [_endpoint(trial, fixed, state, end_state, order, k, rng) for k in range(len(trial.endpoints))]
    adtte = pd.concat([part.assign(USUBJID=subject) for part in parts], ignore_index=True)
    adtte["ADT"] = pd.concat([adsl["RANDDT"]] * len(parts), ignore_index=True) + pd.to_timedelta(
        adtte["AVAL"] - 1, unit="D"
    )
    return adsl, adtte[["USUBJID", "PARAMCD", "AVAL", "CNSR", "EVNTDESC", "ADT"]]


def _subjects(trial, fixed, state, end_state, order) -> pd.DataFrame:
    arm, period = fixed.arm[order], fixed.period[order]
    first = pd.Timestamp(trial.periods[0].first)
    table = pd.DataFrame(
        {
            "TRT01P": np.array([a.label for a in trial.arms])[arm],
            "TRT01PN": arm,
            "PERIOD": np.array([p.name for p in trial.periods])[period],
        }
    )
    names = table["PERIOD"]
    for population, periods in trial.populations.items():
        table[population_flag(trial, population)] = np.where(names.isin(periods), "Y", "N")
    table["RANDDT"] = first + pd.to_timedelta(state.entry[order], unit="D")
    for f, factor in enumerate(trial.factors):
        table[factor_column(factor.name)] = np.array(factor.levels)[state.labels[order, f]]
    table["EOSSTT"] = np.array([s.label for s in trial.end_states])[end_state[order]]
    table["UNTRTFL"] = np.where(fixed.untreated[order], "Y", "N")
    last, death = state.day[0][order], state.event[0][order]
    ended = table["RANDDT"] + pd.to_timedelta(last - 1, unit="D")
    table["EOSDT"] = table["RANDDT"] + pd.to_timedelta(_followed(fixed, state)[order] - 1, unit="D")
    table["LSTALVDT"] = ended
    table["DTHDT"] = ended.where(death)
    return table


def _followed(fixed, state) -> np.ndarray:
    """Day on which the trial itself last knew of each patient: death, leaving or last contact."""
    alive = fixed.cutoff - state.entry + 1.0 - state.lag
    seen = np.select([fixed.end_kind == DIED, fixed.end_kind == LEFT], [state.times[0], state.left], alive)
    return np.maximum(np.ceil(seen), 1).astype(np.int64)


def _endpoint(trial, fixed, state, end_state, order, k, rng) -> pd.DataFrame:
    reasons = _reasons(trial, fixed, state, end_state, k, rng)
    return pd.DataFrame(
        {
            "PARAMCD": trial.endpoints[k].paramcd,
            "AVAL": state.day[k][order],
            "CNSR": (~state.event[k][order]).astype(int),
            "EVNTDESC": reasons[order],
        }
    )


def _reasons(trial, fixed, state, end_state, k, rng) -> np.ndarray:
    """The words for why each patient's time ends."""
    endpoint, death = trial.endpoints[k], trial.endpoints[0]
    window = fixed.late_death_windows[state.rule[0]]
    words = {
        model.OWN_EVENT: endpoint.event,
        model.DEATH: death.event,
        model.AT_CUTOFF: "Alive at last contact before data cutoff",
        model.VITAL_STATUS_LEARNED: "Alive at data cutoff, learned after leaving the trial",
        model.DEATH_TOO_LATE: ""
        if math.isinf(window)
        else f"Death more than {window:g} days after last assessment",
    }
    text = np.array([words.get(r, "") for r in state.reason[k]], dtype=object)
    left = state.reason[k] == model.LEFT_TRIAL
    text[left] = np.array([s.label for s in trial.end_states], dtype=object)[end_state[left]]
    stopped = np.flatnonzero(state.reason[k] == model.STOPPED)
    if endpoint.stop is not None:
        names, shares = list(endpoint.stop.reasons), list(endpoint.stop.reasons.values())
        text[stopped] = rng.choice(np.array(names, dtype=object), stopped.size, p=shares)
    return text
