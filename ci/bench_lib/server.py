"""An HTTP server that counts: what was asked of it, and how many bytes it sent.

    python -m bench_lib.server

``/big`` is `BIG` bytes and knows ranges, ``/slow`` is `SLOW` bytes, of which each answer brings
`RATE` a second, ``/small/N`` is 2,000 bytes, ``/chunk/N`` 64 kB, ``/late/N`` the same after 5 ms,
``/page/`` has 2,000 links, ``/counts`` gives the counts since it was last asked.  It prints its
address and serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
import urllib.request

BIG = 64 * 2**20
BIG_FULL = 256 * 2**20
SLOW = 96 * 2**20
RATE = 16 * 2**20
CHUNK = b"c" * 65536
BLOCK = bytes(range(256)) * 8192  # 2 MiB
SMALL = b"s" * 2000


def counts(address: str) -> dict[str, int]:
    """The counts since the last call; for cases."""
    with urllib.request.urlopen(f"{address}/counts") as answer:
        found: dict[str, int] = json.load(answer)
        return found


def main() -> None:
    from aiohttp import web

    seen = {"requests": 0, "bytes": 0}

    async def small(request: web.Request) -> web.Response:
        seen["requests"] += 1
        if request.method == "GET":
            seen["bytes"] += len(SMALL)
        return web.Response(body=SMALL, headers={"ETag": '"small"', "Accept-Ranges": "bytes"})

    async def big(request: web.Request) -> web.StreamResponse:
        seen["requests"] += 1
        size = {"/bigger": BIG_FULL, "/slow": SLOW}.get(request.path, BIG)
        slow, began, sent = request.path == "/slow", time.monotonic(), 0
        asked = request.http_range
        start = asked.start or 0
        end = min(size, asked.stop or size)
        headers = {
            "ETag": '"big"',
            "Accept-Ranges": "bytes",
            "Content-Length": str(end - start),
            "Content-Type": "application/octet-stream",
        }
        if "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        answer = web.StreamResponse(status=206 if "Range" in request.headers else 200, headers=headers)
        await answer.prepare(request)
        with contextlib.suppress(ConnectionError):  # a reader that stops early
            while request.method == "GET" and start < end:
                place = start % len(BLOCK)
                part = BLOCK[place : place + min(2**18 if slow else 2**20, end - start)]
                if slow:
                    sent += len(part)
                    await asyncio.sleep(began + sent / RATE - time.monotonic())
                await answer.write(part)
                start += len(part)
                seen["bytes"] += len(part)
            await answer.write_eof()
        return answer

    async def chunk(request: web.Request) -> web.Response:
        seen["requests"] += 1
        if request.path.startswith("/late/"):
            await asyncio.sleep(0.005)
        seen["bytes"] += len(CHUNK)
        return web.Response(body=CHUNK, headers={"ETag": '"chunk"', "Accept-Ranges": "bytes"})

    page = "".join(
        f'<tr><td><a href="file{n}.bin">file{n}.bin</a></td><td>2 kB</td></tr>' for n in range(2000)
    )

    async def links(request: web.Request) -> web.Response:
        return web.Response(text=f"<html><body><table>{page}</table></body></html>", content_type="text/html")

    async def tell(request: web.Request) -> web.Response:
        counts = dict(seen)
        seen.update(requests=0, bytes=0)
        return web.json_response(counts)

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/small/{number}", small)
        app.router.add_get("/big", big)
        app.router.add_get("/bigger", big)
        app.router.add_get("/slow", big)
        app.router.add_get("/late/{number}", chunk)
        app.router.add_get("/chunk/{number}", chunk)
        app.router.add_get("/page/", links)
        app.router.add_get("/counts", tell)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
        print("http://127.0.0.1:%d" % runner.addresses[0][1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        await runner.cleanup()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
