"""Small networks that add or subtract residues, at some steps of their training."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mechpuzzles.zoo import plain

PARAMETERS = ("W_E", "W_in", "b_in", "W_out")
ACTIVATIONS = {"relu": torch.relu, "gelu": F.gelu}


@dataclass(frozen=True)
class Task:
    """What one run learns, and what else sets it apart from the others."""

    kept: str  # the steps of which the weights are kept, the last apart
    sign: int = 1  # the answer is a + sign * b, modulo p
    act: str = "relu"
    seed: int = 0
    shuffled: bool = False  # the answers are dealt out anew: nothing but a table is left to learn


RUNS = {
    "add": Task("0 125 250 375 500 625 750 875 1000 1125 1250", seed=3),
    "shuffled": Task("0 250 500 750 1000", seed=3, shuffled=True),
    "again": Task("0"),
    "gelu": Task("0 125 250 500 750 1000", act="gelu"),
    "subtract": Task("0", sign=-1),
}


@dataclass(frozen=True)
class ClockRecipe:
    """Everything that decides the weights of all runs, `RUNS` and the machine apart."""

    name: str
    description: str
    p: int
    d_model: int
    d_mlp: int
    share_shown: float
    steps: int
    learning_rate: float
    weight_decay: float
    warmup: int = 10

    def kept_steps(self, task: Task) -> tuple[int, ...]:
        """The steps of which `task` keeps the weights."""
        return (*(step for step in map(int, task.kept.split()) if step < self.steps), self.steps)


RECIPE = ClockRecipe(
    "mini-clock",
    "five networks with one hidden layer of 80 units, trained to add or to subtract modulo 53.",
    p=53,
    d_model=12,
    d_mlp=80,
    share_shown=0.5,
    steps=1500,
    learning_rate=5e-3,
    weight_decay=1.0,
)


class Run(NamedTuple):
    """One network at the steps that were kept; `shown[a, b]` says which pairs it was trained on.

    >>> run = load()["add"]
    >>> W_E, W_in, b_in, W_out = run.weights(-1)
    """

    steps: tuple[int, ...]
    shown: Bool[Tensor, "residue residue"]
    answer: Int[Tensor, "residue residue"]
    W_E: Float[Tensor, "step residue d_model"]
    W_in: Float[Tensor, "step 2 d_model d_mlp"]
    b_in: Float[Tensor, "step d_mlp"]
    W_out: Float[Tensor, "step d_mlp residue"]

    def weights(self, number: int) -> tuple[Tensor, ...]:
        """The weights at `steps[number]`."""
        return tuple(getattr(self, name)[number] for name in PARAMETERS)


def logits(weights: tuple[Tensor, ...], act: str = "relu") -> Float[Tensor, "residue residue residue"]:
    """[a, b, c], of all pairs."""
    W_E, W_in, b_in, W_out = weights
    return ACTIVATIONS[act]((W_E @ W_in[0])[:, None] + W_E @ W_in[1] + b_in) @ W_out


def fit(recipe: ClockRecipe) -> plain.Tensors:
    """All runs' tensors, each name after its run's."""
    made = {name: fit_one(recipe, task) for name, task in RUNS.items()}
    return {f"{name}.{key}": tensor for name, tensors in made.items() for key, tensor in tensors.items()}


def fit_one(recipe: ClockRecipe, task: Task) -> plain.Tensors:
    """One run by AdamW on all shown pairs at once."""
    p = recipe.p
    generator = torch.Generator().manual_seed(task.seed)
    a, b = torch.cartesian_prod(torch.arange(p), torch.arange(p)).T
    answer = (a + task.sign * b) % p
    order = torch.randperm(p * p, generator=generator)
    shown = order[: int(recipe.share_shown * p * p)]

    def drawn(*shape: int, fan: int) -> Tensor:
        return torch.randn(*shape, generator=generator).div(fan**0.5).requires_grad_()

    W_E = drawn(p, recipe.d_model, fan=recipe.d_model)
    W_in = drawn(2, recipe.d_model, recipe.d_mlp, fan=recipe.d_model)
    b_in = torch.zeros(recipe.d_mlp, requires_grad=True)
    W_out = drawn(recipe.d_mlp, p, fan=recipe.d_mlp)
    if task.shuffled:
        answer = answer[torch.randperm(p * p, generator=generator)]
    parameters = (W_E, W_in, b_in, W_out)
    optimizer = torch.optim.AdamW(parameters, weight_decay=recipe.weight_decay, betas=(0.9, 0.98))
    steps, kept = recipe.kept_steps(task), []
    for step in range(recipe.steps + 1):
        if step in steps:
            kept.append([parameter.detach().clone() for parameter in parameters])
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1, (step + 1) / recipe.warmup)
        hidden = ACTIVATIONS[task.act]((W_E @ W_in[0])[a[shown]] + (W_E @ W_in[1])[b[shown]] + b_in)
        loss = F.cross_entropy(hidden @ W_out, answer[shown])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    mask = torch.zeros(p * p, dtype=torch.bool)
    mask[shown] = True
    stacked = {name: torch.stack(tensors) for name, tensors in zip(PARAMETERS, zip(*kept, strict=True), strict=True)}
    pairs = {"shown": mask.view(p, p), "answer": answer.view(p, p).to(torch.uint8)}
    return stacked | pairs | {"steps": torch.tensor(steps)}


def runs(tensors: plain.Tensors) -> dict[str, Run]:
    """The tensors of `fit`, run by run."""
    found = {}
    for name in RUNS:
        mine = {key: tensors[f"{name}.{key}"] for key in ("shown", *PARAMETERS)}
        steps, answer = tensors[f"{name}.steps"].tolist(), tensors[f"{name}.answer"].long()
        found[name] = Run(tuple(steps), answer=answer, **mine)
    return found


def metrics(recipe: ClockRecipe, tensors: plain.Tensors) -> dict[str, float]:
    """At the end of each run: the loss and the share of right answers, on shown pairs and on the others."""
    found = {}
    for name, run in runs(tensors).items():
        last = logits(tuple(weight.double() for weight in run.weights(-1)), RUNS[name].act)
        for which, pairs in {"shown": run.shown, "others": ~run.shown}.items():
            right = last[pairs].argmax(-1) == run.answer[pairs]
            found[f"{name}_right_on_{which}"] = right.double().mean().item()
            found[f"{name}_loss_on_{which}"] = F.cross_entropy(last[pairs], run.answer[pairs]).item()
    return found


def train(out_dir: str | Path, steps: int | None = None) -> dict:
    """Train all runs again, write them to `out_dir` and return their card; `steps` shortens them for a trial."""
    return plain.train(RECIPE, fit, metrics, out_dir, steps)


def load(where: str | Path | None = None) -> dict[str, Run]:
    """The bundled runs by name, or those in the directory `where`, in float32. Needs torch alone."""
    return runs(plain.read(RECIPE, where))


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files that their card does not say."""
    return plain.problems(RECIPE, metrics, where)
