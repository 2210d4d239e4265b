"""What work costs: this tree, upstream 2026.9.0, and the fastest reasonable way, in one run.

``__main__`` drives: it makes an environment for each implementation, the data, and an HTTP
server, and runs each case in a new process of each in turn (ours, upstream, limit, and round
again), so that what the machine does meanwhile meets all three alike.  ``worker`` is that
process.  The cases are in ``cases_*``; each builds what it needs and returns what is timed.
"""
