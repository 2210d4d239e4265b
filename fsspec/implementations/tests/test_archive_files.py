"""Archives that are one file of another filesystem: what their end does."""

import io
import subprocess
import sys
import zipfile
from contextlib import closing

import pytest

import fsspec
from fsspec.implementations.tests.archives import tarred, zipped

AT_THE_END = """
import ctypes, os, sys, tarfile, zipfile
import fsspec
from fsspec.implementations import tar, zip

kind, how, folder = {kind!r}, {how!r}, {folder!r}
path = os.path.join(folder, "a." + kind)
if kind == "zip":
    with zipfile.ZipFile(path, "w") as z:
        z.writestr("a", b"x" * 100_000)
else:
    with tarfile.open(path, "w:gz") as t:
        t.add(__file__, "a")
if how == "written":
    fs = fsspec.filesystem("zip", fo=os.path.join(folder, "new.zip"), mode="w")
    fs.pipe_file("a", b"written")
elif how == "cached":
    f = fsspec.open("blockcache::file://" + path).open()
    f.read(10)
else:
    fs = fsspec.filesystem(kind.partition(".")[0], fo=path)
    f = fs.open("a", "rt" if how == "text" else "rb")
    f.read(10)
for module in list(sys.modules.values()):  # as C libraries do, torch's among them
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(module))
"""


@pytest.mark.parametrize(
    "kind, how", [("zip", "read"), ("zip", "text"), ("tar.gz", "read"), ("zip", "written"), ("zip", "cached")]
)
def test_the_interpreters_end_is_silent_though_modules_outlive_their_globals(kind, how, tmp_path):
    """And what was written is complete."""
    program = tmp_path / "program.py"
    program.write_text(AT_THE_END.format(kind=kind, how=how, folder=str(tmp_path)))
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    if how == "written":
        with zipfile.ZipFile(tmp_path / "new.zip") as z:
            assert z.read("a") == b"written"


@pytest.mark.parametrize("fo, what", [(None, "None"), (3, "an int"), ([], "a list")])
@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
def test_what_is_no_archive_is_named(kind, fo, what):
    if kind == "libarchive":
        pytest.importorskip("libarchive")
    for error in (TypeError, AttributeError):
        with pytest.raises(error, match=f"not {what}: write {kind}://"):
            fsspec.filesystem(kind, fo=fo, skip_instance_cache=True)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_file_that_the_readers_of_the_standard_library_have_has_what_the_archive_s_file_has(kind):
    """Programs ask it for the cache of a remote file, to fill or to close it (archivefs)."""

    class File(io.BytesIO):
        cache = "its own"

    with closing(File((zipped if kind == "zip" else tarred)({"a": b"1"}))) as file:
        fs = fsspec.filesystem(kind, fo=file)
        reader = fs.zip.fp if kind == "zip" else fs.tar.fileobj
        assert reader.cache == "its own" and reader.getvalue() == file.getvalue()
        assert not hasattr(reader, "no_such_name")


@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
def test_what_an_info_of_its_own_adds_is_no_member(kind):
    """There is nothing to read of it, as of any other file that is not there."""
    if kind == "libarchive":
        pytest.importorskip("libarchive")

    class Adding(fsspec.get_filesystem_class(kind)):
        def info(self, path, **kwargs):
            if path in ("added", "folder/added"):
                return {"name": path, "size": 3, "type": "file"}
            return super().info(path, **kwargs)

    made = (tarred if kind == "tar" else zipped)({"folder/member": b"1"})
    with closing(Adding(io.BytesIO(made))) as fs:
        assert fs.exists("added") and fs.cat_file("folder/member") == b"1"
        for path in ("added", "folder/added"):
            for read in (fs.cat, fs.cat_file, fs.open, fs.head):
                with pytest.raises(FileNotFoundError, match=path):
                    read(path)
        assert fs.cat(["folder/member", "added"], on_error="omit") == {"folder/member": b"1"}


@pytest.mark.parametrize("kind", ["zip", "tar", "libarchive"])
def test_what_is_missing_and_what_is_not_done_is_told_to_who_uses_it(kind, tmp_path):
    if kind == "libarchive":
        pytest.importorskip("libarchive")
    path = tmp_path / "a.archive"
    path.write_bytes((zipped if kind == "zip" else tarred)({"dir/report.csv": b"1", "x": b"2"}))
    fs = fsspec.filesystem(kind, fo=str(path))
    with closing(fs):
        for ask in (fs.open, fs.cat_file, fs.info, fs.ls, fs.cat):
            with pytest.raises(
                FileNotFoundError, match="^repor.csv: .*a.archive'; is 'dir/report.csv'"
            ) as caught:
                ask("repor.csv")
            assert caught.value.args == ("repor.csv",)
        for change in (fs.rm, fs.rm_file, lambda name: fs.mv(name, "y"), lambda name: fs.cp_file(name, "y")):
            with pytest.raises(
                NotImplementedError, match="'x': members are not removed.*write a new archive"
            ):
                change("x")
