"""What authors of a backend, and its users, are to do: one text for each kind of fault.

`fsspec.forkcheck` and the tests of `AbstractForkTests` use the same.
"""

from __future__ import annotations

import os
import re
import sys

NOT_TRIED = "not tried"
"""The beginning of the note of a trial that was left out; it is neither a success nor a failure."""
SHARES = "shares the parent's connection"
FILE_SHARES = f"the file {SHARES}"


def located(problem: str, cls: type) -> str:
    """The text of a problem; if a child hung, with the innermost frame of the backend in its stacks."""
    first, stacks, rest = problem.partition("hung\n")
    home = getattr(sys.modules.get(cls.__module__), "__file__", None)
    if first or not stacks or not home:
        return problem
    folder = os.path.dirname(home) + os.sep if "." in cls.__module__ else home
    for path, line, name in re.findall(r'^  File "(.*)", line (\d+) in (.*)$', rest, re.MULTILINE):
        if path.startswith(folder):
            return f"hung in {os.path.basename(path)}, line {line}, in {name}\n{rest}"
    return problem


def advise(note: str, cls: type, outside: bool = False, file: type | None = None) -> str:
    """What to do about a fault; empty if there is nothing to say.

    Parameters
    ----------
    cls
        the class of the filesystem.
    outside
        whether a module or a class has the connection: see `fsspec._checks.forked.shared_by_instances`.
    file
        the class of the file, if what it holds is the fault.
    """
    noise = "noise" in note
    if NOT_TRIED in note:
        return ""
    if file is not None and not noise:
        return (
            f"{_advice_for_file(file, cls)}. Until then close files before the program forks, and open them"
            " in the child"
        )
    if outside and not noise:
        remedy = (
            "Its authors make it in the instance, when it is first needed, on the loop that runs then"
            if getattr(cls, "async_impl", False)
            else "Its authors keep it in a fsspec.fork.Owned and call fsspec.fork.watch_socket for its socket"
        )
        return (
            f"a connection outlives the instances of {cls.__name__}: a module or a class has it, so that a"
            f" new instance in the child uses the parent's as well. {remedy}. Until then use it only in"
            " workers that are started by spawn, or first of all in the child"
        )
    declares = getattr(cls, "_fork_sensitive", False)
    if SHARES in note and declares:
        return (
            f"children do not use the connection of {cls.__name__}, which declares it, but hold it open: the"
            " server does not see it when the parent closes it. Its authors call fsspec.fork.watch_socket for"
            " each socket as it is made. Until then end the children first, or make instances in them"
        )
    if SHARES in note:
        return (
            f"{cls.__name__} shares its connection with forked children and does not say so. Its authors"
            f" write _fork_sensitive = True into the class {cls.__name__}, or keep the connection in a"
            " fsspec.fork.Owned, and call fsspec.fork.watch_socket for its socket. Until then call, before"
            f' the first instance is made, fsspec.fork.learn("{cls.__module__}:{cls.__qualname__}",'
            " fsspec.fork.Facts(holds=True)), so that children only hold it open, or make instances in the"
            " child"
        )
    if "child: hung" in note:
        undeclared = "" if declares else "write _fork_sensitive = True into the class, or "
        return (
            "the child waits for a lock or thread that the instance inherited: threads do not cross a fork."
            f" Its authors {undeclared}keep the lock or pool in a fsspec.fork.Owned, or renew it in"
            " _after_fork_in_child, and call fsspec.fork.register. Until then make the instance in the child"
            " (skip_instance_cache=True)"
        )
    if "file being written" in note:
        return "close files that are being written before the program forks, and open them in the child"
    if "parent" in note and declares:
        return (
            f"the parent failed, and no connection was found that children of {cls.__name__} share with it:"
            " look what the server logs, and whether the same fails in a program that does not fork"
        )
    if "parent" in note:
        return (
            "child and parent share a connection: make the instance in the child, or start workers by"
            " spawn; authors of the backend set _fork_sensitive = True in its class"
        )
    if "Unclosed" in note:
        return (
            "the backend leaves the session of an instance open that is collected or alive at the end: its"
            " authors close it by fsspec.fork.finalize"
        )
    return (
        "the fault is the backend's, and none of the program's: report it. Its authors keep clients in the"
        " instance, not in modules or classes, derive files from AbstractBufferedFile or give them"
        " __setstate__, and find in python -m pydoc fsspec.fork what else there is"
    )


def _advice_for_file(file: type, opener: type) -> str:
    """The advice for files that hold a connection or a lock of their own."""
    name = file.__qualname__
    return (
        f"{name}, which {opener.__qualname__} opens, holds a connection or a lock of its own, and"
        " _fork_sensitive in the class of the filesystem does not speak for it. Its authors make the client"
        f" in {name} by fsspec.fork.Owned, so that each process has another, and call"
        " fsspec.fork.watch_socket for its socket; locks they renew in _after_fork_in_child, and call"
        " fsspec.fork.register"
    )
