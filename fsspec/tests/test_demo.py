"""The demonstration on a cluster, small: one kind of handle."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CI = Path(__file__).parents[2] / "ci"
for module in ("distributed", "moto", "s3fs", "zarr"):
    pytest.importorskip(module)


@pytest.fixture
def cluster(tmp_path):
    """The address of a cluster that knows nothing of the demonstration's modules."""
    environ = {**os.environ, "DASK_DISTRIBUTED__WORKER__DAEMON": "False", "PYTHONPATH": str(CI.parent)}
    program = (
        "from distributed import LocalCluster\n"
        "if __name__ == '__main__':\n"
        "    options = dict(n_workers=2, threads_per_worker=1, host='127.0.0.1', dashboard_address=None)\n"
        "    with LocalCluster(**options, silence_logs=50) as cluster:\n"
        "        print(cluster.scheduler_address, flush=True)\n"
        "        input()\n"
    )
    (tmp_path / "program.py").write_text(program)
    process = subprocess.Popen(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().strip()
    output, errors = process.communicate("\n", timeout=60)
    assert (process.returncode, output) == (0, ""), errors


def demonstrate(*arguments):
    environ = {**os.environ, "PYTHONPATH": str(CI.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "demo_lib.cluster", "--handles", "http", *arguments],
        cwd=CI,
        env=environ,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "HTTP instance" in done.stdout and "16 MiB" in done.stdout and "WRONG" not in done.stdout
    assert "was killed while it read HTTP instance, part 2 of 4;\n        the task ran again" in done.stdout
    assert "The job ended with every byte right" in done.stdout
    return done


@pytest.mark.timeout(300)
def test_a_cluster_that_is_made_here_loses_a_worker_and_ends_with_every_byte_right():
    assert demonstrate().stderr == ""


@pytest.mark.timeout(300)
def test_a_cluster_at_an_address_needs_nothing_of_the_demonstration(cluster):
    assert f"at {cluster}" in demonstrate("--address", cluster).stdout
