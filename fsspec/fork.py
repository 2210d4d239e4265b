"""Forks: what programs do so that what was opened before one works after it, and what backends find here.

A program is started with ``FSSPEC_FORK_RESET=1`` in its environment. One that cannot be has each child
call `reset_after_fork`, which is also ``fsspec.asyn.reset_after_fork``, before anything else::

    torch       DataLoader(..., worker_init_fn=fsspec.fork.reset_after_fork)
    pools       Pool(initializer=fsspec.fork.reset_after_fork), ProcessPoolExecutor likewise
    gunicorn    post_fork = fsspec.fork.reset_after_fork       # in gunicorn.conf.py
    celery      celery.signals.worker_process_init.connect(fsspec.fork.reset_after_fork)
    others      fsspec.fork.reset_after_fork()                 # first in the function that the child runs

A file that is being written belongs to the process that opened it; open others in children.
``python -m fsspec.doctor`` says what is wrong with an environment, ``python -m fsspec.forkcheck URL``
whether a backend can be used so. The whole guide, with more programs, is ``docs/fork.rst`` of the sources.

For those who write backends and what builds on them: an object that holds something of the operating
system's, or waits for a thread, has to be notified when the process forks.  What this package does for
that itself is here:

* `register`: an object's ``_after_fork_in_child`` is called in each child;
* `Owned`: a resource that each process makes for itself;
* `ForkLock`: a fork waits while a thread is inside a library such as SQLite;
* `own`, `is_mine` and `refuse`: whose an object is, asked when it is used;
* `owner_only` and `finalize`: finalizers that do nothing outside the process of their object;
* `watch_socket`: a child does not hold that connection open, and cannot reach the peer by it;
* `generation`: an integer that a child advances;
* `keep_forever`: what a child must never finalize;
* `Facts` and `learn`: what is known of classes and modules that cannot be changed.

A program may also catch `ForkError`, and begin with `require`.
"""

from __future__ import annotations

from fsspec import config
from fsspec._fork import hooks, instances
from fsspec._fork.class_facts import Facts, facts_of, learn
from fsspec._fork.fork_lock import ForkLock
from fsspec._fork.hooks import at_fork
from fsspec._fork.hooks import immortalize as keep_forever
from fsspec._fork.owned import Owned, finalize, is_mine, own, owner_only, refuse, register
from fsspec._fork.sockets import watch as watch_socket
from fsspec._public import publish
from fsspec.exceptions import ForkError

__all__ = [
    "Facts",
    "ForkError",
    "ForkLock",
    "MODES",
    "Owned",
    "at_fork",
    "facts_of",
    "finalize",
    "generation",
    "is_mine",
    "keep_forever",
    "learn",
    "mode",
    "own",
    "owner_only",
    "refuse",
    "register",
    "require",
    "reset_after_fork",
    "watch_socket",
]
publish(__name__)

MODES = {
    "opted in": "FSSPEC_FORK_RESET=1 is set: what a child inherited works there",
    "by hand": "it is not, and the child has called reset_after_fork(): the same from then on",
    "neither": "the use of what was inherited and connects raises ForkError",
}
"""The three ways in which a program may treat what a child inherits."""


def mode() -> str:
    """Which of `MODES` this process is in; in a process that was not forked, what its children will be in."""
    if hooks.was_opted_in or hooks.opted_in():
        return "opted in"
    return "by hand" if instances._allowed() else "neither"


def generation() -> int:
    """How many forks lie between the process that imported fsspec and this one.

    An object that remembers it when it is made can find whether it was inherited.
    """
    hooks.check()
    return hooks.generation


def reset_after_fork(server: object = None, worker: object = None, **others: object) -> bool:
    """Make everything that this process inherited through a fork usable in it.

    See `fsspec.asyn.reset_after_fork`, which is the same and has the same parameters.
    """
    hooks.check()
    return instances.reset_inherited()


def require(*, opted_in: bool = True) -> None:
    """Make sure, at the start of a program, that what its children inherit will work.

    Upstream's package has no module ``fsspec.fork``, so that the import fails there.

    Parameters
    ----------
    opted_in
        also that the program has opted in; False for one that calls `reset_after_fork` in its
        children.

    Raises
    ------
    RuntimeError
        it will not: something is wrong with the installation, or the program did not opt in. The
        text says what to do.
    """
    from fsspec.doctor import Diagnosis, check_installation  # only if it is asked for

    found = Diagnosis()
    check_installation(found)
    wrong = [f"{finding.text}: {finding.fix}" for finding in found.findings if finding.level == "problem"]
    if opted_in and not hooks.opted_in():
        wrong.append(
            f"{config.doubt_about_forks()}inherited handles will not work in children: set"
            " FSSPEC_FORK_RESET=1 before the start, or, in a program that calls reset_after_fork in its"
            " children, ask for require(opted_in=False)"
        )
    if wrong:
        raise RuntimeError("; ".join(wrong))
