"""What the library costs, in CPU seconds, bytes and megabytes, beside what one would otherwise do.

CPU seconds are those of the whole process, so they hold on a busy machine; what is compared alternates.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import _binning, _tiles
from mechpuzzles.geometry import cosine_histogram

BARE_TILES = (_tiles.TILE, (1024, 4096))  # the bare product may have the larger tiles that counting could not use

# Geometry -----------------------------------------------------------------------------------------


def bench_geometry(n: int = 50257, d: int = 768, rounds: int = 3, post_n: int = 5000) -> dict[str, Any]:
    """Compare the histogram of all pairs with the bare products, and with a histogram of raw values.

    `cpu_s` is `cosine_histogram` as called, the normalisation of the rows included; `matmul_cpu_s` is the
    quickest float32 product (of torch.mm and oneDNN, over the same tiles and over larger ones) with nothing
    counted; both and their `ratio` are medians over the rounds. `figure_bytes` is the figure as JSON. `extra_mb`
    is the peak resident memory (10^6 bytes) beyond the input and the unit rows, None where the system does not
    tell. The kernel is compiled before all this, in about a second. `post` is the same for the published snippet
    on `post_n` tokens.

        >>> bench_geometry(n=3000, d=64)["post"]["n"]
        3000

    Source of the snippet: Nanda, 2023, "Mech Interp Puzzle 1: Suspiciously Similar Embeddings in GPT-Neo".
    """
    ours = _in_own_process("measure_histogram", n=n, d=d, rounds=rounds)
    post = _in_own_process("measure_post", n=min(n, post_n), d=d)
    return {"n": n, "d": d, **ours, "post": post}


def made_up_embedding(n: int, d: int, seed: int = 0) -> Float[Tensor, "n d"]:
    """Gaussian rows with a common offset (mean cosine about 0.27) and log-normal lengths, made in place."""
    generator = torch.Generator().manual_seed(seed)
    W = torch.randn(n, d, generator=generator)
    W += 0.6 * torch.randn(d, generator=generator)
    W *= torch.exp(0.3 * torch.randn(n, 1, generator=generator))
    return W


def measure_histogram(n: int, d: int, rounds: int) -> dict[str, Any]:
    """Measure memory in a first pass, the slower products in the first round, and the rest in every round."""
    from mechpuzzles import plots

    _compile()
    W = made_up_embedding(n, d)
    before = _resident("VmRSS")
    histogram = cosine_histogram(W)
    peak = _resident("VmHWM")

    rivals, ours, bare = list(itertools.product(_tiles.right_products(d), BARE_TILES)), [], []
    for _ in range(rounds):
        ours.append(_cpu_seconds(cosine_histogram, W))
        seconds = {rival: _cpu_seconds(multiply_tiles, W, *rival) for rival in rivals}
        rivals = [min(seconds, key=lambda rival: seconds[rival])]
        bare.append(seconds[rivals[0]])
    return {
        "cpu_s": median(ours),
        "matmul_cpu_s": median(bare),
        "ratio": median(a / b for a, b in zip(ours, bare, strict=True)),
        "figure_bytes": len(plots.pair_histogram(histogram).to_json()),
        "extra_mb": _megabytes(before, peak, W.nbytes),
    }


def _compile() -> None:
    with suppress(ImportError):  # without numba there is nothing to compile: torch counts
        _binning.compiled_kernel()


def multiply_tiles(U: Float[Tensor, "n d"], product: str, tile: tuple[int, int]) -> None:
    """The products that cover all pairs, by as many threads as the histogram has, and nothing else."""
    with _tiles.plain_float32() as threads:
        _tiles.sweep(U, tile, _tiles.PRODUCTS[product], [lambda cosines, tile: None] * threads)


def measure_post(n: int, d: int) -> dict[str, Any]:
    """The snippet as published, up to the figure's JSON."""
    import plotly.express as px

    W_E = made_up_embedding(n, d)
    before = _resident("VmRSS")
    started = time.process_time()
    W_E_normed = W_E / W_E.norm(dim=-1, keepdim=True)
    cosine_sims = W_E_normed @ W_E_normed.T
    figure = px.histogram(cosine_sims.flatten().numpy()).to_json()
    return {
        "n": n,
        "cpu_s": time.process_time() - started,
        "figure_bytes": len(figure),
        "extra_mb": _megabytes(before, _resident("VmHWM"), W_E.nbytes),
    }


# What a learner waits for ---------------------------------------------------------------------------


def bench_startup(root: Path, slugs: Sequence[str]) -> dict[str, Any]:
    """The seconds that a learner waits, running each puzzle's solved notebook in a fresh kernel, offline.

    `import_s` is the first code cell, with the imports; `first_picture_s` runs from the launch of the kernel to the
    first picture; `check_s` is the slowest check. `warm_picture_s` is `first_picture_s` in a JupyterLab opened by
    `mechpuzzles start`, which has loaded the libraries meanwhile; None where it does not. For each of `puzzles`, and
    the slowest of all.
    """
    from mechpuzzles.grading import warm

    forks = sys.platform.startswith("linux")
    if forks:
        warm.ensure_learners_server()
    rows: list[dict[str, Any]] = []
    for slug in slugs:
        row = _waits(root, slug)
        warmly = _waits(root, slug, warm.LEARNERS)["first_picture_s"] if forks else None
        rows.append({"puzzle": slug, **row, "warm_picture_s": warmly})
    names = [name for name in rows[0] if name != "puzzle"]
    return {**{name: max((row[name] for row in rows), key=lambda s: s or 0.0) for name in names}, "puzzles": rows}


def _waits(root: Path, slug: str, provisioner: str = "") -> dict[str, float]:
    """With a provisioner, no further than to the first picture."""
    import nbformat
    from jupyter_client.manager import KernelManager

    notebook = nbformat.read(root / "solutions" / slug / f"{slug}.ipynb", as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    checks, picture, imports = [0.0], None, None
    with TemporaryDirectory() as home:
        environment = {**os.environ, "MECHPUZZLES_HOME": home, "MECHPUZZLES_OFFLINE": "1"}
        launched = time.perf_counter()
        manager = KernelManager(kernel_name="python3")
        if provisioner and manager.kernel_spec is not None:
            manager.kernel_spec.metadata["kernel_provisioner"] = {"provisioner_name": provisioner}
        manager.start_kernel(env=environment, cwd=str(root / "solutions" / slug), extra_arguments=["--log-level=ERROR"])
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            for cell in cells:
                began = time.perf_counter()
                drawn = _run_cell(client, cell.source)
                seconds = time.perf_counter() - began
                imports = seconds if imports is None else imports
                if cell.id.startswith("check-"):
                    checks.append(seconds)
                if drawn and picture is None:
                    picture = time.perf_counter() - launched
                    if provisioner:
                        break
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            manager.cleanup_resources()
    if imports is None or picture is None:
        raise ValueError(f"{slug} has no picture")
    return {"import_s": imports, "first_picture_s": picture, "check_s": max(checks)}


def _run_cell(client: Any, source: str) -> bool:
    """Run a cell to its end; whether it drew a picture. RuntimeError where it raises."""
    shown: list[dict[str, Any]] = []
    reply = client.execute_interactive(
        source, timeout=120, output_hook=lambda message: shown.append(message["content"])
    )
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"{reply['content'].get('ename')}: {reply['content'].get('evalue')}")
    return any("application/vnd.plotly.v1+json" in content.get("data", {}) for content in shown)


# Measuring ----------------------------------------------------------------------------------------


def _in_own_process(function: str, **arguments: Any) -> dict[str, Any]:
    """Call a function of this module in a fresh interpreter, whose peak memory is its own."""
    code = "import json, sys; from mechpuzzles import bench; name, arguments = sys.argv[1:]; "
    code += "print(json.dumps(getattr(bench, name)(**json.loads(arguments))))"
    command = [sys.executable, "-P", "-c", code, function, json.dumps(arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{function} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def _cpu_seconds(function: Callable[..., Any], *arguments: Any) -> float:
    started = time.process_time()
    function(*arguments)
    return time.process_time() - started


def _resident(field: str) -> int | None:
    """Resident bytes of this process, now (VmRSS) or at its peak (VmHWM); None where /proc has no such line."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:")), None)


def _megabytes(before: int | None, peak: int | None, unit_rows: int) -> float | None:
    return None if before is None or peak is None else max(0.0, (peak - before - unit_rows) / 1e6)
