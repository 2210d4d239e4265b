"""What is left out of what people read."""

import pytest

from fsspec._paths.redaction import is_secret, redact_options, redact_text, redact_url, redact_values


@pytest.mark.parametrize(
    "url, shown",
    [
        ("http://host/a/b.txt", "http://host/a/b.txt"),
        ("http://me:pw@host/a", "http://host/a"),
        ("http://host/a?sig=abc&list&x=1#f", "http://host/a?sig=...&...&x=...#f"),
        ("http://[broken/?sig=abc", "http://[broken/"),
        ("a@b?c", "a@b?c"),
        ("http://me:p@ss@host/a", "http://host/a"),
        ("http://me:pw@[fe80::a]/a?sig=a::b", "http://[fe80::a]/a?sig=..."),
        ("simplecache::http://me:pw@host/a?sig=abc", "simplecache::http://host/a?sig=..."),
        ("zip://a::filecache::http://me:pw@host/a?sig=abc", "zip://a::filecache::http://host/a?sig=..."),
    ],
)
def test_urls(url, shown):
    assert redact_url(url) == shown


def test_urls_within_a_text():
    text = "cannot connect to http://me:pw@host/a?sig=abc (after 'http://h/?t=1')"
    assert redact_text(text) == "cannot connect to http://host/a?sig=... (after 'http://h/?t=...')"
    text = "(http://me:p@ss@host/a?sigabc), http://h/?sigabc really?"
    assert redact_text(text) == "(http://host/a?...), http://h/?... really?"


@pytest.mark.parametrize("name", ["key", "account_key", "sas-token", "Authorization", "connection_string"])
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize("name", ["key_filename", "anon", "tokens_per_second", None])
def test_names_of_others(name):
    assert not is_secret(name)


def test_options_in_a_report():
    options = {
        "anon": False,
        "aws_access_key_id": "AK",
        "client_kwargs": {"endpoint_url": "http://me:pw@h/?t=1"},
    }
    assert redact_options(options) == {
        "anon": False,
        "aws_access_key_id": "(hidden)",
        "client_kwargs": {"endpoint_url": "http://(hidden)@h/?(hidden)"},
    }


def test_values_of_options_in_a_text():
    options = {"key": "ab", "client_kwargs": {"endpoint_url": "http://127.0.0.1:1/x", "token": "long-token"}}
    text = "ab cab http://127.0.0.1:1/x?q=1 long-token1 s3://me:p@w@host/x?sigabc"
    assert redact_values(text, options) == "*** cab http://127.0.0.1:1/x?q=... ***1 s3://me:***@host/x?..."
