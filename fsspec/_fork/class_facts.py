"""A table of other packages' classes and modules: which of their state is valid after a fork.

Keys are ``"module:Class"``, which covers subclasses, or ``"module"`` for globals of a module.
A package can add a table by an entry point of the group ``fsspec.fork``, or entries by
`learn`; these take precedence over the table here.

Classes of this package need no entry: they have ``_fork_sensitive``, ``_fork_keeps`` and
``_after_fork_in_child``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import copy
from functools import wraps
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Any, NamedTuple, cast

from fsspec._entry_points import may_announce
from fsspec._fork import hooks
from fsspec._paths.paths import type_name
from fsspec.exceptions import ForkError

ENTRY_POINTS = "fsspec.fork"


class Facts(NamedTuple):
    """How to handle a class, or the globals of a module, in a child.

    Attributes
    ----------
    holds
        instances of this blocking filesystem hold connections, and revive in a child
    keeps
        names of attributes that stay valid in a child, and are kept when the instance revives; an
        instance that the child makes with the same arguments begins with copies of them
    renews
        attributes (of a module: globals) that a child replaces: by name the import path of a
        function that makes the new value, or "" for None
    arguments
        of an open file: the attributes that its class is called with to open the same file again
    position
        of an open file: the attribute, by a path with dots, that holds the position
    starts
        names of methods that start a library in C, by the name of the library, which cannot
        start in a child once it has run in the parent; there they raise `ForkError`, as each use of
        an inherited open file does
    """

    holds: bool = False
    keeps: tuple[str, ...] = ()
    renews: Mapping[str, str] = {}
    arguments: tuple[str, ...] = ()
    position: str = ""
    starts: Mapping[str, str] = {}


NOTHING = Facts()

SHIPPED: dict[str, Facts] = {
    # The kind of each bucket is asked by gRPC, which cannot run in a child of a process where it ran.
    "gcsfs.extended_gcsfs:ExtendedGcsFileSystem": Facts(
        keeps=("_storage_layout_cache",),
        starts={"_get_control_plane_client": "gRPC", "_get_grpc_client": "gRPC"},
    ),
    # Its threads are tokio's, for which a child waits for ever.
    "obstore.fsspec:FsspecStore": Facts(
        starts=dict.fromkeys(
            (
                *("_cat_file", "_cat_ranges", "_cp_file", "_get_file", "_info", "_ls", "_open", "_pipe_file"),
                *("_put_file", "_rm_file", "modified"),
            ),
            "tokio",
        )
    ),
    "obstore.fsspec:BufferedFile": Facts(starts={"read": "tokio"}),
    # The thread that closes what is collected unclosed is not in the child.
    "gcsfs.core": Facts(renews={"_deferred_close_queue": "", "_deferred_close_lock": "threading:Lock"}),
    # Not an AbstractBufferedFile: the position and the channel are asyncssh's.
    "sshfs.file:SSHFile": Facts(arguments=("fs", "path", "mode"), position="_file._offset"),
    "huggingface_hub.hf_file_system:HfFileSystemStreamFile": Facts(
        renews={
            "response": "",
            "_stream_iterator": "",
            "_stream_buffer": "builtins:bytearray",
            "_exit_stack": "contextlib:ExitStack",
        }
    ),
    # Blocking classes with a pool of connections.
    "webdav4.fsspec:WebdavFileSystem": Facts(holds=True),
    "webdav4.fsspec:WebdavFile": Facts(arguments=("fs", "path", "mode"), position="loc"),
    "ocifs.core:OCIFileSystem": Facts(holds=True),
    "ossfs.core:OSSFileSystem": Facts(holds=True),
    "dropboxdrivefs.core:DropboxDriveFileSystem": Facts(holds=True),
    "gdrive_fsspec.core:GoogleDriveFileSystem": Facts(holds=True),
}

_learned: dict[str, Facts] = {}
_asked_packages = False


def _is_class(name: str) -> bool:
    """Whether a name with dots alone is that of a class of a loaded module."""
    module, _, cls = name.rpartition(".")
    return isinstance(getattr(sys.modules.get(module), cls, None), type)


def learn(name: str, facts: Facts) -> None:
    """Add an entry, which replaces what was known under ``name``.

    Parameters
    ----------
    name
        ``"module:Class"``, or ``"module"`` for globals that a child replaces.

    Raises
    ------
    TypeError
        ``facts``, or what they consist of, is of another type.
    ValueError
        ``name`` is that of a module, and ``facts`` are those of a class.
    """
    if not isinstance(name, str) or not isinstance(facts, Facts):
        raise TypeError(
            f"learn takes 'module:Class' and fsspec.fork.Facts(...), not {type_name(name)} and"
            f" {type_name(facts)}"
        )
    for field, value in facts._asdict().items():
        if isinstance(value, str) and field in ("keeps", "arguments"):
            raise TypeError(f"{field} of the Facts of {name!r} is text; ({value!r},) is a tuple of names")
        if not isinstance(value, Mapping) and field in ("renews", "starts"):
            raise TypeError(f"{field} of the Facts of {name!r} is a dict, not {type_name(value)}")
    if ":" not in name and (facts._replace(renews={}) != NOTHING or _is_class(name)):
        module, _, cls = name.rpartition(".")
        raise ValueError(
            f"{name!r} is the name of a module, of which renews alone is known: a class is named"
            f" '{module or 'module'}:{cls}'"
        )
    _learned[name] = facts
    _note_module(name, facts)


_renewed: list[str] = []  # loaded modules with globals that a child replaces; collected in the parent


def _note_module(name: str, facts: Facts) -> None:
    if facts.renews and ":" not in name and name not in _renewed:
        _renewed.append(name)


for _name, _facts in SHIPPED.items():
    _note_module(_name, _facts)


def _ask_packages() -> None:
    """Read the tables of installed packages, once, when a class of theirs is first met."""
    global _asked_packages
    if _asked_packages:
        return
    _asked_packages = True
    if not may_announce(ENTRY_POINTS):
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS):
        try:
            for name, facts in point.load().items():
                if name not in _learned:
                    learn(name, facts if isinstance(facts, Facts) else Facts(**facts))
        except Exception as error:  # a broken package must not hide the tables of others
            import warnings

            warnings.warn(f"entry point {point.value!r} of {ENTRY_POINTS}: {error!r}", stacklevel=2)


def _entry(name: str) -> Facts | None:
    return _learned.get(name) or SHIPPED.get(name)


def facts_of(cls: type) -> Facts:
    """The entry of a class, or of the first of its bases that has one; else `NOTHING`."""
    for base in cls.__mro__:
        found = _entry(f"{base.__module__}:{base.__qualname__}")
        if found is not None:
            return found
    return NOTHING


def is_ours(cls: type) -> bool:
    """Whether a class is this package's own."""
    module = cls.__module__
    return module.startswith("fsspec.") or module == "fsspec"


# filesystems ----------------------------------------------------------------------
def apply_facts(cls: type[Any]) -> None:
    """Set the fork attributes of a filesystem's class by the table, before its first instance is made."""
    cls._fork_introduced = True
    if is_ours(cls):
        return
    facts = facts_of(cls)
    if facts is NOTHING:
        _ask_packages()
        facts = facts_of(cls)
    if facts.holds:
        cls._fork_sensitive = True
    if facts.keeps:
        cls._fork_keeps = (*dict.fromkeys((*cls._fork_keeps, *facts.keeps)),)
    for name, library in facts.starts.items():
        for base in cls.__mro__:
            method = base.__dict__.get(name)
            if method is not None and not hasattr(method, "_fork_starts"):
                setattr(base, name, _starting(method, library))


def carry_over(fs: Any) -> None:
    """Copy what ``keeps`` names from an inherited instance to one made in a child with the same arguments."""
    names = facts_of(type(fs)).keeps
    if not names:
        return
    state, token = object.__getattribute__(fs, "__dict__"), fs._fs_token_
    for other in hooks.registered():
        if other is fs or not issubclass(type(other), type(fs)):
            continue
        known = object.__getattribute__(other, "__dict__")
        if known.get("_fs_token_") == token:
            state.update((name, copy(known[name])) for name in names if name in known)
            return


_running_in: dict[str, int] = {}  # by library: the generation of the process in which it was first started


def check_library(library: str, user: str) -> None:
    """Raise `ForkError` in a child of the process where a library ran. ``user``: what needs it."""
    hooks.check()
    generation = _running_in.setdefault(library, hooks.generation)
    if generation != hooks.generation:
        way_out = _WITHOUT.get(library, "start workers by spawn")
        raise ForkError(
            f"{library}, which {user} needs here,",
            hooks.owner_pid(generation),
            advice=f"{library} cannot run in a process forked from one in which it ran: {way_out}",
        )


def _starting(method: Callable[..., Any], library: str) -> Callable[..., Any]:
    """Wrap a method that starts a library: in a child of the process where it ran it raises."""

    @wraps(method)
    def start(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_library(library, type(self).__name__)
        return method(self, *args, **kwargs)

    @wraps(method)
    async def start_awaiting(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_library(library, type(self).__name__)
        return await method(self, *args, **kwargs)

    started: Any = start_awaiting if iscoroutinefunction(method) else start
    started._fork_starts = library  # a mark on the function
    return cast("Callable[..., Any]", started)


_WITHOUT = {
    "gRPC": "ask for the same bucket before the fork, or start workers by spawn",
    "tokio": "start workers by spawn, or use the store first in the children",
}


# modules --------------------------------------------------------------------------
def make_value(path: str) -> Any:
    """Call the function of an import path for a new value; None for an empty path."""
    if not path:
        return None
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)()


def _in_child() -> None:
    for name in _renewed:
        module, facts = sys.modules.get(name), _entry(name)
        if module is None or facts is None:
            continue
        state = vars(module)
        for attribute, path in facts.renews.items():
            if attribute in state:
                hooks.immortalize(state[attribute])
                state[attribute] = make_value(path)


hooks.at_fork(child=_in_child)
