# %% [markdown]
# # Meaningful zero
#
# A small language model guesses 16 % of the next tokens right.
# Set the output of one attention head to zero: 4 % are left. No other head costs as much.
# Now give that head's output *on another text* instead: 16 % again.
#
# So the model cannot do without this head, and does not care what it reads.
#
# **What does switching a component "off" mean?**
#
# You will switch heads off in three ways, and see what each says.
#
# *40 minutes. You need to know what an attention head and a hook are. Guesses are never marked.*

# %%
import inspect
import textwrap

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("meaningful_zero")
model = load_model("mini-neo")
source = inspect.getsource(textwrap)  # a module of Python's library, cut into 40 texts of 64 tokens
tokens = model.to_tokens([source[i : i + 400] for i in range(0, 16_000, 400)])[:, :64]


# %%
def logits(model, tokens, site=(0, 0), swap=lambda z: z):
    def edit(z, hook):  # z is [batch, pos, head, d_head]; the begin token keeps its own
        z[:, 1:, site[1]] = swap(z[:, 1:, site[1]])

    hooked = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{site[0]}.attn.hook_z", edit)])
    return hooked[:, 1:-1].flatten(0, 1)


# %%
intact, answers = logits(model, tokens), tokens[:, 2:].flatten()
swaps = {"zero": torch.zeros_like, "other text": lambda z: z.roll(20, 0)}  # 20 texts further on
right = {"intact": {}, "zero": {}, "other text": {}}
for site in ((0, 0), (0, 1), (1, 0), (1, 1)):
    tries = {"intact": intact, **{name: logits(model, tokens, site, swap) for name, swap in swaps.items()}}
    for name, says in tries.items():
        right[name]["head {}.{}".format(*site)] = float((says.argmax(1) == answers).float().mean())
plots.bars(right, y_title="next tokens guessed right")

# %% [markdown]
# ## Commit
#
# Why does head 0.0 cost so much at zero, so little on another text?
#
# - `"alike"`: the 40 texts are so alike that any of them will do.
# - `"backup"`: when this head misreads, the other head of its layer makes up for it.
# - `"unfamiliar"`: the rest never saw zeros; anything it never saw would do the same.
# - `"constant"`: the head writes much the same vector, whatever it reads.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Three ways to be off
#
# Let `acts` hold a head's output, one row for each use of it.
#
# - `"zero"`: every row becomes zeros.
# - `"mean"`: every row becomes the average row.
# - `"resample"`: row `i` becomes what row `donor[i]` was.
#
# **Your turn**, about five lines. The donors are given.


# %% stub="ablate"
def ablate(acts: Float[Tensor, "n d_head"], kind, donor: Int[Tensor, "n"]) -> Float[Tensor, "n d_head"]:
    """acts, [n, d_head], switched off; kind: "zero", "mean" or "resample"; donor: n row numbers."""
    ### BEGIN SOLUTION
    if kind == "zero":
        return torch.zeros_like(acts)
    if kind == "mean":
        return acts.mean(0).expand_as(acts)
    return acts[donor]
    ### END SOLUTION


# %% check="ablate"
puzzle.check("ablate", ablate)
### BEGIN HIDDEN TESTS
puzzle.grade("ablate", ablate)
### END HIDDEN TESTS

# %% [markdown]
# The price: by how many nats does the right answer's log-probability drop, on average? About two lines.


# %% stub="ablation_effect"
def ablation_effect(before: Float[Tensor, "n d_vocab"], after: Float[Tensor, "n d_vocab"], answers: Int[Tensor, "n"]):
    """Mean drop of the answers' log-probability, nats; logits are [n, d_vocab], answers [n]."""
    ### BEGIN SOLUTION
    rows = torch.arange(len(answers))
    return (before.log_softmax(1) - after.log_softmax(1))[rows, answers].mean()
    ### END SOLUTION


# %% check="ablation_effect"
puzzle.check("ablation_effect", ablation_effect)
### BEGIN HIDDEN TESTS
puzzle.grade("ablation_effect", ablation_effect)
### END HIDDEN TESTS

# %% [markdown]
# Zero costs head 0.0 about 1.4 nats. What does `"mean"` cost it? A number between -1 and 5; it becomes a line.

# %% open="predict-mean"
puzzle.predict("mean cost of head 0.0", ..., because="", sure=...)


# %%
def cost(kind, layer, head, model=model, tokens=tokens, before=intact):
    n, pos = tokens[:, 1:].shape
    donor = torch.arange(n * pos).view(n, pos).roll(n // 2, 0).flatten()  # another text, same position

    def swap(z):
        return ablate(z.flatten(0, 1), kind, donor).reshape(z.shape)

    after = logits(model, tokens, (layer, head), swap)
    return float(ablation_effect(before, after, tokens[:, 2:].flatten()))


# %%
KINDS, HEADS = ("zero", "mean", "resample"), ((0, 0), (0, 1), (1, 0), (1, 1))
costs = {kind: {f"head {la}.{he}": cost(kind, la, he) for la, he in HEADS} for kind in KINDS}
puzzle.recall("mean cost of head 0.0", found=costs["mean"]["head 0.0"])
plots.bars(costs, y_title="cost, nats", prediction=puzzle.prediction("mean cost of head 0.0"))

# %% [markdown]
# The ranking turns over. In layer 1 another text is *worse* than zeros: so much for `"alike"`.
#
# ## Where does zero lie?

# %%
z = model.run_with_cache(tokens)[1]["blocks.0.attn.hook_z"][:, 1:]  # [batch, pos, head, d_head]
both = logits(model, tokens, (0, [0, 1]), lambda z: z.roll(20, 0))
print(f"both heads read another text: {ablation_effect(intact, both, answers):.2f} nats")
always = z[:, :, 0].mean((0, 1))
share = always.square().sum() / z[:, :, 0].square().sum(-1).mean()
print(f"share of the mean in head 0.0's square: {share:.2f}")
cosine = torch.cosine_similarity(always @ model.W_O[0, 0], model.W_E.mean(0), dim=0)
print(f"cosine of what it always writes with the mean embedding: {cosine:.2f}")

# %% [markdown]
# Nobody is left for `"backup"`.
# `mini-neo` was given a common offset in its embedding; this head writes nearly the opposite, in every use.
#
# Freeze a head at `t` times its mean: 0 is zero ablation, 1 is mean ablation.


# %%
def frozen_at(t, site):
    def freeze(z):
        return (t * z.mean((0, 1))).expand_as(z)

    return float(ablation_effect(intact, logits(model, tokens, site, freeze), answers))


times = [step / 2 for step in range(-2, 5)]
curves = {f"head {site[0]}.0": [frozen_at(t, site) for t in times] for site in ((0, 0), (1, 0))}
plots.lines(times, curves, x_title="t, times the mean", y_title="cost, nats")

# %% [markdown]
# Zero is one point on this line, far from anything head 0.0 says; twice the mean is as far off on the other side.
# And in other directions?


# %%
def off_along(way):
    point = always + always.norm() * way / way.norm()
    says = logits(model, tokens, (0, 0), lambda z: point.expand_as(z))
    return float(ablation_effect(intact, says, answers))


ways = torch.randn(8, len(always), generator=torch.Generator().manual_seed(0))
spent = [off_along(way) for way in ways]
print(f"as far off as zero, 8 random directions: {min(spent):.2f} to {max(spent):.2f} nats")

# %% [markdown]
# ## The same model, another zero
#
# If the head always says `always`, someone else can.
# Take it out of the head's own bias, and add what it wrote to the bias of the layer.

# %%
twin = load_model("mini-neo")
attn = twin.blocks[0].attn
attn.v.bias[: len(always)] -= always  # attention sums to one, so each output of head 0.0 moves by this
attn.o.bias += always @ attn.W_O[0]
twin_intact = logits(twin, tokens)
change = (twin_intact.log_softmax(1) - intact.log_softmax(1)).abs().max()
print(f"largest change of a log-probability: {change:.5f}")
for kind in KINDS:
    in_twin = cost(kind, 0, 0, model=twin, before=twin_intact)
    print(f"head 0.0, {kind:>8}: {costs[kind]['head 0.0']:.3f} in the model, {in_twin:.3f} in its twin")
puzzle.recall("the story")

# %% [markdown]
# No prediction moved. Zero's verdict fell to the mean's, which stayed.
# `"unfamiliar"` is half of the answer: other points as far off are dear too. Why another text is cheap it does not say; `"constant"` does.
#
# Tools do this too: TransformerLens' compatibility mode moves value biases, a little here.

# %%
folded = load_model("mini-neo")
folded.enable_compatibility_mode(disable_warnings=True)
start = logits(folded, tokens)
print("folded:", {kind: f"{cost(kind, 0, 0, model=folded, before=start):.3f}" for kind in KINDS})

# %% [markdown]
# So test your measures: move all outputs of a head by one vector, as in the twin.
# A number that stays is about the `"points"`; one that changes is about the `"origin"`.

# %% stub="measured_from"
# norm, cosine, difference, distance, nearest by cosine, variance, zero effect, mean effect
measured_from = ...  # a list in this order: "points" or "origin" for each
if measured_from is ...:
    ### BEGIN SOLUTION
    measured_from = ["origin", "origin", "points", "points", "origin", "points", "origin", "points"]
    ### END SOLUTION

# %% check="measured_from"
puzzle.check("measured_from", measured_from)
### BEGIN HIDDEN TESTS
puzzle.grade("measured_from", measured_from)
### END HIDDEN TESTS

# %% [markdown]
# ## A circuit whose truth is known
#
# Five hand-set heads and a bias add up to the logits of four answers. Yours are drawn from your name.
# One carries most of what is known about the answer. Which?

# %% open="variant"
heads, W_O, b, truth = puzzle.variant("your name")
print("heads [n, head, d_head]:", list(heads.shape), " W_O [head, d_head, answer]:", list(W_O.shape))


# %%
def circuit(heads):
    return torch.einsum("nhd,hda->na", heads, W_O) + b


def circuit_cost(kind, head, donor):
    changed = heads.clone()
    changed[:, head] = ablate(heads[:, head], kind, donor)
    return float(ablation_effect(circuit(heads), circuit(changed), truth))


# %%
donor = torch.arange(len(truth)).roll(1)
in_circuit = {kind: {f"head {h}": circuit_cost(kind, h, donor) for h in range(5)} for kind in KINDS}
plots.bars(in_circuit, y_title="cost, nats")

# %% stub="carrier"
carrier = ...  # the head's number
if carrier is ...:
    ### BEGIN SOLUTION
    drops = []
    for number in range(5):
        frozen = heads.clone()
        frozen[:, number] = heads[:, number].mean(0)
        drops.append(
            (circuit(heads).log_softmax(1) - circuit(frozen).log_softmax(1))[torch.arange(len(truth)), truth].mean()
        )
    carrier = int(torch.stack(drops).argmax())
    ### END SOLUTION

# %% check="carrier"
puzzle.check("carrier", carrier)
### BEGIN HIDDEN TESTS
puzzle.grade("carrier", carrier)
### END HIDDEN TESTS

# %% [markdown]
# Two controls are in the picture. The tallest zero belongs to a pure bias: by mean and resampling it costs nothing.
# The carrier's own mean is zero: there zero and mean agree.
#
# ## Why resampling costs more
#
# Resampling takes something away *and* brings something wrong.
# How much, on average over all donors? Slow and right, in squared changes of what is read along `readout`:


# %%
def slow_resample_effect(acts, readout):
    squares = []
    for i in range(len(acts)):
        for j in range(len(acts)):
            if i != j:  # nobody gives to itself
                squares.append(((acts[j] - acts[i]) @ readout) ** 2)
    return sum(squares) / len(squares)


readouts = W_O[:, :, 1] - W_O.mean(2)  # favours answer 1 over the average answer
print(f"{slow_resample_effect(heads[:8, carrier], readouts[carrier]):.3f} on the carrier's first 8 rows")

# %% [markdown]
# **Your turn**, one line, no loop and no n-by-n matrix.


# %% stub="expected_resample_effect"
def expected_resample_effect(acts: Float[Tensor, "n d_head"], readout: Float[Tensor, "d_head"]):
    """Mean squared change of acts @ readout over all ordered pairs of two different rows; a number."""
    ### BEGIN SOLUTION
    return 2 * (acts @ readout).var()
    ### END SOLUTION


# %% check="expected_resample_effect"
puzzle.check("expected_resample_effect", expected_resample_effect)
### BEGIN HIDDEN TESTS
puzzle.grade("expected_resample_effect", expected_resample_effect)
### END HIDDEN TESTS

# %%
for head in range(5):
    read = heads[:, head] @ readouts[head]
    zero, mean, square = (read**2).mean(), ((read - read.mean()) ** 2).mean(), read.mean() ** 2
    resample = expected_resample_effect(heads[:, head], readouts[head])
    print(f"head {head}: zero {zero:6.3f}, mean {mean:.3f}, constant {square:6.3f}, resample {resample:.3f}")

# %% [markdown]
# Check by eye: zero is the mean's effect *plus the constant's square*; resample is twice the mean's, times n/(n-1).
# That is for squares and a linear reader. In nats it varies.
#
# ## The tempting mistake
#
# Who gives to whom? Here each row receives from one with the *same answer*. What will the carrier cost?

# %%
same = torch.zeros_like(donor)
for answer in range(4):
    rows = (truth == answer).nonzero().flatten()
    same[rows] = rows.roll(1)
for name, who in (("any donor", donor), ("same answer", same)):
    print(f"{name:>11}: {circuit_cost('resample', carrier, who):z.2f} nats")

# %% [markdown]
# The donors bring the information back, and the carrier looks idle.
#
# ## Try to break it
#
# Is the mean the right zero, then? A head says +1 or -1 by coin toss. One reader squares it; another multiplies it with a second head, which always agrees.

# %%
coin = torch.randint(2, (2000, 1), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
for kind in KINDS:
    off = ablate(coin, kind, torch.arange(2000).roll(1))
    squared, product = ((off**2 - 1) ** 2).mean(), ((off * coin - 1) ** 2).mean()
    print(f"{kind:>8}: squared change {squared:.2f} for the square, {product:.2f} for the product")

# %% [markdown]
# Both readers always see 1, so the coin tells them nothing.
# Still the mean hurts the square, for the head is *never* at its mean. Resampling hurts the product most: it breaks the agreement.
# No kind is right for all. Each is a counterfactual: say which.
#
# ## Other models
#
# The control: where a head's mean is small, zero and mean should lie close. On GPT-2 itself, allow some minutes.

# %%
gpt2 = load_model("gpt2", fallback="mini-gpt2")
code = gpt2.to_tokens([source[i : i + 400] for i in range(0, 6_400, 400)])[:, :64]
start, some = logits(gpt2, code), [(la, he) for la in (0, 1) for he in range(gpt2.cfg.n_heads)]
in_gpt2 = {kind: {f"L{la}H{he}": cost(kind, la, he, gpt2, code, start) for la, he in some} for kind in KINDS}
z = gpt2.run_with_cache(code)[1]["blocks.0.attn.hook_z"][:, 1:]
shares = z.mean((0, 1)).square().sum(-1) / z.square().sum(-1).mean((0, 1))
print("share of the mean in the heads of layer 0:", [f"{share:.2f}" for share in shares])
plots.bars(in_gpt2, y_title="cost, nats", x_title="head")

# %% [markdown]
# In `mini-gpt2`, which was given no offset, a tenth of a head's square is constant. Zero costs up to 1.4 times the mean, not fifty. Close heads change places from text to text.
#
# ## Explain
#
# A colleague zeroes a head, sees the loss double and writes: "This head is the most important one."
# Answer in three to five sentences: what the number mixes, which experiment would part it, and when zero is a fair choice.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Zeroing removes two things: what the head says about this text, and the constant that it says in every text.
# The constant could be moved into a bias without changing a prediction, and the number would change with it, so it is no property of the function.
# Mean ablation, or resampling from other texts, keeps the constant and removes the information; if both cost little, the head was a bias.
# Zero is fair where it is a state of the head, or where its mean is zero, or where I really ask what deleting the head would do.
# The mean may be a state that never occurs, and resampling breaks what heads agree on, so I report which counterfactual I took and over which texts.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Off is not a point of the space. Zero is where the coordinates happen to start; the mean is where these texts happen to lie; another text's output is a state that the head really has. They answer three questions: what if the head and its constant were gone, what if it said what it says on average, what if it had read something else?
#
# In mini-neo the first layer's heads write a constant against the offset of the embedding, and little else that the loss would notice. Zero ablation takes that constant away and calls it the head. In a twin with the same predictions the constant stands in a bias, and zero costs a fiftieth.
#
# Head outputs form an affine space: differences mean something, the origin is chosen by whoever splits a sum into a head and a bias. Neel Nanda's answer to the first puzzle says in an aside that zero ablations are often not principled, and a commenter there speaks of torsors. Wang and others (2022) ablate by the mean over a reference distribution, Chan and others (2022) by resampling.

# %% [markdown]
# ## Play
#
# Make zero say what you like: move a head's outputs by any vector. The function stays.

# %% open="play"
layer, head, length = 1, 1, 5.0
moved, v = load_model("mini-neo"), torch.randn(32, generator=torch.Generator().manual_seed(0))
v *= length / v.norm()
moved.blocks[layer].attn.v.bias[32 * head : 32 * head + 32] += v
moved.blocks[layer].attn.o.bias -= v @ moved.W_O[layer, head]
now = logits(moved, tokens)
change = (now.log_softmax(1) - intact.log_softmax(1)).abs().max()
print(f"largest change of a log-probability: {change:.5f}")
for kind in KINDS:
    after = cost(kind, layer, head, moved, tokens, now)
    print(f"{kind:>8}: {costs[kind][f'head {layer}.{head}']:.3f} before, {after:.3f} after")

# %% [markdown]
# ## Where next
#
# *Bias without a home* meets the same freedom, between embedding and positions.
# Open problem 6.8 asks where one kind of ablation breaks a model and the others do not: you have found such a place.
