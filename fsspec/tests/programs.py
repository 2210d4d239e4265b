"""Small programs of a process of their own, for tests that fork."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

LIMIT = 60  # seconds; what hangs is killed

FORKED = """
    def forked(body=lambda: None, fork=None):
        "The code that a child ended with; what its body raises is told on stderr."
        import os, signal
        pid = (fork or os.fork)()
        if not pid:
            signal.alarm(30)
            code = 1
            try:
                body()
                code = 0
            except BaseException:
                import traceback
                traceback.print_exc()
            finally:
                os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
"""
"""A function for such programs, to be put into their text."""


def run(text: str, **environment: str) -> str:
    """Run Python text with warnings as errors; it must end well and say nothing on stderr.

    Returns
    -------
    str
        what it printed
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(text)],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        env={**os.environ, **environment},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
