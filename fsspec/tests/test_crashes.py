"""What there is after a process was killed in the middle: the rows of ``docs/reliability.rst`` on crashes.

A child writes one version after the other, over and over, and is killed at some moment.
"""

import os
import random
import re
import signal
import subprocess
import sys
import textwrap
import time

import pytest

import fsspec

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no such signal")

KILLS = int(os.environ.get("CRASH_KILLS", "5"))
SIZE = 3_000_000
VERSIONS = [bytes([n]) * SIZE for n in (65, 66)]

PROGRAM = """
    import sys, fsspec
    folder, versions = sys.argv[1], [bytes([n]) * {size} for n in (65, 66)]
    fs, memory = fsspec.filesystem("file"), fsspec.filesystem("memory")
    for n, data in enumerate(versions):
        with open(f"{{folder}}/source{{n}}", "wb") as file:
            file.write(data)
        memory.pipe_file(f"/tree{{n}}/sub/target", data)
        memory.pipe_file(f"/tree{{n}}/target", data)
    target, n = f"{{folder}}/kept/target", 0
    mapper = fsspec.get_mapper(f"{{folder}}/kept")
    copy = fsspec.filesystem("generic")
    print("began", flush=True)
    while True:
        n = 1 - n
        {step}
"""

STEPS = {
    "pipe_file": "fs.pipe_file(target, versions[n])",
    "put_file": "fs.put_file(f'{folder}/source{n}', target)",
    "cp_file": "fs.cp_file(f'{folder}/source{n}', target)",
    "mapper": "mapper['target'] = versions[n]",
    "get_file": "memory.get_file(f'/tree{n}/target', target)",
    "get": "memory.get(f'/tree{n}/', f'{folder}/kept/', recursive=True)",
    "generic": "copy.cp_file(f'memory:///tree{n}/target', f'file://{target}')",
    "transaction": """
        with fs.transaction:
            with fs.open(target, 'wb') as file:
                file.write(versions[n])""",
    "open_files": """
        options = {'simplecache': {'cache_storage': f'{folder}/copies'}}
        with fsspec.open(f'simplecache::file://{target}', 'wb', **options) as file:
            file.write(versions[n])""",
}


def killed(step, folder):
    """Run steps in a child until it is killed."""
    text = textwrap.dedent(PROGRAM).format(
        size=SIZE, step=textwrap.dedent(step).strip().replace("\n", "\n    ")
    )
    child = subprocess.Popen(
        [sys.executable, "-c", text, str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        output = child.stdout.readline()
        time.sleep(random.uniform(0, 0.1))
    finally:
        child.kill()
    stderr = child.communicate()[1]
    assert (output, child.returncode, stderr) == ("began\n", -signal.SIGKILL, ""), stderr


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_local_file_is_the_old_one_or_the_new_one(step, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    for _ in range(KILLS):
        (kept / "target").write_bytes(VERSIONS[1])
        killed(step, tmp_path)
        assert (kept / "target").read_bytes() in VERSIONS
        for left in [path for path in kept.rglob("*") if path.is_file() and path.name != "target"]:
            assert re.fullmatch(r"\.target\.[0-9a-z_]+\.part", left.name), left
            left.unlink()
        for whole in [path for path in kept.rglob("target") if path.is_file()]:
            assert whole.read_bytes() in VERSIONS


def test_an_open_local_file_holds_what_was_written_so_far(tmp_path):
    (tmp_path / "kept").mkdir()
    killed(
        "with fs.open(target, 'wb') as file:\n    for _ in range(100): file.write(versions[n][:30_000])",
        tmp_path,
    )
    found = (tmp_path / "kept/target").read_bytes()
    assert found in (VERSIONS[0][: len(found)], VERSIONS[1][: len(found)])


@pytest.mark.parametrize("kind", ["simplecache", "filecache", "blockcache"])
def test_copies_in_a_cache_are_whole(kind, tmp_path):
    (tmp_path / "kept").mkdir()
    step = f"""
        cache = fsspec.filesystem('{kind}', target_protocol='file', cache_storage=f'{{folder}}/copies')
        with cache.open(f'{{folder}}/source{{n}}', block_size=100_000) as file:
            file.seek(1_000_000 * n), file.read(500_000)
        if n: cache.pop_from_cache(f'{{folder}}/source{{n}}')"""
    for _ in range(KILLS):
        killed(step, tmp_path)
        cache = fsspec.filesystem(
            kind, target_protocol="file", cache_storage=str(tmp_path / "copies"), skip_instance_cache=True
        )
        for n, version in enumerate(VERSIONS):
            with cache.open(str(tmp_path / f"source{n}"), block_size=100_000) as file:
                assert file.read() == version
        cache.clear_cache()


def test_an_uploaded_object_is_the_old_one_or_the_new_one(http_server, tmp_path):
    url = f"{http_server.url}/target"
    http_server.files["/target"] = VERSIONS[1]
    for _ in range(KILLS):
        killed(f"fsspec.filesystem('http').pipe_file('{url}', versions[n])", tmp_path)
        assert fsspec.filesystem("http").cat_file(url) in VERSIONS


def test_an_object_of_s3_is_the_old_one_or_the_new_one(tmp_path):
    pytest.importorskip("s3fs")
    pytest.importorskip("moto")
    from fsspec.tests.servers.s3 import options, serve_s3

    with serve_s3() as address:
        fs = fsspec.filesystem("s3", **options(address), skip_instance_cache=True)
        fs.mkdir("crashes")
        fs.pipe_file("crashes/target", VERSIONS[1])
        step = f"""
            with fsspec.open('s3://crashes/target', 'wb', **{options(address)!r}) as file:
                file.write(versions[n])"""
        for _ in range(KILLS):
            killed(step, tmp_path)
            assert fs.cat_file("crashes/target") in VERSIONS
