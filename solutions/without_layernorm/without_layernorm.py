# %% [markdown]
# # Without LayerNorm
#
# What a language model says is read off a sum: embeddings and layers all add vectors to one stream.
# So take the stream apart, read each part alone, and add up the readings.
#
# With `mini-gpt2` the sum misses what the model says by more than the model ever says.
# With `mini-noln`, trained without LayerNorm, it is right to four decimals.
#
# **What is left to explain when LayerNorm is gone?**
#
# You will open the norm, count what the readings leave out, and then take the norm off for good.
#
# *45 minutes. You need to know what a residual stream, a LayerNorm and a hook are. Guesses are never marked.*

# %%
import math

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import TransformerBridge
from transformers import GPT2LMHeadModel

from mechpuzzles import load_model, load_puzzle, plots, zoo
from mechpuzzles.quiet import quietly
from mechpuzzles.zoo.corpus import package_source

# %%
puzzle = load_puzzle("without_layernorm")

# %%
torch.set_grad_enabled(False)
models = {name: load_model(name) for name in ("mini-gpt2", "mini-noln")}
gpt2, noln = models.values()
source = "".join(package_source("einops"))  # Python code that neither model was trained on
tokens = noln.to_tokens([source[i : i + 400] for i in range(0, 16_000, 2_000)])[:, :64]


# %%
def take_apart(model, tokens):
    """The parts of the last stream, [part, n, d_model], by name; and the logits, [n, d_vocab]."""
    logits, cache = model.run_with_cache(tokens)
    names = ["hook_embed", "hook_pos_embed"]
    for i in range(model.cfg.n_layers):
        names += [f"blocks.{i}.hook_attn_out", f"blocks.{i}.hook_mlp_out"]
    parts = torch.stack([cache[name].expand_as(cache["hook_embed"]) for name in names])
    return names, parts.flatten(1, 2), logits.flatten(0, 1)


# %%
for name, model in models.items():
    _, parts, logits = take_apart(model, tokens)
    weight_only = model.ln_final(parts) - model.ln_final.bias  # the bias is nobody's: count it once
    total = (weight_only.sum(0) + model.ln_final.bias) @ model.W_U
    print(f"{name}: {len(parts)} readings miss by {(total - logits).abs().max():.4f}, ", end="")
    print(f"the largest logit is {logits.abs().max():.1f}")

# %% [markdown]
# ## Commit
#
# Take one part out of `mini-noln`'s stream and run the rest. For which parts does the answer lose exactly what was read off them?
#
# - `"all"`: the readings add up, so each is its part's whole effect.
# - `"layer"`: the two parts of the second layer.
# - `"last"`: only the last MLP.
# - `"none"`: the parts work together, and no reading is an effect.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Open the norm
#
# LayerNorm does four things to a row: subtract its own mean, divide by the root of variance plus `eps`, multiply by a weight, add a bias.
# Three of them are the same for every row.
#
# **Your turn**, about three lines: the first two steps, kept apart.


# %% stub="split_norm"
def split_norm(x: Float[Tensor, "n d_model"], eps):
    """(rows of x minus their own means, [n, d_model]; what LayerNorm then divides each by, [n])."""
    ### BEGIN SOLUTION
    centred = x - x.mean(1, keepdim=True)
    return centred, (centred.square().mean(1) + eps).sqrt()
    ### END SOLUTION


# %% check="split_norm"
puzzle.check("split_norm", split_norm)
### BEGIN HIDDEN TESTS
puzzle.grade("split_norm", split_norm)
### END HIDDEN TESTS

# %%
for name, model in models.items():
    _, parts, _ = take_apart(model, tokens)
    divisor = split_norm(parts.sum(0), model.cfg.eps)[1]
    print(f"{name}: eps {model.cfg.eps:g}; the last norm's largest weight is", end=" ")
    print(f"{model.ln_final.weight.max():.2f}, and it divides by {divisor.min():.2f} to {divisor.max():.2f}")

# %% [markdown]
# So `mini-noln`'s files hold five LayerNorms all the same, in the layout of the published `gpt2_noLN`: an `eps` so large that no row matters, and weights a million times too large.
#
# ## Whose divisor?
#
# You read each part alone: centred, divided by *its own* divisor. In the model all parts share that of their sum. Repair it, about three lines.


# %% stub="direct_effects"
def direct_effects(
    parts: Float[Tensor, "part n d_model"],
    divisor: Float[Tensor, "n"],
    weight: Float[Tensor, "d_model"],
    bias: Float[Tensor, "d_model"],
    W_U: Float[Tensor, "d_model d_vocab"],
) -> Float[Tensor, "part_plus_1 n d_vocab"]:
    """What each part adds to the logits, given the shared divisor.
    The last row is what the bias adds, so that the rows sum to the logits."""
    ### BEGIN SOLUTION
    scaled = (parts - parts.mean(-1, keepdim=True)) / divisor[:, None] * weight
    return torch.cat([scaled, bias.expand_as(scaled[:1])]) @ W_U
    ### END SOLUTION


# %% check="direct_effects"
puzzle.check("direct_effects", direct_effects)
### BEGIN HIDDEN TESTS
puzzle.grade("direct_effects", direct_effects)
### END HIDDEN TESTS


# %%
def readings(model, part, stream):
    """The direct effects of one part of a stream, [n, d_vocab], and of the bias."""
    divisor = split_norm(stream, model.cfg.eps)[1].view(len(stream))  # one for each row, or an error
    return direct_effects(part[None], divisor, model.ln_final.weight, model.ln_final.bias, model.W_U)


for name, model in models.items():
    _, parts, logits = take_apart(model, tokens)
    each = [readings(model, part, parts.sum(0)) for part in parts]
    total = sum(of_part for of_part, _ in each) + each[0][1]
    print(f"{name}: the sum misses by {(total - logits).abs().max():.5f}")

# %% [markdown]
# Now `mini-gpt2` adds up as well. The sum proves nothing.
# So ask for more: is a reading what the part *does*? Take the part out, run again, and look at the change.
#
# How much of the change does the reading leave over?
# Sum of squares of change minus reading, over sum of squares of the change, all rows pooled.
# Softmax ignores a number added to a whole row, so first subtract each row's mean over the vocabulary, from both. About three lines.


# %% stub="left_over"
def left_over(change: Float[Tensor, "n d_vocab"], reading: Float[Tensor, "n d_vocab"]):
    """The share of the change that the reading leaves over; both [n, d_vocab]; one number."""
    ### BEGIN SOLUTION
    change = change - change.mean(1, keepdim=True)
    reading = reading - reading.mean(1, keepdim=True)
    return (change - reading).square().sum() / change.square().sum()
    ### END SOLUTION


# %% check="left_over"
puzzle.check("left_over", left_over)
### BEGIN HIDDEN TESTS
puzzle.grade("left_over", left_over)
### END HIDDEN TESTS

# %% [markdown]
# Your guess for the token embedding in `mini-noln`, a number from 0 to 2? It becomes a line.

# %% open="predict-embedding"
puzzle.predict("left over of the embedding", ..., because="", sure=...)


# %%
def left_over_of_each(model, tokens, off=torch.zeros_like):
    names, parts, logits = take_apart(model, tokens)
    left = {}
    for name, part in zip(names, parts, strict=True):
        without = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda x, hook: off(x))]).flatten(0, 1)
        reading = readings(model, part - off(part), parts.sum(0))[0]
        short = name.replace("hook_", "").replace("blocks.", "")
        left[short] = float(left_over(logits - without, reading))
    return left


# %%
left = {name: left_over_of_each(model, tokens) for name, model in models.items()}
puzzle.recall("left over of the embedding", found=left["mini-noln"]["embed"])
plots.bars(left, y_title="share left over", prediction=puzzle.prediction("left over of the embedding"))

# %%
puzzle.recall("the story")
for name, model in models.items():
    left = left_over_of_each(model, tokens, off=lambda x: x.flatten(0, -2).mean(0).expand_as(x))
    print(f"{name}, replaced by its mean:", *(f"{share:.2f}" for share in left.values()))

# %% [markdown]
# One bar went to zero: the last MLP, which nobody reads before the end.
# The embedding's reading says nothing of what the embedding does, although the readings add up. With the mean instead of zero it is the same.
# In `mini-gpt2` even the last bar stands: who leaves takes a share of the divisor along.
#
# ## What is left?
#
# Others read the embedding, and answer to it. What can bend on the way? Attention chooses where to look, GELU which units to let through.
# Turn the embedding's volume to 0, 1 and 2, while some of these choices are held as in the untouched run.
# If nothing bends, the answer at 1 is midway between the others.


# %%
def gate(x):  # GELU lets this share of x through
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def holding(model, held):
    cache, now, hooks = model.run_with_cache(tokens)[1], {}, []
    for i in range(model.cfg.n_layers) if "GELU" in held else ():
        hooks += [(f"blocks.{i}.mlp.hook_pre", lambda x, hook, i=i: now.update({i: x}))]
        hooks += [(f"blocks.{i}.mlp.hook_post", lambda x, hook, i=i: now[i] * gate(cache["pre", i]))]
    ends = {"patterns": "hook_pattern", "divisors": "hook_scale"}
    names = [name for name in cache for one, end in ends.items() if one in held and name.endswith(end)]
    return hooks + [(name, lambda x, hook: cache[hook.name]) for name in names]


# %%
def at_volume(model, t, hooks, name="hook_embed"):
    logits = model.run_with_hooks(tokens, fwd_hooks=[(name, lambda x, hook: t * x), *hooks])
    return logits - logits.mean(-1, keepdim=True)


CHOICES = ("patterns", "GELU")
for held in ((), ("patterns",), ("GELU",), CHOICES, (*CHOICES, "divisors")):
    print(f"{' and '.join(held) or 'nothing'} held:")
    for name, model in models.items():
        hooks = holding(model, held)
        low, mid, high = (at_volume(model, t, hooks) for t in (0, 1, 2))
        print(f"  {name}: a logit is off by {((low + high) / 2 - mid).abs().max():.5f}")

# %%
volumes, answers = [t / 4 for t in range(9)], tokens[:, 1:, None]
curves = {}
for held, note in (((), ""), (CHOICES, ", patterns and GELU held")):
    for name, model in models.items():
        hooks = holding(model, held)
        logits = [at_volume(model, t, hooks)[:, :-1] for t in volumes]
        curves[name + note] = [one.gather(2, answers).mean() for one in logits]
plots.lines(volumes, curves, x_title="volume of the embedding", y_title="mean logit of the right token")

# %% [markdown]
# With both held, `mini-noln` is one straight line from embedding to answer; with either free, it bends. `mini-gpt2` needs its five divisors held too.
# This is left: *why* attention looks there, and why these units are on.
#
# ## Take it off
#
# A norm with a fixed divisor is a matrix and a bias. Whoever reads through it can swallow both.
# **Your turn**: the reader computes `norm(x) @ W + b`, where `norm` takes all four steps, with the variance left out. Write it as `x @ new_W + new_b`. About three lines.


# %% stub="fold"
def fold(
    W: Float[Tensor, "d_model d_out"],
    b: Float[Tensor, "d_out"],
    weight: Float[Tensor, "d_model"],
    bias: Float[Tensor, "d_model"],
    eps,
):
    """(new_W, new_b), shaped like W [d_model, d_out] and b [d_out]; the norm's weight and bias [d_model]."""
    ### BEGIN SOLUTION
    scaled = (weight / math.sqrt(eps))[:, None] * W
    return scaled - scaled.mean(0), b + bias @ W
    ### END SOLUTION


# %% check="fold"
puzzle.check("fold", fold)
### BEGIN HIDDEN TESTS
puzzle.grade("fold", fold)
### END HIDDEN TESTS


# %%
def from_files(name, eps):
    with quietly():
        hf = GPT2LMHeadModel.from_pretrained(zoo.directory(name), dtype=torch.float32).eval()
    hf.config.layer_norm_epsilon = eps
    return hf


def boot(name, hf):
    with quietly():
        return TransformerBridge.boot_transformers(str(zoo.directory(name)), hf_model=hf, device="cpu")


# %%
def with_identities(name, eps):
    hf, eps = from_files(name, 1e-5), iter(eps)  # one for each norm
    for block in hf.transformer.h:
        for norm, reader in ((block.ln_1, block.attn.c_attn), (block.ln_2, block.mlp.c_fc)):
            new = fold(reader.weight, reader.bias, norm.weight, norm.bias, next(eps))
            reader.weight.data, reader.bias.data = new
    last, W_U = hf.transformer.ln_f, hf.lm_head.weight.T
    hf.lm_head = torch.nn.Linear(*W_U.shape)  # no longer the embedding's matrix
    W_U, b_U = fold(W_U, torch.zeros(W_U.shape[1]), last.weight, last.bias, next(eps))
    hf.lm_head.weight.data, hf.lm_head.bias.data = W_U.T.contiguous(), b_U
    return remove_norms(boot(name, hf))


# %%
def norms(model):
    return [norm for block in model.blocks for norm in (block.ln1, block.ln2)] + [model.ln_final]


def remove_norms(model):
    for norm in norms(model):
        norm.set_original_component(torch.nn.Identity())
        norm.use_native_layernorm_autograd = True  # else the bridge norms by itself
    return model


# %%
def gap(model, like=noln):
    return (model(tokens).log_softmax(-1) - like(tokens).log_softmax(-1)).abs().max()


bare = with_identities("mini-noln", [1e12] * 5)
print(f"norms folded and removed: a log-probability changes by {gap(bare):.5f}")
random = torch.randn(64, generator=torch.Generator().manual_seed(0))
for name, v in {"at random": random, "(1, ..., 1)": torch.ones(64)}.items():
    push = 8 * v / v.norm()
    pushed = bare.run_with_hooks(tokens, fwd_hooks=[("hook_embed", lambda x, hook, push=push: x + push)])
    change = (pushed - bare(tokens)).abs().max()
    print(f"its embedding pushed along one direction, {name}: a logit changes by {change:.4f}")

# %% [markdown]
# The norms are gone, and no prediction moved. Centring has moved into the weights: all that read are blind to one direction.
#
# ## The tempting mistake
#
# Heimersheim's snippet for TransformerLens 2 kept the norms and set `eps` on them, since the library took `eps` from OpenAI's GPT-2.
# Suppose your config, too, says `1e-5`. In TransformerLens 4 the large `eps` can be put in four places. Which of them count?

# %%
places = {"config, before booting": boot("mini-noln", from_files("mini-noln", 1e12))}
for place in ("bridge.cfg", "norms of the bridge"):
    places[place] = boot("mini-noln", from_files("mini-noln", 1e-5))
places["bridge.cfg"].cfg.eps = 1e12
hf = from_files("mini-noln", 1e-5)
inside = [module for module in hf.modules() if isinstance(module, torch.nn.LayerNorm)]
for norm in (*norms(places["norms of the bridge"]), *inside):
    norm.eps = 1e12
places["norms of the Hugging Face model"] = boot("mini-noln", hf)
for name, model in places.items():
    print(f"{name:>31}: a log-probability changes by {gap(model):.0e}")

# %% [markdown]
# Only the first, and the others fail without a word. Models from `load_model` raise an error instead.
# And the obvious way to remove a norm?

# %%
obvious = boot("mini-noln", from_files("mini-noln", 1e12))
for block in obvious.blocks:
    block.ln1 = block.ln2 = torch.nn.Identity()
inside = dict(obvious.original_model.named_modules())
runs = next(type(module).__name__ for name, module in inside.items() if name.endswith("ln_1"))
print(f"largest change {gap(obvious):.5f}; shown {type(obvious.blocks[0].ln1).__name__}, run {runs}")

# %% [markdown]
# No gap, because nothing was removed. A test that cannot fail is no test.
#
# ## Try to break it
#
# Was training without norms needed? Give each norm of `mini-gpt2` its own average divisor, and fold.

# %%
cache = gpt2.run_with_cache(tokens)[1]
scales = [cache[f"blocks.{i}.{norm}.hook_scale"] for i in (0, 1) for norm in ("ln1", "ln2")]
scales += [cache["ln_final.hook_scale"]]
frozen = with_identities("mini-gpt2", [float(scale.square().mean()) for scale in scales])
losses = [float(model(tokens, return_type="loss")) for model in (gpt2, frozen, noln)]
print(f"loss: mini-gpt2 {losses[0]:.2f}, constant divisors {losses[1]:.2f}, mini-noln {losses[2]:.2f}")
print(f"largest change of a log-probability: {gap(frozen, gpt2):.0f}; from mini-gpt2 to mini-noln: {gap(gpt2):.0f}")

# %% [markdown]
# Not by the loss: constant divisors cost about 0.2 nats, as does training without norms.
# The published model was trained on while its norms were taken away (Heimersheim, 2024).
#
# And does the picture hold on other text, or on the published model itself?

# %%
other = [source[i : i + 120] for i in (60_000, 80_000)]
left = {}
for name, stand_in in (("gpt2", "mini-gpt2"), ("apollo-research/gpt2_noLN", "mini-noln")):
    model = load_model(name, fallback=stand_in)
    print(f"{model.cfg.model_name}: eps {model.cfg.eps:g}")
    left[model.cfg.model_name] = left_over_of_each(model, model.to_tokens(other)[:, :24])
plots.bars(left, y_title="share left over")

# %% [markdown]
# ## Explain
#
# A colleague reads the parts of a model without LayerNorm: "They add up to the logits exactly, so now we know what each part does."
# Answer in three to five sentences: what the sum shows, which experiment tests the claim, and what is left to explain.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The sum shows that the last step is linear; with a divisor that all parts share, it adds up for a model with LayerNorm too, so it is no evidence about what a part does.
# To test that, I take the part out, by zero and by its mean, run again, and hold the change against the reading.
# Without LayerNorm they agree for the last MLP only, because every other part is read by later ones.
# What is left are the choices: with attention's patterns and GELU's gates held fixed the model is linear, with either free it is not.
# LayerNorm's centring is left too, but it is linear and sits in the weights.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Nearly everything but the last step. A norm without its divisor is a matrix and a bias, which whoever reads through it can swallow. Then readings add up, and nothing has to be frozen.
#
# But they add up with LayerNorm too, once the parts share a divisor. What its absence buys is that the last reading survives an intervention: take the last MLP out, and the answer loses what was read off it, no more and no less. All earlier parts act through those that read them, and the sum cannot know.
#
# Hold attention's patterns and GELU's gates fixed, and the whole model is one affine map. So what is left to explain are the choices: where to look, and which units to let through. The norm was one bend of three, and the one spread over every reader. To lose it takes no training: mini-gpt2 with constant divisors predicts about as well as mini-noln.

# %% [markdown]
# ## Play
#
# Turn another part up and down; hold other choices. Which part of `mini-noln` is straight with nothing held?

# %% open="play"
part, held = "blocks.0.hook_attn_out", ("patterns",)
curves = {}
for name, model in models.items():
    hooks = holding(model, held)
    logits = [at_volume(model, t, hooks, part)[:, :-1] for t in volumes]
    curves[name] = [one.gather(2, answers).mean() for one in logits]
plots.lines(volumes, curves, x_title=f"volume of {part}", y_title="mean logit of the right token")

# %% [markdown]
# ## Where next
#
# - *Growing residuals*: what the divisor hides, and why a stream may grow.
# - *Freeze the norm*: attributions with the divisor, and without.
#
# The snippet is Stefan Heimersheim's, and so is the model (You can remove GPT2's LayerNorm by fine-tuning, 2024).
