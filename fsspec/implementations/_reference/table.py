"""Tables of references in parquet: reading and writing one.

A table has the columns ``path``, ``offset``, ``size`` and ``raw``, and a row for each
chunk, whether there is a reference or not.  A row with bytes in ``raw`` is the contents
themselves; one with neither is not a reference; one whose offset and size are 0 is all of a
file.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass
from typing import IO, Any

from fsspec.implementations._reference.parsing import Part, literal, parsed

_COLUMNS = ("path", "offset", "size", "raw")


@dataclass
class Table:
    """Rows of references, as columns."""

    path: MutableSequence[Any]
    offset: MutableSequence[Any]
    size: MutableSequence[Any]
    raw: MutableSequence[Any]

    def __len__(self) -> int:
        return len(self.path)

    def reference(self, row: int) -> bytes | str | list[Any] | None:
        """The reference of a row; None if there is none."""
        if row >= len(self.path):
            return None
        raw = self.raw[row]
        if isinstance(raw, (bytes, str)):
            return raw
        path = self.path[row]
        if not isinstance(path, str) or not path:  # a missing value has many forms
            return None
        offset, size = int(self.offset[row]), int(self.size[row])
        return [path, offset, size] if offset or size else [path]

    def changed(self, rows: int, values: Mapping[int, Any]) -> Table:
        """A copy with this many rows, and references in some of them replaced; None for none."""
        lack = rows - len(self)
        made = Table(
            [*self.path, *[None] * lack],
            [*self.offset, *[0] * lack],
            [*self.size, *[0] * lack],
            [*self.raw, *[None] * lack],
        )
        for row, value in values.items():
            reference = None if value is None else parsed(str(row), value, None)
            made.path[row], made.offset[row], made.size[row], made.raw[row] = _row(reference)
        return made

    @classmethod
    def read(cls, blob: bytes, engine: str) -> Table:
        """The table that parquet bytes hold. Raises ValueError if they hold no such table; the engine has its
        own errors for what is no parquet."""
        columns = _ENGINES[_installed(engine)][0](blob)
        lacking = [name for name in _COLUMNS if name not in columns]
        if lacking:
            raise ValueError(f"it has no column {', '.join(lacking)}")
        return cls(*(columns[name] for name in _COLUMNS))

    def written(self, engine: str, threshold: float) -> bytes:
        """The table as parquet. ``threshold``: if there are this many times more rows than different paths,
        these are written once each."""
        path = [p if isinstance(p, str) else None for p in self.path]
        raw = [r.encode() if isinstance(r, str) else r if isinstance(r, bytes) else None for r in self.raw]
        different = len({p for p in path if p is not None})
        once = different > 0 and len(self) / different >= threshold
        out = _UnclosedBytes()
        _ENGINES[_installed(engine)][1](out, Table(path, self.offset, self.size, raw), once)
        return out.getvalue()


class _UnclosedBytes(io.BytesIO):
    """Bytes that are still there when an engine has closed the file."""

    def close(self) -> None:
        pass


def _read_fastparquet(blob: bytes) -> dict[str, Any]:
    import fastparquet
    import numpy

    frame = fastparquet.ParquetFile(io.BytesIO(blob)).to_pandas()
    return {name: numpy.asarray(frame[name], dtype=_DTYPES[name]) for name in _COLUMNS if name in frame}


def _write_fastparquet(out: IO[bytes], table: Table, once: bool) -> None:
    import fastparquet
    import pandas

    columns = {
        "path": pandas.Series(table.path, dtype=object).astype("category" if once else object),
        "offset": pandas.Series(table.offset, dtype="int64"),
        "size": pandas.Series(table.size, dtype="int64"),
        "raw": pandas.Series(table.raw, dtype=object),
    }
    options: dict[str, Any] = {  # some of other types than their defaults
        "open_with": lambda name, mode: out,
        "compression": "ZSTD",
        "write_index": False,
        "stats": False,
        "has_nulls": ["path", "raw"],
        "object_encoding": {"raw": "bytes", "path": "utf8"},
    }
    fastparquet.write("refs.parq", pandas.DataFrame(columns), **options)


def _read_pyarrow(blob: bytes) -> dict[str, Any]:
    import pyarrow
    from pyarrow import parquet

    table = parquet.read_table(pyarrow.BufferReader(blob))
    names = [name for name in _COLUMNS if name in table.column_names]
    return {name: table[name].to_pylist() for name in names}


def _write_pyarrow(out: IO[bytes], table: Table, once: bool) -> None:
    import pyarrow
    from pyarrow import parquet

    paths = pyarrow.array(table.path, pyarrow.string())
    columns = {
        "path": paths.dictionary_encode() if once else paths,
        "offset": pyarrow.array(map(int, table.offset), pyarrow.int64()),
        "size": pyarrow.array(map(int, table.size), pyarrow.int64()),
        "raw": pyarrow.array(table.raw, pyarrow.binary()),  # also if it is empty: readers ask its type
    }
    parquet.write_table(pyarrow.table(columns), out, compression="zstd")


_DTYPES = {"path": object, "raw": object, "offset": "int64", "size": "int64"}
_ENGINES = {
    "fastparquet": (_read_fastparquet, _write_fastparquet),
    "pyarrow": (_read_pyarrow, _write_pyarrow),
}


def check_engine(engine: str) -> None:
    if engine not in _ENGINES:
        raise ValueError(f"the engine {engine!r} is not known; there are: {', '.join(_ENGINES)}")


def _installed(engine: str) -> str:
    """The engine, or the other one if only that is installed: they read each other's tables."""
    from importlib.util import find_spec

    for name in sorted(_ENGINES, key=engine.__ne__):
        if find_spec(name) is not None:
            return name
    raise ImportError(f"references in parquet need {' or '.join(_ENGINES)}: pip install {engine}")


def _row(reference: bytes | Part | None) -> tuple[str | None, int, int, bytes | None]:
    if reference is None:
        return None, 0, 0, None
    if isinstance(reference, bytes):
        return None, 0, 0, literal(reference)
    if reference.start is None or reference.end is None:
        return reference.url, 0, 0, None
    if reference.start == reference.end:  # a row without size would be all of the file
        return None, 0, 0, b""
    return reference.url, reference.start, reference.end - reference.start, None
