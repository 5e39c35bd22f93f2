"""The benchmark reports what it promises, measured apart from this process."""

import json
import sys

import pytest

from mechpuzzles import bench, folders
from mechpuzzles.grading import sandbox
from mechpuzzles.grading.bench import bench_grading

from .conftest import missing

pytestmark = pytest.mark.xdist_group("bench")


@pytest.fixture(scope="module")
def geometry():
    return bench.bench_geometry(n=3000, d=64, rounds=2, post_n=500)


def test_geometry_has_the_contracts_keys(geometry):
    assert list(geometry) == [
        "n", "d", "cpu_s", "matmul_cpu_s", "ratio", "figure_bytes", "extra_mb", "post",
    ]  # fmt: skip
    assert list(geometry["post"]) == ["n", "cpu_s", "figure_bytes", "extra_mb"]
    assert json.loads(json.dumps(geometry)) == geometry


def test_geometry_measures_something_sane(geometry):
    assert (geometry["n"], geometry["d"], geometry["post"]["n"]) == (3000, 64, 500)
    assert 0 < geometry["matmul_cpu_s"] < 60
    assert 0 < geometry["cpu_s"] < 60
    assert geometry["ratio"] > 0
    assert 0 < geometry["figure_bytes"] <= 12_000
    assert geometry["post"]["figure_bytes"] > 500 * 500 * 4  # every value, and in base64
    assert geometry["extra_mb"] is None or 0 <= geometry["extra_mb"] <= 64


def test_the_post_never_has_more_tokens_than_there_are():
    assert bench.bench_geometry(n=300, d=16, rounds=1)["post"]["n"] == 300


def test_a_failure_in_the_measuring_process_is_told():
    with pytest.raises(RuntimeError, match=r"measure_post failed:(.|\n)*TypeError"):
        bench._in_own_process("measure_post", tokens=3)


def test_without_proc_memory_is_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "Path", lambda name: tmp_path / "absent")
    assert bench._resident("VmRSS") is None
    assert bench._megabytes(None, None, 10) is None
    assert bench._megabytes(1_000_000, 5_000_000, 1_000_000) == 3.0


def test_startup_is_measured_for_each_puzzle_and_the_slowest_is_named():
    startup = bench.bench_startup(folders.checkout(), ["clockwork"])
    assert list(startup) == ["import_s", "first_picture_s", "check_s", "warm_picture_s", "puzzles"]
    (row,) = startup["puzzles"]
    assert row == {"puzzle": "clockwork", **{name: startup[name] for name in list(startup)[:4]}}
    if sys.platform.startswith("linux"):
        assert 0 < row["warm_picture_s"] < row["first_picture_s"]
    assert 0 < row["import_s"] < row["first_picture_s"] < 60
    assert 0 < row["check_s"] < 10


@pytest.fixture(scope="module")
def grading():
    if problem := sandbox.problem():
        missing(f"a sandbox: {problem}")
    return bench_grading(submissions=12, stock=4)


def test_grading_has_the_contracts_keys_and_the_same_marks(grading):
    assert {"submissions", "stock", "ours", "wall_ratio", "cpu_ratio", "same_marks"} <= set(grading)
    assert set(grading["stock"]) == set(grading["ours"]) == {"wall_s", "cpu_s"}
    assert json.loads(json.dumps(grading)) == grading
    assert grading["same_marks"]


def test_grading_costs_a_fraction_of_stock_nbgraders(grading):
    """With few submissions the starts weigh most; the figures for a class are measured with twenty."""
    assert grading["steady_cpu_ratio"] > 4
    assert grading["steady_wall_ratio"] > 3
    assert grading["ours"]["cpu_s"] > grading["steady"]["cpu_s"]
    assert len(grading["steady"]["quarters_s"]) == 4
    first, last = grading["steady"]["memory_mb"][0], grading["steady"]["memory_mb"][-1]
    assert last[0] < 1.2 * first[0]
    assert last[1] < 1.2 * first[1]
