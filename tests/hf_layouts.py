"""Write small checkpoint directories with the files, the tensor names and the tokenizers of the real ones."""

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedTokenizerFast,
)

from mechpuzzles.quiet import quietly

TEXTS = ["The cat sat on the mat.", "the dog sat on the log", "def f(x):\n    return x + 1", "naïve café"]
END_OF_TEXT = "<|endoftext|>"

# Pairwise different, so that a transpose cannot hide.
D_VOCAB, D_MODEL, D_MLP, N_CTX, N_HEADS, N_LAYERS = 280, 24, 40, 20, 3, 2

EMBEDDING = {
    "gpt2": "wte.weight",
    "gpt_neo": "transformer.wte.weight",
    "gpt_neox": "gpt_neox.embed_in.weight",
}
CAUSAL_MASK = {
    "gpt2": "transformer.h.{}.attn.bias",
    "gpt_neo": "transformer.h.{}.attn.attention.bias",
    "gpt_neox": "gpt_neox.layers.{}.attention.bias",
}


def small_model(layout: str):
    """A transformers model of one of the layouts with every weight random, layer norms and biases too."""
    if layout == "gpt2":
        shape = {
            "n_embd": D_MODEL,
            "n_inner": D_MLP,
            "n_positions": N_CTX,
            "n_head": N_HEADS,
            "n_layer": N_LAYERS,
        }
        model = GPT2LMHeadModel(GPT2Config(vocab_size=D_VOCAB, bos_token_id=0, eos_token_id=0, **shape))
    elif layout == "gpt_neo":
        shape = {"hidden_size": D_MODEL, "intermediate_size": D_MLP, "max_position_embeddings": N_CTX}
        shape |= {"num_heads": N_HEADS, "num_layers": N_LAYERS, "attention_types": [[["global", "local"], 1]]}
        config = GPTNeoConfig(vocab_size=D_VOCAB, window_size=7, bos_token_id=0, eos_token_id=0, **shape)
        model = GPTNeoForCausalLM(config)
    else:
        shape = {"hidden_size": D_MODEL, "intermediate_size": D_MLP, "max_position_embeddings": N_CTX}
        shape |= {"num_attention_heads": N_HEADS, "num_hidden_layers": N_LAYERS}
        model = GPTNeoXForCausalLM(GPTNeoXConfig(vocab_size=D_VOCAB, bos_token_id=0, eos_token_id=0, **shape))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    return model.eval()


def write_checkpoint(layout: str, directory: Path) -> Path:
    """A directory such as the Hub has for GPT-2, GPT-Neo or Pythia."""
    with quietly():
        small_model(layout).save_pretrained(directory)
    weights = directory / "model.safetensors"
    tensors = load_file(weights)
    for layer in range(N_LAYERS):  # the published files also hold buffers, which are no longer read
        tensors[CAUSAL_MASK[layout].format(layer)] = torch.ones(1, 1, N_CTX, N_CTX).tril().bool()
    if layout == "gpt2":  # and GPT-2's is that of the inner model, whose names lack the prefix
        tensors = {name.removeprefix("transformer."): tensor for name, tensor in tensors.items()}
    save_file(tensors, weights, metadata={"format": "pt"})
    write_tokenizer(directory, in_one_file=layout == "gpt_neox")
    return directory


def write_tokenizer(directory: Path, in_one_file: bool, d_vocab: int = D_VOCAB) -> None:
    """A byte-level BPE: tokenizer.json as for Pythia, else vocab.json and merges.txt as for GPT-2."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS * 3, trainer)
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
    with quietly():
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special).save_pretrained(directory)
    if not in_one_file:
        (directory / "tokenizer.json").unlink()
        tokenizer.model.save(str(directory))
        (directory / "tokenizer_config.json").write_text('{"model_max_length": 20}')  # all that GPT-2's says
