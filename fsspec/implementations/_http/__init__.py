"""HTTP by two clients: awaitable (aiohttp, `http`) and blocking (``requests``, a browser; `http_sync`).

Of both: `base`, `answers`, `parsing`, `transfers`, `retrying`, `streamed`, `plans`, `logs`.  Of the awaitable
one: `client`, `sending`, `probing`, `responses`, `parts`, `read_ahead`, `file`.  Of the blocking one: `browser`
and those that begin with ``sync_``.  Only `answers` decides what the body of an answer is.
"""
