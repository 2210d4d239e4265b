"""A web application with blocking routes, whose workers inherit what was opened as it was loaded.

FSSPEC_FORK_RESET=1 DATA=URL gunicorn --preload --workers 2 web_blocking:app
"""

import os

import flask

import fsspec

app = flask.Flask(__name__)
fs, top = fsspec.url_to_fs(os.environ["DATA"])
names = sorted(fs.ls(top, detail=False))  # asked for once, before the workers are forked


@app.get("/")
def listing() -> dict[str, int]:
    """The size of each file."""
    return {name.rpartition("/")[2]: fs.size(name) for name in names}


@app.get("/<name>")
def content(name: str) -> flask.Response:
    """A file, or its beginning: /name?end=100."""
    try:
        data = fs.cat_file(f"{top.rstrip('/')}/{name}", end=flask.request.args.get("end", type=int))
    except FileNotFoundError:
        flask.abort(404)
    return flask.Response(data, mimetype="application/octet-stream")
