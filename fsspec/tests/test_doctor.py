"""What the doctor says of environments that are staged here, and of this process."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

import fsspec
from fsspec import doctor
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry

PACKAGE = Path(fsspec.__file__).parent


class Stage:
    """A folder on the module search path, and an interpreter that sees nothing but it and the tree."""

    def __init__(self, folder):
        self.folder = folder
        self.tree = folder / "tree"  # the package alone, without what an installation leaves beside it
        self.tree.mkdir()
        (self.tree / "fsspec").symlink_to(PACKAGE)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(self.tree)}

    def on_path(self):
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        self.env["PYTHONPATH"] = os.pathsep.join([str(self.tree), str(site)])
        return site

    def distribution(self, name, version, *requires):
        folder = self.on_path() / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (folder / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines]) + "\n")
        return folder

    def configure(self, name, text):
        folder = self.folder / ".config" / "fsspec"
        folder.mkdir(parents=True)
        (folder / name).write_text(text)

    def run(self, *arguments, code=0, healthy=None):
        """The findings of the command, by subject."""
        done = subprocess.run(
            [sys.executable, "-S", "-m", "fsspec.doctor", "--json", *arguments],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (code, "")
        report = json.loads(done.stdout)
        assert report["healthy"] is (code == 0 if healthy is None else healthy)
        return Findings(report["findings"])


class Findings(list):
    """What a report holds."""

    def of(self, subject, level=None):
        chosen = [f for f in self if f["subject"] == subject and level in (None, f["level"])]
        return "\n".join(f"{f['text']} {f['fix']}" for f in chosen)


@pytest.fixture
def stage(tmp_path):
    """An environment of its own."""
    return Stage(tmp_path)


def test_a_source_tree_alone_is_said_to_be_one(stage):
    found = stage.run()
    assert "no installed distribution" in found.of("package", "note")
    assert fsspec.__version__ in found.of("package", "ok")
    assert "ForkError" in found.of("forks", "note")
    assert not found.of("dependants", "warning")


@pytest.fixture
def clone(stage):
    """The command is run in the folder of a source tree, where pip has left its metadata."""
    stage.env["PYTHONPATH"] = ""
    stage.folder = stage.tree
    (stage.tree / "fsspec.egg-info").mkdir()
    (stage.tree / "fsspec.egg-info" / "PKG-INFO").write_text(f"Name: fsspec\nVersion: {fsspec.__version__}\n")
    return stage


def installed(stage, version):
    site = stage.folder.parent / "site"
    (site / "fsspec").mkdir(parents=True)
    (site / "fsspec" / "__init__.py").write_text("")
    (site / f"fsspec-{version}.dist-info").mkdir()
    (site / f"fsspec-{version}.dist-info" / "METADATA").write_text(f"Name: fsspec\nVersion: {version}\n")
    stage.env["PYTHONPATH"] = str(site)


def test_in_a_clone_it_is_reported_that_nothing_is_installed(clone):
    found = clone.run()
    assert "current folder" in found.of("package", "note")
    assert f"pip install {clone.tree}" in found.of("package", "warning")


def test_in_a_clone_the_package_of_the_environment_is_judged(clone):
    installed(clone, fsspec.__version__)
    found = clone.run()
    assert not found.of("package", "warning") and "another folder import" in found.of("package", "ok")


def test_in_a_clone_upstream_in_the_environment_is_a_problem(clone):
    installed(clone, "2026.7.0")
    text = clone.run(code=1).of("package", "problem")
    assert "import fsspec 2026.7.0" in text and f"--force-reinstall --no-deps {clone.tree}" in text


def test_this_package_installed_has_nothing_to_complain_of(stage):
    stage.distribution("fsspec", fsspec.__version__)
    assert stage.run().of("package", "ok") and not stage.run().of("package", "note")


def test_metadata_of_upstream_over_this_package_is_a_problem_with_the_command_that_cures_it(stage):
    stage.distribution("fsspec", "2026.9.0")
    text = stage.run(code=1).of("package", "problem")
    assert "installed is fsspec 2026.9.0" in text and "--force-reinstall --no-deps" in text


def test_an_installation_by_uv_is_mended_by_a_command_of_uv(stage):
    folder = stage.distribution("fsspec", "2026.9.0")
    (folder / "INSTALLER").write_text("uv\n")
    text = stage.run(code=1).of("package", "problem")
    assert "uv pip install --reinstall-package fsspec --no-deps" in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
@pytest.mark.parametrize("inside", [".", "sub/folder"])
@pytest.mark.parametrize("lock, override", [(True, True), (True, False), (False, True)])
def test_in_a_project_of_uv_the_command_is_sync(stage, inside, lock, override):
    """With an override ``uv pip install`` puts upstream's there, though it is given this package's wheel."""
    folder = stage.distribution("fsspec", "2026.9.0")
    (folder / "INSTALLER").write_text("uv\n")
    if lock:
        (stage.folder / "uv.lock").write_text(LOCKED.replace("VERSION", fsspec.__version__))
    if override:
        (stage.folder / "pyproject.toml").write_text(
            '[tool.uv]\noverride-dependencies = ["fsspec"]\nsources = {fsspec = {path = "a.whl"}}\n'
        )
    stage.folder /= inside
    stage.folder.mkdir(parents=True, exist_ok=True)
    text = stage.run(code=1).of("package", "problem")
    assert text.endswith("uv sync --reinstall-package fsspec") and "uv pip" not in text


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
def test_what_uv_has_locked_no_dependant_replaces(stage):
    stage.distribution("s3fs", "2026.7.0", "fsspec<2026.7.1,>=2026.7.0")
    assert "replaces this fsspec" in stage.run().of("dependants", "warning")
    (stage.folder / "uv.lock").write_text(LOCKED.replace("VERSION", fsspec.__version__))
    assert not stage.run().of("dependants", "warning") and stage.run().of("dependants", "ok")


@pytest.mark.parametrize(
    "text, output",
    [("{anon", """'{"anon": true}': Expecting"""), ("[1]", "a JSON object is needed, such as")],
)
def test_options_that_are_no_json_are_refused_with_the_reason(capsys, text, output):
    with pytest.raises(SystemExit) as caught:
        doctor.main(["memory://", "--storage-options", text])
    assert caught.value.code == 2 and output in capsys.readouterr().err


def test_two_recorded_versions_are_reported(stage):
    stage.distribution("fsspec", "2026.7.0")
    stage.distribution("fsspec", fsspec.__version__)
    assert "2026.7.0" in stage.run().of("package", "warning")


def test_the_command_names_where_this_package_was_installed_from(stage):
    folder = stage.distribution("fsspec", fsspec.__version__)
    (folder / "direct_url.json").write_text('{"url": "file:///wheels/fsspec.whl"}')
    stage.distribution("s3fs", "2026.7.0", "fsspec==2026.7.0")
    assert "--no-deps file:///wheels/fsspec.whl" in stage.run().of("dependants", "warning")


def test_another_copy_on_the_path_is_reported(stage):
    other = stage.on_path() / "fsspec"
    other.mkdir()
    (other / "__init__.py").write_text("")
    assert str(other) in stage.run().of("package", "warning")


@pytest.mark.parametrize(
    "requirement, fits",
    [
        ("fsspec==2026.7.0", False),
        ("fsspec (==2026.9.0)", True),
        ("fsspec[http]<=2026.6,>=2023.1", False),
        ("fsspec>=2023.1.0", True),
        ("fsspec~=2026.9", True),
        ("fsspec==2026.*", True),
        ("fsspec!=2026.9.0", False),
        ('fsspec>=2027; extra == "later"', True),
    ],
)
def test_a_package_that_brings_upstream_back_is_named(stage, requirement, fits):
    stage.distribution("dependant", "1.0", requirement)
    assert ("dependant 1.0" in stage.run().of("dependants", "warning")) is not fits


def test_the_variable_is_named_where_it_opts_in(stage):
    stage.env["FSSPEC_FORK_RESET"] = "1"
    assert "FSSPEC_FORK_RESET=1" in stage.run().of("forks", "ok")


def test_a_misspelt_name_of_the_variable_is_reported(stage):
    stage.env["FSSPEC_FORK_RESTE"] = "1"
    assert "FSSPEC_FORK_RESTE does nothing" in stage.run().of("forks", "warning")


def test_a_variable_that_is_neither_on_nor_off_is_reported(stage):
    stage.env.update(FSSPEC_FORK_RESET="banana", PYTHONWARNINGS="ignore")
    text = stage.run().of("forks", "warning")
    assert "banana is neither" in text and "FSSPEC_FORK_RESET=1" in text


def test_the_configuration_is_named_where_it_opts_in_and_hides_secrets(stage):
    stage.configure(
        "conf.json", json.dumps({"fork": {"reset": True}, "s3": {"secret": "hush", "anon": False}})
    )
    found = stage.run()
    assert "configuration" in found.of("forks", "ok")
    output = found.of("configuration")
    assert "conf.json" in output and '"anon": false' in output and "hush" not in output


def test_a_folder_of_configuration_that_is_not_there_is_reported(stage):
    stage.env["FSSPEC_CONFIG_DIR"] = "/nowhere/at all"
    assert "'/nowhere/at all', where no folder is" in stage.run().of("configuration", "note")


@pytest.mark.parametrize(
    "name, text", [("s3.json", '{"s3": {"key": "a",}}'), ("s3.ini", "key=a"), ("a.json", "[]")]
)
def test_a_configuration_that_cannot_be_read_is_a_problem(stage, name, text):
    """No filesystem can be made then, nor can the rest be judged."""
    stage.configure(name, text)
    done = subprocess.run(
        [sys.executable, "-S", "-m", "fsspec.doctor"],
        env=stage.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"fsspec {fsspec.__version__}: does not work here: 1 problem\n\nX configuration"
    )
    assert "\n                -> correct this file" in done.stderr
    assert name in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "name, text, told",
    [
        ("a.json", '{"ftp": "hush"}', "'ftp' in "),
        ("a.ini", "[zip]\ntarget_options = hush\n", "'target_options' of 'zip' in "),
    ],
)
def test_options_that_no_filesystem_can_be_made_with_are_a_problem(stage, name, text, told):
    stage.configure(name, text)
    output = stage.run(code=1).of("configuration", "problem")
    assert told in output and name in output and "hush" not in output


def test_what_a_server_says_does_nothing_to_a_terminal():
    found = doctor.Diagnosis()
    found.add("problem", "url", "a\0\x1b[2J\udc80", "b\x1b")
    assert r"a\x00\x1b[2J\udc80" in found.text() and r"-> b\x1b" in " ".join(found.text().split())


def test_an_option_that_cannot_be_read_is_a_problem(stage):
    stage.configure("a.ini", '[zip]\ntarget_options = {"trust_env": true\n')
    output = stage.run("zip://a::/nowhere.zip", code=1).of("url", "problem")
    assert "'target_options' of 'zip' in" in output and "a.ini" in output and "trust_env" not in output


def test_secrets_in_variables_and_urls_are_hidden(stage):
    stage.env["FSSPEC_FTP_PASSWORD"] = "hush"
    stage.env["FSSPEC_HTTP_BASE"] = "https://me:hush@host/a?signature=hush"
    found = stage.run("memory://me:hush@host/a?token=hush", code=1)
    assert "hush" not in json.dumps(found) and "FSSPEC_FTP_PASSWORD" in found.of("configuration")


@pytest.mark.parametrize("where", ["_get_kwargs_from_urls", "info"])
@pytest.mark.parametrize("noted", [False, True])
def test_urls_in_what_classes_say_are_hidden(monkeypatch, where, noted):
    def refuse(*args):
        error = ValueError("an address" if noted else "not http://me:hush@host/a?sig=hush")
        error.__notes__ = ["not http://me:hush@host/a?sig=hush"] if noted else []
        raise error

    says = type("Says", (MemoryFileSystem,), {"protocol": "says", where: staticmethod(refuse)})
    monkeypatch.setitem(_registry, "says", says)
    found = doctor.Diagnosis()
    doctor._first_requests(found, "says://a", {})
    reported = [f.text for f in found.findings if f.level == "problem"]
    assert len(reported) == 1 and "http://(hidden)@host/a?(hidden)" in reported[0]
    assert "hush" not in reported[0]


def test_a_missing_package_is_a_problem_that_names_the_command(stage):
    assert "pip install" in stage.run("s3://bucket/key", code=1).of("url", "problem")


def test_of_each_protocol_it_is_reported_what_is_missing_and_the_command(stage):
    """Where nothing is installed; those that need nothing have something else to complain of."""
    program = """
        import json
        from fsspec import doctor
        from fsspec.registry import known_implementations
        problems = {}
        for protocol, entry in known_implementations.items():
            doctor._first_requests(found := doctor.Diagnosis(), f"{protocol}:///nowhere/a", {})
            if "err" in entry:
                problems[protocol] = [f.text for f in found.findings if f.level == "problem"]
        print(json.dumps(problems))
    """
    command = [sys.executable, "-S", "-W", "ignore", "-c", textwrap.dedent(program)]
    done = subprocess.run(
        command, cwd=stage.folder, env=stage.env, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    reported = json.loads(done.stdout)
    assert {"hdfs", "dask", "s3", "asynclocal"} < reported.keys()
    for protocol, texts in reported.items():
        (text,) = texts
        found = re.search(r" needs (the package )?([^ ,:]+).*: pip install (\S+)", text)
        assert found and re.fullmatch(r"[\w.=-]+|'[\w.-]+\[[\w.-]+\]'", found[3]), f"{protocol}: {text}"


def test_an_unknown_protocol_is_a_problem(stage):
    assert "htps" in stage.run("htps://host/a", code=1).of("url", "problem")


def test_a_url_that_can_be_read_is_timed(stage, tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    output = stage.run(f"file://{tmp_path}/a").of("url", "ok")
    assert "info" in output and "first byte" in output and "ms" in output


def test_an_option_that_is_nearly_another_is_reported(stage):
    given = {"simplecache": {"cache_storge": "x", "fsx": None, "expiry": 1, "other": 1}, "memry": {}}
    output = stage.run("simplecache::memory://", "--storage-options", json.dumps(given)).of(
        "options", "warning"
    )
    assert "'cache_storge'" in output and "'cache_storage'" in output
    assert "is 'expiry_time' meant" in output
    assert "'memry'" in output and "'memory'" in output and "other" not in output
    assert "is 'fs' meant" in output  # as far from its name as 'anno' is from 'anon'
    assert not stage.run("memory://", "--storage-options", '{"use_listings_cache": true}').of("options")


def test_an_option_of_another_link_of_the_chain_is_reported(stage):
    flat = {"target_options": {}, "fo": "x"}
    output = stage.run("simplecache::zip://a::memory://b", "--storage-options", json.dumps(flat), code=1).of(
        "options", "warning"
    )
    assert "no option of simplecache is called 'fo'" in output and "zip={'fo': ...}" in output


UV = '[tool.uv]\noverride-dependencies = ["fsspec==2026.9.0"]\n'
UV_SOURCE = '[tool.uv.sources]\nfsspec = { path = "wheels/fsspec.whl" }\n'
OWN = '[project]\ndependencies = ["pandas"]\n'
LOCKED = '[[package]]\nname = "fsspec"\nversion = "VERSION"\nsource = { registry = "https://index/simple" }\n'
OURS = quote(f"fsspec-{fsspec.__version__}-py3-none-any.whl")
PDM = LOCKED[: LOCKED.index("source")].replace("VERSION", "2026.9.0")
PYLOCK = '[[packages]]\nname = "fsspec"\n'
FOLDERS = {
    "pdm.lock": PDM + 'path = "./clone"\n',
    "pylock.toml": PYLOCK + 'directory = { path = "clone", editable = false }\n',
}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
@pytest.mark.parametrize(
    "name, text, output",
    [
        ("uv.lock", LOCKED.replace("VERSION", "2026.9.0"), "uv.lock installs fsspec 2026.9.0"),
        ("uv.lock", LOCKED.replace("VERSION", fsspec.__version__), ""),
        ("uv.lock", LOCKED.replace("fsspec", "fsspec-xrootd").replace("VERSION", "1"), ""),
        ("uv.lock", "no toml", ""),
        ("poetry.lock", LOCKED.replace("VERSION", "2026.7.0"), "poetry.lock installs fsspec 2026.7.0"),
        ("pylock.toml", LOCKED.replace("package", "packages").replace("VERSION", "2026.7.0"), "pylock.toml"),
        ("pdm.lock", PDM + f'path = "./wheels/{unquote(OURS)}"\n', ""),
        ("pdm.lock", PDM + f'url = "https://host/{OURS}"\n', ""),
        ("pdm.lock", PDM + f'url = "https://host/{OURS.replace("fork.", "fork.9")}"\n', "2026.9.0+fork.9"),
        ("pdm.lock", PDM + 'git = "https://host/repository"\nrevision = "0"\n', ""),
        ("pdm.lock", PDM + 'files = [{file = "fsspec-2026.9.0-py3-none-any.whl"}]\n', "fsspec 2026.9.0:"),
        ("pdm.lock", PDM + 'files = [{file = "fsspec-2026.9.0.tar.gz"}]\n', "fsspec 2026.9.0:"),
        ("pylock.toml", PYLOCK + f'archive = {{ url = "file:///wheels/{OURS}" }}\n', ""),
        ("pylock.toml", PYLOCK + 'archive = { path = "fsspec-2026.7.0.tar.gz" }\n', "fsspec 2026.7.0:"),
        ("pylock.toml", PYLOCK + 'vcs = { type = "git", url = "https://host/a", commit-id = "0" }\n', ""),
        ("pylock.toml", PYLOCK + 'directory = { path = "nowhere" }\n', "fsspec of unknown version:"),
        ("pyproject.toml", UV, "names no source"),
        ("pyproject.toml", UV + UV_SOURCE, ""),
        ("pyproject.toml", OWN + UV_SOURCE, "no effect"),
        ("pyproject.toml", OWN.replace("pandas", "fsspec-xrootd") + UV_SOURCE, "no effect"),
        ("pyproject.toml", OWN.replace("pandas", "fsspec[http]") + UV_SOURCE, ""),
        ("pyproject.toml", OWN + '[dependency-groups]\ndev = ["fsspec>=2026"]\n' + UV_SOURCE, ""),
        ("pyproject.toml", OWN + '[tool.uv]\nconstraint-dependencies = ["fsspec"]\n' + UV_SOURCE, ""),
        ("pyproject.toml", OWN + '[tool.uv.workspace]\nmembers = ["a"]\n' + UV_SOURCE, ""),
        ("pyproject.toml", '[project]\ndynamic = ["dependencies"]\n' + UV_SOURCE, ""),
        ("pyproject.toml", '[project]\nname = "mine"\n', ""),
        ("requirements.txt", "pandas\nfsspec[http]==2026.7.0  # why\n", "pins fsspec 2026.7.0"),
        ("requirements.txt", "fsspec @ file:///wheels/fsspec.whl\n", ""),
        ("dev-requirements.txt", "fsspec==2026.7.0 \\\n    --hash=sha256:0\n", "pins fsspec 2026.7.0,"),
    ],
)
def test_what_a_project_is_going_to_install_is_reported(stage, name, text, output):
    (stage.folder / name).write_text(text)
    found = stage.run().of("project", "warning")
    assert output in found if output else not found


@pytest.mark.skipif(sys.version_info < (3, 11), reason="needs tomllib")
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_a_project_has_locked_is_asked_for_its_version(stage, name):
    (stage.folder / name).write_text(FOLDERS[name])
    tree = stage.folder / "clone" / "fsspec"
    tree.mkdir(parents=True)
    (tree / "_version.py").write_text(f'__version__ = "{fsspec.__version__}"\n')
    assert not stage.run().of("project", "warning")
    (tree / "_version.py").write_text('__version__ = "2026.7.0"\n')
    assert "installs fsspec 2026.7.0" in stage.run().of("project", "warning")


def test_a_strict_look_at_a_project_fails_where_something_would_bring_upstream_back(stage):
    assert not [f for f in stage.run("--strict") if f["level"] == "warning"]
    (stage.folder / "requirements.txt").write_text("fsspec==2026.9.0\n")
    assert "pins fsspec" in stage.run("--strict", code=1, healthy=True).of("project", "warning")


def test_a_bare_word_is_a_local_path_as_for_open(stage, tmp_path):
    (tmp_path / "word").write_bytes(b"abc")
    assert "first byte" in stage.run("word").of("url", "ok")
    assert "FileNotFoundError" in stage.run("nope", code=1).of("url", "problem")
    assert "'simplecache'" in stage.run("simplcache::memory://a", code=1).of("url", "problem")


@pytest.mark.parametrize(
    "command",
    ["fsspec.doctor", "fsspec.doctor --help", "fsspec.cache list .", "fsspec.forkcheck --quiet a", "-"],
    ids=str,
)
def test_a_command_whose_reader_has_left_ends_quietly(stage, command):
    if "forkcheck" in command and not hasattr(os, "fork"):
        pytest.skip("needs os.fork")
    (stage.folder / "a").write_bytes(b"abc")
    words = ["-m", *command.split()]
    if command == "-":  # those that show how the tree is tested end in one way too
        ci = PACKAGE.parent / "ci"
        if not ci.is_dir():
            pytest.skip("not in a source tree")
        words = [str(ci / "known_differences")]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=stage.folder,
            env=stage.env,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_url_that_is_not_there_is_a_problem(stage):
    assert "FileNotFoundError" in stage.run("memory://nothing", code=1).of("url", "problem")


def test_what_a_program_has_loaded_is_seen_from_inside(stage):
    site = stage.on_path()
    (site / "grpc.py").write_text("")
    (site / "torch.py").write_text("")
    program = (
        "import threading, grpc, torch, fsspec.doctor as d\n"
        "go = threading.Event(); threading.Thread(target=go.wait, name='mine').start()\n"
        "print(d.diagnose().text(60)); go.set()"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=stage.folder,
        env=stage.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "grpc is loaded" in done.stdout and "(mine)" in done.stdout
    assert "torch is loaded" in done.stdout and "torch.set_num_threads(1)" in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if "/" not in line) <= 60


def test_the_report_begins_with_the_verdict_and_what_is_worst():
    diagnosis = doctor.Diagnosis()
    diagnosis.add("ok", "a", "fine")
    diagnosis.add("problem", "b", "broken", "mend it")
    verdict, _, first, fix, last = diagnosis.text().splitlines()
    assert verdict.endswith("1 problem") and "broken" in first and "mend it" in fix and "fine" in last
    assert not diagnosis.healthy


def test_nothing_is_made_for_the_asking(stage):
    done = subprocess.run(
        [
            sys.executable,
            "-S",
            "-c",
            "import sys, fsspec.doctor as d; d.diagnose(); print('asyncio' in sys.modules)",
        ],
        cwd=stage.folder,
        env=stage.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "False\n"


REQUIRE = "import fsspec.fork\ntry: fsspec.fork.require()\nexcept RuntimeError as error: print(error)"


@pytest.mark.parametrize(
    "variable, version, output",
    [
        ("1", fsspec.__version__, ""),
        ("0", fsspec.__version__, "FSSPEC_FORK_RESET=1"),
        ("ture", fsspec.__version__, "'ture', which is neither on nor off"),
        ("1", "2026.9.0", "pip install"),
    ],
    ids=["all is well", "not opted in", "misspelt", "the metadata are upstream's"],
)
def test_a_program_that_requires_forks_gets_advice(stage, variable, version, output):
    stage.distribution("fsspec", version)
    stage.env["FSSPEC_FORK_RESET"] = variable
    done = subprocess.run(
        [sys.executable, "-S", "-c", REQUIRE],
        cwd=stage.folder,
        env=stage.env,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stderr == "" or variable == "ture") and (
        output in done.stdout if output else done.stdout == ""
    )


def test_packages_that_protocols_of_its_own_need_are_looked_for(stage):
    extras = ["aiohttp!=4.0.0a0; extra == 'http'", "paramiko; extra == 'sftp'", "paramiko; extra == 'full'"]
    stage.distribution("fsspec", fsspec.__version__, *extras)
    stage.distribution("aiohttp", "3.0")
    there, absent = stage.run().of("packages").splitlines()
    assert "http" in there.replace(",", " ").split() and "sftp" not in there
    assert "sftp" in absent.replace(",", " ").split() and "http" not in absent.replace(",", " ").split()


def test_the_headline_agrees_with_what_stands_below():
    found = doctor.Diagnosis()
    found.add(doctor.OK, "a", "fine")
    assert found.verdict().endswith(": all well")
    found.add(doctor.NOTE, "b", "worth knowing")
    assert found.verdict().endswith(": works here, 1 note")
    found.add(doctor.PROBLEM, "c", "broken")
    assert found.verdict().endswith(": 1 problem, 1 note")


@pytest.mark.parametrize("command", ["cache", "doctor", "forkcheck"])
def test_commands_run_without_docstrings(command):
    """As with ``PYTHONOPTIMIZE=2``."""
    command = [sys.executable, "-BOO", "-m", f"fsspec.{command}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and "usage" in done.stdout
