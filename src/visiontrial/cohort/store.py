"""Ensembles of reconstructed patients on disk: small, checked, the same bytes on every machine.

An ensemble is a folder of files. `adsl.parquet` and `adtte.parquet` hold the rows of all
members (column `member`, from 0), `traces.parquet` the recorded sweeps of the chains behind
them, `chains.csv` one line per chain that was started, accepted or not, and `manifest.json`
what the rest was made from, with a SHA-256 of each file. Beside them lies what was computed of
the rows (`derived`).

What follows from other columns is left out (`ADT` is `RANDDT` + `AVAL` − 1); reading restores it.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from visiontrial import files, paths
from visiontrial.cohort import parquet

MANIFEST = "manifest.json"
_ONE_DAY = np.timedelta64(1, "D")


class StoreError(ValueError):
    """A stored ensemble is missing or is not what its manifest says; the message says what to do."""


@dataclass(frozen=True)
class Ensemble:
    """A stored ensemble of reconstructed cohorts. Its patients are synthetic.

    `adsl` has one row per member and patient, `adtte` one per member, patient and end point,
    `traces` one per member and recorded sweep, `chains` one per chain that was started, in the
    order of the chains; its column `member` is missing where the chain was not accepted.
    Days are whole, day 1 is the day of randomization; dates are `datetime64[s]`.
    """

    name: str
    adsl: pd.DataFrame
    adtte: pd.DataFrame
    chains: pd.DataFrame
    traces: pd.DataFrame
    manifest: Mapping[str, Any]

    @property
    def trial(self) -> str:
        """Name of the trial whose report the cohorts agree with."""
        return self.manifest["trial"]

    @property
    def members(self) -> range:
        """Numbers of the members."""
        return range(self.manifest["members"])

    def member(self, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """ADSL and ADTTE of one member, without the column `member`."""
        if number not in self.members:
            raise StoreError(f"{self.name} has no member {number}: there are 0 to {len(self.members) - 1}")
        return _of_member(self.adsl, number), _of_member(self.adtte, number)


def _of_member(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    first, last = np.searchsorted(rows["member"].to_numpy(), [number, number + 1])
    return rows.iloc[first:last].drop(columns="member").reset_index(drop=True)


def folder_of(name: str, trial: str = "vision") -> Path:
    """Where the ensemble of this name is stored."""
    return paths.RECONSTRUCTION / trial / "ensembles" / name


def remedy(name: str) -> str:
    """The command that makes the ensemble of this name."""
    return f"make ensemble OPTIONS='--only {name}'"


def read(name: str, folder: Path | None = None) -> Ensemble:
    """Read an ensemble, VISION's unless another folder is given; every file must have its recorded checksum.

    Raises `StoreError` when a file is missing or altered.
    """
    folder = folder or folder_of(name)
    contents = read_checked(folder, remedy(name))
    return decode(contents, json.loads(contents[MANIFEST]))


def write(folder: Path, contents: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write encoded tables and their manifest, the manifest last.

    An interruption between two files leaves a folder that `read` refuses, never one that it takes
    for whole.
    """
    for name, content in contents.items():
        files.write_bytes(folder / name, content)
    text = json.dumps({**manifest, "files": checksums(contents)}, indent=2, ensure_ascii=False)
    files.write_text(folder / MANIFEST, text + "\n")


def checksums(contents: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each content, by file name."""
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def read_checked(folder: Path, remedy: str) -> dict[str, bytes]:
    """The files that a folder's manifest lists, and the manifest itself, by name.

    `remedy` is the command that makes the folder anew. Raises `StoreError`, naming it, when a file
    is missing or has not its recorded checksum.
    """
    mend = f"Restore it from version control, or make it again: {remedy}"
    try:
        contents = {MANIFEST: (folder / MANIFEST).read_bytes()}
        recorded = json.loads(contents[MANIFEST])["files"]
        contents |= {name: (folder / name).read_bytes() for name in recorded}
    except OSError as error:
        raise StoreError(f"{error.filename} cannot be read. {mend}") from error
    except (ValueError, KeyError) as error:
        raise StoreError(f"{folder / MANIFEST} is no manifest of stored files. {mend}") from error
    found = checksums({name: contents[name] for name in recorded})
    for name, digest in found.items():
        if digest != recorded[name]:
            raise StoreError(
                f"{folder / name} is not the file that was stored "
                f"(SHA-256 {digest[:12]}…, recorded {recorded[name][:12]}…). {mend}"
            )
    return contents


def encode(
    cohorts: Iterable[tuple[pd.DataFrame, pd.DataFrame]], traces: Iterable[pd.DataFrame], chains: pd.DataFrame
) -> dict[str, bytes]:
    """The files of an ensemble from its members' rows, in the order of the members.

    Rows are ordered by member, then patient (in ADTTE by member, end point, patient), whatever
    order they come in.
    """
    adsl, adtte = zip(*cohorts, strict=True)
    patients = stack_members(adsl).sort_values(["member", "USUBJID"], kind="stable")
    times = stack_members(adtte).sort_values(["member", "PARAMCD", "USUBJID"], kind="stable")
    return {
        "adsl.parquet": parquet.to_bytes(patients),
        "adtte.parquet": parquet.to_bytes(_without_dates(times, patients)),
        "traces.parquet": parquet.to_bytes(stack_members(list(traces))),
        "chains.csv": chains.to_csv(index=False, lineterminator="\n").encode("utf-8"),
    }


def decode(contents: Mapping[str, bytes], manifest: Mapping[str, Any]) -> Ensemble:
    """The ensemble in encoded tables: the inverse of `encode`."""
    adsl = parquet.from_bytes(contents["adsl.parquet"])
    chains = pd.read_csv(io.BytesIO(contents["chains.csv"]))
    return Ensemble(
        name=manifest["ensemble"],
        adsl=adsl,
        adtte=_with_dates(parquet.from_bytes(contents["adtte.parquet"]), adsl),
        chains=chains.astype({"member": "Int64"}),
        traces=parquet.from_bytes(contents["traces.parquet"]),
        manifest=manifest,
    )


def stack_members(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The frames of all members one after the other, numbered from 0 in a first column `member`."""
    numbered = [frame.assign(member=number) for number, frame in enumerate(frames)]
    stacked = pd.concat(numbered, ignore_index=True)
    return stacked[["member", *stacked.columns.drop("member")]]


def _without_dates(adtte: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """ADTTE without the column that follows from the others, after a look that it does."""
    dates = pd.to_datetime(adtte["ADT"]).astype("datetime64[s]")
    short = adtte.drop(columns="ADT")
    wrong = dates.ne(_with_dates(short, adsl)["ADT"])
    if wrong.any():
        row = adtte[wrong].iloc[0]
        raise StoreError(
            f"member {row['member']}, {row['USUBJID']}, {row['PARAMCD']}: ADT {row['ADT']} is not "
            f"RANDDT + AVAL - 1 with AVAL {row['AVAL']}. The rows are wrong where they were made."
        )
    return short


def _with_dates(adtte: pd.DataFrame, adsl: pd.DataFrame) -> pd.DataFrame:
    """ADTTE with the date of each event or censoring: day 1 is the day of randomization."""
    patient = ["member", "USUBJID"]
    randomized = adtte[patient].merge(adsl[[*patient, "RANDDT"]], on=patient, how="left")["RANDDT"]
    dates = pd.to_datetime(randomized).to_numpy() + (adtte["AVAL"].to_numpy() - 1) * _ONE_DAY
    return adtte.assign(ADT=pd.Series(dates, index=adtte.index).astype("datetime64[s]"))
