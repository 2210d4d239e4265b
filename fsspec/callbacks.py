"""Progress of transfers, for programs.

A callback counts: it has a ``size`` (None while that is unknown) and a ``value``, in
bytes for one file and in files for many.  Whoever transfers calls `Callback.set_size`,
`relative_update` and `absolute_update`; of many files each has a callback of its
own, which `Callback.branched` makes.  What a program sees of it is up to the ``hooks`` or
to a subclass.

Callbacks of awaitable filesystems are called on the thread of the event loop, one at a
time; nothing here locks.  Without a callback of the program, `DEFAULT_CALLBACK` is passed,
which does as little as possible.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import wraps
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from typing_extensions import Self

    from fsspec._paths.types import Options, Progress, T


__all__ = ["Callback", "DEFAULT_CALLBACK", "DotPrinterCallback", "NoOpCallback", "TqdmCallback"]

Hook = Callable[..., Any]


class Callback:
    """Counts progress, and calls hooks at each change.

    Usable as a context manager, which closes it at the end.

    Parameters
    ----------
    size
    the total, None while unknown
    value
        what is done already
    hooks
        functions by name, called as ``hook(size, value, **kwargs)``
    **kwargs
        passed to each hook
    """

    size: int | None = None  # of a subclass that does not call this constructor
    value: int = 0
    hooks: dict[str, Hook] = MappingProxyType({})  # type: ignore[assignment]  # nobody adds to it
    kw: dict[str, Any] = hooks

    def __init__(
        self, size: int | None = None, value: int = 0, hooks: dict[str, Hook] | None = None, **kwargs: Any
    ) -> None:
        self.size = size
        self.value = value
        self.hooks = hooks or {}
        self.kw = kwargs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_args: Any) -> None:
        self.close()

    def close(self) -> None:
        """Called when what is counted has ended, well or not."""

    def branched(self, path_1: str, path_2: str, **kwargs: Any) -> Callback:
        """The callback for one of many transfers, from ``path_1`` to ``path_2``.

        Parameters
        ----------
        **kwargs
            what else that transfer is called with; passed to `branch`, which may put a
            ``callback`` among it
        """
        self.branch(path_1, path_2, kwargs)
        child = kwargs.get("callback")
        return DEFAULT_CALLBACK if child is None else self.as_callback(child)

    def branch_coro(self, fn: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        """``fn(path_1, path_2, ..., callback=...)`` with the callback that `branched` makes.

        That is closed when the awaitable function has ended.
        """

        @wraps(fn)
        async def with_branch(path_1: str, path_2: str, **kwargs: Any) -> T:
            with self.as_callback(self.branched(path_1, path_2, **kwargs)) as child:
                return await fn(path_1, path_2, callback=child, **kwargs)

        return with_branch

    def branch(self, path_1: str, path_2: str, kwargs: Options) -> Callback | None:
        """Put a ``callback`` for one of many transfers into ``kwargs``; the base class puts none."""
        return None

    def set_size(self, size: int | None) -> None:
        """Say how much there is in all."""
        self.size = size
        self.call()

    def absolute_update(self, value: int) -> None:
        """Say how much is done."""
        self.value = value
        self.call()

    def relative_update(self, inc: int = 1) -> None:
        """Add what was done since the last update."""
        self.value += inc
        self.call()

    def call(self, hook_name: str | None = None, **kwargs: Any) -> object:
        """Call the hooks.

        Parameters
        ----------
        hook_name
            call that one only, if it exists, and return what it returns
        **kwargs
            for the hooks, and over those given when the callback was made
        """
        if not self.hooks:
            return None
        passed = {**self.kw, **kwargs}
        if hook_name is not None:
            hook = self.hooks.get(hook_name)
            return None if hook is None else hook(self.size, self.value, **passed)
        for hook in list(self.hooks.values()):
            hook(self.size, self.value, **passed)
        return None

    def wrap(self, iterable: Iterable[T]) -> Iterator[T]:
        """The items of an iterable, each counted as it is given out."""
        for item in iterable:
            self.relative_update()
            yield item

    def no_op(self, *_: Any, **__: Any) -> None:
        """Take anything and do nothing."""

    def __getattr__(self, name: str) -> Any:
        """Other names that a transfer calls are hooks that this callback does not have."""
        if name.startswith("__"):  # protocols of the language must see that they are not there
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return self.no_op

    @classmethod
    def as_callback(cls, maybe_callback: Progress = None) -> Callback:
        """The given callback; for None, `DEFAULT_CALLBACK`.

        ``"tqdm"`` stands for a `TqdmCallback` with a bar below for each file under way, drawn
        for a terminal or a notebook, whichever there is.

        Raises
        ------
        ValueError
            for any other text
        ImportError
            if tqdm is not installed
        """
        if maybe_callback is None:
            return DEFAULT_CALLBACK
        if isinstance(maybe_callback, str):
            if maybe_callback != "tqdm":
                raise ValueError(f"there is no callback {maybe_callback!r}: it is 'tqdm', or a Callback")
            return TqdmCallback({"unit": "file"}, tqdm_cls=_tqdm("auto"), nested=True)
        return maybe_callback


class NoOpCallback(Callback):
    """Counts, and calls no hooks."""

    def call(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""
        return None


class DotPrinterCallback(Callback):
    """Prints a character for each update, and a dot for each of those of its branches.

    Parameters
    ----------
    chr_to_print
        what is printed
    """

    def __init__(self, chr_to_print: str = "#", **kwargs: Any) -> None:
        self.chr = chr_to_print
        super().__init__(**kwargs)

    def branch(self, path_1: str, path_2: str, kwargs: Options) -> None:
        """Give the transfer a callback that prints dots."""
        kwargs["callback"] = DotPrinterCallback(".")

    def call(self, **kwargs: Any) -> None:  # type: ignore[override]  # it has no hooks, as upstream's
        """Print."""
        print(self.chr, end="")


def _tqdm(module: str) -> Callable[..., Any]:
    """The class of bars, in ``tqdm.std`` or ``tqdm.auto``."""
    from importlib import import_module

    try:
        return cast("Callable[..., Any]", import_module(f"tqdm.{module}").tqdm)
    except ImportError as e:
        raise ImportError("TqdmCallback needs the package tqdm: pip install tqdm") from e


def _file_bar_options(path: str) -> dict[str, Any]:
    """Arguments of the bar of one file."""
    name = path.rstrip("/").rpartition("/")[2]
    return {"desc": name, "unit": "B", "unit_scale": True, "unit_divisor": 1024}


def for_file(callback: Progress, path: object) -> Callback:
    """As `Callback.as_callback`, for the bytes of one file. The bar of ``"tqdm"`` shows its name."""
    made = Callback.as_callback(callback)
    if isinstance(callback, str) and isinstance(made, TqdmCallback):
        return TqdmCallback(_file_bar_options(str(path)), tqdm_cls=made._tqdm_cls)
    return made


class TqdmCallback(Callback):
    """Shows a progress bar of tqdm.

    The bar appears with the first update and ends with `close`, or with the ``with`` block that the
    callback is used in. ``callback="tqdm"`` is short for one that counts files, with a bar of bytes below it
    for each file that is under way (of ``get_file`` and ``put_file``: for that of the file), and that suits
    terminals and notebooks alike.

    Parameters
    ----------
    tqdm_kwargs
        arguments of the bar, such as ``desc`` and ``unit``
    nested
        show a bar of bytes for each file that is under way as well, below that of all files;
        it disappears when the file is done
    *args, **kwargs
        as for `Callback`, and ``tqdm_cls``: what makes the bar, instead of
        ``tqdm.tqdm``; called as ``tqdm_cls(total=size, **tqdm_kwargs)``

    Raises
    ------
    ImportError
        if tqdm is not installed

    Examples
    --------
    ::

        with TqdmCallback({"desc": "data", "unit": "file"}, nested=True) as progress:
            fs.get("s3://bucket/data", "data", recursive=True, callback=progress)
    """

    def __init__(self, tqdm_kwargs: dict[str, Any] | None = None, *args: Any, **kwargs: Any) -> None:
        self._tqdm_cls = kwargs.pop("tqdm_cls", None) or _tqdm("std")
        self._is_nested = kwargs.pop("nested", False)
        self._tqdm_kwargs = tqdm_kwargs or {}
        self.tqdm: Any = None
        super().__init__(*args, **kwargs)

    def branch(self, path_1: str, path_2: str, kwargs: Options) -> None:
        """Give the transfer a bar of its own, if that was asked for."""
        if self._is_nested:
            kwargs["callback"] = TqdmCallback(
                {**_file_bar_options(path_1), "leave": False}, tqdm_cls=self._tqdm_cls
            )

    def call(self, *args: Any, **kwargs: Any) -> None:
        """Bring the bar up to date."""
        if self.tqdm is None:
            self.tqdm = self._tqdm_cls(total=self.size, **self._tqdm_kwargs)
        self.tqdm.total = self.size
        self.tqdm.update(self.value - self.tqdm.n)

    def close(self) -> None:
        """Close the bar and drop it."""
        if self.tqdm is not None:
            self.tqdm.close()
            self.tqdm = None

    def __del__(self) -> None:
        if self.__dict__.get("tqdm") is not None:  # the bar's line would stay as it is
            self.close()


DEFAULT_CALLBACK = _DEFAULT_CALLBACK = NoOpCallback()
"""What is passed if nobody wants to know; shared, so never ask it for its counts."""
