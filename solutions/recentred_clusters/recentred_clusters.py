# %% [markdown]
# # Recentred clusters
#
# Take two different tokens of a text, and their hidden states in `mini-deep`, a model of eight layers.
# On average their cosine is positive after every layer. In GPT-2's last layer it is nearly 1 (Ethayarajh 2019).
#
# Cai et al. (2021) found such states in clusters. They moved each cluster's mean to zero, and the similarity was gone.
# Do so below, with two clusters in each layer. Gone.
#
# **Hidden states of different words have a positive cosine in every layer. What does recentring by cluster do?**
#
# *45 minutes. You need a cosine, hidden states and k-means. Guesses are kept on your machine and never marked.*

# %%
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.geometry import cosine_histogram
from mechpuzzles.zoo.corpus import package_source
from mechpuzzles.zoo.recipes import RECIPES
from mechpuzzles.zoo.tasks import repeats, shown_twice

# %%
torch.set_grad_enabled(False)
puzzle, model = load_puzzle("recentred_clusters"), load_model("mini-deep")
ids = model.tokenizer("".join(package_source("einops")))["input_ids"]
text = torch.tensor(ids[: 100 * 64]).reshape(100, 64)  # 100 windows of einops' source


# %%
def states(model, tokens):  # after each layer, one row for each token
    cache = model.run_with_cache(tokens, names_filter=lambda name: "resid_post" in name)[1]
    return [cache["resid_post", layer].flatten(0, 1) for layer in range(model.cfg.n_layers)]


# %%
def k_means(X, k=2):
    centres = X[torch.randperm(len(X), generator=torch.Generator().manual_seed(0))[:k]]
    for _ in range(50):
        labels = torch.cdist(X, centres).argmin(1)
        before, centres = centres, torch.stack([X[labels == j].mean(0) for j in range(k)])
        if centres.equal(before):  # nothing moves any more
            break
    return labels, centres


# %%
layers, words = states(model, text), text.flatten()
pairs = torch.randint(len(words), (2, 20_000), generator=torch.Generator().manual_seed(0))
a, b = pairs[:, words[pairs[0]] != words[pairs[1]]]
raw, recentred = [], []
for X in layers:
    labels, centres = k_means(X)
    Y = X - centres[labels]
    raw.append(torch.cosine_similarity(X[a], X[b]).mean())
    recentred.append(torch.cosine_similarity(Y[a], Y[b]).mean())
curves = {"as they are": raw, "recentred": recentred}
plots.lines(range(1, 9), curves, x_title="layers passed", y_title="mean cosine of different tokens")

# %% [markdown]
# ## Commit
#
# Which story do you believe of `mini-deep`?
#
# - `"clusters"`: the states lie in two clusters, each far from zero.
# - `"one mean"`: all states share one vector. Two clusters are one too many.
# - `"k-means"`: it finds whatever groups make this number small.
# - `"kinds"`: tokens of one kind are similar. Only without the kind is the similarity gone.
#
# And if the two groups were drawn by lot, of the same sizes, what would the cosine be after recentring?

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-random"
puzzle.predict("cosine with random groups", ..., because="", sure=...)  # between -1 and 1

# %% [markdown]
# ## Slow and right
#
# A *type* is a token as such; an *occurrence* is one place where it stands.
# Pairs of different types are inter-type. Two occurrences of one type are an intra-type pair.


# %%
def slow_cosines(resid, tokens):
    inter, intra = [], []
    for i in range(len(tokens)):
        for j in range(i):  # each pair once, and no row with itself
            cosine = resid[i] @ resid[j] / (resid[i].norm() * resid[j].norm())
            (intra if tokens[i] == tokens[j] else inter).append(cosine)
    return sum(inter) / len(inter), sum(intra) / len(intra)


print("inter {:.3f}, intra {:.3f}, in 64 rows".format(*slow_cosines(layers[3][:64], words[:64])))

# %% [markdown]
# 6,400 rows make 20 million pairs.
#
# **Your turn**, about six lines for each, no n-by-n matrix.
# *The squared length of the sum of all unit rows holds every pair. Which sums hold the pairs of one type?*


# %% stub="inter_type_cosine"
def inter_type_cosine(resid: Float[Tensor, "n d_model"], tokens: Int[Tensor, "n"]):
    """The mean cosine over all pairs of rows with different tokens; one number.

    resid: [n, d_model]; tokens: [n], integers.
    """
    ### BEGIN SOLUTION
    unit = resid / resid.norm(dim=1, keepdim=True)
    types, which, counts = tokens.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(types), resid.shape[1]).index_add_(0, which, unit)
    all_pairs, same = unit.sum(0).square().sum(), sums.square().sum()
    return (all_pairs - same) / (len(tokens) ** 2 - counts.square().sum())
    ### END SOLUTION


# %% check="inter_type_cosine"
puzzle.check("inter_type_cosine", inter_type_cosine)
### BEGIN HIDDEN TESTS
puzzle.grade("inter_type_cosine", inter_type_cosine)
### END HIDDEN TESTS


# %% stub="intra_type_cosine"
def intra_type_cosine(resid: Float[Tensor, "n d_model"], tokens: Int[Tensor, "n"]):
    """The mean cosine over all pairs of different rows with the same token; one number.

    Every pair counts once, so a frequent type has more weight.
    """
    ### BEGIN SOLUTION
    types, which, counts = tokens.unique(return_inverse=True, return_counts=True)
    sums = torch.zeros(len(types), resid.shape[1])
    sums.index_add_(0, which, resid / resid.norm(dim=1, keepdim=True))
    return (sums.square().sum() - len(tokens)) / (counts * (counts - 1)).sum()
    ### END SOLUTION


# %% check="intra_type_cosine"
puzzle.check("intra_type_cosine", intra_type_cosine)
### BEGIN HIDDEN TESTS
puzzle.grade("intra_type_cosine", intra_type_cosine)
### END HIDDEN TESTS

# %% [markdown]
# Now the cure, for labels of any kind: move each group's mean to zero. About three lines.


# %% stub="recentre"
def recentre(resid: Float[Tensor, "n d_model"], labels: Int[Tensor, "n"]) -> Float[Tensor, "n d_model"]:
    """Each row minus the mean of the rows that bear its label; shape [n, d_model], rows in their order.

    labels: [n], any integers.
    """
    ### BEGIN SOLUTION
    names, which = labels.unique(return_inverse=True)
    means = torch.stack([resid[labels == name].mean(0) for name in names])
    return resid - means[which]
    ### END SOLUTION


# %% check="recentre"
puzzle.check("recentre", recentre)
### BEGIN HIDDEN TESTS
puzzle.grade("recentre", recentre)
### END HIDDEN TESTS

# %% [markdown]
# Who deserves the credit? Keep the sizes, and draw the groups by lot. Or take one group for all.


# %%
def shuffled(labels):
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]


def three_ways(X):
    labels = k_means(X)[0]
    return {"k-means": labels, "random groups": shuffled(labels), "one group": 0 * labels}


# %%
curves = {"as they are": [inter_type_cosine(X, words) for X in layers]}
for X in layers:
    for name, labels in three_ways(X).items():
        curves.setdefault(name, []).append(inter_type_cosine(recentre(X, labels), words))
puzzle.recall("cosine with random groups", found=curves["random groups"][-1])
plots.lines(
    range(1, 9),
    curves,
    x_title="layers passed",
    y_title="inter-type cosine",
    prediction=puzzle.prediction("cosine with random groups"),
)

# %%
print(f"intra-type after layer 4, as they are: {intra_type_cosine(layers[3], words):.2f}")
for name, labels in three_ways(layers[3]).items():
    print(f"{name:>13}: {intra_type_cosine(recentre(layers[3], labels), words):.2f}")
puzzle.recall("the story")

# %% [markdown]
# Three cures, one line: groups that mean nothing do as well. One mean was enough.
# The intra-type cosine can tell k-means from a lottery: k-means also takes something that a type's occurrences share.
#
# ## Are there clusters at all?
#
# k-means finds clusters in anything.
# How much of the spread do they explain? About three lines.


# %% stub="share_explained"
def share_explained(resid: Float[Tensor, "n d_model"], labels: Int[Tensor, "n"]):
    """How much of the rows' spread the groups hold; one number, 1 if each row is its group's mean.

    One minus: squared distances from the group's mean, summed, over those from the mean of all.
    """
    ### BEGIN SOLUTION
    groups = [resid[labels == name] for name in labels.unique()]
    within = sum((group - group.mean(0)).square().sum() for group in groups)
    return 1 - within / (resid - resid.mean(0)).square().sum()
    ### END SOLUTION


# %% check="share_explained"
puzzle.check("share_explained", share_explained)
### BEGIN HIDDEN TESTS
puzzle.grade("share_explained", share_explained)
### END HIDDEN TESTS

# %% [markdown]
# What would k-means explain where there are no clusters? Hold it against random rows of the same mean and covariance.
#
# And try a second model: `mini-induction`, two attention layers, trained on 64 meaningless tokens, partly in sequences that repeat.
# It reads a begin token, 23 tokens, and the same 23 again.

# %%
small = load_model("mini-induction")
sequences = shown_twice(100, 23, 65, torch.Generator().manual_seed(0))


def no_clusters(X):
    spread = torch.linalg.cholesky(X.T.cov().double() + 1e-6 * torch.eye(X.shape[1])).float()
    return X.mean(0) + torch.randn(X.shape, generator=torch.Generator().manual_seed(2)) @ spread.T


# %%
for name, stack in (("mini-deep", layers), ("mini-induction", states(small, sequences))):
    shares = [share_explained(X, k_means(X)[0]) for X in stack]
    chance = [share_explained(Y, k_means(Y)[0]) for Y in map(no_clusters, stack)]
    print(f"{name:>14}:", *(f"{share:.2f}" for share in shares))
    print(f"{'no clusters':>14}:", *(f"{share:.2f}" for share in chance))

# %% [markdown]
# In `mini-deep` two clusters explain little, and little more than in a cloud that has none.
# After the last layer of `mini-induction` they explain most. What does recentring do there?

# %%
X, shown = states(small, sequences)[-1], sequences.flatten()
print(f"inter-type, as they are: {inter_type_cosine(X, shown):.2f}")
curves = {}
for name, labels in three_ways(X).items():
    Y = recentre(X, labels)
    print(f"{name:>13}: {inter_type_cosine(Y, shown):z.2f}")
    histogram = cosine_histogram(Y, bins=40)
    curves[name] = histogram.counts / histogram.n_pairs
plots.lines(histogram.centres.round(3), curves, x_title="cosine of a pair", y_title="share of all pairs")

# %% [markdown]
# By the mean all three are cured. Yet after one mean, or random groups (the same line), most pairs are near 1 or -1: two opposite clusters, whose cosines cancel.
# Of the three, only k-means' groups take the two humps away.
#
# ## What are they?
#
# Compute it, do not assume it. What do you expect?

# %% open="predict-what"
puzzle.predict(
    "what the clusters are", ..., because="", sure=...
)  # "begin", "token", "second showing", "position" or "other"

# %%
pos = torch.arange(47).repeat(100)
labels, centres = k_means(X)
candidates = {"begin": (pos == 0).long(), "token": shown, "second showing": (pos > 23).long()}
candidates |= {"position": pos, "k-means": labels}
for name, groups in candidates.items():
    share, by_chance = share_explained(X, groups), share_explained(X, shuffled(groups))
    print(f"{name:>14}: {len(groups.unique()):2} groups explain {share:.2f}, shuffled {by_chance:.2f}")

# %% [markdown]
# Neither tokens nor the begin token. Position, then?
# Try to break it: take the same positions, 13 to 22, in other sequences. One kind repeats sooner. One follows fixed bigrams, as half of the training did.

# %%
far = centres.norm(dim=1).argmax()
bigrams = repeats(RECIPES["mini-induction"], torch.Generator().manual_seed(0))[:16, :47]
sooner = shown_twice(100, 12, 65, torch.Generator().manual_seed(0))
for name, some in (("23 twice", sequences), ("12 twice", sooner), ("bigrams", bigrams)):
    nearest = torch.cdist(states(small, some)[-1], centres).argmin(1).reshape(some.shape)
    print(f"{name:>8}: {(nearest[:, 13:23] == far).float().mean():.2f} in the far cluster")

# %% [markdown]
# So it is not the position, and not the first showing as such: bigrams are new too.
# What is left to differ? Ask the model what it expects next: its entropy, at most ln 65 = 4.17.

# %%
log_p = small(sequences).log_softmax(-1)
entropy = -(log_p.exp() * log_p).sum(-1)
for name, group in (("far cluster", labels == far), ("the other", labels != far)):
    low, median, high = entropy.flatten()[group].quantile(torch.tensor([0.05, 0.5, 0.95]))
    print(f"{name:>11}: entropy {median:.2f}, for 90 % between {low:.2f} and {high:.2f}")

# %% [markdown]
# In the far cluster the model expects nothing in particular. (In the other mostly something, but not always: the begin token's states lie there.)
# That is a correlation. Intervene: change the states after the last layer, and let the model finish.


# %%
def finish(Y):
    put = ("blocks.1.hook_resid_post", lambda act, hook: Y.reshape(act.shape))
    log_p = small.run_with_hooks(sequences, fwd_hooks=[put]).log_softmax(-1)
    entropy = -(log_p.exp() * log_p).sum(-1)
    first, again = entropy[:, 2:23].mean(), entropy[:, 24:].mean()
    right = (log_p[:, 24:-1].argmax(-1) == sequences[:, 25:]).float().mean()
    return f"entropy {first:.2f} first, {again:.2f} again; {right:.0%} right again"


# %%
Y = recentre(X, labels)
push = torch.randn(64, generator=torch.Generator().manual_seed(0))
push *= (centres[1] - centres[0]).norm() / push.norm()
changes = {"as they are": X, "recentred": Y}
changes |= {"centres swapped": Y + centres[1 - labels], "random push": X + push}
for name, changed in changes.items():
    print(f"{name:>15}: {finish(changed)}")
puzzle.recall("what the clusters are")

# %% [markdown]
# Swap the centres, and the sure become unsure, with every guess still right.
# A random push of the same length costs most of the guesses: the unembedding, with the LayerNorm's weights, reads it.
# The centres it hardly reads.
# Here the centre says *how sure*; what recentring leaves says *which token*.
#
# ## Your own cloud
#
# 300 rows, planted around the groups of one of six labellings. Which? `position` had the largest share above, and was wrong.

# %% open="variant"
mine, labellings = puzzle.variant("your name or id")
for number, groups in enumerate(labellings):
    print(f"labelling {number}: {len(groups.unique())} groups")

# %% stub="my_labelling"
my_labelling = ...  # its number, 0 to 5
### BEGIN SOLUTION
gains = [share_explained(mine, one) - share_explained(mine, shuffled(one)) for one in labellings]
my_labelling = max(range(6), key=gains.__getitem__)
### END SOLUTION

# %% check="my_labelling"
puzzle.check("my_labelling", my_labelling)
### BEGIN HIDDEN TESTS
puzzle.grade("my_labelling", my_labelling)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague recentres clusters of hidden states, sees the mean cosine fall from 0.6 to 0, and reports: "The model keeps its words in clusters."
# Answer in three to five sentences: which controls do you ask for, what does the mean cosine miss, and what else may be gone?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Recentre random groups of the same sizes, and one group for all: if the cosine falls as far, the clusters did nothing, for any centred cloud of like lengths has a mean cosine near zero.
# k-means returns clusters for any cloud, so compare the share it explains with that on random rows of the same covariance.
# The mean misses two opposite clusters, whose cosines cancel; look at the histogram.
# A cluster's mean may be information that the model uses: in mini-induction it says how sure the prediction is, and recentring deletes it.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Recentring by cluster does two things, and only one of them needs clusters. It removes the mean that all states share: any groups do that, even random ones, and it alone takes the mean cosine to zero. And it removes what each group shares by itself. Whether that is anything must be shown: against random groups, and against a cloud that has no clusters.
#
# In `mini-deep` there is little of it. In `mini-induction` there is a lot: a long vector that says "random tokens, nothing to repeat yet". By itself it predicts every token alike (entropy 4.16). The last LayerNorm divides by the length, so the longer this vector, the fainter everything else: a volume knob. Recentre, and the model is sure of nonsense.
#
# What GPT-2's clusters are is another question. Its first position has states far longer than all others (Sun et al. 2024, "Massive Activations"), which drag one mean away from everybody; there, clusters may do what one mean cannot.

# %% [markdown]
# ## Play
#
# Turn the knob: recentred states, with some of the far cluster's centre put back everywhere.

# %% open="play"
for dose in (0, 0.25, 0.5, 1, 2):
    print(f"{dose:>5}: {finish(Y + dose * centres[far])}")

# %% [markdown]
# And GPT-2, if it is in reach. Does one group still do? Try it without the first position (`first = 1`).

# %% open="gpt2"
other, layer, first = load_model("gpt2", fallback="mini-gpt2"), 1, 0
ids = other.tokenizer("".join(package_source("einops")))["input_ids"]
tokens = torch.tensor(ids[: 50 * 64]).reshape(50, 64)
Z = states(other, tokens)[layer].reshape(50, 64, -1)[:, first:].flatten(0, 1)
for name, groups in three_ways(Z).items():
    cosine = inter_type_cosine(recentre(Z, groups), tokens[:, first:].flatten())
    print(f"{name:>13}: cosine {cosine:z.2f}, {share_explained(Z, groups):.2f} explained")

# %% [markdown]
# ## Where next
#
# - *Induction heads*: which parts of `mini-induction` know what comes next?
# - *Growing residuals*: what a long vector does to everybody else.
#
# The cure is from Cai, Huang, Bian and Church (2021, "Isotropy in the Contextual Embedding Space").
