"""What a newer upstream release changes for a program.

``inventory`` runs in a process of its own, with one package ``fsspec`` on its path, imports all of it
and writes down what can be seen from outside: names, signatures, bases, values of simple constants.
It reads no source.  ``__main__`` compares three such inventories (the release that this tree follows,
the newer one, this tree), and runs the suites of dependants with the newer one as their baseline.
"""
