"""How a bundled model's embedding came about: W_E at some steps of its training, and the tokens it was shown."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.measure import write_tensors
from mechpuzzles.zoo.recipes import Recipe

HISTORY_FILE = "history.safetensors"
HALVINGS = 4  # five embeddings of 262 kB for each model, and the trained one is in the checkpoint anyway


@dataclass(frozen=True, eq=False)
class Trajectory:
    """W_E along one training run: `steps[0]` is 0, the initialisation, and `W_E[-1]` is the bundled model's.

    `counts` says how often the run's batches held each token, as input or as target; where it is 0, the run
    never saw that token.
    """

    steps: tuple[int, ...]
    W_E: Float[Tensor, "step d_vocab d_model"]
    counts: Int[Tensor, " d_vocab"]


class Recorder:
    """Keeps what becomes a `Trajectory` while a model is trained; the training does not notice."""

    def __init__(self, recipe: Recipe):
        self.steps = kept_steps(recipe.steps)
        self.embeddings: list[Tensor] = []
        self.counts = torch.zeros(recipe.d_vocab, dtype=torch.int64)

    def see(self, step: int, model: GPT, tokens: Int[Tensor, "batch window_pos"]) -> None:
        """Look at one step: the embedding before its update, and its batch."""
        if step in self.steps:
            self.embeddings.append(model.tok_embed.weight.detach().half())
        self.counts += tokens.flatten().bincount(minlength=len(self.counts))

    def write(self, directory: Path) -> None:
        """Write the history beside the checkpoint in `directory`, which holds the last embedding."""
        tensors = {"steps": torch.tensor(self.steps), "W_E": torch.stack(self.embeddings), "counts": self.counts}
        write_tensors(tensors, directory / HISTORY_FILE)


def kept_steps(steps: int) -> tuple[int, ...]:
    """0 and the last step, and between them the last one halved again and again.

    >>> kept_steps(1500)
    (0, 94, 188, 375, 750, 1500)
    """
    return tuple(sorted({0} | {round(steps / 2**i) for i in range(HALVINGS + 1)}))


def read(directory: Path) -> Trajectory:
    """The trajectory kept in a checkpoint directory, in float32."""
    from safetensors import safe_open

    with safe_open(directory / HISTORY_FILE, "pt") as history:
        steps, before, counts = (history.get_tensor(key) for key in ("steps", "W_E", "counts"))
    with safe_open(directory / "model.safetensors", "pt") as weights:
        last = weights.get_tensor("transformer.wte.weight")
    return Trajectory(tuple(steps.tolist()), torch.cat([before, last[None]]).float(), counts)
