"""Bundled networks of plain torch: train one by its recipe, write it with its card, read it, verify it.

A module of the zoo with such a network has a recipe, a frozen dataclass with at least name, description and steps,
and two functions: `fit(recipe)` gives the trained tensors by name, all that is written; `metrics(recipe, tensors)`
measures them, from nothing but the written tensors and the recipe.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechpuzzles.zoo import WEIGHTS, measure
from mechpuzzles.zoo.measure import WEIGHTS_FILE

Tensors = dict[str, Tensor]
Fit = Callable[[Any], Tensors]
Metrics = Callable[[Any, Tensors], dict[str, float]]


def train(recipe: Any, fit: Fit, metrics: Metrics, out_dir: str | Path, steps: int | None = None) -> dict:
    """Run `recipe`, write its tensors to `out_dir` (floats as float16) and return its card.

    `steps` shortens it for a trial. The same machine and torch give the same weights, as all draws are seeded and
    one thread sums in one order.
    """
    from mechpuzzles.zoo.training import one_thread

    recipe = recipe if steps is None else replace(recipe, steps=steps)
    out_dir = Path(out_dir)
    with one_thread():
        started = time.process_time()
        tensors = fit(recipe)
        cpu_seconds = time.process_time() - started
        kept = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}
        measure.write_tensors(kept, out_dir / WEIGHTS_FILE)
        measured = metrics(recipe, read(recipe, out_dir))
    card = asdict(recipe) | {"torch": torch.__version__, "cpu_seconds": round(cpu_seconds, 1)}
    return measure.write_card(card, out_dir, measured)


def read(recipe: Any, where: str | Path | None = None) -> Tensors:
    """The tensors that `recipe` made, or those in the directory `where`; floats as float32. Needs torch alone."""
    from safetensors.torch import load_file

    state = load_file(directory(recipe, where) / WEIGHTS_FILE)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def problems(recipe: Any, metrics: Metrics, where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files that their card does not say."""

    def measured(of_card: Any, where: Path) -> dict[str, float]:
        return metrics(of_card, read(of_card, where))

    return measure.problems(directory(recipe, where), type(recipe), measured)


def directory(recipe: Any, where: str | Path | None) -> Path:
    """`where`, or the directory in which `recipe` is bundled."""
    return Path(where) if where else WEIGHTS / recipe.name
