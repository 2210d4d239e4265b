"""Batches of transfers, of one file each: their callbacks, and what a failed download leaves.

After a failed download there is no file, or the old one unchanged. Awaited downloads begin with the folders
of all targets, which stay; blocking ones make a folder once there is something to put into it, or, if
a backend of another package writes there, before, and remove it if a failure leaves nothing in it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from fsspec._files.replacing import (
    file_state,
    make_folders,
    making_folders,
    name_beside,
    name_target,
    take_place,
)
from fsspec._fork.owned import is_mine, own
from fsspec._overriding import with_those_behind
from fsspec._plans import Plan, call, local
from fsspec._plans.listing import together
from fsspec.callbacks import DEFAULT_CALLBACK, Callback, NoOpCallback

if TYPE_CHECKING:
    from fsspec._paths.types import Filesystem, Options


def in_rounds(fs: Filesystem, pairs: list[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """The pairs in groups that may be copied concurrently. If several sources have one target the last one
    wins; concurrent copies would overwrite each other."""
    if not fs.async_impl:  # copied one after the other anyway
        return [pairs]
    rounds: list[list[tuple[str, str]]] = [[]]
    seen: dict[str, int] = {}
    for pair in pairs:
        number = seen[pair[1]] = seen.get(pair[1], -1) + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(pair)
    return rounds


Targets = tuple[dict[str, "tuple[int, ...] | None"], dict[str, str]]
"""The `file_state` of each target, and by target the names beside those that are written so."""


class Transfers:
    """Calls for pairs of paths, each with a child of the callback."""

    wrap: Callable[[Iterable[Any]], Iterable[Any]] | None = None
    """The ``wrap`` of the callback, which counts transfers when they begin; only blocking ones, as
    upstream."""

    def __init__(self, name: str, pairs: list[tuple[str, str]], callback: Callback, kwargs: Options) -> None:
        self.name = name
        self.pairs = pairs
        self.callback = callback
        self.kwargs = kwargs
        self.under_way: dict[int, Callback] = {}

    def run(self, fs: Filesystem, batch_size: int | None, return_exceptions: bool = False) -> Plan:
        """All of them; a list of what they return."""
        self.callback.set_size(len(self.pairs))
        if not with_those_behind(fs)[-1].async_impl:
            self.wrap = self.callback.wrap
        answers: list[Any] = []
        for self.pairs in in_rounds(fs, self.pairs):
            answers += yield from self.in_round(batch_size, return_exceptions)
        return answers

    def in_round(self, batch_size: int | None, return_exceptions: bool) -> Plan:
        try:
            how: Options = {
                "return_exceptions": return_exceptions,
                "batch_size": batch_size,
                "nofiles": False,
            }
            return (yield from together(self.calls(), len(self.pairs), done=self.done, **how))
        finally:  # a failure, or the plan was left
            for position in list(self.under_way):
                self.end(position, whole=False)

    def calls(self) -> Iterator[call]:
        is_watched = type(self.callback) is not NoOpCallback
        pairs = self.pairs if self.wrap is None else self.wrap(self.pairs)
        for position, (a, b) in enumerate(pairs):
            child = Callback.as_callback(self.callback.branched(a, b, **self.kwargs) if is_watched else None)
            self.under_way[position] = child
            if is_watched:
                child.__enter__()
            yield call(self.name, a, self.written_for(b), callback=child, **self.kwargs)

    def written_for(self, target: str) -> str:
        """The name that the other side is given for a target."""
        return target

    def done(self, position: int, result: object) -> None:
        self.end(position, whole=not isinstance(result, BaseException))

    def end(self, position: int, whole: bool) -> None:
        child = self.under_way.pop(position)
        if child is not DEFAULT_CALLBACK:
            child.__exit__(None, None, None)
        if self.wrap is None:
            self.callback.relative_update(1)


cache_asks: ContextVar[list[Any] | None] = ContextVar("cache_asks", default=None)
"""Set if `get` is a cache's, which blocks: awaited downloads do not begin with their folders, either. What
names no file is added to the list."""


class Downloads(Transfers):
    """Transfers to this machine: a failed one leaves no file, and an existing file unchanged."""

    making = True  # the folders of all targets, before the first download
    late = False  # else each folder is made right before its file is asked for; late: see `making_folders`
    beside_each = False  # whether an existing target is written under another name
    prepared: Targets | None = None  # of the only group

    def run(self, fs: Filesystem, batch_size: int | None, return_exceptions: bool = False) -> Plan:
        self.before, self.beside = self.prepared or ({}, {})
        self.failed: list[str] = []
        self.made: list[str] = []  # folders that were not there, those above before those in them
        own(self)
        try:
            with making_folders({target for _, target in self.pairs}) if self.late else nullcontext():
                return (yield from super().run(fs, batch_size, return_exceptions))
        except GeneratorExit:  # the plan is left, and cannot ask for anything more
            self.finish()
            raise
        except BaseException as error:  # an interrupt, too, leaves no part of a file
            self.name_target(error)
            yield local(self.finish)
            raise

    def in_round(self, batch_size: int | None, return_exceptions: bool) -> Plan:
        if self.prepared is None:
            prepared: Targets = yield local(prepare_targets, self.pairs, self.making, self.beside_each)
            self.before, self.beside = prepared
        answers = yield from super().in_round(batch_size, return_exceptions)
        if self.failed or self.beside:
            yield local(self.finish)
        return answers

    def written_for(self, target: str) -> str:
        if not (self.making or self.late):  # what is in the way of the folder is what the download will raise
            missing = [folder := os.path.dirname(target.rstrip("/"))]
            while not os.path.lexists(missing[-1]) and (above := os.path.dirname(missing[-1])) != missing[-1]:
                missing.append(above)
            self.made += missing[-2::-1]
            with suppress(FileExistsError, NotADirectoryError):
                make_folders(folder)
        return self.beside.get(target, target)

    def done(self, position: int, result: object) -> None:
        self.name_target(result)
        super().done(position, result)

    def end(self, position: int, whole: bool) -> None:
        super().end(position, whole)
        if not whole:
            self.failed.append(self.pairs[position][1])

    def name_target(self, error: object) -> None:
        """Make an error name the target, not the temporary file beside it."""
        for path, partial in self.beside.items():
            if isinstance(error, OSError) and partial in (error.filename, error.filename2):
                name_target(error, partial, path)

    def finish(self) -> None:
        """Rename the files written beside their targets. Remove files of failed downloads; untouched files,
        and what is not a regular file, stay. In a forked child nothing is done: the files are the
        parent's."""
        if not is_mine(self):
            return
        failed, beside, self.failed, self.beside = self.failed, self.beside, [], {}
        for path in failed:
            if path in beside:
                with suppress(OSError):
                    os.unlink(beside.pop(path))
        with ExitStack() as stack:  # all of them, even if one raises
            for path, partial in beside.items():
                stack.callback(take_place, partial, path)
        for path in failed:
            real = os.path.realpath(path)
            if os.path.isfile(real) and file_state(real) != self.before[path]:
                with suppress(OSError):  # the error of the transfer is the one to raise
                    os.unlink(real)
        for folder in reversed(self.made if failed else ()):
            with suppress(OSError):  # there is something in it
                os.rmdir(folder)


_WHOLE = ("fsspec.spec", "fsspec.asyn", "fsspec.generic", "fsspec.implementations.")
"""Modules of filesystems that never leave a partial download."""


def writes_in_place(chain: list[Filesystem]) -> bool:
    """Whether a backend of another package writes downloads; ``chain``: see `with_those_behind`."""
    methods = [getattr(type(fs), "_get_file" if fs.async_impl else "get_file") for fs in chain]
    return not all((method.__module__ or "").startswith(_WHOLE) for method in methods)


def prepare_targets(pairs: list[tuple[str, str]], making: bool, beside_each: bool) -> Targets:
    """What is at the targets, and where they are written; ``making`` makes their folders."""
    if making:
        for folder in {os.path.dirname(target): None for _, target in pairs}:
            make_folders(folder)  # with a slash at its end the target itself, as upstream
    # a slash at the end would have the system say that a file is not a folder
    before = {target: file_state(target.rstrip("/") or "/") for _, target in pairs}
    there = [target for target, state in before.items() if state] if beside_each else []
    return before, {target: name for target in there if (name := name_beside(target))}
