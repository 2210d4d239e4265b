"""The demonstration: handles opened in one process, read in its forked children.

``__main__`` conducts: it starts two servers (``servers``), writes the data (``data``) and runs
one program after another (``program``), each a process of its own that opens one kind of handle
(``ways``), forks its workers, and reads on itself afterwards: first with upstream, where a hang is
cut short, then with this tree.  What they tell, as lines of JSON (``record``), becomes the progress bar
and the table (``report``).  Nothing here waits without a limit.
"""
