"""How induction comes about: three small models, each at several steps of its training.

Importing this module loads no TransformerLens; `load` does.
"""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from mechpuzzles.zoo import measure, plain
from mechpuzzles.zoo.export import native_settings
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.plain import Tensors
from mechpuzzles.zoo.recipes import RECIPES, Recipe
from mechpuzzles.zoo.tasks import TASKS

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


@dataclass(frozen=True)
class OnsetRecipe:
    """What differs from the recipe of the bundled `model`, and what is kept of its training."""

    name: str
    description: str
    model: str
    d_model: int
    learning_rate: float
    steps: int  # the run is watched so far; the learning rate follows the longer schedule of `model`
    checkpoints: int  # evenly spaced from 0 to `steps`
    seeds: int


RECIPE = OnsetRecipe(
    "mini-induction-onset",
    "three smaller relatives of mini-induction, each at nine steps of its training.",
    model="mini-induction",
    d_model=32,
    learning_rate=6e-3,
    steps=960,
    checkpoints=9,
    seeds=3,
)


class Watcher:
    """Keeps the weights at some steps while a model is trained."""

    def __init__(self, kept: tuple[int, ...]):
        self.kept = kept
        self.states: list[Tensors] = []

    def see(self, step: int, model: GPT, tokens: Int[Tensor, "batch window_pos"] | None = None) -> None:
        """Look at one step: the model before its update."""
        if step in self.kept:
            self.states.append({name: tensor.detach().clone() for name, tensor in model.state_dict().items()})


def steps(recipe: OnsetRecipe = RECIPE) -> tuple[int, ...]:
    """The steps of training at which weights were kept; 0 is before the first update."""
    return tuple(round(recipe.steps * i / (recipe.checkpoints - 1)) for i in range(recipe.checkpoints))


def settings(recipe: OnsetRecipe, seed: int) -> Recipe:
    """The recipe of one of the models."""
    of = RECIPES[recipe.model]
    return replace(of, name=recipe.name, d_model=recipe.d_model, learning_rate=recipe.learning_rate, seed=seed)


def fit(recipe: OnsetRecipe) -> Tensors:
    """Each parameter of all models at all kept steps: [seed, step, ...]."""
    from mechpuzzles.zoo import training

    kept = steps(recipe)
    runs = []
    for seed in range(recipe.seeds):
        of_seed, watcher = settings(recipe, seed), Watcher(kept)
        draw = partial(TASKS[of_seed.task], of_seed)
        model, _ = training.fit(of_seed, draw, watcher, until=recipe.steps)
        watcher.see(recipe.steps, model)
        runs.append({name: torch.stack([state[name] for state in watcher.states]) for name in watcher.states[0]})
    return {name: torch.stack([run[name] for run in runs]) for name in runs[0]}


def one(tensors: Tensors, seed: int, at: int) -> Tensors:
    """The weights of the model `seed` at the kept step number `at`."""
    return {name: tensor[seed, at] for name, tensor in tensors.items()}


def metrics(recipe: OnsetRecipe, tensors: Tensors) -> dict[str, float]:
    """For each model, on random tokens shown twice: the loss on the second showing by step, and all at the last."""
    found = {}
    for seed in range(recipe.seeds):
        model = GPT(settings(recipe, seed)).double()
        for at, step in enumerate(steps(recipe)):
            model.load_state_dict(one(tensors, seed, at))
            measured = measure.showing_metrics(settings(recipe, seed), model, n=32)
            found[f"loss_on_second_showing_of_{seed}_at_{step}"] = measured["loss_on_second_showing"]
        found |= {f"{name}_of_{seed}_at_last": value for name, value in measured.items()}
    return found


def train(out_dir: str | Path, steps: int | None = None) -> dict:
    """Train the models again, write what is kept of them to `out_dir` and return its card."""
    return plain.train(RECIPE, fit, metrics, out_dir, steps)


def load(step: int, seed: int = 0, where: str | Path | None = None) -> "TransformerBridge":
    """The model `seed` as it was at `step`, as `mechpuzzles.load_model` would give it: guarded, in eval mode.

    Raises ValueError for a step that was not kept, or another seed.

    >>> load(0, seed=2).W_E.shape
    torch.Size([65, 32])
    """
    from mechpuzzles.models import Origin, boot_native

    if step not in steps() or seed not in range(RECIPE.seeds):
        kept = ", ".join(map(str, steps()))
        raise ValueError(f"kept are the steps {kept} of the seeds 0 to {RECIPE.seeds - 1}, not {step} of {seed}")
    state = one(plain.read(RECIPE, where), seed, steps().index(step))
    origin = Origin(f"{RECIPE.name}, seed {seed}, step {step}", f"{RECIPE.name}, {RECIPE.description}")
    return boot_native(native_settings(settings(RECIPE, seed)), state, origin)


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files that their card does not say."""
    return plain.problems(RECIPE, metrics, where)
