"""Which signals had handlers that raised within a hook of a fork.

The interpreter drops what a hook raises, so `fsspec._fork.hooks` calls such a handler again when the fork is
over. Used by the thread that forks, in both processes.
"""

from __future__ import annotations

from types import FrameType
from typing import Any

raised: tuple[list[int], ...] = ([], [], [])
"""In each at most one, of those whose handlers raised within a hook."""


def is_of_signal(error: BaseException) -> bool:
    """Whether a signal handler raised ``error``. If so the handler is called again after the fork.

    Hooks may wait for seconds; a Ctrl-C, or a SIGTERM to a new worker, must not be lost meanwhile.
    """
    import signal  # has been imported by who set a handler

    number, traceback = 0, error.__traceback__
    if isinstance(error, KeyboardInterrupt):
        number = _number(signal.default_int_handler, None)
    while traceback is not None and not number:
        number, traceback = _number(None, traceback.tb_frame), traceback.tb_next
    slot = next((slot for slot in raised if slot in ([], [number])), None)
    if not number or slot is None:
        return False
    slot[:] = [number]
    return True


def _number(handler: Any, frame: FrameType | None) -> int:
    """The signal that ``handler``, or the function of ``frame``, was called for as a handler; 0 for none."""
    import signal

    given: tuple[Any, ...] = ()
    if frame is not None:
        code, values = frame.f_code, frame.f_locals
        given = tuple(values.get(name) for name in code.co_varnames[: code.co_argcount][:2])
        if code.co_flags & 4:  # it takes *args
            given += tuple(values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ()))[:2]
    for number in signal.valid_signals():
        found = signal.getsignal(number)
        if frame is None:
            if found is handler:
                return number
        elif number in given and getattr(getattr(found, "__func__", found), "__code__", None) is frame.f_code:
            return number
    return 0
