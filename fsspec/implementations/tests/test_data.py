"""``data:`` URLs, which carry their content."""

import binascii
import pathlib
import pickle

import pytest

import fsspec


@pytest.fixture
def fs():
    return fsspec.filesystem("data")


@pytest.mark.parametrize(
    ("url", "content", "mime"),
    [
        ("data:,hello", b"hello", ""),
        ("data:,hi%20there", b"hi there", ""),
        ("data:,", b"", ""),
        ("data:text/plain,a,b", b"a,b", "text/plain"),
        ("data:text/plain;charset=utf8,%C3%A9", "é".encode(), "text/plain"),
        ("data:;base64,aGVsbG8=", b"hello", ""),
        ("data:image/png;base64,aGVs bG8=\n", b"hello", "image/png"),
        ("data:;base64,aGVsbG8%3D", b"hello", ""),
        ("data:;base64,!!aGVs-bG8=", b"hello", ""),
        ("data:;base64,%2B%2F8=", b"\xfb\xff", ""),
        ("data:,a*b?[c]", b"a*b?[c]", ""),
    ],
)
def test_the_content_of_a_url_is_decoded(fs, url, content, mime):
    """Percent signs are taken off before base64 is, of which other characters are no part."""
    assert fs.cat_file(url) == content
    assert (fs.info(url)["size"], fs.info(url)["mimetype"]) == (len(content), mime)
    assert fs.info(fs._strip_protocol(url))["size"] == len(content)
    assert fs.exists(url) and fs.isfile(url) and not fs.isdir(url)
    with fsspec.open(url) as f:
        assert f.read() == content
    with fs.open(url, "rb") as f:
        assert f.read() == content


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("data:secret", "comma"),
        ("data:", "comma"),
        ("data:;base64,aGVsbG8", "padding"),
        ("data:;base64,aGV%sbG8", "padding"),
    ],
)
def test_an_error_does_not_repeat_the_content(fs, url, why):
    """An error that does not repeat the content, which may be long or secret."""
    for act in (fs.cat_file, fs.info, fs.open):
        with pytest.raises(ValueError, match=why) as caught:
            act(url)
        assert isinstance(caught.value, binascii.Error) == (why == "padding")
        content = url.rpartition(",")[2].removeprefix("data:")
        assert not content or content not in str(caught.value)
    assert (
        not fs.exists(url) and not fs.isfile(url) and fs.glob(url) == [] and fs.glob(url, detail=True) == {}
    )


def test_a_pattern_finds_nothing(fs):
    assert fs.glob("data:,a") == [] and fs.glob("data:,a", detail=True) == {}


@pytest.mark.parametrize("start", [None, 0, 3, 20, -3])
@pytest.mark.parametrize("end", [None, 0, 5, 20, -2, -20])
def test_ranges_are_slices(fs, start, end):
    """As those of bytes."""
    assert fs.cat_file("data:,0123456789", start, end) == b"0123456789"[start:end]


@pytest.mark.parametrize("mode", ["wb", "ab", "xb", "w"])
def test_data_urls_are_only_read(fs, mode):
    """There is no place to write to."""
    with pytest.raises(ValueError, match="only be read"):
        fs.open("data:,x", mode)
    with pytest.raises(ValueError, match="only be read"):
        fs.pipe_file("data:,x", b"")


def test_what_is_encoded_can_be_read(fs):
    """What it makes can be read."""
    url = fs.encode(bytes(range(256)), "application/octet-stream")
    assert fs.cat_file(url) == bytes(range(256))
    assert fs.info(url)["mimetype"] == "application/octet-stream"
    assert fs.encode(b"a") == "data:;base64,YQ=="


def test_instance_is_pickled(fs):
    """It holds nothing."""
    assert pickle.loads(pickle.dumps(fs)) is fs


def test_a_path_object_is_stripped_as_its_text(fs):
    """Any path can be stripped."""
    assert fs._strip_protocol(pathlib.PurePosixPath("a,b")) == "a,b"
