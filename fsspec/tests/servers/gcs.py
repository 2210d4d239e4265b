"""Google's storage on the loopback interface, as gcsfs asks for it: JSON by HTTP and gRPC, on one port.

The first is `gcp-storage-emulator`; the other is a server of ``google.storage.control.v2`` that
knows one request, the kind of a bucket.  gcsfs speaks TLS where it speaks gRPC, and to the
same address: what connects is told by its first byte, and passed on.

    with serve_gcs(bucket="data") as (address, certificates):
        os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] = certificates   # before gRPC is first used
        gcsfs.GCSFileSystem(token="anon", endpoint_url=address)
"""

from __future__ import annotations

import os
import selectors
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

from fsspec.tests.servers.process import announced

TLS_HANDSHAKE = b"\x16"


@contextmanager
def serve_gcs(bucket: str) -> Iterator[tuple[str, str]]:
    """The address of a server in a process of its own, and the file of the certificates to trust."""
    program = ["-c", f"from {__name__} import _main; _main()", bucket]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)}
    with (
        tempfile.TemporaryDirectory() as folder,
        announced([*program, folder], "gcsfs and gcp-storage-emulator", env) as address,
    ):
        yield address, os.path.join(folder, "trusted.pem")


# in the server's process ------------------------------------------------------------
def _main() -> None:
    bucket, folder = sys.argv[1:]
    grpc_port = _serve_grpc(folder)
    json_port = _serve_json(bucket)
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    threading.Thread(target=_accept, args=(listening, json_port, grpc_port), daemon=True).start()
    sys.stdin.read()
    os._exit(0)


def _serve_json(bucket: str) -> int:
    from gcp_storage_emulator.server import create_server

    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    create_server("127.0.0.1", port, in_memory=True, default_bucket=bucket).start()
    return port


def _serve_grpc(folder: str) -> int:
    import grpc
    import trustme
    from google.cloud import storage_control_v2 as control

    def layout(request: Any, context: Any) -> Any:
        return control.StorageLayout(name=request.name, location="here", location_type="region")

    authority = trustme.CA()
    authority.cert_pem.write_to_path(os.path.join(folder, "trusted.pem"))
    mine = authority.issue_cert("127.0.0.1")
    server = grpc.server(ThreadPoolExecutor(4))
    method = grpc.unary_unary_rpc_method_handler(
        layout,
        request_deserializer=control.GetStorageLayoutRequest.deserialize,
        response_serializer=control.StorageLayout.serialize,
    )
    service = "google.storage.control.v2.StorageControl"
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {"GetStorageLayout": method}),)
    )
    pair = mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes()
    port: int = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    _running.append(server)
    return port


_running: list[Any] = []  # a server that is collected stops


def _accept(listening: socket.socket, json_port: int, grpc_port: int) -> None:
    while True:
        client, _ = listening.accept()
        threading.Thread(target=_pass_on, args=(client, json_port, grpc_port), daemon=True).start()


def _pass_on(client: socket.socket, json_port: int, grpc_port: int) -> None:
    """Between one client and the server that it speaks to, until either hangs up."""
    with client, suppress(OSError):
        first = client.recv(1, socket.MSG_PEEK)
        port = grpc_port if first == TLS_HANDSHAKE else json_port
        with socket.create_connection(("127.0.0.1", port)) as server, selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                    if not data:
                        return
                    key.data.sendall(data)
