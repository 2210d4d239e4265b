"""Configuration from files, variables and the dictionary."""

import configparser
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Iterable
from typing import Any, Optional

import pytest

from fsspec import config, get_filesystem_class


class One:
    protocol = "one"


class Many:
    protocol = ("first", "second")


@pytest.fixture
def write(tmp_path):
    def write(**files):
        for name, text in files.items():
            stem, _, kind = name.rpartition("_")
            (tmp_path / f"{stem}.{kind}").write_text(text if isinstance(text, str) else json.dumps(text))
        return str(tmp_path)

    return write


def from_env(**variables):
    found = {}
    config.set_conf_env(found, variables)
    return found


def from_files(folder, **already):
    config.set_conf_files(folder, already)
    return already


def run(code, folder, **variables):
    env = {k: v for k, v in os.environ.items() if not k.startswith("FSSPEC")}
    env.update(variables, FSSPEC_CONFIG_DIR=folder)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True, timeout=60
    )
    assert not done.stderr
    return done.stdout.strip()


# variables


def test_a_variable_for_a_protocol_holds_an_object():
    assert from_env(FSSPEC_S3='{"anon": true, "Key": 1}', PATH="/bin") == {"s3": {"anon": True, "Key": 1}}


@pytest.mark.parametrize(
    "text, value",
    [("5", 5), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ("yes", "yes"), ("{bad", "{bad")],
)
def test_a_variable_for_an_argument_holds_json_or_text(text, value):
    assert from_env(FSSPEC_S3_CLIENT_NAME=text) == {"s3": {"client_name": value}}


def test_a_variable_for_an_argument_wins_whatever_the_order():
    assert from_env(FSSPEC_S3_A="1", FSSPEC_S3='{"a": 2, "b": 3}') == {"s3": {"a": 1, "b": 3}}


def test_variables_add_to_what_is_there():
    found = {"s3": {"old": 1}}
    config.set_conf_env(found, {"FSSPEC_S3": '{"new": 2}'})
    assert found == {"s3": {"old": 1, "new": 2}}


@pytest.mark.parametrize("name", ["FSSPEC", "FSSPEC_", "FSSPEC__X"])
def test_a_variable_without_a_protocol_is_skipped_with_a_warning(name):
    with pytest.warns(UserWarning, match=f"{name} is ignored.*unexpected name"):
        assert from_env(**{name: "1"}) == {}


@pytest.mark.parametrize("text", ["not json", "[1]", '"text"', "5"])
def test_a_protocol_without_an_object_is_skipped_and_its_value_not_shown(text):
    with pytest.warns(UserWarning, match="FSSPEC_S3.*not being a dict but (str|list|int)") as caught:
        assert from_env(FSSPEC_S3=text) == {}
    assert len(caught) == 1 and "not json" not in str(caught[0].message)
    assert caught[0].filename == "FSSPEC_S3"  # where to look, and no line of this package


def test_the_warning_of_an_object_with_an_error_says_where_it_is():
    text = '{"endpoint_url": "http://h", "secret": "hunter2"'
    with pytest.warns(UserWarning, match=r"FSSPEC_S3 is ignored.*line 1 column 49") as caught:
        assert from_env(FSSPEC_S3=text) == {}
    assert "hunter2" not in str(caught[0].message)


def test_the_folder_of_the_configuration_configures_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert from_env(FSSPEC_CONFIG_DIR="/etc", fsspec_s3="{}") == {}


def test_a_longer_word_configures_nothing_and_is_warned_of():
    with pytest.warns(UserWarning, match="FSSPECIAL is ignored, for it has an unexpected name"):
        assert from_env(FSSPECIAL="1") == {}


def test_variables_of_odd_names_are_options_as_well():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = from_env(FSSPEC_ZED_="1", FSSPEC_A__B="x")
    assert found == {"zed": {"": 1}, "a": {"_b": "x"}}


def test_the_fork_variable_is_an_ordinary_one():
    assert from_env(FSSPEC_FORK_RESET="1") == {"fork": {"reset": 1}}
    assert from_env(FSSPEC_FORK='{"reset": true}') == {"fork": {"reset": True}}


# files


def test_files_are_read_in_order_and_later_ones_win(write):
    folder = write(
        a_json={"f": {"x": 1, "y": 1}},
        b_ini="[f]\nx=2\n[g]\nq = text\n",
        c_txt="junk",
        d_json={"f": {"z": 3}},
    )
    assert from_files(folder) == {"f": {"x": "2", "y": 1, "z": 3}, "g": {"q": "text"}}


def test_files_add_to_what_is_there(write):
    assert from_files(write(a_json={"f": {"x": 1}}), f={"x": 0, "k": 9}) == {"f": {"x": 1, "k": 9}}


def test_a_key_that_steers_fsspec_has_a_plain_value(write):
    folder = write(a_json={"open_expand": True, "gather_batch_size": 7}, b_json={"gather_batch_size": 8})
    assert from_files(folder) == {"open_expand": True, "gather_batch_size": 8}


def test_a_folder_that_is_not_there_says_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert from_files(str(tmp_path / "none")) == from_files(str(tmp_path / "file")) == {}


def test_a_broken_file_is_an_error(write):
    with pytest.raises(json.JSONDecodeError, match="a.json"):
        from_files(write(a_json="broken"))


def test_a_file_without_an_object_is_an_error_that_names_it(write):
    with pytest.raises(ValueError, match="a.json"):
        from_files(write(a_json=[1]))


# what instances get


def test_arguments_win_over_configuration_and_are_not_changed():
    given = {"a": 1}
    assert config.apply_config(One, given, {"one": {"a": 0, "b": 2}, "other": {"c": 3}}) == {"a": 1, "b": 2}
    assert given == {"a": 1}


class Flagged:
    protocol = "flagged"

    def __init__(self, anon=False, key=None, use_ssl=True, port=21, wait=0.5):
        """As of s3fs, which takes any text for true."""


def test_text_for_an_option_that_is_true_or_false_is_taken_by_its_meaning(write):
    found = {}
    config.set_conf_files(write(a_ini="[flagged]\nanon = False\nkey = false\nuse_ssl = maybe\n"), found)
    assert config.apply_config(Flagged, {}, found) == {"anon": False, "key": "false", "use_ssl": "maybe"}
    found = from_env(FSSPEC_FLAGGED_ANON="No", FSSPEC_FLAGGED_USE_SSL="ON")
    assert config.apply_config(Flagged, {}, found) == {"anon": False, "use_ssl": True}
    assert config.apply_config(Flagged, {"anon": "x"}, found) == {"anon": "x", "use_ssl": True}
    config.set_conf_files(write(b_ini="[flagged]\nport = 2121\nwait = 1\n"), found)
    assert config.apply_config(Flagged, {}, {"flagged": found["flagged"]})["port"] == 2121
    given = {"flagged": {"port": "2.5", "wait": "some", "key": "7"}}
    assert config.apply_config(Flagged, {}, given) == {"port": 2.5, "wait": "some", "key": "7"}


class Structured:
    protocol = "structured"

    def __init__(
        self,
        client_kwargs: dict[str, list[int]] | None = None,
        folders: str | list[str] = "TMP",
        codes: Optional[Iterable[int]] = None,  # noqa: UP045  # as others write it
        name: str | None = None,
        port: int | None = None,
        encrypt: bool | None = None,
        timeout: float | tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """As of filesystems here."""


def test_text_that_is_a_json_object_or_list_is_one_where_the_option_may_be_one(write):
    text = """[structured]
        client_kwargs = {"trust_env": true, "share": "100%%"}
        folders = ["/a", "TMP"]
        codes = [500, 503]
        name = {"a": 1}
        port = 445
        encrypt = no
        timeout = [1, 2]
        headers = {"X-Key": "v"}
        other = [not json]"""
    found = {}
    config.set_conf_files(write(a_ini="\n".join(line.strip() for line in text.splitlines())), found)
    assert config.apply_config(Structured, {}, found) == {
        "client_kwargs": {"trust_env": True, "share": "100%"},
        "folders": ["/a", "TMP"],
        "codes": [500, 503],
        "name": '{"a": 1}',
        "port": 445,
        "encrypt": False,
        "timeout": [1, 2],
        "headers": {"X-Key": "v"},
        "other": "[not json]",
    }
    plain = {"folders": "/a", "codes": "500", "timeout": "2.5", "client_kwargs": ""}
    assert config.apply_config(Structured, {}, {"structured": plain}) == {**plain, "timeout": 2.5}


@pytest.mark.parametrize(
    "option, value, kind",
    [
        ("client_kwargs", '{"a secret": true', "object"),
        ("client_kwargs", '["a secret"]', "object"),
        ("client_kwargs", "a secret", "object"),
        ("codes", "[a secret", "list"),
    ],
)
def test_text_that_cannot_be_what_the_option_is_is_reported_with_its_place(write, option, value, kind):
    found = {}
    folder = write(a_ini=f"[structured]\n{option} = {value}\n")
    config.set_conf_files(folder, found)
    with pytest.raises(ValueError, match=f"{option!r} of 'structured' in .*a.ini .* JSON {kind}") as caught:
        config.apply_config(Structured, {}, found)
    assert "a secret" not in str(caught.value) and caught.value.__suppress_context__
    with pytest.raises(ValueError, match=f"{option!r} of 'structured' in the configuration"):
        config.apply_config(Structured, {}, {"structured": {option: value + "!"}})


def test_a_variable_that_cannot_be_what_the_option_is_is_reported():
    found = from_env(FSSPEC_STRUCTURED_CLIENT_KWARGS="{'a secret': true}")
    with pytest.raises(ValueError, match="variable FSSPEC_STRUCTURED_CLIENT_KWARGS .* JSON object") as caught:
        config.apply_config(Structured, {}, found)
    assert "a secret" not in str(caught.value)


class Undeclared(Structured):
    protocol = ("undeclared", "second")

    def __init__(self, config_kwargs=None, **kwargs):
        """As of s3fs, and of what is derived from it."""


@pytest.mark.parametrize("option", ["config_kwargs", "client_kwargs", "other_kwargs"])
@pytest.mark.parametrize("second", ["one.ini", "two.json"])
def test_text_for_keyword_arguments_is_reported_with_its_place_where_no_type_is_declared(
    tmp_path, option, second
):
    (tmp_path / "one.ini").write_text(
        f"[undeclared]\n{option} = a secret\n[structured]\n{option} = a secret\n"
    )
    (tmp_path / "two.json").write_text(json.dumps({"second": {option: "a secret"}}))
    found = {}
    config.set_conf_files(str(tmp_path), found)
    if second == "one.ini":
        del found["second"]
    with pytest.raises(ValueError) as caught:
        config.apply_config(Undeclared, {}, found)
    protocol = "undeclared" if second == "one.ini" else "second"
    assert f"{option!r} of {protocol!r} in {tmp_path / second} " in str(caught.value)
    assert "a secret" not in str(caught.value)


def test_a_subclass_takes_text_as_the_class_that_it_hands_it_to_declares():
    found = config.apply_config(
        Undeclared, {}, {"second": {"encrypt": "no", "port": "445", "config_kwargs": '{"a": 1}', "key": "no"}}
    )
    assert found == {"encrypt": False, "port": 445, "config_kwargs": {"a": 1}, "key": "no"}


@pytest.mark.parametrize("value", ["a secret", ["a secret"], 5, True])
def test_a_protocol_without_an_object_is_reported_with_its_place(write, value):
    found = {}
    folder = write(a_json={"one": value})
    config.set_conf_files(folder, found)
    with pytest.raises(ValueError, match=r"'one' in .*a.json is an? \w+, not an object") as caught:
        config.apply_config(One, {}, found)
    assert "a secret" not in str(caught.value)
    config.set_conf_env(found, {"FSSPEC_ONE_A": "1", "FSSPEC_ONE": '{"b": 2}'})
    assert config.apply_config(One, {}, found) == {"a": 1, "b": 2}


def test_text_of_well_known_options_that_are_not_declared_has_their_meaning(write):
    pytest.importorskip("aiohttp")
    http = get_filesystem_class("http")
    found = from_files(write(a_ini="[http]\ntimeout = 5\nssl = false\ndefault_block_size = 1.5\nother = 5\n"))
    meant = {"timeout": 5, "ssl": False, "default_block_size": 1.5, "other": "5"}
    assert config.apply_config(http, {}, found) == meant
    config.set_conf_files(write(b_ini="[http]\ntimeout = secret\n"), found)
    with pytest.raises(ValueError, match="'timeout' of 'http' in .*b.ini is to be a number") as caught:
        config.apply_config(http, {}, found)
    assert "secret" not in str(caught.value)


def test_a_percent_sign_that_is_written_once_is_reported_with_its_place(write):
    with pytest.raises(
        configparser.InterpolationError, match="'password' of 'sftp' in .*a.ini .*%%"
    ) as caught:
        from_files(write(a_ini="[sftp]\npassword = a%secret\n"))
    assert "secret" not in str(caught.value)


def test_of_several_protocols_later_ones_win():
    configured = {"second": {"c": 2}, "first": {"b": 1, "c": 1}}
    assert config.apply_config(Many, {}, configured) == {"b": 1, "c": 2}


def test_without_a_dictionary_the_one_of_the_module_counts(monkeypatch):
    monkeypatch.setitem(config.conf, "one", {"a": 1})
    assert config.apply_config(One, {}) == {"a": 1}


def test_a_process_starts_with_files_and_then_variables(write):
    folder = write(a_json={"memory": {"k": 1, "l": 1}})
    code = "import json, fsspec.config as c; print(json.dumps([c.conf, c.conf_dir]))"
    conf, used = json.loads(run(code, folder, FSSPEC_MEMORY_K="2"))
    assert conf == {"memory": {"k": 2, "l": 1}} and used == folder


@pytest.mark.parametrize("section", ["fork", "pickle", "otel"])
def test_a_switch_that_is_not_in_an_object_is_reported_and_off(write, section):
    folder = write(a_json={section: True})
    code = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as told:\n"
        "    warnings.simplefilter('always')\n"
        "    import fsspec.config\n"
        "print(*[one.message for one in told])"
    )
    assert run(code, folder).startswith(f"{section!r} in the configuration is not an object such as")


def test_parsers_are_loaded_only_where_something_is_configured(tmp_path):
    code = "import sys, fsspec.config as c; print(c.conf, {'json', 'configparser'} & {*sys.modules})"
    assert run(code, str(tmp_path)) == "{} set()"


# switches


@pytest.mark.parametrize("value", ["1", 1, True, " Yes", "on", '"true"'])
def test_what_is_on(value):
    assert config.switch(value) is True


@pytest.mark.parametrize("value", ["", "0", 0, False, None, "No", "off", "null", '""'])
def test_what_is_off(value):
    assert config.switch(value) is False


@pytest.mark.parametrize(
    "variable, section, key",
    [
        ("FSSPEC_FORK_RESET", "fork", "reset"),
        ("FSSPEC_PICKLE_LISTINGS", "pickle", "listings"),
        ("FSSPEC_OTEL_SPANS", "otel", "spans"),
    ],
)
def test_a_switch_that_is_neither_on_nor_off_is_reported_and_off(tmp_path, variable, section, key):
    code = (
        "import warnings\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    import fsspec.config, fsspec._fork.hooks as hooks\n"
        "[one] = caught\n"
        f"print(one.filename, one.message, fsspec.config.switched_on({section!r}, {key!r}), hooks.opted_in())"
    )
    output = run(code, str(tmp_path), **{variable: "banana"})
    assert (
        output.startswith(f"{variable} {variable}, or ")
        and "'banana'" in output
        and output.endswith("False False")
    )
    assert (
        run(f"import fsspec.config as c; print(c.switched_on({section!r}, {key!r}))", str(tmp_path))
        == "False"
    )
