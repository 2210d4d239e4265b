"""Algorithms over trees and bulk transfers, each written once and without I/O.

What a plan is, and what it may yield, is said in `fsspec._loop.driving`.  Anything of the filesystem that
is neither blocking nor awaitable (``fs._strip_protocol``) plans use directly; `Filesystem` names it.
"""

from fsspec._loop.driving import Plan, PlanOf, batch, call, drive, emit, forward, local, stream

__all__ = ["Plan", "PlanOf", "batch", "call", "drive", "emit", "forward", "local", "stream"]
