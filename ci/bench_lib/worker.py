"""One case, in one process, by one implementation; the figure as a line of JSON.

python -m bench_lib.worker work|limit CASE '{"folder": ..., "site": ..., "full": false}'
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from .case import Bench, load

BUDGET = 0.15  # seconds for the repetitions of one case in one process


def once(timed: Callable[[], Any]) -> tuple[float, float]:
    """Seconds that passed and seconds of CPU time, in all threads; work that times itself has no CPU time."""
    cpu, start = time.process_time(), time.perf_counter()
    own = timed()
    passed = time.perf_counter() - start
    cpu = time.process_time() - cpu
    return (own, 0.0) if isinstance(own, float) else (passed, cpu)


def measure(side: str, name: str, bench: Bench) -> dict[str, Any]:
    """The median of the repetitions and the least CPU time, after one that warms up and is counted."""
    case = load()[name]
    build = case.work if side == "work" else case.limit
    assert build is not None
    timed = build(bench)
    first, _ = once(timed)
    if bench.count is not None:
        bench.counted = bench.count()
    gc.collect()
    times = [once(timed) for _ in range(max(1, min(30, int(BUDGET / max(first, 1e-6)))))]
    figures: dict[str, Any] = {"seconds": statistics.median(passed for passed, _ in times) / case.ops}
    if cpu := min(cpu for _, cpu in times):
        figures["cpu"] = cpu / case.ops
    return {**figures, **bench.counted}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Bench(**json.loads(sys.argv[3])))), flush=True)
