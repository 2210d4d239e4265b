"""A real cluster of this machine, asked over its sockets."""

import os
import pickle

import pytest

distributed = pytest.importorskip("distributed")

import fsspec
from fsspec.implementations.dask import DaskWorkerFileSystem
from fsspec.tests.programs import run

BIG = bytes(range(256)) * 40_000
PROGRAM = """
    import warnings
    warnings.simplefilter("ignore")  # of dask and tornado
    if __name__ == "__main__":
        import logging, os, fsspec
        logging.disable(logging.CRITICAL)
        from distributed import Client
        from fsspec._checks.forked import by_fork
        from fsspec.exceptions import ForkError
        top = {top!r}
        client = Client({address!r})
        fs = fsspec.filesystem("dask", target_protocol="file")
        f = fs.open(top + "/big")
        assert f.read(10) == bytes(range(10))

        def works():
            assert fs.cat_file(top + "/a") == b"alpha"
            assert f.read(10) == bytes(range(10, 20))
            fs._connected_client().close()

        def refuses():
            try:
                fs.ls(top)
            except ForkError:
                return
            raise AssertionError("not refused")

        report = by_fork({body})
        report.waited = 0.0  # distributed gives the parent's client 3 seconds at the end of any child
        assert not report.problem(), report.problem()
        assert f.read(10) == bytes(range(10, 20)) and fs.cat_file(top + "/a") == b"alpha"
        client.close()
        print("well")
"""


@pytest.fixture(scope="module")
def client():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of dask and tornado
        how = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
        with distributed.LocalCluster(processes=False, protocol="tcp://", host="127.0.0.1", **how) as cluster:
            with distributed.Client(cluster) as client:
                yield client


@pytest.fixture
def top(tmp_path):
    (tmp_path / "a").write_bytes(b"alpha")
    (tmp_path / "big").write_bytes(BIG)
    (tmp_path / "sub").mkdir()
    return tmp_path.as_posix()


@pytest.fixture
def fs(client):
    return DaskWorkerFileSystem(target_protocol="file", client=client)


def test_files_of_workers_are_listed_and_read(fs, top):
    assert fs.cat_file(f"{top}/a") == b"alpha"
    assert sorted(fs.ls(top, detail=False)) == [f"{top}/a", f"{top}/big", f"{top}/sub"]
    assert fs.find(top) == [f"{top}/a", f"{top}/big"] and fs.glob(f"{top}/*g") == [f"{top}/big"]
    assert fs.info(f"{top}/a") == fsspec.filesystem("file").info(f"{top}/a")
    assert fs.isdir(f"{top}/sub") and not fs.exists(f"{top}/none")
    with fs.open(f"{top}/big", block_size=100_000) as f:
        assert f.read(10) == BIG[:10]
        f.seek(-10, 2)
        assert f.read() == BIG[-10:]
        f.seek(0)
        assert f.read() == BIG
    assert fs.fetch_range(f"{top}/big", "rb", 5, 9) == BIG[5:9]
    assert fs.cat([f"{top}/a", f"{top}/big"]) == {f"{top}/a": b"alpha", f"{top}/big": BIG}


def test_files_of_workers_are_written_moved_and_removed(fs, top):
    fs.pipe_file(f"{top}/new", b"new")
    fs.mv(f"{top}/new", f"{top}/moved")
    fs.copy(f"{top}/moved", f"{top}/copied")
    fs.mkdir(f"{top}/x")
    fs.rm(f"{top}/moved")
    fs.rmdir(f"{top}/sub")
    assert sorted(os.listdir(top)) == ["a", "big", "copied", "x"]
    with pytest.raises(ValueError, match="pipe"):
        fs.open(f"{top}/w", "wb")
    with pytest.raises(FileNotFoundError, match="none"):
        fs.open(f"{top}/none")
    with pytest.raises(FileNotFoundError, match="none"):
        fs.ls(f"{top}/none")


def test_files_are_read_and_written_on_a_worker(client, fs, top):
    """It is sent there, and is the filesystem behind."""

    def read(path):
        fs = DaskWorkerFileSystem(target_protocol="file")
        with fs.open(path) as f, fs.open(path + ".out", "wb") as out:
            out.write(f.read())
        return fs.worker, fs.fetch_range(path, "rb", 1, 3), type(fs.fs).__name__

    assert client.submit(read, f"{top}/a").result() == (True, b"lp", "LocalFileSystem")
    assert fs.cat_file(f"{top}/a.out") == b"alpha" and not fs.worker


def test_an_instance_is_made_of_one_filesystem(client, m):
    m.pipe("/there", b"x")
    assert DaskWorkerFileSystem(fs=m, client=client).cat_file("/there") == b"x"
    for wrong in ({}, {"fs": m, "target_protocol": "file"}):
        with pytest.raises(ValueError, match="either"):
            DaskWorkerFileSystem(**wrong)
    assert DaskWorkerFileSystem._get_kwargs_from_urls("dask://host:1/a") == {"client": "host:1"}
    assert DaskWorkerFileSystem._get_kwargs_from_urls("dask:///a") == {}
    fs = DaskWorkerFileSystem(target_protocol="file", target_options={"secret": "word"})
    assert "word" not in repr(fs) and pickle.loads(pickle.dumps(fs)) == fs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
@pytest.mark.parametrize("reset", ["1", "0"])
def test_an_inherited_instance_works_or_refuses(client, top, reset):
    body = "works" if reset == "1" else "refuses"
    text = PROGRAM.format(top=top, body=body, address=client.scheduler.address)
    assert run(text, FSSPEC_FORK_RESET=reset, PYTHONWARNINGS="ignore") == "well\n"
