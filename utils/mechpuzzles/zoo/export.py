"""Write a trained model as a Hugging Face GPT-2 directory, which every TransformerLens tool can load."""

from pathlib import Path

import torch
from torch import Tensor

from mechpuzzles.quiet import quietly
from mechpuzzles.zoo.corpus import END_OF_TEXT
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.recipes import Recipe


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
    """Write config.json, float16 model.safetensors and the tokenizer's two files into `directory`."""
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
    )
    hf_model = GPT2LMHeadModel(config)
    hf_model.load_state_dict(gpt2_state_dict(model), strict=True)
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    hf_tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=recipe.n_ctx, add_bos_token=True, **special
    )
    with quietly():
        hf_model.half().save_pretrained(directory)
        hf_tokenizer.save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)  # safetensors writes it for its owner alone
