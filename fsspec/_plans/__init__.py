"""Algorithms over trees and bulk transfers, each written once and without I/O.

A plan is a generator.  It yields what it wants done and is sent the result:

``call("info", path)``
    one operation of the filesystem.  The blocking driver answers with
    ``fs.info(path)``, the awaiting one with ``await fs._info(path)``, so that a
    backend's own overrides are always the ones used.  What the operation raises
    is thrown into the plan at the ``yield``.
``batch([call(...), ...])``
    operations that do not depend on each other; the answer is a list in the same
    order.  The blocking driver runs them one after the other, the awaiting one
    keeps as many under way as the batch size allows.
``emit(item)``
    one item of a plan that produces a stream (a walk); only the streaming
    drivers know it.
``forward(call(...))``
    all items of the stream that an operation produces, one by one as they come; also
    for the streaming drivers.

The value of a plan is what it returns.  Plans never block, await, import asyncio
or touch threads; anything of the filesystem that is neither blocking nor awaitable
(``fs._strip_protocol``, ``fs._parent``, ``fs.invalidate_cache``) they use directly.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

__all__ = ["batch", "call", "drive", "emit", "forward", "stream"]


class call:
    """One operation of a filesystem, by the name its blocking form has."""

    __slots__ = ("args", "kwargs", "name")

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self.name = name
        self.args = args
        self.kwargs = kwargs

    def __repr__(self) -> str:
        words = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"call {self.name}({', '.join(words)})"


class batch:
    """Independent operations.

    Parameters
    ----------
    calls
        any iterable of `call`; it is drawn from as work proceeds, not copied first.
    return_exceptions
        put what an operation raises in its place in the answer; otherwise the first
        exception ends the batch, and it is thrown into the plan.
    batch_size
        how many may be under way in the awaiting driver; None for the filesystem's
        own (``fs.batch_size``, then the configuration).
    nofiles
        the operations open no local files, so that the larger default applies.
    done
        called with the position and the result of each operation as it ends.
    """

    __slots__ = ("batch_size", "calls", "done", "nofiles", "return_exceptions")

    def __init__(
        self,
        calls: Sequence[call] | Iterator[call],
        *,
        return_exceptions: bool = False,
        batch_size: int | None = None,
        nofiles: bool = True,
        done: Callable[[int, Any], None] | None = None,
    ) -> None:
        self.calls = calls
        self.return_exceptions = return_exceptions
        self.batch_size = batch_size
        self.nofiles = nofiles
        self.done = done


class emit:
    """One item of the stream that a plan produces."""

    __slots__ = ("item",)

    def __init__(self, item: Any) -> None:
        self.item = item


class forward:
    """The items of another stream."""

    __slots__ = ("source",)

    def __init__(self, source: call) -> None:
        self.source = source


Plan = Generator["call | batch | emit | forward", Any, Any]


def _answer(fs: Any, step: call | batch) -> Any:
    if type(step) is call:
        return getattr(fs, step.name)(*step.args, **step.kwargs)
    assert type(step) is batch, step
    results: list[Any] = []
    for position, item in enumerate(step.calls):
        try:
            result = getattr(fs, item.name)(*item.args, **item.kwargs)
        except Exception as error:  # reported in its place, as the plan asked for
            if not step.return_exceptions:
                raise
            result = error
        results.append(result)
        if step.done is not None:
            step.done(position, result)
    return results


def stream(fs: Any, plan: Plan) -> Iterator[Any]:
    """The items that ``plan`` emits, by blocking calls on ``fs``."""
    try:
        step = next(plan)
        while True:
            if type(step) is emit:
                yield step.item
                step = next(plan)
                continue
            if type(step) is forward:
                yield from _answer(fs, step.source)
                step = next(plan)
                continue
            try:
                answer = _answer(fs, step)  # type: ignore[arg-type]
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration:
        return
    finally:
        plan.close()


def drive(fs: Any, plan: Plan) -> Any:
    """What ``plan`` returns, by blocking calls on ``fs``."""
    try:
        step = next(plan)
        while True:
            try:
                answer = _answer(fs, step)  # type: ignore[arg-type]
            except Exception as error:
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as end:
        return end.value
    finally:
        plan.close()
