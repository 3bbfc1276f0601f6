"""How patients could have come about: the prior, and the likelihood of one patient's rows.

An illness-death model with piecewise-constant hazards. End point 0 is death; the others have
a latent time of their event. For end point k in arm a, at time t (days),

    log hazard = level + slope * log(t / typical) + random walk over the pieces
                 + a * (log hazard ratio + shrunken random walk over the pieces)
                 + frailty deviation * normal of the patient + effects of the factor levels,

and the hazard of death is multiplied by a constant after the event that hastens it. So
proportional hazards are possible and not imposed. Assessment of an end point stops after a
time of its own, by arm, early and late; patients leave the trial with rates by arm, period and
time since randomization; those in follow-up were last seen some time before the cutoff; vital
status of those who left is recovered with one probability.

Every parameter has an independent normal prior on the scale on which it stands in the vector
`theta`; standard deviations of random walks and of the frailty enter by their absolute value.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from visiontrial.cohort.problem import ALIVE, DIED, LEFT, UNKNOWN_CONTACT
from visiontrial.cohort.specification import DAYS_PER_MONTH, Trial

# Where things stand inside the block of one hazard with M pieces.
LEVEL, SLOPE, WALK = 0, 1, 2

OWN_EVENT, DEATH, AT_CUTOFF, LEFT_TRIAL, STOPPED, DEATH_TOO_LATE, VITAL_STATUS_LEARNED = range(7)


class Layout(NamedTuple):
    """Where each group of parameters begins in `theta`; `block` is the length of one hazard's."""

    pieces: int
    block: int
    frailty: int
    hastening: int
    effects: int
    stops: int
    lag: int
    recovery: int
    jitter: int
    ramp: int
    leaving: int
    length: int


class Prior(NamedTuple):
    """Mean and standard deviation of every parameter; `active` marks those that are not held at the mean."""

    mean: np.ndarray
    sd: np.ndarray
    active: np.ndarray


class State(NamedTuple):
    """Everything that a chain changes. Times in days since randomization.

    `theta` (parameters); `rate`, `cumulative` (K, 2, M): hazards by piece and their integrals at
    the pieces' beginnings; `times` (K, n): latent times, of death in row 0; `stop` (K, n): when
    assessment stops; `left` (n): when the patient leaves; `lag` (n): last contact before the
    cutoff; `recovered` (n); `entry` (n): day of randomization; `deviate` (n): frailty;
    `jitter` (n, V): of visits; `labels` (n, F), `stratum` (n), `risk` (K, n);
    `rule` (1): which rule for late deaths; `day`, `event`, `reason` (K + 1, n): what is observed.
    """

    theta: np.ndarray
    rate: np.ndarray
    cumulative: np.ndarray
    times: np.ndarray
    stop: np.ndarray
    left: np.ndarray
    lag: np.ndarray
    recovered: np.ndarray
    entry: np.ndarray
    deviate: np.ndarray
    jitter: np.ndarray
    labels: np.ndarray
    stratum: np.ndarray
    risk: np.ndarray
    rule: np.ndarray
    day: np.ndarray
    event: np.ndarray
    reason: np.ndarray


def layout(trial: Trial, pieces: int) -> Layout:
    """Where the parameters of this trial stand."""
    hazards, block = len(trial.endpoints), 2 * pieces + 3
    sizes = {
        "frailty": 1,
        "hastening": 1,
        "effects": len(trial.factors) * hazards,
        "stops": 5 * hazards,
        "lag": 2,
        "recovery": 1,
        "jitter": 1,
        "ramp": len(trial.periods),
        "leaving": 2 * len(trial.cells),
    }
    begins, position = {}, hazards * block
    for name, size in sizes.items():
        begins[name] = position
        position += size
    return Layout(pieces=pieces, block=block, length=position, **begins)


def prior(trial: Trial, where: Layout, *, single_shape: bool) -> Prior:
    """The prior of a trial. `single_shape` leaves Weibull hazards, a constant hazard ratio and no frailty."""
    mean, sd = np.zeros(where.length), np.ones(where.length)
    for k, endpoint in enumerate(trial.endpoints):
        block = slice(k * where.block, (k + 1) * where.block)
        mean[block], sd[block] = _hazard_prior(endpoint.typical_median, where.pieces)
    _set(mean, sd, where.frailty, 1, 0.0, 0.6)
    _set(mean, sd, where.hastening, 1, 0.5, 0.5)
    for f, factor in enumerate(trial.factors):
        _set(mean, sd, where.effects + f * len(trial.endpoints), len(trial.endpoints), *_pair(factor.effect))
    stop_rate = math.log(1 / (20 * DAYS_PER_MONTH))
    for k in range(len(trial.endpoints)):
        _set(mean, sd, where.stops + 5 * k, 4, stop_rate, 1.2)
        _set(mean, sd, where.stops + 5 * k + 4, 1, 1.5, 0.7)
    _set(mean, sd, where.lag, 2, math.log(45), 0.7)
    _set(mean, sd, where.recovery, 1, 0.0, 1.5)
    _set(mean, sd, where.jitter, 1, math.log(7), 0.35)
    _set(mean, sd, where.ramp, where.leaving - where.ramp, 0.0, 0.7)
    _set(mean, sd, where.leaving, where.length - where.leaving, math.log(1 / (30 * DAYS_PER_MONTH)), 1.5)
    return Prior(mean, sd, _active(trial, where, single_shape))


def _hazard_prior(typical_median: float, pieces: int) -> tuple[np.ndarray, np.ndarray]:
    level = math.log(math.log(2) / (typical_median * DAYS_PER_MONTH))
    mean = np.zeros(2 * pieces + 3)
    sd = np.ones(2 * pieces + 3)
    mean[LEVEL], sd[LEVEL] = level, 0.7
    sd[SLOPE] = 0.4
    sd[WALK] = 0.3
    ratio = WALK + pieces
    sd[ratio] = 0.7
    sd[ratio + 1] = 0.35
    return mean, sd


def _set(mean, sd, begin, number, centre, spread) -> None:
    mean[begin : begin + number], sd[begin : begin + number] = centre, spread


def _pair(normal) -> tuple[float, float]:
    return normal.mean, normal.sd


def _active(trial: Trial, where: Layout, single_shape: bool) -> np.ndarray:
    active = np.ones(where.length, dtype=np.bool_)
    ratio = WALK + where.pieces
    for k, endpoint in enumerate(trial.endpoints):
        begin = k * where.block
        if single_shape:
            active[begin + WALK : begin + ratio] = False
            active[begin + ratio + 1 : begin + where.block] = False
        if endpoint.stop is None:
            active[where.stops + 5 * k : where.stops + 5 * k + 5] = False
        elif trial.untreated is None:
            active[where.stops + 5 * k + 4] = False
    if single_shape:
        active[where.frailty] = False
    if single_shape or not any(e.hastens_death for e in trial.endpoints):
        active[where.hastening] = False
    if all(s.contact is not None for s in trial.end_states if s.kind == "alive"):
        active[where.lag : where.lag + 2] = False
    if not any(s.recoverable for s in trial.end_states):
        active[where.recovery] = False
    if not any(e.visits for e in trial.endpoints):
        active[where.jitter] = False
    return active


# --- hazards --------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def tabulate_hazard(k, theta, where, edges, typical, rate, cumulative):
    """Fill the piecewise rates of end point k in both arms and their integrals."""
    pieces = where.pieces
    block = theta[k * where.block : (k + 1) * where.block]
    ratio = 2 + pieces
    walk = 0.0
    ratio_walk = 0.0
    for arm in range(2):
        cumulative[k, arm, 0] = 0.0
    for m in range(pieces):
        if m:
            walk += abs(block[2]) * block[2 + m]
            ratio_walk += abs(block[ratio + 1]) * block[ratio + 1 + m]
        middle = 0.5 * (edges[m] + edges[m + 1]) if m + 1 < pieces else 1.15 * edges[m]
        base = block[0] + block[1] * math.log(max(middle, 1.0) / typical[k]) + walk
        rate[k, 0, m] = math.exp(min(base, 0.0))
        rate[k, 1, m] = math.exp(min(base + block[ratio] + ratio_walk, 0.0))
        if m + 1 < pieces:
            for arm in range(2):
                cumulative[k, arm, m + 1] = cumulative[k, arm, m] + rate[k, arm, m] * (
                    edges[m + 1] - edges[m]
                )


@njit(cache=True, nogil=True)
def piece_of(time, edges):
    m = edges.size - 1
    while m and time < edges[m]:
        m -= 1
    return m


@njit(cache=True, nogil=True)
def integral(time, k, arm, rate, cumulative, edges):
    """The baseline cumulative hazard of end point k at `time`."""
    m = piece_of(time, edges)
    return cumulative[k, arm, m] + rate[k, arm, m] * (time - edges[m])


@njit(cache=True, nogil=True)
def inverse(amount, k, arm, rate, cumulative, edges):
    """The time at which the baseline cumulative hazard of end point k reaches `amount`."""
    m = edges.size - 1
    while m and amount < cumulative[k, arm, m]:
        m -= 1
    return edges[m] + (amount - cumulative[k, arm, m]) / rate[k, arm, m]


@njit(cache=True, nogil=True)
def hastened_integral(time, hastened_at, factor, arm, rate, cumulative, edges):
    """Baseline cumulative hazard of death at `time`, `factor` times as steep from `hastened_at`."""
    total = integral(time, 0, arm, rate, cumulative, edges)
    if hastened_at < time:
        before = integral(hastened_at, 0, arm, rate, cumulative, edges)
        total = before + factor * (total - before)
    return total


@njit(cache=True, nogil=True)
def hastened_inverse(amount, hastened_at, factor, arm, rate, cumulative, edges):
    """The time at which `hastened_integral` reaches `amount`."""
    if hastened_at < math.inf:
        before = integral(hastened_at, 0, arm, rate, cumulative, edges)
        if amount > before:
            amount = before + (amount - before) / factor
    return inverse(amount, 0, arm, rate, cumulative, edges)


@njit(cache=True, nogil=True, inline="always")
def hastened_at(p, s, i):
    """When patient i's hazard of death changes; infinite where no end point hastens death."""
    return s.times[p.hastening, i] if p.hastening >= 0 else math.inf


@njit(cache=True, nogil=True, inline="always")
def death_integral(p, s, where, i, time):
    """Cumulative hazard of death of patient i at `time`, given when the hastening event happens."""
    factor = math.exp(s.theta[where.hastening])
    at = hastened_at(p, s, i)
    return s.risk[0, i] * hastened_integral(time, at, factor, p.arm[i], s.rate, s.cumulative, p.edges)


@njit(cache=True, nogil=True, inline="always")
def death_inverse(p, s, where, i, amount):
    """The time at which patient i's cumulative hazard of death reaches `amount`."""
    factor = math.exp(s.theta[where.hastening])
    at = hastened_at(p, s, i)
    return hastened_inverse(amount / s.risk[0, i], at, factor, p.arm[i], s.rate, s.cumulative, p.edges)


@njit(cache=True, nogil=True, inline="always")
def log_death_rate(p, s, where, i, time):
    m = piece_of(time, p.edges)
    value = math.log(s.rate[0, p.arm[i], m] * s.risk[0, i])
    return value + (s.theta[where.hastening] if hastened_at(p, s, i) < time else 0.0)


# --- one patient ----------------------------------------------------------------------------


@njit(cache=True, nogil=True, inline="always")
def follow_up(p, s, i):
    """Days from randomization to the cutoff, the first day being 1."""
    return p.cutoff - s.entry[i] + 1.0


@njit(cache=True, nogil=True)
def set_risk(p, s, where, i):
    """Relative hazards of patient i from frailty and factor levels."""
    endpoints = s.times.shape[0]
    for k in range(endpoints):
        value = abs(s.theta[where.frailty]) * s.deviate[i]
        for f in range(s.labels.shape[1]):
            value += s.theta[where.effects + f * endpoints + k] * s.labels[i, f]
        s.risk[k, i] = math.exp(value)


@njit(cache=True, nogil=True, inline="always")
def known_until(p, s, i):
    """Until when patient i's life or death is part of the likelihood, and whether he dies then.

    Whoever was in follow-up at the cutoff is taken to be alive on that day, though last seen
    before: had he died, the trial would have listed him so. Calibration on simulated trials
    showed that survival comes out too low late where only the last contact is believed.
    """
    kind = p.end_kind[i]
    if kind == ALIVE:
        return follow_up(p, s, i), False
    if kind == LEFT and not s.recovered[i]:
        return s.left[i], False
    return s.times[0, i], True


@njit(cache=True, nogil=True, inline="always")
def death_log_likelihood(p, s, where, i):
    """Of what is known of patient i's death, given when the hastening event happens."""
    time, dies = known_until(p, s, i)
    value = -death_integral(p, s, where, i, time)
    return value + log_death_rate(p, s, where, i, time) if dies else value


@njit(cache=True, nogil=True, inline="always")
def event_log_likelihood(p, s, k, i):
    """Of the latent time of end point k in patient i."""
    arm = p.arm[i]
    time = s.times[k, i]
    m = piece_of(time, p.edges)
    risk = s.risk[k, i]
    return math.log(s.rate[k, arm, m] * risk) - risk * integral(time, k, arm, s.rate, s.cumulative, p.edges)


@njit(cache=True, nogil=True, inline="always")
def stop_rates(p, s, where, k, i):
    """Rates at which assessment of end point k stops, before and after the end of the first piece."""
    begin = where.stops + 5 * k + p.arm[i]
    more = s.theta[where.stops + 5 * k + 4] if p.untreated[i] else 0.0
    return math.exp(s.theta[begin] + more), math.exp(s.theta[begin + 2] + more)


@njit(cache=True, nogil=True)
def two_piece_integral(time, early, late, border):
    return early * min(time, border) + late * max(time - border, 0.0)


@njit(cache=True, nogil=True)
def two_piece_inverse(amount, early, late, border):
    return amount / early if amount < early * border else border + (amount - early * border) / late


@njit(cache=True, nogil=True, inline="always")
def leaving_rates(p, s, where, i):
    begin = where.leaving + 2 * p.cell[i]
    return math.exp(s.theta[begin]), math.exp(s.theta[begin + 1])


@njit(cache=True, nogil=True)
def leaving_log_likelihood(p, s, where, i):
    """Of leaving the trial when patient i did, or of not having left as long as he was seen."""
    early, late = leaving_rates(p, s, where, i)
    kind = p.end_kind[i]
    if kind == LEFT:
        time = s.left[i]
        return math.log(early if time < p.edges[1] else late) - two_piece_integral(
            time, early, late, p.edges[1]
        )
    return stayed(p, s, where, i, s.times[0, i] if kind == DIED else follow_up(p, s, i))


@njit(cache=True, nogil=True, inline="always")
def stayed(p, s, where, i, time):
    """Log probability that patient i has not left the trial by `time`."""
    early, late = leaving_rates(p, s, where, i)
    return -two_piece_integral(time, early, late, p.edges[1])


@njit(cache=True, nogil=True)
def contact_log_likelihood(p, s, where, i):
    """Of the time between last contact and cutoff where its mean is estimated: exponential, truncated."""
    if p.end_kind[i] != ALIVE or p.contact[i] != UNKNOWN_CONTACT:
        return 0.0
    mean = math.exp(s.theta[where.lag + p.arm[i]])
    longest = follow_up(p, s, i) - 1.0
    return -math.log(mean) - s.lag[i] / mean - math.log(-math.expm1(-longest / mean))


@njit(cache=True, nogil=True)
def entry_log_likelihood(p, s, where, i):
    """Of the day of randomization: a density that rises or falls linearly over the period's window."""
    width = p.last_day[i] - p.first_day[i]
    if width <= 0:
        return 0.0
    ramp = math.tanh(s.theta[where.ramp + p.period[i]])
    return math.log1p(ramp * (2.0 * (s.entry[i] - p.first_day[i]) / width - 1.0)) - math.log(width)


@njit(cache=True, nogil=True)
def recovery_log_likelihood(p, s, where, i):
    if not p.recoverable[i]:
        return 0.0
    odds = s.theta[where.recovery]
    return -math.log1p(math.exp(-odds)) if s.recovered[i] else -math.log1p(math.exp(odds))


# --- what is observed -----------------------------------------------------------------------


@njit(cache=True, nogil=True)
def observe(p, s, where, i, first, last):
    """Day, event and reason of patient i's end points from `first` to before `last`, and his time to cutoff.

    Where death is among them, all others follow from it and are observed too.
    """
    endpoints = s.times.shape[0]
    cutoff = follow_up(p, s, i)
    kind = p.end_kind[i]
    dead = s.times[0, i] <= cutoff and (kind == DIED or (kind == LEFT and s.recovered[i]))
    seen = _observe_death(p, s, i, cutoff, dead)
    for k in range(max(first, 1), endpoints if first == 0 else last):
        _observe_event(p, s, where, k, i, seen, dead)
    s.day[endpoints, i] = int(cutoff)
    s.event[endpoints, i] = True


@njit(cache=True, nogil=True)
def _whole_day(time):
    return max(1, math.ceil(time))


@njit(cache=True, nogil=True)
def _observe_death(p, s, i, cutoff, dead):
    """Overall survival; returns how long the trial itself followed the patient."""
    kind = p.end_kind[i]
    s.event[0, i] = dead
    if kind == DIED:
        seen = s.times[0, i]
    elif kind == ALIVE:
        seen = cutoff - s.lag[i]
    else:
        seen = s.left[i]
    if dead:
        s.day[0, i], s.reason[0, i] = _whole_day(s.times[0, i]), DEATH
    elif kind == LEFT and s.recovered[i]:
        s.day[0, i], s.reason[0, i] = _whole_day(cutoff), VITAL_STATUS_LEARNED
    else:
        s.day[0, i], s.reason[0, i] = _whole_day(seen), (LEFT_TRIAL if kind == LEFT else AT_CUTOFF)
    return seen


@njit(cache=True, nogil=True)
def _observe_event(p, s, where, k, i, seen, dead):
    stopped = p.stops[k] and s.stop[k, i] < seen
    assessed = s.stop[k, i] if stopped else seen
    time = s.times[k, i]
    found = 0.0
    last = assessed
    if p.visited[k]:
        last = 0.0
        spread = math.exp(s.theta[where.jitter])
        for v in range(p.visits.shape[1]):
            visit = p.visits[k, v] + spread * s.jitter[i, v]
            if visit > assessed:
                break
            last = max(visit, last)
            if time <= visit:
                found = last
                break
    elif time <= assessed:
        found = time
    if found > 0.0:
        s.day[k, i], s.event[k, i], s.reason[k, i] = _whole_day(found), True, OWN_EVENT
    elif dead and s.times[0, i] - last <= p.late_death_windows[s.rule[0]]:
        s.day[k, i], s.event[k, i], s.reason[k, i] = s.day[0, i], True, DEATH
    else:
        s.day[k, i], s.event[k, i] = _whole_day(last), False
        if stopped:
            s.reason[k, i] = STOPPED
        elif p.end_kind[i] == LEFT:
            s.reason[k, i] = LEFT_TRIAL
        else:
            s.reason[k, i] = DEATH_TOO_LATE if dead else AT_CUTOFF


# --- drawing --------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def draw_assessment(p, s, where, k, i, rng):
    """Latent time of end point k, the end of its assessment, and the jitter of its visits, from the prior."""
    arm = p.arm[i]
    amount = rng.standard_exponential() / s.risk[k, i]
    s.times[k, i] = inverse(amount, k, arm, s.rate, s.cumulative, p.edges)
    if p.stops[k]:
        early, late = stop_rates(p, s, where, k, i)
        s.stop[k, i] = two_piece_inverse(rng.standard_exponential(), early, late, p.edges[1])
    if p.visited[k]:
        for v in range(s.jitter.shape[1]):
            s.jitter[i, v] = min(max(rng.standard_normal(), -3.0), 3.0)


@njit(cache=True, nogil=True)
def draw_end(p, s, where, i, rng):
    """The end of follow-up of patient i given his end state; returns the log weight left out by the draw."""
    kind = p.end_kind[i]
    cutoff = follow_up(p, s, i)
    if kind == ALIVE:
        return _draw_contact(p, s, where, i, rng, cutoff)
    if kind == LEFT:
        return _draw_leaving(p, s, where, i, rng, cutoff)
    latest = min(cutoff, p.latest_death[i])
    dies = -math.expm1(-death_integral(p, s, where, i, latest))
    amount = -math.log1p(-rng.random() * dies)
    s.times[0, i] = min(death_inverse(p, s, where, i, amount), latest)
    return math.log(dies) + stayed(p, s, where, i, s.times[0, i])


@njit(cache=True, nogil=True)
def _draw_contact(p, s, where, i, rng, cutoff):
    longest = cutoff - 1.0
    if p.contact[i] == UNKNOWN_CONTACT:
        mean = math.exp(s.theta[where.lag + p.arm[i]])
        s.lag[i] = -mean * math.log1p(rng.random() * math.expm1(-longest / mean))
    else:
        s.lag[i] = rng.random() * min(p.contact[i], longest)
    return _alive_weight(p, s, where, i, cutoff)


@njit(cache=True, nogil=True)
def _alive_weight(p, s, where, i, cutoff):
    return stayed(p, s, where, i, cutoff) - death_integral(p, s, where, i, cutoff)


@njit(cache=True, nogil=True)
def _draw_leaving(p, s, where, i, rng, cutoff):
    early, late = leaving_rates(p, s, where, i)
    most = -math.expm1(-two_piece_integral(cutoff - 1.0, early, late, p.edges[1]))
    s.left[i] = two_piece_inverse(-math.log1p(-rng.random() * most), early, late, p.edges[1])
    survived = death_integral(p, s, where, i, s.left[i])
    s.recovered[i] = p.recoverable[i] and rng.random() < 1.0 / (1.0 + math.exp(-s.theta[where.recovery]))
    if s.recovered[i]:
        s.times[0, i] = death_inverse(p, s, where, i, survived + rng.standard_exponential())
    return -survived


@njit(cache=True, nogil=True)
def end_log_weight(p, s, where, i):
    """The log weight of the present end of follow-up, as `draw_end` returns it for a new one."""
    kind = p.end_kind[i]
    if kind == LEFT:
        return -death_integral(p, s, where, i, s.left[i])
    cutoff = follow_up(p, s, i)
    if kind == ALIVE:
        return _alive_weight(p, s, where, i, cutoff)
    dies = -math.expm1(-death_integral(p, s, where, i, min(cutoff, p.latest_death[i])))
    return math.log(dies) + stayed(p, s, where, i, s.times[0, i])
