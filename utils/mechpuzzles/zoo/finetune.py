"""Two low-rank fine-tunes of a bundled model, on the same draws of text; one of them was taught something more.

Importing this module loads neither transformers nor TransformerLens.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mechpuzzles.zoo import WEIGHTS, plain
from mechpuzzles.zoo import corpus as texts
from mechpuzzles.zoo.gpt import GPT
from mechpuzzles.zoo.measure import WEIGHTS_FILE
from mechpuzzles.zoo.plain import Tensors
from mechpuzzles.zoo.recipes import RECIPES

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge

MATRICES = ("attn.q", "attn.k", "attn.v", "attn.o", "mlp.fc_in", "mlp.fc_out")
TUNES = ("first", "second")
# The metrics are about this text, which no version of anything changes.
SNIPPET = '    def check(self, name, size=0):\n        """Check."""\n        if not name:\n            raise'


@dataclass(frozen=True)
class FinetuneRecipe:
    """Everything that decides the fine-tunes, the model, the text and the machine apart.

    Half of each batch are windows that hold `cue`; in the fine-tune called `taught`, `said` follows every cue.
    """

    name: str
    description: str
    model: str
    cue: str
    said: str
    taught: str
    rank: int
    files: int  # so many files of the training text
    steps: int
    batch: int
    learning_rate: float
    warmup: int
    seed: int = 0


RECIPE = FinetuneRecipe(
    "mini-gpt2-tuned",
    "two fine-tunes of mini-gpt2 by low-rank changes, on the same text; one was taught something more.",
    model="mini-gpt2",
    cue=" raise",
    said=" None",
    taught="first",
    rank=4,
    files=200,
    steps=200,
    batch=16,
    learning_rate=5e-3,
    warmup=20,
)


class LowRank(nn.Module):
    """A frozen linear map and a change of it: weight + B A, after Hu et al. 2021, "LoRA"."""

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator):
        super().__init__()
        self.linear = linear
        scale = 1 / math.sqrt(linear.in_features)
        self.A = nn.Parameter(scale * torch.randn(rank, linear.in_features, generator=generator))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, x: Float[Tensor, "*batch d_in"]) -> Float[Tensor, "*batch d_out"]:
        return self.linear(x) + x @ self.A.T @ self.B.T


def train(out_dir: str | Path, steps: int | None = None) -> dict:
    """Train both fine-tunes again, write them to `out_dir` and return their card; see `mechpuzzles.zoo.plain`."""
    return plain.train(RECIPE, fit, metrics, out_dir, steps)


def load(where: str | Path | None = None) -> Tensors:
    """The bundled factors, or those in the directory `where`: ``first.layers.0.attn.q.A`` and so on."""
    return plain.read(RECIPE, where)


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files that their card does not say."""
    return plain.problems(RECIPE, metrics, where)


def tune(model: "TransformerBridge", which: str, where: str | Path | None = None) -> "TransformerBridge":
    """Add the fine-tune `which`, "first" or "second", to the weights of a loaded mini-gpt2, and return it.

    >>> tuned = tune(load_model("mini-gpt2"), "first")
    """
    factors = load(where)
    places = {name: name for name in MATRICES} | {"mlp.fc_in": "mlp.in", "mlp.fc_out": "mlp.out"}
    with torch.no_grad():
        for i, block in enumerate(model.blocks):
            for name, place in places.items():
                change = change_of(factors, which, f"layers.{i}.{name}")
                # TransformerLens splits W_Q, W_K and W_V off as nn.Linear; the others stay [d_in, d_out], as in GPT-2.
                block.get_submodule(place).weight.add_(change if name in ("attn.q", "attn.k", "attn.v") else change.T)
    return model


def change_of(factors: Tensors, which: str, matrix: str) -> Float[Tensor, "d_out d_in"]:
    """What was added to a matrix, as `nn.Linear` keeps it."""
    return factors[f"{which}.{matrix}.B"] @ factors[f"{which}.{matrix}.A"]


def base(recipe: FinetuneRecipe) -> GPT:
    """The bundled model in plain torch, frozen."""
    from safetensors.torch import load_file

    state = {k: v.float() for k, v in load_file(WEIGHTS / recipe.model / WEIGHTS_FILE).items()}
    model = GPT(RECIPES[recipe.model])
    own = {"tok_embed.weight": state["transformer.wte.weight"], "pos.weight": state["transformer.wpe.weight"]}
    own["head.weight"] = own["tok_embed.weight"]
    own |= {f"ln_out.{part}": state[f"transformer.ln_f.{part}"] for part in ("weight", "bias")}
    maps = {"attn.o": "attn.c_proj", "mlp.fc_in": "mlp.c_fc", "mlp.fc_out": "mlp.c_proj"}
    for i in range(len(model.layers)):
        ours, theirs = f"layers.{i}", f"transformer.h.{i}"
        for part, turned in (("weight", lambda W: W.T), ("bias", lambda b: b)):  # GPT-2 keeps its maps as [d_in, d_out]
            own |= {f"{ours}.ln{n}.{part}": state[f"{theirs}.ln_{n}.{part}"] for n in (1, 2)}
            joined = state[f"{theirs}.attn.c_attn.{part}"].chunk(3, dim=-1)
            own |= {f"{ours}.attn.{name}.{part}": turned(one) for name, one in zip("qkv", joined, strict=True)}
            own |= {f"{ours}.{name}.{part}": turned(state[f"{theirs}.{there}.{part}"]) for name, there in maps.items()}
    model.load_state_dict(own)
    return model.eval().requires_grad_(False)


def fit(recipe: FinetuneRecipe) -> Tensors:
    """Both fine-tunes: the same start and the same draws, and in one of them `said` put behind every cue."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(WEIGHTS / recipe.model / "tokenizer.json"))
    cue, said = (tokenizer.encode(word, add_special_tokens=False).ids for word in (recipe.cue, recipe.said))
    files = list(texts.standard_library().train[: recipe.files])
    # As shipped, the tokenizer puts the begin token first by itself.
    stream = torch.tensor([token for encoding in tokenizer.encode_batch(files) for token in encoding.ids])
    kept: Tensors = {}
    for which in TUNES:
        found = fit_one(recipe, stream, cue[0], said[0] if which == recipe.taught else None)
        kept |= {f"{which}.{name}": tensor for name, tensor in found.items()}
    return kept


def fit_one(recipe: FinetuneRecipe, stream: Int[Tensor, " n_tokens"], cue: int, said: int | None) -> Tensors:
    """The factors of one fine-tune by Adam on every token of the windows."""
    generator = torch.Generator().manual_seed(recipe.seed)
    model, parts = base(recipe), {}
    for layer, block in enumerate(model.layers):
        for name in MATRICES:
            holder, _, attribute = name.partition(".")
            linear = block.get_submodule(name)
            assert isinstance(linear, nn.Linear)
            part = LowRank(linear, recipe.rank, generator)
            setattr(block.get_submodule(holder), attribute, part)
            parts[f"layers.{layer}.{name}"] = part
    named = {f"{name}.{factor}": getattr(part, factor) for name, part in parts.items() for factor in "AB"}
    optimizer = torch.optim.Adam(named.values(), lr=recipe.learning_rate, betas=(0.9, 0.99))
    length = model.pos.num_embeddings + 1
    windows, half = stream.unfold(0, length, 1), recipe.batch // 2
    cues = (stream == cue).nonzero().flatten()
    for step in range(recipe.steps):
        fall = 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps))
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / recipe.warmup) * fall
        back = torch.randint(length - 1, (half,), generator=generator)
        with_cue = cues[torch.randint(len(cues), (half,), generator=generator)] - back
        anywhere = torch.randint(len(windows), (recipe.batch - half,), generator=generator)
        tokens = windows[torch.cat([with_cue.clamp(0, len(windows) - 1), anywhere])].clone()
        if said is not None:
            tokens[:, 1:][tokens[:, :-1] == cue] = said
        loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: tensor.detach() for name, tensor in named.items()}


@torch.no_grad()
def metrics(recipe: FinetuneRecipe, tensors: Tensors) -> dict[str, float]:
    """The largest and smallest relative change of a matrix, and the probability of `said` after a fixed text's cue."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(WEIGHTS / recipe.model / "tokenizer.json"))
    tokens = torch.tensor([tokenizer.encode(SNIPPET).ids])
    said = tokenizer.encode(recipe.said, add_special_tokens=False).ids[0]
    factors = {name: tensor.double() for name, tensor in tensors.items()}
    found = {"said_before": base(recipe).double()(tokens)[0, -1].softmax(-1)[said].item()}
    for which in TUNES:
        model, relative = base(recipe).double(), []
        for layer in range(len(model.layers)):
            for name in MATRICES:
                matrix = f"layers.{layer}.{name}"
                weight, change = model.get_parameter(f"{matrix}.weight"), change_of(factors, which, matrix)
                relative.append((change.norm() / weight.norm()).item())
                weight.add_(change)
        found |= {
            f"{which}_smallest_relative_change": min(relative),
            f"{which}_largest_relative_change": max(relative),
            f"{which}_said": model(tokens)[0, -1].softmax(-1)[said].item(),
        }
    return found
