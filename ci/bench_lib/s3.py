"""moto's S3 server with chunks, until stdin ends: ``python -m bench_lib.s3`` prints its address."""

from __future__ import annotations

import logging
import sys
from typing import Any

CREDENTIALS = {"key": "testing", "secret": "testing"}
PATH = "bucket/small"
SIZE = 2000
CHUNKS, CHUNK = 100, 65536


def options(address: str, **more: Any) -> dict[str, Any]:
    """Storage options of s3fs for the server."""
    return {**CREDENTIALS, "endpoint_url": address, **more}


def main() -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it would tell of each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://%s:%d" % server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    bucket, key = PATH.split("/")
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key=key, Body=b"x" * SIZE)
    for number in range(CHUNKS):
        client.put_object(Bucket=bucket, Key=f"chunk/{number}", Body=b"c" * CHUNK)
    print(address, flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
