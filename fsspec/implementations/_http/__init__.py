"""HTTP by two clients: awaitable (aiohttp, `http`) and blocking (``requests`` or a browser, `http_sync`).

Both use `base`, `answers`, `parsing`, `transfers`, `retrying`, `streamed`, `globbing`, `options` and `logs`.
Only the awaitable one uses `sending`, `one_request`, `responses`, `parts`, `read_ahead` and `file`;
only the blocking one `browser` and the modules that begin with ``sync_``.
What the body of a response is, is decided in `answers` alone.
"""
