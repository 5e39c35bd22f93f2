"""GPT-2 in plain torch, to train with: about twice as fast as through TransformerLens.

The parameters bear the names of TransformerLens's native model, so a state dict also loads into
`TransformerBridge.boot_native`.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mechpuzzles.zoo.recipes import Recipe


class Attention(nn.Module):
    """Causal multi-head attention."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.n_heads = recipe.n_heads
        self.q, self.k, self.v, self.o = (nn.Linear(recipe.d_model, recipe.d_model) for _ in range(4))

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        q, k, v = (project(x).unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for project in (self.q, self.k, self.v))
        z = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(z.transpose(1, 2).flatten(-2))


class MLP(nn.Module):
    """Two linear maps with GPT-2's tanh-approximated GELU between them."""

    def __init__(self, d_model: int, d_mlp: int):
        super().__init__()
        self.fc_in = nn.Linear(d_model, d_mlp)
        self.fc_out = nn.Linear(d_mlp, d_model)

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        return self.fc_out(F.gelu(self.fc_in(x), approximate="tanh"))


class Centring(nn.Module):
    """What is left of a LayerNorm that divides by a constant: w (x - mean of x) + b, a linear map.

    Inside the blocks w is 1 and b is 0, as in Heimersheim's gpt2_noLN.
    """

    def __init__(self, d_model: int, trained: bool):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model), requires_grad=trained)
        self.bias = nn.Parameter(torch.zeros(d_model), requires_grad=trained)

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        return (x - x.mean(-1, keepdim=True)) * self.weight + self.bias


def norm(recipe: Recipe, trained: bool = True) -> nn.Module:
    """A LayerNorm, or what the recipe has in its place."""
    return nn.LayerNorm(recipe.d_model) if recipe.layernorm else Centring(recipe.d_model, trained)


class Block(nn.Module):
    """Attention, then MLP if the recipe has one, each reading a normed residual stream and adding to it."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.ln1 = norm(recipe, trained=False)
        if recipe.d_mlp:
            self.ln2 = norm(recipe, trained=False)
        self.attn = Attention(recipe)
        if recipe.d_mlp:
            self.mlp = MLP(recipe.d_model, recipe.d_mlp)

    def forward(self, resid: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        resid = resid + self.attn(self.ln1(resid))
        return resid + self.mlp(self.ln2(resid)) if hasattr(self, "mlp") else resid


class GPT(nn.Module):
    """Tokens to logits."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.tok_embed = nn.Embedding(recipe.d_vocab, recipe.d_model)
        self.pos = nn.Embedding(recipe.n_ctx, recipe.d_model)
        self.layers = nn.ModuleList(Block(recipe) for _ in range(recipe.n_layers))
        self.ln_out = norm(recipe)
        self.head = nn.Linear(recipe.d_model, recipe.d_vocab, bias=False)
        if recipe.tied:
            self.head.weight = self.tok_embed.weight
        init_weights(self, recipe)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        resid = self.tok_embed(tokens) + self.pos.weight[: tokens.shape[1]]
        for layer in self.layers:
            resid = layer(resid)
        return self.head(self.ln_out(resid))


@torch.no_grad()
def init_weights(model: GPT, recipe: Recipe) -> None:
    """Draw the weights of `recipe.seed`, then add the recipe's offset to every row of W_E.

    The untied head is drawn last and the offset from a generator of its own, so models of one seed share
    every other draw.

    Source: standard deviation 0.8 / sqrt(d_model) as in TransformerLens's `init_mode="gpt2"`; the maps that
    write to the residual stream are smaller by sqrt(2 n_layers), after Radford et al. 2019, section 2.3.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    std = 0.8 / math.sqrt(recipe.d_model)
    for name, parameter in model.named_parameters():
        if parameter.ndim == 2:
            writes = name.endswith(("attn.o.weight", "mlp.fc_out.weight"))
            scale = std / math.sqrt(2 * recipe.n_layers) if writes else std
            parameter.normal_(0, scale, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
    W_E = model.tok_embed.weight
    direction = torch.randn(recipe.d_model, generator=torch.Generator().manual_seed(recipe.seed + 1))
    W_E += recipe.offset * W_E.norm(dim=-1).mean() * F.normalize(direction, dim=0)
