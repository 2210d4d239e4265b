"""For pytest's ``-p``: what adlfs's tests start in a container is a process, on a port that is free."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import docker
import pytest
from adlfs.tests import constants


class Azurite:
    """Azurite as npm installs it, in place of docker's client, its containers and the one that runs."""

    def __init__(self) -> None:
        self.containers = self
        self.folder = tempfile.TemporaryDirectory(prefix="azurite-")
        command = Path(sys.prefix, "node_modules", ".bin", "azurite-blob")
        options = ["--loose", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        self.process = subprocess.Popen(
            [command, "--blobPort", "0", "--location", self.folder.name, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if found := re.search(r"listens on http://(127\.0\.0\.1:\d+)", line):
                self.host = found[1]
                return
        raise RuntimeError("Azurite did not start")

    def run(self, *arguments: Any, **keywords: Any) -> Azurite:
        return self

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.communicate()
            self.folder.cleanup()


AZURITE = Azurite()
fixed, constants.HOST = constants.HOST, AZURITE.host  # before the tests import them
for name in ("URL", "CONN_STR"):
    setattr(constants, name, getattr(constants, name).replace(fixed, AZURITE.host))
docker.from_env = lambda: AZURITE


def pytest_configure(config: pytest.Config) -> None:
    """It ends with the run, also where no test asked for it."""
    config.add_cleanup(AZURITE.stop)
