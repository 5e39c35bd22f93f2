"""The bundled models: recipes that train them, and their weights.

Importing this package loads no torch. Each model is a directory that `mechpuzzles.models.load_model` and
transformers can load, with its card `recipe.json` beside the weights.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mechpuzzles.zoo.recipes import DICTIONARY, RECIPES, WITH_HISTORY

if TYPE_CHECKING:
    from mechpuzzles.zoo.history import Trajectory

__all__ = ["bundled", "card", "directory", "names", "train", "trajectory", "verify"]

WEIGHTS = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The bundled models' names."""
    return list(RECIPES)


def bundled() -> list[str]:
    """Everything that has weights here: the models, and the dictionary of one model's activations."""
    return [*names(), DICTIONARY.name]


def directory(name: str) -> Path:
    """The directory of what is bundled as `name`; KeyError for any other name."""
    if name not in bundled():
        raise KeyError(f"{name!r} is not a bundled model; these are: {', '.join(bundled())}")
    return WEIGHTS / name


def card(name: str) -> dict:
    """What `name` is and what was measured on it: settings, text, metrics (losses in nats), checksums."""
    return json.loads((directory(name) / "recipe.json").read_text(encoding="utf-8"))


def trajectory(name: str) -> "Trajectory":
    """W_E of the bundled model `name` at some steps of its training, and how often training showed each token.

    Its `steps` are (0, 94, 188, 375, 750, 1500), its `W_E` has shape [step, d_vocab, d_model], the last of them
    the bundled model's own, and its `counts` have shape [d_vocab]. Needs torch alone.

    Raises KeyError for a name that is not bundled, and for a model of which no such history was kept.

        >>> trajectory("mini-gpt2").W_E.shape
        torch.Size([6, 2048, 64])
    """
    where = directory(name)  # an unknown name is reported before torch is loaded
    if name not in WITH_HISTORY:
        raise KeyError(f"no history of {name!r} was kept; of these it was: {', '.join(WITH_HISTORY)}")
    from mechpuzzles.zoo import history

    return history.read(where)


def train(name: str, out_dir: str | Path, steps: int | None = None) -> dict:
    """Train what is bundled as `name` again into `out_dir`; its card.

    See `mechpuzzles.zoo.training` and `mechpuzzles.zoo.dictionary`.
    """
    directory(name)  # an unknown name is reported before torch is loaded
    from mechpuzzles.zoo import dictionary, training

    return dictionary.train(out_dir, steps) if name == DICTIONARY.name else training.train(name, out_dir, steps)


def verify(name: str, where: str | Path | None = None) -> list[str]:
    """Problems with the files of `name`, one sentence each; none if they are as they were shipped.

    Compares checksums with the card, and the embedding's statistics measured again from the weights.
    `where` is a copy to verify instead of the bundled directory.
    """
    where = Path(where) if where else directory(name)
    from mechpuzzles.zoo import dictionary, measure

    return dictionary.problems(where) if name == DICTIONARY.name else measure.problems(where)
