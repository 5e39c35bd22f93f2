"""All-pairs geometry: every statistic against float64 brute force over the pairs themselves."""

import doctest
import subprocess
import sys
import threading
from contextlib import suppress
from inspect import unwrap

import numpy as np
import pytest
import torch

from mechpuzzles import _binning, _tiles, geometry
from mechpuzzles.geometry import (
    as_rows,
    centre,
    cosine_histogram,
    cosine_moments,
    mean_vector_cosine,
    offset_ratio,
    unit_rows,
)


def gaussian(n: int, d: int, offset: float = 0.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator) + offset * torch.randn(d, generator=generator)
    return rows * torch.exp(0.3 * torch.randn(n, 1, generator=generator))


def antipodal(n: int, d: int) -> torch.Tensor:
    direction = gaussian(1, d)
    return torch.cat([direction.expand(n // 2, d), -direction.expand(n // 2, d)])


def brute_cosines(W) -> np.ndarray:
    """The cosines of the pairs i < j, from the definition, in float64."""
    rows = torch.as_tensor(W).detach().double().numpy()
    unit = rows / np.sqrt((rows**2).sum(1, keepdims=True))
    return (unit @ unit.T)[np.triu_indices(len(unit), 1)].clip(-1, 1)


CASES = {
    "two rows": gaussian(2, 5),
    "offset": gaussian(700, 33, offset=1.0),
    "no offset": gaussian(301, 64),
    "wide and few": gaussian(7, 300),
    "duplicates": gaussian(50, 11).repeat(4, 1),
    "antipodal": antipodal(60, 9),
    "orthogonal": torch.eye(40),
    "one column": gaussian(30, 1),
    "tiny": gaussian(40, 6) * 1e-30,
    "huge": gaussian(40, 6) * 1e30,
    "float64": gaussian(90, 12).double(),
    "float64, huge": gaussian(40, 6).double() * 1e150,
    "bfloat16": gaussian(90, 12).bfloat16(),
    "half": gaussian(90, 12).half(),
    "integers": torch.arange(1, 61).reshape(12, 5),
    "numpy": gaussian(90, 12).numpy(),
    "numpy, transposed and reversed": gaussian(12, 90).numpy().T[::-1],
    "list": [[1.0, 2.0], [3.0, -4.0], [0.0, 5.0]],
    "requires_grad": gaussian(90, 12).requires_grad_(),
    "parameter": torch.nn.Parameter(gaussian(90, 12)),
    "not contiguous": gaussian(12, 90).T,
}
matrices = pytest.mark.parametrize("W", [pytest.param(W, id=name) for name, W in CASES.items()])


def as_given(W) -> np.ndarray:
    """The rows as the library reads them: the copies make reversed numpy views fit for torch."""
    return W.copy() if isinstance(W, np.ndarray) else W


# Rows ---------------------------------------------------------------------------------------------


@matrices
def test_rows_are_floats_detached_and_the_input_is_left_alone(W):
    before = torch.as_tensor(as_given(W)).detach().clone()
    rows = as_rows(W)
    for function in (unit_rows, centre, cosine_moments, cosine_histogram, offset_ratio):
        function(W)
    with suppress(ValueError):  # antipodal rows have no mean direction
        mean_vector_cosine(W)
    assert rows.dtype == (torch.float64 if getattr(W, "dtype", None) == torch.float64 else torch.float32)
    assert not rows.requires_grad
    assert torch.equal(torch.as_tensor(as_given(W)).detach(), before)
    torch.testing.assert_close(rows, before.to(rows.dtype))


def test_float64_arrays_stay_float64_and_lists_become_float32():
    assert as_rows(np.eye(3)).dtype == torch.float64
    assert as_rows(np.eye(3).tolist()).dtype == torch.float32
    assert as_rows(np.eye(3, dtype=">f8")).dtype == torch.float64


def test_a_read_only_array_is_accepted():
    array = np.eye(3, dtype=np.float32)
    array.setflags(write=False)
    assert torch.equal(as_rows(array), torch.eye(3))


def with_row(row: int, value: float, n: int = 5) -> torch.Tensor:
    W = gaussian(n, 3)
    W[row] = value
    return W


BAD_ROWS = [
    (torch.ones(3), ValueError, r"two axes, \[n, d_model\], got shape \(3,\)"),
    (torch.ones(2, 3, 4), ValueError, r"got shape \(2, 3, 4\)"),
    (torch.tensor(1.0), ValueError, r"got shape \(\)"),
    (torch.ones(1, 4), ValueError, r"at least 2 rows, a pair needs two, got shape \(1, 4\)"),
    (torch.ones(0, 4), ValueError, r"at least 2 rows"),
    ([], ValueError, r"got shape \(0,\)"),
    (torch.ones(4, 0), ValueError, r"at least 1 column, got shape \(4, 0\)"),
    ([[1.0, 2.0], [3.0]], ValueError, "rows differ in length"),
    (with_row(3, torch.nan), ValueError, r"row 3 holds NaN or infinity \(1 of 5 rows does\)"),
    (with_row(1, torch.inf), ValueError, "row 1 holds NaN or infinity"),
    (torch.full((4, 2), torch.nan), ValueError, r"row 0 holds NaN or infinity \(4 of 4 rows do\)"),
    ("the tokens", TypeError, "real numbers, got str"),
    ([["a", "b"], ["c", "d"]], TypeError, "real numbers, got list"),
    (None, TypeError, "real numbers, got NoneType"),
    (np.array([[object()] * 2] * 2), TypeError, "real numbers, got ndarray of dtype object"),
    (torch.ones(3, 3, dtype=torch.complex64), TypeError, r"real numbers, got torch\.complex64"),
    (np.ones((3, 3), complex), TypeError, r"real numbers, got torch\.complex128"),
    (torch.ones(3, 3, dtype=torch.bool), TypeError, r"real numbers, got torch\.bool"),
]
PUBLIC = (as_rows, unit_rows, centre, cosine_moments, mean_vector_cosine, offset_ratio, cosine_histogram)


@pytest.mark.parametrize(("W", "error", "words"), BAD_ROWS, ids=[words for _, _, words in BAD_ROWS])
@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__name__)
def test_what_is_no_matrix_is_refused_in_words(function, W, error, words):
    with pytest.raises(error, match=words):
        function(W)


@pytest.mark.parametrize(
    "function", [unit_rows, cosine_moments, mean_vector_cosine, cosine_histogram], ids=lambda f: f.__name__
)
def test_a_zero_row_has_no_direction(function):
    with pytest.raises(ValueError, match=r"^row 3 is zero: it has no direction, so no cosine \(1 of 5 rows\)$"):
        function(with_row(3, 0.0))
    W = with_row(4000, 0.0, n=5000)
    W[4500] = 0.0
    with pytest.raises(ValueError, match=r"^row 4000 is zero: .* \(2 of 5000 rows\)$"):
        function(W)


def test_a_zero_row_can_still_be_centred_and_measured():
    W = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    assert torch.equal(centre(W), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]))
    assert offset_ratio(W) == 1.0


# Directions and means -----------------------------------------------------------------------------


@matrices
def test_unit_rows_have_length_one_and_the_same_direction(W):
    rows, unit = as_rows(W).double(), unit_rows(W).double()
    assert torch.allclose(unit.norm(dim=1), torch.ones(len(unit), dtype=torch.float64), atol=1e-6)
    assert torch.allclose(unit * rows.norm(dim=1, keepdim=True) / rows.abs().max(), rows / rows.abs().max(), atol=1e-6)


def test_centred_rows_have_mean_zero_and_the_same_differences():
    W = gaussian(500, 20, offset=3.0)
    centred = centre(W)
    assert centred.mean(0).abs().max() < 1e-6
    torch.testing.assert_close(centred[0] - centred[1], W[0] - W[1], atol=1e-5, rtol=0)


def test_mean_vector_cosine_and_offset_ratio_from_the_definition():
    W = gaussian(200, 15, offset=0.7).double().numpy()
    mean = W.mean(0)
    cosines = [row @ mean / np.sqrt((row @ row) * (mean @ mean)) for row in W]
    assert mean_vector_cosine(W).tolist() == pytest.approx(cosines, abs=1e-12)
    assert offset_ratio(W) == pytest.approx(np.sqrt(mean @ mean) / np.mean([np.sqrt(r @ r) for r in W]), rel=1e-12)


def test_without_a_mean_there_is_no_mean_direction():
    W = antipodal(10, 4)
    assert offset_ratio(W) == 0.0
    with pytest.raises(ValueError, match="the mean row is zero"):
        mean_vector_cosine(W)
    with pytest.raises(ValueError, match="all rows are zero"):
        offset_ratio(torch.zeros(3, 3))


# Moments ------------------------------------------------------------------------------------------


@matrices
def test_moments_equal_brute_force(W):
    moments, cosines = cosine_moments(W), brute_cosines(as_rows(W))
    assert moments.n_pairs == len(cosines)
    assert moments.mean == pytest.approx(cosines.mean(), abs=1e-12)
    assert moments.variance == pytest.approx(cosines.var(), abs=1e-12)


def test_moments_of_more_rows_than_a_block(monkeypatch):
    W = gaussian(700, 33, offset=1.0)
    whole = cosine_moments(W)
    monkeypatch.setattr(geometry, "_BLOCK", 64)
    assert cosine_moments(W).mean == pytest.approx(whole.mean, abs=1e-14)
    assert cosine_moments(W).variance == pytest.approx(whole.variance, abs=1e-14)


def test_antipodal_clusters_have_a_mean_near_zero():
    moments = cosine_moments(antipodal(60, 9))
    assert moments.mean == pytest.approx(-1 / 59, abs=1e-12)
    assert moments.variance == pytest.approx(1 - 1 / 59**2, abs=1e-12)


# Histograms ---------------------------------------------------------------------------------------


@pytest.fixture(params=["numba", "torch", "device"])
def route(request, monkeypatch):
    """Each way to count: the compiled kernel, torch without numba, and the path of tensors on a device."""
    monkeypatch.setattr(_tiles, "TILE", (64, 128))
    monkeypatch.setattr(_tiles, "DEVICE_TILE", (128, 128))
    if request.param == "numba":
        pytest.importorskip("numba", reason="numba is optional: torch counts where it is absent")
        _binning.compiled_kernel()
    else:
        without_numba(monkeypatch)
    if request.param == "device":
        monkeypatch.setattr(
            _tiles,
            "count_on_cpu",
            lambda U, binning, settle, workers: _tiles.count_on_device(U, binning, settle),
        )
    return request.param


def without_numba(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    _binning.compiled_kernel.cache_clear()
    monkeypatch.setattr(_binning, "COMPILING_PAYS", 0)


# No inner edge falls on -1 or 1, where float64 rounding alone would decide.
RANGES = [(-1.0, 1.0), (0.0, 0.5), (-0.3, 1.0), (-2.0, 1.6), (0.25, 0.26)]


@pytest.mark.parametrize("bins", [1, 7, 200, 2000])
@matrices
def test_exact_histogram_equals_brute_force(W, bins, route):
    cosines = brute_cosines(as_rows(W))
    for lo, hi in RANGES:
        histogram = cosine_histogram(W, bins, (lo, hi), exact=True)
        expected = np.histogram(cosines, bins, (lo, hi))[0]
        assert np.array_equal(histogram.counts, expected), (lo, hi)
        assert (histogram.below, histogram.above) == ((cosines < lo).sum(), (cosines > hi).sum()), (lo, hi)


@matrices
def test_float32_histogram_differs_only_beside_an_edge(W, route):
    cosines = brute_cosines(as_rows(W))
    for lo, hi in RANGES:
        histogram = cosine_histogram(W, 50, (lo, hi))
        near = np.abs(cosines[:, None] - np.linspace(lo, hi, 51)).min(1) < 1e-6
        moved = np.abs(histogram.counts - np.histogram(cosines, 50, (lo, hi))[0]).sum()
        assert moved <= 2 * near.sum(), (lo, hi)
        assert histogram.counts.sum() + histogram.below + histogram.above == len(cosines) == histogram.n_pairs
        assert not histogram.exact


def test_numba_and_torch_count_alike(monkeypatch):
    pytest.importorskip("numba", reason="numba is optional: torch counts where it is absent")
    W = gaussian(1500, 40, offset=0.5)
    _binning.compiled_kernel()
    numba = [cosine_histogram(W, 500, (lo, hi)) for lo, hi in RANGES]
    without_numba(monkeypatch)
    for one, (lo, hi) in zip(numba, RANGES, strict=True):
        other = cosine_histogram(W, 500, (lo, hi))
        assert np.array_equal(one.counts, other.counts)
        assert (one.below, one.above) == (other.below, other.above)


def test_a_histogram_says_what_it_holds():
    histogram = cosine_histogram(gaussian(20, 5), bins=4, value_range=(-1, 1), exact=True)
    assert histogram.counts.dtype == np.int64
    assert histogram.edges.tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert histogram.centres.tolist() == [-0.75, -0.25, 0.25, 0.75]
    assert (histogram.lo, histogram.hi, histogram.n_rows, histogram.n_pairs) == (-1.0, 1.0, 20, 190)
    assert histogram.exact
    with pytest.raises(ValueError, match="read-only"):
        histogram.counts[0] = 1


def test_duplicates_and_opposites_fall_into_the_end_bins(route):
    # In 700 dimensions many float32 cosines of equal rows round to 1 + 1e-7.
    histogram = cosine_histogram(antipodal(300, 700))
    assert (histogram.below, histogram.above) == (0, 0)
    assert histogram.counts[-1] == 2 * (150 * 149 // 2)
    assert histogram.counts[0] == 150 * 150


def test_more_equal_pairs_than_float32_can_count(monkeypatch):
    W = torch.tensor([[3.0, 4.0]]).repeat(6000, 1)
    with_numba = cosine_histogram(W)
    without_numba(monkeypatch)
    for histogram in (with_numba, cosine_histogram(W)):
        assert histogram.counts[-1] == histogram.n_pairs == 6000 * 5999 // 2 > 2**24


def test_the_number_of_workers_changes_nothing(route):
    W = gaussian(900, 16)
    one, three = (cosine_histogram(W, workers=k).counts for k in (1, 3))
    assert np.array_equal(one, three)


@pytest.mark.parametrize("exact", [False, True])
def test_torch_keeps_its_settings(exact):
    def settings():
        return torch.get_num_threads(), torch.get_float32_matmul_precision()

    before = settings()
    try:
        torch.set_num_threads(2)
        torch.set_float32_matmul_precision("medium")
        cosine_histogram(gaussian(300, 8), exact=exact)
        seen = [settings()]
        thread = threading.Thread(target=lambda: seen.append(settings()))
        thread.start()
        thread.join()
        assert seen == [(2, "medium")] * 2
        with suppress(ZeroDivisionError), _tiles.plain_float32():
            assert torch.get_num_threads() == 1
            raise ZeroDivisionError
        assert settings() == (2, "medium")
    finally:
        torch.set_num_threads(before[0])
        torch.set_float32_matmul_precision(before[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"bins": 0}, "bins must be a whole number from 1 to 1000000, got 0"),
        ({"bins": -3}, "bins must be a whole number"),
        ({"bins": 2.5}, r"bins must be a whole number .* got 2\.5"),
        ({"bins": True}, "bins must be a whole number"),
        ({"bins": 10**9}, "bins must be a whole number"),
        ({"value_range": (1.0, -1.0)}, r"finite and increasing, got \(1\.0, -1\.0\)"),
        ({"value_range": (0.5, 0.5)}, "finite and increasing"),
        ({"value_range": (0.0, float("nan"))}, "finite and increasing"),
        ({"value_range": (0.0, float("inf"))}, "finite and increasing"),
        ({"value_range": 3}, "value_range must be two numbers, got 3"),
        ({"value_range": (1, 2, 3)}, "value_range must be two numbers"),
        ({"value_range": ("a", "b")}, "value_range must be two numbers"),
        ({"workers": 0}, "workers must be a whole number"),
    ],
)
def test_bad_settings_are_refused_in_words(arguments, words):
    unchecked = unwrap(cosine_histogram)  # beneath the run-time type checks, which refuse some of these first
    with pytest.raises(ValueError, match=words):
        unchecked(gaussian(5, 3), **arguments)


# Tiles and products -------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 8), (64, 128)])
@pytest.mark.parametrize("n", [2, 3, 7, 16, 33])
def test_tiles_hold_every_pair_once(n, shape):
    seen = np.zeros((n, n), int)
    for tile in _tiles.upper_tiles(n, *shape):
        assert 0 < tile.bottom - tile.top <= shape[0]
        assert 0 < tile.right - tile.left <= shape[1]
        for i in range(tile.top, tile.bottom):
            seen[i, tile.left + max(0, i - tile.top + tile.diagonal) : tile.right] += 1
    assert np.array_equal(seen, np.triu(np.ones((n, n), int), 1))


def test_a_product_in_lower_precision_is_not_used(monkeypatch):
    def rounded(A, B):
        return (A.bfloat16() @ B.bfloat16().T).float()

    def missing(A, B):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(_tiles, "PRODUCTS", {"rounded": rounded, "missing": missing, "torch.mm": _tiles._plain})
    _tiles.right_products.cache_clear()
    try:
        assert list(_tiles.right_products(96)) == ["torch.mm"]
        assert _tiles.quickest_product(10**6, 96) is _tiles._plain
    finally:
        _tiles.right_products.cache_clear()


def test_an_error_in_one_thread_ends_the_sweep():
    def fail(cosines, tile):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        _tiles.sweep(gaussian(300, 4), (8, 8), _tiles._plain, [fail, lambda cosines, tile: None])


# Imports and examples -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("mechpuzzles", ("torch", "numpy", "plotly", "numba", "transformer_lens")),
        ("mechpuzzles.geometry", ("plotly", "numba", "transformer_lens", "transformers")),
    ],
)
def test_imports_stay_light(imported, absent):
    code = f"import sys, {imported}; print(*[name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_the_annotations_hold_at_run_time():
    code = """
import torch
from jaxtyping import install_import_hook
with install_import_hook("mechpuzzles", "beartype.beartype"):
    from mechpuzzles import _binning, _tiles, geometry
W = torch.arange(21.0).reshape(7, 3)
for function in (geometry.as_rows, geometry.unit_rows, geometry.centre, geometry.cosine_moments):
    function(W)
geometry.mean_vector_cosine(W.tolist()), geometry.offset_ratio(W.numpy())
for counter in "torch", "numba":
    histogram = geometry.cosine_histogram(W, bins=5, exact=True)
    histogram.edges, histogram.centres
    _binning.compiled_kernel()
"""
    pytest.importorskip("numba", reason="numba is optional: torch counts where it is absent")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_examples_in_the_docstrings_hold():
    results = doctest.testmod(geometry)
    assert results.attempted >= 7
    assert results.failed == 0
