"""The file selector, with panel's own widgets and no browser."""

import logging

import pytest

from fsspec.tests.programs import run

pytest.importorskip("panel")

from fsspec.gui import FileSelector, SingleSelect


@pytest.fixture
def tree(m):
    for path in ("/r/a.txt", "/r/b.csv", "/r/.hidden", "/r/sub/c.txt"):
        m.pipe(path, path.encode())
    return m


@pytest.fixture
def selector(tree):
    return FileSelector("memory:///r")


def shown(selector):
    return [text.partition(" ")[2] for text in selector.main.panel.options]


def test_folders_are_listed_before_files(selector):
    assert shown(selector) == ["sub", ".hidden", "a.txt", "b.csv"]
    assert selector.urlpath is None
    assert FileSelector("memory:///r", ignore=[r"\."], filters=["csv"]).main.panel.options.values()


def test_fields_are_named_for_what_they_hold(selector):
    shown_as = str(selector.panel)
    for field, name in ((selector.protocol, "protocol"), (selector.kwargs, "kwargs"), (selector.url, "url")):
        assert field.name == name and f"name='{name}'" in shown_as


def test_filters_choose_what_is_listed(tree):
    selector = FileSelector("memory:///r", filters=["txt", "csv"], ignore=[r"\."])
    assert shown(selector) == ["sub", "a.txt", "b.csv"]
    selector.filter_sel.value = ["csv"]
    assert shown(selector) == ["sub", "b.csv"]
    selector.set_filters()
    assert shown(selector) == ["sub", "a.txt", "b.csv"]


def test_a_chosen_file_sends_a_signal(selector):
    chosen, entered = [], []
    selector.connect("selection_changed", chosen.append)
    selector.connect("directory_entered", entered.append)
    selector.main.set_selection("/r/a.txt")
    assert (chosen, selector.urlpath) == (["/r/a.txt"], "memory:///r/a.txt")
    with selector.open_file("rt", encoding="ascii") as f:
        assert f.read() == "/r/a.txt"
    selector.main.set_selection("/r/sub")
    assert (entered, shown(selector), selector.url.value) == (["/r/sub"], ["c.txt"], "/r/sub")
    with pytest.raises(ValueError, match="no file"):
        selector.open_file()
    selector.up.clicks += 1
    assert (selector.url.value, shown(selector)[0]) == ("/r", "sub")


def test_go_lists_the_url_and_home_returns(selector):
    selector.url.value = "/r/sub"
    selector.go.clicks += 1
    assert shown(selector) == ["c.txt"]
    selector.protocol.value = "file"
    assert shown(selector) == [] and selector.fs.protocol == ("file", "local")
    selector.home.clicks += 1
    assert selector.fs.protocol == "memory" and len(shown(selector)) == 4


def test_failures_are_shown(selector):
    selector.url.value = "/none"
    selector.go.clicks += 1
    assert selector.message.object == "FileNotFoundError: /none"
    selector.kwargs.value = "{'password': secret}"
    selector.go.clicks += 1
    assert "ValueError" in selector.message.object and "secret" not in selector.message.object
    with pytest.raises(ValueError, match="dict"):
        selector.storage_options
    selector.kwargs.value = "{'k': 1}"
    assert selector.storage_options == {"k": 1} == selector.fs.storage_options


def test_slots_are_called_in_order(caplog):
    got = []
    select = SingleSelect(options=["a", "b", "c"])
    with pytest.raises(KeyError, match="selected"):
        select.connect("nothing", print)
    select.connect("selected", lambda value: 1 / 0)
    select.connect("selected", lambda value: got.append(value))
    select.connect("selected", lambda value: False)
    select.connect("selected", lambda value: got.append("not reached"))
    with caplog.at_level(logging.ERROR, "fsspec.gui"):
        select.set_selection(["a", "b"])
    assert (got, select.value) == ([["b"]], ["b"])
    assert "ZeroDivisionError" in caplog.text
    with select.ignore_events():
        select.set_selection("c")
    assert got == [["b"]]
    select.clear()
    assert select.panel.options == []


def test_begins_in_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "here").write_text("x")
    monkeypatch.chdir(tmp_path)
    assert shown(FileSelector()) == ["here"]


def test_package_that_is_missing():
    text = """
        import sys
        sys.modules["panel"] = None
        try:
            import fsspec.gui
        except ImportError as error:
            assert "pip install 'fsspec[gui]'" in str(error)
        else:
            raise AssertionError
    """
    assert run(text) == ""
