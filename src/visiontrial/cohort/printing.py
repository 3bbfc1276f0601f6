"""The statistics of complete rows as a paper prints them: few digits, and nothing where nothing is reached.

For trials whose truth is known, simulated (`cohort.simulate`) or real (`visiontrial.validation`):
what is printed here is all that the engine is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from visiontrial import printed, survival
from visiontrial.cohort.specification import DAYS_PER_MONTH, Arm, Statistic, Target

MONTHS, RATIOS, SHARES = 1, 2, 2
"""Decimals with which a paper prints times in months, ratios, and shares of patients."""


def efficacy(paramcd: str, population: str, arms: Sequence[Arm], data: survival.Outcomes) -> Iterator[Target]:
    """The medians of both arms, then the hazard ratio of the stratified Cox model with its 95% limits."""
    for number, arm in enumerate(arms):
        median = survival.kaplan_meier(data.of_arm(number)).median().median
        yield from target(paramcd, population, arm.name, "median", median / DAYS_PER_MONTH, MONTHS)
    fit = survival.cox(data)
    for statistic, value in (("hazard_ratio", fit.ratio), ("ci_low", fit.low), ("ci_high", fit.high)):
        yield from target(paramcd, population, "all", statistic, value, RATIOS)


def follow_up(
    paramcd: str, population: str, arms: Sequence[Arm], data: survival.Outcomes
) -> Iterator[Target]:
    """The median follow-up of both arms by the reverse Kaplan-Meier estimate."""
    for number, arm in enumerate(arms):
        median = survival.followup(data.of_arm(number)).median
        yield from target(paramcd, population, arm.name, "followup", median / DAYS_PER_MONTH, MONTHS)


def landmark(
    paramcd: str, population: str, arms: Sequence[Arm], data: survival.Outcomes, month: float
) -> Iterator[Target]:
    """The Kaplan-Meier estimate of both arms at a month, in whole percent."""
    for number, arm in enumerate(arms):
        share = survival.kaplan_meier(data.of_arm(number)).at(month * DAYS_PER_MONTH)
        yield from target(paramcd, population, arm.name, "survival", share, SHARES, at=month)


def target(
    paramcd: str,
    population: str,
    arm: str,
    statistic: Statistic,
    value: float,
    decimals: int,
    at: float | None = None,
) -> Iterator[Target]:
    """The printed statistic, if there is one to print: nothing where it is not reached or not defined."""
    if not math.isfinite(value):
        return
    text = printed.as_printed(value, decimals)
    rounding = printed.parse(text).interval(exact=False)
    yield Target(
        claim_id=f"{paramcd.lower()}.{statistic}.{arm}",
        paramcd=paramcd,
        population=population,
        arm=arm,
        statistic=statistic,
        printed=text,
        low=float(rounding.low),
        high=float(rounding.high),
        at=at,
    )
