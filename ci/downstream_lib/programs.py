"""Small real programs over projects that publish no tests: ``python programs.py NAME FOLDER``.

Each ends with an exception if what it reads back is not what it wrote.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def kerchunk(folder: str) -> None:
    """References to an HDF5 file, opened by xarray through the reference filesystem."""
    import h5py
    import numpy as np
    import xarray
    from kerchunk.combine import MultiZarrToZarr
    from kerchunk.hdf import SingleHdf5ToZarr

    import fsspec

    parts = []
    for i in range(2):
        path = os.path.join(folder, f"{i}.h5")
        with h5py.File(path, "w") as f:
            f["time"] = np.array([i], dtype="f8")
            f["x"] = np.arange(4.0)
            f["v"] = np.full((1, 4), i + 1.0)  # 0 is what is missing
            f["time"].make_scale("time")
            f["x"].make_scale("x")
            f["v"].dims[0].attach_scale(f["time"])
            f["v"].dims[1].attach_scale(f["x"])
        with fsspec.open(path, "rb") as f:
            parts.append(SingleHdf5ToZarr(f, path, inline_threshold=0).translate())
    whole = MultiZarrToZarr(parts, concat_dims=["time"], identical_dims=["x"]).translate()
    fs = fsspec.filesystem("reference", fo=whole, remote_protocol="file", asynchronous=False)
    assert json.loads(fs.cat_file("v/.zarray"))["shape"] == [2, 4]
    with fsspec.open(os.path.join(folder, "all.json"), "w") as f:
        json.dump(whole, f)
    options = {"storage_options": {"remote_protocol": "file"}}
    with xarray.open_dataset(os.path.join(folder, "all.json"), engine="kerchunk", **options) as ds:
        assert ds.v.values.tolist() == [[1.0] * 4, [2.0] * 4]


def distributed(folder: str) -> None:
    """Tasks on processes of workers open files that the client made; the dask filesystem asks a worker."""
    import dask.bytes
    from distributed import Client, LocalCluster

    import fsspec

    for i in range(4):
        with fsspec.open(f"file://{folder}/{i}.txt", "wt") as f:
            f.write(f"{i}\n")
    with (
        LocalCluster(n_workers=2, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        _, blocks = dask.bytes.read_bytes(f"file://{folder}/*.txt", delimiter=b"\n")
        found = client.gather(client.compute([b for blocks_ in blocks for b in blocks_]))
        assert sorted(found) == [b"0\n", b"1\n", b"2\n", b"3\n"]
        of = client.submit(lambda: fsspec.open(f"file://{folder}/0.txt")).result()
        with of as f:
            assert f.read() == b"0\n"


def fastparquet(folder: str) -> None:
    """Files and partitioned data sets, written and read by fastparquet over two filesystems."""
    import fastparquet as fp
    import pandas as pd

    import fsspec

    frame = pd.DataFrame({"a": range(100), "b": [str(i % 3) for i in range(100)]})
    for fs, root in ((fsspec.filesystem("memory"), "/data"), (fsspec.filesystem("file"), folder)):
        fs.makedirs(root, exist_ok=True)
        fp.write(f"{root}/one.parquet", frame, open_with=fs.open)
        assert fp.ParquetFile(f"{root}/one.parquet", fs=fs).to_pandas().a.tolist() == list(range(100))
        fp.write(
            f"{root}/many",
            frame,
            file_scheme="hive",
            partition_on=["b"],
            open_with=fs.open,
            mkdirs=lambda p, fs=fs: fs.makedirs(p, exist_ok=True),
        )
        assert sorted(fp.ParquetFile(f"{root}/many", fs=fs).to_pandas().a) == list(range(100))


def intake(folder: str) -> None:
    """A catalog in YAML over fsspec, and what it lists."""
    import intake as it
    import pandas as pd

    import fsspec

    with fsspec.open("memory://table.csv", "wt") as f:
        pd.DataFrame({"a": [1, 2, 3]}).to_csv(f, index=False)
    data = it.datatypes.CSV("memory://table.csv")
    assert it.readers.PandasCSV(data).read().a.tolist() == [1, 2, 3]
    catalog = it.entry.Catalog()
    catalog["table"] = it.readers.PandasCSV(data)
    path = f"file://{folder}/catalog.yaml"
    catalog.to_yaml_file(path)
    assert it.entry.Catalog.from_yaml_file(path)["table"].read().a.tolist() == [1, 2, 3]


def duckdb(folder: str) -> None:
    """SQL over files of a registered filesystem."""
    import duckdb as db
    import pandas as pd

    import fsspec

    fs = fsspec.filesystem("memory")
    for i in range(3):
        with fs.open(f"/d/{i}.csv", "w") as f:
            pd.DataFrame({"a": [i, i + 1]}).to_csv(f, index=False)
    with db.connect() as con:
        con.register_filesystem(fs)
        assert con.sql("select sum(a) from 'memory:///d/*.csv'").fetchall() == [(9,)]
        con.sql("copy (select 42 as x) to 'memory:///d/out.parquet' (format parquet)")
        assert con.sql("select x from 'memory:///d/out.parquet'").fetchall() == [(42,)]


def datasets(folder: str) -> None:
    """A data set kept in another filesystem, as Arrow files, and loaded from there."""
    import datasets as ds

    import fsspec

    made = ds.Dataset.from_dict({"a": list(range(100)), "b": [str(i) for i in range(100)]})
    made.save_to_disk("memory://kept/set")
    assert ds.load_from_disk("memory://kept/set")["a"][:3] == [0, 1, 2]
    made.to_parquet("memory://kept/one.parquet")
    with fsspec.open("memory://kept/one.parquet", "rb") as f:
        assert f.read(4) == b"PAR1"
    made.to_json(f"file://{folder}/lines.json")
    loaded = ds.load_dataset("json", data_files=f"{folder}/lines.json", split="train", cache_dir=folder)
    assert loaded["b"][99] == "99"


def huggingface_hub(folder: str) -> None:
    """The class behind hf://, as far as it goes without the hub."""
    from huggingface_hub import HfFileSystem

    import fsspec

    fs, path = fsspec.url_to_fs("hf://datasets/user/name/file.txt")
    assert type(fs) is HfFileSystem and path == "datasets/user/name/file.txt"
    assert fsspec.filesystem("hf") is fs
    assert fsspec.AbstractFileSystem.from_json(fs.to_json()) is fs


def gcsfs(folder: str) -> None:
    """Write, list, copy, read and remove on an emulator of the service."""
    from gcp_storage_emulator.server import create_server

    import fsspec

    server = create_server("127.0.0.1", 0, in_memory=True, default_bucket="bucket")
    server.start()
    try:
        port = server._api._httpd.server_address[1]
        fs = fsspec.filesystem("gcs", endpoint_url=f"http://127.0.0.1:{port}", token="anon", project="p")
        fs.pipe({"bucket/d/a": b"1" * 1000, "bucket/d/b": b"2"})
        fs.invalidate_cache()
        assert sorted(fs.find("bucket/d")) == ["bucket/d/a", "bucket/d/b"]
        assert fs.cat_file("bucket/d/a", start=10, end=20) == b"1" * 10
        with fs.open("bucket/d/c", "wb") as f:
            f.write(b"three")
        with fsspec.open("gs://bucket/d/c", **fs.storage_options) as f:
            assert f.read() == b"three"
        fs.get("bucket/d", os.path.join(folder, "local"), recursive=True)
        assert sorted(os.listdir(os.path.join(folder, "local"))) == ["a", "b", "c"]
        fs.rm("bucket/d/a")
        fs.invalidate_cache()
        assert not fs.exists("bucket/d/a")
    finally:
        server.stop()


if __name__ == "__main__":
    program: Any = globals()[sys.argv[1]]
    program(sys.argv[2])
    print("passed")
