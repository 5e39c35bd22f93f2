"""Where cosines are counted: bins, and the counters of a tile in torch and, compiled, in numba."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from inspect import unwrap

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

COMPILING_PAYS = 200_000_000  # pairs of 20,000 rows: with fewer, compiling takes longer than it saves


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

    def __init__(self, binning: Binning, tile: tuple[int, int]):
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
        self.undecided = np.empty((math.prod(tile) if binning.margin else 0, 2), np.int32)

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


def new_counter(binning: Binning, n_pairs: int, tile: tuple[int, int]) -> TorchCounter | NumbaCounter:
    """The quicker counter for so many pairs, in tiles of at most that size."""
    if n_pairs >= COMPILING_PAYS or compiled_kernel.cache_info().currsize:
        with suppress(ImportError):
            return NumbaCounter(binning, tile)
    return TorchCounter(binning, torch.device("cpu"))
