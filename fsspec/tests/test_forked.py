"""What `fsspec._checks.forked` says of a child."""

import os

import pytest

from fsspec.tests.programs import run

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")


@pytest.mark.parametrize("there", [True, False])
def test_a_child_without_a_problem(there):
    """Also on systems without waitid."""
    run(f"""
        import os
        from fsspec._checks.forked import by_fork
        if not {there}:
            del os.waitid
        report = by_fork(lambda: None)
        assert (report.code, report.result, report.problem()) == (0, "done", "")
    """)


def test_what_goes_wrong_is_reported():
    run("""
        import sys
        from fsspec._checks.forked import by_fork
        assert by_fork(lambda: "a word of its own").problem() == "a word of its own"
        assert "noise: heard" in by_fork(lambda: print("heard", file=sys.stderr)).problem()
        assert "ZeroDivisionError" in by_fork(lambda: 1 // 0 and None).problem()
        assert "exit code 5" in by_fork(lambda: sys.exit(5)).problem()
    """)


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="nobody counts who waits")
def test_a_child_that_waits_at_its_end_is_told_from_one_that_works():
    run("""
        import atexit, time
        from fsspec._checks.forked import by_fork

        def busy():
            end = time.process_time() + 1.2
            while time.process_time() < end:
                pass

        assert by_fork(lambda: atexit.register(busy) and None).problem() == ""
        problem = by_fork(lambda: atexit.register(time.sleep, 1.2) and None).problem()
        assert problem.startswith("waited ") and problem.endswith(" s before it ended"), problem
    """)
