"""Write a trained model: as a Hugging Face GPT-2 directory, which every TransformerLens tool can load, or,
if it knows no text, as TransformerLens's own kind of model."""

import json
import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mechpuzzles.checkpoint import NATIVE_FILE
from mechpuzzles.quiet import quietly
from mechpuzzles.zoo.corpus import END_OF_TEXT
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.measure import WEIGHTS_FILE, write_tensors
from mechpuzzles.zoo.recipes import Recipe

# As in the published gpt2_noLN (Heimersheim 2024): dividing by sqrt(variance + 1e12) is dividing by 1e6.
EPS_WITHOUT_LAYERNORM = 1e12


def gpt2_state_dict(model: GPT) -> dict[str, Tensor]:
    """The weights under GPT-2's names.

    GPT-2 keeps its linear maps as [d_in, d_out], the transpose of `nn.Linear`, and joins W_Q, W_K and W_V.
    """
    source = model.state_dict()
    renamed = {"wte.weight": "tok_embed.weight", "wpe.weight": "pos.weight"}
    renamed |= {f"ln_f.{part}": f"ln_out.{part}" for part in ("weight", "bias")}
    state = {f"transformer.{new}": source[old] for new, old in renamed.items()}
    state["lm_head.weight"] = source["head.weight"]
    maps = {"attn.c_proj": ["attn.o"], "mlp.c_fc": ["mlp.fc_in"], "mlp.c_proj": ["mlp.fc_out"]}
    maps["attn.c_attn"] = ["attn.q", "attn.k", "attn.v"]
    for i in range(len(model.layers)):
        old, new = f"layers.{i}", f"transformer.h.{i}"
        for norm in (1, 2):
            for part in ("weight", "bias"):
                state[f"{new}.ln_{norm}.{part}"] = source[f"{old}.ln{norm}.{part}"]
        for target, parts in maps.items():
            state[f"{new}.{target}.weight"] = torch.cat([source[f"{old}.{part}.weight"] for part in parts]).T
            state[f"{new}.{target}.bias"] = torch.cat([source[f"{old}.{part}.bias"] for part in parts])
    return state


def write_checkpoint(model: GPT, recipe: Recipe, tokenizer, directory: Path) -> None:
    """Write config.json, model.safetensors and the tokenizer's two files into `directory`.

    The weights are float16; without LayerNorm they are float32, for float16 ends at 65,504.
    """
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    config = GPT2Config(
        vocab_size=recipe.d_vocab,
        n_positions=recipe.n_ctx,
        n_embd=recipe.d_model,
        n_layer=recipe.n_layers,
        n_head=recipe.n_heads,
        n_inner=recipe.d_mlp,
        tie_word_embeddings=recipe.tied,
        bos_token_id=0,
        eos_token_id=0,
        resid_pdrop=0.0,  # none of the recipes drops out
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        layer_norm_epsilon=1e-5 if recipe.layernorm else EPS_WITHOUT_LAYERNORM,
    )
    hf_model = GPT2LMHeadModel(config)
    state = gpt2_state_dict(model)
    if not recipe.layernorm:
        norms = [name for name in state if re.search(r"ln_\w\.weight$", name)]
        state |= {name: state[name] * math.sqrt(EPS_WITHOUT_LAYERNORM) for name in norms}
    hf_model.load_state_dict(state, strict=True)
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    hf_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=recipe.n_ctx, add_bos_token=True, **special
    )
    with quietly():
        (hf_model.half() if recipe.layernorm else hf_model).save_pretrained(directory)
        hf_tokenizer.save_pretrained(directory)
    (directory / WEIGHTS_FILE).chmod(0o644)  # safetensors writes it for its owner alone


def native_settings(recipe: Recipe) -> dict[str, Any]:
    """The settings of a TransformerBridgeConfig for a model of integer tokens."""
    return {
        "d_model": recipe.d_model,
        "d_head": recipe.d_head,
        "n_heads": recipe.n_heads,
        "n_layers": recipe.n_layers,
        "n_ctx": recipe.n_ctx,
        "d_vocab": recipe.d_vocab,
        "d_mlp": recipe.d_mlp or 4 * recipe.d_model,
        "attn_only": recipe.d_mlp is None,
        "act_fn": "gelu_new",
        "normalization_type": "LN",
    }


def write_native(model: GPT, recipe: Recipe, directory: Path) -> None:
    """Write native.json, the settings of a TransformerBridgeConfig, and float32 model.safetensors."""
    settings = native_settings(recipe)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / NATIVE_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8", newline="\n")
    write_tensors(model.state_dict(), directory / WEIGHTS_FILE)
