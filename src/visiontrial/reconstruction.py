"""How the patients were rebuilt, and how far the rebuilding is fixed by what is printed.

What a chapter asks of the ensembles: the small trial that it rebuilds itself, the reconstruction
ranges and how they compare between ensembles, what the chains remember and which of them failed,
and the coverage on simulated trials. Everything here is about reconstructed patients.

A reconstruction range is the central 95% of a quantity over the members of an ensemble. It is no
confidence and no credible interval: it shows what the printed numbers leave open under the prior
and the search, and not what chance would do in another trial.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.stats import binom, mannwhitneyu
from statsmodels.stats.multitest import multipletests

from visiontrial.cohort import calibration, chain, diagnostics, model, problem, store, verify
from visiontrial.cohort.quantities import reconstruction_range
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import DAYS_PER_MONTH, Factor, Target, Trial, population_flag
from visiontrial.printed import as_printed, parse, prints_as

PURPOSE = "visiontrial: the small trial that a chapter rebuilds"
BRIEF = chain.Settings(hard_sweeps=30)
"""For a small trial that somebody is waiting for: a shorter hard phase than that of the stored ensembles."""

MEDIANS = frozenset({"median"})
ALPHA = 0.05
"""Of the tests that stand for "beyond chance" and for a rejected proportionality."""


# --- names --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Quantity:
    """A quantity of `cohort.quantities` by its parts; `arm` is empty where it compares the arms."""

    paramcd: str
    population: str
    kind: str
    arm: str = ""

    @classmethod
    def of(cls, name: str) -> Quantity:
        """`OS.all_randomized.survival_12.lu` in parts."""
        return cls(*name.split("."))


def names_of(paramcd: str, population: str, months: Iterable[int]) -> list[str]:
    """Quantities of one end point: events and survival at these months in both arms, then the comparisons."""
    kinds = ["events", *(f"survival_{month}" for month in months)]
    in_arms = [f"{kind}.{arm}" for arm in ("lu", "control") for kind in kinds]
    return [f"{paramcd}.{population}.{name}" for name in [*in_arms, "rmst_difference", "ph_slope"]]


# --- the small trial ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rebuilt:
    """What some chains made of one trial: a pair of ADSL and ADTTE per member, and how many failed."""

    trial: Trial
    members: tuple[tuple[pd.DataFrame, pd.DataFrame], ...]
    failed: int


def rebuild(trial: Trial, chains: int, settings: chain.Settings = BRIEF) -> Rebuilt:
    """Run so many independent chains of the engine on a trial, each with its seed; keep what is accepted.

    Raises `ValueError` when no chain is accepted.
    """
    if chains < 1:
        raise ValueError(f"{chains} chains make no cohort: ask for 1 or more")
    outcomes = [chain.reconstruct(trial, seed_of(PURPOSE, trial.name, n), settings) for n in range(chains)]
    members = tuple((o.adsl, o.adtte) for o in outcomes if o.accepted)
    if not members:
        missed = sorted({claim for o in outcomes for claim in str(o.facts["missed"]).split()})
        raise ValueError(
            f"{trial.name}: none of {chains} chains came to agree with {', '.join(missed)}: "
            "run more chains, or print less"
        )
    return Rebuilt(trial, members, chains - len(members))


def as_asked(trial: Trial, left_out: str, digits_dropped: int) -> Trial:
    """The trial as a reader asks for it: without one target (`none`: with all), with fewer digits printed.

    Raises `ValueError` for a target that the trial does not have, and for less than no digits.
    """
    known = [t.claim_id for t in targets_of(trial)]
    if left_out != "none" and left_out not in known:
        raise ValueError(
            f"left_out {left_out!r} is no target of {trial.name}: choose none, {', '.join(known)}"
        )
    if digits_dropped < 0:
        raise ValueError(
            f"digits_dropped is {digits_dropped}: a report cannot be made to print more; give 0 or more"
        )
    return coarser(trial.without(left_out), digits_dropped)


def unconditioned(trial: Trial) -> Trial:
    """The same trial with no printed statistic to agree with: its counts and dates alone are kept.

    The engine asks for a target, so it gets one that every cohort meets.
    """
    anything = Target(
        claim_id="anything",
        paramcd=trial.endpoints[0].paramcd,
        population=next(iter(trial.populations)),
        arm="all",
        statistic="time_to_cutoff",
        printed="",
        low=-math.inf,
        high=math.inf,
    )
    return replace(trial, targets=(anything,))


def only(trial: Trial, statistics: frozenset[str]) -> Trial:
    """The same trial with only those targets whose statistic is among `statistics`."""
    return replace(trial, targets=tuple(t for t in trial.targets if t.statistic in statistics))


def coarser(trial: Trial, digits: int) -> Trial:
    """The same trial as if its report had printed so many digits less behind the point.

    Only the printed number is known, so it is rounded again, half up. Numbers without digits
    behind the point and those with a sign (`<0.001`) stay.
    """
    return replace(trial, targets=tuple(_coarser(t, digits) for t in trial.targets))


def _coarser(target: Target, digits: int) -> Target:
    printed = parse(target.printed)
    if printed.sign or not printed.decimals or not digits:
        return target
    text = as_printed(printed.value, max(printed.decimals - digits, 0))
    interval = parse(text).interval(exact=False)
    return replace(target, printed=text, low=float(interval.low), high=float(interval.high))


def curves(rebuilt: Rebuilt, paramcd: str) -> pd.DataFrame:
    """Kaplan-Meier curves of one end point, every month: `member, arm, month, survival`.

    Months beyond a curve's last observation are left out.
    """
    trial = rebuilt.trial
    last = ((trial.cutoff - trial.periods[0].first).days + 1) / DAYS_PER_MONTH
    population = next(iter(trial.populations))
    rows = []
    for number, cohort in enumerate(rebuilt.members):
        analyses = verify.Analyses(trial, *cohort)
        for arm in trial.arms:
            curve = analyses.curve(paramcd, population, arm.name)
            rows += [
                (number, arm.name, month, curve.at(month * DAYS_PER_MONTH)) for month in range(int(last) + 1)
            ]
    return pd.DataFrame(rows, columns=["member", "arm", "month", "survival"]).dropna(ignore_index=True)


def recomputed(rebuilt: Rebuilt, trial: Trial) -> pd.DataFrame:
    """Every printed statistic of `trial` in each rebuilt cohort, whether it was held to it or not.

    By the independent verifier: one row per member, one column per claim, not rounded.
    """
    values = [verify.statistics(trial, *cohort).set_index("claim_id")["value"] for cohort in rebuilt.members]
    return pd.DataFrame(values).reset_index(drop=True)


def targets_met(statistics: pd.DataFrame, trial: Trial) -> pd.Series:
    """How many targets of `trial` each member agrees with; `statistics` as from `recomputed`."""
    met = [(statistics[t.claim_id] >= t.low) & (statistics[t.claim_id] < t.high) for t in targets_of(trial)]
    return pd.concat(met, axis=1).sum(axis=1)


# --- the prior ----------------------------------------------------------------------------------------


def priors(trial: Trial) -> pd.DataFrame:
    """The normal prior of every kind of parameter (the index): `scale, mean, sd`, as the engine uses it.

    Levels are given for every end point, and so are the shares of factors for which no count is
    known; a share is drawn once for a chain, again where it is not under its bound. What is no
    parameter of this kind is in `held`.
    """
    where = model.layout(trial, len(problem.PIECES))
    prior = model.prior(trial, where, single_shape=False)
    ratio = model.WALK + where.pieces
    places = {
        **{
            f"level of the hazard, {endpoint.paramcd}": ("log, per day", k * where.block + model.LEVEL)
            for k, endpoint in enumerate(trial.endpoints)
        },
        "trend of a hazard": ("per unit of log time", model.SLOPE),
        "steps of its random walk": ("log, size", model.WALK),
        "first log hazard ratio": ("log", ratio),
        "steps of its own random walk": ("log, size", ratio + 1),
        "spread of the frailty": ("log, size", where.frailty),
        "hastening of death after the event": ("log hazard ratio", where.hastening),
        **{
            f"effect of {factor.label}": ("log hazard ratio", where.effects + n * len(trial.endpoints))
            for n, factor in enumerate(trial.factors)
        },
        "rate at which assessment stops": ("log, per day", where.stops),
        "the same in those never treated": ("log rate ratio", where.stops + 4),
        "last contact before the cutoff": ("log days", where.lag),
        "vital status recovered": ("log odds", where.recovery),
        "shift of a visit from its day": ("log days", where.jitter),
        "rise of recruitment over a period": ("inverse hyperbolic tangent", where.ramp),
        "rate at which patients leave": ("log, per day", where.leaving),
    }
    rows = [(name, scale, prior.mean[j], prior.sd[j]) for name, (scale, j) in places.items()]
    rows += [
        (f"share of {f.label}", f"log odds{_bound(f)}", f.share.mean, f.share.sd)
        for f in trial.factors
        if f.share is not None
    ]
    return pd.DataFrame(rows, columns=["parameter", "scale", "mean", "sd"]).round(2).set_index("parameter")


def _bound(factor: Factor) -> str:
    return f"; share below {factor.share_below:g}" if factor.share_below < 1 else ""


def held(trial: Trial) -> pd.DataFrame:
    """What the engine assumes besides `priors` (the index), told by the trial or built in: `value`."""
    even = f"{1 / len(trial.late_deaths):.2g}"
    rows = {f"prior weight of the rule: {rule_words(rule)}": even for rule in trial.late_deaths}
    if trial.untreated is not None:
        rows |= {
            "never treated: weight of one who left, against 1": f"{untreated_weight(trial):g}",
            "never treated and died: by day": f"{trial.untreated_death_within:g}",
        }
    for state in trial.end_states:
        if state.contact is not None:
            rows[f"days from last contact to cutoff, {state.label.lower()}: even"] = f"0 to {state.contact:g}"
    for endpoint in trial.endpoints:
        if endpoint.stop is not None and len(endpoint.stop.reasons) > 1:
            for reason, share in endpoint.stop.reasons.items():
                words = f"why assessment stopped, {endpoint.paramcd} (touches no time): {reason.lower()}"
                rows[words] = f"{share:g}"
    return pd.DataFrame({"value": rows}).rename_axis("assumption")


def rule_words(rule: float | str) -> str:
    """A rule for late deaths as the specification has it, in words: `count`, or days."""
    return (
        "every death counts"
        if rule == "count"
        else f"deaths count within {rule:g} days of the last assessment"
    )


class _AskedForWeights:
    """Stands in for the generator where the engine draws who was never treated: keeps the weights."""

    def __init__(self) -> None:
        self.weights: list[np.ndarray] = []

    def choice(self, rows, size, replace, p=None):
        self.weights += [] if p is None else [p]
        return rows[:size]


def untreated_weight(trial: Trial) -> float:
    """How much likelier the engine takes one who left the trial to be never treated than one who stayed.

    The weights are the engine's: they are asked of the very function that draws with them.
    """
    fixed, state = problem.compile_trial(trial, np.random.default_rng(0))
    asked = _AskedForWeights()
    problem._untreated(trial, fixed.cell, state, asked)
    weights = asked.weights[0]
    return float(weights.max() / weights[weights > 0].min())


# --- targets ------------------------------------------------------------------------------------------


def targets_of(trial: Trial) -> list[Target]:
    """What the search is held to."""
    return [target for target in trial.targets if target.role == "target"]


def places(statistics: pd.DataFrame, trial: Trial) -> pd.DataFrame:
    """Where each member's value lies in the rounding interval of its target: 0 its lower end, 1 its upper.

    `statistics`: one row per member, one column per claim. Returns the same shape for the targets.
    """
    return pd.DataFrame(
        {t.claim_id: (statistics[t.claim_id] - t.low) / (t.high - t.low) for t in targets_of(trial)}
    )


# --- ranges -------------------------------------------------------------------------------------------


def ranges(quantities: pd.DataFrame) -> pd.DataFrame:
    """The reconstruction range of every quantity: `low, high, lowest, highest, members, undefined`.

    `quantities`: one row per member, one column per quantity, NaN where a cohort does not define it.
    """
    found = {name: reconstruction_range(values) for name, values in quantities.items()}
    columns = ["low", "high", "lowest", "highest", "members", "undefined"]
    return pd.DataFrame({n: [getattr(r, c) for c in columns] for n, r in found.items()}, index=columns).T


def stability(quantities: pd.DataFrame, dropped: int = 10) -> pd.Series:
    """How far the range of each quantity can move when any `dropped` members are left out.

    In shares of its width, the worst over all choices (`diagnostics.stability`).
    """
    return pd.Series(
        {name: diagnostics.stability(values.dropna(), dropped) for name, values in quantities.items()}
    )


def rejecting(quantities: pd.DataFrame) -> pd.Series:
    """The share of members in which the test of proportional hazards has P < 0.05, by end point and set."""
    p_values = quantities[[name for name in quantities if Quantity.of(name).kind == "ph_p"]]
    shares = (p_values < ALPHA).mean()
    return shares.set_axis([name.removesuffix(".ph_p") for name in shares.index])


OF_STRATA = frozenset({"hazard_ratio_unstratified", "log_rank_chi_square", "ph_p", "ph_slope"})
"""Kinds of quantities that rest on a model with strata or, without, are a target where there are none."""


def without_strata(quantities: pd.DataFrame) -> pd.DataFrame:
    """The quantities that mean the same whatever the strata are."""
    return quantities[[name for name in quantities if Quantity.of(name).kind not in OF_STRATA]]


def unstratified_prints(quantities: pd.DataFrame, trial: Trial) -> pd.Series:
    """The share of members whose unstratified hazard ratio prints like the printed one, by its claim."""
    shares = {}
    for target in targets_of(trial):
        if target.statistic == "hazard_ratio":
            ours = quantities[f"{target.paramcd}.{target.population}.hazard_ratio_unstratified"]
            shares[target.claim_id] = np.mean([prints_as(value, target.printed) for value in ours])
    return pd.Series(shares)


def own_events(ensemble: store.Ensemble, trial: Trial, paramcd: str, population: str) -> pd.Series:
    """By member, the share of an end point's events that are its own event (progression) and not death."""
    (event,) = (e.event for e in trial.endpoints if e.paramcd == paramcd)
    flag = population_flag(trial, population)
    events = ensemble.adtte[(ensemble.adtte["PARAMCD"] == paramcd) & (ensemble.adtte["CNSR"] == 0)]
    patient = ["member", "USUBJID"]
    inside = ensemble.adsl.loc[ensemble.adsl[flag] == "Y", patient]
    chosen = events[[*patient, "EVNTDESC"]].merge(inside, on=patient)
    return (chosen["EVNTDESC"] == event).groupby(chosen["member"]).mean()


# --- one ensemble against another ---------------------------------------------------------------------


def against(quantities: pd.DataFrame, reference: pd.DataFrame) -> pd.DataFrame:
    """Every quantity of an ensemble beside that of a reference ensemble, member for member.

    Ranges of few members are narrower than ranges of many, whatever they are of. So the
    reference is cut into consecutive blocks of as many members as the ensemble has, and
    `reference_low`, `reference_high` are means over its blocks. Infinite values, limits that
    are not reached, are left out.

    column                      content
    low, high                   range of the ensemble
    reference_low, _high        range of as many members of the reference
    width                       width of the first over width of the second
    shift                       difference of the medians, in widths of the second
    p                           Mann-Whitney test that the members do not differ, two-sided, Holm over all

    Members are independent, so the test is in order; it is about the ensembles, not about patients.
    Source: Mann and Whitney 1947, doi 10.1214/aoms/1177730491; Holm 1979.
    """
    names = [name for name in quantities if name in reference]
    table = pd.DataFrame({name: _against(quantities[name], reference[name]) for name in names}).T
    table["p"] = multipletests(table["p"], method="holm")[1]
    return table


def _against(values: pd.Series, reference: pd.Series) -> dict[str, float]:
    ours, theirs = (v[np.isfinite(v)].to_numpy() for v in (values, reference))
    blocks = [reconstruction_range(theirs[b : b + len(ours)]) for b in _block_starts(len(theirs), len(ours))]
    mine = reconstruction_range(ours)
    low, high = (float(np.mean([getattr(block, end) for block in blocks])) for end in ("low", "high"))
    width = high - low
    return {
        "low": mine.low,
        "high": mine.high,
        "reference_low": low,
        "reference_high": high,
        "width": (mine.high - mine.low) / width if width else math.nan,
        "shift": (np.median(ours) - np.median(theirs)) / width if width else math.nan,
        "p": mannwhitneyu(ours, theirs, alternative="two-sided").pvalue,
    }


def _block_starts(size: int, block: int) -> range:
    """Where the whole blocks begin; the reference itself where it has not even one."""
    return range(0, max(size - block, 0) + 1, block)


# --- chains -------------------------------------------------------------------------------------------


def fates(chains: pd.DataFrame) -> pd.DataFrame:
    """Accepted and failed chains by the rule for late deaths under which they ended, with their sum."""
    table = pd.crosstab(chains["late_deaths"], chains["accepted"].map({True: "accepted", False: "failed"}))
    table = table.reindex(columns=["accepted", "failed"], fill_value=0)
    return table.assign(all=table.sum(axis=1))


def by_rule(quantities: pd.DataFrame, chains: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The members' quantities, parted by the rule for late deaths that each of them follows."""
    rule = rule_of_members(chains)
    return {str(name): quantities.loc[members.index] for name, members in rule.groupby(rule)}


def rule_of_members(chains: pd.DataFrame) -> pd.Series:
    """The rule for late deaths that each member follows, by its number."""
    rule = chains.dropna(subset="member").set_index("member")["late_deaths"]
    return rule.set_axis(rule.index.astype(int))


def common_rule(parted: Mapping[str, Mapping[str, pd.DataFrame]]) -> str:
    """The rule for late deaths that has most members in the ensemble that has fewest of them.

    `parted`: the members of several ensembles by rule (`by_rule`). Raises `ValueError` where no rule
    has members in all of them.
    """
    shared = set.intersection(*(set(rules) for rules in parted.values()))
    if not shared:
        raise ValueError(f"no rule for late deaths has members in all of {', '.join(parted)}")
    fewest = {rule: min(len(rules[rule]) for rules in parted.values()) for rule in shared}
    return max(sorted(fewest), key=fewest.get)


# --- calibration --------------------------------------------------------------------------------------


def of_families(summary: pd.DataFrame, half: str) -> pd.DataFrame:
    """Mean share of covered quantities per family of simulated trials and over all, with t limits."""
    return summary[(summary["half"] == half) & (summary["quantity"] == "all")].reset_index(drop=True)


def of_quantities(summary: pd.DataFrame, half: str) -> pd.DataFrame:
    """Coverage of each quantity over all families, with exact limits; `differs`: without the nominal one."""
    rows = summary[(summary["half"] == half) & (summary["family"] == "all") & (summary["quantity"] != "all")]
    outside = (rows["coverage_low"] > rows["nominal"]) | (rows["coverage_high"] < rows["nominal"])
    return rows.assign(differs=outside).reset_index(drop=True)


def outside_by_chance(quantities: pd.DataFrame) -> float:
    """How many intervals of a coverage would leave the nominal one out if that were the true one.

    `quantities`: `of_quantities(...)`. Over all possible counts of covered trials, with their binomial
    probabilities: exact intervals leave it out more seldom than their level says.
    """
    return sum(_outside_by_chance(int(row.trials), row.nominal) for row in quantities.itertuples())


@functools.cache
def _outside_by_chance(trials: int, nominal: float) -> float:
    covered = np.arange(trials + 1)
    low, high = np.array([calibration.clopper_pearson(count, trials) for count in covered]).T
    outside = (low > nominal) | (high < nominal)
    return float(binom.pmf(covered, trials, nominal)[outside].sum())


def untied(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Coverage of each quantity, a truth equal to an outermost member counted for its share only.

    `comparisons`: those of one half. `untied`: the share of truths inside when ties are broken at random
    (in the mean over all ways to break them); `tied`: the share of truths equal to some member.
    """
    used = comparisons[comparisons["covered"].notna()]
    lowest = (used["below"] == 0) / (used["equal"] + 1)
    highest = (used["below"] + used["equal"] == used["members"]) / (used["equal"] + 1)
    inside = used.assign(untied=1 - lowest - highest, tied=used["equal"] > 0)
    return inside.groupby(calibration.KEYS, sort=False)[["untied", "tied"]].mean().astype(float).reset_index()


def failures(chains: pd.DataFrame, half: str) -> pd.DataFrame:
    """Chains and failed chains of one half of the calibration, by family."""
    accepted = chains[chains["half"] == half].groupby("family", sort=False)["accepted"]
    return pd.DataFrame({"chains": accepted.size(), "failed": accepted.size() - accepted.sum()})
