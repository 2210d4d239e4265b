"""The plan protocol and its blocking drivers."""

import pytest

from fsspec._plans import batch, call, drive, emit, forward, local, stream


class Desk:
    """Something with operations."""

    def __init__(self):
        self.log = []

    def double(self, number, plus=0):
        self.log.append(number)
        return number * 2 + plus

    def fail(self, error):
        raise error


def test_a_call_is_answered_by_the_method():
    def plan():
        return (yield call("double", 2, plus=1))

    assert drive(Desk(), plan()) == 5


def test_what_an_operation_raises_is_thrown_into_the_plan():
    def plan():
        try:
            yield call("fail", KeyError("x"))
        except KeyError:
            return (yield call("double", 4))

    assert drive(Desk(), plan()) == 8


def test_what_a_plan_does_not_catch_is_raised():
    def plan():
        yield call("fail", ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        drive(Desk(), plan())


def test_a_batch_is_answered_in_order():
    desk = Desk()

    def plan():
        return (yield batch(call("double", n) for n in (3, 1, 2)))

    assert drive(desk, plan()) == [6, 2, 4]
    assert desk.log == [3, 1, 2]


def test_the_first_error_ends_a_batch():
    desk = Desk()

    def plan():
        yield batch([call("double", 1), call("fail", OSError("x")), call("double", 2)])

    with pytest.raises(OSError, match="x"):
        drive(desk, plan())
    assert desk.log == [1]


def test_a_batch_can_return_errors_in_their_place():
    error = OSError("x")

    def plan():
        calls = [call("double", 1), call("fail", error), call("double", 2)]
        return (yield batch(calls, return_exceptions=True))

    assert drive(Desk(), plan()) == [2, error, 4]


def test_an_interrupt_is_not_a_result():
    def plan():
        yield batch([call("fail", KeyboardInterrupt())], return_exceptions=True)

    with pytest.raises(KeyboardInterrupt):
        drive(Desk(), plan())


def test_a_batch_tells_of_each_operation():
    reported = []

    def plan():
        yield batch([call("double", 5), call("double", 6)], done=lambda *what: reported.append(what))

    drive(Desk(), plan())
    assert reported == [(0, 10), (1, 12)]


def test_a_stream_does_no_more_than_was_asked_of_it():
    desk = Desk()

    def plan():
        for number in range(3):
            yield emit((yield call("double", number)))

    items = stream(desk, plan())
    assert desk.log == []
    assert next(items) == 0
    assert desk.log == [0]
    assert list(items) == [2, 4]


def test_a_stream_that_is_left_closes_its_plan():
    closed = []

    def plan():
        try:
            yield emit(1)
            yield emit(2)
        finally:
            closed.append(True)

    items = stream(Desk(), plan())
    next(items)
    items.close()
    assert closed == [True]


def test_a_call_reads_as_one():
    assert repr(call("find", "a", maxdepth=1)) == "call find('a', maxdepth=1)"


def test_a_local_step_is_answered_by_its_function():
    def plan():
        return (yield local(max, 3, 4))

    assert drive(Desk(), plan()) == 4


def test_the_items_of_another_stream_come_as_they_are_made():
    class Streams(Desk):
        def numbers(self, start):
            for n in range(start, start + 2):
                self.log.append(n)
                yield n

    def plan():
        yield emit("first")
        yield forward(call("numbers", 7))
        yield emit("last")

    desk = Streams()
    items = stream(desk, plan())
    assert [next(items), next(items)] == ["first", 7] and desk.log == [7]
    assert list(items) == [8, "last"]


def test_a_plan_that_emits_has_no_value_to_drive_for():
    left = []

    def plan():
        try:
            yield emit(1)
        finally:
            left.append(True)

    with pytest.raises(TypeError, match="emits 1"):
        drive(Desk(), plan())
    assert left


def test_a_plan_may_clean_up_with_further_steps_whatever_ended_it():
    desk = Desk()

    def plan():
        try:
            yield call("fail", KeyboardInterrupt())
        except BaseException:
            yield call("double", 1)
            raise

    with pytest.raises(KeyboardInterrupt):
        drive(desk, plan())
    assert desk.log == [1]
