# %% [markdown]
# # Five into two
#
# A small model reads five *features*. Each is on with some chance, its *density*, and then between 0 and 1; otherwise it is 0.
# The model may keep two numbers, and has to give back all five:
#
#     hidden = x @ W  # W is [feature, d_hidden], here [5, 2]
#     out = relu(hidden @ W.T + b)
#
# Without the ReLU this is PCA, and two features' worth comes back. With it, at density 0.05, more than four.
# Yet the ReLU comes after the bottleneck: it knows nothing but the two numbers.
#
# **How do five features live in two dimensions, and what does it cost?**
#
# One control: where every feature is always on, the ReLU gains nothing.
#
# *40 minutes. You need to know what PCA and a ReLU are. Guesses are never marked.*

# %%
from math import comb

import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_puzzle, plots

puzzle = load_puzzle("five_into_two")


# %%
def train(x, chance, act=torch.relu, restarts=6):  # the best of six runs, and the losses of all
    rng = torch.Generator().manual_seed(0)
    W = torch.randn(restarts, x.shape[1], 2, generator=rng).mul(0.5).requires_grad_()
    b = torch.zeros(restarts, 1, x.shape[1], requires_grad=True)
    adam = torch.optim.Adam([W, b], lr=0.07, fused=True)
    for _ in range(150):
        loss = (act(x @ (W @ W.mT) + b) - x).square().sum(-1) @ chance
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
    best = loss.argmin()
    return W[best].detach(), b[best, 0].detach(), loss.detach()


# %%
def linear(z):
    return z


def worth(x, chance, W, b, act=torch.relu):  # the share of each feature's variance that comes back, summed
    lost = chance @ (act(x @ W @ W.T + b) - x).square()
    return float((1 - lost / (chance @ x.square() - (chance @ x) ** 2)).sum())


# %%
rng, equal = torch.Generator().manual_seed(0), torch.full((2048,), 1 / 2048)
for density in (1.0, 0.05):
    sample = torch.rand(2048, 5, generator=rng) * (torch.rand(2048, 5, generator=rng) < density)
    for name, act in {"without ReLU": linear, "with ReLU": torch.relu}.items():
        W, b, _ = train(sample, equal, act, restarts=2)
        print(f"density {density:.2f}, {name}: {worth(sample, equal, W, b, act):.2f} of 5 features' worth")
print("of 2,048 inputs, so many have 0, 1, 2, ... features on:", (sample > 0).sum(1).bincount().tolist())

# %% [markdown]
# ## Commit
#
# What makes the five fit? And how much is kept at density 0.3? The number becomes a line.
# *Worth* is the share of each feature's variance that comes back, added up: 0 to 5.
#
# - `"room"`: training finds five directions that do not disturb each other.
# - `"rare"`: each is on so seldom that there is little to remember.
# - `"turns"`: the five disturb each other, but seldom need the space at the same time.

# %% open="predict-story"
puzzle.predict("what makes them fit", ..., because="", sure=...)

# %% open="predict-worth"
puzzle.predict("features' worth kept at density 0.3", ..., because="", sure=...)  # between 0 and 5

# %% [markdown]
# ## List, do not sample
#
# Three features met in a handful of inputs, four in none. What happens there will matter.
# Let a feature that is on take one of a few values, equally likely. Then there are finitely many inputs: list them.
#
# A tiny case: densities 0.5 and 0.1, values 1 and 3. Nine inputs; (3, 0) has the chance 0.25 x 0.9.
# About three lines.


# %% stub="all_inputs"
def all_inputs(density: Float[Tensor, "feature"], values):
    """Every input there is, and its chance; two tensors, [input, feature] and [input].

    density, shape [feature]: the chance that each feature is on. Features are independent.
    values: a list of different positive numbers. A feature that is on takes each equally often; off, it is 0.
    Order of the inputs: as in itertools.product, all off first, the last feature changing fastest.
    """
    ### BEGIN SOLUTION
    x = torch.cartesian_prod(*[torch.tensor([0.0, *values])] * len(density))
    return x, torch.where(x == 0, 1 - density, density / len(values)).prod(1)
    ### END SOLUTION


# %% check="all_inputs"
puzzle.check("all_inputs", all_inputs)
### BEGIN HIDDEN TESTS
puzzle.grade("all_inputs", all_inputs)
### END HIDDEN TESTS

# %% [markdown]
# Now train on your list, at seven densities. The values 1/6, 1/2 and 5/6 stand for all between 0 and 1.

# %%
values = (1 / 6, 1 / 2, 5 / 6)


def world(density, values=values):
    return [torch.as_tensor(one).float() for one in all_inputs(torch.tensor(density), values)]


# %%
models, kept, reached = {}, {}, {}
for density in (1.0, 0.7, 0.5, 0.3, 0.2, 0.15, 0.05):
    x, chance = world([density] * 5)
    W, b, losses = train(x, chance)
    models[density], kept[density] = (W, b), worth(x, chance, W, b)
    reached[density] = int((losses < 1.002 * losses.min()).sum())

# %%
no_relu, no_relu_b, _ = train(x, chance, linear)
print(f"without ReLU, density {density:.2f}: {worth(x, chance, no_relu, no_relu_b, linear):.2f}")
print("of 6 runs, so many reach the best loss:", reached)
guess = puzzle.prediction("features' worth kept at density 0.3")
puzzle.recall("features' worth kept at density 0.3", found=kept[0.3])
plots.lines(list(kept), {"with ReLU": kept.values()}, x_title="density", y_title="worth kept", prediction=guess)


# %%
def arrows(panels):  # each row of W as an arrow from its panel's middle
    picture = plots.Picture(alt="Rows of W as arrows.")
    for place, (name, W) in enumerate(panels.items()):
        for feature, (across, up) in enumerate(W.tolist()):
            ends = {"x": [3 * place, 3 * place + across], "y": [0, up], "text": ["", str(feature)]}
            beyond = f"{'top' if up > 0 else 'bottom'} {'right' if across > 0 else 'left'}"
            line = {"color": plots.COLOURS[place % 4]}
            picture.add_scatter(**ends, mode="lines+text", textposition=beyond, line=line)
        picture.say(f"{name}: of length " + ", ".join(f"{row.norm():.1f}" for row in W) + ".")
    plots.dress(picture, "", "")
    picture.update_layout(showlegend=False, yaxis={"scaleanchor": "x", "showticklabels": False})
    return picture.update_xaxes(tickvals=[3 * i for i in range(len(panels))], ticktext=list(panels))


# %%
arrows({"no ReLU, 0.05": no_relu} | {str(density): models[density][0] for density in (1.0, 0.7, 0.3, 0.15)})

# %% [markdown]
# As density falls: three arrows, then two opposed pairs with one feature dropped, then a pentagon.
# Not every run gets there. But the first two panels, too, have arrows for everybody. What is a pentagon worth without the ReLU?

# %%
# In a projection onto a plane the squared lengths add up to 2.
pentagon = models[0.05][0] * (2 / models[0.05][0].square().sum()).sqrt()
best_b = chance @ x @ (torch.eye(5) - pentagon @ pentagon.T)  # so that the mean comes back
print(f"{worth(x, chance, pentagon, best_b, linear):.2f}")

# %% [markdown]
# As much as any two axes: arrows are no evidence. What comes back is.
#
# And five arrows in a plane are not orthogonal: `"room"` is out. The disturbance has to be paid for somewhere. When?


# %% stub="price_list"
def price_list(W: Float[Tensor, "feature d_hidden"], b: Float[Tensor, "feature"], values) -> Float[Tensor, "count"]:
    """The loss on inputs with exactly 0, 1, 2, ... features on; shape [n_features + 1].

    The loss of an input is the squared error of out = relu(x @ W @ W.T + b), summed over all features.
    Entry k is its mean over all inputs with k features on, each at any of the values, whatever the others have.
    """
    ### BEGIN SOLUTION
    x = torch.cartesian_prod(*[torch.tensor([0.0, *values])] * len(W))
    loss, on = (torch.relu(x @ W @ W.T + b) - x).square().sum(1), (x > 0).sum(1)
    return torch.stack([loss[on == k].mean() for k in range(len(W) + 1)])
    ### END SOLUTION


# %% check="price_list"
puzzle.check("price_list", price_list)
### BEGIN HIDDEN TESTS
puzzle.grade("price_list", price_list)
### END HIDDEN TESTS

# %%
prices = {"pairs (0.3)": price_list(*models[0.3], values), "pentagon (0.15)": price_list(*models[0.15], values)}
plots.lines(range(6), prices, x_title="features on", y_title="loss")

# %% [markdown]
# Alone, a feature is cheap in the pentagon, while the pairs lose their dropped one. With two on or more, the order turns.
# Why is alone so cheap? Feature 0 of the pentagon at 0.5, before and after the ReLU:

# %%
W, b = models[0.15]
before = 0.5 * W[0] @ W.T + b
print(before.numpy().round(2), before.relu().numpy().round(2))

# %% [markdown]
# One feature's two numbers write into all five outputs. What is negative is cut off, and the bias cuts most of the rest.
# More features than dimensions, and they come back: this is **superposition**.
#
# A price list holds at *any* density: multiply by how often 0, 1, 2, ... are on, and add. Where do the two bills cross?


# %%
def bill(prices, p):
    return float(sum(comb(5, on) * p**on * (1 - p) ** (5 - on) * price for on, price in enumerate(prices)))


densities = [i / 100 for i in range(5, 41)]
bills = {name: [bill(price, p) / p for p in densities] for name, price in prices.items()}
plots.lines(densities, bills, x_title="density", y_title="expected loss / density")

# %%
models[0.25] = train(*world([0.25] * 5))[:2]
for density in (0.25, 0.2):
    (x, chance), (W, b) = world([density] * 5), models[density]
    loss = chance @ (torch.relu(x @ W @ W.T + b) - x).square().sum(1)
    print(f"trained at {density}: lengths", ", ".join(f"{row.norm():.2f}" for row in W))
    print(f"  its loss is {loss:.4f}, its bill {bill(price_list(W, b, values), density):.4f}")

# %% [markdown]
# The lists of two models trained elsewhere say where training changes its mind.
#
# ## Rare, or apart?
#
# Low density does two things: features become rare, and they seldom meet. Separate the two.
# In three worlds each feature is on for 0.2 of the time, with the same values: independently; *never* two together; *always* all five together or none.
# In which does the ReLU gain nothing over PCA?

# %% open="predict-world"
puzzle.predict("world without a gain", ..., because="", sure=...)  # "independent", "never", "always" or "none"

# %%
x, independent = world([0.2] * 5)
on = (x > 0).sum(1)
never = (on == 1) / (on == 1).sum()
always = 0.2 * (on == 5) / (on == 5).sum() + 0.8 * (on == 0)
worlds = {"independent": independent, "never": never, "always": always}
# And the last two a quarter as often:
worlds |= {f"{name}, rarer": worlds[name] / 4 + 0.75 * (on == 0) for name in ("never", "always")}
for name, chance in worlds.items():
    print(f"{name}: feature 0 is on for {chance @ (x[:, 0] > 0).float():.2f} of the time")

# %%
lost = {"PCA": {}, "with ReLU": {}}
for name, chance in worlds.items():
    spread = torch.linalg.eigvalsh(torch.cov(x.T, aweights=chance, correction=0))  # the smallest first
    lost["PCA"][name] = float(5 * spread[:3].sum() / spread.sum())
    W, b, _ = train(x[chance > 0], chance[chance > 0])
    lost["with ReLU"][name] = 5 - worth(x, chance, W, b)
    print(f"{name}: with ReLU {lost['with ReLU'][name] / lost['PCA'][name]:.0%} of PCA's loss is left")
puzzle.recall("world without a gain")
puzzle.recall("what makes them fit")
plots.bars(lost, x_title="together?", y_title="features' worth lost")

# %% [markdown]
# As rare as before; yet never together, the ReLU saves nine tenths of what PCA loses, and always together, nothing.
# (PCA itself loses less there: one number tells it that all are on.)
# Four times as rare, the shares hardly move: rarity alone buys next to nothing.
# What has to be paid is being on together.
#
# ## One at a time
#
# So how many features can two numbers hold, if never two are on, and on means 1?
# Build it by hand, for any n. About four lines.


# %% stub="one_at_a_time"
def one_at_a_time(n):
    """W, shape [n, 2], and b, shape [n], that give back any single one of n features, for n from 5 to 60.

    With one feature at 1 and the others at 0, and with all at 0, out = relu(x @ W @ W.T + b) is x to within 0.01.
    """
    ### BEGIN SOLUTION
    angle = 2 * torch.pi * torch.arange(n) / n
    squared_length = 1.1 / (1 - torch.cos(angle[1]))
    W = squared_length.sqrt() * torch.stack([angle.cos(), angle.sin()], dim=1)
    return W, (1 - squared_length).expand(n)
    ### END SOLUTION


# %% check="one_at_a_time"
puzzle.check("one_at_a_time", one_at_a_time)
### BEGIN HIDDEN TESTS
puzzle.grade("one_at_a_time", one_at_a_time)
### END HIDDEN TESTS

# %%
for n in (5, 7):
    of_ones = price_list(*one_at_a_time(n), (1.0,))
    print(f"{n} features, on means 1: loss with 1 on {of_ones[1]:.2f}, with 2 on {of_ones[2]:.2f}")
    of_any = price_list(*one_at_a_time(n), (0.5, 1.0))
    print(f"{n} features, on means 0.5 or 1: loss with 1 on {of_any[1]:.2f}, with 2 on {of_any[2]:.2f}")

# %% [markdown]
# Any number, for nothing, until two meet. The bias keeps neighbours silent, and swallows small values too.
# So the range of values should matter. Train:

# %%
ranges = {"1": (1.0,), "1, 2, 3": (1.0, 2.0, 3.0), "1/2 to 1": (7 / 12, 9 / 12, 11 / 12), "0 to 1": values}
for name, some in ranges.items():
    x, chance = world([0.05] * 5, some)
    one = x[(x > 0).sum(1) == 1]
    lists = {"never two": (one, torch.ones(len(one)) / len(one)), "independent": (x, chance)}
    for together, listed in lists.items():
        W, b, _ = train(*listed)
        print(f"on means {name}, {together}: {worth(*listed, W, b):.2f} kept")

# %% [markdown]
# Where none meet, the range decides what is lost. Where they do, it hardly matters here.
#
# And with unequal densities? Features 0 and 1 are on for half of the time, the others rarely. Who should share with whom?

# %%
x, chance = world([0.5, 0.5, 0.05, 0.05, 0.05])
W, b, _ = train(x, chance)
plots.heatmap(W @ W.T, rows=range(5), columns=range(5), x_title="feature", y_title="feature", colour_title="W @ W.T")

# %% [markdown]
# The two that meet most often take different axes, and each shares with a rare one. The third rare one is dropped.
#
# ## Your own W
#
# Twelve features in six dimensions, set by hand and turned by a rotation. Label each by the company it keeps:
# `"alone"`; `"pair"`, opposite to one other; `"twins"`, along one other;
# `"triangle"` or `"pentagon"`, evenly spread in a plane; `"dropped"`, next to no length.

# %% open="variant"
my_W = puzzle.variant("your name or id")  # [feature, d_hidden]
print(my_W.numpy().round(2))

# %% stub="my_features"
my_features = ...  # a list of twelve labels
### BEGIN SOLUTION
length = my_W.norm(dim=1)
cosine = my_W @ my_W.T / length / length[:, None] * (length > 0.5)
near = (cosine.abs() > 0.2) & ~torch.eye(12, dtype=torch.bool)
names = {0: "alone", 2: "triangle", 4: "pentagon"}
my_features = [names.get(int(row.sum()), "pair") for row in near]
my_features = ["twins" if (cosine[i] > 0.7).sum() == 2 else label for i, label in enumerate(my_features)]
my_features = ["dropped" if length[i] < 0.5 else label for i, label in enumerate(my_features)]
### END SOLUTION

# %% check="my_features"
puzzle.check("my_features", my_features)
### BEGIN HIDDEN TESTS
puzzle.grade("my_features", my_features)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague writes: "Our features are rare, so the model holds them in superposition. Look, five arrows, evenly spread in two dimensions."
# Answer in three to five sentences: what do the arrows show, what would you measure instead, and when would rare features gain nothing?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# A model without a ReLU has five arrows in a plane as well, and so has one whose features are always on; neither gives back more than two features' worth, so the arrows alone show nothing.
# I would measure what comes back, feature by feature, and hold it against PCA on the same inputs.
# Rarity is not what counts: features that are as rare but always on together gain nothing, while features that never meet gain most, and at a quarter of the density neither changes.
# So I would count how often these features are on together, and list the loss by how many are on.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# They take turns. Five arrows in a plane cannot be orthogonal, so each feature writes into the others' outputs. The ReLU removes what is negative, a bias removes a little of what is positive, and a feature that is on alone comes back nearly whole. The ReLU adds no information: two numbers can say which *one* of many features is on, and how much.
#
# The price is paid where two are on at once, and by small values, which the bias cannot tell from a neighbour's noise. So the arrangement follows from who meets whom: pairs where features meet often, a pentagon where they seldom do, separate axes for the two that meet most. Equally rare features that always come together gain nothing over PCA.
#
# What a number of arrows, or a low density, does not show: that anything is in superposition. Compare with the best linear model on the same inputs.
#
# In this toy the features are given. In a language model nobody hands you the list, nor how often they meet.

# %% [markdown]
# ## Play
#
# Other densities, values or activations. Does `torch.abs` want a pentagon, and from which density on does GELU?

# %% open="play"
density, some, act = [0.2] * 5, values, torch.nn.functional.gelu
x, chance = world(density, some)
W, b, _ = train(x, chance, act)
print(f"{worth(x, chance, W, b, act):.2f} kept")
arrows({"yours": W})

# %% [markdown]
# ## Where next
#
# - *Known dictionary*: features are hidden like this. Does an autoencoder find them?
# - Problems 4.10 and 4.11: where does GELU behave differently? 4.15: the same in attention heads.
#
# The model is that of Elhage et al. (2022), "Toy Models of Superposition"; they train on samples, with importances.
