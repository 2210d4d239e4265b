"""What is taken out, by exact pieces of source, and who is to notice."""

from __future__ import annotations

from dataclasses import dataclass

TESTS = "fsspec/tests/fork"
MATRIX = f"{TESTS}/test_matrix.py::test_child_and_parent_are_as_they_should_be"
LOCKS = f"{TESTS}/test_locks.py"
HOOKS = f"{TESTS}/test_hooks.py"


@dataclass(frozen=True)
class Edit:
    """A piece of a file, which must occur in it once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Guard:
    """A guard, the edits that remove it, and tests of which at least one must fail then."""

    name: str
    what: str
    edits: tuple[Edit, ...]
    tests: tuple[str, ...]


def _matrix(*columns: str) -> tuple[str, ...]:
    return tuple(f"{MATRIX}[{column}]" for column in columns)


GUARDS = (
    Guard(
        "covering",
        "a child closes or covers every descriptor of the loops that it inherits",
        (
            Edit(
                "fsspec/_loop/abandoning.py",
                "    if sock is not None:\n        fd = sock.detach()\n"
                "        if unchanged(fd):\n            os.close(fd)\n",
                "    return\n",
            ),
            Edit(
                "fsspec/_fork/sockets.py",
                "        with suppress(OSError):\n            try:\n                if self._fd < 0:",
                "        return\n        with suppress(OSError):\n            try:\n"
                "                if self._fd < 0:",
            ),
            Edit(
                "fsspec/_loop/abandoning.py",
                "    if unchanged(fd):\n        epoll.close()\n",
                "    if False:\n        epoll.close()\n",
            ),
        ),
        (
            f"{TESTS}/test_wire.py::test_the_server_sees_the_parents_close_while_a_child_lives[http-neither]",
            f"{TESTS}/test_wire.py::test_a_child_holds_no_connection_of_the_parent[opted]",
            f"{TESTS}/test_wire.py::test_descriptors_stay_as_many_over_generations[opted]",
        ),
    ),
    Guard(
        "abandoning",
        "the inherited loop answers that it is closed, and does nothing more",
        (
            Edit(
                "fsspec/_loop/abandoning.py",
                "    assign(other, abandoned_class(type(other)))\n",
                "",
            ),
        ),
        (
            f"{TESTS}/test_wire.py::test_no_end_of_a_child_reaches_the_server[https-neither]",
            f"{TESTS}/test_by_hand.py::test_hand_made_fixes_of_programs_keep_working[opted]",
        ),
    ),
    Guard(
        "keeping",
        "tasks, transports and states of the parent are never collected in a child",
        (
            Edit(
                "fsspec/_fork/hooks.py",
                "    prepare_to_immortalize()\n    _immortal.append(obj)\n",
                "    pass\n",
            ),
        ),
        (
            f"{LOCKS}::test_no_end_of_the_parents_tasks_runs_in_a_child[collect-neither]",
            f"{LOCKS}::test_no_end_of_the_parents_tasks_runs_in_a_child[exit-opted]",
            f"{TESTS}/test_in_flight.py::test_a_request_goes_on_whatever_children_do"
            "[http-neither-half the body]",
        ),
    ),
    Guard(
        "finalizers",
        "finalizers do nothing outside the process that made their object",
        (
            Edit(
                "fsspec/_fork/owned.py",
                "        if made_in == hooks.generation and hooks.pid == os.getpid():\n",
                "        if True:\n",
            ),
            Edit(
                "fsspec/_fork/owned.py",
                "        if os.getpid() != hooks.pid or not is_mine(self):\n            return None\n",
                "",
            ),
        ),
        (
            f"{LOCKS}::test_finalizers_run_in_the_process_that_made_the_object[drop-opted]",
            *_matrix("simplecache/fork/neither"),
        ),
    ),
    Guard(
        "locks",
        "a child has new locks: fsspec's, the instance cache's, that of the revivals",
        (
            Edit(
                "fsspec/_fork/owned.py",
                "        hooks.immortalize([self._held_object, self._renewal_lock])\n"
                "        self._renew_object()\n",
                "        pass\n",
            ),
            Edit(
                "fsspec/_fork/instances.py", " or cls._fsspec_lock_generation != hooks.generation:\n", ":\n"
            ),
        ),
        (
            f"{LOCKS}::test_a_lock_held_by_another_thread_stops_no_child[fsspec's lock-neither]",
            f"{LOCKS}::test_a_lock_held_by_another_thread_stops_no_child[the instance cache's lock-opted]",
        ),
    ),
    Guard(
        "writers",
        "a file being written belongs to the process that opened it",
        (
            Edit(
                "fsspec/_files/buffered.py",
                "        if is_ours(type(self)):  # registered only if opened for writing\n",
                "        return\n        if is_ours(type(self)):\n",
            ),
            Edit(
                "fsspec/_files/local_raw.py",
                "        if is_mine(self):\n            return True\n",
                "        return True\n",
            ),
            Edit(
                "fsspec/_files/local_file.py",
                "        if self._inherited_writer():\n"
                '            refuse(self, f"{self!r}, open for writing,", ADVICE.format(what))\n',
                "",
            ),
        ),
        _matrix("s3-writing/fork/opted", "s3-parts/fork/opted", "local-writing/fork/neither"),
    ),
    Guard(
        "staleness",
        "an inherited instance is not used before it is revived, or refuses",
        (
            Edit(
                "fsspec/_fork/instances.py",
                "    assign(fs, variant(type(fs), _Stale))\n",
                "    pass\n",
            ),
        ),
        _matrix("http/fork/opted", "http-awaited/fork/neither"),
    ),
    Guard(
        "quiescence",
        "before a fork the loops come to rest",
        (
            Edit(
                "fsspec/_loop/forking.py",
                "    for io in list(_io_threads):\n"
                "        if io.hold() or io.ask():\n            _resting.append(io)\n",
                "",
            ),
        ),
        (f"{LOCKS}::test_a_process_that_opted_in_forks_with_one_thread",),
    ),
    Guard(
        "catching up",
        "a fork is noticed where its hooks may not have run",
        (
            Edit(
                "fsspec/_fork/hooks.py",
                "    if not ready[0]:\n",
                "    if False:\n",
            ),
        ),
        _matrix("http/C/neither", "local-writing/C/opted"),
    ),
    Guard(
        "hooks of the child alone",
        "a fork whose earlier hooks did not run is noticed by that of the child",
        (
            Edit(
                "fsspec/_fork/hooks.py",
                "    if not _advanced or os.getpid() != ready_pid:\n        if not",
                "    if not _advanced:\n        if not",
            ),
        ),
        (f"{HOOKS}::test_hooks_of_the_child_alone_are_enough",),
    ),
    Guard(
        "first things of a child",
        "what a child makes before anything noticed the fork is its own",
        (
            Edit(
                "fsspec/_fork/owned.py",
                "        hooks.check()\n    try:\n        obj._fork_generation = hooks.generation\n",
                "        pass\n    try:\n        obj._fork_generation = hooks.generation\n",
            ),
        ),
        (f"{HOOKS}::test_a_child_that_a_library_of_c_forked_may_begin_with_anything[1-cleared]",),
    ),
    Guard(
        "downloads",
        "a child forked within a download removes and renames no file of its parent's",
        (
            Edit(
                "fsspec/_plans/transfer_batches.py",
                "        if not is_mine(self):\n            return\n",
                "",
            ),
        ),
        ("fsspec/tests/test_transfers.py::test_a_child_forked_within_a_download_leaves_its_files",),
    ),
    Guard(
        "interrupted catching up",
        "a signal that ends the catching up with a fork leaves nothing out",
        (
            Edit(
                "fsspec/_fork/hooks.py",
                "        if os.getpid() != pid or (held and not ready[0]):\n",
                "        if os.getpid() != pid:\n",
            ),
        ),
        (f"{HOOKS}::test_a_signal_while_a_fork_without_hooks_is_caught_up_with_leaves_nothing_undone",),
    ),
    Guard(
        "connections of derived classes",
        "the sockets of clients that a class makes in its own way are covered in a child",
        (
            Edit(
                "fsspec/implementations/_remote/link.py",
                "                self._connect()\n                self._watch()\n",
                "                self._connect()\n",
            ),
        ),
        (
            "fsspec/implementations/tests/test_remote_forks.py"
            "::test_the_server_sees_what_the_parent_closes[FTPServer()-True]",
        ),
    ),
    Guard(
        "signals",
        "what the main thread blocks comes to no thread of ours",
        (Edit("fsspec/_loop/io_thread.py", "        signals.start(thread)\n", "        thread.start()\n"),),
        (
            "fsspec/tests/test_signals.py"
            "::test_a_signal_that_the_program_blocks_comes_to_no_thread_of_ours[15]",
        ),
    ),
    Guard(
        "signals of a child",
        "a child forked by a thread of ours receives signals",
        (Edit("fsspec/_fork/hooks.py", "    signals.unblock_in_child()\n", ""),),
        ("fsspec/tests/test_signals.py::test_a_child_forked_by_a_thread_of_ours_receives_signals[loop]",),
    ),
    Guard(
        "locks of authors",
        "a child is not forked while another thread is inside a library that a ForkLock guards",
        (
            Edit(
                "fsspec/_fork/fork_lock.py",
                "    return [*_of_authors.live(), *_locks]",
                "    return list(_locks)",
            ),
            Edit(
                "fsspec/_fork/fork_lock.py",
                "hooks.at_fork(before=wait_for_authors)",
                "wait_for_authors = _in_parent",
            ),
        ),
        (
            f"{TESTS}/test_fork_lock.py"
            "::test_a_fork_waits_for_a_block_of_another_thread_and_the_lock_is_free_in_both",
        ),
    ),
)
