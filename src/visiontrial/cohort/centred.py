"""Centred moves: parameters change while all times of the patients stay as they are.

What is observed does not change, so the printed intervals play no part. Given the times, the
rows matter through a few sums only (events and risk-weighted time by piece and arm; counts and
times at rates that are constant), so that one pass over the rows serves many proposals.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from visiontrial.cohort import model as m
from visiontrial.cohort.moves import prior_ratio, refresh
from visiontrial.cohort.problem import ALIVE, LEFT, UNKNOWN_CONTACT

TARGET_ACCEPTANCE = 0.35


class Sums(NamedTuple):
    """Scratch: events and risk-weighted time by piece and arm, before and after death was hastened."""

    events: np.ndarray
    exposure: np.ndarray


def sums(pieces: int) -> Sums:
    """Room for the sums of one hazard: (2: before, after hastening) x (2 arms) x pieces."""
    return Sums(np.zeros((2, 2, pieces)), np.zeros((2, 2, pieces)))


@njit(cache=True, nogil=True)
def sweep(p, s, where, prior, typical, steps, counts, rng, scratch, adapt):
    """Propose every active parameter once, given all times."""
    for k in range(s.times.shape[0]):
        _hazard(p, s, where, prior, typical, k, steps, counts, rng, scratch, adapt)
        _effects(p, s, where, prior, k, steps, counts, rng, adapt)
        if k and p.stops[k]:
            _stops(p, s, where, prior, k, steps, counts, rng, adapt)
    _frailty(p, s, where, prior, typical, steps, counts, rng, adapt)
    _leaving(p, s, where, prior, steps, counts, rng, adapt)
    _contact(p, s, where, prior, steps, counts, rng, adapt)
    _recovery(p, s, where, prior, steps, counts, rng, adapt)
    _entry(p, s, where, prior, steps, counts, rng, adapt)


@njit(cache=True, nogil=True)
def _decide(log_ratio, j, steps, counts, rng, adapt):
    taken = log_ratio >= 0.0 or rng.random() < math.exp(log_ratio)
    counts[2, 0] += 1
    counts[2, 1] += taken
    if adapt:
        steps[j] *= math.exp(0.2 * (taken - TARGET_ACCEPTANCE))
    return taken


# --- hazards --------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _hazard(p, s, where, prior, typical, k, steps, counts, rng, scratch, adapt):
    """All parameters of the hazard of end point k; for death also what hastens it."""
    _sum_hazard(p, s, k, scratch)
    now = _hazard_likelihood(s, where, k, scratch)
    for j in range(k * where.block, (k + 1) * where.block):
        if prior.active[j]:
            now = _propose_hazard(p, s, where, prior, typical, k, j, now, steps, counts, rng, scratch, adapt)
    if k == 0 and prior.active[where.hastening]:
        _propose_hazard(
            p, s, where, prior, typical, 0, where.hastening, now, steps, counts, rng, scratch, adapt
        )


@njit(cache=True, nogil=True)
def _propose_hazard(p, s, where, prior, typical, k, j, now, steps, counts, rng, scratch, adapt):
    old = s.theta[j]
    s.theta[j] = old + steps[j] * rng.standard_normal()
    refresh(p, s, where, typical, j)
    new = _hazard_likelihood(s, where, k, scratch)
    if _decide(new - now + prior_ratio(prior, j, s.theta[j], old), j, steps, counts, rng, adapt):
        return new
    s.theta[j] = old
    refresh(p, s, where, typical, j)
    return now


@njit(cache=True, nogil=True)
def _sum_hazard(p, s, k, scratch):
    scratch.events[:] = 0.0
    scratch.exposure[:] = 0.0
    for i in range(p.arm.size):
        if k:
            until, happens, turn = s.times[k, i], True, math.inf
        else:
            until, happens = m.known_until(p, s, i)
            turn = m.hastened_at(p, s, i)
        _add_exposure(scratch.exposure, p.edges, p.arm[i], s.risk[k, i], until, turn)
        if happens:
            scratch.events[1 if turn < until else 0, p.arm[i], m.piece_of(until, p.edges)] += 1.0


@njit(cache=True, nogil=True)
def _add_exposure(exposure, edges, arm, risk, until, turn):
    for piece in range(edges.size):
        begin = edges[piece]
        if begin >= until:
            break
        end = until if piece + 1 == edges.size else min(until, edges[piece + 1])
        before = max(min(end, turn) - begin, 0.0)
        exposure[0, arm, piece] += risk * before
        exposure[1, arm, piece] += risk * (end - begin - before)


@njit(cache=True, nogil=True)
def _hazard_likelihood(s, where, k, scratch):
    """Log likelihood of end point k, up to terms without its parameters."""
    factor = math.exp(s.theta[where.hastening])
    total = s.theta[where.hastening] * scratch.events[1].sum()
    for arm in range(2):
        for piece in range(where.pieces):
            rate = s.rate[k, arm, piece]
            total += (scratch.events[0, arm, piece] + scratch.events[1, arm, piece]) * math.log(rate)
            total -= rate * (scratch.exposure[0, arm, piece] + factor * scratch.exposure[1, arm, piece])
    return total


# --- risks ----------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _amounts(p, s, where, k, amount, happens):
    """Cumulative hazard that each patient went through for end point k, and whether the event happened."""
    arm, edges, hastening = p.arm, p.edges, p.hastening
    times, risk, rate, cumulative = s.times, s.risk, s.rate, s.cumulative
    factor = math.exp(s.theta[where.hastening])
    for i in range(arm.size):
        if k:
            amount[i] = risk[k, i] * m.integral(times[k, i], k, arm[i], rate, cumulative, edges)
            happens[i] = True
        else:
            until, dies = m.known_until(p, s, i)
            turn = times[hastening, i] if hastening >= 0 else math.inf
            amount[i] = risk[0, i] * m.hastened_integral(until, turn, factor, arm[i], rate, cumulative, edges)
            happens[i] = dies


@njit(cache=True, nogil=True)
def _effects(p, s, where, prior, k, steps, counts, rng, adapt):
    labels, risk = s.labels, s.risk
    endpoints, n = s.times.shape
    amount, happens = np.zeros(n), np.zeros(n, np.bool_)
    _amounts(p, s, where, k, amount, happens)
    for f in range(labels.shape[1]):
        j = where.effects + f * endpoints + k
        happened, total = 0.0, 0.0
        for i in range(n):
            if labels[i, f]:
                total += amount[i]
                happened += happens[i]
        old = s.theta[j]
        change = steps[j] * rng.standard_normal()
        s.theta[j] = old + change
        log_ratio = change * happened - math.expm1(change) * total
        if _decide(log_ratio + prior_ratio(prior, j, s.theta[j], old), j, steps, counts, rng, adapt):
            for i in range(n):
                if labels[i, f]:
                    risk[k, i] *= math.exp(change)
                    amount[i] *= math.exp(change)
        else:
            s.theta[j] = old


@njit(cache=True, nogil=True)
def _frailty(p, s, where, prior, typical, steps, counts, rng, adapt):
    j = where.frailty
    if not prior.active[j]:
        return
    deviate = s.deviate
    old = s.theta[j]
    new = old + steps[j] * rng.standard_normal()
    change = abs(new) - abs(old)
    log_ratio = prior_ratio(prior, j, new, old)
    amount, happens = np.zeros(deviate.size), np.zeros(deviate.size, np.bool_)
    for k in range(s.times.shape[0]):
        _amounts(p, s, where, k, amount, happens)
        for i in range(deviate.size):
            shift = change * deviate[i]
            log_ratio += (shift if happens[i] else 0.0) - math.expm1(shift) * amount[i]
    if _decide(log_ratio, j, steps, counts, rng, adapt):
        s.theta[j] = new
        refresh(p, s, where, typical, j)


# --- rates that are constant by piece ---------------------------------------------------------


@njit(cache=True, nogil=True)
def _propose_rates(s, prior, j, counted, weight, steps, counts, rng, adapt):
    """One log rate with `counted` events over `weight` of time."""
    old = s.theta[j]
    new = old + steps[j] * rng.standard_normal()
    log_ratio = (new - old) * counted - (math.exp(new) - math.exp(old)) * weight
    if _decide(log_ratio + prior_ratio(prior, j, new, old), j, steps, counts, rng, adapt):
        s.theta[j] = new


@njit(cache=True, nogil=True)
def _stops(p, s, where, prior, k, steps, counts, rng, adapt):
    """Rates of stopping by arm, early and late, and the factor for those never treated."""
    border = p.edges[1]
    counted, time = np.zeros((2, 2, 2)), np.zeros((2, 2, 2))
    for i in range(p.arm.size):
        group, arm, stop = int(p.untreated[i]), p.arm[i], s.stop[k, i]
        counted[group, arm, 0 if stop < border else 1] += 1.0
        time[group, arm, 0] += min(stop, border)
        time[group, arm, 1] += max(stop - border, 0.0)
    begin = where.stops + 5 * k
    more = begin + 4
    for piece in range(2):
        for arm in range(2):
            weight = time[0, arm, piece] + math.exp(s.theta[more]) * time[1, arm, piece]
            happened = counted[0, arm, piece] + counted[1, arm, piece]
            _propose_rates(s, prior, begin + 2 * piece + arm, happened, weight, steps, counts, rng, adapt)
    if prior.active[more]:
        weight = 0.0
        for piece in range(2):
            for arm in range(2):
                weight += math.exp(s.theta[begin + 2 * piece + arm]) * time[1, arm, piece]
        _propose_rates(s, prior, more, counted[1].sum(), weight, steps, counts, rng, adapt)


@njit(cache=True, nogil=True)
def _leaving(p, s, where, prior, steps, counts, rng, adapt):
    """Rates of leaving the trial by cell, early and late."""
    border = p.edges[1]
    cells = (where.length - where.leaving) // 2
    counted, time = np.zeros((cells, 2)), np.zeros((cells, 2))
    for i in range(p.arm.size):
        kind = p.end_kind[i]
        if kind == LEFT:
            seen = s.left[i]
            counted[p.cell[i], 0 if seen < border else 1] += 1.0
        elif kind == ALIVE:
            seen = m.follow_up(p, s, i)
        else:
            seen = s.times[0, i]
        time[p.cell[i], 0] += min(seen, border)
        time[p.cell[i], 1] += max(seen - border, 0.0)
    for cell in range(cells):
        for piece in range(2):
            j = where.leaving + 2 * cell + piece
            _propose_rates(s, prior, j, counted[cell, piece], time[cell, piece], steps, counts, rng, adapt)


# --- the rest -------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _contact(p, s, where, prior, steps, counts, rng, adapt):
    for arm in range(2):
        j = where.lag + arm
        if prior.active[j]:
            before = _contact_likelihood(p, s, where, arm)
            old = s.theta[j]
            s.theta[j] = old + steps[j] * rng.standard_normal()
            change = _contact_likelihood(p, s, where, arm) - before
            if not _decide(change + prior_ratio(prior, j, s.theta[j], old), j, steps, counts, rng, adapt):
                s.theta[j] = old


@njit(cache=True, nogil=True)
def _contact_likelihood(p, s, where, arm):
    total = 0.0
    for i in range(p.arm.size):
        if p.arm[i] == arm and p.end_kind[i] == ALIVE and p.contact[i] == UNKNOWN_CONTACT:
            total += m.contact_log_likelihood(p, s, where, i)
    return total


@njit(cache=True, nogil=True)
def _recovery(p, s, where, prior, steps, counts, rng, adapt):
    j = where.recovery
    if not prior.active[j]:
        return
    known, unknown = 0.0, 0.0
    for i in range(p.arm.size):
        if p.end_kind[i] == LEFT and p.recoverable[i]:
            known += s.recovered[i]
            unknown += not s.recovered[i]
    old = s.theta[j]
    new = old + steps[j] * rng.standard_normal()
    log_ratio = known * (math.log1p(math.exp(-old)) - math.log1p(math.exp(-new)))
    log_ratio += unknown * (math.log1p(math.exp(old)) - math.log1p(math.exp(new)))
    if _decide(log_ratio + prior_ratio(prior, j, new, old), j, steps, counts, rng, adapt):
        s.theta[j] = new


@njit(cache=True, nogil=True)
def _entry(p, s, where, prior, steps, counts, rng, adapt):
    for period in range(where.leaving - where.ramp):
        j = where.ramp + period
        before = _entry_likelihood(p, s, where, period)
        old = s.theta[j]
        s.theta[j] = old + steps[j] * rng.standard_normal()
        change = _entry_likelihood(p, s, where, period) - before
        if not _decide(change + prior_ratio(prior, j, s.theta[j], old), j, steps, counts, rng, adapt):
            s.theta[j] = old


@njit(cache=True, nogil=True)
def _entry_likelihood(p, s, where, period):
    total = 0.0
    for i in range(p.arm.size):
        if p.period[i] == period:
            total += m.entry_log_likelihood(p, s, where, i)
    return total
