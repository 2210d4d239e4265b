"""A web application with asynchronous routes: one instance, made as a worker starts, on that worker's loop.

DATA=URL gunicorn --preload --workers 2 --worker-class aiohttp.GunicornWebWorker web_awaiting:make
"""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from fsspec.implementations.http import HTTPFileSystem

FS = web.AppKey("FS", HTTPFileSystem)


async def storage(app: web.Application) -> AsyncIterator[None]:
    """Around the life of a worker."""
    app[FS] = fs = HTTPFileSystem(asynchronous=True)
    session = await fs.set_session()
    yield
    await session.close()


async def content(request: web.Request) -> web.Response:
    """A file, or its beginning: /name?end=100."""
    end = request.query.get("end")
    try:
        url = f"{os.environ['DATA']}/{request.match_info['name']}"
        data = await request.app[FS]._cat_file(url, end=end and int(end))
    except FileNotFoundError:
        raise web.HTTPNotFound from None
    return web.Response(body=data)


async def stream(request: web.Request) -> web.StreamResponse:
    """A file of any size, in pieces: /stream/name."""
    file = await request.app[FS].open_async(f"{os.environ['DATA']}/{request.match_info['name']}")
    try:
        piece = await file.read(2**16)  # here it is told whether the file is there, not as it is opened
        response = web.StreamResponse()
        await response.prepare(request)
        while piece:
            await response.write(piece)
            piece = await file.read(2**16)
    except FileNotFoundError:
        raise web.HTTPNotFound from None
    finally:
        await file.close()
    return response


async def make() -> web.Application:
    """The application; gunicorn awaits this in each worker."""
    app = web.Application()
    app.cleanup_ctx.append(storage)
    app.router.add_get("/{name}", content)
    app.router.add_get("/stream/{name}", stream)
    return app
