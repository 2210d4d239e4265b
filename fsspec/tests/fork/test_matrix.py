"""The matrix itself; ``python -m fsspec.tests.fork`` prints it as a table."""

import pytest

from fsspec.tests.fork.matrix import CROSSINGS, OK, columns


@pytest.mark.parametrize("column", columns(), ids=str)
def test_child_and_parent_are_as_they_should_be(column, places, runner):
    reason = column.missing(places)
    if reason:
        pytest.skip(reason)
    found = runner.run(column)
    bad = [f"{name}: {each['outcome']}\n{each['note']}" for name, each in found.items() if each["outcome"] not in OK]
    assert not bad, "\n".join(bad)
    assert list(found) == list(column.actions)


def test_every_kind_is_in_the_matrix():
    tried = {column.crossing for column in columns()}
    assert tried == set(CROSSINGS)


def test_a_child_that_does_harm_is_found(places, runner):
    """The matrix can fail: a crossing that shares its socket with the child is no good."""
    from fsspec.tests.fork.matrix import Column

    found = runner.run(Column("a shared socket", "fork", "opted", ("use", "exit", "drop")))
    assert found["use"]["outcome"] == "HARM", found
