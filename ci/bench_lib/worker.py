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


def once(timed: Callable[[], Any]) -> float:
    start = time.perf_counter()
    own = timed()
    return own if isinstance(own, float) else time.perf_counter() - start


def measure(side: str, name: str, bench: Bench) -> dict[str, Any]:
    """The median of the repetitions, after one that warms up and is counted."""
    case = load()[name]
    timed = (case.work if side == "work" else case.limit)(bench)
    first = once(timed)
    if bench.count is not None:
        bench.counted = bench.count()
    gc.collect()
    times = [once(timed) for _ in range(max(1, min(30, int(BUDGET / max(first, 1e-6)))))]
    return {"seconds": statistics.median(times) / case.ops, **bench.counted}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], sys.argv[2], Bench(**json.loads(sys.argv[3])))), flush=True)
