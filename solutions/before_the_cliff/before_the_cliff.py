# %% [markdown]
# # Before the cliff
#
# `mini-induction` reads 23 random tokens, then the same again, and guesses nearly all of the second showing.
# One head, L0H1, looks at the token just before. Cut it from layer 1's keys, and half the guesses go wrong.
#
# In training the loss hardly moves for hundreds of steps. Then it falls off a cliff.
# Surely a head first learns to look one back, and then something comes to depend on it?
#
# **Which comes first, the head's score or its function?**
#
# You get three runs of a smaller relative, half as wide and trained at twice the rate, with nine checkpoints each.
# What would fool you: a bar chosen after looking, one lucky run, and a third thing, which you will meet.
#
# *40 minutes. You need to know what induction heads and ablations are. Guesses are never marked.*

# %%
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import onset as runs
from mechpuzzles.zoo import tasks

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("before_the_cliff")
period, steps = 23, runs.steps()
models = [[runs.load(step, seed) for step in steps] for seed in range(3)]
repeated = tasks.shown_twice(32, period, 65, torch.Generator().manual_seed(0))
late = torch.arange(period + 1, 2 * period + 1)  # the queries of the second showing


# %%
def reordered(seed):  # the same tokens, the second time in another order
    order = torch.rand(32, period, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return torch.cat([repeated[:, : period + 1], repeated[:, 1 : period + 1].gather(1, order)], dim=1)


texts = (repeated, reordered(1), reordered(2))
tokens = torch.cat(texts)


# %%
def cut(model, head, places=slice(None)):  # one head of layer 0 vanishes from layer 1's keys, and nothing else
    def average(z, hook):
        z[:, :, head] = z[:, :, head].mean(0)

    def without(k, hook):
        k[:, places] = keys[:, places]

    site = "blocks.1.attn.hook_k"
    with model.hooks(fwd_hooks=[("blocks.0.attn.hook_z", average)]):
        keys = model.run_with_cache(tokens, names_filter=site)[1][site]
    return [(site, without)]


# %%
today = load_model("mini-induction")
pattern = today.run_with_cache(repeated)[1]["pattern", 0]
print(f"L0H1 looks one back: {pattern[:, 1, late, late - 1].mean():.2f} of its attention")
for name, hooks in {"intact": [], "L0H1 cut": cut(today, 1)}.items():
    guesses = today.run_with_hooks(tokens, fwd_hooks=hooks).argmax(-1)[:32, late[:-1]]
    print(f"{name}: {(guesses == repeated[:, late[1:]]).float().mean():.1%} right")

# %% [markdown]
# ## Commit
#
# The *score* is the attention to the token before. The *function* is what cutting the head costs.
#
# - `"score"`: the head looks one back before anything depends on it.
# - `"function"`: something depends on it before it looks one back.
# - `"together"`: both within 120 steps, the spacing of the checkpoints.
#
# And how high is the score at the first checkpoint where half of the cliff is behind? It becomes a line.

# %% open="predict-order"
puzzle.predict("which comes first", ..., because="", sure=...)

# %% open="predict-score"
puzzle.predict("score at the cliff", ..., because="", sure=...)  # between 0 and 1

# %% [markdown]
# ## The cliff
#
# Averaged over everything it is half hidden. Take the part where something can be known. About two lines.


# %% stub="second_loss"
def second_loss(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Int[Tensor, "batch pos"], period
) -> Float[Tensor, "batch"]:
    """Mean loss on the second showing, in nats; shape [batch].

    tokens, shape [batch, pos]: a begin token, `period` tokens, and the same tokens again, in whatever order.
    logits, shape [batch, pos, d_vocab]: logits[:, i] are the guess of tokens[:, i + 1].
    The mean is over the last period - 1 tokens: which one starts the second showing, nobody can know.
    """
    ### BEGIN SOLUTION
    log_probs = logits[:, period + 1 : -1].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).mean(1)
    ### END SOLUTION


# %% check="second_loss"
puzzle.check("second_loss", second_loss)
### BEGIN HIDDEN TESTS
puzzle.grade("second_loss", second_loss)
### END HIDDEN TESTS

# %%
losses = {"first showing": [], "second showing": [], "second, in another order": []}
for model in models[0]:
    logits = model(tokens)
    first = -logits[:32, :period].log_softmax(-1).gather(-1, repeated[:, 1 : period + 1, None]).mean()
    again = [second_loss(part, text, period).mean() for part, text in zip(logits.chunk(3), texts)]
    for curve, loss in zip(losses.values(), [first, *again]):
        curve.append(float(loss))
plots.lines(steps, losses, x_title="step", y_title="loss, nats")

# %% [markdown]
# Two falls, not one. At first, here from step 120 to 480, the second showing is the easier one *in any order*:
# the model expects again whatever the text holds.
# That is no induction. Induction is the gap between the two curves of the second showing.
#
# So a head's function: **by how much does that gap shrink when the head is cut?**
# It can be more than ln 65 = 4.17 nats: who expects the right order loses on the wrong one, and the cut takes both away.
# The control: the same for two wrong orders, where there is nothing to know.


# %%
def worth(logits):  # [2, batch]: the right order's worth, and the control
    right, wrong, other = (second_loss(part, text, period) for part, text in zip(logits.chunk(3), texts))
    return torch.stack([wrong - right, other - wrong])


def measure(model, head):
    logits, cache = model.run_with_cache(tokens, names_filter=lambda name: "pattern" in name)
    effect = worth(logits) - worth(model.run_with_hooks(tokens, fwd_hooks=cut(model, head)))
    return effect, cache["pattern", 0][:32, head]


# %% [markdown]
# Which head? In each run, the one with the highest score in the end. This favours the score.

# %%
effect, patterns, heads = [], [], []
for checkpoints in models:
    attention = checkpoints[-1].run_with_cache(repeated)[1]["pattern", 0]
    heads.append(int(attention[:, :, late, late - 1].mean((0, 2)).argmax()))
    found = [measure(model, heads[-1]) for model in checkpoints]
    effect.append(torch.stack([both for both, _ in found]))
    patterns.append(torch.stack([pattern for _, pattern in found]))
effect, no_order = torch.stack(effect).unbind(2)  # [seed, step, batch] each
patterns = torch.stack(patterns)  # [seed, step, batch, query_pos, key_pos]


# %%
def stripe(queries, back):  # attention so far back; [seed, step, batch]
    return patterns[..., queries, queries - back].mean(-1)


score = stripe(late, 1)
half = int((effect[0].mean(1) > effect[0, -1].mean() / 2).int().argmax())
puzzle.recall("score at the cliff", found=score[0, half].mean())
curves = {f"run {seed}, L0H{heads[seed]}": score[seed].mean(1) for seed in range(3)}
guess = puzzle.prediction("score at the cliff")
plots.lines(steps, curves, x_title="step", y_title="attention one back", prediction=guess)

# %%
curves = {f"run {seed}, L0H{heads[seed]}": effect[seed].mean(1) for seed in range(3)}
plots.lines(steps, curves, x_title="step", y_title="cost of the cut, nats")

# %% [markdown]
# ## When does a curve begin?
#
# Let controls set the bar: the same quantity where it can mean nothing, in all runs and at all checkpoints.
# For the score, attention *five* back; for the effect, wrong orders.
# A curve begins where it clears every control for good. About three lines.


# %% stub="onset"
def onset(values: Float[Tensor, "step batch"], controls: Float[Tensor, "control batch"]):
    """Number (from 0) of the first checkpoint from which on `values` stay above all controls; an integer.

    values, shape [step, batch]; controls, shape [control, batch]. Compare means over the batch.
    Stay: at that checkpoint and at every later one. If there is no such checkpoint, the number of checkpoints.
    """
    ### BEGIN SOLUTION
    above = values.mean(1) > controls.mean(1).max()
    below = (~above).nonzero()
    return int(below.max()) + 1 if len(below) else 0
    ### END SOLUTION


# %% check="onset"
puzzle.check("onset", onset)
### BEGIN HIDDEN TESTS
puzzle.grade("onset", onset)
### END HIDDEN TESTS

# %%
same_token = stripe(late, period)  # a detector that should find nothing: attention to the token's first showing
five_back = stripe(late, 5).flatten(0, 1)
ends = [*(f"step {step}" for step in steps), "never"]
for seed in range(3):
    begins = [onset(score[seed], five_back), onset(effect[seed], no_order.flatten(0, 1))]
    begins.append(onset(same_token[seed], five_back))
    print(f"run {seed}: score {ends[begins[0]]}, effect {ends[begins[1]]}, same token {ends[begins[2]]}")

# %% [markdown]
# ## How sure?
#
# With other sequences the onset might move. Draw 32 of these 32 again and again, with repeats.
# Values and controls come from the same sequences, so both follow the draw. Two lines with `onset`, or three for all draws at once.


# %% stub="onset_range"
def onset_range(
    values: Float[Tensor, "step batch"], controls: Float[Tensor, "control batch"], draws: Int[Tensor, "draw batch"]
) -> Int[Tensor, "end"]:
    """The earliest and the latest onset over the draws; two integers, shape [2].

    Each row of draws, shape [draw, batch], lists the numbers of the sequences in one draw; some come repeatedly.
    """
    ### BEGIN SOLUTION
    above = values[:, draws].mean(-1) > controls[:, draws].mean(-1).amax(0)  # [step, draw]
    found = len(values) - above.flip(0).long().cumprod(0).sum(0)
    return torch.stack([found.min(), found.max()])
    ### END SOLUTION


# %% check="onset_range"
puzzle.check("onset_range", onset_range)
### BEGIN HIDDEN TESTS
puzzle.grade("onset_range", onset_range)
### END HIDDEN TESTS

# %%
draws = torch.randint(32, (200, 32), generator=torch.Generator().manual_seed(0))


def between(values, controls):  # the gap before the earliest onset counts too: nobody looked in there
    first, last = onset_range(values, controls.flatten(0, 1), draws).tolist()
    return f"after {ends[max(first - 1, 0)]}, by {ends[last]}"


for seed in range(3):
    print(f"run {seed}: effect {between(effect[seed], no_order)};", end=" ")
    print(f"score {between(score[seed], stripe(late, 5))}")

# %% [markdown]
# In all three runs the function comes first, and by more than chance: layer 1 depends on a head that does not look one back.
#
# Do you believe it?
#
# ## Try to break it
#
# The wire you cut ends in keys. *Whose* keys? Cut it for those of one showing only.

# %%
for seed in range(3):
    model = models[seed][steps.index(600)]
    intact = worth(model(tokens))[0].mean()
    for name, places in {"first": slice(1, period + 1), "second": slice(period + 1, None)}.items():
        left = worth(model.run_with_hooks(tokens, fwd_hooks=cut(model, heads[seed], places)))[0].mean()
        print(f"run {seed}, step 600, keys of the {name} showing cut: costs {intact - left:z.2f} nats")

# %% [markdown]
# Layer 1 reads this head on the *first* showing. You scored it on the second, as in *Any one can go*.

# %%
early = torch.arange(6, period + 1)  # the first showing; from 6 on, so that five back is never the begin token
read, every = stripe(early, 1), torch.cat([early, late])
for seed in range(3):
    print(f"run {seed}: effect {between(effect[seed], no_order)};", end=" ")
    print(f"score where it is read {between(read[seed], stripe(early, 5))};", end=" ")
    print(f"over both showings {between(stripe(every, 1)[seed], stripe(every, 5))}")
curves = {"score, second showing": score, "score, first showing": read, "cost of the cut": effect}
shares = {name: values[0].mean(1) / values[0].mean(1).max() for name, values in curves.items()}
plots.lines(steps, shares, x_title="step", y_title="share of the highest, run 0")

# %%
found = [measure(model, 2) for model in models[1]]  # another head of run 1: L0H2
cost, blank = torch.stack([both for both, _ in found]).unbind(1)
looks = torch.stack([pattern for _, pattern in found])[..., early, early - 1].mean(-1)
bars = torch.cat([no_order.flatten(0, 1), blank])[None]
print(f"run 1, in the end: L0H2 costs {cost[-1].mean():.2f} nats, L0H1 {effect[1, -1].mean():.2f}")
print(f"L0H2: effect {between(cost, bars)}; score where it is read {between(looks, stripe(early, 5))}")

# %% [markdown]
# Same head, same checkpoints: measured where it is read, in no run can you say that its score comes later.
# Even averaged over both showings it has begun by step 480.
# Is it first? For L0H1 of run 1, by this bar. In the others the ranges meet: there you cannot tell.
# You chose the heads by the wrong score, too: in run 1 L0H2 costs more, and its ranges meet.
# And attention is measured more finely than a loss: the finer instrument sees any rise first. *Play* raises the bar.
#
# ## How sudden?
#
# On a log axis of steps every late change looks like a cliff. Compare slopes instead. About two lines.


# %% stub="suddenness"
def suddenness(curve: Float[Tensor, "step"], steps: Float[Tensor, "step"]):
    """The steepest slope between neighbouring checkpoints, over the slope from first to last; one number.

    curve and steps, shape [step]; the steps of training need not be evenly spaced. A straight line has 1.
    A slope counts as positive in the direction of the whole: a falling curve is steepest where it falls most.
    """
    ### BEGIN SOLUTION
    slopes = curve.diff() / steps.diff()
    return (slopes / ((curve[-1] - curve[0]) / (steps[-1] - steps[0]))).max()
    ### END SOLUTION


# %% check="suddenness"
puzzle.check("suddenness", suddenness)
### BEGIN HIDDEN TESTS
puzzle.grade("suddenness", suddenness)
### END HIDDEN TESTS

# %%
at = torch.tensor(steps, dtype=torch.float32)
rare = torch.arange(0, len(steps), 4)  # every fourth checkpoint
for name, values in {**curves, "control, sqrt(step)": at.sqrt()[None, :, None]}.items():
    for_run = [value.mean(1) for value in values]
    said = ", ".join(f"{suddenness(curve, at):.1f} ({suddenness(curve[rare], at[rare]):.1f})" for curve in for_run)
    print(f"{name}: {said}")

# %% [markdown]
# In brackets: with every fourth checkpoint only. A curve that only rises cannot show more than 8 with nine checkpoints, or 2 with three.
# The costs are three to four times as steep as a straight line, and a square root is nearly so. Over 960 steps that is a slope, not a jump.
# Over the 6,000 of `mini-induction` it would look like a cliff.
#
# ## Your own runs
#
# Six made-up runs of 12 checkpoints: scores, effects, and controls, in units of their own. Take ranges over the draws. Label each run
# `"score"` or `"function"` if that one's latest onset is before the other's earliest,
# `"never"` if either has no onset in some draw, else `"open"`.

# %% open="variant"
scores, score_controls, effects, effect_controls, my_draws = puzzle.variant("your name or id")
both = {"score": scores[0].mean(1), "effect": effects[0].mean(1)}
plots.lines(range(12), both, x_title="checkpoint", y_title="the first of your runs")

# %% stub="my_runs"
my_runs = ...  # a list of six labels
### BEGIN SOLUTION
my_runs = []
for run in range(6):
    first, last = onset_range(scores[run], score_controls[run], my_draws).tolist()
    start, end = onset_range(effects[run], effect_controls[run], my_draws).tolist()
    decided = "score" if last < start else "function" if end < first else "open"
    my_runs.append("never" if max(last, end) == 12 else decided)
### END SOLUTION

# %% check="my_runs"
puzzle.check("my_runs", my_runs)
### BEGIN HIDDEN TESTS
puzzle.grade("my_runs", my_runs)
### END HIDDEN TESTS

# %%
puzzle.recall("which comes first")

# %% [markdown]
# ## Explain
#
# A colleague writes: "The previous-token score on the second showing finds nothing at step 600, and ablation finds everything. So the circuit first works in some other way, and the head forms later."
# Answer in three to five sentences: what is wrong, what would you measure, and what stays open?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The second showing is the wrong place to score: what layer 1 reads of this head are keys on the first showing, and there it looked one back as soon as cutting it cost anything.
# I would cut the keys of each showing to see which are read, score the head there, take the bar from controls and not by eye, and give each onset a range over sequences.
# For one head of one run the score then comes first, and not by a higher bar; in the others the ranges meet, so the order is open.
# More checkpoints and more runs could decide it; a finer instrument alone would only see its own quantity earlier.
# And "effect" means: for these texts, of this wire, by this way of cutting.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Scored on the second showing, the function comes first in all three runs, and the ranges do not meet. But that is the wrong place: induction reads the head on the first showing, where you cannot say in any run that its score begins later. By the lower bar it is first for one head of one run, not the one that costs most; by twice the bar that lead is gone.
#
# Why does it look one back on the first showing and hardly on the second? We do not know; nothing seems to reward a sharp look there. It comes with longer training: L0H1 of `mini-induction` has it.
#
# So neither "score first" nor "function first" is a fact about a head. Score *where*, function *for what*, by which bar, in how many runs: an onset belongs to a measurement. What is open is the order within 120 steps, and no statistics over sequences can close that gap.

# %% [markdown]
# ## Play
#
# A stricter bar: do your conclusions survive it?

# %% open="play"
factor, places = 2.0, early  # or late
for seed in range(3):
    bar = factor * stripe(places, 5)
    print(f"run {seed}: effect {between(effect[seed], factor * no_order)};", end=" ")
    print(f"score {between(stripe(places, 1)[seed], bar)}")

# %% [markdown]
# ## Where next
#
# - Problem 5.22: the same functions on `attn-only-2l`; TransformerLens loads its checkpoints by `checkpoint_index`.
# - Problem 5.9: does luck at initialisation choose the head?
#
# The cliff and induction heads: Olsson et al. (2022), "In-context Learning and Induction Heads".
