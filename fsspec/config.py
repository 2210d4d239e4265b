"""Defaults of filesystems, from files, variables and the `conf` dictionary.

`conf` maps a protocol to keyword arguments.  It is read whenever an instance is made, so
that a program may change it at any time.  A few of its keys steer fsspec itself:
``fork`` (``{"reset": true}``, also the variable FSSPEC_FORK_RESET), ``pickle``, ``otel``,
``gather_batch_size`` and ``nofiles_gather_batch_size``; and two that are read as fsspec
is imported, ``open_expand`` and ``weakref_instance_cache``.

It is filled once, as this module is imported: files first, then variables.  Files that
hold no configuration cost nothing but the listing of their folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fsspec._paths.paths import type_name
from fsspec._paths.urls import protocols_of
from fsspec._similar import similar

if TYPE_CHECKING:
    import inspect

    from fsspec._paths.types import Options

__all__ = ["apply_config", "conf", "conf_dir", "default_conf_dir", "set_conf_env", "set_conf_files"]

default_conf_dir: str = os.path.join(os.path.expanduser("~"), ".config/fsspec")
conf_dir: str = os.environ.get("FSSPEC_CONFIG_DIR", default_conf_dir)
conf: dict[str, Any] = {}

_PREFIX = "FSSPEC"
_ON = ("1", "true", "yes", "on")
_OFF = ("", "0", "false", "no", "off", "null", "none")
_SWITCHES = (("fork", "reset"), ("pickle", "listings"), ("otel", "spans"))
"""Settings of fsspec's own that are on or off."""
_OWN_NAMES = frozenset({"FSSPEC_CONFIG_DIR"})
"""Variables that are read by name and configure no protocol."""
_MAPPINGS = frozenset({"dict", "Mapping"})
_LISTS = frozenset({"list", "tuple", "Iterable"})
_sources: dict[tuple[str, str, str], str] = {}
"""The place (variable or file) of each option whose value is text: by protocol, name and value. The name is
empty if the whole value of a protocol is text."""


def set_conf_env(conf_dict: dict[str, Any], envdict: Mapping[str, str] = os.environ) -> None:
    """Add to ``conf_dict`` what variables say.

    ``FSSPEC_<PROTOCOL>`` holds a JSON object of keyword arguments, and
    ``FSSPEC_<PROTOCOL>_<ARGUMENT>`` one of them, as JSON or else as text; the latter
    wins.  Protocols and arguments become lower case.  A variable that begins like these
    and cannot be understood is skipped with a warning, which does not show its value.

    Parameters
    ----------
    conf_dict
        changed in place; what it holds already stays where no variable says otherwise
    envdict
        names and values of variables
    """
    names = [name for name in envdict if name.startswith(_PREFIX) and name not in _OWN_NAMES]
    if not names:
        return
    single: list[tuple[str, str, Any]] = []
    for name in names:
        start, _, rest = name.partition("_")
        protocol, has_argument, argument = rest.lower().partition("_")
        if start != _PREFIX or not protocol:
            _warn_skipped(name, "it has an unexpected name: it names no protocol")
        elif has_argument:
            single.append((protocol, argument, _parsed(envdict[name])))
        else:
            options = _parsed(envdict[name])
            if isinstance(options, dict):
                _add(conf_dict, protocol, options, f"the variable {name}")
            else:
                why = f"it holds no JSON object, not being a dict but {type(options).__name__}"
                _warn_skipped(name, f"{why}{_json_fault(envdict[name])}")
    for protocol, argument, value in single:
        variable = f"{_PREFIX}_{protocol}_{argument}".upper()
        _add(conf_dict, protocol, {argument: value}, f"the variable {variable}")


def _add(conf_dict: dict[str, Any], key: str, value: object, where: str) -> None:
    """Options of a protocol are added to those that there are; anything else takes their place."""
    if isinstance(value, dict):
        if not isinstance(conf_dict.setdefault(key, {}), dict):
            conf_dict[key] = {}
        conf_dict[key].update(value)
        _sources.update({(key, name, text): where for name, text in value.items() if isinstance(text, str)})
    else:
        conf_dict[key] = value
        _sources[key, "", repr(value)] = where


def _parsed(text: str) -> object:
    import json  # only if something is configured

    try:
        return json.loads(text)
    except ValueError:
        return text


def _json_fault(text: str) -> str:
    """Where a text that was meant as JSON is none; the text may hold secrets and is not shown."""
    import json

    try:
        json.loads(text)
    except ValueError as exc:
        return f" ({exc})" if text.lstrip().startswith("{") else ""
    return ""


def _warn(where: str, text: str) -> None:
    """Warn of a setting, at the variable or the folder that it stands in: no line of code is to blame."""
    import warnings

    warnings.warn_explicit(text, UserWarning, where, 1, module=__name__)


def _warn_skipped(name: str, why: str) -> None:
    _warn(
        name,
        f"the variable {name} is ignored, for {why}. FSSPEC_<PROTOCOL> holds a JSON object, "
        "FSSPEC_<PROTOCOL>_<ARGUMENT> one value",
    )


def set_conf_files(cdir: str, conf_dict: dict[str, Any]) -> None:
    """Add to ``conf_dict`` what the files of a folder say.

    Files are read in the order of their names and later ones win: ``.json``, an object
    that maps protocols to keyword arguments (and the keys that steer fsspec to their
    values), and ``.ini``, a section a protocol, whose values are text.  Other files are
    not looked at, and a missing folder is ignored.

    Raises
    ------
    ValueError
        if a file is not in its format (``json.JSONDecodeError``), or not an object
    configparser.Error
        likewise
    """
    try:
        names = sorted(os.listdir(cdir))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(cdir, name)
        if name.endswith(".json"):
            found = _read_json(path)
        elif name.endswith(".ini"):
            found = _read_ini(path)
        else:
            continue
        for key, value in found.items():
            _add(conf_dict, key, value, path)


def _read_json(path: str) -> dict[str, Any]:
    import json

    with open(path, encoding="utf-8") as f:
        try:
            found = json.load(f)
        except json.JSONDecodeError as error:
            raise json.JSONDecodeError(f"{path} is no JSON: {error.msg}", error.doc, error.pos) from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds {type_name(found)}, not an object of options by protocol")
    return found


def _read_ini(path: str) -> dict[str, Any]:
    import configparser

    parser = configparser.ConfigParser()
    with open(path, encoding="utf-8") as f:
        parser.read_file(f)
    try:
        return {section: dict(parser[section]) for section in parser.sections()}
    except configparser.InterpolationError as error:
        where = f"the option {error.option!r} of {error.section!r} in {path}"
        text = f"{where} cannot be read: a percent sign is written %% there"
        raise configparser.InterpolationSyntaxError(error.option, error.section, text) from None


def apply_config(
    cls: type[Any], kwargs: Options, conf_dict: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The keyword arguments that an instance of ``cls`` is made with.

    Parameters
    ----------
    cls
        a filesystem class; of its protocols later ones win
    kwargs
        what the caller gave, which wins over everything; not changed
    conf_dict
        instead of `conf`

    Raises
    ------
    ValueError
        if a protocol has no options but something else, or an option is text that cannot be what its
        constructor declares; the text names the place, and does not show the value
    """
    configured = conf if conf_dict is None else conf_dict
    out: dict[str, Any] = {}
    for protocol in protocols_of(cls):
        section = configured.get(protocol)
        if section:
            if not isinstance(section, Mapping):
                place = _sources.get((protocol, "", repr(section)), "the configuration")
                raise ValueError(f"{protocol!r} in {place} is {type_name(section)}, not an object of options")
            out.update(section)
    if any(isinstance(value, str) for value in out.values()):
        out = _as_declared(cls, out, configured)
    out.update(kwargs)
    return out


def _as_declared(cls: Any, options: Options, configured: Mapping[str, Any]) -> Options:
    """Options with what text means in its place, as the constructor declares them.

    Variables and .ini files hold text, and the text "false" would be true.
    """
    declared = _declared(cls)
    found = dict(options)
    for name, value in options.items():
        if isinstance(value, str):
            try:
                found[name] = _converted(value, _kinds(name, declared.get(name)))
            except ValueError as error:
                of = next(one for one in reversed(protocols_of(cls)) if name in (configured.get(one) or ()))
                place = _sources.get((of, name, value), "the configuration")
                raise ValueError(f"the option {name!r} of {of!r} in {place} {error}") from None
    return found


@lru_cache(32)
def _declared(cls: Any) -> dict[str, inspect.Parameter]:
    """The parameters of the constructor, and of those of base classes that get its ``**kwargs``."""
    import inspect

    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" in vars(base):
            parameters = inspect.signature(base.__init__).parameters
            found = {**parameters, **found}
            if all(one.kind is not one.VAR_KEYWORD for one in parameters.values()):
                break
    return found


_NUMBER, _SWITCH = {"a number"}, {"a switch, or else text"}
_UNDECLARED = {
    **dict.fromkeys("timeout connect_timeout read_timeout block_size default_block_size".split(), _NUMBER),
    **dict.fromkeys("max_concurrency listings_expiry_time max_paths".split(), _NUMBER),
    **dict.fromkeys("ssl verify trust_env".split(), _SWITCH),
}
"""What options mean that a constructor passes on, or declares without a type."""


def _kinds(name: str, parameter: inspect.Parameter | None) -> set[str]:
    """The types of a number or flag that is the default, or of the annotation, except for those of items."""
    import re

    if parameter is not None and isinstance(parameter.default, (int, float)):
        return {type(parameter.default).__name__}
    if parameter is None or parameter.annotation is parameter.empty:
        return {"dict"} if name.endswith("_kwargs") else _UNDECLARED.get(name, set())  # of s3fs, for one
    annotation = parameter.annotation
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    text = re.sub(r"(?:typing\.)?Optional\[(.*)\]", r"\1", text)
    while text != (shorter := re.sub(r"\[[^\[\]]*\]", "", text)):
        text = shorter
    return {name.rpartition(".")[2] for name in re.findall(r"[\w.]+", text)} - {"None"}


def _converted(value: str, kinds: set[str]) -> object:
    """The value that a text stands for: one of ``kinds``, or of any kind if there are none. Raises
    ValueError, which does not show the text, if it is none of them."""
    structured = value.lstrip()[:1] in ("{", "[")
    if structured and (not kinds or kinds & {*_MAPPINGS, *_LISTS, "Any"}):
        found = _parsed(value)
        if found != value and not (kinds and kinds <= _MAPPINGS and not isinstance(found, dict)):
            return found
    if value and kinds and kinds <= (_MAPPINGS | _LISTS if structured else _MAPPINGS):
        raise ValueError(f"is to be a JSON {'object' if kinds <= _MAPPINGS else 'list'}, and is not")
    if kinds in ({"bool"}, _SWITCH):
        meant = switch(value)
        return value if meant is None else meant
    if kinds == _NUMBER:
        try:
            return float(value) if "." in value else int(value)
        except ValueError:
            raise ValueError("is to be a number, and is not") from None
    if kinds & {"int", "float"} and "str" not in kinds:
        with suppress(ValueError):  # whatever takes the option raises what is wrong with it
            return float(value) if "." in value or "int" not in kinds else int(value)
    return value


def switch(value: object) -> bool | None:
    """Whether a setting says on (1, true, yes, on) or off (0, false, no, off, nothing); None for all else."""
    text = str(value).strip().strip('"').lower()
    return text in _ON or (False if text in _OFF else None)


def switched_on(section: str, key: str) -> bool:
    """Whether a setting of fsspec's own is on; what is neither on nor off switches nothing on."""
    found = conf.get(section)
    return isinstance(found, dict) and switch(found.get(key)) is True


def doubt_about_forks() -> str:
    """A sentence on a variable that was to opt in to forks and does not, by its value or name; else empty."""
    value = os.environ.get("FSSPEC_FORK_RESET")
    if value is not None:
        unclear = f"FSSPEC_FORK_RESET is {value!r}, which is neither on nor off. "
        return unclear if switch(value) is None else ""
    close = similar("FSSPEC_FORK_RESET", os.environ, 0.85)
    return f"{close} is set: is FSSPEC_FORK_RESET meant? " if close else ""


set_conf_files(conf_dir, conf)
set_conf_env(conf)
for _section, _key in _SWITCHES:
    _found = conf.get(_section)
    if _found and not isinstance(_found, dict):
        _warn(
            conf_dir,
            f"{_section!r} in the configuration is not an object such as {{{_key!r}: true}}:"
            " it counts as off",
        )
    elif _found and switch(_found.get(_key)) is None:
        _variable = f"{_PREFIX}_{_section.upper()}_{_key.upper()}"
        _warn(
            _variable if _variable in os.environ else conf_dir,
            f"{_variable}, or {_key!r} of {_section!r} in the configuration, is {_found[_key]!r}, which is"
            " neither on (1, true, yes, on) nor off (0, false, no, off): it counts as off",
        )
