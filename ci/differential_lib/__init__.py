"""Random programs, run on upstream and on this tree side by side.

`programs` makes a program from a setup and a seed; `worker` is a side's process, which runs each in a
child that may change nothing outside its folder; `servers` are what both sides talk to, one after the
other; `compare` names what differs; `__main__` conducts and reports.
"""
