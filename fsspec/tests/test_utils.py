"""Paths, patterns, URLs, ranges, and what tells objects apart."""

import io
import logging
import os
import pathlib
import re
import subprocess
import sys
import threading
import types

import pytest

import fsspec
from fsspec import core, utils
from fsspec._paths.paths import hidden_name

# paths


@pytest.mark.parametrize(
    "paths, prefix",
    [
        (["a/b", "a/c"], "a"),
        (["a/b/c", "a/b/d", "a/e"], "a"),
        (["a", "b"], ""),
        (["a/b"], "a/b"),
        (["/a/b", "/a/c"], "/a"),
        (["/a", "/b"], ""),
        (["/", "/a"], ""),
        (["abc/d", "abd/e"], ""),
        (["ab/c", "ab"], "ab"),
        (["a/b/c", "a/b"], "a/b"),
        (["a/b", "a-b", "a/c"], ""),
        (["a/b/", "a/b/c"], "a/b"),
        (["x/a", "x/a-1/b", "x/a/c"], "x"),
    ],
)
def test_common_prefix_is_of_whole_components(paths, prefix):
    assert utils.common_prefix(paths) == prefix
    assert utils.common_prefix(iter(paths[::-1])) == prefix


@pytest.mark.parametrize(
    "paths, target, options, expected",
    [
        (["a/b/f", "a/b/g"], "x", {}, ["x/f", "x/g"]),
        (["a/b/f", "a/b/g"], "x/", {"exists": True}, ["x/b/f", "x/b/g"]),
        (["a/b/f"], "x", {}, ["x"]),
        (["a/b/f"], "x", {"exists": True}, ["x/f"]),
        (["f"], "x", {"exists": True}, ["x/f"]),
        (["a/b/f", "a/c/g"], "x", {"flatten": True}, ["x/f", "x/g"]),
        (["a/b", "a/b/c"], "x", {}, ["x", "x/c"]),
        (["a/b", "a/b/c"], "x", {"exists": True}, ["x/b", "x/b/c"]),
        (["a", "a/c"], "x", {"exists": True}, ["x", "x/c"]),
        (["a", "b"], "x", {}, ["x/a", "x/b"]),
        (["/a/f", "/b/g"], "/x", {}, ["/x/a/f", "/x/b/g"]),
        (["/a/f", "b/g"], "x", {}, ["x/a/f", "x/b/g"]),
        (["/a/f", "/a/d/g"], "memory://x", {}, ["memory://x/f", "memory://x/d/g"]),
        (["file:///a/f", "file:///a/g"], "memory://", {}, ["memory:///f", "memory:///g"]),
        (["/a/f"], "memory:///", {"exists": True}, ["memory:///f"]),
        (["a/a/f", "a/a/g"], "x", {}, ["x/f", "x/g"]),
        (["a//k", "a/k"], "x", {}, ["x//k", "x/k"]),
        (["a/b/", "a/b/c"], "x", {}, ["x/", "x/c"]),
    ],
)
def test_paths_keep_their_place_below_another_folder(paths, target, options, expected):
    assert utils.other_paths(paths, target, **options) == expected


def test_other_paths_of_given_targets_are_those():
    targets = ["x", "y"]
    assert utils.other_paths(["a", "b"], targets) is targets
    with pytest.raises(AssertionError, match="2 sources"):
        utils.other_paths(["a", "b"], ["x"])


@pytest.mark.parametrize(
    "root, inside, outside",
    [
        ("/a", ["/a", "/a/b", "/a/c/../d", "/a//b"], ["/ab", "/a/../b", "/", "a/b", "/a/b/../../c"]),
        ("/a/", ["/a/b/../c"], ["/a/../b"]),
        ("a", ["a/b"], ["/a/b", "../a/b", "a/../../a/b"]),
        ("", ["a", "a/b"], ["..", "../a", "/a"]),
        ("/", ["/a", "a"], ["../a"]),
    ],
)
def test_what_leads_out_of_a_folder_is_refused(root, inside, outside):
    utils.check_contained(root, inside)
    for path in outside:
        with pytest.raises(ValueError, match=re.escape(repr(path))):
            utils.check_contained(root, [*inside, path])


def test_names_sort_like_their_numbers():
    name = utils.build_name_function(10)
    assert [name(3), name(10)] == ["03", "10"]
    assert utils.build_name_function(9)(3) == "3" and utils.build_name_function(0)(0) == "0"


def test_fspath_comes_before_the_attribute_path():
    class Both:
        path = "attribute"

        def __fspath__(self):
            return "protocol"

    assert utils.stringify_path(Both()) == "protocol"
    assert utils.stringify_path(types.SimpleNamespace(path="attribute")) == "attribute"
    assert utils.stringify_path(pathlib.PurePosixPath("/a/b")) == "/a/b"
    for other in ("a", b"a", 5, None):
        assert utils.stringify_path(other) is other


# patterns

NAMES = ["a", "ab", "a/b", "a/b/c", ".a", "a.txt", "", "a/", "A", "[a]", "a-b", "!", "^", "]", "a\nb", "a|b"]


@pytest.mark.parametrize(
    "pattern, matches",
    [
        ("*", ["a", "ab", ".a", "a.txt", "A", "[a]", "a-b", "!", "^", "]", "a\nb", "a|b"]),
        ("**", NAMES),
        ("a*", ["a", "ab", "a.txt", "a-b", "a\nb", "a|b"]),
        ("*/b", ["a/b"]),
        ("a/**", ["a/b", "a/b/c", "a/"]),
        ("a/**/c", ["a/b/c"]),
        ("**/b", ["a/b"]),
        ("*/*/*", ["a/b/c"]),
        ("?", ["a", "A", "!", "^", "]"]),
        ("[a-z]", ["a"]),
        ("[!a]", ["A", "!", "^", "]"]),
        ("a[!x]*", ["ab", "a/b", "a.txt", "a/", "a-b", "a\nb", "a|b"]),
        ("[^a]", ["a", "^"]),
        ("[]]", ["]"]),
        ("[!]]", ["a", "A", "!", "^"]),
        ("[[]a]", ["[a]"]),
        ("[a", []),
        ("[z-a]", []),
        ("[a&&b|~~--]", ["a"]),
        ("a[-|]b", ["a-b", "a|b"]),
        ("a[!x]b", ["a/b", "a-b", "a\nb", "a|b"]),
        ("*.txt", ["a.txt"]),
        ("a.txt", ["a.txt"]),
    ],
)
def test_a_pattern_matches_within_components(pattern, matches):
    test = re.compile(utils.glob_translate(pattern)).match
    assert [name for name in NAMES if test(name)] == matches


@pytest.mark.parametrize("pattern", ["a**", "**a/b", "a/***", "[**]", "a/[x**"])
def test_a_part_of_a_component_cannot_be_any_number_of_them(pattern):
    with pytest.raises(ValueError, match=re.escape("**")):
        utils.glob_translate(pattern)


# URLs


@pytest.mark.parametrize(
    "url, protocol",
    [
        ("a", "file"),
        ("", "file"),
        ("/a/b", "file"),
        ("c:/x", "file"),
        ("c:\\x", "file"),
        ("x://y", "x"),
        ("s3://b", "s3"),
        ("zip::s3://b", "zip"),
        ("x::y", "x"),
        ("data:,x", "file"),
        ("/odd/a::b", "/odd/a"),
        ("::x", ""),
        (pathlib.PurePosixPath("/a"), "file"),
    ],
)
def test_the_protocol_of_a_url_is_found(url, protocol):
    assert utils.get_protocol(url) == protocol


@pytest.mark.parametrize("ask", [utils.get_protocol, utils.infer_compression, core.url_to_fs])
@pytest.mark.parametrize("kind", [TypeError, AttributeError])
@pytest.mark.parametrize("what", [None, 5, b"memory://x", ["memory://x"], {}])
def test_what_is_no_path_is_an_error_of_either_class(ask, kind, what):
    with pytest.raises(kind, match="a URL or a path is needed"):
        ask(what)


@pytest.mark.parametrize(
    "url, extension",
    [
        ("a", ""),
        ("a.txt", "txt"),
        ("s3://b/a.tar.gz", "gz"),
        ("/p.d/a", ""),
        (".hidden", "hidden"),
        ("a.", ""),
    ],
)
def test_get_file_extension(url, extension):
    assert utils.get_file_extension(url) == extension


@pytest.mark.parametrize(
    "name, compression",
    [
        ("a.gz", "gzip"),
        ("a.GZ", "gzip"),
        ("a.tar.bz2", "bz2"),
        ("s3://b/x.xz", "xz"),
        ("a.lz4", "lz4"),
        ("a.zst", "zstd"),
        ("a.txt", None),
        ("a", None),
        ("gz", None),
        (".gz", None),
        ("a.gz/b", None),
        (pathlib.PurePosixPath("a.zip"), "zip"),
    ],
)
def test_an_extension_stands_for_a_compression(name, compression):
    assert utils.infer_compression(name) == compression


def test_extensions_are_known_before_any_codec_is():
    code = (
        "import sys, fsspec.utils as u\n"
        "print(u.infer_compression('a.gz'), 'fsspec.compression' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["gzip", "False"]


@pytest.mark.parametrize(
    "url, parts",
    [
        ("/data/one", {"path": "/data/one"}),
        ("C:\\one", {"path": "C:\\one"}),
        ("d:/one", {"path": "d:/one"}),
        ("file:///one", {"path": "/one"}),
        ("file://host/one", {"path": "/one", "host": "host"}),
        ("file:///C:/one", {"path": "C:/one"}),
        ("file:///c|/one", {"path": "c:/one"}),
        ("1a://x", {"path": "1a://x"}),
        ("zip::file://x", {"path": "zip::file://x"}),
        (
            "hdfs://me:pw@Head:9000/one?a=1&b=2",
            {
                "protocol": "hdfs",
                "path": "/one",
                "host": "Head",
                "port": 9000,
                "username": "me",
                "password": "pw",
                "url_query": "a=1&b=2",
            },
        ),
        ("hdfs://me@head/one", {"protocol": "hdfs", "path": "/one", "host": "head", "username": "me"}),
        ("sftp://[::1]:22/a", {"protocol": "sftp", "path": "/a", "host": "::1", "port": 22}),
        ("ssh://a:b@c@h", {"protocol": "ssh", "path": "", "host": "h", "username": "a", "password": "b@c"}),
        ("s3://B/k?v=1", {"protocol": "s3", "path": "B/k", "host": "B", "url_query": "v=1"}),
        ("gs://b/a#f#g", {"protocol": "gs", "path": "b/a#f#g", "host": "b", "url_fragment": "f#g"}),
        ("HTTP://me:pw@h:8/one?a=1#t", {"protocol": "http", "path": "HTTP://me:pw@h:8/one?a=1#t"}),
        ("a+b.c-d://h/p", {"protocol": "a+b.c-d", "path": "/p", "host": "h"}),
    ],
)
def test_infer_storage_options(url, parts):
    assert utils.infer_storage_options(url) == {"protocol": "file", **parts}


def test_the_parts_of_a_path_object_are_those_of_its_text():
    assert utils.infer_storage_options(pathlib.PurePosixPath("/a")) == {"protocol": "file", "path": "/a"}


def test_the_parts_of_a_url_are_the_callers_to_change():
    utils.infer_storage_options("hdfs://h/p")["path"] = "changed"
    assert utils.infer_storage_options("hdfs://h/p")["path"] == "/p"


@pytest.mark.parametrize("port", ["bad", "99999", "-1", "²"])
def test_a_port_is_a_number(port):
    with pytest.raises(ValueError, match="port"):
        utils.infer_storage_options(f"hdfs://user:secret@h:{port}/p")


def test_inherited_options_may_not_contradict_the_url():
    url = "hdfs://user:secret@h:1/p"
    assert utils.infer_storage_options(url, {"host": "h", "more": 1})["more"] == 1
    with pytest.raises(KeyError, match="host") as caught:
        utils.infer_storage_options(url, {"host": "other", "password": "hidden"})
    assert "secret" not in str(caught.value) and "hidden" not in str(caught.value)
    for path in ("/x", "c:/x", "x://", "simplecache::memory://a"):
        assert utils.infer_storage_options(path, {"more": 1}) == {"protocol": "file", "path": path}


def test_update_storage_options_adds_all_or_nothing():
    options = {"a": 1}
    utils.update_storage_options(options, {"a": 1, "b": 2})
    utils.update_storage_options(options)
    assert options == {"a": 1, "b": 2}
    with pytest.raises(KeyError, match="a"):
        utils.update_storage_options(options, {"c": 3, "a": 2})
    assert options == {"a": 1, "b": 2}


# ranges


@pytest.mark.parametrize(
    "ranges, options, expected",
    [
        ([], {}, []),
        ([("a", 0, 5), ("a", 5, 9)], {}, [("a", 0, 9)]),
        ([("a", 0, 5), ("a", 10, 15)], {}, [("a", 0, 5), ("a", 10, 15)]),
        ([("a", 0, 5), ("a", 10, 15)], {"max_gap": 5}, [("a", 0, 15)]),
        ([("a", 0, 5), ("a", 10, 15)], {"max_gap": 4}, [("a", 0, 5), ("a", 10, 15)]),
        ([("b", 0, 5), ("a", 0, 5)], {}, [("a", 0, 5), ("b", 0, 5)]),
        ([("a", 10, 15), ("b", 0, 5), ("a", 0, 5)], {"max_gap": 10}, [("a", 0, 15), ("b", 0, 5)]),
        ([("a", 0, 9), ("a", 1, 4)], {"max_block": 1}, [("a", 0, 9)]),
        ([("a", 0, 5), ("a", 5, 10), ("a", 10, 15)], {"max_block": 10}, [("a", 0, 10), ("a", 10, 15)]),
        ([("a", 0, 5), ("a", 4, 14)], {"max_block": 6}, [("a", 0, 5), ("a", 4, 14)]),
        ([("a", 0, 5), ("a", 5, None)], {}, [("a", 0, None)]),
        ([("a", 0, None), ("a", 5, 10)], {"max_block": 2}, [("a", 0, None)]),
        ([("a", 0, 6), ("a", 5, None)], {"max_block": 2}, [("a", 0, None)]),
        ([("a", 0, 5), ("a", 5, None)], {"max_block": 2}, [("a", 0, 5), ("a", 5, None)]),
        ([("a", None, 5), ("a", 5, 10)], {}, [("a", 0, 10)]),
        ([("a", 10, 15), ("a", 0, 5)], {"sort": False}, [("a", 10, 15), ("a", 0, 5)]),
        ([("a", 0, 5), ("b", 0, 5), ("a", 5, 9)], {"sort": False}, [("a", 0, 5), ("b", 0, 5), ("a", 5, 9)]),
        ([("a", 0, 5), ("a", 5, 9), ("b", 0, 5)], {"sort": False}, [("a", 0, 9), ("b", 0, 5)]),
    ],
)
def test_ranges_that_touch_are_joined(ranges, options, expected):
    columns = [list(column) for column in zip(*ranges)] or [[], [], []]
    assert list(zip(*utils.merge_offset_ranges(*columns, **options))) == expected


def test_one_start_or_end_serves_for_all_paths():
    assert utils.merge_offset_ranges(["b", "a"], 0, 5) == (["a", "b"], [0, 0], [5, 5])
    assert utils.merge_offset_ranges(["b", "a"], [1, 2], None) == (["a", "b"], [2, 1], [None, None])


def test_ranges_have_as_many_parts_as_paths():
    with pytest.raises(ValueError, match="1 paths, 2 starts"):
        utils.merge_offset_ranges(["a"], [0, 1], [5])
    with pytest.raises(TypeError, match="list"):
        utils.merge_offset_ranges(("a",), [0], [5])


TEXT = b"abc;defg;hi;;jkl"


@pytest.mark.parametrize("delimiter", [b";", b";;", b"fg;h"])
@pytest.mark.parametrize("split_before", [False, True])
def test_blocks_that_end_at_delimiters_make_up_the_file(delimiter, split_before):
    for length in (1, 3, 7, 100):
        blocks = [
            utils.read_block(io.BytesIO(TEXT), start, length, delimiter, split_before)
            for start in range(0, len(TEXT) + 1, length)
        ]
        assert b"".join(blocks) == TEXT


def test_a_block_without_a_delimiter_is_a_range():
    assert utils.read_block(io.BytesIO(TEXT), 2, 5) == b"c;def"
    assert utils.read_block(io.BytesIO(TEXT), 20, 5) == utils.read_block(io.BytesIO(TEXT), 2, 0) == b""
    assert utils.read_block(io.BytesIO(TEXT), 2, None) == TEXT[2:]
    assert utils.read_block(io.BytesIO(TEXT), 2, None, delimiter=b";") == b"defg;hi;;jkl"


@pytest.mark.parametrize(
    "start, delimiter, blocksize, found, position",
    [(1, b";", 4, True, 4), (0, b";", 4, False, 0), (14, b";", 4, False, 16), (1, b";;", 3, True, 13)],
)
def test_the_next_delimiter_is_found(start, delimiter, blocksize, found, position):
    f = io.BytesIO(TEXT)
    f.seek(start)
    assert utils.seek_delimiter(f, delimiter, blocksize) is found
    assert f.tell() == position


def test_file_size_leaves_the_position():
    f = io.BytesIO(b"abcdef")
    f.seek(2)
    assert (utils.file_size(f), f.tell()) == (6, 2)


def test_parts_of_bytes_lie_within_them():
    for data in (b"0123456789", bytearray(b"0123456789"), memoryview(b"0123456789")):
        assert utils._fast_slice(data, 2, 5) == b"23456"
        assert utils._fast_slice(data, 10, 0) == b""
        for offset, size in ((8, 5), (-1, 2), (3, -2)):
            with pytest.raises(ValueError, match="10 bytes"):
                utils._fast_slice(data, offset, size)


def test_bytes_have_addresses():
    data = b"some bytes"
    assert utils.PyBytes_FromStringAndSize(utils.PyBytes_AsString(data), 4) == b"some"


# what tells objects apart


class WithToken:
    def __init__(self, token):
        self.token = token

    def __dask_tokenize__(self):
        return self.token


def test_tokens_are_digests():
    assert utils.tokenize("conformance") == "3c05bccc3d8ddd1c35a84ecce80da373"
    assert re.fullmatch("[0-9a-f]{32}", utils.tokenize([1, "two"], k={"x": None}))


def test_tokens_differ_where_arguments_do():
    different = [
        utils.tokenize(*args, **kwargs)
        for args, kwargs in [
            ((), {}),
            ((1,), {}),
            (("1",), {}),
            (([1, 2],), {}),
            (((1, 2),), {}),
            ((1, 2), {}),
            ((), {"a": 1}),
            ((), {"a": 2}),
            ((), {"a": 1, "b": 2}),
            ((1,), {"a": 2}),
            ((WithToken("x"),), {}),
            ((WithToken("y"),), {}),
            ((["x", WithToken("y")],), {}),
            (({"x"},), {}),
            ((frozenset("x"),), {}),
            ((b"x",), {}),
            ((object(),), {}),
            ((True,), {}),
            ((1.0,), {}),
        ]
    ]
    assert len(set(different)) == len(different)


def test_the_order_of_keywords_does_not_matter():
    assert utils.tokenize(a=1, b=[2]) == utils.tokenize(b=[2], a=1)


def test_what_has_a_token_counts_by_it():
    one, other = (utils.tokenize(WithToken("x"), k=[WithToken("y")]) for _ in range(2))
    assert one == other


def test_other_objects_count_by_identity():
    one, other = object(), object()
    assert utils.tokenize(one) == utils.tokenize(one) != utils.tokenize(other)


def test_tokens_are_the_same_in_every_process():
    code = (
        "from fsspec.utils import tokenize\n"
        "print(tokenize(int, {'b', 'a', 'c'}, k={frozenset('xyz'): 'é\\udc80'}))"
    )
    seen = set()
    for seed in "123":
        env = dict(os.environ, PYTHONHASHSEED=seed)
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60
        )
        seen.add(done.stdout)
    assert len(seen) == 1 and len(seen.pop()) == 33


def test_make_instance_calls_with_both_kinds_of_arguments():
    assert utils.make_instance(dict, ([("a", 1)],), {"b": 2}) == {"a": 1, "b": 2}


def test_what_reads_closes_and_tells_is_like_a_file():
    assert utils.isfilelike(io.BytesIO()) and utils.isfilelike(io.StringIO())
    assert not utils.isfilelike("x") and not utils.isfilelike(types.SimpleNamespace(read=1, close=2, tell=3))


def test_only_exceptions_are_exceptions():
    assert utils.is_exception(ValueError()) and utils.is_exception(KeyboardInterrupt())
    assert not utils.is_exception(ValueError) and not utils.is_exception(1)


def test_a_null_context_gives_its_object():
    with utils.nullcontext(5) as inside:
        assert inside == 5


def test_attributes_are_mirrored_from_an_inner_object():
    @utils.mirror_from("inner", ["upper", "missing"])
    class Outer:
        inner = "MiXed"

    outer = Outer()
    assert outer.upper() == "MIXED"
    outer.inner = "other"
    assert outer.upper() == "OTHER"
    with pytest.raises(AttributeError, match="missing"):
        outer.missing


def test_versions_are_found_without_an_import():
    assert utils.get_package_version_without_import("pytest") == pytest.__version__
    assert utils.get_package_version_without_import("no-such-package-at-all") is None


# logging and writing


def test_setup_logging(capsys):
    logger = logging.getLogger("fsspec.tests.logging")
    try:
        assert utils.setup_logging(logger_name=logger.name, level="INFO") is logger
        logger.info("heard")
        logger.debug("not heard")
        assert "INFO - test_setup_logging -- heard" in capsys.readouterr().err
        assert len(utils.setup_logging(logger, clear=False).handlers) == 2
        assert len(utils.setup_logging(logger).handlers) == 1
    finally:
        logger.handlers.clear()
        logger.setLevel(logging.NOTSET)
    with pytest.raises(ValueError, match="name"):
        utils.setup_logging()


def test_a_file_appears_when_it_is_whole(tmp_path):
    path = tmp_path / "f"
    with utils.atomic_write(path) as f:
        f.write(b"x")
        assert not path.exists()
    assert path.read_bytes() == b"x" and os.listdir(tmp_path) == ["f"]
    with utils.atomic_write(str(path), mode="w") as f:
        f.write("é\n")
    assert path.read_bytes() == "é\n".encode() and os.listdir(tmp_path) == ["f"]


@pytest.mark.parametrize("mode, part", [("wb", b"new"), ("w", "new")])
def test_a_file_that_fails_leaves_the_old_one(tmp_path, mode, part):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(KeyError), utils.atomic_write(path, mode) as f:
        f.write(part)
        raise KeyError
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["f"]


def test_a_file_that_is_replaced_keeps_its_permissions_and_a_new_one_has_the_usual(tmp_path):
    old, usual, new = tmp_path / "old", tmp_path / "usual", tmp_path / "new"
    old.write_bytes(b"")
    old.chmod(0o640)
    usual.write_bytes(b"")
    for path in (old, new):
        with utils.atomic_write(path) as f:
            f.write(b"x")
    assert old.stat().st_mode & 0o777 == 0o640
    assert new.stat().st_mode == usual.stat().st_mode


def test_only_whole_files_are_written_at_once(tmp_path):
    with pytest.raises(ValueError, match="'ab'"), utils.atomic_write(tmp_path / "f", "ab"):
        pass
    assert os.listdir(tmp_path) == []


# what it costs to import


def test_words_load_no_machinery():
    code = (
        "import sys; before = set(sys.modules)\n"
        "import fsspec.callbacks, fsspec.compression, fsspec.config, fsspec.dircache, fsspec.exceptions\n"
        "import fsspec.utils; fsspec.utils.tokenize(1, a=2)\n"
        "print(*{'asyncio', 'bz2', 'configparser', 'ctypes', 'hashlib', 'importlib.metadata',"
        " 'importlib.util', 'json', 'logging', 'lzma', 'ssl', 'tempfile', 'threading', 'zipfile'}"
        " & set(sys.modules) - before)"
    )
    plain = {k: v for k, v in os.environ.items() if not k.startswith("FSSPEC")}  # configuration is JSON
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=plain)
    assert done.stdout.strip() == "" and not done.stderr


def test_threads_may_ask_at_once():
    seen = []

    def work():
        for i in range(300):
            seen.append(utils.infer_storage_options(f"s3://b/{i}")["path"] == f"b/{i}")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1200 and all(seen)


def test_brackets_are_no_address():
    assert utils.infer_storage_options("memory://b[1]")["host"] == "b[1]"


@pytest.mark.parametrize("protocol", ["memory", "file", "reference", "simplecache"])
def test_what_is_no_path_does_not_exist(protocol):
    options = {"reference": {"fo": {}}, "simplecache": {"target_protocol": "memory"}}
    fs = fsspec.filesystem(protocol, **options.get(protocol, {}), skip_instance_cache=True)
    for nothing in (None, 1.5, ["a"]):
        assert fs.exists(nothing) is False
    with pytest.raises(TypeError):
        fs.exists()


def test_a_hidden_name_is_in_the_folder_of_the_file_or_in_the_one_given():
    for path, folder, begins in (
        ("/a/b", None, "/a/.b."),
        ("b", None, ".b."),
        ("/b", None, "/.b."),
        ("/a/b", "/t/", "/t/.b."),
        ("/a/b", "", ".b."),
        ("/a/" + "é" * 200, None, "/a/." + "é" * 40 + "."),
    ):
        name = hidden_name(path, folder)
        assert name.startswith(begins) and name.endswith(".part") and "/" not in name[len(begins) :]
        assert name != hidden_name(path, folder)
