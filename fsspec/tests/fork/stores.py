"""Filesystems over others, and those of other protocols: caches, archives, references, ftp, sftp, smb."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from contextlib import ExitStack
from typing import Any

import fsspec
from fsspec.tests.fork.reading import _Half
from fsspec.tests.fork.subjects import DATA, HTTP, NAMES, Subject, expect
from fsspec.tests.fork.writing import Writing


class Cached(HTTP):
    """A cache on disk over HTTP, in a folder that ends with its owner."""

    needs: tuple[str, ...] = ("fsspec.implementations.cached", *HTTP.needs)
    kind = "simplecache"
    actions = Subject.actions

    def make(self) -> Any:
        return fsspec.filesystem(
            self.kind,
            target_protocol="http",
            target_options=self.options(),
            cache_storage="TMP",
            skip_instance_cache=True,
        )

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            with handle.open(self.url(name)) as f:
                expect(f.read(), DATA[name], name)

    def refused(self, handle: Any) -> None:
        handle.cat_file(self.url("data2.bin"))  # has not been read before: the connection is needed

    def close(self, handle: Any) -> None:
        pass

    def busy(self, handle: Any) -> None:
        return None

    def settle(self, handle: Any) -> None:
        self.use(handle)
        expect(handle.cat_file(self.url("data2.bin")), DATA["data2.bin"], "what was not cached before")


class CachedFile(_Half, Cached):
    """An open file of a cache."""

    pickles = False
    actions = Subject.actions

    def make(self) -> Any:
        fs = super().make()
        return self.begun(fs.open(self.url("data0.bin"), block_size=2**15))

    def busy(self, handle: Any) -> None:
        return None

    def settle(self, handle: Any) -> None:
        handle.close()


class LocalCachedFile(CachedFile):
    """An open file of which everything is in the cache already: it is a local one."""

    connects = False


class Archive(Subject):
    """A local archive whose members are read by one handle."""

    connects = False
    kind = ""

    def make(self) -> Any:
        return fsspec.filesystem(self.kind, fo=self.place(), skip_instance_cache=True)

    def place(self) -> str:
        return os.path.join(self.folder, f"data.{self.kind}")

    def use(self, handle: Any) -> None:
        for _ in range(5):
            for name, data in DATA.items():
                expect(handle.cat_file(name), data, name)


class Zip(Archive):
    """A zip archive."""

    needs: tuple[str, ...] = ("fsspec.implementations.zip",)
    kind = "zip"


class Tar(Archive):
    """A tar archive."""

    needs: tuple[str, ...] = ("fsspec.implementations.tar",)
    kind = "tar"


class ZipFile(_Half, Zip):
    """An open member."""

    pickles = False

    def make(self) -> Any:
        return self.begun(super().make().open("data0.bin"))


class TarFile(_Half, Tar):
    """An open member."""

    pickles = False

    def make(self) -> Any:
        return self.begun(super().make().open("data0.bin"))


class HTTPZip(Zip):
    """A zip archive read over HTTP."""

    needs: tuple[str, ...] = (*Zip.needs, *HTTP.needs)
    connects = True
    resets = False  # the instance that it reads through is out of sight

    def make(self) -> Any:
        options = {"block_size": 2**16 + next(self.numbers), "cache_type": "readahead"}
        url = f"{self.places['http']}/data.zip"
        return fsspec.filesystem(
            "zip", fo=url, target_protocol="http", target_options=options, skip_instance_cache=True
        )


class HTTPTar(HTTPZip):
    """A tar archive read over HTTP."""

    needs: tuple[str, ...] = (*Tar.needs, *HTTP.needs)

    def make(self) -> Any:
        options = {"block_size": 2**16 + next(self.numbers), "cache_type": "readahead"}
        url = f"{self.places['http']}/data.tar"
        return fsspec.filesystem(
            "tar", fo=url, target_protocol="http", target_options=options, skip_instance_cache=True
        )


class Reference(HTTP):
    """References to ranges of files over HTTP."""

    needs: tuple[str, ...] = ("fsspec.implementations.reference", *HTTP.needs)
    actions = Subject.actions

    def make(self) -> Any:
        references: dict[str, Any] = {name: [self.url(name)] for name in NAMES}
        references.update(text="base64:aGVsbG8=", part=[self.url("data0.bin"), 100, 1000])
        return fsspec.filesystem(
            "reference",
            fo={"version": 1, "refs": references},
            remote_protocol="http",
            remote_options=self.options(),
            skip_instance_cache=True,
        )

    def use(self, handle: Any) -> None:
        expect(handle.cat_file("part"), DATA["data0.bin"][100:1100], "part")
        found = handle.cat(NAMES)
        for name, data in DATA.items():
            expect(found[name], data, name)

    def close(self, handle: Any) -> None:
        pass

    def busy(self, handle: Any) -> Any:
        return lambda: expect(handle.cat_file("data1.bin"), DATA["data1.bin"], "cat_file meanwhile")


class FTP(Subject):
    """An FTP connection."""

    needs: tuple[str, ...] = ("fsspec.implementations.ftp", "fsspec.tests.servers.ftp", "pyftpdlib")

    def make(self) -> Any:
        where = json.loads(self.places["ftp"])
        return fsspec.filesystem("ftp", **where, skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            expect(handle.cat_file(f"/{name}"), DATA[name], name)
        assert handle.exists("/data2.bin")

    def close(self, handle: Any) -> None:
        handle.ftp.close()


class FTPFile(_Half, FTP):
    """An open file of it."""

    def make(self) -> Any:
        return self.begun(super().make().open("/data0.bin", block_size=2**15))


class SFTP(Subject):
    """An SFTP connection."""

    needs: tuple[str, ...] = ("fsspec.implementations.sftp", "paramiko", "fsspec.tests.servers.sftp")

    def make(self) -> Any:
        where = json.loads(self.places["sftp"])
        return fsspec.filesystem("sftp", **where, skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            expect(handle.cat_file(f"/{name}"), DATA[name], name)

    def close(self, handle: Any) -> None:
        handle.client.close()


class SFTPFile(_Half, SFTP):
    """An open file of it."""

    pickles = False

    def make(self) -> Any:
        return self.begun(super().make().open("/data0.bin", block_size=2**15))


class SFTPPlainFile(SFTPFile):
    """An open file of a server that has no fstat."""

    def make(self) -> Any:
        where = json.loads(self.places["sftp without fstat"])
        fs = fsspec.filesystem("sftp", **where, skip_instance_cache=True)
        return self.begun(fs.open("/data0.bin", block_size=2**15))


class WebHDFS(Subject):
    """A session with a Hadoop cluster."""

    needs: tuple[str, ...] = ("fsspec.implementations.webhdfs", "requests", "fsspec.tests.servers.webhdfs")
    at = "webhdfs"

    def make(self) -> Any:
        where = json.loads(self.places[self.at])
        return fsspec.filesystem("webhdfs", **where, skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            expect(handle.cat_file(f"/{name}"), DATA[name], name)

    def close(self, handle: Any) -> None:
        handle.session.close()


class HttpFSFile(_Half, WebHDFS):
    """An open file of a gateway that gives the data itself."""

    at = "httpfs"

    def make(self) -> Any:
        return self.begun(super().make().open("/data0.bin", block_size=2**15))


class SMB(Subject):
    """A session with an SMB server."""

    needs: tuple[str, ...] = ("fsspec.implementations.smb", "smbclient", "impacket")

    def make(self) -> Any:
        where = json.loads(self.places["smb"])
        return fsspec.filesystem("smb", **where, skip_instance_cache=True)

    def use(self, handle: Any) -> None:
        for name in NAMES[:2]:
            expect(handle.cat_file(f"/SHARE/{name}"), DATA[name], name)


class SMBFile(_Half, SMB):
    """An open file of it."""

    def make(self) -> Any:
        return self.begun(super().make().open("/SHARE/data0.bin", block_size=2**15))


class Remote(Writing):
    """A file being written in the folder of a server, of which a block has been sent; it grows in sight."""

    piece = b"a" * 3000
    base: type[Subject]
    share = ""

    def start(self, key: str) -> Any:
        return self.base(self.places).make().open(f"{self.share}/{key}", "wb", block_size=2000)

    def result(self, key: str) -> bytes | None:
        fs = self.base(self.places).make()
        found: bytes = fs.cat_file(f"{self.share}/{key}")
        return found

    def unchanged(self, handle: Any) -> None:
        pass


class FTPWriting(Remote):
    """By FTP."""

    needs: tuple[str, ...] = FTP.needs
    base = FTP


class SFTPWriting(Remote):
    """By SFTP."""

    needs: tuple[str, ...] = SFTP.needs
    base = SFTP


class SMBWriting(Remote):
    """To a share."""

    needs: tuple[str, ...] = SMB.needs
    base = SMB
    share = "/SHARE"


def _kinds(base: type[Subject], name: str, *kinds: str) -> dict[str, type[Subject]]:
    return {
        name.format(kind): type(f"{base.__name__}_{kind}", (base,), {"kind": kind, "__module__": __name__})
        for kind in kinds
    }


STORES: dict[str, type[Subject]] = {
    **_kinds(Cached, "{}", "simplecache", "filecache", "blockcache"),
    **_kinds(LocalCachedFile, "{} file", "simplecache", "filecache"),
    **_kinds(CachedFile, "{} file", "blockcache"),
    "zip": Zip,
    "zip file": ZipFile,
    "zip over http": HTTPZip,
    "tar": Tar,
    "tar file": TarFile,
    "tar over http": HTTPTar,
    "reference": Reference,
    "ftp": FTP,
    "ftp file": FTPFile,
    "ftp writing": FTPWriting,
    "sftp": SFTP,
    "sftp file": SFTPFile,
    "sftp writing": SFTPWriting,
    "sftp file without fstat": SFTPPlainFile,
    "webhdfs": WebHDFS,
    "httpfs file": HttpFSFile,
    "smb": SMB,
    "smb file": SMBFile,
    "smb writing": SMBWriting,
}


def pack(folder: str) -> list[str]:
    """Make the archives; their names."""
    with zipfile.ZipFile(os.path.join(folder, "data.zip"), "w") as packed:
        for name in NAMES:
            packed.write(os.path.join(folder, name), name)
    with tarfile.open(os.path.join(folder, "data.tar"), "w") as tar:
        for name in NAMES:
            tar.add(os.path.join(folder, name), name)
    return ["data.zip", "data.tar"]


def serve(stack: ExitStack, places: dict[str, str]) -> None:
    """Start the servers that only these need."""
    servers: dict[str, Any] = {}
    if not FTP.lacking():
        from fsspec.tests.servers.ftp import FTPServer

        servers["ftp"] = FTPServer()
    if not SFTP.lacking():
        from fsspec.tests.servers.sftp import SFTPServer

        servers["sftp"], servers["sftp without fstat"] = SFTPServer(), SFTPServer()
    if not WebHDFS.lacking():
        from fsspec.tests.servers.webhdfs import WebHDFSServer

        servers["webhdfs"], servers["httpfs"] = WebHDFSServer(), WebHDFSServer()
    if not SMB.lacking():
        from fsspec.tests.servers.smb import SMBServer

        servers["smb"] = SMBServer()
    for name, server in servers.items():
        stack.enter_context(server)
        places[name] = json.dumps(server.options)
        for each in NAMES:
            shutil.copy(os.path.join(places["folder"], each), server.folder)
    if "httpfs" in servers:
        servers["httpfs"].gateway()
    if "sftp" in servers:
        servers["sftp without fstat"].fault(no_fstat=True)
