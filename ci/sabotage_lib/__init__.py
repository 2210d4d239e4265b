"""Guards of fork safety, taken out one at a time to see that tests fail: ``ci/sabotage``.

`guards` is the table: what each guard is, the text that removes it, the tests that are to
notice.  `__main__` works on a temporary copy of the tree, never on the tree itself.
"""
