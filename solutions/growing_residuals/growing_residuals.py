# %% [markdown]
# # Growing residuals
#
# In GPT-2 XL the residual stream's norm grows by a factor of about 1.045 a layer: eightfold over 48 layers.
# Yet nobody in the model can hear it.
# Every reader passes through LayerNorm, which sets the length back to the same number.
#
# **LayerNorm resets every reader. So why does the stream grow, and is its growth anything at all?**
#
# You will measure the growth, fit it in two ways, and try to explain it away.
#
# *35 minutes. You need the residual stream, LayerNorm and a logarithm. Guesses are kept on your machine and never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo.corpus import package_source

puzzle = load_puzzle("growing_residuals")
model = load_model("gpt2", fallback="mini-deep")
torch.set_grad_enabled(False)
ids = model.tokenizer("".join(package_source("einops")))["input_ids"]
tokens = torch.tensor(ids[: 32 * 64]).reshape(32, 64)  # 32 windows of einops' source


# %%
def stream(model, tokens):
    """The residual stream before layer 0 and after each layer: [layer_plus_1, batch, pos, d_model]."""
    cache = model.run_with_cache(tokens, names_filter=lambda name: "hook_resid_p" in name)[1]
    layers = range(model.cfg.n_layers)
    return torch.stack([cache["resid_pre", 0]] + [cache["resid_post", layer] for layer in layers])


resid = stream(model, tokens)
read = torch.nn.functional.layer_norm(resid, resid.shape[-1:])
for name, vectors in (("in the stream", resid), ("as read", read)):
    print(f"{name:>13}:", *(f"{layer[3, 40].norm():5.1f}" for layer in vectors))

# %% [markdown]
# One token: its embedding, then after every layer.
#
# ## Commit
#
# Which story do you believe of this model? Each predicts something that you will measure.
#
# - `"amplifier"`: every layer multiplies the norm by about the same factor.
# - `"walk"`: every layer adds a vector of about the same size, in an unrelated direction.
# - `"louder"`: every layer adds a larger vector than the one before.
# - `"chorus"`: layers add along what is already there.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# One token is an anecdote. Here is one layer and one position, over all windows, spelt out.


# %%
def slow_norm(resid, layer, pos):
    lengths = []
    for window in resid[layer]:
        lengths.append(sum(x * x for x in window[pos].tolist()) ** 0.5)
    return sum(lengths) / len(lengths)


print(f"{slow_norm(resid, 8, 40):.3f} after layer 7 at position 40")

# %% [markdown]
# **Your turn**: all layers and positions at once. One line.


# %% stub="residual_norms"
def residual_norms(resid: Float[Tensor, "layer_plus_1 batch pos d_model"]) -> Float[Tensor, "layer_plus_1 pos"]:
    """Mean over the batch of the vectors' lengths. resid [layer_plus_1, batch, pos, d_model] -> [layer_plus_1, pos]."""
    ### BEGIN SOLUTION
    return resid.norm(dim=-1).mean(1)
    ### END SOLUTION


# %% check="residual_norms"
puzzle.check("residual_norms", residual_norms)
### BEGIN HIDDEN TESTS
puzzle.grade("residual_norms", residual_norms)
### END HIDDEN TESTS

# %% [markdown]
# ## The model that learnt nothing
#
# Now draw all the weights anew, as if training had not begun.
# You saw the trained stream grow. How many times its first norm will the untrained model's last norm be?

# %% open="predict-untrained"
puzzle.predict("untrained growth", ..., because="", sure=...)

# %%
untrained = load_model(model.cfg.model_name)


def redrawn_stream(seed, tokens):
    std, rng = 0.8 * model.cfg.d_model**-0.5, torch.Generator().manual_seed(seed)
    for name, weight in untrained.original_model.named_parameters():
        if weight.ndim == 2:  # GPT-2 draws what writes into the stream smaller
            writes = "c_proj" in name or "attn.o." in name
            weight.normal_(0, std / (2 * model.cfg.n_layers) ** 0.5 if writes else std, generator=rng)
        else:
            weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return stream(untrained, tokens)


# %%
resid_untrained = redrawn_stream(0, tokens)
norms = {"trained": residual_norms(resid), "untrained": residual_norms(resid_untrained)}
first, *_, last = norms["untrained"][:, 1:].mean(1)
puzzle.recall("untrained growth", found=last / first)
plots.lines(
    range(len(resid)),
    {name: n[:, 1:].mean(1) / n[0, 1:].mean() for name, n in norms.items()},
    x_title="layers passed",
    y_title="norm, in norms of the embedding",
    prediction=puzzle.prediction("untrained growth"),
)

# %% [markdown]
# Growth by itself needs no training.
# The first position is left out: many models keep a vector there that dwarfs the rest (Sun et al., 2024).
#
# ## One number
#
# A constant factor makes a straight line of the *logarithm*. Its slope is the factor's logarithm.


# %%
def straight_line(y):
    """Least squares through y[0], y[1], ... at 0, 1, ...: the slope, and the fitted values."""
    x = (torch.arange(len(y)) - (len(y) - 1) / 2).to(y)
    slope = x @ y / (x @ x)
    return slope, y.mean() + slope * x


# %% [markdown]
# **Your turn**, two lines.


# %% stub="growth_rate"
def growth_rate(norms: Float[Tensor, "layer_plus_1 pos"]):
    """The factor per layer. norms [layer_plus_1, pos]; one number.

    Average the norms over all positions but the first; fit a straight line to the logarithms over the layers.
    """
    ### BEGIN SOLUTION
    slope, _ = straight_line(norms[:, 1:].mean(1).log())
    return slope.exp()
    ### END SOLUTION


# %% check="growth_rate"
puzzle.check("growth_rate", growth_rate)
### BEGIN HIDDEN TESTS
puzzle.grade("growth_rate", growth_rate)
### END HIDDEN TESTS

# %% [markdown]
# Beside the models, two streams set by hand, 48 layers deep: a walk of independent steps of equal size, and an exact amplifier of 1.045.

# %%
steps = torch.randn(49, 8, 6, 64, generator=torch.Generator().manual_seed(0))
norms["hand-set walk"] = residual_norms(steps.cumsum(0))
norms["its first half"] = norms["hand-set walk"][:25]
norms["hand-set amplifier"] = residual_norms(steps[:1] * 1.045 ** torch.arange(49.0)[:, None, None, None])
for name, n in norms.items():
    print(f"{name:>18}: {growth_rate(n):.3f} a layer over {len(n) - 1} layers")

# %% [markdown]
# Walks have rates too, and the fewer the layers, the higher. A rate without its depth decides nothing. The *shape* has to.
#
# ## Two shapes
#
# Unrelated vectors add by Pythagoras: the **squared** norm of a walk grows by the same amount at every layer.
#
# Fit both: a line through the logarithms, a line through the squares.
# Each would win on its own ground, so judge both on a third, the norms themselves.
#
# **Your turn**, about four lines.


# %% stub="compare_fits"
def compare_fits(norms: Float[Tensor, "layer_plus_1 pos"]):
    """How far each fit misses: (exponential, walk). norms [layer_plus_1, pos]; two numbers.

    Average over positions as before; turn each line back into norms (a squared norm below zero counts as zero).
    A miss is the root mean square of fit minus norm, over the layers, divided by the mean norm.
    """
    ### BEGIN SOLUTION
    n = norms[:, 1:].mean(1)
    exponential = straight_line(n.log())[1].exp()
    walk = straight_line(n**2)[1].clamp(min=0).sqrt()
    return tuple((fit - n).square().mean().sqrt() / n.mean() for fit in (exponential, walk))
    ### END SOLUTION


# %% check="compare_fits"
puzzle.check("compare_fits", compare_fits)
### BEGIN HIDDEN TESTS
puzzle.grade("compare_fits", compare_fits)
### END HIDDEN TESTS

# %%
norms["amplifier, 8 layers"] = norms["hand-set amplifier"][:9]
norms["amplifier, each 6th"] = norms["hand-set amplifier"][::6]  # eight layers too
rows = [("trained", first) for first in (0, 1, 2)] + [(name, 0) for name in list(norms)[2:] if "half" not in name]
for name, first in rows:
    exponential, walk = compare_fits(norms[name][first:])
    print(f"{name:>19} from {first}: exponential misses by {exponential:5.1%}, walk by {walk:5.1%}")

few = tokens[::4]  # every fourth window is enough from here on
draws = [residual_norms(redrawn_stream(seed, few)) for seed in range(20)]
for first in (0, 1, 2):
    fits = [compare_fits(n[first:]) for n in draws]
    print(f"20 untrained models from {first}: walk nearer in {sum(walk < exponential for exponential, walk in fits)}")

# %% [markdown]
# The hand-set streams are told apart with ease where they grow sevenfold, be it over 48 layers or eight. At 1.4-fold, the true amplifier is almost a walk.
# Most untrained models are nearer to a walk.
# The trained one changes sides with the layer at which you start, and an untrained one can do so too.
# Look closer: what does each layer add to the squared norm? A walk is flat, an amplifier climbs.

# %%
squares = {name: norms[name][:, 1:].mean(1) ** 2 for name in ("trained", "untrained")}
squares["amplifier of the trained rate"] = growth_rate(norms["trained"]) ** (2 * torch.arange(len(resid)))
plots.lines(
    range(len(resid) - 1),
    {name: square.diff() / square.diff().mean() for name, square in squares.items()},
    x_title="layer",
    y_title="added to the squared norm, average 1",
)

# %% [markdown]
# Untrained: nearly a walk. Trained: much, little, then much again, which is neither. With two free numbers and little growth, either fit can look good.
#
# ## Who grows?
#
# The squared norm's growth splits exactly: the square of what the layer adds, plus twice its dot product with what was there.

# %%
for name, stack in {"trained": resid[:, :, 1:], "untrained": resid_untrained[:, :, 1:]}.items():
    write = stack.diff(dim=0)
    size = write.square().sum(-1).mean((1, 2))
    along = 2 * (write * stack[:-1]).sum(-1).mean((1, 2))
    print(f"{name:>9}, size of the write:", *(f"{x:6.1f}" for x in size))
    print(f"{'':>9}  along the stream: ", *(f"{x:6.1f}" for x in along))
puzzle.recall("the story")

# %% [markdown]
# What is left of your story?
# On `mini-deep` the first layer's growth is a large write. The last one's is agreement: most of it lies along what is there.
#
# ## And the weights?
#
# Millidge and Winsor (2023) report that in GPT-2 models the weights that write grow with depth, and those that read do not.
# A reading weight acts together with its LayerNorm's gain: double one, halve the other, and nothing happens.
# So fold the gain in before you measure. Writing weights have none: pass ones. One line.


# %% stub="weight_norms"
def weight_norms(W: Float[Tensor, "layer d_in d_out"], gain: Float[Tensor, "layer d_in"]) -> Float[Tensor, "layer"]:
    """Frobenius norm of each layer's W, its rows multiplied by the gain. W [layer, d_in, d_out], gain [layer, d_in]; [layer]."""
    ### BEGIN SOLUTION
    return (gain[:, :, None] * W).flatten(1).norm(dim=1)
    ### END SOLUTION


# %% check="weight_norms"
puzzle.check("weight_norms", weight_norms)
### BEGIN HIDDEN TESTS
puzzle.grade("weight_norms", weight_norms)
### END HIDDEN TESTS

# %%
for name, m in {"trained": model, "untrained": untrained}.items():
    W_O = m.W_O.flatten(1, 2)  # heads side by side: [layer, head * d_head, d_model]
    gain = torch.stack([block.ln2.weight for block in m.blocks])
    rows = {
        "W_O writes": weight_norms(W_O, torch.ones(W_O.shape[:2])),
        "W_out writes": weight_norms(m.W_out, torch.ones(m.W_out.shape[:2])),
        "W_in reads": weight_norms(m.W_in, gain),
    }
    for what, row in rows.items():
        print(f"{name:>9}, {what:>12}:", *(f"{x:5.1f}" for x in row))

# %% [markdown]
# On `mini-deep` nothing here grows steadily with depth: the published finding is absent.
# Along *training*, `W_out` nearly doubled and `W_in` hardly grew. But `W_out` was drawn four times smaller: in squares, layers 4 to 6 of both gained alike.
#
# ## What LayerNorm does not reset
#
# Intervene: double the stream after a layer. Then do so again, and double all later writes as well. What will the loss do?


# %% open="scaled-loss"
def loss_when_scaled(layer, factor, later=False):
    def scale(x, hook):
        return x * factor

    hooks = [(f"blocks.{layer}.hook_resid_post", scale)]
    for after in range(layer + 1, model.cfg.n_layers) if later else ():
        hooks += [(f"blocks.{after}.hook_{part}_out", scale) for part in ("attn", "mlp")]
    return model.run_with_hooks(few, return_type="loss", fwd_hooks=hooks).item()


# %%
print(f"untouched: {loss_when_scaled(0, 1):.3f}")
for layer in (0, 3, 6, 7):
    alone, together = loss_when_scaled(layer, 2), loss_when_scaled(layer, 2, later=True)
    print(f"doubled after layer {layer}: {alone:.3f}, with all later writes doubled too: {together:.3f}")

# %% [markdown]
# The common scale is free. The scale of the old against the new is not: each later write counts for less in a larger stream.
#
# ## Explain
#
# A colleague shows you a 12-layer model: "Its norms grow by 1.1 a layer, exponentially. So training wants growth."
# Answer in three to five sentences: which null you would try, what would convince you of an exponential, and what growth can do although LayerNorm resets every reader.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# First I measure the same architecture untrained, and a walk of twelve equal independent steps: both grow, and a fitted rate near 1.1 is what such a walk gives by itself.
# An exponential needs a ratio per layer that does not fall with depth, over much growth, wherever the fit starts, and a walk that misses by more on the same scale.
# Then I split the growth into the size of the writes and their agreement with the stream, since both can make it.
# LayerNorm removes the common scale, not the ratio of an old part to a new one: in a larger stream every earlier part and every later write of the same size counts for less.
# Whether training wants that is another question, which a fit does not answer.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Growth alone is no finding. Independent writes of equal size make a random walk, whose squared norm grows by the same amount at every layer, and an untrained model very nearly does that. Over 48 layers a walk even has a fitted rate of about 1.03. What a walk cannot do is keep its growth per layer: the ratio falls towards 1, its excess like one over twice the depth.
#
# So hold every growth against the null that grows too, and ask for the shape, not the number. On real models, Heimersheim and Turner show stretches in which the logarithm is straight, over far more layers. Here neither shape fits: the trained stand-in is no exponential, for its ratio falls from 6 to 1.05, and no walk, for its writes agree with the stream, those of the last layers most.
#
# Why would a model bother? LayerNorm resets the length, not the mixture. A layer that writes in proportion to the stream is heard, and what is old fades beside it. Heimersheim and Turner favour this: what is in the stream is hard to cancel, but easy to overshadow by writing a little louder. They call it intuition, and nothing here shows it either: your intervention says that the mixture matters, not that training grew the stream for its sake.

# %% [markdown]
# ## Play
#
# Any factor, any layer. At which layer is the loss most sensitive? Is halving worse than doubling?

# %% open="play"
layers = range(model.cfg.n_layers)
losses = {f"times {factor}": [loss_when_scaled(layer, factor) for layer in layers] for factor in (0.5, 2, 4)}
plots.lines(layers, losses, x_title="scaled after layer", y_title="loss, nats")

# %% [markdown]
# ## Where next
#
# - *Without LayerNorm*: then the stream's length is heard after all.
# - *Freeze the norm*: attributions that do not add up for the same reason.
#
# The finding and the figure for GPT-2 XL are Stefan Heimersheim's and Alex Turner's (Residual stream norms grow exponentially over the forward pass, 2023).
# That on weights is Beren Millidge's and Eric Winsor's (Basic facts about language model internals, 2023).
