"""References in a folder of parquet tables, loaded as they are asked for.

``.zmetadata`` holds the metadata of all arrays and groups, and how many references a table
has; ``FIELD/refs.N.parq`` the references of an array's chunks, ``record_size`` in each::

    {"metadata": {".zgroup": {...}, "x/.zarray": {...}, ...}, "record_size": 10000}

A missing table has no references.  What is set is kept until a table is full,
or until `LazyReferenceMapper.flush`; a file is then replaced as a whole, the metadata last.

Any thread may read; one at a time may write.  What was set and not written yet belongs to
the process that set it: a forked child reads it, and refuses to write.
"""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from fsspec._files.copying import is_plainly_local
from fsspec._files.replacing import replacing
from fsspec._fork.owned import Owned, is_mine, own, refuse
from fsspec._paths.paths import type_name
from fsspec._paths.redaction import redact_url
from fsspec.core import url_to_fs
from fsspec.exceptions import ForkError
from fsspec.implementations._reference.layout import Layout
from fsspec.implementations._reference.parsing import ReferenceNotReachable, parsed, size_of, without_buffer
from fsspec.implementations._reference.table import Table, check_engine
from fsspec.utils import stringify_path

if TYPE_CHECKING:
    from types import ModuleType

    from fsspec._paths.types import Options
    from fsspec.spec import AbstractFileSystem

_METADATA = ".zmetadata"
_ADVICE = (
    "What was set on it and not flushed belongs to the process that made it; make another "
    "LazyReferenceMapper in this process to write"
)

Record = tuple[str, int]


def put_whole(fs: AbstractFileSystem, path: str, data: bytes) -> None:
    """Write a file at once: it is as before, or whole."""
    folder = fs._parent(path)
    if is_plainly_local(fs):
        os.makedirs(folder, exist_ok=True)
        with replacing(path) as f:
            f.write(data)
        return
    fs.makedirs(folder, exist_ok=True)
    fs.pipe_file(path, data)


class RefsValuesView(ValuesView[Any]):
    """The references of a `LazyReferenceMapper`, table by table."""

    _mapping: Any

    def __iter__(self) -> Iterator[Any]:
        for _, value in self._mapping._key_pairs():
            yield value


class RefsItemsView(ItemsView[str, Any]):
    """The keys and references of a `LazyReferenceMapper`, table by table."""

    _mapping: Any

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return cast("Iterator[tuple[str, Any]]", self._mapping._key_pairs())


class LazyReferenceMapper(MutableMapping[str, Any]):
    """References by key, loaded only as far as they are asked for.

    Nothing is read before it is asked for. Iterating gives the keys that have references, as `items`
    and `values` do, and so loads all tables; ``len`` counts what the arrays' shapes allow.

    Parameters
    ----------
    root
        the folder
    fs
        its filesystem, a blocking one; by default that of the URL ``root``
    out_root
        the folder to write to, by default the same
    cache_size
        how many tables are kept in memory
    categorical_threshold
        with this many times more references than different targets in a table, each target is
        written once in it
    engine
        "fastparquet" or "pyarrow"; the other one is used if only that is installed

    Raises
    ------
    FileNotFoundError
        when it is first used, if there are no references at ``root``; `create` makes a place for them.
    ValueError
        likewise, if their metadata make no sense.
    """

    def __init__(
        self,
        root: str,
        fs: AbstractFileSystem | None = None,
        out_root: str | None = None,
        cache_size: int = 128,
        categorical_threshold: int = 10,
        engine: str = "fastparquet",
    ) -> None:
        root = stringify_path(root)
        if fs is None:
            fs, root = url_to_fs(root)
        if fs.async_impl and getattr(fs, "asynchronous", False):
            raise ValueError(
                f"references at {redact_url(root)!r} are read by blocking calls: give an fs that has them"
            )
        check_engine(engine)
        self.fs = fs
        self.root: str = fs._strip_protocol(root).rstrip("/")
        self.out_root: str = fs.unstrip_protocol(self.root) if out_root is None else out_root
        self.cache_size = cache_size
        self.cat_thresh = categorical_threshold
        self.engine = engine
        self.url: str = f"{self.root}/{{field}}/refs.{{record}}.parq"
        self._loaded_tables: OrderedDict[Record, Table] = OrderedDict()
        self._pending_rows: dict[Record, dict[int, Any]] = {}
        self._field_layouts: dict[str, Layout | None] = {}
        self._metadata_kept: bytes = b""
        self._moved_tables: set[Record] = set()  # those that are at ``out_root``, which is elsewhere
        own(self)
        self._tables_lock = Owned(threading.Lock)

    @property
    def np(self) -> ModuleType:
        """The module numpy."""
        import numpy

        return numpy

    @property
    def pd(self) -> ModuleType:
        """The module pandas."""
        import pandas

        return cast("ModuleType", pandas)

    @cached_property
    def zmetadata(self) -> dict[str, Any]:
        """The metadata of arrays and groups by key, read at the first use."""
        self.setup()
        return self.zmetadata

    @cached_property
    def record_size(self) -> int:
        """How many references a table has."""
        self.setup()
        return self.record_size

    def setup(self) -> None:
        """Read the metadata, again if it was read already."""
        path = f"{self.root}/{_METADATA}"
        try:
            kept = self.fs.cat_file(path)
            metadata, record_size = _document(kept)
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"no references are at {redact_url(self.root)!r}: {redact_url(path)} is not there"
            ) from error
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            why = f"{type(error).__name__}: {error}"
            raise ValueError(f"{redact_url(path)} does not describe references: {why}") from error
        if type(record_size) is not int or record_size < 1:
            raise ValueError(
                f"{redact_url(path)}: record_size is {record_size!r}, not a number of references"
            )
        self.__dict__.update(zmetadata=metadata, record_size=record_size, _metadata_kept=kept)
        self._field_layouts.clear()

    @staticmethod
    def create(
        root: str,
        storage_options: dict[str, Any] | None = None,
        fs: AbstractFileSystem | None = None,
        record_size: int = 10000,
        **kwargs: Any,
    ) -> LazyReferenceMapper:
        """A mapper without references, in place of one that may be there.

        Parameters
        ----------
        root
            the folder
        storage_options
            of its filesystem, if ``fs`` is not given
        record_size
            references in each table
        **kwargs
            for the class

        Raises
        ------
        FileExistsError
            if the folder holds something that is no references; nothing is removed then.
        """
        root = stringify_path(root)
        if record_size < 1:
            raise ValueError(f"record_size is {record_size!r}; it is at least 1 reference a table")
        if fs is None:
            fs, root = url_to_fs(root, **(storage_options or {}))
        root = fs._strip_protocol(root).rstrip("/")
        metadata = f"{root}/{_METADATA}"
        before = fs.ls(root, detail=False) if fs._fsspec_is_taken(root) else []
        if before and not fs._fsspec_is_taken(metadata):
            raise FileExistsError(
                f"{redact_url(root)!r} holds other files than references; choose or empty a folder"
            )
        # this removes the arrays; whether their tables can be removed does not matter then
        put_whole(fs, metadata, json.dumps({"metadata": {}, "record_size": record_size}).encode())
        for path in before:
            if path.rstrip("/") != metadata:
                fs.rm(path, recursive=True)
        return LazyReferenceMapper(root, fs, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        if self._pending_rows or self._changed_metadata():
            raise RuntimeError(
                f"references at {redact_url(self.root)!r} were set and not flushed; flush() them first"
            )
        how = self.out_root, self.cache_size, self.cat_thresh, self.engine
        return type(self), (self.root, self.fs, *how)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {redact_url(self.root)}>"

    def __hash__(self) -> int:
        return id(self)

    # looking up -------------------------------------------------------------------
    def __getitem__(self, key: str) -> Any:
        if key == _METADATA:
            return self._metadata_document()
        if _is_metadata(key) or key in self.zmetadata:
            return _compact(self.zmetadata[key])
        record, row = self._row_of(key)
        value = self._value_at(key, record, row)
        if value is None:
            where = self._table_path(record)
            raise KeyError(key, f"row {row} of {where} is none, or that is not there")
        return value

    def _value_at(self, key: str, record: Record, row: int) -> Any:
        pending = self._pending_rows.get(record)
        if pending is not None and row in pending:
            return pending[row]
        return self._get_table(record, key).reference(row)

    def _field_layout(self, field: str) -> Layout | None:
        found = self._field_layouts.get(field)
        if found is None and field not in self._field_layouts:
            metadata = self.zmetadata.get(f"{field}/.zarray" if field else ".zarray")
            found = self._field_layouts[field] = None if metadata is None else Layout(field, metadata)
        return found

    def _row_of(self, key: str) -> tuple[Record, int]:
        """The table of a chunk and the row in it; KeyError if no array has it."""
        field, _, chunk = key.rpartition("/")
        while (layout := self._field_layout(field)) is None and field:
            field, _, word = field.rpartition("/")
            chunk = f"{word}/{chunk}"
        number = None if layout is None else layout.number(chunk)
        if number is None:
            raise KeyError(key)
        return (field, number // self.record_size), number % self.record_size

    def _rows_of(self, record: Record) -> int:
        """How many references belong into a table."""
        layout = self._field_layout(record[0])
        assert layout is not None
        return min(self.record_size, layout.total - record[1] * self.record_size)

    def _table_path(self, record: Record) -> str:
        if record in self._moved_tables:
            return _path_below(self._target_folder(None, None)[1], record)
        return self.url.format(field=record[0], record=record[1]).replace("//refs.", "/refs.")

    def is_loaded(self, key: str) -> bool:
        """Whether looking a key up asks nobody."""
        if _is_metadata(key):
            return True
        try:
            record, row = self._row_of(key)
        except KeyError:
            return True
        return record in self._loaded_tables or row in self._pending_rows.get(record, ())

    def _get_table(self, record: Record, key: str) -> Table:
        found = self._loaded_tables.get(record)
        if found is not None:
            return found
        with self._tables_lock.get():
            found = self._loaded_tables.get(record)
            if found is None:
                found = self._load_table(record, key)
                self._remember_table(record, found)
        return found

    def _remember_table(self, record: Record, table: Table) -> None:
        self._loaded_tables[record] = table
        while len(self._loaded_tables) > max(1, self.cache_size):
            self._loaded_tables.popitem(last=False)

    def _load_table(self, record: Record, key: str) -> Table:
        path = self._table_path(record)
        try:
            return Table.read(self.fs.cat_file(path), self.engine)
        except FileNotFoundError:
            return Table([], [], [], [])
        except (ForkError, ImportError):
            raise
        except Exception as error:  # filesystems and engines have errors of their own, without a base
            raise ReferenceNotReachable(key, path, "the table of references") from error

    # going through ----------------------------------------------------------------
    def _stored_arrays(self) -> Iterator[tuple[str, Layout]]:
        for key in list(self.zmetadata):
            field, _, name = key.rpartition("/")
            layout = self._field_layout(field) if name == ".zarray" else None
            if layout is not None:
                yield field, layout

    def __iter__(self) -> Iterator[str]:
        for key, _ in self._key_pairs():
            yield key

    def __len__(self) -> int:
        return 1 + len(self.zmetadata) + sum(layout.total for _, layout in self._stored_arrays())

    def _key_pairs(self) -> Iterator[tuple[str, Any]]:
        for key in [*self.zmetadata, _METADATA]:
            yield key, self[key]
        for field, layout in self._stored_arrays():
            for number, key in enumerate(layout.keys()):
                record, row = divmod(number, self.record_size)
                value = self._value_at(key, (field, record), row)
                if value is not None:
                    yield key, value

    def items(self) -> RefsItemsView:
        """Keys and references; each table is loaded when its turn comes."""
        return RefsItemsView(self)

    def values(self) -> RefsValuesView:
        """References; each table is loaded when its turn comes."""
        return RefsValuesView(self)

    def listdir(self) -> set[str]:
        """The paths of all arrays and groups but the root."""
        found: set[str] = set()
        for key in self.zmetadata:
            folder = key.rpartition("/")[0]
            while folder and folder not in found:
                found.add(folder)
                folder = folder.rpartition("/")[0]
        return found

    def ls(self, path: str = "", detail: bool = True) -> list[Any]:
        """The contents of a group or array.

        Parameters
        ----------
        detail
            return entries, which for chunks need the tables of the array; else only paths, for
            chunks also of those without a reference.

        Raises
        ------
        FileNotFoundError
            if there is nothing of that name
        """
        path = path.strip("/")
        folders, files = self._names_inside(path)
        if not folders and not files and path:
            if path in self:
                files = [path]
            else:
                raise FileNotFoundError(path)
        if not detail:
            return sorted([*folders, *files])
        out: list[dict[str, Any]] = [{"name": p, "type": "directory", "size": 0} for p in folders]
        for key in files:
            value = self.get(key)
            if value is not None:
                out.append({"name": key, "type": "file", "size": size_of(key, value)})
        return sorted(out, key=lambda entry: entry["name"])

    def _names_inside(self, path: str) -> tuple[list[str], list[str]]:
        known = self.listdir()
        folders = [folder for folder in known if folder.rpartition("/")[0] == path]
        files = [key for key in self.zmetadata if key.rpartition("/")[0] == path]
        if not path:
            files.append(_METADATA)
        field = path
        while (layout := self._field_layout(field)) is None and field:
            field = field.rpartition("/")[0]
        held = layout.inside(path) if layout is not None and (field == path or path not in known) else None
        if held is not None:
            folders, files = folders + held[0], files + held[1]
        return folders, files

    # changing ---------------------------------------------------------------------
    def _copy_shared(self) -> None:
        if not is_mine(self):
            refuse(self, repr(self), _ADVICE)

    def __setitem__(self, key: str, value: object) -> None:
        self._copy_shared()
        value = without_buffer(value)
        if _is_metadata(key):
            self._set_metadata(key, value)
            return
        try:
            record, row = self._row_of(key)
        except KeyError:
            raise ValueError(
                f"{key!r} is not a chunk of an array at {redact_url(self.root)!r}; its .zarray has to be"
                " set first"
            ) from None
        parsed(key, value, None)  # what makes no sense is refused here
        pending = self._pending_rows.setdefault(record, {})
        pending[row] = value
        if len(pending) >= self._rows_of(record):
            self.write(*record)

    def _set_metadata(self, key: str, value: Any) -> None:
        try:
            held = value if isinstance(value, dict) else json.loads(value)
            if not isinstance(held, dict):
                raise TypeError(f"an object is needed, not {type_name(held)}")
        except (TypeError, ValueError) as error:
            raise ValueError(f"the metadata {key!r} cannot be kept: {error}") from error
        if key == _METADATA:
            for name, each in held.get("metadata", {}).items():
                self.zmetadata.setdefault(name, each)
        else:
            if key.rpartition("/")[2] == ".zarray":
                Layout(key.rpartition("/")[0], held)
            self.zmetadata[key] = held
        self._field_layouts.clear()

    def __delitem__(self, key: str) -> None:
        self._copy_shared()
        if _is_metadata(key):
            del self.zmetadata[key]
            self._field_layouts.clear()
            return
        self[key]
        record, row = self._row_of(key)
        self._pending_rows.setdefault(record, {})[row] = None

    def write(
        self, field: str, record: int, base_url: str | None = None, storage_options: Options | None = None
    ) -> None:
        """Write what was set in one table.

        Parameters
        ----------
        field, record
            the path of the array, and the number of the table
        base_url, storage_options
            see `flush`

        Raises
        ------
        ForkError
            in a child of the process that set it.
        """
        self._copy_shared()
        fs, root = self._target_folder(base_url, storage_options)
        key = (field, record)
        rows, pending = self._rows_of(key), self._pending_rows.get(key, {})
        # as it is now: others may have changed it meanwhile
        table = (
            Table([], [], [], []) if len(pending) >= rows else self._load_table(key, f"{field}/refs.{record}")
        )
        table = table.changed(rows, pending)
        put_whole(fs, _path_below(root, key), table.written(self.engine, self.cat_thresh))
        if base_url is None:  # elsewhere it is a copy, and what was set is still to be written here
            self._pending_rows.pop(key, None)
            if root != self.root:
                self._moved_tables.add(key)
            self._remember_table(key, table)

    def flush(self, base_url: str | None = None, storage_options: dict[str, Any] | None = None) -> None:
        """Write what was set and is not written yet, the metadata last.

        Parameters
        ----------
        base_url, storage_options
            the folder to write to, and options of its filesystem; by default ``out_root``

        Raises
        ------
        ForkError
            in a child of the process that set it.
        """
        self._copy_shared()
        for field, record in sorted(self._pending_rows):
            if self._field_layout(field) is None:  # the array was removed since
                del self._pending_rows[field, record]
            else:
                self.write(field, record, base_url, storage_options)
        fs, root = self._target_folder(base_url, storage_options)
        elsewhere = (fs, root) != (self.fs, self.root)
        changed = self._changed_metadata()
        if changed and not elsewhere:
            self._take_over_metadata(changed)
        if changed or elsewhere:
            put_whole(fs, f"{root}/{_METADATA}", document := self._metadata_document())
            if base_url is None:
                self._metadata_kept = document

    def _changed_metadata(self) -> dict[str, Any]:
        """What is other than it was read or written: by key, None for what was removed."""
        if "zmetadata" not in self.__dict__:
            return {}
        kept = _document(self._metadata_kept)[0] if self._metadata_kept else {}
        held = self.zmetadata
        if kept == held:
            return {}
        # as text: NaN is not equal to itself
        keys = [key for key in {**kept, **held} if _compact(kept.get(key)) != _compact(held.get(key))]
        return {key: held.get(key) for key in keys}

    def _take_over_metadata(self, changed: Mapping[str, Any]) -> None:
        """Merge what others have set meanwhile; ``changed`` holds this instance's own changes."""
        try:
            found, record_size = _document(self.fs.cat_file(f"{self.root}/{_METADATA}"))
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return
        if record_size == self.record_size:
            found.update(changed)
            self.zmetadata.clear()
            self.zmetadata.update((key, value) for key, value in found.items() if value is not None)
            self._field_layouts.clear()

    def _target_folder(self, base_url: str | None, storage_options: dict[str, Any] | None) -> tuple[Any, str]:
        if base_url is None:
            return self.fs, self.fs._strip_protocol(self.out_root).rstrip("/")
        fs, root = url_to_fs(base_url, **(storage_options or {}))
        return fs, root.rstrip("/")

    def _metadata_document(self) -> bytes:
        return _compact({"metadata": self.zmetadata, "record_size": self.record_size})


def _document(text: bytes) -> tuple[dict[str, Any], Any]:
    document = json.loads(text)
    metadata = document["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError(f"the metadata are {type_name(metadata)}, not an object")
    return metadata, document["record_size"]


def _path_below(root: str, record: Record) -> str:
    return f"{root}/{record[0]}/refs.{record[1]}.parq".replace("//refs.", "/refs.")


def _is_metadata(key: str) -> bool:
    name = key.rpartition("/")[2]
    return name.startswith(".z") or name == "zarr.json"


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
