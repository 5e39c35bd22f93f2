"""The sweep behind `geometry.cosine_histogram`: products of unit rows, each tile binned while in cache."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from inspect import unwrap
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

TILE = (256, 1024)  # 1 MiB of float32: one core's level-2 cache
DEVICE_TILE = (4096, 4096)  # 64 MiB of float32, about 0.5 GiB with the int64 slots made of them
_SETTLED_AT_ONCE = 1024  # pairs whose rows are held in float64: 12 MB at d = 768
COMPILING_PAYS = 200_000_000  # pairs of 20,000 rows: with fewer, compiling takes longer than it saves

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


# Binning ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Binning:
    """Slots for cosines: 0 below, 1 to `bins` inside, `bins + 1` above, then undecided and discarded.

    A cosine within `margin` of an edge is undecided. Only rounding leads outside [-1, 1]: cosines are clamped.
    """

    bins: int
    lo: float
    hi: float
    margin: float = 0.0

    @property
    def undecided(self) -> int:
        return self.bins + 2

    @property
    def discarded(self) -> int:
        return self.bins + 3

    @property
    def n_slots(self) -> int:
        return self.bins + 4

    @property
    def scale(self) -> np.float32:
        return np.float32(self.bins / (self.hi - self.lo))

    @property
    def doubtful(self) -> tuple[np.float32, np.float32]:
        """The stretch, in bins from `lo`, outside which no edge is in doubt: nothing lies beyond -1 and 1."""
        first = 0.5 if self.lo <= -1 else -0.5
        last = self.bins - 0.5 if self.hi >= 1 else self.bins + 0.5
        return np.float32(first), np.float32(last)

    def slots(self, cosines: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
        """The slot of every cosine, by the same float32 operations as in `count_tile`."""
        c = cosines.clamp(-1, 1)
        position = (c - float(np.float32(self.lo))).mul_(float(self.scale))
        slot = position.clamp(0, self.bins - 1).to(torch.int64).add_(1)
        slot -= (c < float(np.float32(self.lo))).to(torch.int64)
        slot += (c > float(np.float32(self.hi))).to(torch.int64)
        if self.margin:
            first, last = self.doubtful
            position = position.clamp_(float(first), float(last))
            near = (position - position.round()).abs() < float(np.float32(self.margin) * self.scale)
            slot.masked_fill_(near, self.undecided)
        return slot

    def count_float64(self, cosines: Float[np.ndarray, "pairs"]) -> Int[np.ndarray, "slots"]:
        """Counts per slot of float64 cosines, by comparison with the edges."""
        c = cosines.clip(-1, 1)
        counts = np.zeros(self.n_slots, np.int64)
        counts[1 : self.bins + 1] = np.histogram(c, np.linspace(self.lo, self.hi, self.bins + 1))[0]
        counts[0] = (c < self.lo).sum()
        counts[self.bins + 1] = (c > self.hi).sum()
        return counts


class TorchCounter:
    """Counts tiles with torch alone, on any device; int64, since float32 counts stop at 2**24."""

    def __init__(self, binning: Binning, device: torch.device):
        self.binning = binning
        self.totals = torch.zeros(binning.n_slots, dtype=torch.int64, device=device)
        self.one = torch.ones(1, dtype=torch.int64, device=device)

    def add(self, cosines: Tensor, diagonal: int) -> Int[np.ndarray, "undecided 2"]:
        """Count the pairs on and above a diagonal; return the places of the undecided ones."""
        slot = self.binning.slots(cosines)
        if diagonal > 1 - cosines.shape[0]:
            below = torch.ones_like(slot, dtype=torch.bool).tril_(diagonal - 1)
            slot.masked_fill_(below, self.binning.discarded)
        flat = slot.flatten()
        self.totals.scatter_add_(0, flat, self.one.expand_as(flat))
        if not self.binning.margin:
            return np.empty((0, 2), np.int64)
        return (slot == self.binning.undecided).nonzero().cpu().numpy()

    @property
    def counts(self) -> Int[np.ndarray, "slots"]:
        return self.totals.cpu().numpy()


class NumbaCounter:
    """Counts tiles with a compiled kernel, four sub-histograms at once, about four times as fast as torch."""

    def __init__(self, binning: Binning):
        self.kernel = compiled_kernel()
        self.binning = binning
        self.constants = (
            np.float32(binning.lo),
            np.float32(binning.hi),
            binning.scale,
            np.float32(binning.margin) * binning.scale,
            *binning.doubtful,
        )
        self.totals = np.zeros((4, binning.n_slots), np.int64)
        self.undecided = np.empty((math.prod(TILE) if binning.margin else 0, 2), np.int32)

    def add(self, cosines: Tensor, diagonal: int) -> Int[np.ndarray, "undecided 2"]:
        found = self.kernel(cosines.numpy(), diagonal, self.constants, self.totals, self.undecided)
        return self.undecided[:found]

    @property
    def counts(self) -> Int[np.ndarray, "slots"]:
        return self.totals.sum(axis=0)


def count_tile(cosines, diagonal, constants, counts, undecided):
    """`TorchCounter.add` as loops for numba: returns how many places were written to `undecided`."""
    lo, hi, scale, margin, first, last = constants
    zero, one = np.float32(0), np.float32(1)
    top = np.float32(counts.shape[1] - 5)  # bins - 1
    in_doubt = np.uint32(counts.shape[1] - 2)
    buffer = np.empty(cosines.shape[1], np.uint32)  # a signed index costs a wrap-around test
    found = 0
    for i in range(cosines.shape[0]):
        start = max(0, i + diagonal)
        row = cosines[i, start:]
        slot = buffer[: len(row)]
        for j in range(len(row)):  # vectorised
            c = min(max(row[j], -one), one)
            position = (c - lo) * scale
            inside = np.int32(min(max(position, zero), top))
            slot[j] = np.uint32(inside + np.int32(1) - np.int32(c < lo) + np.int32(c > hi))
            if margin > zero:
                position = min(max(position, first), last)
                if abs(position - np.rint(position)) < margin:
                    slot[j] = in_doubt
        # Four increments in a row go to four histograms: equal slots would wait for one another's store.
        for j in range(0, len(row) // 4 * 4, 4):
            counts[0, slot[j]] += 1
            counts[1, slot[j + 1]] += 1
            counts[2, slot[j + 2]] += 1
            counts[3, slot[j + 3]] += 1
        for j in range(len(row) // 4 * 4, len(row)):
            counts[0, slot[j]] += 1
        if margin > zero:
            for j in range(len(row)):
                if slot[j] == in_doubt:
                    undecided[found, 0], undecided[found, 1] = i, start + j
                    found += 1
    return found


@cache
def compiled_kernel() -> Callable[..., int]:
    """`count_tile`, compiled; raises ImportError where numba is absent."""
    from numba import njit

    kernel = njit(nogil=True)(unwrap(count_tile))  # beneath the run-time type checks that jaxtyping may add
    constants = (np.float32(0),) * 6
    kernel(np.zeros((1, 1), np.float32), 0, constants, np.zeros((4, 5), np.int64), np.empty((0, 2), np.int32))
    return kernel


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


def new_counter(binning: Binning, n_pairs: int) -> TorchCounter | NumbaCounter:
    if n_pairs >= COMPILING_PAYS or compiled_kernel.cache_info().currsize:
        with suppress(ImportError):
            return NumbaCounter(binning)
    return TorchCounter(binning, torch.device("cpu"))


def count_on_cpu(U: Float[Tensor, "n d"], binning: Binning, settle: Settle, workers: int) -> np.ndarray:
    n, d = U.shape
    with plain_float32():
        tallies = [Tally(new_counter(binning, n * (n - 1) // 2), settle) for _ in range(workers)]
        sweep(U, TILE, quickest_product(n, d), tallies)
    return np.sum([tally.counts for tally in tallies], axis=0)


def count_on_device(U: Float[Tensor, "n d"], binning: Binning, settle: Settle) -> np.ndarray:
    with plain_float32():
        tally = Tally(TorchCounter(binning, U.device), settle)
        sweep(U, DEVICE_TILE, _plain, [tally])
    return tally.counts
