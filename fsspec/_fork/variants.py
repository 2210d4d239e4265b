"""Giving an inherited object another class, of which its own is the base.

A *variant* of a class has its name, and behaves otherwise in what a forked child must not
do.  It is made and assigned without running code of the class, of its metaclass or of its
bases: this happens within the hooks of a fork.
"""

from __future__ import annotations

from typing import Any

_made: dict[tuple[type, type], type[Any]] = {}
_metaclasses: dict[type, Any] = {}


class Variant:
    """What comes before a class in the variant of it; hides the ``__init_subclass__`` behind it."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


class _FrontFirst(type):
    """Puts ``_front`` into the order of resolution, without its being a base.

    Were it one, objects of ``cls`` could not take the class where it is laid out otherwise.
    """

    def mro(cls) -> list[type]:
        first, *others = super().mro()
        front = [one for one in first.__dict__["_front"].__mro__[:-1] if one not in others]
        return [first, *front, *others]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


def variant(cls: type, front: type) -> type[Any]:
    """The subclass of ``cls`` in which members of ``front`` come first; made once.

    A variant of a variant is the variant itself.

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
        # not through the metaclass: this is no class of its own, and has no instance cache
        made = type.__new__(_metaclasses[meta], cls.__name__, (cls,), {"__slots__": (), **body})
        _made[cls, front] = made
    return made


def is_variant(cls: type, front: type) -> bool:
    """Whether ``cls`` is a variant with this front, or one derived from it."""
    return issubclass(cls.__dict__.get("_front", object), front)


def original(cls: type) -> Any:
    """The class of which ``cls`` is a variant; itself where it is none."""
    return cls.__dict__.get("_original", cls)


def assign(obj: Any, cls: Any) -> None:
    """Make ``cls`` the class of ``obj``, past its ``__setattr__``."""
    object.__setattr__(obj, "__class__", cls)
