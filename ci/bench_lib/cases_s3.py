"""Chunks of S3, as zarr reads them: s3fs on either fsspec, a bare aiobotocore client, and obstore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .case import Bench, Timed, case
from .cases_http import counted
from .loops import LoopThread, pooled
from .s3 import CHUNK, CHUNKS, CREDENTIALS, options


def names(bench: Bench, late: bool) -> list[str]:
    """Objects of the S3 server; or of the other one, which looks at no signature and takes 5 ms for each."""
    if late:
        return [f"late/{n}" for n in range(10_000 if bench.full else 1000)]
    return [f"bucket/chunk/{n}" for n in range(CHUNKS)]


def endpoint(bench: Bench, late: bool) -> str:
    return bench.site if late else bench.s3


def client_limit(bench: Bench, late: bool) -> Timed:
    """The requests alone, by the client that s3fs uses and with as many connections."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    thread = LoopThread()

    async def start() -> Any:
        made = get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=endpoint(bench, late),
            aws_access_key_id=CREDENTIALS["key"],
            aws_secret_access_key=CREDENTIALS["secret"],
            config=AioConfig(max_pool_connections=10),
        )
        return await made.__aenter__()

    client = thread.run(start())

    async def get(name: str) -> bytes:
        bucket, _, key = name.partition("/")
        answer = await client.get_object(Bucket=bucket, Key=key)
        async with answer["Body"] as body:
            data: bytes = await body.read()
            return data

    return fetching(thread, get, names(bench, late))


def obstore_limit(bench: Bench, late: bool) -> Timed:
    """Another client, which is written in Rust."""
    from importlib import import_module

    thread = LoopThread()
    obstore: Any = import_module("obstore")
    store = import_module("obstore.store").S3Store(
        "late" if late else "bucket",
        endpoint=endpoint(bench, late),
        region="us-east-1",
        access_key_id=CREDENTIALS["key"],
        secret_access_key=CREDENTIALS["secret"],
        client_options={"allow_http": True},
    )

    async def get(name: str) -> bytes:
        answer = await obstore.get_async(store, name.partition("/")[2])
        return bytes(await answer.bytes_async())

    return fetching(thread, get, names(bench, late))


def fetching(thread: LoopThread, get: Callable[[str], Awaitable[bytes]], wanted: list[str]) -> Timed:
    def timed() -> None:
        found = thread.run(pooled(get, wanted, 10))
        assert all(len(data) == CHUNK for data in found.values())

    return timed


def chunks(bench: Bench, late: bool) -> Timed:
    import fsspec

    fs = fsspec.filesystem("s3", skip_instance_cache=True, **options(endpoint(bench, late)))
    wanted = names(bench, late)
    if late:
        counted(bench)

    def timed() -> None:
        found = fs.cat(wanted)
        assert all(len(data) == CHUNK for data in found.values())

    return timed


for _late in (False, True):
    for _name, _text, _limit in (
        ("", "; the limit is a bare client", client_limit),
        ("-obstore", "; the limit is obstore", obstore_limit),
    ):
        case(
            f"s3-chunks{'-late' if _late else ''}{_name}",
            f"S3 cat of chunks of 64 kB{', 5 ms each' if _late else ''}{_text}",
            1.0,
            limit=partial(_limit, late=_late),
            ops=1 if _late else CHUNKS,
            s3=not _late,
        )(partial(chunks, late=_late))
