"""Telling callers how far a transfer has come.

A transfer calls `set_size` once, then `relative_update` or `absolute_update` as it
proceeds; a transfer of many files gives each a child, by `branched`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import wraps
from typing import Any


class Callback:
    """Counts, and runs hooks whenever the count changes.

    Parameters
    ----------
    size
        how many units make the whole, if known.
    value
        how many are done.
    hooks
        functions by name, called with the size, the value, and keywords.
    **kwargs
        keywords for every call of a hook.
    """

    def __init__(
        self,
        size: int | None = None,
        value: int = 0,
        hooks: dict[str, Callable[..., Any]] | None = None,
        **kwargs: Any,
    ) -> None:
        self.size = size
        self.value = value
        self.hooks = hooks or {}
        self.kw = kwargs

    def __enter__(self) -> Callback:
        return self

    def __exit__(self, *exc_args: Any) -> None:
        self.close()

    def close(self) -> None:
        """The transfer ended."""

    def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Callback:
        """The callback for one file of a transfer of many."""
        self.branch(path_1, path_2, kwargs)
        return self.as_callback(kwargs.get("callback"))

    def branch_coro(self, fn: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Give each call of a transferring coroutine function a child of this callback."""

        @wraps(fn)
        async def transfer(path1: str, path2: str, **kwargs: Any) -> Any:
            with self.branched(path1, path2, **kwargs) as child:
                return await fn(path1, path2, callback=child, **kwargs)

        return transfer

    def set_size(self, size: int | None) -> None:
        """Say how many units make the whole."""
        self.size = size
        self.call()

    def absolute_update(self, value: int) -> None:
        """``value`` units are done."""
        self.value = value
        self.call()

    def relative_update(self, inc: int = 1) -> None:
        """``inc`` more units are done."""
        self.value += inc
        self.call()

    def call(self, hook_name: str | None = None, **kwargs: Any) -> Any:
        """Run one hook and return what it returns, or run them all."""
        keywords = {**self.kw, **kwargs}
        if hook_name:
            hook = self.hooks.get(hook_name)
            return None if hook is None else hook(self.size, self.value, **keywords)
        for hook in list(self.hooks.values()):
            hook(self.size, self.value, **keywords)
        return None

    def wrap(self, iterable: Iterable[Any]) -> Iterator[Any]:
        """The items of ``iterable``, counted as they are drawn."""
        for item in iterable:
            self.relative_update()
            yield item

    def branch(self, path_1: str, path_2: str, kwargs: dict[str, Any]) -> None:
        """Put a child into ``kwargs["callback"]`` for one transfer; here there is none.

        Subclasses override it to follow single files.
        """

    def no_op(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def __getattr__(self, item: str) -> Any:
        # a transfer may announce more than a callback cares for
        if item.startswith("__"):
            raise AttributeError(item)
        return self.no_op

    @classmethod
    def as_callback(cls, maybe_callback: Callback | None = None) -> Callback:
        """``maybe_callback``, or the one that does nothing."""
        return DEFAULT_CALLBACK if maybe_callback is None else maybe_callback


class NoOpCallback(Callback):
    """Counts and tells nobody."""

    def call(self, *args: Any, **kwargs: Any) -> None:
        return None


class DotPrinterCallback(Callback):
    """Prints a character for each update: ``#`` for a file that is done, ``.`` within one."""

    def __init__(self, chr_to_print: str = "#", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.chr = chr_to_print

    def branch(self, path_1: str, path_2: str, kwargs: dict[str, Any]) -> None:
        kwargs["callback"] = DotPrinterCallback(".")

    def call(self, **kwargs: Any) -> None:  # type: ignore[override]
        print(self.chr, end="")


class TqdmCallback(Callback):
    """Shows a progress bar of the package tqdm.

    Parameters
    ----------
    tqdm_kwargs
        for the bar; ``total`` is the size.
    **kwargs
        ``tqdm_cls`` is the class of the bar; the rest as for `Callback`.
    """

    def __init__(self, tqdm_kwargs: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        made_of = kwargs.pop("tqdm_cls", None)
        if made_of is None:
            try:
                from tqdm import tqdm as made_of
            except ImportError as error:
                raise ImportError("TqdmCallback needs the package tqdm: pip install tqdm") from error
        self._tqdm_cls = made_of
        self._tqdm_kwargs = tqdm_kwargs or {}
        self.tqdm: Any = None
        super().__init__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> None:
        if self.tqdm is None:
            self.tqdm = self._tqdm_cls(total=self.size, **self._tqdm_kwargs)
        self.tqdm.total = self.size
        self.tqdm.update(self.value - self.tqdm.n)

    def close(self) -> None:
        if self.tqdm is not None:
            self.tqdm.close()
            self.tqdm = None

    def __del__(self) -> None:
        if self.__dict__.get("tqdm") is not None:
            self.close()


DEFAULT_CALLBACK = _DEFAULT_CALLBACK = NoOpCallback()
