"""Gists, by GitHub's REST API: a few files without folders.

The list of files is fetched when the instance is made; a file is fetched whole when it is read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote, urlsplit

from fsspec._files.whole_file import WholeFile
from fsspec._overriding import unless_patched
from fsspec._paths.paths import folder_error, url_text
from fsspec.archive import MissingMemberError, where_missing
from fsspec.implementations._remote.rest import RestFileSystem
from fsspec.utils import infer_storage_options

if TYPE_CHECKING:
    from fsspec._paths.types import PathOrPaths


__all__ = ["GistFileSystem"]

_HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class GistFileSystem(RestFileSystem):
    """The files of one gist.

    Parameters
    ----------
    gist_id
        what its URL ends in
    filenames
        the files to know of; by default all
    sha
        a revision; by default the latest
    username, token
        for more requests an hour; a token alone will do
    timeout
        seconds to connect, and to wait for bytes
    **kwargs
        as for `AbstractFileSystem`

    Raises
    ------
    ValueError
        for a user name without a token
    FileNotFoundError
        if there is no such gist, or none of these files in it
    """

    protocol: ClassVar[str | tuple[str, ...]] = "gist"
    gist_url = "https://api.github.com/gists/{gist_id}"
    gist_rev_url = "https://api.github.com/gists/{gist_id}/{sha}"

    def __init__(
        self,
        gist_id: str,
        filenames: list[str] | None = None,
        sha: str | None = None,
        username: str | None = None,
        token: str | None = None,
        timeout: float | tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._log_in(username, token, timeout)
        self.gist_id = gist_id
        self.filenames = filenames
        self.sha = sha
        self._gist_files()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.gist_id!r}, sha={self.sha!r})"

    @property
    def kw(self) -> dict[str, Any]:
        """What the requests carry; it holds the token."""
        given = self._request_credentials()
        return {**given, "headers": {**_HEADERS, **given.get("headers", {})}}

    def _gist_files(self) -> list[dict[str, Any]]:
        if "" not in self.dircache:
            what = f"gist {self.gist_id} at {self.sha or 'latest'}"
            address = self.gist_url if self.sha is None else self.gist_rev_url
            url = address.format(gist_id=quote(self.gist_id, safe=""), sha=quote(self.sha or "", safe=""))
            answer = self._request_json("GET", url, what, **self.kw)
            found = {
                name: {"name": name, "type": "file", "size": each["size"], "raw_url": each["raw_url"]}
                for name, each in answer["files"].items()
                if each is not None  # it was removed in this revision
            }
            for name in self.filenames or ():
                if name not in found:
                    raise MissingMemberError(name, where_missing(what, name, found))
            self._listed_files = [found[name] for name in self.filenames or found]
            self.dircache[""] = self._listed_files
        return self._listed_files

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        """The name of a file: what a URL has before it names the gist."""
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        text = url_text(path)
        if "://" in text:
            return text.partition("://")[2].partition("/")[2].rstrip("/").rpartition("/")[2]
        return text.strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        options = infer_storage_options(path)
        found: dict[str, Any] = {}
        if "username" in options:
            found["username"] = options["username"]
        if "password" in options:
            found["token"] = options["password"]
        if options.get("host"):
            found["gist_id"] = options["host"]
            parts = [part for part in options["path"].split("/") if part]
            if len(parts) > 1:
                found["sha"] = parts[0]
            if parts:
                found["filenames"] = [parts[-1]]
        return found

    def ls(self, path: str = "", detail: bool = False, **kwargs: Any) -> list[Any]:
        path = self._strip_protocol(path)
        found = [entry for entry in self._gist_files() if not path or entry["name"] == path]
        if path and not found:
            names = (entry["name"] for entry in self._gist_files())
            raise MissingMemberError(path, partial(where_missing, f"gist {self.gist_id}", path, names))
        return [dict(entry) for entry in found] if detail else [entry["name"] for entry in found]

    @unless_patched
    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path)
        return self.ls(path, detail=True)[0] if path else {"name": "", "type": "directory", "size": 0}

    @unless_patched
    def invalidate_cache(self, path: str | None = None) -> None:
        super().invalidate_cache(path)
        self.dircache.clear()

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> WholeFile:
        """A file, which is fetched whole by one request."""
        if mode != "rb":
            raise NotImplementedError("gists are only read here")
        entry = self.info(path)
        if entry["type"] != "file":
            raise folder_error(path)
        url = entry["raw_url"]
        # whoever serves the content needs no token, and is not to get it
        same = urlsplit(url).netloc == urlsplit(self.gist_url).netloc
        data = self._send_request("GET", url, path, **(self.kw if same else {})).content
        if len(data) != entry["size"]:
            raise OSError(f"{path!r}: {len(data)} of {entry['size']} bytes came; try again")
        return WholeFile(data)
