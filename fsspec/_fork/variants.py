"""Variants of classes: an inherited object gets a subclass of its class that behaves differently in a child.

A *variant* of a class has its name, and behaves otherwise in what a forked child must not
do.  It is made and assigned without running code of the class, of its metaclass or of its
bases: this happens within the hooks of a fork.
"""

from __future__ import annotations

from typing import Any

_made: dict[tuple[type, type], type[Any]] = {}
_metaclasses: dict[type, Any] = {}


class Variant:
    """Base of what a variant puts before a class; hides the ``__init_subclass__`` of the class."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


class _FrontFirst(type):
    """Puts ``_front`` into the method resolution order without making it a base.

    With it as a base, assigning the variant as ``__class__`` would fail for classes of another memory layout.
    """

    def mro(cls) -> list[type]:
        first, *others = super().mro()
        front = [one for one in first.__dict__["_front"].__mro__[:-1] if one not in others]
        return [first, *front, *others]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


def variant(cls: type, front: type) -> type[Any]:
    """The subclass of ``cls`` in which members of ``front`` take precedence; cached.

    ``cls`` itself if it is such a variant already.

    ``front``: a subclass of `Variant` with empty ``__slots__``.
    """
    if is_variant(cls, front):
        return cls
    made = _made.get((cls, front))
    if made is None:
        meta = type(cls)
        if meta not in _metaclasses:
            _metaclasses[meta] = type.__new__(type(meta), meta.__name__, (_FrontFirst, meta), {})
        names = "__module__", "__qualname__", "__doc__"
        body = {
            "_front": front,
            "_original": cls,
            **{name: type.__getattribute__(cls, name) for name in names},
        }
        # bypass the metaclass: a variant has no instance cache of its own
        made = type.__new__(_metaclasses[meta], cls.__name__, (cls,), {"__slots__": (), **body})
        _made[cls, front] = made
    return made


def is_variant(cls: type, front: type) -> bool:
    """Whether ``cls`` is a variant with this front, or one derived from it."""
    found = cls.__dict__.get("_front")
    return found is not None and issubclass(found, front)


def original(cls: type) -> Any:
    """The class of which ``cls`` is a variant, or ``cls`` if it is none."""
    return cls.__dict__.get("_original", cls)


def assign(obj: object, cls: type[Any]) -> None:
    """Make ``cls`` the class of ``obj``, bypassing its ``__setattr__``."""
    object.__setattr__(obj, "__class__", cls)
