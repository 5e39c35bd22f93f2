# %% [markdown]
# # Fifty-three hours
#
# A clock has 53 hours, 0 to 52. A network with one hidden layer learns to add them: 50 + 9 is 6.
# It is shown half of all pairs, again and again.
#
# After 500 steps it knows every pair it was shown, and 1 % of the others, fewer than by guessing.
# Little seems to happen until step 875. Then, within 375 steps, it goes from 9 % to nearly all.
#
# **How does a network add on a clock?** And what was it doing before the jump?
#
# The control is a *twin*: the same start, the same pairs, but their answers shuffled. It, too, knows all that it was shown.
# Whatever you call the mechanism has to be missing there.
#
# *45 minutes. You need to know what a ReLU, a cosine and a cross-entropy are. Guesses are never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import cross_entropy

from mechpuzzles import load_puzzle, plots
from mechpuzzles.zoo import clock

puzzle, runs = load_puzzle("clockwork"), clock.load()
add, twin = runs["add"], runs["shuffled"]


# %%
def run(W_E, W_in, b_in, W_out, act=torch.relu):  # logits [a, b, c] for all pairs of hours
    return act((W_E @ W_in[0])[:, None] + W_E @ W_in[1] + b_in) @ W_out


def share_right(logits, of, pairs=...):
    return float((logits.argmax(-1) == of.answer)[pairs].float().mean())


# %%
after, by_heart = [run(*add.weights(i)) for i in range(len(add.steps))], run(*twin.weights(-1))
knows = {"shown": [share_right(logits, add, add.shown) for logits in after]}
knows["others"] = [share_right(logits, add, ~add.shown) for logits in after]
known = [f"{share_right(by_heart, twin, pairs):.0%}" for pairs in (twin.shown, ~twin.shown)]
print(f"twin, at the end: {known[0]} of the shown pairs, {known[1]} of the others")
plots.lines(add.steps, knows, x_title="step", y_title="share right")

# %% [markdown]
# ## Commit
#
# What is in the network at step 750? It knows all shown pairs, and 4 % of the others.
#
# - `"table"`: the pairs it was shown. A way of adding comes with the jump.
# - `"hidden"`: a way of adding, right more often than the network is. Something else spoils its answers.
# - `"blur"`: a table that guesses from neighbours. It sharpens at the jump.

# %% open="predict-story"
puzzle.predict("what is there at step 750", ..., because="", sure=...)

# %% [markdown]
# ## Look
#
# `W_E` has a row for each hour. The sizes of its principal components, at the end: network, twin, and the network with its hours relabelled at random.

# %%
W_E, W_in, b_in, W_out = add.weights(-1)
mixed = torch.randperm(53, generator=torch.Generator().manual_seed(0))
tables = {"network": W_E, "twin": twin.weights(-1)[0], "relabelled": W_E[mixed]}
for name, W in tables.items():
    sizes = torch.linalg.svdvals(W - W.mean(0)).square()
    print(f"{name:>10}:", " ".join(f"{size:.2f}" for size in sizes / sizes.sum()))

# %% [markdown]
# Ten are large, two small. More these sizes do not say: the relabelled copy has the same. PCA is not told which hour follows which.
# You are. So ask for what goes round: $\cos(2\pi k h / 53)$ and $\sin(2\pi k h / 53)$ go round $k$ times.
#
# Slow and right, for one column and one $k$:


# %%
def slow_wave(column, k):  # the sum of squares of this wave's part of a column
    p, along_cos, along_sin = len(column), 0.0, 0.0
    for hour, value in enumerate(column.tolist()):
        angle = torch.tensor(2 * torch.pi * k * hour / p)
        along_cos, along_sin = along_cos + value * angle.cos(), along_sin + value * angle.sin()
    return float(2 / p * (along_cos**2 + along_sin**2))


print([round(slow_wave(W_E[:, 0], k), 2) for k in range(1, 9)])

# %% [markdown]
# Any column of an odd number of hours is a constant plus such waves. Now all columns together. About four lines.


# %% stub="shares"
def shares(W: Float[Tensor, "hour column"]) -> Float[Tensor, "frequency"]:
    """Each wave's share of what varies from hour to hour, over all columns of W together; shape [(p - 1) / 2].

    W, shape [p, column], has a row for each hour; p is odd. Entry 0 is for frequency 1, the last for (p - 1) / 2.
    A wave's power is the sum of squares of its part (cosine and sine) of W, over all hours and columns.
    The shares are the powers, divided so that they add up to 1. The constant of a column is no wave.
    """
    ### BEGIN SOLUTION
    p = len(W)
    angle = 2 * torch.pi * torch.outer(torch.arange(1, (p + 1) // 2), torch.arange(p)) / p
    power = (angle.cos() @ W).square().sum(1) + (angle.sin() @ W).square().sum(1)
    return power / power.sum()
    ### END SOLUTION


# %% check="shares"
puzzle.check("shares", shares)
### BEGIN HIDDEN TESTS
puzzle.grade("shares", shares)
### END HIDDEN TESTS

# %%
lines = {name: shares(W) for name, W in tables.items()}
plots.lines(range(1, 27), lines, x_title="frequency", y_title="share of W_E")

# %% [markdown]
# A few frequencies, and only where the hours are in order. What does each of the 80 hidden units read, and write?


# %%
def units(W_E, W_in, b_in, W_out):  # each one's strongest frequency; its shares of a, b and what is written; angles
    reads_and_writes = torch.stack([W_E @ W_in[0], W_E @ W_in[1], W_out.T])  # [3, hour, unit]
    spectrum = torch.fft.rfft(reads_and_writes, dim=1)[:, 1:]
    power = spectrum.abs().square()
    strongest = power[0].argmax(0)
    share = (power / power.sum(1, keepdim=True))[:, strongest, torch.arange(80)]
    return strongest + 1, share, spectrum[:, strongest, torch.arange(80)].angle() % (2 * torch.pi)


# %%
picture = plots.Picture(alt="The angle that each unit writes, over the sum of the two that it reads.")
for name, colour in {"twin": plots.COLOURS[1], "network": plots.COLOURS[0]}.items():
    _, share, (of_a, of_b, written) = units(*(add if name == "network" else twin).weights(-1))
    parts, same = ", ".join(f"{part:.0%}" for part in share.mean(1)), (written - of_a - of_b).cos().mean()
    print(f"{name}: one frequency is {parts} of what a unit reads of a, of b, and writes; cosine of angles {same:.2f}")
    summed = ((of_a + of_b) % (2 * torch.pi)).tolist()
    picture.add_scatter(x=summed, y=written.tolist(), mode="markers", name=name, marker={"color": colour})
plots.dress(picture, "angle read of a + angle read of b", "angle written")
picture

# %% [markdown]
# In the network nearly every unit has *one* frequency, and angles add. It reads $\cos(ka + \alpha) + \cos(kb + \beta)$ and writes $\cos(kc + \alpha + \beta)$.
# The ReLU multiplies, as squaring would: the product of two cosines contains $\cos(ka + kb + \alpha + \beta)$. What it writes agrees with that best where $c = a + b$.
#
# ## What is used?
#
# So far you have described. Now cut, and run. Orthonormal rows over the hours make a basis: waves, or principal components.
# About two lines.


# %% stub="split"
def split(W: Float[Tensor, "hour column"], basis: Float[Tensor, "direction hour"]):
    """W with nothing but the basis, and W without the basis; two tensors, each [hour, column].

    basis, shape [direction, hour]: orthonormal rows, each of which adds up to 0.
    A column's part in the basis is its orthogonal projection onto the space of these rows.
    First: every column's mean over the hours, plus its part. Second: the column minus its part, so the mean stays.
    """
    ### BEGIN SOLUTION
    part = basis.T @ (basis @ W)
    return W.mean(0) + part, W - part
    ### END SOLUTION


# %% check="split"
puzzle.check("split", split)
### BEGIN HIDDEN TESTS
puzzle.grade("split", split)
### END HIDDEN TESTS


# %%
def waves(frequencies, p=53):  # two rows, a cosine and a sine, for each frequency
    angle = 2 * torch.pi * torch.outer(torch.tensor(frequencies), torch.arange(p)) / p
    return (2 / p) ** 0.5 * torch.cat([angle.cos(), angle.sin()])


def components(W, n):  # the n largest principal components
    return torch.linalg.svd(W - W.mean(0), full_matrices=False).U[:, :n].T


# %%
keys = (shares(W_E).argsort(descending=True)[:5] + 1).tolist()
print("from the largest share of W_E down:", keys)
print("of W_out:", (shares(W_out.T).argsort(descending=True)[:5] + 1).tolist())
print("units of each:", [int((units(*add.weights(-1))[0] == k).sum()) for k in keys])
largest = [shares(one[:, None]).max(0) for one in components(W_E, 10)]
print("strongest in each component:", ", ".join(f"{at + 1} has {share:.2f}" for share, at in largest))

# %% [markdown]
# The first two components are nearly the circle of frequency 4; later ones mix several.
#
# Before you look: you remove the strongest of the five. What share of all pairs is still right? It becomes a line.

# %% open="predict-without"
puzzle.predict("share right without the strongest", ..., because="", sure=...)  # between 0 and 1

# %%
embeddings = {f"without {k}": split(W_E, waves([k]))[1] for k in keys}
embeddings["without all"] = split(W_E, waves(keys))[1]
embeddings |= {f"only first {n}": split(W_E, waves(keys[:n]))[0] for n in (1, 2, 3)}
embeddings |= {f"{n} components": split(W_E, components(W_E, n))[0] for n in (2, 4, 6)}
found = {name: share_right(run(E, W_in, b_in, W_out), add) for name, E in embeddings.items()}
guess = puzzle.prediction("share right without the strongest")
puzzle.recall("share right without the strongest", found=found[f"without {keys[0]}"])
plots.bars(found, y_title="share right", prediction=guess)

# %% [markdown]
# No single one is needed and none suffices; the largest three nearly do. Six principal components, as many numbers for each hour, fall short.
# With one hand, neighbours look nearly alike. Several hands leave one hour.
#
# And if these are hands, turning them turns the answers. Give each hour the hands of ten hours before, and nothing else:

# %%
kept, rest = split(W_E, waves(keys))
turned = {
    "hands turned": rest - W_E.mean(0) + kept.roll(10, 0),
    "all else turned": kept - W_E.mean(0) + rest.roll(10, 0),
}
for name, E in turned.items():
    off = (run(E, W_in, b_in, W_out).argmax(-1) - add.answer) % 53
    same, earlier = (f"{(off == by).float().mean():.0%}" for by in (0, 33))
    print(f"{name}: {same} of the answers as before, {earlier} are 20 hours earlier")

# %% [markdown]
# ## Before the jump
#
# Back to the long wait. Two losses, after Nanda et al. (2023), who cut the logits; you cut the embedding.
# About four lines, with `run`.


# %% stub="two_losses"
def two_losses(W_E: Float[Tensor, "hour d_model"], W_in, b_in, W_out, basis, answer, shown):
    """The restricted and the excluded loss, in nats; two numbers, each a mean over pairs.

    basis as for `split`. answer[a, b] is the right hour; shown[a, b] is true if that pair was trained on.
    Restricted: W_E with nothing but the basis (and its mean), on the pairs that were *not* shown.
    Excluded: W_E without the basis (but with its mean), on the pairs that were shown.
    """
    ### BEGIN SOLUTION
    part, others = basis.T @ (basis @ W_E), (W_in, b_in, W_out)
    restricted, excluded = run(W_E.mean(0) + part, *others), run(W_E - part, *others)
    return cross_entropy(restricted[~shown], answer[~shown]), cross_entropy(excluded[shown], answer[shown])
    ### END SOLUTION


# %% check="two_losses"
puzzle.check("two_losses", two_losses)
### BEGIN HIDDEN TESTS
puzzle.grade("two_losses", two_losses)
### END HIDDEN TESTS

# %%
loss = {"on the others": [cross_entropy(logits[~add.shown], add.answer[~add.shown]) for logits in after]}
both = [two_losses(*add.weights(i), waves(keys), add.answer, add.shown) for i in range(len(add.steps))]
loss |= {"restricted": [one for one, _ in both], "excluded": [two for _, two in both]}
plots.lines(add.steps, loss, x_title="step", y_title="loss, nats")

# %%
its_own = (shares(twin.W_E[-1]).argsort(descending=True)[:5] + 1).tolist()
for i, step in enumerate(twin.steps):
    restricted, excluded = two_losses(*twin.weights(i), waves(its_own), twin.answer, twin.shown)
    print(f"twin, step {step}: restricted {restricted:.2f}, excluded {excluded:.2f}")

# %% [markdown]
# A rising excluded loss proves nothing: the twin's rises too. The restricted loss tells them apart. The twin's keeps rising;
# the network's falls from step 375 on, as its plain loss does. At step 750 it is below a guess's 3.97, the plain loss at 6.8.
#
# But you read the five off at the *end*. Without looking ahead: at each step keep the five that are strongest *then*. Ten components are as many dimensions.


# %%
def only(of, i, basis_of):
    W_E, *others = of.weights(i)
    return share_right(run(split(W_E, basis_of(W_E))[0], *others), of, ~of.shown)


def five(W_E):
    return waves((shares(W_E).argsort(descending=True)[:5] + 1).tolist())


# %%
rights = {"whole network": knows["others"], "only five waves": [only(add, i, five) for i in range(len(add.steps))]}
ten = [only(add, i, lambda W_E: components(W_E, 10)) for i in range(len(add.steps))]
print(f"twin: {known[1]} of the others, {only(twin, -1, five):.0%} with only five waves")
puzzle.recall("what is there at step 750")
plots.lines(add.steps, {**rights, "only ten components": ten}, x_title="step", y_title="share right of the others")

# %% [markdown]
# At step 750 less of the network knows four times as many.
# The five alone climb through the jump too: the mechanism still grows.
# And the plain loss falls from step 375 on: part of the jump is the measure's.
#
# ## Why these five?
#
# Relabel each hour $h$ as $2h$: the task is the same, and frequency $k$ has become another. So none is better. Does the start decide? The last three runs share one.

# %%
for name in ("add", "again", "gelu", "subtract"):
    first, last = shares(runs[name].W_E[0]), shares(runs[name].W_E[-1])
    strong = [k for k in last.argsort(descending=True).tolist() if last[k] > 0.06]  # all others are below 0.03
    ranks = [int((first > first[k]).sum()) + 1 for k in strong]
    print(f"{name:>8}: frequencies {[k + 1 for k in strong]}, at the start number {ranks} of 26")
over_time = {str(k): [shares(W)[k - 1] for W in runs["gelu"].W_E] for k in (6, 19, 3, 16)}
plots.lines(runs["gelu"].steps, over_time, x_title="step", y_title="share of W_E, with GELU")

# %% [markdown]
# Each time the strongest at the start stays, and others come from far behind. With GELU frequency 3 rises, and gives way to 16.
# Two starts are a hint, not a law.
#
# ## Your own clock
#
# 37 hours, hand-set. List the frequencies that it uses: without any one of these the loss rises by more than half, without another by less than a tenth.

# %% open="variant"
mine = puzzle.variant("your name or id")  # W_E, W_in, b_in, W_out
hours = torch.arange(37)
sums = (hours[:, None] + hours) % 37
print("right:", float((run(*mine).argmax(-1) == sums).float().mean()))
its_shares = {str(k): float(share) for k, share in enumerate(shares(mine[0]), start=1)}
plots.bars(its_shares, x_title="frequency", y_title="share of W_E")

# %% stub="my_clock"
my_clock = ...  # a list of frequencies from 1 to 18
### BEGIN SOLUTION
costs = []
for k in range(1, 19):
    logits = run(split(mine[0], waves([k], 37))[1], *mine[1:])
    costs.append(cross_entropy(logits.flatten(0, 1), sums.flatten()))
whole = cross_entropy(run(*mine).flatten(0, 1), sums.flatten())
my_clock = [k for k, cost in enumerate(costs, start=1) if cost > 1.5 * whole]
### END SOLUTION

# %% check="my_clock"
puzzle.check("my_clock", my_clock)
### BEGIN HIDDEN TESTS
puzzle.grade("my_clock", my_clock)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague writes: "PCA shows nothing, so this network adds by heart. And of the waves, each can be removed without harm, so none is used."
# Answer in three to five sentences: what is wrong with each step, and which experiment would show it?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The sizes of PCA cannot tell: they are the same when the hours are relabelled at random.
# To see a clock in components, one has to look at them in the order of the hours, and there the first two nearly are one.
# In the basis of waves five frequencies hold most of the embedding, and in a twin that did learn by heart, none stands out.
# Removing one frequency costs little because several vote; remove all five and nothing is left, keep three and nearly everything is, and the loss shows the cost of one where the share right does not.
# A large share does not show use either: turn those waves and see whether the answers turn with them.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# It adds angles. The embedding puts each hour on a few circles, one for each frequency k. A hidden unit reads one circle, with an angle of its own for a and for b, and the ReLU turns the sum of two waves into one that contains the wave of a + b. It writes that wave over the answers c, turned by exactly the sum of its two angles. Each frequency alone is right for many c at once, nearly; where several agree, there is one.
#
# Long before the jump a part of this is there, and other parts of the embedding, which help on shown pairs, spoil it: take them away, and the network knows several times as many of the others. Both go on through the jump: the mechanism grows, and what drowns it goes.
#
# The basis came from the task: waves are what addition on a clock leaves alone. PCA found the largest circle, nearly, and mixed the others. For most tasks nobody knows such a basis.
#
# What we did not find out: why some frequencies win that were weak at the start.

# %% [markdown]
# ## Play
#
# Subtraction: which of your functions need a change, and where is the minus sign?

# %% open="play"
of = runs["subtract"]  # or "again"
weights = of.weights(-1)
own = (shares(weights[0]).argsort(descending=True)[:4] + 1).tolist()
print(own, two_losses(*weights, waves(own), of.answer, of.shown))
_, _, (of_a, of_b, written) = units(*weights)
print((written - of_a - of_b).cos().mean(), (written - of_a + of_b).cos().mean())

# %% [markdown]
# ## Where next
#
# - *Before the cliff*: another sudden jump, and what comes first.
# - *Five into two*: other features that share dimensions.
#
# The task and both losses are from Nanda et al. (2023), "Progress measures for grokking via mechanistic interpretability". One hidden layer: Gromov (2023), "Grokking modular arithmetic".
