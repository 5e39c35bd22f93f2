"""What the files of a bundled model say: checksums, statistics, losses, the gauge check."""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles.geometry import centre, cosine_moments, offset_ratio
from mechpuzzles.quiet import quietly
from mechpuzzles.zoo import tasks
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.recipes import BEGIN, Recipe

CARD_FILE = "recipe.json"
WEIGHTS_FILE = "model.safetensors"


def write_card(card: dict, directory: Path, metrics: dict[str, float] | None = None) -> dict:
    """Write recipe.json, with the metrics to six digits and the checksums of the other files; what was written."""
    if metrics is not None:
        rounded = {name: float(f"{value:.6g}") for name, value in metrics.items()}
        card = card | {"metrics": rounded, "sha256": checksums(directory)}
    (directory / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8", newline="\n")
    return card


def write_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    """Write a safetensors file; the directory is made if need be."""
    from safetensors.torch import save_file

    file.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, file)
    file.chmod(0o644)  # safetensors writes it for its owner alone


def checksums(directory: Path) -> dict[str, str]:
    """sha256 of every file in `directory` but the card."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and path.name != CARD_FILE)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def metrics_of_files(recipe: Recipe, directory: Path) -> dict[str, float]:
    """What anybody can measure again from the files alone, with no text at hand."""
    return embedding_metrics(directory) if recipe.task == "python" else task_metrics(recipe, directory)


def task_metrics(recipe: Recipe, directory: Path, n: int = 512) -> dict[str, float]:
    """How well a model does its task, on `n` sequences that are drawn apart from those of its training.

    "names": the share of right answers, the loss in nats, and the mean logit of the answer minus the mean
    logit of the giver. "repeats": random tokens without a duplicate, shown twice; the loss on the first and
    the second showing, and the share of right predictions on the second.
    """
    model = load_native(recipe, directory).double()
    generator = torch.Generator().manual_seed(10_000 + recipe.seed)
    with torch.no_grad():
        if recipe.task == "names":
            tokens = tasks.names(replace(recipe, batch=n), generator)
            logits, answer, giver = model(tokens[:, :-1])[:, -1], tokens[:, -1:], tokens[:, tasks.GIVER_POS, None]
            return {
                "accuracy": (logits.argmax(-1, keepdim=True) == answer).double().mean().item(),
                "loss": -logits.log_softmax(-1).gather(-1, answer).mean().item(),
                "mean_logit_difference": (logits.gather(-1, answer) - logits.gather(-1, giver)).mean().item(),
            }
    return showing_metrics(recipe, model, n)


def showing_metrics(recipe: Recipe, model: GPT, n: int) -> dict[str, float]:
    """What `task_metrics` measures of a float64 model of "repeats"."""
    tokens = tasks.shown_twice(
        n, (recipe.n_ctx - 1) // 2, recipe.d_vocab, torch.Generator().manual_seed(10_000 + recipe.seed)
    )
    with torch.no_grad():
        logits, targets = model(tokens[:, :-1]), tokens[:, 1:]
    loss = -logits.log_softmax(-1).gather(-1, targets[..., None]).squeeze(-1)
    half = tokens.shape[1] // 2  # the second showing's first token cannot be known
    return {
        "loss_on_first_showing": loss[:, :half].mean().item(),
        "loss_on_second_showing": loss[:, half + 1 :].mean().item(),
        "accuracy_on_second_showing": (logits.argmax(-1) == targets)[:, half + 1 :].double().mean().item(),
    }


def embedding_metrics(directory: Path) -> dict[str, float]:
    """Mean pairwise cosine of W_E, raw and centred, and |mean row| / mean |row|, from the weights alone."""
    from safetensors import safe_open

    with safe_open(directory / WEIGHTS_FILE, "pt") as weights:
        W_E = weights.get_tensor("transformer.wte.weight").double()
    return {
        "mean_cosine_raw": cosine_moments(W_E).mean,
        "mean_cosine_centred": cosine_moments(centre(W_E)).mean,
        "mean_row_over_row_norm": offset_ratio(W_E),
    }


def windows(stream: list[int], n_ctx: int) -> Int[Tensor, "window window_pos"]:
    """The stream cut into windows of n_ctx inputs and their targets; neighbours share one token."""
    n_windows = (len(stream) - 1) // n_ctx
    if n_windows < 1:
        raise ValueError(f"{len(stream)} tokens do not fill a context of {n_ctx}")
    return torch.tensor(stream[: n_windows * n_ctx + 1]).unfold(0, n_ctx + 1, n_ctx).clone()


@torch.no_grad()
def token_log_probs(model, tokens: Int[Tensor, "window window_pos"], batch: int = 64) -> Float[Tensor, "window pos"]:
    """log p(next token) in nats, float32, for every position of every window."""
    rows = []
    for chunk in tokens.split(batch):
        log_probs = model(chunk[:, :-1]).logits.log_softmax(-1)
        rows.append(log_probs.gather(-1, chunk[:, 1:, None]).squeeze(-1))
    return torch.cat(rows)


@torch.no_grad()
def held_out_metrics(recipe: Recipe, directory: Path, stream: list[int], gauge_windows: int = 64) -> dict[str, float]:
    """Held-out loss, and what becomes of it when the mean row mu of W_E is moved or deleted.

    Moved: W_E - mu and W_pos + mu. Deleted: W_E - mu alone. A tied W_U follows W_E in both; that adds to the
    logits one number per position, which log-probabilities do not see.

    All in nats per token, over every window of `stream`; the largest change of any next-token log-probability
    when mu is moved is taken over the first `gauge_windows` windows and the whole vocabulary.
    """
    model = load_shipped(directory)
    tokens = windows(stream, recipe.n_ctx)
    if recipe.begin:
        tokens[:, 0] = BEGIN
    few = tokens[:gauge_windows, :-1]
    loss, log_probs = -token_log_probs(model, tokens).mean().item(), model(few).logits.log_softmax(-1)
    W_E, W_pos = model.transformer.wte.weight, model.transformer.wpe.weight
    mu = W_E.mean(0)
    W_E -= mu
    deleted = -token_log_probs(model, tokens).mean().item()
    W_pos += mu
    moved = (model(few).logits.log_softmax(-1) - log_probs).abs().max().item()
    return {
        "held_out_loss": loss,
        "moving_the_mean_changes_log_probs_by": moved,
        "deleting_the_mean_raises_loss_by": deleted - loss,
    }


def load_native(recipe: Recipe, directory: Path) -> GPT:
    """The model of a task, in eval mode."""
    from safetensors.torch import load_file

    model = GPT(recipe)
    model.load_state_dict(load_file(directory / WEIGHTS_FILE))
    return model.eval()


def load_shipped(directory: Path):
    """The checkpoint as a transformers model in float32 and eval mode."""
    from transformers import GPT2LMHeadModel

    with quietly():
        return GPT2LMHeadModel.from_pretrained(directory, dtype=torch.float32, local_files_only=True).eval()


def problems(
    directory: Path,
    recipe_type: type = Recipe,
    metrics_of: Callable[[Any, Path], dict[str, float]] = metrics_of_files,
) -> list[str]:
    """One sentence for everything about the files in `directory` that its card does not say."""
    try:
        card = json.loads((directory / CARD_FILE).read_text(encoding="utf-8"))
        expected, metrics = card["sha256"], card["metrics"]
        recipe = recipe_type(**{field.name: card[field.name] for field in fields(recipe_type)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{directory / CARD_FILE} is not a readable card ({type(error).__name__}: {error})."]
    found = checksums(directory)
    sentences = [f"{directory / file} is missing." for file in expected if file not in found]
    sentences += [f"{directory / file} is not on the card." for file in found if file not in expected]
    changed = [file for file in expected if found.get(file, expected[file]) != expected[file]]
    sentences += [f"{directory / file} is damaged or was changed: its sha256 is not the card's." for file in changed]
    if WEIGHTS_FILE in found:
        sentences += wrong_metrics(directory, metrics, partial(metrics_of, recipe, directory))
    return sentences


def wrong_metrics(directory: Path, metrics: dict[str, float], measure: Callable[[], dict[str, float]]) -> list[str]:
    """One sentence for each metric of the files that differs from the card's, which keeps six digits."""
    try:
        measured = measure()
    except Exception as error:  # safetensors raises its own type on a damaged file, and torch several
        return [f"{directory / WEIGHTS_FILE} cannot be read ({type(error).__name__}: {error})."]
    return [
        f"{directory}: {metric} is {value:.6g}, the card says {metrics.get(metric)}."
        for metric, value in measured.items()
        if not math.isclose(value, metrics.get(metric, math.nan), rel_tol=1e-5, abs_tol=1e-7)
    ]
