"""HTTP by two clients: awaitable (aiohttp, `http`) and blocking (``requests``, a browser; `http_sync`).

Both use `base`, `answers`, `parsing`, `transfers`, `retrying`, `streamed`, `plans` and `logs`.  The awaitable
client has `client`, `sending`, `probing`, `responses`, `bodies`, `parts`, `read_ahead` and `file`; the blocking
one `browser` and the modules that begin with ``sync_``.  Only `answers` decides what the body of an answer is.
"""
