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
    """Redraw patient i: everything, one end point's assessment, the end of follow-up, or the entry."""
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
    m.observe(p, s, where, i, 0, s.times.shape[0])
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
        jitter=np.zeros(visits), day=np.zeros(endpoints + 1, np.int64),
        event=np.zeros(endpoints + 1, np.bool_), reason=np.zeros(endpoints + 1, np.int64),
        distance=np.zeros(analyses),
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


# --- parameters, rows moving with them ------------------------------------------------------


@njit(cache=True, nogil=True)
def prior_ratio(prior, j, new, old):
    """Log ratio of the prior densities of parameter j at two values."""
    a, b = (new - prior.mean[j]) / prior.sd[j], (old - prior.mean[j]) / prior.sd[j]
    return 0.5 * (b * b - a * a)


@njit(cache=True, nogil=True)
def refresh(p, s, where, typical, j):
    """Recompute what depends on parameter j besides the times."""
    if j < where.frailty:
        m.tabulate_hazard(j // where.block, s.theta, where, p.edges, typical, s.rate, s.cumulative)
    elif j == where.frailty or where.effects <= j < where.stops:
        for i in range(p.arm.size):
            m.set_risk(p, s, where, i)


class Snapshot(NamedTuple):
    """What a non-centred move touches, for all patients, and the random numbers behind their times."""

    times: np.ndarray
    stop: np.ndarray
    risk: np.ndarray
    day: np.ndarray
    event: np.ndarray
    reason: np.ndarray
    order: np.ndarray
    start: np.ndarray
    distance: np.ndarray
    events: np.ndarray
    removed: np.ndarray
    amount: np.ndarray


def snapshot(state: m.State, tables: tg.Tables) -> Snapshot:
    """Room for all patients."""
    like = {
        name: np.empty_like(getattr(state, name))
        for name in ("times", "stop", "risk", "day", "event", "reason")
    }
    like |= {
        name: np.empty_like(getattr(tables, name))
        for name in ("order", "start", "distance", "events", "removed")
    }
    return Snapshot(**like, amount=np.empty_like(state.times))


@njit(cache=True, nogil=True)
def non_centred(p, s, t, where, prior, typical, j, step, kappa, rng, keep):
    """Change parameter j while the random numbers behind the rows stay: the rows move with it."""
    first, last = _endpoints_of(s, where, j)
    stops = where.stops <= j < where.lag
    moving = not stops and j != where.jitter
    _keep(s, t, keep)
    log_ratio = 0.0
    if stops:
        _stop_amounts(p, s, where, first, keep.amount[first])
    if moving:
        log_ratio = _amounts(p, s, where, first, last, keep.amount)
    old = s.theta[j]
    s.theta[j] = old + step * rng.standard_normal()
    refresh(p, s, where, typical, j)
    log_ratio += prior_ratio(prior, j, s.theta[j], old)
    if stops:
        _stops_again(p, s, where, first, keep.amount[first])
    if moving:
        log_ratio += _times_again(p, s, where, first, last, keep.amount)
    if _settle_all(p, s, t, where, first, last, log_ratio, kappa, rng, keep):
        return True
    s.theta[j] = old
    refresh(p, s, where, typical, j)
    return False


@njit(cache=True, nogil=True)
def change_rule(p, s, t, where, kappa, rng, keep):
    """Propose another rule for deaths long after the last assessment."""
    rules = p.late_death_windows.size
    if rules < 2:
        return False
    _keep(s, t, keep)
    old = s.rule[0]
    s.rule[0] = (old + 1 + int(rng.random() * (rules - 1))) % rules
    if _settle_all(p, s, t, where, 1, s.times.shape[0], 0.0, kappa, rng, keep):
        return True
    s.rule[0] = old
    return False


@njit(cache=True, nogil=True)
def _settle_all(p, s, t, where, first, last, log_ratio, kappa, rng, keep):
    """Observe the end points from `first` to before `last` anew and accept, or put every row back."""
    if not math.isnan(log_ratio):
        for i in range(p.arm.size):
            m.observe(p, s, where, i, first, last)
        tg.rebuild(p, s, t, first, s.times.shape[0] if first == 0 else last)
        if accepts(log_ratio, keep.distance.sum(), t.distance.sum(), kappa, rng):
            return True
    _put_back(s, t, keep)
    return False


@njit(cache=True, nogil=True)
def _keep(s, t, keep):
    keep.times[:], keep.stop[:], keep.risk[:] = s.times, s.stop, s.risk
    keep.day[:], keep.event[:], keep.reason[:] = s.day, s.event, s.reason
    keep.order[:], keep.start[:], keep.distance[:] = t.order, t.start, t.distance
    keep.events[:], keep.removed[:] = t.events, t.removed


@njit(cache=True, nogil=True)
def _put_back(s, t, keep):
    s.times[:], s.stop[:], s.risk[:] = keep.times, keep.stop, keep.risk
    s.day[:], s.event[:], s.reason[:] = keep.day, keep.event, keep.reason
    t.order[:], t.start[:], t.distance[:] = keep.order, keep.start, keep.distance
    t.events[:], t.removed[:] = keep.events, keep.removed


@njit(cache=True, nogil=True)
def _endpoints_of(s, where, j):
    """The end points whose rows move with parameter j: from the first to before the last."""
    endpoints = s.times.shape[0]
    if j < where.frailty:
        return j // where.block, j // where.block + 1
    if j == where.frailty:
        return 0, endpoints
    if j == where.hastening:
        return 0, 1
    if j < where.stops:
        k = (j - where.effects) % endpoints
        return k, k + 1
    if j < where.lag:
        k = (j - where.stops) // 5
        return k, k + 1
    return 1, endpoints


@njit(cache=True, nogil=True)
def _amounts(p, s, where, first, last, amount):
    """Cumulative hazards behind the times into `amount`; returns minus the log terms that will change."""
    arm, risk, times = p.arm, s.risk, s.times
    rate, cumulative, edges = s.rate, s.cumulative, p.edges
    for k in range(max(first, 1), last):
        for i in range(arm.size):
            amount[k, i] = risk[k, i] * m.integral(times[k, i], k, arm[i], rate, cumulative, edges)
    if first == 0:
        return -_death_amounts(p, s, where, amount[0])
    return -_deaths_given(p, s, where) if first <= p.hastening < last else 0.0


@njit(cache=True, nogil=True)
def _times_again(p, s, where, first, last, amount):
    """Times from the kept random numbers under the new parameters; returns the log terms that changed."""
    arm, risk, times = p.arm, s.risk, s.times
    rate, cumulative, edges = s.rate, s.cumulative, p.edges
    for k in range(max(first, 1), last):
        for i in range(arm.size):
            times[k, i] = m.inverse(amount[k, i] / risk[k, i], k, arm[i], rate, cumulative, edges)
    if first == 0:
        return _deaths_again(p, s, where, amount[0])
    return _deaths_given(p, s, where) if first <= p.hastening < last else 0.0


# Arrays are taken out of the tuples before a loop: inside it every `s.times` would be counted anew.


@njit(cache=True, nogil=True)
def _deaths_given(p, s, where):
    """Log likelihood of all deaths, the times being what they are."""
    kind, arm, edges, hastening = p.end_kind, p.arm, p.edges, p.hastening
    times, risk, rate, cumulative = s.times, s.risk, s.rate, s.cumulative
    left, entry, recovered = s.left, s.entry, s.recovered
    last = p.cutoff + 1.0
    shift = s.theta[where.hastening]
    factor = math.exp(shift)
    total = 0.0
    for i in range(arm.size):
        dies = kind[i] == DIED or (kind[i] == LEFT and recovered[i])
        until = times[0, i] if dies else (left[i] if kind[i] == LEFT else last - entry[i])
        turn = times[hastening, i] if hastening >= 0 else math.inf
        total -= risk[0, i] * m.hastened_integral(until, turn, factor, arm[i], rate, cumulative, edges)
        if dies:
            total += math.log(rate[0, arm[i], m.piece_of(until, edges)] * risk[0, i])
            total += shift if turn < until else 0.0
    return total


@njit(cache=True, nogil=True)
def _death_amounts(p, s, where, amount):
    """The random number behind each death: a share of the chance to die by the cutoff, or an excess.

    Returns the log weight of all ends of follow-up that `_deaths_again` compares with.
    """
    kind, arm, edges, hastening = p.end_kind, p.arm, p.edges, p.hastening
    times, risk, rate, cumulative = s.times, s.risk, s.rate, s.cumulative
    left, entry, recovered = s.left, s.entry, s.recovered
    latest_death = p.latest_death
    last = p.cutoff + 1.0
    factor = math.exp(s.theta[where.hastening])
    total = 0.0
    for i in range(arm.size):
        turn = times[hastening, i] if hastening >= 0 else math.inf
        known = left[i] if kind[i] == LEFT else min(last - entry[i], latest_death[i])
        survived = risk[0, i] * m.hastened_integral(known, turn, factor, arm[i], rate, cumulative, edges)
        if kind[i] == ALIVE or (kind[i] == LEFT and not recovered[i]):
            total -= survived
            continue
        hazard = risk[0, i] * m.hastened_integral(times[0, i], turn, factor, arm[i], rate, cumulative, edges)
        if kind[i] == DIED:
            dies = -math.expm1(-survived)
            amount[i] = -math.expm1(-hazard) / dies
            total += math.log(dies) + m.stayed(p, s, where, i, times[0, i])
        else:
            amount[i] = hazard - survived
            total -= survived
    return total


@njit(cache=True, nogil=True)
def _deaths_again(p, s, where, amount):
    """Times of death from the kept random numbers under the new parameters; returns the new log weight."""
    kind, arm, edges, hastening = p.end_kind, p.arm, p.edges, p.hastening
    times, risk, rate, cumulative = s.times, s.risk, s.rate, s.cumulative
    left, entry, recovered = s.left, s.entry, s.recovered
    latest_death = p.latest_death
    last = p.cutoff + 1.0
    factor = math.exp(s.theta[where.hastening])
    total = 0.0
    for i in range(arm.size):
        turn = times[hastening, i] if hastening >= 0 else math.inf
        known = left[i] if kind[i] == LEFT else min(last - entry[i], latest_death[i])
        survived = risk[0, i] * m.hastened_integral(known, turn, factor, arm[i], rate, cumulative, edges)
        if kind[i] == ALIVE or (kind[i] == LEFT and not recovered[i]):
            total -= survived
            continue
        if kind[i] == DIED:
            dies = -math.expm1(-survived)
            hazard = -math.log1p(-min(amount[i], 1.0) * dies)
        else:
            hazard = survived + amount[i]
        time = m.hastened_inverse(hazard / risk[0, i], turn, factor, arm[i], rate, cumulative, edges)
        if kind[i] == DIED:
            times[0, i] = min(time, known)
            total += math.log(dies) + m.stayed(p, s, where, i, times[0, i])
        else:
            times[0, i] = time
            total -= survived
    return total


@njit(cache=True, nogil=True)
def _stop_amounts(p, s, where, k, amount):
    for i in range(p.arm.size):
        early, late = m.stop_rates(p, s, where, k, i)
        amount[i] = m.two_piece_integral(s.stop[k, i], early, late, p.edges[1])


@njit(cache=True, nogil=True)
def _stops_again(p, s, where, k, amount):
    for i in range(p.arm.size):
        early, late = m.stop_rates(p, s, where, k, i)
        s.stop[k, i] = m.two_piece_inverse(amount[i], early, late, p.edges[1])
