# %% [markdown]
# # Bias without a home
#
# GPT-2 and GPT-Neo have nearly the same size and the same tokenizer.
# Compare two tokens' embeddings in each: the mean cosine is near 0.3 in GPT-2, and above 0.9 in GPT-Neo.
# One keeps its tokens in a narrow cone, the other does not. Yet both predict text.
#
# **What does the difference tell you?**
#
# You will change this number, and watch whether the model notices.
#
# *35 minutes. You need to know from the first puzzle that a mean vector makes cosines high. Guesses are never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.geometry import cosine_histogram

puzzle = load_puzzle("bias_without_a_home")
gpt2 = load_model("gpt2", fallback="mini-gpt2")
neo = load_model("gpt-neo-125m", fallback="mini-neo")

# %%
text = '''
def most_common(words, least=2):
    """Count the words, and return those seen often enough."""
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    return [word for word in counts if counts[word] >= least]
'''


# %%
def mean_cosine(W):
    """The first puzzle's mean over all pairs of two different rows."""
    unit = torch.nn.functional.normalize(W.detach(), dim=1)
    return ((unit @ unit.sum(0)).mean().item() - 1) / (len(W) - 1)


def loss(model, logits):
    log_probs = logits[0, :-1].log_softmax(-1)
    return -log_probs.gather(-1, model.to_tokens(text)[0, 1:, None]).mean().item()


# %%
for model in (gpt2, neo):
    nats = loss(model, model(model.to_tokens(text)))
    print(f"{model.cfg.model_name:>12}: mean cosine {mean_cosine(model.W_E):.2f}, loss {nats:.2f}")

# %% [markdown]
# ## Commit
#
# - `"meaning"`: the model with the narrow cone tells tokens apart less well. Narrow GPT-2's cone, in whatever way, and its predictions suffer.
# - `"use"`: the model needs the shared vector in `W_E`. Take it out of `W_E`, in whatever way, and its predictions suffer.
# - `"nothing"`: the number says nothing about what the model computes. Some change moves it and no prediction.

# %% open="predict-difference"
puzzle.predict("the difference", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# What does the first layer read? Two rows, added: one for the token, one for its place. Spelt out:

# %%
tokens = gpt2.to_tokens(text)[0]
with torch.no_grad():
    slow = torch.stack([gpt2.W_E[token] + gpt2.W_pos[place] for place, token in enumerate(tokens)])
    _, cache = gpt2.run_with_cache(tokens[None])
print(f"largest difference from what layer 0 reads: {(slow - cache['resid_pre', 0][0]).abs().max():.0e}")

# %% [markdown]
# Every token stands at exactly one place, the begin token too: it has place 0.
# The layers see these sums and nothing else of the two matrices.
#
# **Your turn**, one line. Give every row of `W_E` the vector `v` such that no layer can notice.


# %% stub="move_offset"
def move_offset(
    W_E: Float[Tensor, "d_vocab d_model"], W_pos: Float[Tensor, "n_ctx d_model"], v: Float[Tensor, "d_model"]
):
    """New W_E and W_pos: v is moved from W_pos into W_E, shapes [d_vocab, d_model] and [n_ctx, d_model]."""
    ### BEGIN SOLUTION
    return W_E + v, W_pos - v
    ### END SOLUTION


# %% check="move_offset"
puzzle.check("move_offset", move_offset)
### BEGIN HIDDEN TESTS
puzzle.grade("move_offset", move_offset)
### END HIDDEN TESTS

# %% [markdown]
# Did a model change? Compare what it says.
# Take log-probabilities in nats, at every place, for every token, and report the worst change. One or two lines.


# %% stub="log_prob_gap"
def log_prob_gap(logits_a: Float[Tensor, "batch pos d_vocab"], logits_b: Float[Tensor, "batch pos d_vocab"]):
    """The largest change of any log-probability between two sets of logits, shape [batch, pos, d_vocab]; one number."""
    ### BEGIN SOLUTION
    return (logits_a.log_softmax(-1) - logits_b.log_softmax(-1)).abs().max()
    ### END SOLUTION


# %% check="log_prob_gap"
puzzle.check("log_prob_gap", log_prob_gap)
### BEGIN HIDDEN TESTS
puzzle.grade("log_prob_gap", log_prob_gap)
### END HIDDEN TESTS

# %% [markdown]
# ## Move the mean
#
# Now three models: `mini-untied` is `mini-gpt2` with a `W_U` of its own.
# Move each `W_E`'s mean into `W_pos`.


# %%
@torch.no_grad()
def logits_with(model, W_E, W_pos):
    """The model's logits on the text, with these two matrices in place of its own."""
    own = model.W_E.clone(), model.W_pos.clone()
    model.W_E.copy_(W_E), model.W_pos.copy_(W_pos)
    logits = model(model.to_tokens(text))
    model.W_E.copy_(own[0]), model.W_pos.copy_(own[1])
    return logits


# %%
models = {model.cfg.model_name: model for model in (gpt2, neo, load_model("mini-untied"))}
own, before, moved = {}, {}, {}
for name, model in models.items():
    own[name] = W_E, W_pos = model.W_E.detach().clone(), model.W_pos.detach().clone()
    before[name] = logits_with(model, W_E, W_pos)
    new_W_E, new_W_pos = move_offset(W_E, W_pos, -W_E.mean(0))
    moved[name] = logits_with(model, new_W_E, new_W_pos)
    print(f"{name:>12}: mean cosine {mean_cosine(W_E):.3f}, then {mean_cosine(new_W_E):z.3f}; ", end="")
    print(f"log-probs moved by {log_prob_gap(before[name], moved[name]):.2g},", end=" ")
    print(f"logits by {(before[name] - moved[name]).abs().max():.2g}")

# %% [markdown]
# The log-probabilities moved by rounding. What would you have concluded from raw logits?
# In a tied model `W_U` is `W_E` transposed, and moved with it.
# At each place every logit then changes by the same number, which softmax does not see.
# `mini-untied` kept its `W_U`: there not even the logits moved.
#
# LayerNorm's scale is computed from the sums. They stayed, so it stayed.
#
# ## Delete it
#
# The mean is the same in every row, so it tells no two tokens apart.
# Now subtract it from `W_E` and leave `W_pos` alone.
# By how many nats does the loss rise in GPT-Neo, or in its stand-in?

# %% open="predict-deleted"
puzzle.predict("rise in loss, mean deleted", ..., because="", sure=...)

# %% [markdown]
# With it, a control: leave the mean in, and add a random vector of the same length to every row.

# %%
noise = torch.Generator().manual_seed(0)
rises = {"mean moved": {}, "mean deleted": {}, "random vector added": {}}
for name, model in models.items():
    W_E, W_pos = own[name]
    mean, random = W_E.mean(0), torch.randn(8, W_E.shape[1], generator=noise)
    random *= mean.norm() / random.norm(dim=1, keepdim=True)
    losses = [loss(model, logits_with(model, W_E + v, W_pos)) for v in (-mean, *random)]
    after = loss(model, moved[name]), losses[0], sum(losses[1:]) / 8
    for change, nats in zip(rises, after, strict=True):
        rises[change][name] = nats - loss(model, before[name])

# %%
guess = puzzle.prediction("rise in loss, mean deleted")
puzzle.recall("rise in loss, mean deleted", found=rises["mean deleted"][neo.cfg.model_name])
plots.bars(rises, y_title="rise in loss, nats per token", prediction=guess)

# %% [markdown]
# Moving and deleting do the same to `W_E`. Only moving keeps the sums, and it has no bars to show.
# What do the others say? In `mini-gpt2`, a random shift of the same length does harm of the same order.
# In `mini-neo` both end near a uniform guess, 7.6 nats, and compare nothing.
# So the layers are tuned to where the sums lie. That the mean *does* something is not shown.
# `mini-untied` has next to nothing to delete.
#
# ## Turn one into the other
#
# You can take the mean out. You can also put one in.
# Find the `v` along GPT-2's own mean row that gives `W_E + v` the mean cosine of GPT-Neo. About seven lines.
# *No formula is needed: there is one unknown length, and `mean_cosine` tells you whether it is too short.*


# %% stub="offset_for"
def offset_for(W_E: Float[Tensor, "n d_model"], target) -> Float[Tensor, "d_model"]:
    """A vector v along the mean row of W_E for which W_E + v has this mean cosine; shape [d_model]."""
    ### BEGIN SOLUTION
    mean = W_E.mean(0)
    low, high = -1.0, 1000.0  # in mean rows: centred, and far out
    for _ in range(30):
        middle = (low + high) / 2
        too_far = mean_cosine(W_E + middle * mean) > target
        low, high = (low, middle) if too_far else (middle, high)
    return middle * mean
    ### END SOLUTION


# %% check="offset_for"
puzzle.check("offset_for", offset_for)
### BEGIN HIDDEN TESTS
puzzle.grade("offset_for", offset_for)
### END HIDDEN TESTS

# %%
name_2, name_neo = gpt2.cfg.model_name, neo.cfg.model_name
swapped, number = {}, {name_2: mean_cosine(own[name_2][0]), name_neo: mean_cosine(own[name_neo][0])}
for name, target in ((name_2, number[name_neo]), (name_neo, number[name_2])):
    swapped[name] = move_offset(*own[name], offset_for(own[name][0], target))
    gap = log_prob_gap(before[name], logits_with(models[name], *swapped[name]))
    print(f"{name}: mean cosine {mean_cosine(swapped[name][0]):.3f}, log-probs moved by {gap:.2g}")
histograms = [cosine_histogram(W) for W in (own[name_2][0], swapped[name_2][0], own[name_neo][0])]
plots.pair_histogram(*histograms, names=(name_2, f"{name_2}, v moved in", name_neo))

# %% [markdown]
# A model with GPT-Neo's number and GPT-2's predictions, all of them; and the reverse.
# `"meaning"` is dead. `"use"` was never about `W_E`, but about the sums. Does `"nothing"` hold for every model?
#
# ## Try to break it
#
# The trick needs a second matrix that is always added. Rotary models have none: asking for `W_pos` raises an error.
# Here are two, small, *untrained*, with random weights. Add `v` to `W_E`; there is nothing to take it from.

# %%
from transformer_lens import TransformerBridge, TransformerBridgeConfig

sizes = {"d_model": 64, "d_head": 32, "n_heads": 2, "n_layers": 2, "d_mlp": 256, "n_ctx": 64, "d_vocab": 2048}
vectors = {"random v": torch.randn(64, generator=torch.Generator().manual_seed(0)), "all-ones v": torch.ones(64)}
some_tokens = torch.arange(64)[None] * 31
rotary = {}
for norm in ("LN", "RMS"):
    cfg = TransformerBridgeConfig(
        **sizes, act_fn="gelu_new", normalization_type=norm, positional_embedding_type="rotary", seed=0
    )
    rotary[norm] = TransformerBridge.boot_native(cfg, tokenizer=None).eval()

# %%
for norm, model in rotary.items():
    W_E = model.W_E.detach().clone()
    with torch.no_grad():
        plain = model(some_tokens)
        for name, v in vectors.items():
            model.W_E.copy_(W_E + v)
            gap, cosine = log_prob_gap(plain, model(some_tokens)), mean_cosine(W_E + v)
            print(f"{norm:>3}, {name:>10}: mean cosine {cosine:.2f}, log-probs moved by {gap:.2g}")
        model.W_E.copy_(W_E)

# %% [markdown]
# A random `v` is noticed, as it should be. But look at the second line.
# LayerNorm subtracts from each vector the mean of its coordinates: the all-ones direction is free in *any* such model, and needs no home.
# RMSNorm subtracts nothing. There both escapes are closed, and the number may mean something.
#
# ## What stays?
#
# If not `W_E`'s mean, what can you compare between models? What all sums share. One line, no table of all sums.
# Its unit below is one token spread: how far the rows of `W_E` lie from their mean, on average.


# %% stub="shared_start"
def shared_start(
    W_E: Float[Tensor, "d_vocab d_model"], W_pos: Float[Tensor, "n_ctx d_model"]
) -> Float[Tensor, "d_model"]:
    """The mean of W_E[token] + W_pos[place] over every token at every place; shape [d_model]."""
    ### BEGIN SOLUTION
    return W_E.mean(0) + W_pos.mean(0)
    ### END SOLUTION


# %% check="shared_start"
puzzle.check("shared_start", shared_start)
### BEGIN HIDDEN TESTS
puzzle.grade("shared_start", shared_start)
### END HIDDEN TESTS

# %%
rows = {**own, f"{name_2}, v moved in": swapped[name_2], f"{name_neo}, v moved out": swapped[name_neo]}
for name, (W_E, W_pos) in rows.items():
    start = shared_start(W_E, W_pos).norm() / (W_E - W_E.mean(0)).norm(dim=1).mean()
    print(f"{name:>23}: mean cosine {mean_cosine(W_E):z.2f}, shared start {start:.2f} token spreads long")
puzzle.recall("the difference")

# %% [markdown]
# So the two models may well differ: one starts far out, wherever the vector is kept. In `mini-neo` we put it there.
# But you learn that from both matrices, never from one. It could have been the other way: `W_pos` may cancel what `W_E` holds.
# Nor is this the last word: all-ones changes the shared start, and no prediction.
#
# ## Explain
#
# A colleague says: "Our model's mean cosine is 0.96 and theirs 0.27, so ours wastes its embedding space. Let us centre `W_E`."
# Answer in three to five sentences: what the number can and cannot say, what centring would do, and in which model you would have to think again.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# With learned positions, any vector can be moved from `W_pos` into `W_E`: every sum of a token and a place stays, so every log-probability does, while the mean cosine goes wherever we like.
# So the number alone says nothing about what the model computes; at most it is a trace of how training began and what it favoured.
# Centring `W_E` alone deletes the vector instead of moving it, and the loss rises, because the layers are tuned to where the sums lie; add the mean to `W_pos` and nothing happens, good or bad.
# In a rotary model there is nowhere to move it, except along all-ones under LayerNorm; with RMSNorm neither way is open, and an offset may be part of the function.
# To compare two models, compare what their sums share.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# By itself, nothing about what the models compute. Both have learned absolute positions, and there a shared vector is free to live in either matrix, in any shares.
#
# The author of the question said as much: he had no good story why the two differ, thinks of the vector as a bias that may help to set LayerNorm's scale, and noted that in GPT-Neo it should be interchangeable with the mean of the position embeddings. That last sentence is what you tested. The rest nobody has shown.
#
# The lesson is older than language models: before you explain a number, ask which changes to the description leave the thing described alone. If the number moves under one of them, it describes your description. Physicists call such a freedom a gauge.
#
# What may the number still tell? How training chose among equals. It started somewhere, and weight decay prefers small matrices. In mini-neo the vector was put into W_E at the start. 1,500 steps shortened it by a fifth, and moved next to none of it into W_pos.

# %% [markdown]
# ## Play
#
# Algebra says that any cone is free. Arithmetic has about seven digits. Where do they part?

# %% open="play"
name, targets = name_2, (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999)
gaps = []
for target in targets:
    moved_in = move_offset(*own[name], offset_for(own[name][0], target))
    gaps.append(log_prob_gap(before[name], logits_with(models[name], *moved_in)))
cones = [f"cosine {target}" for target in targets]
plots.lines(cones, {name: gaps}, x_title="the cone", y_title="log-probs moved by, nats", log_y=True)

# %% [markdown]
# ## Where next
#
# - *Born or made*: is the similarity there at initialisation, or does training make it?
# - *Meaningful zero*: you deleted a vector and the loss rose. What does "off" mean?
#
# The question and both models' figures are Neel Nanda's (Mech Interp Puzzle 1, 2023).
