"""A web application with blocking routes, whose workers inherit what was opened as it was loaded.

FSSPEC_FORK_RESET=1 DATA=URL gunicorn --preload --workers 2 web_blocking:app
"""

import os

import flask

import fsspec

app = flask.Flask(__name__)
fs, top = fsspec.url_to_fs(os.environ["DATA"])
fs.exists(top)  # a first request, before the workers are forked: they inherit what has connected


@app.get("/<name>")
def content(name: str) -> flask.Response:
    """A file, or its beginning: /name?end=100."""
    try:
        data = fs.cat_file(f"{top.rstrip('/')}/{name}", end=flask.request.args.get("end", type=int))
    except FileNotFoundError:
        flask.abort(404)
    return flask.Response(data, mimetype="application/octet-stream")
