"""The bundled models: recipes that train them, and their weights.

Importing this package loads no torch. Each model is a directory that `mechpuzzles.models.load_model` and
transformers can load, with its card `recipe.json` beside the weights.
"""

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from mechpuzzles.zoo.recipes import OTHERS, RECIPES, WITH_HISTORY

if TYPE_CHECKING:
    from mechpuzzles.zoo.history import Trajectory

__all__ = ["bundled", "card", "directory", "names", "train", "trajectory", "verify"]

WEIGHTS = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The bundled language models' names: what `load_model` takes."""
    return list(RECIPES)


def bundled() -> list[str]:
    """Everything that has weights here: the language models, and what has a module of its own in this package."""
    return [*names(), *OTHERS]


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

    See `mechpuzzles.zoo.training`, and the module of its own for what is no language model.
    """
    directory(name)  # an unknown name is reported before torch is loaded
    if name in OTHERS:
        return module(name).train(out_dir, steps)
    from mechpuzzles.zoo import training

    return training.train(name, out_dir, steps)


def verify(name: str, where: str | Path | None = None) -> list[str]:
    """Problems with the files of `name`, one sentence each; none if they are as they were shipped.

    Compares checksums with the card, and what is measured again from the weights.
    `where` is a copy to verify instead of the bundled directory.
    """
    where = Path(where) if where else directory(name)
    if name in OTHERS:
        return module(name).problems(where)
    from mechpuzzles.zoo import measure

    return measure.problems(where)


def module(name: str) -> ModuleType:
    """The module of this package that trains, loads and verifies `name`, which is no language model."""
    return importlib.import_module(f"mechpuzzles.zoo.{OTHERS[name]}")
