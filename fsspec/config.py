"""Defaults of filesystems from files, variables and the `conf` dictionary.

`conf` maps a protocol to keyword arguments; it is read whenever an instance is made, so
that a program may change it.  A few keys of it steer fsspec itself: "fork",
"gather_batch_size", "nofiles_gather_batch_size", "open_expand",
"weakref_instance_cache".  Filled once at import: files first, then variables.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, MutableMapping
from typing import Any

conf: dict[str, dict[str, Any]] = {}
default_conf_dir = os.path.join(os.path.expanduser("~"), ".config/fsspec")
conf_dir = os.environ.get("FSSPEC_CONFIG_DIR", default_conf_dir)

_PREFIX = "FSSPEC_"
_NOT_A_PROTOCOL = {"FSSPEC_CONFIG_DIR"}


def _merge(into: MutableMapping[str, Any], protocol: str, options: Mapping[str, Any]) -> None:
    into.setdefault(protocol, {}).update(options)


def set_conf_env(conf_dict: dict[str, dict[str, Any]], envdict: Mapping[str, str] = os.environ) -> None:
    """Add what environment variables say to ``conf_dict``.

    ``FSSPEC_<PROTOCOL>`` holds a JSON object of keyword arguments;
    ``FSSPEC_<PROTOCOL>_<ARGUMENT>`` one argument, as JSON or else as text, and wins over
    the former.  A variable that cannot be understood causes a warning and is skipped.
    """
    names = [name for name in envdict if name.startswith(_PREFIX) and name not in _NOT_A_PROTOCOL]
    if not names:
        return
    import json

    single = []
    for name in names:
        protocol, has_argument, argument = name[len(_PREFIX) :].lower().partition("_")
        if has_argument and protocol and argument:
            single.append((protocol, argument, envdict[name]))
            continue
        try:
            options = json.loads(envdict[name])
        except ValueError:
            options = None
        if has_argument or not protocol or not isinstance(options, dict):
            warnings.warn(
                f"the variable {name} is ignored: FSSPEC_<PROTOCOL> needs a JSON object,"
                " FSSPEC_<PROTOCOL>_<ARGUMENT> a value",
                stacklevel=2,
            )
            continue
        _merge(conf_dict, protocol, options)
    for protocol, argument, text in single:
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        _merge(conf_dict, protocol, {argument: value})


def set_conf_files(cdir: str, conf_dict: dict[str, dict[str, Any]]) -> None:
    """Add what the ``.json`` and ``.ini`` files of a folder say, in the order of their names.

    Sections and keys are protocols; values of an ``.ini`` file stay text.
    """
    try:
        names = sorted(os.listdir(cdir))
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        path = os.path.join(cdir, name)
        if name.endswith(".json"):
            import json

            with open(path, encoding="utf8") as f:
                found = json.load(f)
        elif name.endswith(".ini"):
            import configparser

            parser = configparser.ConfigParser()
            parser.read(path, encoding="utf8")
            found = {section: dict(parser[section]) for section in parser.sections()}
        else:
            continue
        for protocol, options in found.items():
            _merge(conf_dict, protocol, options)


def apply_config(
    cls: Any, kwargs: dict[str, Any], conf_dict: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Keyword arguments for ``cls``: configured for its protocols, then those given.

    Of several protocols later ones win.  ``kwargs`` is not changed.
    """
    configured = conf if conf_dict is None else conf_dict
    protocols = (cls.protocol,) if isinstance(cls.protocol, str) else cls.protocol
    out: dict[str, Any] = {}
    for protocol in protocols:
        section = configured.get(protocol)
        if section:
            out.update(section)
    out.update(kwargs)
    return out


set_conf_files(conf_dir, conf)
set_conf_env(conf)
