"""Run a recipe: train, write the checkpoint, measure it from its files, write the card beside it."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from mechpuzzles.zoo import corpus as texts
from mechpuzzles.zoo import measure
from mechpuzzles.zoo.export import write_checkpoint
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.history import Recorder
from mechpuzzles.zoo.recipes import RECIPES, WITH_HISTORY, Recipe


def train(name: str, out_dir: str | Path, steps: int | None = None, corpus: texts.Corpus | None = None) -> dict:
    """Train the bundled model `name` again, write it to `out_dir` and return its card.

    `steps` and `corpus` shorten the recipe for a trial. The same machine, Python and torch give the same
    weights, as all draws are seeded and one thread sums in one order; another processor, or another patch
    version of Python (whose standard library is the text), gives slightly other weights. The full recipe
    takes about 45 seconds of CPU time.

    Raises KeyError for a name that is not bundled.
    """
    recipe = RECIPES[name] if steps is None else replace(RECIPES[name], steps=steps)
    corpus = corpus or texts.standard_library()
    out_dir = Path(out_dir)
    recorder = Recorder(recipe) if name in WITH_HISTORY else None
    with one_thread():
        tokenizer = texts.train_tokenizer(corpus.train, recipe.d_vocab)
        started = time.process_time()
        model, losses = fit(recipe, torch.tensor(texts.token_stream(tokenizer, corpus.train)), recorder)
        cpu_seconds = time.process_time() - started
        write_checkpoint(model, recipe, tokenizer, out_dir)
        if recorder:
            recorder.write(out_dir)
        metrics = measure.embedding_metrics(out_dir)
        metrics |= measure.held_out_metrics(out_dir, texts.token_stream(tokenizer, corpus.held_out))
    card = asdict(recipe) | {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "text": corpus.source,
        "text_sha256": corpus.sha256,
        "torch": torch.__version__,
        "cpu_seconds": round(cpu_seconds, 1),
        "first_loss": round(losses[0], 3),
        "last_loss": round(losses[-1], 3),
        "metrics": {key: float(f"{value:.6g}") for key, value in metrics.items()},
        "sha256": measure.checksums(out_dir),
    }
    (out_dir / measure.CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8", newline="\n")
    return card


def fit(recipe: Recipe, stream: Int[Tensor, " n_tokens"], recorder: Recorder | None = None) -> tuple[GPT, list[float]]:
    """A model trained by `recipe` on random windows of `stream`, and its loss per step in nats per token.

    A `recorder` looks on.
    """
    model = GPT(recipe)
    optimizer = adamw(model, recipe)
    generator = torch.Generator().manual_seed(recipe.seed + 2)  # the offset's draw is seed + 1
    losses = []
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * schedule(step, recipe)
        tokens = sample_windows(stream, recipe, generator)
        if recorder:
            recorder.see(step, model.tok_embed.weight, tokens)
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return model.eval(), losses


def adamw(model: GPT, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW that decays matrices and leaves biases and layer norms alone."""
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)


def schedule(step: int, recipe: Recipe) -> float:
    """The learning rate as a fraction of the recipe's: linear warm-up times a cosine that falls to 1/20."""
    cosine = 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
    return min(1.0, (step + 1) / recipe.warmup) * (0.05 + 0.95 * cosine)


def sample_windows(
    stream: Int[Tensor, " n_tokens"], recipe: Recipe, generator: torch.Generator
) -> Int[Tensor, "batch window_pos"]:
    """A batch of windows that start anywhere: n_ctx inputs and their targets."""
    starts = torch.randint(len(stream) - recipe.n_ctx, (recipe.batch, 1), generator=generator)
    return stream[starts + torch.arange(recipe.n_ctx + 1)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch on one thread: the order of sums is then fixed, and a busy machine is also far faster so."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
