"""Frames as Parquet whose bytes depend on the values and the order of columns and rows only.

On disk a whole number is as narrow as its values allow and a date is a day. Reading gives
64 bits back, so that nobody's sum overflows.
"""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_INTEGERS = {pa.int8(): np.int8, pa.int16(): np.int16, pa.int32(): np.int32, pa.int64(): np.int64}


def to_bytes(rows: pd.DataFrame) -> bytes:
    """A frame as Parquet, without its index and without the libraries' own metadata.

    Integers become as narrow as they fit; timestamps and dates become days (`date32`).
    """
    table = pa.table({name: _narrow(rows[name]) for name in rows.columns})
    sink = io.BytesIO()
    pq.write_table(
        table, sink, compression="zstd", compression_level=19, write_statistics=False,
        row_group_size=max(len(rows), 1),
    )  # fmt: skip
    return sink.getvalue()


def _narrow(column: pd.Series) -> pa.Array:
    values = pa.array(column, from_pandas=True)
    if pa.types.is_timestamp(values.type):
        return values.cast(pa.date32())
    if pa.types.is_integer(values.type):
        return values.cast(next(kind for kind, limits in _INTEGERS.items() if _fits(column, limits)))
    return values


def _fits(column: pd.Series, kind: type[np.integer]) -> bool:
    limits = np.iinfo(kind)
    return column.empty or (limits.min <= column.min() and column.max() <= limits.max)


def from_bytes(content: bytes) -> pd.DataFrame:
    """The frame in `to_bytes`' bytes, with 64 bits a number and dates as `datetime64[s]`.

    Integers of which some are missing become pandas' `Int64`.
    """
    table = pq.read_table(io.BytesIO(content))
    rows = table.to_pandas(date_as_object=False, integer_object_nulls=True)
    wide = {name: _wide(table[name]) for name in table.column_names}
    return rows.astype({name: kind for name, kind in wide.items() if kind})


def _wide(column: pa.ChunkedArray) -> str | None:
    if pa.types.is_date(column.type):
        return "datetime64[s]"
    if pa.types.is_integer(column.type):
        return "Int64" if column.null_count else "int64"
    return "float64" if pa.types.is_floating(column.type) else None
