"""Run a recipe: train, write the checkpoint, measure it from its files, write the card beside it."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch.nn import functional as F

from mechpuzzles.zoo import corpus as texts
from mechpuzzles.zoo import measure
from mechpuzzles.zoo.export import write_checkpoint, write_native
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.history import Recorder
from mechpuzzles.zoo.recipes import RECIPES, WITH_HISTORY, Recipe
from mechpuzzles.zoo.tasks import TASKS, Windows, python


def train(name: str, out_dir: str | Path, steps: int | None = None, corpus: texts.Corpus | None = None) -> dict:
    """Train the bundled model `name` again, write it to `out_dir` and return its card.

    `steps` and `corpus` shorten the recipe for a trial. The same machine, Python and torch give the same
    weights, as all draws are seeded and one thread sums in one order; another processor, or another patch
    version of Python (whose standard library is the text), gives slightly other weights. The card says
    how many seconds of CPU time the full recipe took.

    Raises KeyError for a name that is not bundled.
    """
    recipe = RECIPES[name] if steps is None else replace(RECIPES[name], steps=steps)
    out_dir = Path(out_dir)
    recorder = Recorder(recipe) if name in WITH_HISTORY else None
    with one_thread():
        text = Text.of(recipe, corpus or texts.standard_library()) if recipe.task == "python" else None
        started = time.process_time()
        model, losses = fit(recipe, text.draw if text else partial(TASKS[recipe.task], recipe), recorder)
        cpu_seconds = time.process_time() - started
        if text:
            write_checkpoint(model, recipe, text.tokenizer, out_dir)
        else:
            write_native(model, recipe, out_dir)
        if recorder:
            recorder.write(out_dir)
        metrics = measure.metrics_of_files(recipe, out_dir)
        if text:
            metrics |= measure.held_out_metrics(recipe, out_dir, text.held_out)
    card = asdict(recipe) | {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        **(text.card if text else {}),
        "torch": torch.__version__,
        "cpu_seconds": round(cpu_seconds, 1),
        "first_loss": round(losses[0], 3),
        "last_loss": round(losses[-1], 3),
    }
    return measure.write_card(card, out_dir, metrics)


@dataclass(frozen=True)
class Text:
    """A corpus as a recipe reads it."""

    tokenizer: Any
    draw: Callable[[torch.Generator], Windows]
    held_out: list[int]
    card: dict[str, str]

    @classmethod
    def of(cls, recipe: Recipe, corpus: texts.Corpus) -> "Text":
        """Train the tokenizer and encode both parts of the corpus."""
        tokenizer = texts.train_tokenizer(corpus.train, recipe.d_vocab)
        stream, held_out = (texts.token_stream(tokenizer, part) for part in (corpus.train, corpus.held_out))
        card = {"text": corpus.source, "text_sha256": corpus.sha256}
        return cls(tokenizer, partial(python, recipe, torch.tensor(stream)), held_out, card)


@runtime_checkable  # tests check annotations
class Onlooker(Protocol):
    """Whoever looks on while a model is trained; the training does not notice."""

    def see(self, step: int, model: GPT, tokens: Windows) -> None:
        """Look at one step: the model before its update, and its batch."""


def fit(
    recipe: Recipe,
    draw: Callable[[torch.Generator], Windows],
    recorder: Onlooker | None = None,
    until: int | None = None,
) -> tuple[GPT, list[float]]:
    """A model trained by `recipe` on the windows that `draw` gives, and its loss per step in nats per token.

    A `recorder` looks on. With `until` the run stops after so many of the recipe's steps.
    """
    model = GPT(recipe)
    optimizer = adamw(model, recipe)
    generator = torch.Generator().manual_seed(recipe.seed + 2)  # the offset's draw is seed + 1
    losses = []
    for step in range(recipe.steps if until is None else until):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe)
        tokens = draw(generator)
        if recorder:
            recorder.see(step, model, tokens)
        logits, targets = model(tokens[:, :-1]), tokens[:, 1:]
        if recipe.last_only:
            logits, targets = logits[:, -1:], targets[:, -1:]
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


def adamw(model: GPT, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and layer norms alone."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in trained if parameter.ndim == 2]
    vectors = [parameter for parameter in trained if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)


def schedule(step: int, recipe: Recipe) -> float:
    """The learning rate as a fraction of the recipe's: linear warm-up times a cosine that falls to 1/20."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return min(1.0, (step + 1) / recipe.warmup) * (0.05 + 0.95 * cosine)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: the order of sums is then fixed, and a busy machine is also far faster so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
