"""An engine that takes no thought: rows drawn at random, the same for the same seed.

It lives in a module of its own so that worker processes can import it.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from visiontrial.cohort.ensemble import Engine
from visiontrial.cohort.specification import Arm, Endpoint, EndState, Factor, Normal, Period, Target, Trial

PATIENTS = 40
ENDPOINTS = ("OS", "PFS")
FIRST_DAY, CUTOFF = np.datetime64("2018-06-04", "s"), date(2021, 1, 27)
FAILS = 5
"""One chain in so many is not accepted, on average."""


@dataclass(frozen=True)
class Settings:
    """`seconds` a chain takes; the first worker that finds no file `suicide` makes it and dies."""

    single_shape: bool = False
    seconds: float = 0.0
    suicide: str = ""


@dataclass(frozen=True)
class Reconstruction:
    accepted: bool
    adsl: pd.DataFrame | None
    adtte: pd.DataFrame | None
    trace: pd.DataFrame
    facts: dict[str, Any] = field(default_factory=dict)


class Rejected(ValueError):
    """The pretended verifier's objection."""


def drawn(adsl: pd.DataFrame, adtte: pd.DataFrame) -> Reconstruction:
    """These rows, accepted."""
    return Reconstruction(True, adsl, adtte, pd.DataFrame({"sweep": [0]}), {"missed": ""})


def fail(trial: Trial, seed: int, settings: Any) -> Reconstruction:
    """Never accepted."""
    return Reconstruction(False, None, None, pd.DataFrame({"sweep": [0]}), {"missed": "os.hr"})


@dataclass(frozen=True)
class DrawAnother:
    """Another draw in the place of a reconstruction, whatever the trial; one seed in four fails.

    `draw(seed)` gives what has `adsl` and `adtte`; `seeds` are those of the chains that were run.
    """

    draw: Callable[[int], Any]
    seeds: list[int] = field(default_factory=list)

    def __call__(self, trial: Trial, seed: int, settings: Any) -> Reconstruction:
        self.seeds.append(seed)
        if seed % 4 == 0:
            return fail(trial, seed, settings)
        truth = self.draw(seed)
        return drawn(truth.adsl, truth.adtte)


def trial() -> Trial:
    """A trial of two arms and one period, with one target per end point and arm."""
    arms = (Arm("control", "Control"), Arm("new", "New treatment"))
    sizes = {(arm.name, "all"): PATIENTS // 2 for arm in arms}
    return Trial(
        name="PRETENCE",
        arms=arms,
        periods=(Period("all", date(2018, 6, 4), date(2019, 10, 23)),),
        populations={"all_randomized": ("all",)},
        cutoff=CUTOFF,
        randomized=sizes,
        end_states=(EndState("died", "Died", "died", sizes),),
        endpoints=tuple(Endpoint(code, code, "Death", 10) for code in ENDPOINTS),
        targets=tuple(
            Target(f"{code}.{arm.name}".lower(), code, "all_randomized", arm.name, "median", "10", 9.5, 10.5)
            for code in ENDPOINTS
            for arm in arms
        ),
        factors=(Factor("ldh", "LDH", ("low", "high"), Normal(0, 1), share=Normal(0, 1)),),
    )


def reconstruct(trial: Trial, seed: int, settings: Settings) -> Reconstruction:
    """Random rows of the agreed columns, a function of the seed."""
    time.sleep(settings.seconds)
    _die_once(settings.suicide)
    random = np.random.default_rng(seed)
    accepted = bool(random.integers(FAILS))
    trace = pd.DataFrame({"events": random.integers(9, 20, 3), "ratio": random.random(3)})
    facts = {"sweeps": random.integers(100), "late_deaths": "count", "acceptance": float(random.random())}
    if not accepted:
        return Reconstruction(False, None, None, trace, facts | {"failure": "did not thaw"})
    adsl = _patients(trial, random)
    return Reconstruction(True, adsl, _times(adsl, random), trace, facts)


def _die_once(name: str) -> None:
    if name and not Path(name).exists():
        Path(name).touch()
        os.kill(os.getpid(), signal.SIGKILL)


def _patients(trial: Trial, random: np.random.Generator) -> pd.DataFrame:
    number = np.arange(PATIENTS)
    arm = number % 2
    randomized = FIRST_DAY + random.integers(0, 500, PATIENTS).astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "USUBJID": [f"SYNTHETIC-{i + 1:04d}" for i in number],
            "TRT01P": [trial.arms[i].label for i in arm],
            "TRT01PN": arm,
            "PERIOD": "all",
            "ITTFL": "Y",
            "RANDDT": randomized,
            "STRLDH": random.choice(["low", "high"], PATIENTS),
            "EOSSTT": "Died",
            "UNTRTFL": "N",
            "LSTALVDT": randomized + np.timedelta64(99, "D"),
            "DTHDT": pd.Series(randomized + np.timedelta64(99, "D")).where(random.random(PATIENTS) < 0.5),
        }
    )


def _times(adsl: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    rows = pd.concat([adsl[["USUBJID", "RANDDT"]].assign(PARAMCD=code) for code in ENDPOINTS])
    days = random.integers(1, 800, len(rows))
    censored = random.integers(0, 2, len(rows))
    return pd.DataFrame(
        {
            "USUBJID": rows["USUBJID"],
            "PARAMCD": rows["PARAMCD"],
            "AVAL": days,
            "CNSR": censored,
            "EVNTDESC": np.where(censored, "Data cutoff", "Death"),
            "ADT": rows["RANDDT"] + pd.to_timedelta(days - 1, unit="D"),
        }
    )


def verify(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> None:
    """Agree with every cohort of the right size."""
    if len(adsl) != trial.size or len(adtte) != trial.size * len(trial.endpoints):
        raise Rejected(f"{len(adsl)} patients, {len(adtte)} times")


def accept(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> None:
    """Agree with every cohort."""


def reject(trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> None:
    """Object to every cohort."""
    raise Rejected("os.hr is 0.70, printed 0.62")


def describe(verifier, trial: Trial, adsl: pd.DataFrame, adtte: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The number of events, once the verifier agrees."""
    verifier(trial, adsl, adtte)
    return {"events": pd.DataFrame({"events": [(adtte["CNSR"] == 0).sum()]})}


def engine(verifier=verify, **settings: Any) -> Engine:
    """The pretended engine, with these settings for every plan."""
    describer = functools.partial(describe, verifier)
    return Engine(reconstruct, functools.partial(Settings, **settings), verifier, Rejected, describer)


def engine_of(reconstruct, verifier=accept) -> Engine:
    """An engine without settings that reconstructs and judges like this."""
    return Engine(reconstruct, dict, verifier, Rejected, verifier)
