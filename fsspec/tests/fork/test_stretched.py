"""Children of a process whose threads hold locks of C libraries nearly all the time.

``ci/sabotage --stretched`` does the same hundreds of times.
"""

import pytest

from fsspec.tests.fork import stretching
from fsspec.tests.fork.scripts import ROOT

if stretching.lacking():
    pytest.skip(stretching.lacking(), allow_module_level=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("trustme")
    with stretching.running(str(tmp_path_factory.mktemp("stretch"))) as made:
        yield made


@pytest.mark.timeout(900)
def test_no_child_inherits_a_lock_of_openssl(run):
    assert [run(ROOT) for _ in range(3)] == [("well", "")] * 3


@pytest.mark.timeout(900)
def test_without_the_rest_children_hang(run):
    """The windows are long enough for the test above to mean something."""
    found = [run(ROOT, "restless") for _ in range(2)]
    assert "hung" in [outcome for outcome, _ in found], found
