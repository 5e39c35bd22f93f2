# %% [markdown]
# # Any one can go
#
# A model of two attention layers reads 23 random tokens, then the same again.
# On the second showing nearly every guess is right. That is *induction*: find the token's first showing, say what followed.
#
# Now switch off heads of the second layer. Any one can go: at least 91 % stay right. All four: 1.5 %.
#
# **Which heads do induction, and how would you know that you are wrong?**
#
# Three instruments will name heads: ablation, attention patterns, weights. They will not agree.
#
# *45 minutes. You need to know attention heads, hooks and ablations. Guesses are never marked.*

# %%
import dataclasses
import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import gpt, recipes, tasks

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("induction_heads")
model, period = load_model("mini-induction"), 23
tokens = tasks.shown_twice(256, period, model.cfg.d_vocab, torch.Generator().manual_seed(0))


# %%
def off(layer, heads):
    def average(z, hook):  # z is [batch, pos, head, d_head]; the mean is over sequences, at each place
        z[:, :, heads] = z[:, :, heads].mean(0, keepdim=True)

    return [(f"blocks.{layer}.attn.hook_z", average)]


def share_right(hooks):
    guesses = model.run_with_hooks(tokens, fwd_hooks=hooks).argmax(-1)
    return float((guesses[:, period + 1 : -1] == tokens[:, period + 2 :]).float().mean())


# %%
off_now = {"none": [], "0": [0], "1": [1], "2": [2], "3": [3], "all": [0, 1, 2, 3]}
shares = {name: share_right(off(1, heads)) for name, heads in off_now.items()}
plots.bars(shares, x_title="heads of layer 1 that are off", y_title="share right")

# %% [markdown]
# ## Commit
#
# - `"spare"`: one head does it, and another steps in when that one is gone.
# - `"votes"`: several do it all the time, and fewer votes often suffice.
# - `"elsewhere"`: layer 0 does it, and layer 1 only passes it on.
#
# And what share of right guesses is lost without heads 0 *and* 1? It becomes a line.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-pair"
puzzle.predict("share lost without heads 0 and 1", ..., because="", sure=...)  # between 0 and 1

# %%
right = torch.zeros(2, 2, 2, 2)  # right[1, 0, 0, 1]: heads 0 and 3 are off
known = {tuple(heads): shares[name] for name, heads in off_now.items()}
for run in itertools.product((0, 1), repeat=4):
    heads = tuple(head for head in range(4) if run[head])
    right[run] = known[heads] if heads in known else share_right(off(1, heads))
runs = ["0", "1", "2", "3", "0 1", "0 2", "1 2", "0 1 2", "0 1 2 3"]
lost = {}
for run in runs:
    lost[run] = float(right[0, 0, 0, 0] - right[tuple(int(head in run) for head in "0123")])
guess = puzzle.prediction("share lost without heads 0 and 1")
puzzle.recall("share lost without heads 0 and 1", found=lost["0 1"])
plots.bars(lost, x_title="heads of layer 1 that are off", y_title="share right lost", prediction=guess)

# %% [markdown]
# The costs do not add up: a guess stays right until its margin is gone. Nor can a head step in for its neighbour: all four read the same stream at once.
#
# So a head needs two numbers: its cost while the others are on, and the most it costs in *any* context.
# About three lines.


# %% stub="costs"
def costs(right) -> Float[Tensor, "head cost"]:
    """What each head's absence costs: alone, and at most; shape [head, 2].

    right, shape [2] * n_heads: right[i, j, ...] is the share right, head 0 off if i is 1, and so on.
    Column 0: the drop when it goes while all others are on.
    Column 1: the largest drop when it goes, over all settings of the others.
    """
    ### BEGIN SOLUTION
    drops = [right.select(head, 0) - right.select(head, 1) for head in range(right.ndim)]
    return torch.stack([torch.stack([drop.flatten()[0], drop.max()]) for drop in drops])
    ### END SOLUTION


# %% check="costs"
puzzle.check("costs", costs)
### BEGIN HIDDEN TESTS
puzzle.grade("costs", costs)
### END HIDDEN TESTS

# %%
for head, (alone, at_most) in enumerate(costs(right)):
    print(f"L1H{head}: costs {alone:z.3f} alone, {at_most:z.3f} at most")


# %%
def margin(hooks):  # by how much the right token leads the best other one, in logits
    logits = model.run_with_hooks(tokens, fwd_hooks=hooks)[:, period + 1 : -1]
    target = tokens[:, period + 2 :, None]
    best_other = logits.scatter(-1, target, -torch.inf).amax(-1)
    return float((logits.gather(-1, target)[..., 0] - best_other).mean())


intact = margin([])
alone = ", ".join(f"{intact - margin(off(1, [head])):z.1f}" for head in range(4))
print(f"intact, the right token leads by {intact:.1f} logits; L1H0 to L1H3 alone cost {alone}")

# %% [markdown]
# Counted in right guesses, L1H2 and L1H3 look idle alone, and L1H3 in every context.
# In logits L1H2 costs a quarter of the margin, L1H3 nothing.
#
# ## Where do they look?
#
# Slow and right, for any tokens: how much attention goes to whatever followed the query's token on its first showing?


# %%
def slow_follow(pattern, tokens, queries):  # pattern is [batch, head, query_pos, key_pos]
    found = []
    for attention, row in zip(pattern, tokens.tolist()):
        found += [attention[:, query, row.index(row[query]) + 1] for query in queries]
    return torch.stack(found).mean(0)


cache = model.run_with_cache(tokens)[1]
print("layer 1, four sequences:", slow_follow(cache["pattern", 1][:4], tokens[:4], range(24, 47)))

# %% [markdown]
# When all is shown exactly twice, each target lies at a fixed distance. Use that, for three at once.
# About four lines.


# %% stub="head_scores"
def head_scores(pattern: Float[Tensor, "batch head query_pos key_pos"], period) -> Float[Tensor, "head target"]:
    """Mean attention from the second showing to three targets; shape [head, 3].

    pattern, shape [batch, head, query_pos, key_pos]: a begin token, `period` tokens, and the same again.
    Column 0, previous: the token just before. Column 1, duplicate: the same token, first shown.
    Column 2, induction: what followed it then. The mean is over the batch and all `period` queries.
    """
    ### BEGIN SOLUTION
    query = torch.arange(period + 1, 2 * period + 1)
    targets = (query - 1, query - period, query - period + 1)
    return torch.stack([pattern[:, :, query, target].mean((0, 2)) for target in targets], dim=1)
    ### END SOLUTION


# %% check="head_scores"
puzzle.check("head_scores", head_scores)
### BEGIN HIDDEN TESTS
puzzle.grade("head_scores", head_scores)
### END HIDDEN TESTS


# %%
def all_scores(model, tokens, period):
    cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith("hook_pattern"))[1]
    return torch.cat([head_scores(cache["pattern", layer], period) for layer in range(model.cfg.n_layers)])


names = [f"L{layer}H{head}" for layer in (0, 1) for head in range(4)]
columns = dict(zip(("previous", "duplicate", "induction"), all_scores(model, tokens, period).T))
bars = {name: dict(zip(names, column.tolist())) for name, column in columns.items()}
plots.bars(bars, x_title="head", y_title="mean attention")

# %% [markdown]
# The textbook picture: L0H1 looks one back, L1H0 to L1H2 look at what followed, and nobody in layer 0 does.
# But L1H1 looks hardest, L1H0 costs most. Attention is not yet a vote.
#
# Two controls must not show it: other weights, and tokens shown once.

# %%
untrained = load_model("mini-induction")
untrained.load_state_dict(gpt.GPT(recipes.RECIPES["mini-induction"]).state_dict(), strict=False)
once = tasks.shown_twice(256, 46, 65, torch.Generator().manual_seed(1))[:, :47]
for name, (who, what) in {"untrained": (untrained, tokens), "shown once": (model, once)}.items():
    print(f"{name}: highest induction score {all_scores(who, what, period)[:, 2].max():.3f}")

# %% [markdown]
# ## Who is wired to whom?
#
# A layer-1 head finds its target only if the *key* there says which token came before. Layer 0 has to write that.
#
# In row vectors, a query `x` and a key `y` score `x @ W_QK @ y`, with `W_QK = W_Q @ W_K.T`.
# The writer turns what it reads, `y`, into `y @ W_OV`, with `W_OV = W_V @ W_O`.
# **K-composition** is the Frobenius norm of the matrix that joins `x` to `y` *through the writer*, over the norms of `W_QK` and `W_OV`.
# About two lines.


# %% stub="k_composition"
def k_composition(
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    W_V: Float[Tensor, "d_model d_head"],
    W_O: Float[Tensor, "d_head d_model"],
):
    """How well the reader's keys (W_Q, W_K) hear the writer (W_V, W_O); one number from 0 to 1.

    W_Q, W_K and W_V are [d_model, d_head]; W_O is [d_head, d_model].
    """
    ### BEGIN SOLUTION
    W_QK, W_OV = W_Q @ W_K.T, W_V @ W_O
    return (W_QK @ W_OV.T).norm() / (W_QK.norm() * W_OV.norm())
    ### END SOLUTION


# %% check="k_composition"
puzzle.check("k_composition", k_composition)
### BEGIN HIDDEN TESTS
puzzle.grade("k_composition", k_composition)
### END HIDDEN TESTS

# %% [markdown]
# First: which head of layer 1 holds the strongest wire?

# %% open="predict-wire"
puzzle.predict("most strongly wired", ..., because="", sure=...)  # "L1H0", "L1H1", "L1H2" or "L1H3"


# %%
def wires(model):
    pairs = [(writer, reader) for writer in range(4) for reader in range(4)]
    W_Q, W_K, W_V, W_O = model.W_Q[1], model.W_K[1], model.W_V[0], model.W_O[0]
    return torch.tensor([k_composition(W_Q[r], W_K[r], W_V[w], W_O[w]) for w, r in pairs]).view(4, 4)


print(f"untrained: {wires(untrained).min():.3f} to {wires(untrained).max():.3f}; 1/8 is 1/sqrt(d_model)")
theirs = model.all_composition_scores("K")[0, :, 1]
print(f"largest difference from TransformerLens' scores: {(wires(model) - theirs).abs().max():.4f}")
puzzle.recall("most strongly wired", found=names[4:][wires(model).max(0).values.argmax()])
labels = {"rows": names[:4], "columns": names[4:], "y_title": "writer", "x_title": "reader"}
plots.heatmap(wires(model), colour_title="K-composition", **labels)

# %% [markdown]
# The strongest wire ends at the idle head. Chance is no excuse.
#
# Cut wires instead: let one writer vanish from the readers' keys only.


# %%
def cut(rows, writer, readers):
    site = "blocks.1.attn.hook_k"
    with model.hooks(fwd_hooks=off(0, [writer])):
        keys = model.run_with_cache(rows, names_filter=site)[1][site]

    def without_writer(k, hook):
        k[:, :, readers] = keys[:, :, readers]

    return [(site, without_writer)]


# %%
for writer in range(4):
    with model.hooks(fwd_hooks=cut(tokens, writer, [0, 1, 2, 3])):
        after = all_scores(model, tokens, period)[4:, 2]
    falls = ", ".join(f"{fall:z.2f}" for fall in columns["induction"][4:] - after)
    print(f"L0H{writer} cut from the keys: induction scores of L1H0 to L1H3 fall by {falls}")

# %% [markdown]
# Wires of 0.2, from L0H0 as much as from L0H1, carry induction. The one of 0.8 does not.
#
# ## What is the strongest wire for?
#
# A quarter of the training sequences never repeat: there, each token has four likely successors. Ask again on those.

# %%
recipe = dataclasses.replace(recipes.RECIPES["mini-induction"], batch=1024)
language = tasks.repeats(recipe, torch.Generator().manual_seed(0))[:256, :47]  # they never repeat
for name, row in {"random tokens": tokens, "random tokens, once": once, "language": language}.items():
    to_begin = model.run_with_cache(row)[1]["pattern", 1][:, :, 24:, 0].mean((0, 2))
    print(f"L1H0 to L1H3 to the begin token on {name}:", ", ".join(f"{x:.2f}" for x in to_begin))
said_once = model.run_with_cache(once)[1]["z", 1].mean(0)


def borrow(z, hook):  # L1H3 says what it says, on average, on random tokens shown once
    z[:, :, 3] = said_once[:, 3]


# %%
edits = {"intact": [], "L1H3 off": off(1, [3]), "the wire cut": cut(language, 3, [3])}
edits["L1H3 as on random tokens"] = [("blocks.1.attn.hook_z", borrow)]
for name, hooks in edits.items():
    log_probs = model.run_with_hooks(language, fwd_hooks=hooks)[:, 1:-1].log_softmax(-1)
    print(f"loss on language, {name}: {-log_probs.gather(-1, language[:, 2:, None]).mean():.2f} nats")

# %% [markdown]
# On random tokens without repeats the others rest at the begin token, L1H3 never.
# It tells the two kinds apart, and within either its mean replaces it without loss.
# "Idle" was a statement about your inputs, and about your way of switching off.
#
# ## Try to break it
#
# By its pattern L0H0 is no previous-token head. Yet ablation and weights both name it.

# %%
for head in range(4):
    stripes = [cache["pattern", 0][:, head].diagonal(-back, 1, 2)[:, 3:].mean() for back in (1, 2, 3)]
    print(f"L0H{head}: {share_right(off(0, [head])):.1%} right without it; attends", end=" ")
    print(", ".join(f"{stripe:.2f} {back} back" for back, stripe in enumerate(stripes, start=1)))

# %% [markdown]
# It looks *two* back. Why would induction want that?
# Keep pairs of neighbours, but reorder them: every other pair first, then the rest.
# Now the first of each pair has a new neighbour before it, the second its old one.

# %%
pairs = tokens[:, 1:23].reshape(-1, 11, 2)
mixed = torch.cat([pairs[:, ::2], pairs[:, 1::2]], dim=1).flatten(1)
in_pairs = torch.cat([tokens[:, :1], pairs.flatten(1), mixed], dim=1)
for name, hooks in {"intact": [], "L0H0 off": off(0, [0])}.items():
    with model.hooks(fwd_hooks=hooks):
        logits, seen = model.run_with_cache(in_pairs)
    for place, start in {"first": 25, "second": 26}.items():  # from the second pair on
        follow = slow_follow(seen["pattern", 1], in_pairs, range(start, 45, 2))[:3]
        print(f"{name}, attention from the {place} of a pair:", ", ".join(f"{x:.2f}" for x in follow))
    partner = (logits[:, 25:44:2].argmax(-1) == in_pairs[:, 26:45:2]).float().mean()
    print(f"{name}, right at the first of a pair: {partner:.0%}")

# %% [markdown]
# The textbook's induction head follows a token. These give a lone token less than 0.4 of their attention; if its neighbour matches too, more than half.
# Without L0H0 the neighbour hardly counts, and where only the token matches, the model guesses *better*.
#
# And is any one head spare? Instead of averaging, give it another sequence's output:


# %%
def swap(head):
    def another(z, hook):
        z[:, :, head] = z[:, :, head].roll(1, 0)

    return [("blocks.1.attn.hook_z", another)]


for head in (0, 1, 2):
    wrong = share_right(swap(head))
    print(f"L1H{head} averaged: {shares[str(head)]:.1%} right; from another sequence: {wrong:.1%}")
puzzle.recall("the story")

# %% [markdown]
# The others make up for any silent head and for a wrong L1H1 or L1H2, for a wrong L1H0 only half the time.
#
# ## Your own heads
#
# Eight hand-set heads read 14 tokens, repeated or shuffled in pairs. Label each by its target:
# `"previous"`, `"duplicate"`, `"sink"` (the begin token), `"induction"` (what followed the token),
# `"pair"` (the same, if the token before agrees too), `"position"` (13 back, whatever is there).

# %% open="variant"
repeated, on_repeated, shuffled, on_shuffled = puzzle.variant("your name or id")
print(head_scores(on_repeated, 14).round(decimals=2))

# %% stub="my_heads"
my_heads = ...  # a list of eight labels
### BEGIN SOLUTION
at = torch.arange(15, 29)
follows = [slow_follow(on_shuffled, shuffled, range(start, 29, 2)) for start in (15, 16)]
evidence = {
    "previous": on_repeated[:, :, at, at - 1].mean((0, 2)),
    "duplicate": on_repeated[:, :, at, at - 14].mean((0, 2)),
    "sink": on_repeated[:, :, at, 0].mean((0, 2)),
    "induction": follows[0],
    "pair": follows[1] - follows[0],
    "position": on_shuffled[:, :, at, at - 13].mean((0, 2)),
}
my_heads = [list(evidence)[best] for best in torch.stack(list(evidence.values())).argmax(0)]
### END SOLUTION

# %% check="my_heads"
puzzle.check("my_heads", my_heads)
### BEGIN HIDDEN TESTS
puzzle.grade("my_heads", my_heads)
### END HIDDEN TESTS

# %% [markdown]
# ## Other models
#
# `attn-only-2l` was trained on text and code. Two more that nobody trained to repeat:

# %%
for name in ("attn-only-2l", "toy-ioi", "mini-gpt2"):
    other = load_model(name, fallback="mini-induction")
    length = min(23, (other.cfg.n_ctx - 1) // 2)
    seen = tasks.shown_twice(32, length, other.cfg.d_vocab, torch.Generator().manual_seed(0))
    hits = (other(seen)[:, :-1].argmax(-1) == seen[:, 1:]).float().mean(0)
    best = all_scores(other, seen, length)[:, 2].max()
    right_then = hits[length + 1 :].mean()
    print(f"{other.cfg.model_name}: highest induction score {best:.2f}, {right_then:.0%} right")

# %% [markdown]
# ## Explain
#
# A colleague writes: "The head with the highest induction score costs 3 % when ablated, so it hardly matters. And its wire from the previous-token head is weak."
# In three to five sentences: what is wrong with each step, and which control shows it?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Three heads vote, and two of them mostly suffice, since a guess stays right until its margin is gone. So the cost of one alone says little: the same head costs more than half of all right guesses once another is gone.
# A score says where a head looks on these inputs, and a head that looks a fixed distance back, or needs two matching tokens, scores alike on plain repeats; shuffled repeats tell them apart.
# A composition score compares directions and divides sizes out: the strongest wire here serves another kind of sequence, so one has to cut the wire and see what is lost.
# And each verdict holds for these inputs and this way of switching off: a head may be idle on random tokens, and tell them from language.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# L1H0, L1H1 and L1H2 do induction together, by votes. L0H1 tells each place which token came before it, L0H0 which came two before, and the three match both: the token itself and the one before it. L1H3 tells random tokens from language.
#
# Every instrument was wrong once. Single ablation, counted in right guesses, called L1H2 idle. The pattern passed over L0H0, because nobody had asked about two back, and could not tell a token from a pair. The weights put L1H3 first. Ablation in all contexts still called L1H3 useless, because its inputs were all of one kind and the mean hides what hardly varies.
#
# So a claim about a head has a price list: which inputs, which way of switching off, in which context. To know that you are wrong, change one of them at a time. Nobody can change all of them; say which you did.
#
# One thing we did not find out: why training left three voters and not one.

# %% [markdown]
# ## Play
#
# One head's attention on one sequence, any period up to 23. Find the stripe, then shorten the period.

# %% open="play"
layer, head, length = 1, 0, 12
some = tasks.shown_twice(1, length, model.cfg.d_vocab, torch.Generator().manual_seed(0))
pattern = model.run_with_cache(some)[1]["pattern", layer][0, head]
places = [f"{pos}: {token}" for pos, token in enumerate(some[0].tolist())]
titles = {"x_title": "key", "y_title": "query", "colour_title": "attention"}
plots.heatmap(pattern, rows=places, columns=range(len(places)), **titles)

# %% [markdown]
# ## Where next
#
# - *Before the cliff*: which comes first in training, a head's score or its function?
# - *Understudies*: heads that really step in, from a later layer.
# - Problems 6.18 to 6.20: find such heads automatically.
#
# Induction heads and K-composition: Elhage et al. (2021), "A Mathematical Framework for Transformer Circuits". Heads in a large model: Olsson et al. (2022).
