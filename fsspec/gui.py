"""Choosing a file of any filesystem in a browser or notebook, with the package panel.

Widgets are connected by signals: each has a name, comes from one attribute of one widget,
and is passed to whatever was connected to it.  Callbacks have no caller that could handle
what they raise, so that failures are logged, and those of listing are shown to the user.
"""

from __future__ import annotations

import ast
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, cast

from fsspec.spec import AbstractFileSystem

if TYPE_CHECKING:
    import panel
    from bokeh.server.server import Server
    from panel.io.threads import StoppableThread

try:
    import panel as pn
except ImportError as _error:
    raise type(_error)(
        "fsspec.gui needs the package panel: pip install 'fsspec[gui]'", name=_error.name
    ) from _error

from fsspec.core import OpenFile, split_protocol
from fsspec.registry import available_protocols, filesystem

__all__ = ["FileSelector", "SigSlot", "SingleSelect"]

logger: logging.Logger = logging.getLogger("fsspec.gui")

_FOLDER, _FILE = "\N{FILE FOLDER} ", "\N{PAGE FACING UP} "


def _labelled(kind: type[panel.widgets.Widget], text: str, **options: Any) -> panel.widgets.Widget:
    """A widget with a text, which older versions of panel call its name."""
    return kind(**{"label" if "label" in kind.param else "name": text}, **options)


class SigSlot:
    """Base of what is shown: named signals that others connect to.

    Attributes
    ----------
    signals, slots
        names of the signals it sends, and of the methods meant to be connected to others'
    panel
        what panel shows
    """

    signals: ClassVar[Sequence[str]] = []
    slots: ClassVar[Sequence[str]] = []
    panel: Any = None

    def __init__(self) -> None:
        self._ignoring_events = False
        self._sigs: dict[str, list[Callable[[Any], Any]]] = {}

    def _repr_mimebundle_(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        return cast("dict[str, Any] | None", self.panel._repr_mimebundle_(*args, **kwargs))

    def _signal(
        self,
        name: str,
        widget: panel.widgets.Widget | None = None,
        thing: str = "value",
        *then: Callable[[Any], Any],
    ) -> None:
        """Declare a signal, sent when an attribute of a widget changes, or by `_emit` alone."""
        self._sigs[name] = list(then)
        if widget is not None:
            widget.param.watch(lambda event: self._emit(name, event.new), thing)

    def connect(self, signal: str, slot: Callable[[Any], Any]) -> None:
        """Connect ``slot``, to be called with the value of a signal, after those connected before.

        A slot that returns False keeps the signal from those after it.

        Raises
        ------
        KeyError
            if there is no such signal
        """
        if signal not in self._sigs:
            raise KeyError(f"{signal}: {type(self).__name__} has the signals {', '.join(self._sigs)}")
        self._sigs[signal].append(slot)

    def _emit(self, signal: str, value: object | None = None) -> None:
        if self._ignoring_events:
            return
        logger.debug("%s of %s", signal, type(self).__name__)
        for slot in self._sigs[signal]:
            try:
                if slot(value) is False:
                    break
            except Exception:  # the browser's event loop would swallow it
                logger.exception("a slot of the signal %s failed", signal)

    @contextmanager
    def ignore_events(self) -> Iterator[None]:
        """A context in which changes of widgets send no signals."""
        before, self._ignoring_events = self._ignoring_events, True
        try:
            yield
        finally:
            self._ignoring_events = before

    def show(self, threads: bool = False) -> Server | StoppableThread:
        """Open it in a browser; the server that serves it is returned.

        Parameters
        ----------
        threads
            serve from a thread, and return at once
        """
        return pn.panel(self.panel).show(threaded=threads)


class SingleSelect(SigSlot):
    """A list with one selected item.

    Parameters
    ----------
    **kwargs
        for ``panel.widgets.MultiSelect``, ``options`` above all
    """

    signals: ClassVar[Sequence[str]] = ["_selected", "selected"]
    slots: ClassVar[Sequence[str]] = ["set_options", "set_selection", "add", "clear", "select"]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        self.panel: Any = pn.widgets.MultiSelect(**kwargs)
        self._signal("selected")
        self._signal("_selected", self.panel, "value", self.select_one)

    def select_one(self, *_: Any) -> None:
        """Of several that are selected keep the last, and send the signal."""
        with self.ignore_events():
            self.panel.value = self.panel.value[-1:]
        self._emit("selected", self.panel.value)

    def set_options(self, options: list[Any] | dict[str, Any]) -> None:
        """Change what there is to select: a list, or values by what is shown for them."""
        self.panel.options = options

    def set_selection(self, selection: list[str]) -> None:
        """Select a value, or the last of a list of them."""
        self.panel.value = list(selection) if isinstance(selection, (list, tuple)) else [selection]

    def clear(self) -> None:
        """Clear what can be selected."""
        self.panel.options = []

    @property
    def value(self) -> list[Any]:
        """What is selected: a list of one value or none."""
        return cast("list[Any]", self.panel.value)


class FileSelector(SigSlot):
    """Folders to walk through, and a file to choose.

    Parameters
    ----------
    url
        where to begin, by default the working folder
    filters
        extensions of the files that are shown; None for all files
    ignore
        regular expressions for names that are not shown
    kwargs
        options of the filesystem, a dict or its text; they are shown to whoever sees the page

    Examples
    --------
    >>> sel = FileSelector("s3://bucket")
    >>> sel.show()
    >>> sel.open_file()
    """

    signals: ClassVar[Sequence[str]] = (
        "protocol_changed selection_changed directory_entered home_clicked up_clicked go_clicked"
        " filters_changed"
    ).split()
    slots: ClassVar[Sequence[str]] = ["set_filters", "go_home"]

    def __init__(
        self,
        url: str | None = None,
        filters: Sequence[str] | None = None,
        ignore: Sequence[str] | None = None,
        kwargs: Mapping[str, Any] | str | None = None,
    ) -> None:
        super().__init__()
        protocol, path = split_protocol(url) if url else ("file", os.getcwd())
        self.init_protocol: str = protocol or "file"
        self.init_url = path
        self.init_kwargs: str = str(kwargs or {})
        self.filters = filters
        self.ignore: list[re.Pattern[str]] = [re.compile(pattern) for pattern in ignore or ()]
        self._fs: AbstractFileSystem | None = None
        self._build()
        self.go_clicked()

    def _build(self) -> None:
        protocols = sorted(available_protocols())
        self.protocol: Any = _labelled(
            pn.widgets.Select, "protocol", options=protocols, value=self.init_protocol
        )
        self.url: Any = _labelled(
            pn.widgets.TextInput, "url", value=self.init_url, sizing_mode="stretch_width"
        )
        self.kwargs: Any = _labelled(pn.widgets.TextInput, "kwargs", value=self.init_kwargs)
        self.home: Any = _labelled(pn.widgets.Button, "Home", width=60, align="end")
        self.up: Any = _labelled(pn.widgets.Button, "Up", width=45, align="end")
        self.go: Any = _labelled(pn.widgets.Button, "Go", width=45, align="end")
        self.main: SingleSelect = SingleSelect(size=12)
        self.filter_sel: Any = pn.widgets.CheckBoxGroup(
            options=list(self.filters or ()), value=list(self.filters or ()), inline=False
        )
        self.message: Any = pn.pane.Str("")
        self._signal("directory_entered")
        self._signal("protocol_changed", self.protocol, "value", self.protocol_changed)
        self._signal("home_clicked", self.home, "clicks", self.home_clicked)
        self._signal("up_clicked", self.up, "clicks", self.up_clicked)
        self._signal("go_clicked", self.go, "clicks", self.go_clicked)
        self._signal("filters_changed", self.filter_sel, "value", self.filters_changed)
        self._signal("selection_changed")
        self.main.connect("selected", self.selection_changed)
        self.panel: Any = pn.Column(
            pn.Row(self.protocol, self.kwargs),
            pn.Row(self.home, self.up, self.url, self.go),
            pn.Row(self.main.panel, self.filter_sel),
            self.message,
        )

    # what is chosen ---------------------------------------------------------------
    @property
    def storage_options(self) -> dict[str, Any]:
        """The options of the filesystem.

        Raises
        ------
        ValueError
            if their text is not a dict
        """
        try:
            options = ast.literal_eval(self.kwargs.value or "{}") or {}
        except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
            options = ""
        if not isinstance(options, dict):
            raise ValueError("the options are written as a dict, {'name': value}")  # they may be secrets
        return options

    @property
    def fs(self) -> AbstractFileSystem:
        """The filesystem."""
        if self._fs is None:
            self._fs = filesystem(self.protocol.value, **self.storage_options)
        return self._fs

    @property
    def urlpath(self) -> str | None:
        """The URL of the chosen file; None if none is chosen."""
        return self.fs.unstrip_protocol(self.main.value[0]) if self.main.value else None

    def open_file(
        self, mode: str = "rb", compression: str | None = None, encoding: str | None = None
    ) -> OpenFile[Any]:
        """The chosen file, to be opened.

        Raises
        ------
        ValueError
            if none is chosen
        """
        if not self.main.value:
            raise ValueError("no file is chosen that could be opened")
        return OpenFile(self.fs, self.main.value[0], mode, compression, encoding)

    # what is shown ----------------------------------------------------------------
    def _list(self, path: str) -> None:
        try:
            entries = self.fs.ls(path, detail=True)
        except Exception as error:  # whatever a backend raises is for the user to see
            logger.debug("listing %s failed", path, exc_info=True)
            self.message.object = f"{type(error).__name__}: {error}"
            return
        self.message.object = ""
        named = [(entry["name"].rstrip("/"), entry["type"] == "directory") for entry in entries]
        shown: dict[str, str] = {}
        for name, folder in sorted(named, key=lambda item: (not item[1], item[0])):
            base = name.rpartition("/")[2]
            if not base or any(pattern.match(base) for pattern in self.ignore):
                continue
            if folder or not self.filters or base.endswith(tuple(self.filter_sel.value)):
                shown[(_FOLDER if folder else _FILE) + base] = name
        with self.main.ignore_events():
            self.main.panel.value = []
            self.main.set_options(shown)

    def set_filters(self, filters: Sequence[str] | None = None) -> None:
        """Change which extensions are shown and can be ticked; None for all files."""
        self.filters = list(filters) if filters else None
        with self.ignore_events():
            self.filter_sel.options = list(filters or ())
            self.filter_sel.value = list(filters or ())
        self.go_clicked()

    # what is done -----------------------------------------------------------------
    def filters_changed(self, values: list[str]) -> None:
        """Show the files with the extensions that are ticked."""
        self.go_clicked()

    def protocol_changed(self, *_: Any) -> None:
        """Start over on another filesystem."""
        self._fs = None
        self.main.clear()
        self.url.value = ""

    def go_clicked(self, *_: Any) -> None:
        """List the path that is written there, with the options that are."""
        self._fs = None
        self._list(self.url.value)

    def home_clicked(self, *_: Any) -> None:
        """Go back to where it began."""
        with self.ignore_events():
            self.protocol.value = self.init_protocol
            self.kwargs.value = self.init_kwargs
            self.url.value = self.init_url
        self.go_clicked()

    go_home = home_clicked

    def up_clicked(self, *_: Any) -> None:
        """Go to the folder that this one lies in."""
        self.url.value = self.fs._parent(self.url.value)
        self._list(self.url.value)

    def selection_changed(self, *_: Any) -> None:
        """Enter a folder that was selected; for a file send the signal."""
        if not self.main.value:
            return
        path = self.main.value[0]
        if self.fs.isdir(path):
            self.url.value = path
            self._list(path)
            self._emit("directory_entered", path)
        else:
            self._emit("selection_changed", path)
