"""The matrix itself; ``python -m fsspec.tests.fork`` prints it as a table."""

import pytest

from fsspec.tests.fork.matrix import CROSSINGS, OK, Column, columns

pytestmark = pytest.mark.timeout(900)  # a column's own limit comes first, and tells where it hangs


@pytest.mark.parametrize("column", columns(), ids=str)
def test_child_and_parent_are_as_they_should_be(column, places, runner):
    reason = column.lacking()
    if reason:
        pytest.skip(reason)
    found = runner.run(column)
    bad = {name: each for name, each in found.items() if each["outcome"] not in OK}
    assert not bad, "\n".join(f"{name}: {each['outcome']}\n{each['note']}" for name, each in bad.items())
    assert list(found) == list(column.actions)


def test_every_kind_is_in_the_matrix():
    tried = {column.subject for column in columns()}
    assert tried == set(CROSSINGS)


@pytest.mark.parametrize("way", ["fork", "process"])
def test_harm_is_found(way, places, runner):
    """The matrix can fail: a connection that parent and child both use."""
    column = Column("a shared connection", way, "opted", ("exit", "use"))
    if "https" not in places:
        pytest.skip("no server for https")
    found = runner.run(column)
    assert found["exit"]["outcome"] != "HARM"
    assert found["use"]["outcome"] == "HARM" and "the parent's next use" in found["use"]["note"]
