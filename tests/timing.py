"""What computing costs, on machines that stall and in processes that hold much."""

import contextlib
import gc
import time
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def little_to_collect() -> Iterator[None]:
    """Within the block, the collector of garbage does not look through what the tests hold already."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def cpu_seconds(act: Callable[[], Any], rounds: int = 1) -> float:
    """The processor's seconds for an act by itself, the least of a few rounds."""
    costs = []
    with little_to_collect():
        for _ in range(rounds):
            start = time.process_time()
            act()
            costs.append(time.process_time() - start)
    return min(costs)
