"""One chain: from a dispersed start to one cohort that agrees with everything printed.

The search is soft first: leaving the printed intervals costs `kappa` times the distance, and
`kappa` grows slowly. Once all targets agree it is hard: no move may leave an interval again,
and a long hard phase lets the chain forget how it came there. Its last state is the member.

One cohort is taken from each of many independent chains, because chains of this kind keep a
memory of their start; how much is measured and reported (`diagnostics`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numba import njit

from visiontrial.cohort import centred, model, moves, problem, rows, targets
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial
from visiontrial.cohort.structures import structure_of

_Problem, _State, _Prior = structure_of(problem.Problem), structure_of(model.State), structure_of(model.Prior)
_Tables, _Backup = structure_of(targets.Tables), structure_of(moves.Backup)
_Snapshot, _Sums = structure_of(moves.Snapshot), structure_of(centred.Sums)

FROZEN = 300.0
"""A penalty per width of a printed interval at which hardly a row moves any more against it."""


@dataclass(frozen=True)
class Settings:
    """How a chain runs. Sweeps visit every patient once.

    `soft_sweeps`: at most so many before a chain counts as failed. `hard_sweeps`: after the
    first agreement. `penalty`, `growth`: of the soft phase, per width of a printed interval and
    per sweep; at a penalty that freezes the rows it begins again.
    `record_every`: sweeps between rows of the trace.
    `single_shape`: Weibull hazards with a constant hazard ratio and no frailty, for comparison.
    """

    soft_sweeps: int = 400
    hard_sweeps: int = 100
    penalty: float = 0.05
    growth: float = 1.08
    record_every: int = 2
    single_shape: bool = False


@dataclass(frozen=True)
class Reconstruction:
    """What one chain came to. `adsl` and `adtte` are `None` unless `accepted`.

    `trace`: one row per recorded sweep of the hard phase. `facts`: numbers about the chain.
    """

    accepted: bool
    adsl: pd.DataFrame | None
    adtte: pd.DataFrame | None
    trace: pd.DataFrame
    facts: dict[str, int | float | str] = field(default_factory=dict)


def reconstruct(trial: Trial, seed: int, settings: Settings | None = None) -> Reconstruction:
    """Run one chain. The same trial, seed and settings give the same result on the same machine type.

    Raises `ValueError` when the trial holds no target.
    """
    settings = settings or Settings()
    if not any(t.role == "target" for t in trial.targets):
        raise ValueError(f"{trial.name}: no target; give at least one printed statistic with role 'target'")
    rng = np.random.Generator(np.random.PCG64(seed))
    fixed, end_state = problem.compile_trial(trial, rng)
    where = model.layout(trial, fixed.edges.size)
    prior = model.prior(trial, where, single_shape=settings.single_shape)
    typical = np.array([e.typical_median * DAYS_PER_MONTH for e in trial.endpoints])
    state = _parameters(trial, fixed, where, prior, rng)
    tables = targets.allocate(fixed, 2 ** int(fixed.stratifies.sum()), int(problem.longest_follow_up(trial)))
    names = _monitored(trial, fixed)
    trace = np.full((settings.hard_sweeps // settings.record_every + 1, len(names)), np.nan)
    counts = np.zeros((5, 2), dtype=np.int64)
    p, s, t, prior, room = _by_reference(fixed, state, tables, prior)
    _draw_rows(p, s, where, typical, rng)
    soft, recorded = _search(
        p, s, t, where, prior, typical, rng, room, trace, counts,
        settings.soft_sweeps, settings.hard_sweeps, settings.penalty, settings.growth, settings.record_every,
    )  # fmt: skip
    accepted = recorded >= 0
    facts = _facts(trial, fixed, state, tables, counts, soft, accepted)
    table = pd.DataFrame(trace[: max(recorded, 0)], columns=names)
    if not accepted:
        return Reconstruction(False, None, None, table, facts)
    adsl, adtte = rows.tables(trial, fixed, state, end_state, rng)
    return Reconstruction(True, adsl, adtte, table, facts)


def _parameters(trial, fixed, where, prior, rng) -> model.State:
    """A state whose parameters and rule are a draw from the prior; its rows are not drawn yet."""
    endpoints, n = len(trial.endpoints), fixed.arm.size
    theta = prior.mean + np.where(prior.active, prior.sd * rng.standard_normal(where.length), 0.0)
    if not prior.active[where.frailty]:
        theta[where.frailty] = 0.0
    if not prior.active[where.hastening]:
        theta[where.hastening] = 0.0
    return model.State(
        theta=theta,
        rate=np.zeros((endpoints, 2, where.pieces)),
        cumulative=np.zeros((endpoints, 2, where.pieces)),
        times=np.zeros((endpoints, n)),
        stop=np.full((endpoints, n), np.inf),
        left=np.zeros(n),
        lag=np.zeros(n),
        recovered=np.zeros(n, dtype=np.bool_),
        entry=np.zeros(n),
        deviate=np.zeros(n),
        jitter=np.zeros((n, fixed.visits.shape[1])),
        labels=fixed.labels.copy(),
        stratum=np.zeros(n, dtype=np.int64),
        risk=np.ones((endpoints, n)),
        rule=rng.integers(fixed.late_death_windows.size, size=1),
        day=np.zeros((endpoints + 1, n), dtype=np.int64),
        event=np.zeros((endpoints + 1, n), dtype=np.bool_),
        reason=np.zeros((endpoints + 1, n), dtype=np.int64),
    )


def _by_reference(fixed, state, tables, prior):
    """The structures that the compiled search works on, with room for what it may have to put back."""
    row = moves.backup(state.times.shape[0], fixed.visits.shape[1], fixed.endpoint.size)
    return _structures(
        fixed, state, tables, prior, row, moves.snapshot(state, tables), centred.sums(fixed.edges.size)
    )


@njit(cache=True)
def _structures(fixed, state, tables, prior, row, everything, scratch):
    room = _Backup(*row), _Snapshot(*everything), _Sums(*scratch)
    return _Problem(*fixed), _State(*state), _Tables(*tables), _Prior(*prior), room


@njit(cache=True, nogil=True)
def _draw_rows(p, s, where, typical, rng):
    """The first rows: a draw from the prior given parameters and end states."""
    for k in range(s.times.shape[0]):
        model.tabulate_hazard(k, s.theta, where, p.edges, typical, s.rate, s.cumulative)
    for i in range(p.arm.size):
        s.entry[i] = p.first_day[i] + math.floor(rng.random() * (p.last_day[i] - p.first_day[i] + 1.0))
        s.stratum[i] = moves.stratum_of(p, s, i)
        s.deviate[i] = rng.standard_normal()
        model.set_risk(p, s, where, i)
        for k in range(1, s.times.shape[0]):
            model.draw_assessment(p, s, where, k, i, rng)
        model.draw_end(p, s, where, i, rng)
        model.observe(p, s, where, i, 0, s.times.shape[0])


@njit(cache=True, nogil=True)
def _search(
    p, s, t, where, prior, typical, rng, room, trace, counts, soft_sweeps, hard_sweeps, kappa, growth, every
):
    """The soft phase, then the hard one. Returns soft sweeps and rows of trace written (-1: failed)."""
    steps = np.zeros((2, where.length))
    steps[0] = 0.3 * prior.sd
    steps[1] = 0.05 * prior.sd
    everything = s.times.shape[0] + 1
    warm = 10.0 * kappa
    targets.rebuild(p, s, t, 0, everything)
    soft = 0
    while soft < soft_sweeps and t.distance.sum() > 0.0:
        _sweep(p, s, t, where, prior, typical, rng, room, steps, counts, kappa, True)
        # What has frozen is warmed up again.
        kappa = kappa * growth if kappa < FROZEN else warm
        soft += 1
    if t.distance.sum() > 0.0:
        return soft, -1
    counts[:] = 0
    recorded = 0
    for sweep in range(hard_sweeps):
        _sweep(p, s, t, where, prior, typical, rng, room, steps, counts, math.inf, False)
        if sweep % every == 0:
            _record(p, s, t, where, trace[recorded])
            recorded += 1
    t.tolerance[0] = targets.FINAL
    targets.rebuild(p, s, t, 0, everything)
    return soft, recorded if t.distance.sum() == 0.0 else -1


@njit(cache=True, nogil=True)
def _sweep(p, s, t, where, prior, typical, rng, room, steps, counts, kappa, adapt):
    n = p.arm.size
    for _ in range(n):
        i = int(rng.random() * n)
        counts[0, 0] += 1
        counts[0, 1] += moves.redraw_row(p, s, t, where, i, kappa, rng, room[0])
    factors = p.stratifies.size
    if factors:
        for _ in range(n // 4):
            i = int(rng.random() * n)
            counts[1, 0] += 1
            counts[1, 1] += moves.exchange_labels(
                p, s, t, where, i, int(rng.random() * factors), kappa, rng, room[0]
            )
    centred.sweep(p, s, where, prior, typical, steps[0], counts, rng, room[2], adapt)
    for j in range(where.ramp):
        if prior.active[j] and (j < where.lag or j == where.jitter) and rng.random() < 0.5:
            taken = moves.non_centred(p, s, t, where, prior, typical, j, steps[1, j], kappa, rng, room[1])
            counts[3, 0] += 1
            counts[3, 1] += taken
            if adapt:
                steps[1, j] *= math.exp(0.2 * (taken - centred.TARGET_ACCEPTANCE))
    counts[4, 0] += 1
    counts[4, 1] += moves.change_rule(p, s, t, where, kappa, rng, room[1])


# --- what is recorded -----------------------------------------------------------------------


def _monitored(trial: Trial, fixed) -> list[str]:
    """Names of the trace's columns, in the order in which `_record` fills them."""
    names = [f"log_hazard_ratio_{e.paramcd}" for e in trial.endpoints] + [
        "frailty",
        "recovery",
        "late_deaths",
    ]
    for e in trial.endpoints:
        names += [f"events_{arm.name}_{e.paramcd}" for arm in trial.arms]
        names += [f"mean_days_{arm.name}_{e.paramcd}" for arm in trial.arms]
    return names


@njit(cache=True, nogil=True)
def _record(p, s, t, where, line):
    endpoints = s.times.shape[0]
    column = 0
    for k in range(endpoints):
        line[column] = s.theta[k * where.block + 2 + where.pieces]
        column += 1
    line[column] = abs(s.theta[where.frailty])
    line[column + 1] = s.theta[where.recovery]
    line[column + 2] = s.rule[0]
    column += 3
    for k in range(endpoints):
        for arm in range(2):
            here = p.arm == arm
            line[column + arm] = s.event[k][here].sum()
            line[column + 2 + arm] = s.day[k][here].mean()
        column += 4


def _facts(trial, fixed, state, tables, counts, soft, accepted) -> dict[str, int | float | str]:
    kinds = ("rows", "labels", "centred", "non_centred", "rule")
    rates = {
        f"accepted_{kind}": float(done / max(tried, 1))
        for kind, (tried, done) in zip(kinds, counts, strict=True)
    }
    used = [t.claim_id for t in trial.targets if t.role == "target"]
    missed = [
        claim for claim, value, low, high in zip(used, tables.value, fixed.low, fixed.high, strict=True)
        if not low <= value < high
    ]  # fmt: skip
    rule = fixed.late_death_windows[state.rule[0]]
    return {
        "soft_sweeps": soft,
        "late_deaths": "count" if math.isinf(rule) else f"within {rule:g} days",
        "missed": "" if accepted else " ".join(missed),
        **rates,
    }
