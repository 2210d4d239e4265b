"""The filesystems, a public module each, over private packages.

``_archive`` is below tar, zip and libarchive; ``_cached`` below the caches; ``_http`` below both of HTTP;
``_memory`` and ``_reference`` below the modules of those names; ``_remote`` below file servers and REST.
"""
