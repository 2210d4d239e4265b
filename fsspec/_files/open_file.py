"""Files to be opened later: what they are, without being open.

An `OpenFile` can be pickled and sent elsewhere, and opens its layers (file, codec, text)
when its context is entered.  Layers that were opened for writing belong to the process that
opened them: in a forked child closing forgets them.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, AnyStr, Generic, Literal, SupportsIndex, cast

from fsspec._files.decoding import reading_layer
from fsspec._fork.owned import is_mine, own
from fsspec._fork.written_files import Text, check_text_options, codec_layer
from fsspec._paths.redaction import redact_url
from fsspec.compression import check_installed, compr
from fsspec.utils import _unstrip_protocol, infer_compression

if TYPE_CHECKING:
    from fsspec.spec import AbstractFileSystem

TextMode = Literal["r", "rt", "tr", "w", "wt", "tw", "a", "at", "ta", "x", "xt", "tx"]
BinaryMode = Literal["rb", "br", "wb", "bw", "ab", "ba", "xb", "bx", "r+b", "rb+", "w+b", "wb+"]


def get_compression(urlpath: str, compression: str | None) -> str | None:
    """The name of a compression, "infer" being resolved by the file's extension."""
    if compression is None:
        return None
    name = infer_compression(urlpath) if compression == "infer" else compression
    if name is not None and name not in compr:
        known = ", ".join(sorted(key for key in compr if key))
        raise ValueError(
            f"Compression type {name} not supported: {name!r} is not known (for {redact_url(urlpath)!r});"
            f" there are: {known}"
        )
    if compression != "infer":  # an inferred codec may be available where the file is opened
        check_installed(name)
    return name


class PickleableTextIOWrapper(Text):
    """Text over a binary file that can be pickled; it comes back at the beginning."""

    def __init__(
        self,
        buffer: IO[bytes],
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        line_buffering: bool = False,
        write_through: bool = False,
    ) -> None:
        self.args: tuple[Any, ...] = buffer, encoding, errors, newline, line_buffering, write_through
        super().__init__(*self.args)

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return PickleableTextIOWrapper, self.args


_OF_FILES = frozenset(
    "read readinto readline readlines write writelines seek tell flush truncate readable writable seekable"
    " closed fileno".split()
)
"""What open files have, and those to be opened have not."""


class OpenFile(Generic[AnyStr]):
    """A file of a filesystem, to be opened by ``with`` or `open`.

    Parameters
    ----------
    fs, path
        where it is.
    mode
        as for the built-in ``open``.
    compression
        a name, "infer", or None.
    encoding, errors, newline
        for text.
    """

    def __init__(
        self,
        fs: AbstractFileSystem,
        path: str,
        mode: str = "rb",
        compression: str | None = None,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> None:
        self.fs = fs
        self.path = path
        self.mode = mode
        self.compression: str | None = get_compression(path, compression)
        self.encoding = encoding
        self.errors = errors
        self.newline = newline
        self.fobjects: list[Any] = []
        own(self)

    def __reduce__(self) -> tuple[Any, ...]:
        how: tuple[Any, ...] = (self.mode, self.compression, self.encoding, self.errors, self.newline)
        return OpenFile, (self.fs, self.path, *how)

    def __repr__(self) -> str:
        return f"<OpenFile {redact_url(self.path)!r}>"

    def __enter__(self) -> IO[AnyStr]:
        mode = self.mode.replace("t", "").replace("b", "")
        if "r" not in mode:
            check_installed(self.compression)  # before an empty file is created
            check_text_options(self.encoding, self.errors, self.newline)
        try:
            f = self.fs.open(self.path, mode=mode + "b")
        except FileNotFoundError as error:
            if "r" in self.mode and any(c in self.path for c in "*?["):
                why = f"{redact_url(self.path)!r} is not there."
                if "://" not in self.path or any(c in self.path.partition("?")[0] for c in "*["):
                    why += (
                        " If it is meant as a glob pattern, expand it: use fsspec.open_files, or"
                        " fsspec.open(..., expand=True)"
                    )
                elif type(error) is not FileNotFoundError:  # it says more, such as that nobody answers
                    raise
                raise FileNotFoundError(why) from error
            raise
        own(self)
        self.fobjects = [f]
        try:
            if self.compression is not None:
                codec = compr[self.compression]
                reading = mode[0] == "r"
                layer = reading_layer(codec, f, self.path, "r") if reading else codec_layer(codec, f, mode[0])
                self.fobjects.append(layer)
            if "b" not in self.mode:
                # it handles forks while writing; a child has what was decoded ahead in reading
                text = PickleableTextIOWrapper(self.fobjects[-1], self.encoding, self.errors, self.newline)
                self.fobjects.append(text)
        except BaseException:  # an interrupt, too, leaves no layer open
            self.close()
            raise
        return cast("IO[AnyStr]", self.fobjects[-1])

    def __exit__(self, *args: Any) -> None:
        self.close()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            hint = ""
            if name in _OF_FILES:
                hint = (
                    ": it is not open; use 'with fsspec.open(...) as f', or .open(), for a file that has it"
                )
            why = f"{type(self).__name__!r} object has no attribute {name!r}{hint}"
            raise AttributeError(why, name=name, obj=self)

    @property
    def full_name(self) -> str:
        """The path with its protocol."""
        return _unstrip_protocol(self.path, self.fs)

    def open(self) -> IO[AnyStr]:
        """The open file; closed with it, or by `close`."""
        return self.__enter__()

    def close(self) -> None:
        """Close all layers, the outermost first; of those that were written each is flushed before."""
        layers, self.fobjects = self.fobjects, []
        if "r" not in self.mode and not is_mine(self):
            return
        while layers:
            f = layers.pop()
            try:
                if not f.closed and "r" not in self.mode:
                    try:
                        f.flush()
                    finally:
                        f.close()
                elif not f.closed:
                    f.close()
            except BaseException:  # an interrupt, too, leaves no lower layer open
                for lower in reversed(layers):
                    if not lower.closed:  # closing it twice could upload it twice
                        lower.close()
                raise


class OpenFiles(list[OpenFile[Any]]):
    """Several files to be opened together by ``with``.

    Parameters
    ----------
    mode
        of all of them.
    fs
        the filesystem of all of them; reading, its ``open_many`` is used if it has one.
    """

    def __init__(self, *args: Any, mode: str = "rb", fs: AbstractFileSystem | None = None) -> None:
        self.mode = mode
        self.fs: Any = fs
        self.files: list[Any] = []
        self._open_many = False  # stored at opening, since a child may be refused the filesystem
        own(self)
        super().__init__(*args)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "files": []}  # a copy is not open, as that of an OpenFile is not

    def __enter__(self) -> list[Any]:
        if self.files:
            raise ValueError("these files are open already: the context can be entered once at a time")
        own(self)
        self._open_many = hasattr(self.fs, "open_many")
        if self._open_many:
            self.files = self.fs.open_many(self)
            return self.files
        opened: list[Any] = []
        try:
            for f in self:
                opened.append(f.__enter__())
        except BaseException:  # an interrupt, too, leaves none of the files open
            for f in self[: len(opened)]:
                f.close()
            raise
        self.files = opened
        return opened

    def __exit__(self, *args: Any) -> None:
        files, self.files = self.files, []
        if self._open_many and "r" not in self.mode:
            if is_mine(self):
                self.fs.commit_many(files)
            return
        with ExitStack() as closing:  # all of them, even if one fails
            for f in files if self._open_many else self:
                closing.callback(f.close)

    def __getitem__(self, item: Any) -> Any:
        out = super().__getitem__(item)
        return OpenFiles(out, mode=self.mode, fs=self.fs) if isinstance(item, slice) else out

    def __repr__(self) -> str:
        return f"<List of {len(self)} OpenFile instances>"
