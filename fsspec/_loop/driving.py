"""Plans, algorithms that are written once, and the drivers that run them blocking or awaiting.

A *plan* is a generator.  It yields the operations that it needs and is sent their results;
what an operation raises is thrown into it.

``call("info", path)``
    one operation of the target, by the name of its blocking form.
``batch([call(...), ...])``
    operations that do not depend on each other; the answer is a list in the same order. The
    blocking driver runs them one after the other, the awaiting one keeps as many under way as
    the batch size allows.
``local(os.makedirs, path)``
    a function that may block on this machine's disk; the awaiting driver runs it in a thread.
``emit(item)``
    one item of a plan that produces a stream (a walk).
``forward(call(...))``
    all items of the stream that an operation produces, one by one as they come.

The value of a plan is what it returns.  Plans never block, await, import asyncio or touch threads.

`drive` and `stream` run a plan, `drive_awaiting` and `stream_awaiting` do so on the loop that awaits
them.  `perform` answers a step by ``target.info(path)``, `perform_awaiting` by awaiting
``target._info(path)``, so that a backend's own overrides are always used; the drivers of plans that
return a value take another function in its place.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from functools import cache
from itertools import chain, islice
from types import GeneratorType
from typing import Any, TypeVar, final

from fsspec._error_notes import advise


class call:
    """One operation of a filesystem, by the name its blocking form has."""

    __slots__ = ("args", "kwargs", "name")

    def __init__(self, name: str, /, *args: Any, **kwargs: Any) -> None:
        self.name: str = name
        self.args: tuple[Any, ...] = args
        self.kwargs: dict[str, Any] = kwargs

    def __repr__(self) -> str:
        words = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"call {self.name}({', '.join(words)})"


class batch:
    """Independent operations.

    ``calls``: any iterable of `call`; it is drawn from as work proceeds, not copied first.
    ``return_exceptions``: put what an operation raises in its place in the answer; otherwise the first
        exception ends the batch, and it is thrown into the plan.
    ``batch_size``: how many may be under way in the awaiting driver; None for the filesystem's own
        (``fs.batch_size``, then the configuration).
    ``nofiles``: the operations open no local files, so that the larger default applies.
    ``done``: called with the position and the result of each operation when it ends.
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


class local:
    """A function of this machine that may block, and its arguments."""

    __slots__ = ("args", "function")

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self.function = function
        self.args = args


@final
class emit:
    """One item of the stream that a plan produces."""

    __slots__ = ("item",)

    def __init__(self, item: object) -> None:
        self.item = item


@final
class forward:
    """The items of another stream."""

    __slots__ = ("source",)

    def __init__(self, source: call) -> None:
        self.source = source


Step = call | batch | local
T = TypeVar("T")
# a plan that returns a T
PlanOf = Generator["Step | emit | forward", Any, T]
Plan = PlanOf[Any]


# blocking -------------------------------------------------------------------------
def perform(target: object, step: Step) -> Any:
    """The answer to a step, by blocking calls on ``target``."""
    if type(step) is call:
        return getattr(target, step.name)(*step.args, **step.kwargs)
    if type(step) is local:
        return step.function(*step.args)
    assert type(step) is batch, step
    results: list[Any] = []
    for position, item in enumerate(step.calls):
        try:
            result = getattr(target, item.name)(*item.args, **item.kwargs)
        except Exception as error:  # reported in its place, as the plan asked for
            advise(error, item.name, item.args)
            if not step.return_exceptions:
                raise
            result = error
        results.append(result)
        if step.done is not None:
            step.done(position, result)
    return results


def stream(target: object, plan: Plan) -> Generator[Any, None, Any]:
    """The items that ``plan`` emits."""
    try:
        step = next(plan)
        while True:
            if type(step) is emit:
                yield step.item
                step = next(plan)
                continue
            if type(step) is forward:
                yield from perform(target, step.source)
                step = next(plan)
                continue
            try:
                answer = perform(target, step)
            except BaseException as error:  # the plan decides what follows
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration:
        pass
    finally:
        plan.close()


def drive(target: object, plan: PlanOf[T], perform: Callable[[Any, Any], Any] = perform) -> T:
    """What ``plan`` returns."""
    try:
        step = next(plan)
        while True:  # as `stream`, without its generator
            if type(step) is emit or type(step) is forward:
                raise _emitting(step)
            try:
                answer = perform(target, step)
            except BaseException as error:  # the plan decides what follows
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        plan.close()


def _emitting(step: emit | forward) -> TypeError:
    item = getattr(step, "item", step)
    return TypeError(f"the plan emits {item!r}, where only its value is wanted")


def asked_name(asked: object) -> str:
    """The name of the operation of a step, of the first of a batch, or of a plan; else empty."""
    if type(asked) is batch:
        first = list(islice(asked.calls, 1))
        if isinstance(asked.calls, Iterator):
            asked.calls = chain(first, asked.calls)
        return first[0].name if first else ""
    return asked.name if type(asked) is call else asked.__name__ if type(asked) is GeneratorType else ""


# awaiting -------------------------------------------------------------------------
async def perform_awaiting(target: object, step: Step) -> Any:
    """The answer to a step, by awaiting the methods of ``target``."""
    if type(step) is call:
        answer = getattr(target, f"_{step.name}")(*step.args, **step.kwargs)
        if hasattr(answer, "__aiter__"):  # a stream, of a walk
            return [item async for item in answer]
        return await awaitable_of(answer)
    if type(step) is local:
        return await _in_thread(step)
    assert type(step) is batch, step
    from fsspec._loop.batching import get_batch_size, run_concurrently, run_coros_in_chunks, set_in_asyn

    size = step.batch_size or getattr(target, "batch_size", None)
    size = size or set_in_asyn("_get_batch_size", get_batch_size)(step.nofiles)
    most = getattr(target, "_at_once", None)
    if most and not 0 <= size <= most:
        size = most
    method = cache(lambda name: getattr(target, f"_{name}"))  # a batch has few names

    def start(item: call) -> Awaitable[Any]:
        return awaitable_of(method(item.name)(*item.args, **item.kwargs))

    run = set_in_asyn("_run_coros_in_chunks", run_coros_in_chunks)
    if run is run_coros_in_chunks:
        return await run_concurrently(step.calls, start, size, step.return_exceptions, step.done)
    coros = [start(item) for item in step.calls]  # for a program's own
    results = await run(
        coros, batch_size=size, nofiles=step.nofiles, return_exceptions=step.return_exceptions
    )
    if step.done is not None:
        for position, result in enumerate(results):
            step.done(position, result)
    return results


def awaitable_of(answer: object) -> Awaitable[Any]:
    """What a method returned as an awaitable, also if a backend's method is a plain function."""
    if hasattr(answer, "__await__") or type(answer) is GeneratorType:
        # what types.coroutine decorates gives a generator that can be awaited
        awaitable: Awaitable[Any] = answer  # pyright: ignore[reportAssignmentType]
        return awaitable
    return _itself(answer)


async def _itself(answer: T) -> T:
    return answer


async def _in_thread(step: local) -> Any:
    from asyncio import get_running_loop

    try:
        answer = get_running_loop().run_in_executor(None, step.function, *step.args)
    except RuntimeError:  # no new threads in exit handlers of the interpreter
        return step.function(*step.args)
    return await answer


async def stream_awaiting(target: object, plan: Plan) -> AsyncIterator[Any]:
    """The items that ``plan`` emits."""
    try:
        step = next(plan)
        while True:
            if type(step) is emit:
                yield step.item
                step = next(plan)
                continue
            if type(step) is forward:
                source = step.source
                async for item in getattr(target, f"_{source.name}")(*source.args, **source.kwargs):
                    yield item
                step = next(plan)
                continue
            try:
                answer = await perform_awaiting(target, step)
            except BaseException as error:  # the plan decides what follows
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration:
        pass
    finally:
        plan.close()


async def drive_awaiting(
    target: object, plan: PlanOf[T], perform: Callable[[Any, Any], Awaitable[Any]] = perform_awaiting
) -> T:
    """What ``plan`` returns."""
    try:
        step = next(plan)
        while True:  # as `stream_awaiting`, without its generator
            if type(step) is emit or type(step) is forward:
                raise _emitting(step)
            try:
                answer = await perform(target, step)
            except BaseException as error:  # the plan decides what follows
                step = plan.throw(error)
            else:
                step = plan.send(answer)
    except StopIteration as end:
        result: T = end.value
        return result
    except Exception as error:  # any may have advice, and is raised again
        advise(error)
        raise
    finally:
        plan.close()
