# %% [markdown]
# # A known dictionary
#
# You plant 48 features: directions in 32 dimensions, each on in 3 % of the rows. A row of data is the sum of those that are on.
#
# Three autoencoders of 48 units see the rows, and nothing else. A and B are one program with two seeds; C is the same, but pays for every activation.
# A and B rebuild everything. C does not.
#
# **An autoencoder reconstructs perfectly. Did it find the features?**
#
# For once you can look.
# And a control: the same features, mixed by a rotation. What you call *found* must not be found there.
#
# *40 minutes. You need to know what a sparse autoencoder is for. Guesses are never marked.*

# %%
import dataclasses
import itertools

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import dictionary
from mechpuzzles.zoo.corpus import package_source

# %%
puzzle = load_puzzle("known_dictionary")


def plant(seed, pairs=0):
    """48 features, how strongly each is on in 20,000 rows, and the rows; with pairs, k brings k + pairs along."""
    rng = torch.Generator().manual_seed(seed)
    features = normalize(torch.randn(48, 32, generator=rng, dtype=torch.float64), dim=1)
    on = torch.rand(20_000, 48, generator=rng) < 0.03
    on[:, pairs : 2 * pairs] |= on[:, :pairs]
    strengths = on * (0.5 + torch.rand(20_000, 48, generator=rng))
    return features.float(), strengths, (strengths.double() @ features).float()


# %%
def train(x, l1, seed, n_units=48, steps=700, rate=0.02):
    settings = {"d_dictionary": n_units, "l1": l1, "seed": seed, "steps": steps}
    settings |= {"batch": 256, "warmup": steps // 7, "learning_rate": rate}
    torch.set_default_dtype(torch.float64)  # in double precision all machines find the same
    sae = dictionary.fit(dataclasses.replace(dictionary.DICTIONARY, **settings), x.double())
    torch.set_default_dtype(torch.float32)
    return sae.float()


def explained(x, rebuilt):
    return float(1 - (x - rebuilt).square().sum() / (x - x.mean(0)).square().sum())


# %%
features, strengths, x = plant(seed=1)
trained = {"A": train(x, 0.0, seed=7), "B": train(x, 0.0, seed=0), "C": train(x, 1.0, seed=7)}
for name, sae in trained.items():
    active = (sae.encode(x) > 0).sum(1).float().mean()
    print(f"{name} explains {explained(x, sae(x)):.1%} of the variance, with {active:.0f} units on at a time")

# %% [markdown]
# ## Commit
#
# Whose units lie close to your features?
#
# - `"all"`: 48 units, 48 features, next to nothing left over.
# - `"A and B"`: C lacks what it does not explain.
# - `"only C"`: nobody asked A and B for features.
# - `"C and one more"`: and these numbers do not say which.
#
# How close does A come? Guess the mean cosine of a feature with its unit.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-cosine"
puzzle.predict("A's mean cosine", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# Which unit belongs to which feature? For three, try all orders:


# %%
def slow_pairs(cosines):
    orders = itertools.permutations(range(len(cosines)))
    return max(orders, key=lambda order: sum(float(cosines[i, j]) for i, j in enumerate(order)))


few = torch.tensor([[0.9, 0.8, 0.0], [0.8, 0.1, 0.0], [0.0, 0.3, 0.7]])  # a row for each feature
print("units of features 0, 1 and 2:", slow_pairs(few))

# %% [markdown]
# Unit 0 suits two features best, and counts for one.
# For 48, an auction: each row bids for its favourite column, and prices rise.


# %%
def assign(scores):
    """Rows and columns of the pairs, nobody in two of them, whose scores add up to the most (Bertsekas 1979)."""
    if len(scores) > scores.shape[1]:
        return assign(scores.T)[::-1]
    prices, owner, waiting = torch.zeros(scores.shape[1]), {}, list(range(len(scores)))
    while waiting:
        row = waiting.pop()
        (best, second), (column, _) = (scores[row] - prices).topk(2)
        prices[column] += best - second + 1e-3
        waiting += [owner[int(column)]] if int(column) in owner else []
        owner[int(column)] = row
    return torch.tensor(list(owner.values())), torch.tensor(list(owner))


# %% [markdown]
# **Your turn**: each feature's cosine with the unit that it gets. About four lines.


# %% stub="matched_cosines"
def matched_cosines(
    units: Float[Tensor, "unit d_model"], features: Float[Tensor, "feature d_model"]
) -> Float[Tensor, "feature"]:
    """Each feature's cosine with its own unit; shape [feature].

    units, shape [unit, d_model], and features, shape [feature, d_model]: directions of any length.
    As many pairs as there can be, nobody in two of them, with the largest sum of cosines (with their signs).
    A feature without a unit gets 0.
    """
    ### BEGIN SOLUTION
    cosines = normalize(features, dim=1) @ normalize(units, dim=1).T
    rows, columns = assign(cosines)
    return torch.zeros(len(features)).index_put((rows,), cosines[rows, columns])
    ### END SOLUTION


# %% check="matched_cosines"
puzzle.check("matched_cosines", matched_cosines)
### BEGIN HIDDEN TESTS
puzzle.grade("matched_cosines", matched_cosines)
### END HIDDEN TESTS

# %%
rng = torch.Generator().manual_seed(0)
turn = torch.linalg.qr(torch.randn(48, 48, generator=rng)).Q
turned, turned_acts = turn @ features, strengths @ turn.T
print(f"turned: {explained(x, turned_acts @ turned):.1%} explained")
directions = {name: sae.W_dec for name, sae in trained.items()} | {"turned": turned}
matched = {name: matched_cosines(units, features) for name, units in directions.items()}
for name, cosines in matched.items():
    print(f"{name:>6}: mean cosine {cosines.mean():.2f}, lowest {cosines.min():.2f}")
puzzle.recall("A's mean cosine", found=matched["A"].mean())

# %%
curves = {name: cosines.sort(descending=True).values for name, cosines in matched.items()}
guess = puzzle.prediction("A's mean cosine")
plots.lines(range(1, 49), curves, x_title="features, best first", y_title="cosine", prediction=guess)

# %% [markdown]
# The control: `turned` rebuilds all from your features mixed up, with activations of either sign. A comes hardly nearer than that.
# B is close to every feature, C closer.
# Was B lucky? Look where it started.

# %%
start = torch.randn(48, 32, generator=torch.Generator().manual_seed(0 + 1), dtype=torch.float64)
print(f"B's first weights, lowest cosine: {matched_cosines(start.float(), features).min():.3f}")
puzzle.recall("the story")

# %% [markdown]
# `fit` draws its first weights with `seed + 1`, and with seed 1 you planted: B *started* at the features.
# (This slip happened while the puzzle was made.) Reconstruction did not bring A there, and lets B drift.
#
# And what is a high cosine? That depends on how many directions there are to choose from. Principal components are such directions, too, and nobody trained them:


# %%
def components(x):
    directions = torch.linalg.eigh(x.T.cov()).eigenvectors.T
    return torch.cat([directions, -directions])  # a component has no sign


# %%
rivals = {f"{n} random directions": torch.randn(n, 32, generator=rng) for n in (48, 480, 4800)}
for name, units in (rivals | {"64 principal components": components(x)}).items():
    print(f"{name}: mean cosine {matched_cosines(units, features).mean():.2f}")

# %% [markdown]
# ## By how many units is a feature carried?
#
# A unit's *response* to a feature: its mean activation where the feature is on, minus that where it is off.
# If k units respond alike, and no others, the answer should be k: from the squares p of the responses, (sum of p)² / sum of p².
# About four lines.


# %% stub="carriers"
def carriers(acts: Float[Tensor, "row unit"], on: Bool[Tensor, "row feature"]) -> Float[Tensor, "feature"]:
    """By how many units each feature is carried, (sum of p)**2 / sum of p**2 over the units; shape [feature].

    acts, shape [row, unit]; on, bool, shape [row, feature]. Each feature is on in some rows and off in others.
    """
    ### BEGIN SOLUTION
    inside = on.float().T @ acts / on.sum(0)[:, None]
    outside = (~on).float().T @ acts / (~on).sum(0)[:, None]
    power = (inside - outside).square()
    return power.sum(1).square() / power.square().sum(1)
    ### END SOLUTION


# %% check="carriers"
puzzle.check("carriers", carriers)
### BEGIN HIDDEN TESTS
puzzle.grade("carriers", carriers)
### END HIDDEN TESTS

# %%
acts = {name: sae.encode(x) for name, sae in trained.items()} | {"turned": turned_acts}
plots.bars(
    {name: float(carriers(some, strengths > 0).median()) for name, some in acts.items()},
    y_title="units that carry a feature, median",
)

# %% [markdown]
# In B 40 units are on at a time (its *L0*), yet few respond to any one feature.
#
# ## What does C not explain?

# %%
sae, on = trained["C"], strengths > 0
own = (normalize(features) @ sae.W_dec.T).argmax(1)  # most features' own unit
edges = torch.tensor([0.5, 0.75, 1.0, 1.25, 1.5])
here = [on & (strengths >= low) & (strengths < high) for low, high in itertools.pairwise(edges)]
means = {"planted": [strengths[where].mean() for where in here]}
means["C"] = [sae.encode(x)[:, own][where].mean() for where in here]
plots.lines(means["planted"], means, x_title="planted strength", y_title="activation")

# %% [markdown]
# C says too little, of weak and strong alike: it pays for activation, so it shrinks it.
# Keep the units that it chose in each row, and fit their activations anew, without a price. About five lines.


# %% stub="refit"
def refit(
    x: Float[Tensor, "row d_model"], acts: Float[Tensor, "row unit"], units: Float[Tensor, "unit d_model"]
) -> Float[Tensor, "row unit"]:
    """New activations of the units that are on, so that acts @ units is nearest to x in each row; shape [row, unit].

    x, shape [row, d_model]; units, shape [unit, d_model], of any length. In a row, those with acts > 0 are on.
    The others stay 0. Nearest: least squares; results may be negative.
    """
    ### BEGIN SOLUTION
    new = []
    for target, on in zip(x, acts > 0):
        strengths = torch.zeros(len(units))
        if on.any():
            strengths[on] = torch.linalg.lstsq(units[on].T, target[:, None]).solution[:, 0]
        new.append(strengths)
    return torch.stack(new)
    ### END SOLUTION


# %% check="refit"
puzzle.check("refit", refit)
### BEGIN HIDDEN TESTS
puzzle.grade("refit", refit)
### END HIDDEN TESTS

# %%
some, acts_C = x[:1000] - sae.b_dec, sae.encode(x[:1000])
rebuilt = refit(some, acts_C, sae.W_dec) @ sae.W_dec
print(f"C: {explained(some, acts_C @ sae.W_dec):.1%}; refitted: {explained(some, rebuilt):.1%}")
pool = normalize(torch.randn(48, 32, generator=rng), dim=1)
ranks = (some @ pool.T).argsort(1, descending=True).argsort(1)
chosen = (ranks < (acts_C > 0).sum(1, keepdim=True)).float()  # as many units in each row as C has
rebuilt = refit(some, chosen, pool) @ pool
print(f"random directions, the nearest ones, refitted: {explained(some, rebuilt):.1%}")

# %% [markdown]
# The worse reconstruction was the price, not something that C had missed.
#
# ## Try to break it
#
# Few units, a good fit: found? Plant the same features, but let eight of them never come alone: feature k brings k + 8 along.
# Train twice with C's price: once starting at the features themselves, once elsewhere.
# How many of the eight does the first still have, above 0.9?

# %% open="predict-eight"
puzzle.predict("found of the eight", ..., because="", sure=...)

# %%
features, strengths, x_paired = plant(seed=1, pairs=8)
both = normalize(features[:8] + features[8:16], dim=1)
twins = [train(x_paired, 1.0, seed=seed, steps=300, rate=0.04) for seed in (0, 7)]  # larger steps, and fewer
for where, sae in zip(("from the features", "from elsewhere"), twins):
    groups = matched_cosines(sae.W_dec, features).split([8, 8, 32])
    named = zip(("eight", "brought along", "others"), groups)
    print(f"{where}:", ", ".join(f"{name} {group.median():.2f}" for name, group in named), end="; ")
    print(f"the eight's sums {matched_cosines(sae.W_dec, both).median():.2f}")

# %%
agreed = matched_cosines(twins[0].W_dec, twins[1].W_dec)
puzzle.recall("found of the eight", found=(matched_cosines(twins[0].W_dec, features)[:8] > 0.9).sum())
print(f"the two dictionaries agree: median cosine {agreed.median():.2f}, {(agreed > 0.9).sum()} of 48 above 0.9")

# %% [markdown]
# It had all eight, and left. One activation for "k and k + 8" is cheaper than two.
# Both starts end there: agreement shows what the objective wants, not what you planted.
#
# ## Your own dictionaries
#
# Six, of 40 units each, for 28 features of yours. Label each: `"every"` feature has a unit that works for it; only `"some"` have;
# `"merged"`, some units lie between two features; `"none"`, no unit is a feature.

# %% open="variant"
my_features, my_strengths, my_units, my_acts = puzzle.variant("your name or id")
my_x = my_strengths @ my_features
for k in range(6):
    print(f"dictionary {k} explains {explained(my_x, my_acts[k] @ my_units[k]):.0%}")

# %% stub="my_dictionaries"
my_dictionaries = ...  # a list of six labels
### BEGIN SOLUTION
my_dictionaries = []
for units, acts in zip(my_units, my_acts):
    cosines = matched_cosines(units[(acts != 0).any(0)], my_features)
    if (cosines > 0.9).all():
        my_dictionaries.append("every")
    elif (cosines < 0.9).all():
        my_dictionaries.append("none")
    else:
        my_dictionaries.append("merged" if cosines.min() > 0.6 else "some")
### END SOLUTION

# %% check="my_dictionaries"
puzzle.check("my_dictionaries", my_dictionaries)
### BEGIN HIDDEN TESTS
puzzle.grade("my_dictionaries", my_dictionaries)
### END HIDDEN TESTS

# %% [markdown]
# ## Where nobody knows the truth
#
# The residual stream of `mini-python`, on packages that it never read. You can still ask whether two seeds agree.
# Control: random rows with the same covariance. Rival: the principal components of two halves of the rows.

# %%
model = load_model("mini-python")
source = "".join([*package_source("einops"), *package_source("markdown_it")])
tokens = torch.tensor(model.tokenizer(source)["input_ids"])
tokens = tokens[: len(tokens) // 128 * 128].view(-1, 128)[::8]
sites = [f"blocks.{layer}.mlp.hook_post" for layer in (0, 1)]
with torch.no_grad():
    resid, cache = model.run_with_cache(tokens, names_filter=sites, stop_at_layer=2)
resid, neurons = resid.flatten(0, 1), torch.cat([cache[site].flatten(0, 1) for site in sites], dim=1)
spread = torch.linalg.cholesky(resid.T.cov() + 1e-6 * torch.eye(128))
blank = torch.randn(resid.shape, generator=rng) @ spread.T + resid.mean(0)


# %%
agree = {"two autoencoders": {}, "components of two halves": {}}
for name, rows in {"mini-python": resid, "random rows": blank}.items():
    pair = [train(rows, 2.0, seed=seed, n_units=64, steps=60, rate=0.03).W_dec for seed in (0, 1)]
    halves = components(rows[::2]), components(rows[1::2])[64:128]  # the 64 largest
    for kind, (units, others) in zip(agree, (pair, halves)):
        agree[kind][name] = float(matched_cosines(units, others).mean())
plots.bars(agree, y_title="mean cosine between the two")

# %% [markdown]
# Autoencoders agree better on `mini-python`: there is more to find than a covariance. Components agree as well where there is no more.
# Agreement needs its own control, and then it can refute, not confirm.
#
# Last, take units of the bundled dictionary as features. How many of the neurons before them carry one?

# %%
large = dictionary.load()
on = large.encode(resid[::2]) > 0
often = (on.float().mean(0) > 0.005).nonzero()[:200, 0]
chance = resid[::2] @ torch.randn(128, 200, generator=rng)
on_by_chance = chance > chance.quantile(1 - on[:, often].float().mean(), dim=0)
for name, some in {"dictionary": on[:, often], "random directions": on_by_chance}.items():
    counts = carriers(neurons[::2], some)
    print(f"{name}: carried by {counts.median():.0f} of {neurons.shape[1]} neurons; least {counts.min():.0f}")

# %% [markdown]
# Diffuse, and hardly less so than a random direction. But do these neurons carry it, or only go along?
# Take the unit that is on most often. Hold its strongest neurons at their means, and as many others.


# %%
usual = neurons.mean(0).view(2, -1)  # [layer, neuron]


def left(off):
    """The unit's mean activation, where it was on, with the neurons of ``off`` held at their means."""
    parts = zip(sites, off.view(2, -1), usual)
    hooks = [(site, lambda acts, hook, k=k, mean=mean: torch.where(k, mean, acts)) for site, k, mean in parts]
    stream = model.run_with_hooks(tokens[:10], fwd_hooks=hooks, stop_at_layer=2)
    return large.encode(stream.flatten(0, 1)[where])[:, unit].mean()


# %%
unit = often[on[:, often].float().mean(0).argmax()]
its, where = on[:, unit], (large.encode(resid[: 10 * 128]) > 0)[:, unit]
response = neurons[::2][its].mean(0) - neurons[::2][~its].mean(0)
orders = {"strongest first": response.abs().argsort(descending=True), "others": torch.randperm(1024, generator=rng)}
numbers, rest = (0, 3, 10, 30, 100, 300), {}
with torch.no_grad():
    for name, order in orders.items():
        found = torch.stack([left(torch.isin(torch.arange(1024), order[:n])) for n in numbers])
        rest[name] = found / found[0]
print(f"this unit is carried by {carriers(neurons[::2], its[:, None])[0]:.0f}")
plots.lines(numbers, rest, x_title="neurons held at their mean", y_title="share of the activation that is left")

# %% [markdown]
# Without its three strongest neurons three quarters are left, without thirty nearly a third; without thirty others, all.
# `carriers` says 23: it counts who goes along, not how many are needed.
# No unit above is less diffuse.
#
# ## Explain
#
# A colleague: "It explains 99 %, each known feature has a unit with a cosine above 0.6, and a second seed gives the same units. So these are the model's features."
# In three to five sentences: what does each of the three show, and against which control?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Explained variance is a property of what all units span together: turn the dictionary and it stays, so it says nothing about single directions.
# A cosine of 0.6 is what thousands of random directions reach, and a unit between two features gives it to both, so I pair one to one and compare with random units of the same number.
# A second seed helps if its start is independent and if data without features show no such agreement; but two seeds also agree on merged units, because the objective prefers them.
# So the three can refute; that a direction is a feature needs a test of that direction, by a truth that I planted or by an intervention.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# The number does not say. A rebuilt everything and found nothing: its units lie where those of a turned dictionary lie. B rebuilt everything and stayed close to the features, because it had started there. C rebuilt worst and found them all; what it lacked was the price on activations.
#
# But C is no detector of truth either. It finds what is cheap to write with few activations. Features that come alone are cheap. A feature that never comes alone is cheaper as a sum with its companion, so C leaves the truth even when it starts there. This is called absorption.
#
# So an objective is met by whatever meets it. Reconstruction fixes what the directions span, sparsity prefers what is cheap, two seeds agree on what is easy to find again. That a direction is a feature is a claim about that direction, and without a known truth you can only try to refute it.

# %% [markdown]
# ## Play
#
# Other prices and widths. When do units die?

# %% open="play"
price, width = 2.0, 96
sae = train(x, price, seed=3, n_units=width, steps=200, rate=0.04)
cosines, some = matched_cosines(sae.W_dec, features), sae.encode(x)
active, dead = (some > 0).sum(1).float().mean(), (some == 0).all(0).sum()
print(f"{explained(x, sae(x)):.1%} explained, {active:.1f} units on at a time, {dead} dead")
print(f"{(cosines > 0.9).sum()} of 48 features above 0.9")

# %% [markdown]
# ## Where next
#
# - *A feature beyond the embedding*: what one unit of the bundled dictionary means.
# - *Five into two*: how features share dimensions.
#
# Planted dictionaries: Sharkey et al. (2022), "Taking features out of superposition with sparse autoencoders". Absorption: Chanin et al. (2024), "A is for absorption".
