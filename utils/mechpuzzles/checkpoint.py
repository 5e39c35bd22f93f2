"""What makes a directory a whole checkpoint, which transformers and TransformerLens do not insist on.

Left alone they fill missing tensors at random, and go on with a tokenizer that knows no token.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

TOKENIZER_FILES = ({"tokenizer.json"}, {"vocab.json", "merges.txt"}, {"tokenizer.model"}, {"spiece.model"})
NATIVE_FILE = "native.json"  # settings of a model of TransformerLens's own kind, which reads integers, not text
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


class UnusableCheckpoint(ValueError):
    """There is a checkpoint, but no whole model that TransformerLens can load."""


def missing_files(directory: Path) -> list[str]:
    """What a checkpoint directory lacks: its config, weights (or a shard of them), or tokenizer."""
    present = {path.name for path in directory.iterdir()}
    missing = [] if "config.json" in present else ["config.json"]
    missing += missing_weights(directory, present)
    if not any(files <= present for files in TOKENIZER_FILES):
        # TransformerLens would go on with a tokenizer that knows no token at all.
        missing.append("a tokenizer (tokenizer.json, or vocab.json and merges.txt)")
    return missing


def missing_weights(directory: Path, present: set[str]) -> list[str]:
    """The weights that a checkpoint directory lacks; weights in several files are listed in an index."""
    if present.intersection(WEIGHT_FILES):
        return []
    for index in (f"{file}.index.json" for file in WEIGHT_FILES):
        if index in present:
            try:
                weight_map = json.loads((directory / index).read_text(encoding="utf-8"))["weight_map"]
                return sorted(set(weight_map.values()) - present)
            except (ValueError, KeyError, TypeError, AttributeError):
                return [f"a readable {index}"]
    return [f"weights ({' or '.join(WEIGHT_FILES)})"]


def architecture(directory: Path) -> str:
    """What config.json says that the model is."""
    try:
        config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        return ", ".join(config.get("architectures") or [str(config.get("model_type"))])
    except (ValueError, TypeError, AttributeError) as error:
        raise UnusableCheckpoint(f"{directory / 'config.json'} is no JSON object with an architecture") from error


class WholeModel:
    """Where TransformerLens gets the model from: transformers alone would fill missing tensors at random."""

    @staticmethod
    def from_pretrained(*args: Any, **settings: Any) -> Any:
        from transformers import AutoModelForCausalLM

        settings |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        loaded: Any = AutoModelForCausalLM.from_pretrained(*args, **settings)
        model, report = loaded
        if absent := sorted(report["missing_keys"]):
            raise ValueError(f"{len(absent)} tensors are not among its weights, such as {absent[0]}")
        if misfits := sorted(name for name, *_ in report["mismatched_keys"]):
            raise ValueError(f"{len(misfits)} tensors have another shape than by its config, such as {misfits[0]}")
        return model


def check_tokenizer(model: "TransformerBridge", directory: Path) -> None:
    """UnusableCheckpoint unless the tokenizer has tokens, and every one of them has a row in W_E."""
    n_tokens, d_vocab = len(model.tokenizer), model.cfg.d_vocab
    if not model.tokenizer.vocab_size:
        raise UnusableCheckpoint(f"{directory} has a tokenizer without any token")
    if n_tokens > d_vocab:
        raise UnusableCheckpoint(
            f"{directory} has a tokenizer of {n_tokens} tokens and a model of {d_vocab}: they do not match"
        )
