"""Chunks of S3, as zarr reads them: s3fs on either fsspec, a bare aiobotocore client, and obstore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .case import Bench, Timed, case
from .loops import LoopThread, pooled
from .s3 import CHUNK, CHUNKS, CREDENTIALS, options

NAMES = [f"bucket/chunk/{n}" for n in range(CHUNKS)]


def client_limit(bench: Bench) -> Timed:
    """The requests alone, by the client that s3fs uses and with as many connections."""
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    thread = LoopThread()

    async def start() -> Any:
        made = get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=bench.s3,
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

    return fetching(thread, get)


def obstore_limit(bench: Bench) -> Timed:
    """Another client, which is written in Rust."""
    from importlib import import_module

    thread = LoopThread()
    obstore: Any = import_module("obstore")
    store = import_module("obstore.store").S3Store(
        "bucket",
        endpoint=bench.s3,
        region="us-east-1",
        access_key_id=CREDENTIALS["key"],
        secret_access_key=CREDENTIALS["secret"],
        client_options={"allow_http": True},
    )

    async def get(name: str) -> bytes:
        answer = await obstore.get_async(store, name.partition("/")[2])
        return bytes(await answer.bytes_async())

    return fetching(thread, get)


def fetching(thread: LoopThread, get: Callable[[str], Awaitable[bytes]]) -> Timed:
    def timed() -> None:
        found = thread.run(pooled(get, NAMES, 10))
        assert all(len(data) == CHUNK for data in found.values())

    return timed


def chunks(bench: Bench) -> Timed:
    import fsspec

    fs = fsspec.filesystem("s3", skip_instance_cache=True, **options(bench.s3))

    def timed() -> None:
        found = fs.cat(NAMES)
        assert all(len(data) == CHUNK for data in found.values())

    return timed


for _name, _text, _limit in (
    ("s3-chunks", "S3 cat of chunks of 64 kB; the limit is a bare client", client_limit),
    ("s3-chunks-obstore", "the same; the limit is obstore", obstore_limit),
):
    case(_name, _text, 1.0, limit=_limit, ops=CHUNKS, s3=True)(chunks)
