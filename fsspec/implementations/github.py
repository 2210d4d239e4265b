"""Repositories on GitHub, by its REST API.

Folders are read as trees (one request each, remembered), files by the contents API.  A
reference (branch, tag or commit) is fixed when the instance is made; ``sha`` of an
operation takes another.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from fsspec._files.whole_file import WholeFile
from fsspec._overriding import unless_patched
from fsspec._paths.paths import folder_error, url_text
from fsspec._plans.globbing import has_magic
from fsspec.archive import MissingMemberError, where_missing
from fsspec.implementations._remote.rest import RestFileSystem, from_base64
from fsspec.utils import infer_storage_options

if TYPE_CHECKING:
    import requests

    from fsspec._paths.types import Depth, PathOrPaths, StrPaths
    from fsspec.dircache import DirCache


__all__ = ["GithubFileSystem"]

_TYPES = {"blob": "file", "tree": "directory"}
_RAW = {"Accept": "application/vnd.github.raw"}
_LFS = b"version https://git-lfs.github.com/"


class GithubFileSystem(RestFileSystem):
    """The files of one repository at one reference.

    Parameters
    ----------
    org, repo
        the owner and the name of the repository
    sha
        branch, tag or commit; by default the branch that is the repository's own default
    username, token
        for private repositories, removing, and more requests an hour; a token alone will do
    timeout
        seconds to connect, and to wait for bytes
    **kwargs
        as for `AbstractFileSystem`

    Raises
    ------
    ValueError
        for a user name without a token
    FileNotFoundError
        if there is no such repository, or it is not for everybody to see
    """

    url = "https://api.github.com/repos/{org}/{repo}/git/trees/{sha}"
    content_url = "https://api.github.com/repos/{org}/{repo}/contents/{path}?ref={sha}"
    _fsspec_lists_files = True
    protocol: ClassVar[str | tuple[str, ...]] = "github"

    def __init__(
        self,
        org: str,
        repo: str,
        sha: str | None = None,
        username: str | None = None,
        token: str | None = None,
        timeout: float | tuple[float, float] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._log_in(username, token, timeout)
        self.org = org
        self.repo = repo
        self.root: str = (
            sha
            or self._request_json("GET", self._repository_url(), f"{org}/{repo}", **self.kw)["default_branch"]
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.org!r}, {self.repo!r}, sha={self.root!r})"

    @property
    def kw(self) -> dict[str, Any]:
        """What the requests carry to say who asks; it holds the token."""
        return self._request_credentials()

    def _repository_url(self, what: str = "") -> str:
        base = self.url.partition("/repos/")[0]
        return f"{base}/repos/{quote(self.org, safe='')}/{quote(self.repo, safe='')}{what}"

    # the repository ---------------------------------------------------------------
    @classmethod
    def repos(cls, org_or_user: str, is_org: bool = True) -> list[str]:
        """The names of the public repositories of an organisation, or of a user.

        One request for each hundred.
        """
        import requests

        kind = "orgs" if is_org else "users"
        base = cls.url.partition("/repos/")[0]
        url = f"{base}/{kind}/{quote(org_or_user, safe='')}/repos?per_page=100"
        names: list[str] = []
        with requests.Session() as session:
            while url:
                response = session.get(url, timeout=cls.timeout)
                if response.status_code == 404:
                    raise FileNotFoundError(f"there is no {kind[:-1]} {org_or_user!r} on GitHub")
                response.raise_for_status()
                names += [repo["name"] for repo in response.json()]
                url = _next(response, base)
        return names

    def _ref_names(self, what: str) -> list[str]:
        names: list[str] = []
        url = self._repository_url(f"/{what}?per_page=100")
        while url:
            response = self._send_request("GET", url, f"{self.org}/{self.repo} {what}", **self.kw)
            names += [each["name"] for each in response.json()]
            url = _next(response, self.url.partition("/repos/")[0])
        return names

    @property
    def tags(self) -> list[str]:
        """The names of the tags; one request for each hundred."""
        return self._ref_names("tags")

    @property
    def branches(self) -> list[str]:
        """The names of the branches; one request for each hundred."""
        return self._ref_names("branches")

    @property
    def refs(self) -> dict[str, list[str]]:
        """The names of all ``tags`` and ``branches``."""
        return {"tags": self.tags, "branches": self.branches}

    @classmethod
    def _strip_protocol(cls, path: PathOrPaths) -> PathOrPaths:
        if isinstance(path, list):
            return [cls._strip_protocol(p) for p in path]
        text = url_text(path)
        place, _, inside = text.partition("://")[2].partition("/")
        if "@" in place:
            return inside.rstrip("/")
        return str(super()._strip_protocol(path))

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
        options = infer_storage_options(path)
        if "username" not in options:
            return {}
        found = {"org": options["username"], "repo": options.get("password", "")}
        if options.get("host"):
            found["sha"] = options["host"]
        return {name: value for name, value in found.items() if value}

    # listing ----------------------------------------------------------------------
    def ls(
        self, path: str, detail: bool = False, sha: str | None = None, _sha: str | None = None, **kwargs: Any
    ) -> list[Any]:
        """What a folder holds, at a reference; one request for each level not known yet.

        ``sha``: another reference than the instance's; such listings are not remembered.
        """
        path = self._strip_protocol(path).strip("/")
        known: Any = self.dircache if sha in (None, self.root) else {}
        entries = self._tree_entries(path, sha or self.root, known, _sha)
        return list(entries) if detail else sorted(entry["name"] for entry in entries)

    def _tree_entries(
        self, path: str, ref: str, known: DirCache | dict[str, list[dict[str, Any]]], tree: str | None = None
    ) -> list[dict[str, Any]]:
        if path in known:
            return known[path]
        if tree is None and path:
            entry = self._tree_entry(path, ref, known)
            if entry["type"] != "directory":
                return [entry]
            tree = entry["sha"]
        url = self.url.format(org=self.org, repo=self.repo, sha=quote(tree or ref, safe=""))
        answer = self._request_json("GET", url, path or f"{self.org}/{self.repo} at {ref}", **self.kw)
        if answer.get("truncated"):
            raise OSError(f"GitHub lists only a part of {path!r}, which holds too much")
        entries = [
            {
                "name": f"{path}/{each['path']}".lstrip("/"),
                "mode": each["mode"],
                "type": _TYPES.get(each["type"], "other"),  # a commit of another repository
                "size": each.get("size", 0),
                "sha": each["sha"],
            }
            for each in answer["tree"]
        ]
        known[path] = entries
        return entries

    def _tree_entry(
        self, path: str, ref: str, known: DirCache | dict[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        parent = path.rpartition("/")[0]
        siblings = self._tree_entries(parent, ref, known)
        for entry in siblings:
            if entry["name"] == path:
                return entry
        names = (entry["name"] for entry in siblings)
        place = f"{self.org}/{self.repo} at {ref}"
        raise MissingMemberError(path, partial(where_missing, place, path, names))

    def _missing_entry(self, path: str, ref: str) -> MissingMemberError | None:
        """The error about a missing file, which says what exists; None if that cannot be listed."""
        try:
            self._tree_entry(path, ref, self.dircache if ref == self.root else {})
        except MissingMemberError as error:
            return error if error.args[0] == path else MissingMemberError(path, partial(str, error))
        except (OSError, ValueError):  # the service answers that as well
            pass
        return None

    @unless_patched
    def info(self, path: str, sha: str | None = None, **kwargs: Any) -> dict[str, Any]:
        path = self._strip_protocol(path).strip("/")
        if not path:
            return {"name": "", "type": "directory", "size": 0}
        return dict(
            self._tree_entry(path, sha or self.root, self.dircache if sha in (None, self.root) else {})
        )

    def invalidate_cache(self, path: str | None = None) -> None:
        super().invalidate_cache(path)
        self.dircache.clear()

    # files ------------------------------------------------------------------------
    def _fetch_content(self, path: str, sha: str | None, **headers: str) -> requests.Response:
        url = self.content_url.format(
            org=self.org, repo=self.repo, path=quote(path), sha=quote(sha or self.root, safe="")
        )
        options = {**self.kw, "headers": {**self.kw.get("headers", {}), **headers}}
        return cast("requests.Response", self._send_request("GET", url, path, **options))

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        cache_options: dict[str, Any] | None = None,
        sha: str | None = None,
        **kwargs: Any,
    ) -> WholeFile:
        """A file, which is fetched whole; one request, two for those above a megabyte and of LFS."""
        if mode != "rb":
            raise NotImplementedError("files on GitHub are not written here: commit and push them")
        path = path.strip("/")
        try:
            answer = self._fetch_content(path, sha).json()
        except FileNotFoundError as error:
            raise self._missing_entry(path, sha or self.root) or error from None
        if not isinstance(answer, dict):
            raise folder_error(path)
        if answer.get("encoding") == "base64":
            data = from_base64(answer["content"], path)
        else:
            data = self._fetch_content(path, sha, **_RAW).content
        if data.startswith(_LFS) and answer.get("download_url"):
            return WholeFile(self._send_request("GET", answer["download_url"], path).content)
        if len(data) != answer.get("size", len(data)):
            raise OSError(f"{path!r}: {len(data)} of {answer['size']} bytes came; try again")
        return WholeFile(data)

    def rm(
        self, path: StrPaths, recursive: bool = False, maxdepth: Depth = None, message: str | None = None
    ) -> None:
        """Remove files, by a commit for each. ``message``: of the commits."""
        literal = isinstance(path, str) and not recursive and not has_magic(path)
        paths = (
            [cast("str", path)] if literal else self.expand_path(path, recursive=recursive, maxdepth=maxdepth)
        )
        for each in reversed(paths):
            if literal or not self.isdir(each):
                self.rm_file(each, message)

    def rm_file(self, path: str, message: str | None = None, **kwargs: Any) -> None:
        """Remove one file from the branch, by a commit. Raises ValueError without a token."""
        if self.token is None:
            raise ValueError("removing from a repository needs a token")
        path = self._strip_protocol(path).strip("/")
        self.dircache.clear()  # what is removed is named by its present content
        entry = self._tree_entry(path, self.root, self.dircache)
        if entry["type"] != "file":
            raise folder_error(path)
        url = self._repository_url(f"/contents/{quote(path)}")
        body = {"message": message or f"Remove {path}", "sha": entry["sha"], "branch": self.root}
        self._send_request("DELETE", url, path, json=body, **self.kw)
        self.invalidate_cache()


def _next(response: requests.Response, base: str) -> str:
    """The URL of the next page, if there is one and it is the service's own."""
    url = response.links.get("next", {}).get("url", "")
    return url if url.startswith(f"{base}/") else ""
