"""The faults that ``ci/chaos`` injects, and what it does meanwhile.

`proxy` stands between a client and its server and breaks answers by chance. `places` starts
the servers and says what each must hold. `work` makes the operations and compares what they
give with a model of bytes; `__main__` runs them under deadlines and judges.
"""
