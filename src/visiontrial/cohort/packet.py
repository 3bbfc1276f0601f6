"""What one chain came to, as the bytes of one file: it travels from a worker and waits on disk.

A packet is an uncompressed zip without dates: a summary in JSON and the tables as Parquet.
Nothing in it can execute.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from visiontrial.cohort import parquet

_SUMMARY = "summary.json"
_SUFFIX = ".parquet"


class Outcome(Protocol):
    """What a chain came to: the rows of a cohort if it was accepted, its trace, its facts."""

    accepted: bool
    adsl: pd.DataFrame | None
    adtte: pd.DataFrame | None
    trace: pd.DataFrame
    facts: Mapping[str, int | float | str]


@dataclass(frozen=True)
class Unpacked:
    """An `Outcome` read from a packet."""

    accepted: bool
    adsl: pd.DataFrame | None
    adtte: pd.DataFrame | None
    trace: pd.DataFrame
    facts: Mapping[str, int | float | str]


def pack(outcome: Outcome) -> bytes:
    """An outcome as bytes; equal outcomes give equal bytes. Traces keep seven digits (`float32`)."""
    trace = outcome.trace.astype(dict.fromkeys(outcome.trace.select_dtypes("floating"), np.float32))
    facts = {name: _plain(value) for name, value in outcome.facts.items()}
    tables = {"trace": trace}
    if outcome.accepted:
        tables |= {"adsl": outcome.adsl, "adtte": outcome.adtte}
    parts = {_SUMMARY: json.dumps({"accepted": bool(outcome.accepted), "facts": facts}).encode()}
    parts |= {name + _SUFFIX: parquet.to_bytes(table) for name, table in tables.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)  # `ZipInfo` alone carries a fixed date
    return buffer.getvalue()


def unpack(content: bytes) -> Unpacked:
    """The outcome in `pack`'s bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        summary = json.loads(archive.read(_SUMMARY))
        names = [name for name in archive.namelist() if name.endswith(_SUFFIX)]
        tables = {name.removesuffix(_SUFFIX): parquet.from_bytes(archive.read(name)) for name in names}
    return Unpacked(
        summary["accepted"], tables.get("adsl"), tables.get("adtte"), tables["trace"], summary["facts"]
    )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
