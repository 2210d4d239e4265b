"""Azurite, Microsoft's emulator of Azure's blobs (``npm install -g azurite``), with its data in a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""That of the one account which every Azurite has; it is no secret."""


def azurite() -> str | None:
    """The command; the variable AZURITE names one that is not on the PATH."""
    return os.environ.get("AZURITE") or shutil.which("azurite-blob")


@contextmanager
def serve_azure(folder: str) -> Iterator[str]:
    """The connection string of a server on a free port of the loopback interface."""
    command = azurite()
    assert command is not None
    with subprocess.Popen(
        [command, "--blobPort", "0", "--location", folder, "--skipApiVersionCheck", "--disableTelemetry"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                port = re.search(r"listens on http://127\.0\.0\.1:(\d+)", line)
                if port:
                    break
            else:
                raise RuntimeError("Azurite did not start")
            yield (
                f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
                f"BlobEndpoint=http://127.0.0.1:{port[1]}/devstoreaccount1;"
            )
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
