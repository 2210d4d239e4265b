"""The soak that ``ci/soak`` runs.

`__main__` starts the servers and the *subject*, watches it, and judges. `subject` is the
process that forks: its threads (`load`) work on three servers while it makes children
(`children`), each of which does what chance says with what it inherited. `content` says
what bytes belong to a name, so that everything anybody reads can be verified; `watch` looks
at processes and sockets from outside.

`contract` is the other soak, ``ci/soak --contract``: backends of other packages.
"""
