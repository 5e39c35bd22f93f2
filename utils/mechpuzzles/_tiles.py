"""The sweep behind `geometry.cosine_histogram`: products of unit rows, each tile binned while in cache."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles._binning import Binning, NumbaCounter, TorchCounter, new_counter

TILE = (256, 1024)  # 1 MiB of float32: one core's level-2 cache
DEVICE_TILE = (4096, 4096)  # 64 MiB of float32, about 0.5 GiB with the int64 slots made of them
_SETTLED_AT_ONCE = 1024  # pairs whose rows are held in float64: 12 MB at d = 768

Product = Callable[[Tensor, Tensor], Tensor]
Visit = Callable[[Tensor, "Tile"], None]
Settle = Callable[[np.ndarray, np.ndarray], np.ndarray]  # rows i and j to float64 cosines


def float32_error(d: int) -> float:
    """A bound on a cosine's error: seven times the largest measured at d = 768, growing as a random walk."""
    return 1e-6 * math.sqrt(max(1.0, d / 1024))


class Tile(NamedTuple):
    """Rows `top:bottom` against rows `left:right`; row i pairs with the columns from `i + diagonal` on."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def diagonal(self) -> int:
        return self.top - self.left + 1


def upper_tiles(n: int, height: int, width: int) -> Iterator[Tile]:
    """The tiles that cover i < j, panel by panel, so that a panel's columns stay in cache."""
    for left in range(0, n, width):
        right = min(left + width, n)
        for top in range(0, right - 1, height):
            yield Tile(top, min(top + height, right - 1), max(left, top + 1), right)


# Products -----------------------------------------------------------------------------------------


def _plain(A: Tensor, B: Tensor) -> Tensor:
    return torch.mm(A, B.T)


def _onednn(A: Tensor, B: Tensor) -> Tensor:
    # Private, hence tried and checked before use; the public route (`to_mkldnn`) copies all three matrices.
    return torch.ops.mkldnn._linear_pointwise(A, B, None, "none", [], "")


PRODUCTS: dict[str, Product] = {"torch.mm": _plain, "oneDNN": _onednn}


@cache
def right_products(d: int) -> dict[str, float]:
    """Seconds of CPU a tile takes by each product that runs here and agrees with float64, quickest first."""
    rows = torch.randn(sum(TILE), d, generator=torch.Generator().manual_seed(0))
    A, B = torch.nn.functional.normalize(rows).split(TILE)
    expected = A.double() @ B.double().T
    seconds = {}
    for name, product in PRODUCTS.items():
        try:
            error = (product(A, B) - expected).abs().max().item()
        except (AttributeError, RuntimeError):  # this build of torch has no such product
            continue
        if error < float32_error(d) / 4:
            seconds[name] = min(_cpu_seconds(product, A, B) for _ in range(5))
    return dict(sorted(seconds.items(), key=lambda item: item[1]))


def _cpu_seconds(product: Product, A: Tensor, B: Tensor) -> float:
    started = time.thread_time()
    product(A, B)
    return time.thread_time() - started


def quickest_product(n: int, d: int) -> Product:
    if n < 2 * max(TILE):  # a few tiles: choosing would take longer than the work
        return _plain
    return PRODUCTS[next(iter(right_products(d)), "torch.mm")]


# The sweep ----------------------------------------------------------------------------------------


@contextmanager
def plain_float32() -> Iterator[int]:
    """One torch thread and true float32 (no TF32, no bfloat16) inside; yields how many threads torch had."""
    threads, restore_precision = torch.get_num_threads(), _true_float32()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)
        restore_precision()


def _true_float32() -> Callable[[], None]:
    """Switch reduced precision off, and return how to restore it."""
    if not hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch before 2.9
        precision = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        return lambda: torch.set_float32_matmul_precision(precision)
    everywhere: Any = torch.backends
    backends = everywhere.cuda.matmul, everywhere.mkldnn.matmul
    before = [backend.fp32_precision for backend in backends]

    def use(precisions: list[str]) -> None:
        for backend, precision in zip(backends, precisions, strict=True):
            backend.fp32_precision = precision

    use(["ieee", "ieee"])
    return lambda: use(before)


def sweep(U: Float[Tensor, "n d"], shape: tuple[int, int], product: Product, visits: Sequence[Visit]) -> None:
    """Call one of `visits` with the product of every tile; with several, each has its own thread."""
    queue = deque(upper_tiles(len(U), *shape))

    def work(visit: Visit) -> None:
        torch.set_num_threads(1)
        while queue:
            try:
                tile = queue.popleft()
            except IndexError:  # another thread took the last one
                return
            visit(product(U[tile.top : tile.bottom], U[tile.left : tile.right]), tile)

    if len(visits) == 1:
        return work(visits[0])
    with ThreadPoolExecutor(len(visits)) as pool:
        try:
            list(pool.map(work, visits))
        finally:
            queue.clear()  # an error or an interrupt stops the other threads at their next tile


class Tally:
    """One thread's visits: counts every tile, and settles the undecided pairs in float64."""

    def __init__(self, counter: TorchCounter | NumbaCounter, settle: Settle):
        self.counter = counter
        self.settle = settle
        self.settled = np.zeros(counter.binning.n_slots, np.int64)

    def __call__(self, cosines: Tensor, tile: Tile) -> None:
        places = self.counter.add(cosines, tile.diagonal)
        for start in range(0, len(places), _SETTLED_AT_ONCE):
            i, j = places[start : start + _SETTLED_AT_ONCE].T.astype(np.int64)
            self.settled += self.counter.binning.count_float64(self.settle(i + tile.top, j + tile.left))

    @property
    def counts(self) -> Int[np.ndarray, "slots"]:
        """Pairs below, in each bin, and above."""
        return (self.counter.counts + self.settled)[: self.counter.binning.undecided]


def count_on_cpu(U: Float[Tensor, "n d"], binning: Binning, settle: Settle, workers: int) -> np.ndarray:
    n, d = U.shape
    with plain_float32():
        tallies = [Tally(new_counter(binning, n * (n - 1) // 2, TILE), settle) for _ in range(workers)]
        sweep(U, TILE, quickest_product(n, d), tallies)
    return np.sum([tally.counts for tally in tallies], axis=0)


def count_on_device(U: Float[Tensor, "n d"], binning: Binning, settle: Settle) -> np.ndarray:
    with plain_float32():
        tally = Tally(TorchCounter(binning, U.device), settle)
        sweep(U, DEVICE_TILE, _plain, [tally])
    return tally.counts
