"""Load a model by name: bundled, from a checkpoint directory, or from the Hugging Face Hub.

    model = load_model("gpt-neo-125m", fallback="mini-neo")
    print(describe(model))

Importing this module loads neither torch nor TransformerLens; `load_model` does.
"""

import difflib
import json
import os
import re
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mechpuzzles import checkpoint, zoo
from mechpuzzles.checkpoint import NATIVE_FILE, UnusableCheckpoint
from mechpuzzles.guards import guard
from mechpuzzles.quiet import quietly

if TYPE_CHECKING:
    from torch import Tensor
    from transformer_lens import TransformerBridge

PATIENCE = 3.0  # seconds to wait for the Hub's first answer

# Repositories in TransformerLens's own format, from before it read Hugging Face's.
LEGACY_OWNERS = ("NeelNanda/", "ArthurConmy/", "Baidicoot/")


class ModelNotFound(ValueError):
    """The name leads to no model, or to one that is not in reach."""


class WrongWeights(ValueError):
    """Weights that a model's settings do not ask for, or lack; the message names some."""


class HubOutOfReach(Exception):
    """The Hub gave no answer, for the reason in the message."""


@dataclass(frozen=True)
class Origin:
    """Where a loaded model comes from."""

    name: str
    sentence: str
    stands_in_for: str | None = None  # the name that was asked for and is not in reach


def load_model(name: str | Path, fallback: str | Path | None = None, device: str = "cpu") -> "TransformerBridge":
    """The language model called `name` as a TransformerBridge in eval mode, with its weights unprocessed.

    `name` is a bundled model (`mechpuzzles.zoo.names()`), a checkpoint directory in Hugging Face's layout, or
    a name on the Hub or TransformerLens's alias of it ("gpt2", "pythia-70m", "EleutherAI/gpt-neo-125M").
    Files in the Hub's cache are used without asking the Hub. If the Hub does not answer, or
    MECHPUZZLES_OFFLINE or HF_HUB_OFFLINE is set, `fallback` (bundled or a directory) is loaded instead, and
    a printed sentence says so.

    Raises ModelNotFound for an unknown or unreachable name, UnusableCheckpoint for a directory that does not
    hold a whole model with its tokenizer, TypeError for a name that is no string or path. The fallback hides
    neither a misspelt name nor a damaged checkpoint.

    >>> load_model("mini-neo").W_E.shape
    torch.Size([2048, 64])
    """
    directory = local_directory(name)
    stand_in = None if fallback is None else local_directory(fallback)
    if fallback is not None and stand_in is None:
        raise ModelNotFound(
            f"the fallback {str(fallback)!r} is no directory and none of the bundled {', '.join(zoo.names())}"
        )
    if directory is not None:
        return boot_directory(directory, local_origin(directory), device)
    try:
        return boot_from_hub(official_name(str(name)), device)
    except HubOutOfReach as reason:
        if stand_in is None:
            raise ModelNotFound(
                f"{name} is neither bundled nor in the Hub's cache, and the Hub is not in reach ({reason}). "
                f"In reach are the bundled models {', '.join(zoo.names())}, and any checkpoint directory; "
                "names on the Hub are when online."
            ) from reason
    origin = local_origin(stand_in)
    sentence = f"{name} is not in reach. Instead: {origin.sentence} Its numbers are its own."
    model = boot_directory(stand_in, Origin(origin.name, sentence, stands_in_for=str(name)), device)
    print(textwrap.fill(sentence, 100, break_long_words=False, break_on_hyphens=False))
    return model


def describe(model: "TransformerBridge") -> str:
    """One line on what a model from `load_model` is; if it stands in for another, the line that says so."""
    return model.origin.sentence


def stands_in(model: "TransformerBridge") -> bool:
    """Whether `load_model` gave its fallback instead of the model asked for."""
    return model.origin.stands_in_for is not None


def local_directory(name: str | Path) -> Path | None:
    """The directory of a bundled name or of a path that exists; None for what may be a name on the Hub."""
    if not isinstance(name, str | os.PathLike):
        raise TypeError(f"a model's name is a string or a path, not {type(name).__name__}")
    if not str(name).strip():
        raise ModelNotFound(f"the model's name is empty; bundled are {', '.join(zoo.names())}")
    if str(name).lower() in zoo.names():
        return zoo.directory(str(name).lower())
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise UnusableCheckpoint(f"{path} is a file; a checkpoint is the directory with config.json in it")
    if isinstance(name, os.PathLike) or path.is_absolute() or name.startswith("."):
        raise ModelNotFound(f"there is no directory {path}")
    return None


def local_origin(directory: Path) -> Origin:
    """What to say of a bundled model or of somebody's own directory."""
    if directory.parent == zoo.WEIGHTS:
        return Origin(directory.name, f"{directory.name}, {zoo.card(directory.name)['description']}")
    return Origin(str(directory), f"the checkpoint in {directory}.")


def official_name(name: str) -> str:
    """The Hub's name for a Hub name or alias.

    A name that TransformerLens does not know passes if it reads owner/name; else ModelNotFound suggests some.
    """
    from transformer_lens.supported_models import MODEL_ALIASES, OFFICIAL_MODEL_NAMES, get_official_model_name

    try:
        return get_official_model_name(name)
    except ValueError:
        if re.fullmatch(r"[\w.-]+/[\w.-]+", name):
            return name
    aliases = (alias for several in MODEL_ALIASES.values() for alias in several)
    known = {known.lower(): known for known in (*zoo.names(), *OFFICIAL_MODEL_NAMES, *aliases)}
    close = [known[match] for match in difflib.get_close_matches(name.lower(), known, n=3)]
    hint = f"did you mean {' or '.join(close)}?" if close else f"bundled are {', '.join(zoo.names())}."
    raise ModelNotFound(f"{name!r} is no bundled model, no directory and no name that TransformerLens knows; {hint}")


def boot_from_hub(name: str, device: str) -> "TransformerBridge":
    """The model with this official name; raises HubOutOfReach, ModelNotFound or UnusableCheckpoint."""
    origin = Origin(name, f"{name} from the Hugging Face Hub.")
    if not name.startswith(LEGACY_OWNERS):
        return boot_directory(hub_directory(name), origin, device)
    hub_files(name)  # the legacy loader asks the Hub even for what is in the cache
    from transformer_lens.model_bridge.sources import boot_tl_legacy

    try:
        with quietly():
            model = guard(boot_tl_legacy(name, device=device))
    except Exception as error:  # whatever a file of unknown make raises
        raise UnusableCheckpoint(f"{name} cannot be loaded: {first_line(error)}") from error
    model.origin = origin
    return model


def hub_directory(name: str) -> Path:
    """The snapshot of the repository `name`: the cached one if it is whole, else downloaded."""
    from huggingface_hub import snapshot_download

    try:
        cached = Path(snapshot_download(name, local_files_only=True))
    except OSError:
        cached = None
    if cached and not checkpoint.missing_files(cached):
        return cached
    # Folders hold the same model in other formats.
    top = [file for file in hub_files(name) if "/" not in file]
    weights = [file for file in top if file.endswith(".safetensors")]
    weights = weights or [file for file in top if re.fullmatch(r"pytorch_model.*\.bin", file)]
    small = [file for file in top if file.endswith((".json", ".txt", ".model"))]
    try:
        return Path(snapshot_download(name, allow_patterns=[*small, *weights]))
    except Exception as error:  # each version of huggingface_hub has its own for a lost connection
        raise HubOutOfReach(f"the download broke off, {first_line(error)}") from error


def hub_files(name: str) -> list[str]:
    """The files in the repository `name`; HubOutOfReach soon if the Hub does not answer."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    for switch in ("MECHPUZZLES_OFFLINE", "HF_HUB_OFFLINE"):
        if os.environ.get(switch, "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise HubOutOfReach(f"{switch} is set")
    answers: list = []

    def ask() -> None:
        try:
            siblings = HfApi().model_info(name, timeout=PATIENCE).siblings or ()
            answers.append([file.rfilename for file in siblings])
        except Exception as error:  # each version of huggingface_hub has its own for a lost connection
            answers.append(error)

    # A thread, for the look-up of the Hub's address does not heed the timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE + 1)
    answer = answers[0] if answers else TimeoutError(f"no answer in {PATIENCE + 1:.0f} seconds")
    if isinstance(answer, GatedRepoError):
        raise ModelNotFound(f"{name} is on the Hub, but its owner must first give you access")
    if isinstance(answer, RepositoryNotFoundError):
        raise ModelNotFound(f"there is no directory {name}, and no model of that name on the Hub (or it is private)")
    if isinstance(answer, Exception):
        raise HubOutOfReach(first_line(answer)) from answer
    return answer


def boot_directory(directory: Path, origin: Origin, device: str) -> "TransformerBridge":
    """The checkpoint in `directory`; UnusableCheckpoint if the model or its tokenizer is not whole."""
    if (directory / NATIVE_FILE).is_file():
        return boot_native_directory(directory, origin, device)
    if missing := checkpoint.missing_files(directory):
        raise UnusableCheckpoint(f"{directory} is not a whole checkpoint: it lacks {'; '.join(missing)}")
    kind = checkpoint.architecture(directory)
    from transformer_lens import TransformerBridge

    try:
        with quietly():
            model = TransformerBridge.boot_transformers(
                str(directory), device=device, model_class=checkpoint.WholeModel
            )
    except Exception as error:  # whatever a file of unknown make raises
        raise UnusableCheckpoint(f"{directory} ({kind}) cannot be loaded: {first_line(error)}") from error
    checkpoint.check_tokenizer(model, directory)
    model.origin = origin
    model.cfg.model_name = origin.name  # TransformerLens keeps the directory, which says less
    return guard(model)


def boot_native_directory(directory: Path, origin: Origin, device: str) -> "TransformerBridge":
    """The model of integer tokens in `directory`, which has no tokenizer; UnusableCheckpoint if it is not whole."""
    from safetensors.torch import load_file

    try:
        settings = json.loads((directory / NATIVE_FILE).read_text(encoding="utf-8"))
        state = load_file(directory / "model.safetensors")
        return boot_native(settings, state, origin, device)
    except WrongWeights as error:
        raise UnusableCheckpoint(f"{directory} has other weights than its {NATIVE_FILE} says: {error}") from error
    except Exception as error:  # whatever a file of unknown make raises
        raise UnusableCheckpoint(f"{directory} cannot be loaded: {first_line(error)}") from error


def boot_native(
    settings: dict[str, Any], state: "dict[str, Tensor]", origin: Origin, device: str = "cpu"
) -> "TransformerBridge":
    """The model with these settings of a TransformerBridgeConfig and these weights; WrongWeights if they do not fit."""
    from transformer_lens import TransformerBridge, TransformerBridgeConfig

    with quietly():
        model = TransformerBridge.boot_native(TransformerBridgeConfig(**settings, init_weights=False))
    report = model.load_state_dict(state, strict=False)
    absent = [name for name in report.missing_keys if name != "head._original_component.bias"]  # it has none
    if absent or report.unexpected_keys:
        raise WrongWeights(", ".join([*absent, *report.unexpected_keys][:3]))
    model.origin = origin
    model.cfg.model_name = origin.name
    return guard(model if device == "cpu" else model.to(device))


def first_line(error: BaseException) -> str:
    """The first sentence of an error, to be half a line of another one."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].split('. ')[0]}" if lines else type(error).__name__
