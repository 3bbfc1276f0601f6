"""The moves of a chain: each leaves the distribution of rows given the printed intervals unchanged.

Data augmentation (Tanner and Wong 1987) in two coordinates at once (Yu and Meng 2011,
doi 10.1198/jcgs.2011.203main). *Centred* moves change a parameter and keep the patients' times;
*non-centred* moves change a parameter and keep the random numbers behind the times, so that
all rows move with it. Rows are redrawn from their prior, given the end state. Labels are
exchanged between patients of one cell, under the model, so that the association of strata and
outcome is kept.

A move that leaves the printed intervals is refused (hard phase) or penalized by `kappa` times
the distance from them (soft phase).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from visiontrial.cohort import model as m
from visiontrial.cohort import targets as tg
from visiontrial.cohort.problem import ALIVE, DIED, LEFT

@njit(cache=True, nogil=True)
def accepts(log_ratio, before, after, kappa, rng):
    """Metropolis-Hastings: `kappa` infinite means that only distance zero is allowed."""
    if kappa == math.inf:
        if after > 0.0:
            return False
    else:
        log_ratio += kappa * (before - after)
    return log_ratio >= 0.0 or rng.random() < math.exp(log_ratio)


# --- rows -----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def redraw_row(p, s, t, where, i, kappa, rng, b):
    """Redraw patient i, wholly or in part: everything, one end point's assessment, the end of follow-up, the entry."""
    endpoints = s.times.shape[0]
    _save_row(s, i, b)
    choice = rng.random()
    if choice < 0.35:
        log_ratio = _redraw_all(p, s, where, i, rng)
    elif choice < 0.65 and endpoints > 1:
        log_ratio = _redraw_assessment(p, s, where, 1 + int(rng.random() * (endpoints - 1)), i, rng)
    elif choice < 0.85:
        log_ratio = -m.end_log_weight(p, s, where, i)
        log_ratio += m.draw_end(p, s, where, i, rng)
    else:
        log_ratio = _redraw_entry(p, s, where, i, rng)
    if log_ratio == -math.inf or math.isnan(log_ratio):
        _restore_row(s, i, b)
        return False
    m.observe(p, s, where, i)
    return _settle_row(p, s, t, i, log_ratio, kappa, rng, b)


@njit(cache=True, nogil=True)
def _redraw_all(p, s, where, i, rng):
    log_ratio = -m.end_log_weight(p, s, where, i)
    s.deviate[i] = rng.standard_normal()
    m.set_risk(p, s, where, i)
    for k in range(1, s.times.shape[0]):
        m.draw_assessment(p, s, where, k, i, rng)
    return log_ratio + m.draw_end(p, s, where, i, rng)


@njit(cache=True, nogil=True)
def _redraw_assessment(p, s, where, k, i, rng):
    if p.hastening != k:
        m.draw_assessment(p, s, where, k, i, rng)
        return 0.0
    before = m.death_log_likelihood(p, s, where, i)
    m.draw_assessment(p, s, where, k, i, rng)
    return m.death_log_likelihood(p, s, where, i) - before


@njit(cache=True, nogil=True)
def _redraw_entry(p, s, where, i, rng):
    width = p.last_day[i] - p.first_day[i]
    if width <= 0.0:
        return -math.inf
    before = _entry_terms(p, s, where, i)
    s.entry[i] = p.first_day[i] + math.floor(rng.random() * (width + 1.0))
    return _entry_terms(p, s, where, i) - before


@njit(cache=True, nogil=True)
def _entry_terms(p, s, where, i):
    """Everything in patient i's likelihood that his follow-up time touches."""
    cutoff = m.follow_up(p, s, i)
    kind = p.end_kind[i]
    if kind == DIED and s.times[0, i] > cutoff:
        return -math.inf
    if kind == LEFT and s.left[i] > cutoff - 1.0:
        return -math.inf
    if kind == ALIVE and s.lag[i] > cutoff - 1.0:
        return -math.inf
    value = m.entry_log_likelihood(p, s, where, i) + m.contact_log_likelihood(p, s, where, i)
    return value + m.death_log_likelihood(p, s, where, i) + m.leaving_log_likelihood(p, s, where, i)


class Backup(NamedTuple):
    """One patient's columns of the state, for putting back what was refused."""

    times: np.ndarray
    stop: np.ndarray
    risk: np.ndarray
    single: np.ndarray
    jitter: np.ndarray
    day: np.ndarray
    event: np.ndarray
    reason: np.ndarray
    distance: np.ndarray


def backup(endpoints: int, visits: int, analyses: int) -> Backup:
    """Room for one patient."""
    return Backup(
        times=np.zeros(endpoints), stop=np.zeros(endpoints), risk=np.zeros(endpoints), single=np.zeros(5),
        jitter=np.zeros(visits), day=np.zeros(endpoints + 1, np.int64), event=np.zeros(endpoints + 1, np.bool_),
        reason=np.zeros(endpoints + 1, np.int64), distance=np.zeros(analyses),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _save_row(s, i, b):
    b.times[:], b.stop[:], b.risk[:] = s.times[:, i], s.stop[:, i], s.risk[:, i]
    b.day[:], b.event[:], b.reason[:] = s.day[:, i], s.event[:, i], s.reason[:, i]
    b.jitter[:] = s.jitter[i]
    b.single[0], b.single[1], b.single[2] = s.left[i], s.lag[i], s.deviate[i]
    b.single[3], b.single[4] = s.recovered[i], s.entry[i]


@njit(cache=True, nogil=True)
def _restore_row(s, i, b):
    s.times[:, i], s.stop[:, i], s.risk[:, i] = b.times, b.stop, b.risk
    s.day[:, i], s.event[:, i], s.reason[:, i] = b.day, b.event, b.reason
    s.jitter[i] = b.jitter
    s.left[i], s.lag[i], s.deviate[i] = b.single[0], b.single[1], b.single[2]
    s.recovered[i], s.entry[i] = b.single[3] != 0.0, b.single[4]


@njit(cache=True, nogil=True)
def _settle_row(p, s, t, i, log_ratio, kappa, rng, b):
    """Bring the analyses up to date with patient i's new row, then accept it or put everything back."""
    b.distance[:] = t.distance
    stratum = s.stratum[i]
    done = 0
    for a in range(p.endpoint.size):
        k = p.endpoint[a]
        done += 1
        if p.member[a, i] and (b.day[k] != s.day[k, i] or b.event[k] != s.event[k, i]):
            tg.move_row(p, s, t, a, i, b.day[k], b.event[k], stratum, s.day[k, i], s.event[k, i], stratum)
            tg.measure(p, s, t, a)
            if kappa == math.inf and t.distance[a] > 0.0:
                break
    if accepts(log_ratio, b.distance.sum(), t.distance.sum(), kappa, rng):
        return True
    for a in range(done):
        k = p.endpoint[a]
        if p.member[a, i] and (b.day[k] != s.day[k, i] or b.event[k] != s.event[k, i]):
            tg.move_row(p, s, t, a, i, s.day[k, i], s.event[k, i], stratum, b.day[k], b.event[k], stratum)
    t.distance[:] = b.distance
    _restore_row(s, i, b)
    return False


# --- labels ---------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def exchange_labels(p, s, t, where, i, f, kappa, rng, b):
    """Exchange the level of factor f between patient i and another of his cell who has the other level."""
    j = _partner(p, s, i, f, rng)
    if j < 0:
        return False
    before = _label_terms(p, s, where, i) + _label_terms(p, s, where, j)
    b.distance[:] = t.distance
    _swap_labels(p, s, t, where, i, j, f)
    log_ratio = _label_terms(p, s, where, i) + _label_terms(p, s, where, j) - before
    if p.stratifies[f]:
        for a in range(p.endpoint.size):
            if t.needs_order[a] and p.member[a, i]:
                tg.measure(p, s, t, a)
    if accepts(log_ratio, b.distance.sum(), t.distance.sum(), kappa, rng):
        return True
    _swap_labels(p, s, t, where, i, j, f)
    t.distance[:] = b.distance
    return False


@njit(cache=True, nogil=True)
def _partner(p, s, i, f, rng):
    for _ in range(20):
        j = int(rng.random() * p.arm.size)
        if p.cell[j] == p.cell[i] and s.labels[j, f] != s.labels[i, f]:
            return j
    return -1


@njit(cache=True, nogil=True)
def _label_terms(p, s, where, i):
    value = m.death_log_likelihood(p, s, where, i)
    for k in range(1, s.times.shape[0]):
        value += m.event_log_likelihood(p, s, k, i)
    return value


@njit(cache=True, nogil=True)
def _swap_labels(p, s, t, where, i, j, f):
    for row in (i, j):
        old = s.stratum[row]
        s.labels[row, f] = 1 - s.labels[row, f]
        new = stratum_of(p, s, row)
        if new != old:
            for a in range(p.endpoint.size):
                k = p.endpoint[a]
                if t.needs_order[a] and p.member[a, row]:
                    day, event = s.day[k, row], s.event[k, row]
                    tg.move_row(p, s, t, a, row, day, event, old, day, event, new)
            s.stratum[row] = new
        m.set_risk(p, s, where, row)


@njit(cache=True, nogil=True)
def stratum_of(p, s, i):
    """The stratum of patient i: his levels of the stratifying factors, read as a binary number."""
    stratum = 0
    for f in range(p.stratifies.size):
        if p.stratifies[f]:
            stratum = 2 * stratum + s.labels[i, f]
    return stratum


# --- parameters, rows kept ------------------------------------------------------------------


@njit(cache=True, nogil=True)
def centred(p, s, where, prior, typical, j, step, rng):
    """Change parameter j while all times stay as they are. What is observed does not change."""
    before = _terms_of(p, s, where, j)
    old = s.theta[j]
    s.theta[j] = old + step * rng.standard_normal()
    _refresh(p, s, where, typical, j)
    log_ratio = _terms_of(p, s, where, j) - before + _prior_ratio(prior, j, s.theta[j], old)
    if log_ratio >= 0.0 or rng.random() < math.exp(log_ratio):
        return True
    s.theta[j] = old
    _refresh(p, s, where, typical, j)
    return False


@njit(cache=True, nogil=True)
def _prior_ratio(prior, j, new, old):
    a, b = (new - prior.mean[j]) / prior.sd[j], (old - prior.mean[j]) / prior.sd[j]
    return 0.5 * (b * b - a * a)


@njit(cache=True, nogil=True)
def _refresh(p, s, where, typical, j):
    """Recompute what depends on parameter j besides the times."""
    if j < where.frailty:
        m.tabulate_hazard(j // where.block, s.theta, where, p.edges, typical, s.rate, s.cumulative)
    elif j == where.frailty or where.effects <= j < where.stops:
        for i in range(p.arm.size):
            m.set_risk(p, s, where, i)


@njit(cache=True, nogil=True)
def _terms_of(p, s, where, j):
    """The part of the log likelihood of all rows that depends on parameter j."""
    endpoints = s.times.shape[0]
    total = 0.0
    for i in range(p.arm.size):
        if j < where.block or j == where.hastening:
            total += m.death_log_likelihood(p, s, where, i)
        elif j < where.frailty:
            total += m.event_log_likelihood(p, s, j // where.block, i)
        elif j == where.frailty:
            total += _label_terms(p, s, where, i)
        elif j < where.stops:
            k = (j - where.effects) % endpoints
            total += m.death_log_likelihood(p, s, where, i) if k == 0 else m.event_log_likelihood(p, s, k, i)
        elif j < where.lag:
            total += m.stop_log_likelihood(p, s, where, (j - where.stops) // 5, i)
        elif j < where.recovery:
            total += m.contact_log_likelihood(p, s, where, i)
        elif j == where.recovery:
            total += m.recovery_log_likelihood(p, s, where, i)
        elif j >= where.leaving:
            total += m.leaving_log_likelihood(p, s, where, i)
        elif j >= where.ramp:
            total += m.entry_log_likelihood(p, s, where, i)
    return total


# --- parameters, rows moving with them ------------------------------------------------------


class Snapshot(NamedTuple):
    """The state's columns that a non-centred move touches, for all patients."""

    times: np.ndarray
    stop: np.ndarray
    risk: np.ndarray
    day: np.ndarray
    event: np.ndarray
    reason: np.ndarray
    distance: np.ndarray
    amount: np.ndarray


def snapshot(endpoints: int, n: int, analyses: int) -> Snapshot:
    """Room for all patients."""
    return Snapshot(
        times=np.zeros((endpoints, n)), stop=np.zeros((endpoints, n)), risk=np.zeros((endpoints, n)),
        day=np.zeros((endpoints + 1, n), np.int64), event=np.zeros((endpoints + 1, n), np.bool_),
        reason=np.zeros((endpoints + 1, n), np.int64), distance=np.zeros(analyses),
        amount=np.zeros((endpoints, n)),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def non_centred(p, s, t, where, prior, typical, j, step, kappa, rng, keep):
    """Change parameter j while the random numbers behind the rows stay: the rows move with it."""
    _keep(s, t, keep)
    first, last = _hazards_of(s, where, j)
    stops = where.stops <= j < where.lag
    log_ratio = _amounts(p, s, where, first, last, keep)
    if stops:
        _stop_amounts(p, s, where, (j - where.stops) // 5, keep)
    old = s.theta[j]
    s.theta[j] = old + step * rng.standard_normal()
    _refresh(p, s, where, typical, j)
    log_ratio += _prior_ratio(prior, j, s.theta[j], old) + _times_again(p, s, where, first, last, keep)
    if stops:
        _stops_again(p, s, where, (j - where.stops) // 5, keep)
    if not math.isnan(log_ratio):
        for i in range(p.arm.size):
            m.observe(p, s, where, i)
        tg.rebuild(p, s, t)
        if accepts(log_ratio, keep.distance.sum(), t.distance.sum(), kappa, rng):
            return True
    s.theta[j] = old
    _refresh(p, s, where, typical, j)
    _put_back(s, keep)
    tg.rebuild(p, s, t)
    return False


@njit(cache=True, nogil=True)
def _keep(s, t, keep):
    keep.times[:], keep.stop[:], keep.risk[:] = s.times, s.stop, s.risk
    keep.day[:], keep.event[:], keep.reason[:] = s.day, s.event, s.reason
    keep.distance[:] = t.distance


@njit(cache=True, nogil=True)
def _put_back(s, keep):
    s.times[:], s.stop[:], s.risk[:] = keep.times, keep.stop, keep.risk
    s.day[:], s.event[:], s.reason[:] = keep.day, keep.event, keep.reason


@njit(cache=True, nogil=True)
def _hazards_of(s, where, j):
    """The end points whose times move with parameter j: from the first to before the last."""
    endpoints = s.times.shape[0]
    if j < where.frailty:
        return j // where.block, j // where.block + 1
    if j == where.frailty:
        return 0, endpoints
    if j == where.hastening:
        return 0, 1
    if where.effects <= j < where.stops:
        k = (j - where.effects) % endpoints
        return k, k + 1
    return 0, 0


@njit(cache=True, nogil=True)
def _amounts(p, s, where, first, last, keep):
    """Cumulative hazards behind the present times; returns minus the log terms that will change."""
    total = 0.0
    for i in range(p.arm.size):
        arm = p.arm[i]
        for k in range(max(first, 1), last):
            keep.amount[k, i] = s.risk[k, i] * m.integral(s.times[k, i], s.rate[k, arm], s.cumulative[k, arm], p.edges)
        if first == 0 and last > 0:
            keep.amount[0, i] = _death_amount(p, s, where, i)
            total -= m.end_log_weight(p, s, where, i)
        elif first <= p.hastening < last:
            total -= m.death_log_likelihood(p, s, where, i)
    return total


@njit(cache=True, nogil=True)
def _death_amount(p, s, where, i):
    """The random number behind a time of death: a share of the chance to die before the cutoff, or an excess."""
    kind = p.end_kind[i]
    if kind == DIED:
        dies = -math.expm1(-m.death_integral(p, s, where, i, m.follow_up(p, s, i)))
        return -math.expm1(-m.death_integral(p, s, where, i, s.times[0, i])) / dies
    if kind == LEFT and s.recovered[i]:
        return m.death_integral(p, s, where, i, s.times[0, i]) - m.death_integral(p, s, where, i, s.left[i])
    return 0.0


@njit(cache=True, nogil=True)
def _times_again(p, s, where, first, last, keep):
    """Times from the kept random numbers under the new parameters; returns the log terms that changed."""
    total = 0.0
    for i in range(p.arm.size):
        arm = p.arm[i]
        for k in range(max(first, 1), last):
            amount = keep.amount[k, i] / s.risk[k, i]
            s.times[k, i] = m.inverse(amount, s.rate[k, arm], s.cumulative[k, arm], p.edges)
        if first == 0 and last > 0:
            _death_again(p, s, where, i, keep.amount[0, i])
            total += m.end_log_weight(p, s, where, i)
        elif first <= p.hastening < last:
            total += m.death_log_likelihood(p, s, where, i)
    return total


@njit(cache=True, nogil=True)
def _death_again(p, s, where, i, amount):
    kind = p.end_kind[i]
    cutoff = m.follow_up(p, s, i)
    if kind == DIED:
        dies = -math.expm1(-m.death_integral(p, s, where, i, cutoff))
        s.times[0, i] = min(m.death_inverse(p, s, where, i, -math.log1p(-min(amount, 1.0) * dies)), cutoff)
    elif kind == LEFT and s.recovered[i]:
        survived = m.death_integral(p, s, where, i, s.left[i])
        s.times[0, i] = m.death_inverse(p, s, where, i, survived + amount)


@njit(cache=True, nogil=True)
def _stop_amounts(p, s, where, k, keep):
    for i in range(p.arm.size):
        early, late = m.stop_rates(p, s, where, k, i)
        keep.amount[k, i] = m.two_piece_integral(s.stop[k, i], early, late, p.edges[1])


@njit(cache=True, nogil=True)
def _stops_again(p, s, where, k, keep):
    for i in range(p.arm.size):
        early, late = m.stop_rates(p, s, where, k, i)
        s.stop[k, i] = m.two_piece_inverse(keep.amount[k, i], early, late, p.edges[1])


# --- the rule for late deaths ---------------------------------------------------------------


@njit(cache=True, nogil=True)
def change_rule(p, s, t, where, kappa, rng, keep):
    """Propose another rule for deaths long after the last assessment."""
    rules = p.late_death_windows.size
    if rules < 2:
        return False
    _keep(s, t, keep)
    old = s.rule[0]
    s.rule[0] = (old + 1 + int(rng.random() * (rules - 1))) % rules
    for i in range(p.arm.size):
        m.observe(p, s, where, i)
    tg.rebuild(p, s, t)
    if accepts(0.0, keep.distance.sum(), t.distance.sum(), kappa, rng):
        return True
    s.rule[0] = old
    _put_back(s, keep)
    tg.rebuild(p, s, t)
    return False
