"""Parquet files, fetching only the bytes that a reader will want.

The end of a file (its footer) says where each column of each row group lies.  `open_parquet_files`
reads the footers of all files together, asks an engine (pyarrow or fastparquet) for the ranges
of what is selected, fetches these together, and gives files that hold them in memory: the
readers make no further request.  Reading what was not selected raises ValueError.

Without a selection the whole file is fetched. Ranges that a footer gives beyond the end of the file
are an error.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, cast

from fsspec._overriding import supported
from fsspec._paths.paths import type_name
from fsspec._paths.redaction import redact_paths, redact_url
from fsspec._plans.bulk import raise_first
from fsspec.core import url_to_fs
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import merge_offset_ranges, stringify_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow.dataset
    import pyarrow.parquet as pq
    from fastparquet import ParquetFile
    from typing_extensions import ParamSpec

    from fsspec._paths.types import Offsets, StrPath, T
    from fsspec.spec import AbstractFileSystem

    P = ParamSpec("P")

__all__ = [
    "AlreadyBufferedFile",
    "FastparquetEngine",
    "PyarrowEngine",
    "open_parquet_file",
    "open_parquet_files",
]

_MAGIC = b"PAR1"
_TAIL = 8  # the length of the footer, and the magic
_LEAST = 2**16  # pyarrow begins by reading so much of the end, however short the footer
Chunk = tuple[str, int, int]
"""A column of a row group: the file, if the metadata describe several, and its range there."""


def open_parquet_files(
    path: StrPath | list[str],
    fs: AbstractFileSystem | None = None,
    metadata: Any = None,
    columns: list[str] | None = None,
    row_groups: list[Any] | None = None,
    storage_options: dict[str, Any] | None = None,
    engine: str = "auto",
    max_gap: int = 64_000,
    max_block: int = 256_000_000,
    footer_sample_size: int = 1_000_000,
    filters: object = None,
    **kwargs: Any,
) -> list[AlreadyBufferedFile]:
    """Parquet files for reading some columns and row groups, which are fetched at once.

    Costs, all files together: their sizes, their ends, and the ranges that are wanted; a file
    that is no larger than ``footer_sample_size`` costs no more than its end, and one of which
    nothing is selected a single request.

    Parameters
    ----------
    path
        a URL, a pattern or a list of URLs, of one filesystem. With a slash at its end it is a
        folder, all files in which that end in ".parquet" or ".parq" are meant
    fs
        that filesystem; otherwise made of the first URL and ``storage_options``
    metadata
        of the files, in the engine's form (``pyarrow.parquet.FileMetaData``,
        ``fastparquet.ParquetFile``): the footers are not read then, and the reader has to be
        given it too. Metadata of a dataset names its files, whatever ``path`` is
    columns
        names; None for all. A name with dots in a nested column selects all of that, which
        readers need. The index that pandas wrote is added.
    row_groups
        numbers of row groups; numbers without a row group are skipped; None for all
    engine
        "fastparquet", "pyarrow", or "auto" for the first of them that is installed
    max_gap, max_block
        bytes: ranges this close are joined, to no more than this many
    footer_sample_size
        bytes of the end of a file to fetch in search of its footer, 64 kiB at least
    filters
        as for the engine's reader; row groups that its statistics rule out are not fetched. An empty
        list is none; if ``row_groups`` is an empty list, filters choose
    **kwargs
        of the files, see `AbstractBufferedFile`

    Returns
    -------
    list of AlreadyBufferedFile
        in the order of the paths

    Raises
    ------
    ValueError
        if something is selected of a file that is not a Parquet file, for metadata that are not the
        engine's, for an engine that is not known, or for another mode than "rb"
    ImportError
        if the engine is not installed
    OSError
        if the store gives less than was asked for
    """
    if kwargs.pop("mode", "rb") != "rb":
        raise ValueError("Parquet files are opened to be read here: the mode is 'rb'")
    if fs is None:
        first = path if not isinstance(path, (list, tuple, set)) else next(iter(path), "")
        fs = url_to_fs(stringify_path(first), **(storage_options or {}))[0]
    kwargs.pop("cache_type", None)
    options = kwargs.pop("cache_options", None) or {}
    selected = columns or None, row_groups, filters or None
    fetched = _selected(
        fs, _paths(fs, path), metadata, selected, engine, max_gap, max_block, footer_sample_size
    )
    return [
        AlreadyBufferedFile(
            fs, p, cache_type="parts", cache_options={**options, "data": held}, size=size, **kwargs
        )
        for p, held, size in fetched
    ]


def _get_parquet_byte_ranges(
    paths: list[str],
    fs: AbstractFileSystem,
    metadata: Any = None,
    columns: list[str] | None = None,
    row_groups: list[Any] | None = None,
    max_gap: int = 64_000,
    max_block: int = 256_000_000,
    footer_sample_size: int = 1_000_000,
    engine: str = "auto",
    filters: object = None,
) -> dict[str, dict[tuple[int, int], bytes]]:
    """By file and range the bytes that `open_parquet_files` would fetch. cuDF, which needs no file objects,
    calls this."""
    selected = columns or None, row_groups, filters or None
    fetched = _selected(fs, paths, metadata, selected, engine, max_gap, max_block, footer_sample_size)
    return {path: held for path, held, _ in fetched}


def _with_parameters_of(as_function: Callable[P, Any]) -> Callable[[Callable[..., T]], Callable[P, T]]:
    """Say to type checkers that a function passes its arguments on to another."""
    return lambda function: function


@_with_parameters_of(open_parquet_files)
def open_parquet_file(*args: Any, **kwargs: Any) -> AlreadyBufferedFile:
    """One Parquet file, the first if there are several; see `open_parquet_files`."""
    files = open_parquet_files(*args, **kwargs)
    if not files:
        raise FileNotFoundError(
            f"{redact_paths(args[0] if args else kwargs.get('path'))!r} stands for no Parquet file"
        )
    return files[0]


class AlreadyBufferedFile(AbstractBufferedFile):
    """A file with some parts in memory; no others can be read.

    It needs its filesystem no more: a forked child reads on whatever its configuration.
    """

    def _fetch_range(self, start: int, end: int) -> bytes:
        raise NotImplementedError(
            f"{redact_url(self.path)!r} has the parts it was opened with, and no others"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.fs, self.path, self.size, self.cache.data, self.loc)


def _again(
    fs: AbstractFileSystem, path: str, size: int, data: Mapping[tuple[int, int], bytes], loc: int
) -> AlreadyBufferedFile:
    file = AlreadyBufferedFile(fs, path, cache_type="parts", cache_options={"data": data}, size=size)
    file.seek(loc)
    return file


# fetching -------------------------------------------------------------------------
def _selected(
    fs: AbstractFileSystem,
    paths: list[str],
    metadata: Any,
    selected: tuple[list[str] | None, list[Any] | None, Any],
    engine: str,
    max_gap: int,
    max_block: int,
    footer_sample_size: int,
) -> list[tuple[str, dict[tuple[int, int], bytes], int]]:
    """Path, fetched parts and size of each file; ``selected``: columns, row groups, filters."""
    columns, row_groups, filters = selected
    if engine not in ("auto", "pyarrow", "fastparquet"):
        raise ValueError(f"{engine!r} reads no Parquet files: the engines are 'pyarrow' and 'fastparquet'")
    if filters and not row_groups:
        row_groups = None  # the filters choose
    parts: list[dict[tuple[int, int], bytes]]
    sizes: list[int]
    if metadata is not None:
        reader = _engine(engine)
        reader.check(metadata)
        chosen = list(reader.chunks(metadata, columns, row_groups, filters))
        paths = [fs._strip_protocol(p) for p in reader.files(metadata)] or paths
        wanted = [
            [(a, b) for name, a, b in chosen if not name or path == name or path.endswith(f"/{name}")]
            for path in paths
        ]
        sizes = [max((end for _, end in ranges), default=0) for ranges in wanted]
        parts = [{(0, len(_MAGIC)): _MAGIC} for _ in paths]
    elif columns is None and row_groups is None and filters is None:
        nothing = [None] * len(paths)
        contents = _all_ranges(fs, paths, nothing, nothing)
        sizes = [len(data) for data in contents]
        parts, wanted = [{(0, len(data)): data} for data in contents], [[] for _ in paths]
    else:
        sizes = _sizes(fs, paths)
        parts = _ends(fs, paths, sizes, footer_sample_size)
        reader = _engine(engine)
        wanted = [
            [(a, b) for _, a, b in reader.chunks(reader.parse(*held.values()), columns, row_groups, filters)]
            for held in parts
        ]
        wanted = [
            list(_not_fetched_yet(p, size, held, ranges))
            for p, size, held, ranges in zip(paths, sizes, parts, wanted)
        ]
        for held in parts:
            held.setdefault((0, len(_MAGIC)), _MAGIC)
    _fetch(fs, paths, wanted, parts, max_gap, max_block)
    return list(zip(paths, parts, sizes))


def _paths(fs: AbstractFileSystem, path: StrPath | list[str]) -> list[str]:
    """The files that are meant."""
    text = stringify_path(path)
    if isinstance(text, str) and text.endswith("/"):
        return [p for p in fs.find(fs._strip_protocol(text)) if p.endswith((".parquet", ".parq"))]
    return fs.expand_path(path)


def _sizes(fs: AbstractFileSystem, paths: list[str]) -> list[int]:
    sizes = fs.sizes(paths)
    for path, size in zip(paths, sizes):
        if size is None:
            raise ValueError(
                f"{type(fs).__name__} does not know the size of {redact_url(path)!r}, and so its end"
            )
    return cast("list[int]", sizes)


def _all_ranges(fs: AbstractFileSystem, paths: list[str], starts: Offsets, ends: Offsets) -> list[bytes]:
    """The bytes of ranges; raises the first error, of a backend that knows no ``on_error`` as well."""
    how = supported(fs, "cat_ranges", {"on_error": "raise"})
    found: list[bytes] = fs.cat_ranges(paths, starts, ends, **how)
    raise_first(found)
    return found


def _ranges(fs: AbstractFileSystem, paths: list[str], starts: list[int], ends: list[int]) -> list[bytes]:
    found = _all_ranges(fs, paths, starts, ends)
    for path, start, end, data in zip(paths, starts, ends, found):
        if len(data) != end - start:
            raise OSError(
                f"{redact_url(path)!r}: bytes {start}-{end} were asked for, and {len(data)} came; try again"
            )
    return found


def _ends(
    fs: AbstractFileSystem, paths: list[str], sizes: list[int], sample: int
) -> list[dict[tuple[int, int], bytes]]:
    """By file its end, which holds at least its footer."""
    for path, size in zip(paths, sizes):
        if size < len(_MAGIC) + _TAIL:
            raise ValueError(f"{redact_url(path)!r} is no Parquet file: it has {size} bytes")
    starts = [max(0, size - max(sample, _LEAST)) for size in sizes]
    ends = _ranges(fs, paths, starts, sizes)
    longer: dict[int, int] = {}  # those whose footer begins before what was fetched
    for i, (path, size, end) in enumerate(zip(paths, sizes, ends)):
        length = int.from_bytes(end[-_TAIL : -len(_MAGIC)], "little")
        if end[-len(_MAGIC) :] != _MAGIC or length + _TAIL + len(_MAGIC) > size:
            raise ValueError(f"{redact_url(path)!r} is no Parquet file: its end is not that of one")
        if size - length - _TAIL < starts[i]:
            longer[i] = size - length - _TAIL
    if longer:
        more = _ranges(fs, [paths[i] for i in longer], [*longer.values()], [starts[i] for i in longer])
        for (i, start), data in zip(longer.items(), more):
            starts[i], ends[i] = start, data + ends[i]
    return [{(start, size): end} for start, size, end in zip(starts, sizes, ends)]


def _not_fetched_yet(
    path: str, size: int, held: dict[tuple[int, int], bytes], ranges: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """The parts of the ranges that lie before the end of the file, which was fetched already."""
    begin = next(iter(held))[0]
    for start, end in ranges:
        if not 0 <= start <= end <= size:
            raise ValueError(
                f"the footer of {redact_url(path)!r} tells of bytes {start}-{end}, and the file has {size}"
            )
        if start < begin:
            yield start, min(end, begin)


def _fetch(
    fs: AbstractFileSystem,
    paths: list[str],
    wanted: list[list[tuple[int, int]]],
    parts: list[dict[tuple[int, int], bytes]],
    max_gap: int,
    max_block: int,
) -> None:
    """Fetch ranges of all files together, and put them among the parts of each."""
    each = [(p, a, b) for p, ranges in zip(paths, wanted) for a, b in ranges]
    if not each:
        return
    names, starts, ends = merge_offset_ranges(
        [p for p, _, _ in each], [a for _, a, _ in each], [b for _, _, b in each], max_gap, max_block
    )
    by_path = dict(zip(paths, parts))
    fetched = _ranges(fs, names, starts, ends)  # type: ignore[arg-type]  # all are numbers here
    for p, a, b, data in zip(names, starts, ends, fetched):
        by_path[p][a, b] = data  # type: ignore[index]  # as above


# engines --------------------------------------------------------------------------
def _engine(name: str) -> FastparquetEngine | PyarrowEngine:
    engines: dict[str, Callable[[], FastparquetEngine | PyarrowEngine]]
    engines = {"fastparquet": FastparquetEngine, "pyarrow": PyarrowEngine}
    if name in engines:
        return engines[name]()
    for engine in engines.values():
        try:
            return engine()
        except ImportError:
            continue
    raise ImportError("Parquet files need an engine to be understood: pip install fastparquet (or pyarrow)")


def _whole_columns(names: set[str] | None, top: Iterable[str]) -> set[str] | None:
    """The top-level columns that names mean, or lie in: readers read these as a whole.

    ``names``: what is selected, None for everything.
    ``top``: the columns of the first level, whose names can have dots as well.
    """
    if names is None:
        return None
    known = set(top)
    found = set()
    for name in names:
        while name not in known and "." in name:
            name = name.rpartition(".")[0]
        found.add(name)
    return found


def _is_wanted(name: str, columns: set[str] | None) -> bool:
    """Whether a column, named with the columns that it is nested in, is one of ``columns`` or below one."""
    if columns is None or name in columns:
        return True
    return any(name.startswith(f"{column}.") for column in columns)


def _range(dictionary: int | None, data: int, length: int) -> tuple[int, int]:
    """Where a column chunk lies: its dictionary, if there is one, comes first."""
    start = min(dictionary, data) if dictionary else data
    return start, start + length


def _index(text: bytes | str | None) -> set[str]:
    """The columns that pandas uses as index, according to the metadata that it wrote."""
    found = json.loads(text).get("index_columns", []) if text else []
    return {name for name in found if isinstance(name, str)}


class PyarrowEngine:
    """Where columns lie, as pyarrow reads it."""

    def __init__(self) -> None:
        try:
            import pyarrow.parquet
        except ImportError as error:
            raise ImportError("the engine pyarrow is not installed: pip install pyarrow") from error
        self.pq: Any = pyarrow.parquet

    def parse(self, end: bytes) -> pq.FileMetaData:
        """The metadata from the end of a file."""
        return self.pq.read_metadata(io.BytesIO(end))

    def check(self, metadata: object) -> None:
        """Refuse metadata of others."""
        if not isinstance(metadata, self.pq.FileMetaData):
            raise ValueError(
                f"the metadata of pyarrow are a pyarrow.parquet.FileMetaData, not {type_name(metadata)}"
            )

    def files(self, metadata: pq.FileMetaData) -> list[str]:
        """The files of a dataset that metadata describe; none if they do not say."""
        return []

    def chunks(
        self,
        metadata: pq.FileMetaData,
        columns: list[str] | None,
        row_groups: list[Any] | None,
        filters: object,
    ) -> Iterator[Chunk]:
        """The ranges of what is selected."""
        names = None if columns is None else {*columns, *_index((metadata.metadata or {}).get(b"pandas"))}
        numbers = range(metadata.num_row_groups) if row_groups is None else row_groups
        if filters is not None:
            expression = self.pq.filters_to_expression(filters)
            if names is not None:
                names |= _filtered(filters)
            kept = self._matching_groups(metadata, expression)
            numbers = [i for i in numbers if i in kept]
        names = _whole_columns(names, metadata.schema.to_arrow_schema().names)
        for i in numbers:
            if i >= metadata.num_row_groups:
                continue
            group = metadata.row_group(i)
            for j in range(group.num_columns):
                column = group.column(j)
                if _is_wanted(column.path_in_schema, names):
                    yield (
                        column.file_path,
                        *_range(
                            column.dictionary_page_offset,
                            column.data_page_offset,
                            column.total_compressed_size,
                        ),
                    )

    def _matching_groups(self, metadata: pq.FileMetaData, expression: pyarrow.dataset.Expression) -> set[int]:
        """The row groups that the statistics do not rule out."""
        from pyarrow import dataset

        text = io.BytesIO()
        metadata.write_metadata_file(text)
        fragment = dataset.ParquetFileFormat().make_fragment(io.BytesIO(text.getvalue()))
        return {group.id for group in fragment.subset(expression, schema=fragment.physical_schema).row_groups}


class FastparquetEngine:
    """Where columns lie, as fastparquet reads it."""

    def __init__(self) -> None:
        try:
            import fastparquet
        except ImportError as error:
            raise ImportError("the engine fastparquet is not installed: pip install fastparquet") from error
        self.fp = fastparquet

    def parse(self, end: bytes) -> ParquetFile:
        """The metadata from the end of a file."""
        return self.fp.ParquetFile(io.BytesIO(end))

    def check(self, metadata: object) -> None:
        """Refuse metadata of others."""
        if not isinstance(metadata, self.fp.ParquetFile):
            raise NoMetadata(
                f"the metadata of fastparquet are a fastparquet.ParquetFile, not {type_name(metadata)}"
            )

    def files(self, metadata: ParquetFile) -> list[str]:
        """The files of a dataset that metadata describe; none if they do not say."""
        if metadata.file_scheme == "simple":
            return []
        names = map(metadata.row_group_filename, metadata.row_groups)
        return list(dict.fromkeys(filter(None, names)))

    def chunks(
        self, metadata: ParquetFile, columns: list[str] | None, row_groups: list[Any] | None, filters: object
    ) -> Iterator[Chunk]:
        """The ranges of what is selected."""
        names = None
        if columns is not None:
            names = {*columns, *(n for n in metadata._get_index() if isinstance(n, str))}
        numbers = range(len(metadata.row_groups)) if row_groups is None else row_groups
        if filters is not None:
            from fastparquet.api import filter_row_groups

            if names is not None:
                names |= _filtered(filters)
            kept = filter_row_groups(metadata, filters, as_idx=True)
            numbers = [i for i in numbers if i in kept]
        first = metadata.row_groups[0].columns if metadata.row_groups else []
        names = _whole_columns(names, (_text(column.meta_data.path_in_schema[0]) for column in first))
        for i in numbers:
            if isinstance(i, int) and i >= len(metadata.row_groups):
                continue
            group = metadata.row_groups[i] if isinstance(i, int) else i
            for column in group.columns:
                held = column.meta_data
                if _is_wanted(".".join(map(_text, held.path_in_schema)), names):
                    yield (
                        _text(column.file_path or ""),
                        *_range(
                            held.dictionary_page_offset, held.data_page_offset, held.total_compressed_size
                        ),
                    )


class NoMetadata(ValueError, AttributeError):
    """Something that fastparquet does not have for metadata."""


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _filtered(filters: object) -> set[str]:
    """The columns that filters are about: terms, or lists of terms."""
    if not isinstance(filters, (list, tuple)):
        return set()  # an expression, which names what it needs to the reader
    found: set[str] = set()
    for term in filters:
        found |= {term[0]} if isinstance(term, tuple) and isinstance(term[0], str) else _filtered(term)
    return found
