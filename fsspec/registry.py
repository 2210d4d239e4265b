"""Which class serves which protocol.

`known_implementations` says where a class is to be imported from; `registry` holds those
that have been.  Packages add their own by `register_implementation`, or by an entry point
of the group ``fsspec.specs``, which replaces a class of this package too.  Entry points are
read at the first look at `known_implementations`, not at import; whoever asks for a protocol
looks there.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import type_name
from fsspec._similar import similar
from fsspec._version import __version__

if TYPE_CHECKING:
    from fsspec._paths.types import T
    from fsspec.spec import AbstractFileSystem

__all__ = ["registry", "get_filesystem_class", "default"]

default: str = "file"
_registry: dict[str, Any] = {}
registry: types.MappingProxyType[str, Any] = types.MappingProxyType(_registry)

# the one of the same release: each s3fs asks for exactly one fsspec, and another would bring upstream's
s3_msg = f"the protocol s3 needs the package s3fs: pip install s3fs=={__version__.partition('+')[0]}"


_OWN_PACKAGE = "fsspec.implementations."


def _own_class(module_and_class: str, *packages: str, extra: str = "") -> dict[str, str]:
    entry = {"class": _OWN_PACKAGE + module_and_class}
    if packages:
        names = " and ".join(packages)
        how = f"pip install 'fsspec[{extra}]'" if extra else f"pip install {' '.join(packages)}"
        entry["err"] = f"{module_and_class.rpartition('.')[2]} needs {names}: {how}"
    return entry


def _class_of_package(fqp: str, package: str = "", note: str = "") -> dict[str, str]:
    name = package or fqp.partition(".")[0]
    what = repr(name) if "[" in name else name  # a shell takes brackets for a pattern
    advice = f"{fqp.rpartition('.')[2]} needs the package {name}: pip install {what}{note}"
    return {"class": fqp, "err": advice}


_BUILT_IN: dict[str, dict[str, str]] = {
    "abfs": _class_of_package("adlfs.AzureBlobFileSystem"),
    "adl": _class_of_package(
        "adlfs.AzureDatalakeFileSystem",
        note=" (Data Lake Gen1 has been switched off; adlfs serves az:// and abfs://)",
    ),
    "arrow_hdfs": _own_class("arrow.HadoopFileSystem", "pyarrow", extra="hdfs"),
    "async_wrapper": _own_class("asyn_wrapper.AsyncFileSystemWrapper"),
    "asynclocal": _class_of_package("morefs.asyn_local.AsyncLocalFileSystem", "morefs[asynclocalfs]"),
    "asyncwrapper": _own_class("asyn_wrapper.AsyncFileSystemWrapper"),
    "az": _class_of_package("adlfs.AzureBlobFileSystem"),
    "blockcache": _own_class("cached.CachingFileSystem"),
    "box": _class_of_package("boxfs.BoxFileSystem"),
    "cached": _own_class("cached.CachingFileSystem"),
    "dask": _own_class("dask.DaskWorkerFileSystem", "dask", "distributed", extra="dask"),
    "data": _own_class("data.DataFileSystem"),
    "dbfs": _own_class("dbfs.DatabricksFileSystem", "requests"),
    "dir": _own_class("dirfs.DirFileSystem"),
    "dropbox": _class_of_package("dropboxdrivefs.DropboxDriveFileSystem", note=" dropbox requests"),
    "dvc": _class_of_package("dvc.api.DVCFileSystem"),
    "file": _own_class("local.LocalFileSystem"),
    "filecache": _own_class("cached.WholeFileCacheFileSystem"),
    "ftp": _own_class("ftp.FTPFileSystem"),
    "gcs": _class_of_package("gcsfs.GCSFileSystem"),
    "gdrive": _class_of_package("gdrive_fsspec.GoogleDriveFileSystem", note=" (formerly gdrive_fs)"),
    "generic": {"class": "fsspec.generic.GenericFileSystem"},
    "gist": _own_class("gist.GistFileSystem", "requests", extra="github"),
    "git": _own_class("git.GitFileSystem", "pygit2", extra="git"),
    "github": _own_class("github.GithubFileSystem", "requests", extra="github"),
    "gs": _class_of_package("gcsfs.GCSFileSystem"),
    "hdfs": _own_class("arrow.HadoopFileSystem", "pyarrow", extra="hdfs"),
    "hf": _class_of_package("huggingface_hub.HfFileSystem"),
    "http": _own_class("http.HTTPFileSystem", "aiohttp", "requests", extra="http"),
    "https": _own_class("http.HTTPFileSystem", "aiohttp", "requests", extra="http"),
    "jlab": _own_class("jupyter.JupyterFileSystem", "requests"),
    "jupyter": _own_class("jupyter.JupyterFileSystem", "requests"),
    "lakefs": _class_of_package("lakefs_spec.LakeFSFileSystem", "lakefs-spec"),
    "libarchive": _own_class("libarchive.LibArchiveFileSystem", "libarchive-c", extra="libarchive"),
    "local": _own_class("local.LocalFileSystem"),
    "memory": _own_class("memory.MemoryFileSystem"),
    "oci": _class_of_package("ocifs.OCIFileSystem"),
    "ocilake": _class_of_package("ocifs.OCIFileSystem"),
    "oss": _class_of_package("ossfs.OSSFileSystem"),
    "pyscript": _class_of_package(
        "pyscript_fsspec_client.client.PyscriptFileSystem", note=" (within a pyscript context only)"
    ),
    "reference": _own_class("reference.ReferenceFileSystem"),
    "root": _class_of_package(
        "fsspec_xrootd.XRootDFileSystem", "fsspec-xrootd", " (root:// is the protocol of xrootd)"
    ),
    "s3": {"class": "s3fs.S3FileSystem", "err": s3_msg},
    "s3a": {"class": "s3fs.S3FileSystem", "err": s3_msg},
    "sftp": _own_class("sftp.SFTPFileSystem", "paramiko", extra="sftp"),
    "simplecache": _own_class("cached.SimpleCacheFileSystem"),
    "smb": _own_class("smb.SMBFileSystem", "smbprotocol", extra="smb"),
    "ssh": _own_class("sftp.SFTPFileSystem", "paramiko", extra="ssh"),
    "tar": _own_class("tar.TarFileSystem"),
    "tos": _class_of_package("tosfs.TosFileSystem"),
    "tosfs": _class_of_package("tosfs.TosFileSystem"),
    "wandb": _class_of_package("wandbfs.WandbFS"),
    "webdav": _class_of_package("webdav4.fsspec.WebdavFileSystem"),
    "webhdfs": _own_class("webhdfs.WebHDFS", "requests"),
    "zip": _own_class("zip.ZipFileSystem"),
}
assert list(_BUILT_IN) == sorted(_BUILT_IN)


class _Known(dict[str, dict[str, str]]):
    """A dict that reads the entry points before anything else is done with it, then a plain one."""


def _reads_entries_first(method: Callable[..., T]) -> Callable[..., T]:
    @wraps(method)
    def looked(self: _Known, *args: Any, **kwargs: Any) -> T:
        if not _entries_read:
            _read_entries()
        return method(self, *args, **kwargs)

    return looked


_READ_FIRST = (
    "__contains__ __delitem__ __eq__ __getitem__ __ior__ __iter__ __len__ __ne__ __or__ __repr__ "
    "__reversed__ __ror__ __setitem__ clear copy get items keys pop popitem setdefault update values"
).split()
for _name in _READ_FIRST:
    setattr(_Known, _name, _reads_entries_first(getattr(dict, _name)))

known_implementations: dict[str, dict[str, str]] = _Known(_BUILT_IN)
"""By protocol: "class", where to import it from; "err", what to do if that fails."""

_entries_read = False
_OLD_S3FS = ("0.0.", "0.1.", "0.2.", "0.3.", "0.4.")


def register_implementation(
    name: str, cls: type[AbstractFileSystem] | str, clobber: bool = False, errtxt: str | None = None
) -> None:
    """Register a class for a protocol.

    Parameters
    ----------
    name
        the protocol; one letter before "://" is a drive, and begins no URL.
    cls
        the class, or where to import it from: "package.module.Class" or
        "package.module:Class".
    clobber
        replace another class that serves the protocol; otherwise that is a ValueError.
    errtxt
        what users are to do if the import fails.
    """
    if not isinstance(name, str):
        raise TypeError(f"a protocol is text, not {name!r}: register each of several by itself")
    if not callable(cls) and not isinstance(cls, str):
        raise TypeError(
            f"for the protocol {name!r} a class is needed, or where to import it from, not {type_name(cls)}"
        )
    if isinstance(cls, str):
        if not all(cls.replace(":", ".").rpartition(".")):
            raise ValueError(f"for the protocol {name!r} 'package.module.Class' is needed, not {cls!r}")
        entry = known_implementations.get(name)
        if entry is not None and entry["class"] != cls and not clobber:
            raise ValueError(f"the protocol {name!r} is served by {entry['class']}; clobber=True replaces it")
        if entry is None or entry["class"] != cls:
            _registry.pop(name, None)
        elif errtxt is None or not clobber:
            return
        advice = errtxt or f"{cls} cannot be imported, which serves the protocol {name!r}"
        known_implementations[name] = {"class": cls, "err": advice}
        return
    present = _registry.get(name)
    if present is not None and present is not cls and not clobber:
        raise ValueError(f"the protocol {name!r} is served by {present.__name__}; clobber=True replaces it")
    _registry[name] = cls


def process_entries() -> None:
    """Register what installed packages announce under the entry point group ``fsspec.specs``."""
    for name, cls, advice in _announced():
        register_implementation(name, cls, errtxt=advice, clobber=True)


def _announced() -> list[tuple[str, str, str]]:
    """Protocol, class and advice of each entry point."""
    from importlib import metadata

    found: Any = metadata.entry_points()
    group = "fsspec.specs"
    points = found.get(group, ()) if type(found) is dict else found.select(group=group)
    text = "the entry point {!r} names {}, which cannot be imported"
    return [(p.name, p.value.replace(":", "."), text.format(p.name, p.value)) for p in points]


def _read_entries() -> None:
    """Add the entry points, once; two threads that do so at the same time add the same."""
    global _entries_read
    from fsspec._entry_points import may_announce

    if may_announce("fsspec.specs"):
        for name, cls, advice in _announced():
            dict.__setitem__(known_implementations, name, {"class": cls, "err": advice})
    _entries_read = True
    for name in _READ_FIRST:
        with suppress(AttributeError):  # another thread was faster
            delattr(_Known, name)


def available_protocols() -> list[str]:
    """The protocols that are known, whether or not what they need is installed."""
    return [*{**known_implementations, **_registry}]


def _import_class(fqp: str, failing: str = "") -> type[AbstractFileSystem]:
    """The class at "package.module.Class" or "package.module:Class".

    ``failing`` begins the text of the error if the module has no such class.
    """
    from importlib import import_module

    separator = ":" if ":" in fqp else "."
    module, _, names = fqp.rpartition(separator)
    found: Any = import_module(module)
    if fqp == "s3fs.S3FileSystem" and getattr(found, "__version__", "").startswith(_OLD_S3FS):
        import warnings

        warnings.warn(f"s3fs {found.__version__} is much slower than 0.5 and later; update it", stacklevel=2)
    for name in names.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            close = similar(name, [known for known in dir(found) if not known.startswith("_")])
            meant = f". Did you mean {close!r}?" if close else ""
            raise AttributeError(f"{failing}{error}{meant}") from None
    if not isinstance(found, type):
        raise TypeError(f"{fqp} is not a class")
    return found


def get_filesystem_class(protocol: str | None) -> type[AbstractFileSystem]:
    """The class that serves a protocol, imported if need be.

    Raises
    ------
    ValueError
        the protocol is not known.
    TypeError
        what was registered for it is not a class of a filesystem.
    ImportError
        what it needs is not installed; the message says what to install.
    """
    name = protocol or default
    cls = registry.get(name)
    if cls is None:
        cls = _loaded(name)
    # a class that does not say what it serves: that is the first protocol it is looked up by
    if getattr(cls, "protocol", None) in ("abstract", ("abstract",), None):
        try:
            cls.protocol = name
        except (AttributeError, TypeError):
            raise TypeError(
                f"{cls!r} was registered for the protocol {name!r}; a subclass of AbstractFileSystem is"
                " needed, or where to import it from"
            ) from None
    return cls


def _loaded(name: str) -> type[AbstractFileSystem]:
    """The class of a protocol, imported and registered."""
    entry = known_implementations.get(name)
    if entry is None and "::" in str(name):
        raise ValueError(
            f"Protocol not known: {name} is a chain, whose URL fsspec.open and fsspec.url_to_fs take"
        )
    if entry is None:
        raise ValueError(
            f"Protocol not known: {name}.{_similar(name)} If a package serves it, install it, or announce"
            " its class with fsspec.register_implementation. fsspec.available_protocols() has those there are"
        )
    try:
        cls = _import_class(entry["class"], f"the protocol {name} cannot be used: {_naming(entry)}: ")
    except ImportError as error:
        advice = entry.get("err")
        if advice is None:
            raise
        if name in ("hdfs", "arrow_hdfs"):  # that may lack a library outside Python
            raise type(error)(f"{advice} ({error})", name=error.name) from error
        if not _is_of_a_package(error):
            advice = f"the protocol {name} cannot be used: the import of {entry['class']} fails"
        raise ImportError(f"{_advice_for(advice, error)} ({error})", name=error.name) from error
    register_implementation(name, cls, clobber=True)
    return cls


def _naming(entry: dict[str, str]) -> str:
    """What names the class of an entry, and that it cannot be imported."""
    advice = entry.get("err") or ""
    return advice if advice.startswith("the entry point") else f"the import of {entry['class']} fails"


def _similar(name: str) -> str:
    """What may have been meant by a protocol that is not known."""
    if not isinstance(name, str):
        return " A protocol is text."
    typed = name.partition("://")[0].lower()
    found = similar(typed, known_implementations, 0.7 if len(typed) > 2 else 0.5)
    return f" Did you mean {found!r}?" if found else ""


def _is_of_a_package(error: ImportError) -> bool:
    """Whether a package is missing; else one that is installed cannot be imported."""
    missing = (error.name or "").partition(".")[0]
    return isinstance(error, ModuleNotFoundError) and missing not in sys.stdlib_module_names


def _advice_for(advice: str, error: ImportError) -> str:
    """Advice that names all a class needs, cut to the package that is missing."""
    needs, separator, how = advice.partition(": ")
    cls, needed, packages = needs.partition(" needs ")
    missing = (error.name or "").partition(".")[0]
    if needed and separator and " and " in packages and missing in packages.split(" and "):
        return f"{cls} needs {missing}, which is not installed: {how}"
    return advice


def filesystem(protocol: str, **storage_options: Any) -> AbstractFileSystem:
    """A filesystem for a protocol.

    Parameters
    ----------
    protocol
        "file", "memory", "s3", ...
    **storage_options
        for the class that serves it, ``help(fsspec.get_filesystem_class(protocol))`` lists them; the same
        options give the same instance.
    """
    if protocol == "arrow_hdfs":
        import warnings

        warnings.warn(
            "the protocol arrow_hdfs is an old name of hdfs, which takes its place",
            DeprecationWarning,
            stacklevel=2,
        )
    fs: AbstractFileSystem = get_filesystem_class(protocol)(**storage_options)
    return fs
