"""The one cohort that is shown: the medoid of an ensemble, with baseline characteristics, as ADSL and ADTTE.

Nobody picks it. The distance between two cohorts was defined before there was an ensemble: the
root mean square difference of their Kaplan-Meier curves on a monthly grid, over every end point
and population that the targets name, in each arm, all with the same weight. The medoid is the
member with the least sum of distances to the others; of equals the first.

It shows what the rows of a cohort look like. It is no estimate: whatever the paper does not
print must be read off the ensemble.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from visiontrial import files, paths
from visiontrial.cohort import characteristics, characteristics_file, parquet, quantities, store
from visiontrial.cohort.seeds import seed_of
from visiontrial.cohort.specification import DAYS_PER_MONTH, Factor, Trial, factor_column, population_flag
from visiontrial.cohort.verify import Analyses

MONTHS = np.arange(31)
"""The grid on which curves are compared. Beyond its last observation a curve keeps its last value."""

PURPOSE = "visiontrial: baseline characteristics of the displayed cohort"
FOLDER = paths.RECONSTRUCTION / "cohort"

PRINTED, ASSUMED, RECONSTRUCTED = "printed", "assumed", "reconstructed"


class DisplayedError(ValueError):
    """The displayed cohort cannot be made from this ensemble; the message says why."""


@dataclass(frozen=True)
class Displayed:
    """The displayed cohort. Its patients are synthetic.

    `adsl`: one row per patient, `adtte`: one per patient and end point, `dictionary`: one per
    variable. `member`: which member of the ensemble it is.
    """

    adsl: pd.DataFrame
    adtte: pd.DataFrame
    dictionary: pd.DataFrame
    member: int
    manifest: Mapping[str, Any]


def read(folder: Path = FOLDER) -> Displayed:
    """Read the displayed cohort; raises `StoreError` when a file is missing or altered."""
    contents = store.read_checked(folder, store.remedy("registry"))
    manifest = json.loads(contents[store.MANIFEST])
    dictionary = pd.read_csv(io.BytesIO(contents["dictionary.csv"]), keep_default_na=False)
    adsl, adtte = (parquet.from_bytes(contents[f"{name}.parquet"]) for name in ("adsl", "adtte"))
    return Displayed(adsl, adtte, dictionary, manifest["member"], manifest)


# --- which member ------------------------------------------------------------------------------


def curves(ensemble: store.Ensemble, trial: Trial) -> np.ndarray:
    """Kaplan-Meier estimates of each member: shape (members, curves, months of the grid)."""
    compared = [(*pair, arm.name) for pair in quantities.analyses_of(trial) for arm in trial.arms]
    members = (Analyses(trial, *ensemble.member(number)) for number in ensemble.members)
    return np.array([[_on_the_grid(m.curve(*which)) for which in compared] for m in members])


def _on_the_grid(curve) -> np.ndarray:
    return curve.survival[np.searchsorted(curve.days, MONTHS * DAYS_PER_MONTH, side="right") - 1]


def distances(estimates: np.ndarray) -> np.ndarray:
    """Root mean square differences between members: shape (members, members)."""
    flat = estimates.reshape(len(estimates), -1)
    return np.array([np.sqrt(np.mean((flat - member) ** 2, axis=1)) for member in flat])


def medoid(between: np.ndarray) -> int:
    """The member with the least sum of distances; the first of equals."""
    return int(np.argmin(between.sum(axis=1).round(12)))  # rounded: noise of summation decides nothing


# --- what is written -----------------------------------------------------------------------------


def make(
    ensemble: store.Ensemble,
    trial: Trial,
    described: characteristics_file.Characteristics | None,
    folder: Path = FOLDER,
) -> str:
    """Choose the medoid, give its patients their characteristics, write the folder; say what was done.

    Raises `DisplayedError` when a characteristic does not come out as printed or a variable has no
    entry in the dictionary; then nothing is written.
    """
    between = distances(curves(ensemble, trial))
    member = medoid(between)
    adsl, adtte = ensemble.member(member)
    if described is not None:
        adsl = characterized(adsl, trial, described, member)
    words = dictionary(trial, adsl, adtte, described)
    contents = {
        "adsl.csv": _csv(adsl),
        "adsl.parquet": parquet.to_bytes(adsl),
        "adtte.csv": _csv(adtte),
        "adtte.parquet": parquet.to_bytes(adtte),
        "dictionary.csv": _csv(words),
        "README.md": _readme(trial, ensemble, member).encode(),
    }
    manifest = {
        "content": "SYNTHETIC: one reconstructed cohort. No patient's data.",
        "trial": trial.name,
        "ensemble": ensemble.name,
        "member": member,
        "mean_distance": round(float(between[member].mean()), 6),
        "seeds": PURPOSE,
        "made_from": dict(ensemble.manifest["files"]),
    }
    store.write(folder, contents, manifest)
    return f"displayed cohort: member {member} of {ensemble.name}; stored in {files.shown(folder)}"


def characterized(
    adsl: pd.DataFrame, trial: Trial, described: characteristics_file.Characteristics, member: int
) -> pd.DataFrame:
    """The ADSL of any member with the whole baseline table, as printed in every set.

    The same member gets the same values each time. Raises `DisplayedError` when a printed baseline
    number does not come out.
    """
    generator = np.random.default_rng(seed_of(PURPOSE, trial.name, member))
    patients = characteristics.characterize(adsl, trial, described, generator)
    table = characteristics.tabulate(patients, trial, described)
    if not table["agrees"].all():
        wrong = table[~table["agrees"]].iloc[0]
        raise DisplayedError(
            f"{(~table['agrees']).sum()} baseline numbers of member {member} are not as printed, the first "
            f"{wrong['claim_id']}: {wrong['ours']} for {wrong['printed']}. Nothing was written: mend "
            "visiontrial.cohort.characteristics or characteristics.toml."
        )
    return patients


def _csv(rows: pd.DataFrame) -> bytes:
    return rows.to_csv(index=False, lineterminator="\n").encode("utf-8")


# --- the dictionary ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    """What the dictionary says of a variable. `codes`: a value -> its meaning, where there are few."""

    label: str
    source: str
    unit: str = ""
    codes: tuple[tuple[str, str], ...] = ()


def dictionary(
    trial: Trial,
    adsl: pd.DataFrame,
    adtte: pd.DataFrame,
    described: characteristics_file.Characteristics | None = None,
) -> pd.DataFrame:
    """One row per variable: `dataset, variable, label, type, unit, codes, source`.

    `source` is `printed` where the numbers of patients are the paper's (who they are is always
    reconstructed), `assumed` where they rest on a declared assumption, `reconstructed` where the
    search found the values. Raises `DisplayedError` for a variable without a meaning.
    """
    rows = [
        row
        for name, frame, entries in (
            ("ADSL", adsl, _adsl_entries(trial, described)),
            ("ADTTE", adtte, _adtte_entries(trial, adtte)),
        )
        for row in _described(name, frame, entries)
    ]
    return pd.DataFrame(rows, columns=["dataset", "variable", "label", "type", "unit", "codes", "source"])


def _described(name: str, frame: pd.DataFrame, entries: Mapping[str, _Entry]) -> Iterator[tuple[str, ...]]:
    for variable in frame.columns:
        if variable not in entries:
            raise DisplayedError(
                f"{name} has a variable {variable} of unknown meaning: describe it in {__name__}"
            )
        entry = entries[variable]
        codes = "; ".join(f"{value} = {meaning}" if meaning else value for value, meaning in entry.codes)
        kind = _type(frame[variable])
        yield f"{name} (SYNTHETIC)", variable, entry.label, kind, entry.unit, codes, entry.source


def _type(values: pd.Series) -> str:
    if pd.api.types.is_datetime64_dtype(values):
        return "date"
    if pd.api.types.is_integer_dtype(values):
        return "integer"
    return "decimal" if pd.api.types.is_float_dtype(values) else "text"


_YES_NO = (("Y", "yes"), ("N", "no"))


def _adsl_entries(trial: Trial, described: characteristics_file.Characteristics | None) -> dict[str, _Entry]:
    reference, other = (arm.label for arm in trial.arms)
    periods = tuple((p.name, f"randomized {p.first} to {p.last}") for p in trial.periods)
    states = tuple((state.label, "") for state in trial.end_states)
    entries = {
        "USUBJID": _Entry("Identifier of a synthetic patient", RECONSTRUCTED),
        "TRT01P": _Entry("Planned treatment", PRINTED, codes=((reference, ""), (other, ""))),
        "TRT01PN": _Entry("Planned treatment, number", PRINTED, codes=(("0", reference), ("1", other))),
        "PERIOD": _Entry("Period of randomization", PRINTED, codes=periods),
        "RANDDT": _Entry("Date of randomization", RECONSTRUCTED),
        "EOSSTT": _Entry("How follow-up stood at the data cutoff", PRINTED, codes=states),
        "UNTRTFL": _Entry("Never received the assigned treatment", PRINTED, codes=_YES_NO),
        "EOSDT": _Entry("Date the trial itself last knew of the patient", RECONSTRUCTED),
        "LSTALVDT": _Entry("Date last known alive", RECONSTRUCTED),
        "DTHDT": _Entry("Date of death, where known by the data cutoff", RECONSTRUCTED),
    }
    for population in trial.populations:
        label = f"Member of the population {population.replace('_', ' ')}"
        entries[population_flag(trial, population)] = _Entry(label, PRINTED, codes=_YES_NO)
    entries |= {factor_column(factor.name): _of_factor(factor) for factor in trial.factors}
    return entries | (_characteristics_entries(described) if described else {})


def _of_factor(factor: Factor) -> _Entry:
    levels = tuple((level, "") for level in factor.levels)
    return _Entry(f"Stratum: {factor.label}", ASSUMED if factor.counts is None else PRINTED, codes=levels)


def _characteristics_entries(described: characteristics_file.Characteristics) -> dict[str, _Entry]:
    entries = {
        c.column: _Entry(c.label, PRINTED, codes=tuple((level.value, "") for level in c.levels))
        for c in described.categories
    }
    entries |= {m.column: _Entry(m.label, PRINTED, unit=m.unit) for m in described.measures}
    if described.reasons_column:
        codes = tuple((reason.value, "") for reason in described.reasons)
        entries[described.reasons_column] = _Entry(described.reasons_label, PRINTED, codes=codes)
    return entries


def _adtte_entries(trial: Trial, adtte: pd.DataFrame) -> dict[str, _Entry]:
    endpoints = tuple((endpoint.paramcd, endpoint.label) for endpoint in trial.endpoints)
    reasons = tuple((reason, "") for reason in sorted(adtte["EVNTDESC"].unique()))
    return {
        "USUBJID": _Entry("Identifier of a synthetic patient", RECONSTRUCTED),
        "PARAMCD": _Entry("End point", PRINTED, codes=endpoints),
        "AVAL": _Entry(
            "Time to event or censoring; day 1 is the day of randomization", RECONSTRUCTED, "days"
        ),
        "CNSR": _Entry("Censored", RECONSTRUCTED, codes=(("0", "event"), ("1", "censored"))),
        "EVNTDESC": _Entry("Why the time ends", RECONSTRUCTED, codes=reasons),
        "ADT": _Entry("Date of event or censoring", RECONSTRUCTED),
    }


# --- the notice beside the rows --------------------------------------------------------------------


def _readme(trial: Trial, ensemble: store.Ensemble, member: int) -> str:
    number = len(ensemble.members)
    return f"""# SYNTHETIC patients of {trial.name}

These {trial.size} patients do not exist. A program made them so that they agree with every number that the
trial's report prints about its end points, its follow-up and its baseline table. That they agree proves only
that the printed numbers can be true together.

This is one cohort of many: member {member} of the ensemble `{ensemble.name}`, which has {number}.
It is the medoid, the member least far from all others by a distance defined beforehand
(`visiontrial.cohort.displayed`). Other cohorts agree with the report just as well and differ from this one.

- Take no result from these rows that the report does not print. Such a result is a range over the ensemble.
- Look for no subgroup, correlation or predictor: baseline characteristics were drawn without regard to each
  other and to outcome, except the stratification factors, whose effects on outcome are assumptions.
- Do not mix these rows with patients' data.

| file | content |
|---|---|
| `adsl.csv`, `adsl.parquet` | one row per synthetic patient |
| `adtte.csv`, `adtte.parquet` | one row per synthetic patient and end point |
| `dictionary.csv` | every variable: label, type, unit, codes, and where its values come from |
| `manifest.json` | what the files were made from, with their checksums |

Made by `make ensemble`. Do not edit: the checksums are compared when the files are read.
"""
