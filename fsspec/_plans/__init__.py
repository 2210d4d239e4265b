"""Algorithms over trees and bulk transfers, each written once and without I/O.

What a plan is, and what it may yield, is described in `fsspec._loop.driving`.  Plans use directly only
what is neither blocking nor awaitable in a filesystem (``fs._strip_protocol``): the members of `Filesystem`.
"""

from fsspec._loop.driving import Plan, PlanOf, batch, call, drive, emit, forward, local, stream

__all__ = ["Plan", "PlanOf", "batch", "call", "drive", "emit", "forward", "local", "stream"]
