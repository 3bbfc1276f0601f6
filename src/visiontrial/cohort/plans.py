"""Which ensembles are made of a trial: `ensembles.toml` in its folder, one table `[[ensembles]]` each.

key             content
name            of the ensemble, its folder and its seeds: letters, digits and hyphens
chains          chains that are run
at_least        chains that must be accepted
single_shape    true for Weibull hazards with a constant hazard ratio and no frailty; optional
stratified_by   names of the factors by which the analyses are stratified; left out, as the trial has them
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from visiontrial.cohort.keys import Keys
from visiontrial.cohort.references import References, SpecificationError

FILE = "ensembles.toml"
_NAME = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True)
class Plan:
    """One ensemble: how many chains are run, how many must be accepted, and what is assumed.

    `settings` are handed to the engine. `stratified_by` names the factors of the stratified
    analyses, `None` leaves them as the trial has them.
    """

    name: str
    chains: int
    at_least: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    stratified_by: tuple[str, ...] | None = None


def read_plans(folder: Path) -> tuple[Plan, ...]:
    """The plans of the trial specified in a folder, in their order.

    Raises `SpecificationError`, naming file, key, value and remedy. Whether the factors exist is for
    the trial to say (`Trial.stratified_by`).
    """
    path = folder / FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecificationError(f"{path}: the file is missing: it says which ensembles to make") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecificationError(f"{path}: not readable as TOML: {error}") from error
    keys = Keys(values, f"{path}: ", References({}))
    keys.only("ensembles")
    plans = tuple(_plan(table) for table in keys.tables("ensembles"))
    names = [plan.name for plan in plans]
    if not names or len(set(names)) < len(names):
        raise keys.error("ensembles", f"{names}: write one table or more, each with a name of its own")
    return plans


def _plan(keys: Keys) -> Plan:
    keys.only("name", "chains", "at_least", "single_shape", "stratified_by")
    name = keys.text("name")
    if not _NAME.fullmatch(name):
        raise keys.error("name", f"{name!r} is no name: use lower-case letters, digits and hyphens")
    chains, at_least = keys.count("chains"), keys.count("at_least")
    if not 1 <= at_least <= chains:
        raise keys.error("at_least", f"{at_least} of {chains} chains: it must be from 1 to the chains")
    return Plan(
        name,
        chains,
        at_least,
        {"single_shape": True} if keys.flag("single_shape") else {},
        _factors(keys) if "stratified_by" in keys else None,
    )


def _factors(keys: Keys) -> tuple[str, ...]:
    """The names; an empty list is an unstratified analysis."""
    return keys.texts("stratified_by") if keys.raw("stratified_by") != [] else ()
