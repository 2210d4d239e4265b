"""Local files that take the place of others when they are whole."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import suppress

import pytest

from fsspec._files.replacing import in_place, making_folders, name_beside, replacing, take_place, write_whole
from fsspec.implementations.local import LocalFileSystem

OLD, NEW = b"old", b"n" * 5000

ways = pytest.mark.parametrize("way", ["pipe_file", "put_file", "get_file", "cp_file", "mapper"])

ACT = """
import fsspec, os, resource, signal, sys
way, folder, options = sys.argv[1], sys.argv[2], eval(sys.argv[3])
fs = fsspec.filesystem("file", **options)
source, target, data = folder + "/source", folder + "/target", b"n" * 5000
def act():
    if way == "pipe_file":
        fs.pipe_file(target, data)
    elif way == "mapper":
        fs.get_mapper(folder)["target"] = data
    else:
        getattr(fs, way)(source, target)
"""
KILLED = """
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # the signal kills the process in the middle
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
act()
"""
FULL = """
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # the signal is ignored: an error
try:
    act()
except OSError as error:
    print(type(error).__name__)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "source").write_bytes(NEW)
    (tmp_path / "target").write_bytes(OLD)
    return tmp_path


def program(end, way, folder, options=None):
    text = textwrap.dedent(ACT + end)
    args = [sys.executable, "-B", "-c", text, way, str(folder), repr(options or {})]  # no limit cuts a .pyc
    return subprocess.run(args, capture_output=True, text=True, timeout=60)


def act(way, folder, target="target", **options):
    fs = LocalFileSystem(skip_instance_cache=True, **options)
    if way == "pipe_file":
        fs.pipe_file(f"{folder}/{target}", NEW)
    elif way == "mapper":
        fs.get_mapper(str(folder))[target] = NEW
    else:
        getattr(fs, way)(f"{folder}/source", f"{folder}/{target}")


def inode(path):
    return os.stat(path).st_ino


@ways
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the system does not tell who has a file open")
def test_process_killed_while_writing_leaves_the_old_file(folder, way):
    done = program(KILLED, way, folder)
    assert done.returncode == -signal.SIGXFSZ, done.stderr
    assert (folder / "target").read_bytes() == OLD


@ways
def test_process_killed_while_writing_leaves_no_part_of_a_new_file(folder, way):
    (folder / "target").unlink()
    assert program(KILLED, way, folder).returncode == -signal.SIGXFSZ
    assert not (folder / "target").exists()


@ways
def test_error_while_writing_leaves_the_old_file_and_nothing_else(folder, way):
    done = program(FULL, way, folder, {"atomic": True})
    assert (done.stdout, done.stderr) == ("OSError\n", "")
    assert (folder / "target").read_bytes() == OLD
    assert sorted(os.listdir(folder)) == ["source", "target"]


@ways
def test_a_replaced_file_keeps_its_permissions(folder, way):
    os.chmod(folder / "target", 0o640)
    act(way, folder, atomic=True)
    assert (folder / "target").read_bytes() == NEW
    assert os.stat(folder / "target").st_mode & 0o777 == 0o640
    act(way, folder, target="new")
    (folder / "plain").write_bytes(b"")
    assert os.stat(folder / "new").st_mode == os.stat(folder / "plain").st_mode
    assert sorted(os.listdir(folder)) == ["new", "plain", "source", "target"]


def test_nobody_reads_a_part_who_may_not_read_the_file(folder):
    def modes(target):
        return [os.stat(part).st_mode & 0o777 for part in folder.glob(f".{target}.*")]

    os.chmod(folder / "target", 0o600)
    with replacing(str(folder / "target")):
        assert modes("target") == [0o600]
    seen = []
    write_whole(
        str(folder / "target"), lambda name: (seen.extend(modes("target")), open(name, "wb").close()), 0, True
    )
    assert seen == [0o600] and os.stat(folder / "target").st_mode & 0o777 == 0o600


@ways
def test_links_are_followed_and_stay(folder, way):
    (folder / "link").symlink_to("target")
    (folder / "dangling").symlink_to("made")
    for target in ("link", "dangling"):
        act(way, folder, target=target)
        assert (folder / target).is_symlink() and (folder / target).read_bytes() == NEW
    assert (folder / "target").read_bytes() == (folder / "made").read_bytes() == NEW


@ways
def test_file_of_several_names_stays_one(folder, way):
    os.link(folder / "target", folder / "other")
    act(way, folder)
    assert (folder / "other").read_bytes() == NEW


@ways
def test_file_that_is_open_elsewhere_is_written_in_place(folder, way):
    with open(folder / "target", "rb") as f:
        act(way, folder)
        assert f.read() == NEW


@ways
def test_file_with_attributes_keeps_them(folder, way):
    try:
        os.setxattr(folder / "target", "user.note", b"1")
    except (AttributeError, OSError):
        pytest.skip("no such attributes here")
    act(way, folder)
    assert os.getxattr(folder / "target", "user.note") == b"1"


@ways
def test_special_file_is_written_to(folder, way):
    if way in ("put_file", "get_file", "cp_file"):
        pytest.skip("they refuse it, as shutil.copyfile does")
    (folder / "target").unlink()
    os.mkfifo(folder / "target")
    reader = subprocess.Popen(["cat", str(folder / "target")], stdout=subprocess.PIPE)
    act(way, folder)
    assert reader.communicate(timeout=60)[0] == NEW


@ways
def test_read_only_file_is_refused(folder, way):
    """By the system; who may do everything may do that as well."""
    os.chmod(folder / "target", 0o400)
    if os.access(folder / "target", os.W_OK):
        act(way, folder)
        assert os.stat(folder / "target").st_mode & 0o777 == 0o400
    else:
        with pytest.raises(PermissionError):
            act(way, folder)
        assert (folder / "target").read_bytes() == OLD


@ways
@pytest.mark.parametrize("atomic", [True, False])
def test_the_option_atomic_decides_whether_a_file_is_replaced(folder, way, atomic):
    before = inode(folder / "target")
    act(way, folder, atomic=atomic)
    assert (folder / "target").read_bytes() == NEW
    assert (inode(folder / "target") != before) is atomic


@ways
@pytest.mark.parametrize("options", [{}, {"atomic": True}])
def test_error_names_the_target(folder, way, options):
    if way == "mapper":
        pytest.skip("it makes the folder")
    with pytest.raises(FileNotFoundError) as caught:
        act(way, folder, target="no/target", **options)
    assert caught.value.filename == f"{folder}/no/target"


REFUSED = """
if way == "download":
    other = fsspec.filesystem("memory")
    other.pipe_file("source", data)
    act = lambda: other.get_file("source", target)
if os.geteuid() == 0:
    os.seteuid(65534)
else:
    os.chmod(folder, 0o500)
try:
    act()
except PermissionError as error:
    assert error.filename == target, error
    assert os.listdir(folder) == ["source"]
else:
    raise AssertionError("not refused")
"""


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs users")
@pytest.mark.parametrize("way", ["pipe_file", "put_file", "get_file", "cp_file", "mapper", "download"])
@pytest.mark.parametrize("options", [{}, {"atomic": True}])
def test_a_folder_that_is_only_read_is_reported_by_the_target(way, options):
    with tempfile.TemporaryDirectory() as folder:  # that of pytest may be entered by its user alone
        os.chmod(folder, 0o755)
        with open(f"{folder}/source", "wb") as f:
            f.write(NEW)
        subprocess.run([sys.executable, "-c", ACT + REFUSED, way, folder, repr(options)], check=True)
        os.chmod(folder, 0o700)


@ways
def test_error_below_a_file_names_the_target(folder, way):
    if way == "mapper":
        pytest.skip("it makes the folder")
    with pytest.raises(NotADirectoryError) as caught:
        act(way, folder, target="target/x")
    assert caught.value.filename == f"{folder}/target/x"


def test_copy_onto_itself_is_refused(folder):
    fs = LocalFileSystem(skip_instance_cache=True)
    (folder / "link").symlink_to("source")
    for target in ("source", "link"):
        with pytest.raises(OSError, match="same file"):
            fs.cp_file(f"{folder}/source", f"{folder}/{target}")
    assert (folder / "source").read_bytes() == NEW


def test_exclusive_creation_has_one_winner(folder):
    fs = LocalFileSystem(skip_instance_cache=True)
    fs.pipe_file(f"{folder}/x", b"first", mode="create")
    for atomic in (None, True, False):
        fs.atomic = atomic
        with pytest.raises(FileExistsError):
            fs.pipe_file(f"{folder}/x", b"second", mode="create")
    assert (folder / "x").read_bytes() == b"first"
    assert sorted(os.listdir(folder)) == ["source", "target", "x"]


@pytest.mark.parametrize("value", [None, "text", 5])
def test_what_is_no_bytes_leaves_the_old_file(folder, value):
    with pytest.raises(TypeError):
        LocalFileSystem(skip_instance_cache=True).pipe_file(f"{folder}/target", value)
    assert (folder / "target").read_bytes() == OLD
    assert sorted(os.listdir(folder)) == ["source", "target"]
    with pytest.raises(IsADirectoryError):
        LocalFileSystem(skip_instance_cache=True).pipe_file(folder, value)


def test_a_folder_for_a_download_is_made_as_the_file_is_begun(tmp_path):
    names = {f"{tmp_path}/new/a", f"{tmp_path}/new/b", f"{tmp_path}/file/c"}
    (tmp_path / "file").write_bytes(b"old")
    with making_folders(names):
        assert not os.path.exists(tmp_path / "new")
        with replacing(f"{tmp_path}/new/a") as f:
            f.write(b"a")
        shutil.rmtree(tmp_path / "new")
        write_whole(f"{tmp_path}/new/b", lambda target: open(target, "wb").close(), 0)
        with pytest.raises(NotADirectoryError), replacing(f"{tmp_path}/file/c"):
            pass
        with pytest.raises(FileNotFoundError), replacing(f"{tmp_path}/other/a"):
            pass
    shutil.rmtree(tmp_path / "new")
    with pytest.raises(FileNotFoundError), replacing(f"{tmp_path}/new/a"):
        pass
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    "name, kind",
    [("", IsADirectoryError), ("new/", IsADirectoryError), ("none/new/", FileNotFoundError)]
    + [("file/new/", NotADirectoryError)],
)
def test_a_name_with_a_slash_at_its_end_is_no_file(name, kind, tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(kind) as caught, replacing(f"{tmp_path}/{name}"):
        pass
    assert caught.value.filename == f"{tmp_path}/{name}" and os.listdir(tmp_path) == ["file"]


def test_a_name_that_is_written_in_place_has_no_other_beside_it(tmp_path):
    name = str(tmp_path / "private")
    seen = []
    with in_place([name]):
        with replacing(name) as f:
            f.write(b"one")
            seen.append(os.listdir(tmp_path))
        write_whole(name, lambda target: seen.append([os.path.basename(target)]), 0)
    assert seen == [["private"], ["private"]]
    with replacing(name) as f:  # not private any more
        assert len(os.listdir(tmp_path)) == 2


ON_A_SMALL_DISK = """
    import os, sys, fsspec
    fs, memory, target = fsspec.filesystem("file"), fsspec.filesystem("memory"), sys.argv[1] + "/target"
    with open(sys.argv[2], "wb") as file:
        file.write(b"n" * 900_000)
    memory.pipe_file("/source", b"n" * 900_000)
    references = fsspec.filesystem("reference", fo={"source": ["memory://source"]})
    for call in (
        lambda: fs.pipe_file(target, b"n" * 900_000),
        lambda: fs.put_file(sys.argv[2], target),
        lambda: fs.cp_file(sys.argv[2], target),
        lambda: memory.get_file("/source", target),
        lambda: memory.get("/source", target),
        lambda: references.get_file("source", target),
    ):
        with open(target, "wb") as file:
            file.write(b"old")
        try:
            call()
        except OSError as error:
            named = (error.filename2 or error.filename) == target
            print(error.errno, fs.cat_file(target), fs.ls(sys.argv[1], detail=False) == [target], named)
    fs.pipe_file(target, b"o" * 300_000)
    fs.pipe_file(target, b"n" * 250_000)  # there is no room for both
    full = fs.cat_file(target) == b"n" * 250_000
    fs.link(target, sys.argv[1] + "/other")  # so that it is not replaced
    memory.pipe_file("/source", b"m" * 350_000)
    for call in lambda: memory.get_file("/source", target), lambda: fs.pipe_file(target, b"m" * 900_000):
        try:
            call()
        except OSError as error:
            full = full and error.filename == target and fs.cat_file(target) == b"n" * 250_000
        else:
            full = False
    fs.rm(sys.argv[1] + "/other")
    try:
        with fs.open(target, "wb") as file:
            file.write(b"n" * 900_000)
    except OSError as error:
        print(full, error.filename == target)
"""


def test_a_full_disk_leaves_the_old_file_and_is_told_of_by_its_name(tmp_path):
    """In its place the new one is written only where there is room for all of it."""
    (tmp_path / "disk").mkdir()
    mount = 'mount -t tmpfs -o size=400k none "$1" && exec "$0" -c "$3" "$1" "$2"'
    arguments = [
        sys.executable,
        str(tmp_path / "disk"),
        str(tmp_path / "source"),
        textwrap.dedent(ON_A_SMALL_DISK),
    ]
    try:
        found = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", mount, *arguments],
            capture_output=True,
            text=True,
            timeout=60,
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if not found.stdout and ("unshare" in found.stderr or "mount" in found.stderr):
        pytest.skip("a file system of its own cannot be mounted here")
    assert found.stderr == ""
    assert found.stdout == f"{errno.ENOSPC} b'old' True True\n" * 6 + "True True\n"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
@pytest.mark.parametrize("mode", [0o644, 0o600])
def test_a_file_beside_is_made_first_with_no_more_permissions(mode, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"before")
    path.chmod(mode)
    partial = name_beside(str(path))
    assert os.stat(partial).st_mode & 0o777 == mode
    with open(partial, "wb") as f:
        f.write(b"after")
    take_place(partial, str(path))
    assert path.read_bytes() == b"after" and path.stat().st_mode & 0o777 == mode
    assert os.listdir(tmp_path) == ["x"]
    take_place(name_beside(str(path)), str(path))  # nothing was written
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["x"]


def test_a_file_beside_that_was_written_long_ago_takes_the_place(tmp_path):
    """By a backend that gives what it downloads the time of the original, here the epoch."""
    path = tmp_path / "x"
    path.write_bytes(b"before")
    partial = name_beside(str(path))
    with open(partial, "r+b") as f:
        f.write(b"after")
    os.utime(partial, (0, 0))
    take_place(partial, str(path))
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["x"]


def test_what_a_new_file_would_lack_stays(tmp_path, m):
    """Further names, attributes, and owner and group where a program may give them away."""
    m.pipe_file("/a", b"after")
    path, other = tmp_path / "x", tmp_path / "other"
    path.write_bytes(b"before")
    os.link(path, other)
    m.get_file("/a", str(path))
    assert other.read_bytes() == b"after" and path.samefile(other)
    other.unlink()
    if hasattr(os, "setxattr"):
        with suppress(OSError):  # a filesystem without attributes
            os.setxattr(path, "user.note", b"1")
            m.get("/a", str(path))
            assert os.getxattr(path, "user.note") == b"1"
            os.removexattr(path, "user.note")
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        os.chown(path, 1, 2)
        path.chmod(0o640)
        m.get("/a", str(path))
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1, 2, 0o640)
    assert path.read_bytes() == b"after" and os.listdir(tmp_path) == ["x"]


AS_NOBODY = """
    import errno, os, stat, sys, fsspec, fsspec.utils
    folder = sys.argv[1]
    fs, memory = fsspec.filesystem("file"), fsspec.filesystem("memory")
    memory.pipe_file("/source", b"new")
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    path = folder + "/x"

    def made(mode):
        with suppress(FileNotFoundError):
            os.unlink(path)
        with open(path, "wb") as f:
            f.write(b"old")
        os.chmod(path, mode)

    def found():
        mode = stat.S_IMODE(os.stat(path).st_mode)
        os.chmod(path, 0o600)
        with open(path, "rb") as f:
            return f.read(), oct(mode), os.listdir(folder) == ["x"]
"""


def as_nobody(program):
    """What a program prints that may not do everything."""
    text = "from contextlib import suppress\n" + textwrap.dedent(AS_NOBODY) + textwrap.dedent(program)
    with tempfile.TemporaryDirectory() as folder:  # that of pytest may be entered by its user alone
        os.chmod(folder, 0o777)
        args = [sys.executable, "-c", text, folder]
        done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_download_does_not_replace_what_may_not_be_written_to():
    """As local copies do not; `atomic_write` replaces it, as upstream's."""
    program = """
        def written():
            with fsspec.utils.atomic_write(path) as f:
                f.write(b"new")
        for act in (lambda: memory.get_file("/source", path), lambda: memory.get("/source", path), written):
            made(0o444)
            try:
                act()
            except PermissionError as error:
                print(error.filename == path, end=" ")
            print(found())
    """
    assert as_nobody(program) == "True (b'old', '0o444', True)\n" * 2 + "(b'new', '0o444', True)\n"


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_set_user_id_bit_is_gone_after_another_user_wrote_the_file():
    """As where the file is written in place, which is when the system takes the permission away."""
    program = """
        def in_transaction():
            with fs.transaction, fs.open(path, "wb") as f:
                f.write(b"new")
        downloaded = lambda: memory.get_file("/source", path)
        for act in downloaded, lambda: fs.pipe_file(path, b"new"), in_transaction:
            made(0o4755)
            act()
            print(found())
    """
    assert as_nobody(program) == "(b'new', '0o755', True)\n" * 3


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs users")
def test_a_transaction_writes_to_a_file_in_a_folder_that_is_only_read(tmp_path):
    program = """
        made(0o644)
        os.mkdir(inner := folder + "/inner")
        os.rename(path, inner + "/x")
        folder, path = inner, inner + "/x"
        os.chmod(inner, 0o555)
        with fs.transaction, fs.open(path, "wb") as f:
            f.write(b"new")
        print(found())
    """
    assert as_nobody(program) == "(b'new', '0o644', True)\n"


@pytest.mark.parametrize("way", ["pipe_file", "get_file", "cp_file", "download"])
def test_links_that_lead_to_each_other_are_an_error(folder, way, m):
    (folder / "one").symlink_to("other")
    (folder / "other").symlink_to("one")
    m.pipe_file("/source", NEW)
    with pytest.raises(OSError) as caught:
        m.get_file("/source", f"{folder}/one") if way == "download" else act(way, folder, target="one")
    assert (caught.value.errno, caught.value.filename) == (errno.ELOOP, f"{folder}/one")
    assert (folder / "one").is_symlink()


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="needs /proc")
def test_what_a_descriptor_names_is_written_to(folder, m):
    """It may have no name any more, or another one."""
    m.pipe_file("/source", NEW)
    with open(folder / "target", "r+b") as f:
        for gone in (False, True):
            if gone:
                (folder / "target").unlink()
            for act in m.get_file, m.get, LocalFileSystem().get_file, LocalFileSystem().cp_file:
                f.truncate(0)
                act("/source" if act in (m.get_file, m.get) else f"{folder}/source", f"/dev/fd/{f.fileno()}")
                f.seek(0)
                assert f.read() == NEW
    assert os.listdir(folder) == ["source"]
    program = "import fsspec; fsspec.filesystem('data').get_file('data:,x', '/dev/stdout')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b"x", b"")


@pytest.mark.skipif(not os.path.exists("/proc/self/comm"), reason="needs /proc")
def test_a_file_is_written_to_in_a_folder_where_no_other_can_be_made(m):
    with open("/proc/self/comm", "rb") as f:
        before = f.read()
    m.pipe_file("/source", b"name")
    try:
        for act in m.get_file, m.get:
            act("/source", "/proc/self/comm")
            with open("/proc/self/comm", "rb") as f:
                assert f.read() == b"name\n"
    finally:
        with open("/proc/self/comm", "wb") as f:
            f.write(before)


def test_attributes_that_the_new_file_has_too_do_not_keep_the_old_one(tmp_path):
    """Some network filesystems give all files a list of access."""
    path = tmp_path / "x"
    path.write_bytes(b"before")
    partial = name_beside(str(path))
    with open(partial, "wb") as f:
        f.write(b"after")
    try:
        os.setxattr(path, "user.note", b"1")
        os.setxattr(partial, "user.note", b"1")
    except (AttributeError, OSError):
        pytest.skip("no such attributes here")
    made = inode(partial)
    take_place(partial, str(path))
    assert inode(path) == made and os.getxattr(path, "user.note") == b"1"


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_what_is_changed_of_the_old_file_meanwhile_stays(folder):
    with replacing(str(folder / "target")) as f:
        f.write(NEW)
        os.chmod(folder / "target", 0o600)
    assert os.stat(folder / "target").st_mode & 0o777 == 0o600
    with replacing(str(folder / "target")) as f:
        f.write(OLD)
        os.link(folder / "target", folder / "other")
    assert (folder / "other").read_bytes() == OLD


def test_a_full_disk_in_a_transaction_is_told_of_by_the_names_of_the_file_and_of_where_it_is_kept(tmp_path):
    program = """
        import fsspec, resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        fs = fsspec.filesystem("file")
        try:
            with fs.transaction, fs.open(sys.argv[1] + "/x", "wb") as f:
                f.write(b"x" * 5000)
        except OSError as error:
            print(error)
    """
    args = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    done = subprocess.run(
        args, capture_output=True, text=True, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert done.stderr == "" and os.listdir(tmp_path) == []
    assert f" in '{tmp_path}', where it is until the transaction ends: '{tmp_path}/x'" in done.stdout


INTERRUPTED = """
    import os, signal, sys, fsspec
    memory, target = fsspec.filesystem("memory"), sys.argv[1] + "/target"
    memory.pipe_file("/source", b"n" * 500_000)
    os.link(target, sys.argv[1] + "/other")
    interrupted = False
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what is started in the background ignores it

    def audit(event, args):  # as the file itself is opened to be written over
        global interrupted
        if event == "open" and args[0] == target and args[1] in ("w", "wb") and not interrupted:
            interrupted = True
            os.truncate(target, 0)
            os.kill(os.getpid(), signal.SIGINT)

    sys.addaudithook(audit)
    try:
        memory.get_file("/source", target)
    except KeyboardInterrupt:
        print(interrupted)
    with open(target, "rb") as f:
        print(f.read() == b"n" * 500_000, sorted(os.listdir(sys.argv[1])))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs signals of POSIX")
def test_an_interrupt_while_a_file_is_written_over_leaves_it_whole(tmp_path):
    (tmp_path / "target").write_bytes(OLD)
    args = [sys.executable, "-c", textwrap.dedent(INTERRUPTED), str(tmp_path)]
    done = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "True\nTrue ['other', 'target']\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere what runs may be written to")
def test_a_program_that_runs_is_replaced_by_a_download(tmp_path, m):
    m.pipe_file("/source", NEW)
    program = tmp_path / "program"
    shutil.copy(shutil.which("sleep"), program)
    with subprocess.Popen([program, "60"]) as running:
        try:
            m.get_file("/source", str(program))
            assert program.read_bytes() == NEW and running.poll() is None
        finally:
            running.kill()


def test_a_filesystem_that_says_nothing_of_its_room_is_written_to(tmp_path, monkeypatch):
    """As some that are mounted by FUSE."""

    def refuse(path):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "statvfs", refuse, raising=False)
    (tmp_path / "a").write_bytes(OLD)
    os.link(tmp_path / "a", tmp_path / "b")  # so that it is written over
    with replacing(tmp_path / "a") as f:
        f.write(NEW)
    assert (tmp_path / "b").read_bytes() == NEW
    LocalFileSystem().pipe_file(str(tmp_path / "a"), OLD)
    assert (tmp_path / "b").read_bytes() == OLD
