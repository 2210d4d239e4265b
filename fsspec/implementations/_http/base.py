"""The base of both HTTP filesystems: options, names of paths, links as entries, counters. No requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fsspec._overriding import is_built_in
from fsspec._paths.ranges import as_number
from fsspec._spec.traffic import Traffic
from fsspec.implementations._http import parsing
from fsspec.utils import DEFAULT_BLOCK_SIZE

if TYPE_CHECKING:
    from fsspec._paths.types import Options

_NOT_FOR_REQUESTS = frozenset(
    "use_listings_cache listings_expiry_time max_paths skip_instance_cache batch_size".split()
)


class HTTPBase:
    """The part of a filesystem of web servers that no request is made by."""

    _fsspec_lists_files = _fsspec_info_costs_less = True
    _fsspec_change_advice = (
        "what writes over HTTP is fs.put_file and fs.pipe_file; nothing is removed, moved or copied there"
    )
    _version_keys = ("ETag", "Last-Modified", "size")
    """What of an entry distinguishes versions, for caches that check files: `ukey` distinguishes URLs."""
    _as_requested = staticmethod(parsing.unescaped)
    _ls_real: Any

    @property
    def _fsspec_files_list_nothing(self) -> bool:
        """Whether a URL exists if ``ls`` returns no entries; nothing else is asked."""
        return is_built_in(self._ls_real)

    def _set_up(
        self,
        simple_links: bool,
        block_size: int | None,
        same_scheme: bool,
        cache_type: str,
        cache_options: dict[str, Any] | None,
        client_kwargs: dict[str, Any] | None,
        encoded: bool,
        storage_options: dict[str, Any],
    ) -> None:
        if "target_protocol" in storage_options:
            raise ValueError(
                "'::' begins another link of a chain, of which HTTP is the last, for it stands upon no other"
                " filesystem: in a name write it as %3A%3A, or give the URL to a method of"
                ' fsspec.filesystem("http")'
            )
        for name, given in (("client_kwargs", client_kwargs), ("cache_options", cache_options)):
            if not isinstance(given or {}, Mapping):  # the values of the first may be secret
                raise TypeError(f"{name} is a dict of options, not {type(given).__name__}")
        parsing.own_headers(storage_options)
        self._traffic_counts = Traffic()
        self.block_size: int = (
            DEFAULT_BLOCK_SIZE if block_size is None else as_number("block_size", block_size, "bytes")
        )
        self.simple_links = simple_links
        self.same_schema = same_scheme
        self.cache_type = cache_type
        self.cache_options = cache_options
        self.client_kwargs: dict[str, Any] = client_kwargs or {}
        self.encoded = encoded
        self.use_listings_cache: bool = storage_options.get("use_listings_cache", False)
        self.kwargs: Options = {k: v for k, v in storage_options.items() if k not in _NOT_FOR_REQUESTS}

    def stats(self) -> dict[str, int]:
        """What this process has asked of servers by this instance.

        Returns
        -------
        dict
            ``pid``; ``requests``, with redirects and retries; ``retries``; ``bytes`` of the answers' bodies
        """
        return self._traffic_counts.counted("requests", "retries", "bytes")

    @classmethod
    def _parent(cls, path: str) -> str:
        return parsing.parent(path)

    def _page_entries(self, text: str, url: str) -> list[dict[str, Any]]:
        return parsing.entries(parsing.links(text, url, self.simple_links, self.same_schema))
