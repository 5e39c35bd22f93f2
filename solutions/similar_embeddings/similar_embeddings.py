# %% [markdown]
# # Suspiciously similar embeddings
#
# Pick two tokens of GPT-Neo at random and compare their embeddings: the cosine is above 0.9.
# Pick two others: above 0.9 again.
# Yet there is room for every token to go its own way: the space has 768 dimensions.
#
# **Does the model think that all words mean nearly the same?**
#
# You will measure the effect over *every* pair of the vocabulary, find what is behind it, and make it vanish.
# Then you will try to break your own result.
#
# *30 minutes. You need to know what an embedding and a cosine are. Guesses are kept on your machine and never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.geometry import cosine_histogram

puzzle = load_puzzle("similar_embeddings")
model = load_model("gpt-neo-125m", fallback="mini-neo")
W_E = model.W_E.detach()  # [d_vocab, d_model]

# %%
some = torch.randperm(len(W_E), generator=torch.Generator().manual_seed(0))[:300]
words = [model.to_string([token]) for token in some]
words = [word for word in words if word[0] == " " and word[4:].isalpha()]
for a, b in zip(words[:4], words[4:8]):
    of_a, of_b = W_E[model.to_single_token(a)], W_E[model.to_single_token(b)]
    print(f"{torch.cosine_similarity(of_a, of_b, dim=0):.2f}  {a!r} and {b!r}")

# %% [markdown]
# ## Commit
#
# Which story do you believe? Each predicts something that you will measure.
#
# - `"meaning"`: the model cannot tell most tokens apart.
# - `"dimension"`: this is what vectors in a space of this size look like.
# - `"coordinate"`: one coordinate is huge for every token, and owns the score.
# - `"offset"`: every embedding contains one and the same vector, spread over many coordinates.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# Four pairs are an anecdote.
# Here is the mean cosine over all pairs of five rows, spelt out.


# %%
def slow_mean_pairwise_cosine(W):
    cosines = []
    for i in range(len(W)):
        for j in range(i):  # each pair once, and no token with itself
            cosines.append(W[i] @ W[j] / (W[i].norm() * W[j].norm()))
    return sum(cosines) / len(cosines)


print(f"{slow_mean_pairwise_cosine(W_E[:5]):.3f} over 10 pairs")

# %% [markdown]
# GPT-Neo's 50,257 tokens make 1,262,857,896 pairs: the loop would take hours.
# The post that first asked this question took 5,000 tokens "for memory reasons".
# You need neither hours nor a sample.
#
# **Your turn**, about three lines, no n-by-n matrix, no loop over pairs.
# *With n rows of length one, what is the squared length of their sum?*


# %% stub="mean_pairwise_cosine"
def mean_pairwise_cosine(W: Float[Tensor, "n d_model"]):
    """The mean cosine over all pairs of two different rows of W, shape [n, d_model]; one number."""
    ### BEGIN SOLUTION
    n = len(W)
    unit = W / W.norm(dim=1, keepdim=True)
    return (unit.sum(0).square().sum() - n) / (n * (n - 1))
    ### END SOLUTION


# %% check="mean_pairwise_cosine"
puzzle.check("mean_pairwise_cosine", mean_pairwise_cosine)
### BEGIN HIDDEN TESTS
puzzle.grade("mean_pairwise_cosine", mean_pairwise_cosine)
### END HIDDEN TESTS

# %% [markdown]
# Now every pair, and beside it random vectors in as many dimensions.
# Which story has just died?

# %%
random_rows = torch.randn(W_E.shape, generator=torch.Generator().manual_seed(0))
print(f"{model.cfg.model_name}: mean cosine {mean_pairwise_cosine(W_E):.3f} over {len(W_E)} tokens")
print(f"random vectors: {mean_pairwise_cosine(random_rows):z.3f}")

# %% [markdown]
# ## Where do they point?
#
# If the tokens share a direction, it is that of their mean.
# How far does each token point along it? About two lines.


# %% stub="cosine_to_mean"
def cosine_to_mean(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n"]:
    """The cosine of each row of W with the mean of all rows; shape [n]."""
    ### BEGIN SOLUTION
    mean = W.mean(0)
    return W @ mean / (W.norm(dim=1) * mean.norm())
    ### END SOLUTION


# %% check="cosine_to_mean"
puzzle.check("cosine_to_mean", cosine_to_mean)
### BEGIN HIDDEN TESTS
puzzle.grade("cosine_to_mean", cosine_to_mean)
### END HIDDEN TESTS

# %%
along, power = cosine_to_mean(W_E), W_E.mean(0) ** 2
print(f"with the mean: average {along.mean():.3f}, squared {along.mean() ** 2:.3f}")
print(f"the mean is spread over about {power.sum() ** 2 / (power**2).sum():.0f} of {len(power)} coordinates")
print("least along it:", [model.to_string([token]) for token in along.argsort()[:8]])

# %% [markdown]
# Hold the squared average against your mean over pairs: you have said one thing twice, not found a cause.
# Hold the second line against `"coordinate"`: one coordinate would make it 1.
# And who are the last eight? On `mini-neo`, mostly bytes, which its text hardly holds. *Born or made*, a later puzzle, follows them.
#
# ## Make it vanish
#
# Move the origin into the middle of the cloud: subtract from every row what all rows share. One line.


# %% stub="centre"
def centre(W: Float[Tensor, "n d_model"]) -> Float[Tensor, "n d_model"]:
    """W with its origin moved to the mean of its rows; shape [n, d_model]."""
    ### BEGIN SOLUTION
    return W - W.mean(0)
    ### END SOLUTION


# %% check="centre"
puzzle.check("centre", centre)
### BEGIN HIDDEN TESTS
puzzle.grade("centre", centre)
### END HIDDEN TESTS

# %% [markdown]
# Before you look: what will the mean cosine be? A number between -1 and 1; it becomes a line in the picture.

# %% open="predict-centred"
puzzle.predict("mean cosine after centring", ..., because="", sure=...)

# %%
puzzle.recall("mean cosine after centring", found=mean_pairwise_cosine(centre(W_E)))
plots.pair_histogram(
    cosine_histogram(W_E, exact=True),
    cosine_histogram(centre(W_E), exact=True),
    names=("as they are", "centred"),
    prediction=puzzle.prediction("mean cosine after centring"),
)

# %% [markdown]
# ## The tempting mistake
#
# LayerNorm also subtracts a mean: each vector's own, over its coordinates.
# TransformerLens' compatibility mode has done so to `W_E` by the time you look.
# What does that do to the mean cosine? Decide, then run.

# %%
own_mean_removed = W_E - W_E.mean(dim=1, keepdim=True)
all_ones = torch.ones(W_E.shape[1])
print(f"{mean_pairwise_cosine(W_E):.3f} before, {mean_pairwise_cosine(own_mean_removed):.3f} after")
print(f"the mean's cosine with (1, 1, ..., 1): {torch.cosine_similarity(W_E.mean(0), all_ones, dim=0):.2f}")

# %% [markdown]
# It removes one direction, the same in every model: all coordinates equal. The shared vector points elsewhere.
#
# ## Try to break it
#
# Centred rows sum to zero. If their lengths are alike, their mean cosine *has* to be near zero, whatever the matrix.
# So was your result arithmetic? Three controls without any meaning in them:

# %%
pole = torch.ones(W_E.shape[1])
sides = (torch.arange(len(W_E)) % 2 * 2 - 1)[:, None]
one_far = torch.cat([pole + 0.1 * random_rows[1:], -len(W_E) * pole[None]])
controls = {"random": random_rows, "two clusters": sides * pole + 0.2 * random_rows, "one far row": one_far}
for name, W in {**controls, "embeddings": W_E}.items():
    print(f"{name:>12}: {mean_pairwise_cosine(W):z.3f}, centred {mean_pairwise_cosine(centre(W)):z.3f}")

# %% [markdown]
# Two tight clusters have mean zero, and no two of their rows are near orthogonal. One far row drags the mean to the origin, and centring cures nothing.
# A mean cosine says little. Is the *width* of the centred histogram the news? Once more against vectors without meaning: random, with the embeddings' own covariance.

# %%
spread = torch.linalg.cholesky(centre(W_E).T.cov().double() + 1e-9 * torch.eye(W_E.shape[1])).float()
no_meaning = random_rows @ spread.T
histograms = [cosine_histogram(centre(W), exact=True) for W in (W_E, no_meaning)]
plots.pair_histogram(*histograms, names=("embeddings, centred", "random, same covariance"))

# %% [markdown]
# So the width is no news either. To learn whether tokens are told apart, ask which tokens are *near*:


# %% open="neighbours"
def neighbours(W, word, k=5):
    cosines = torch.cosine_similarity(W, W[model.to_single_token(word)], dim=1)
    return [model.to_string([token]) for token in cosines.topk(k + 1).indices[1:]]


rows = {"as they are": W_E, "centred": centre(W_E), "no meaning": no_meaning}
for word in (" True", " ==", " 1"):
    for name, W in rows.items():
        print(f"{word!r:8}{name:>12}: {neighbours(W, word)}")
puzzle.recall("the story")

# %% [markdown]
# For these three, all common, they make sense *before* centring too: a cosine of 0.99 among many of 0.97 was enough.
# On `mini-neo`, most other tokens change their nearest.
# The ruler started in the wrong place. What is left of your story?
#
# ## How far off is the origin?
#
# One number: the length of the mean row over the mean length of a row. One line.


# %% stub="offset_ratio"
def offset_ratio(W: Float[Tensor, "n d_model"]):
    """Length of the mean row of W, divided by the mean of the rows' lengths; one number between 0 and 1."""
    ### BEGIN SOLUTION
    return W.mean(0).norm() / W.norm(dim=1).mean()
    ### END SOLUTION


# %% check="offset_ratio"
puzzle.check("offset_ratio", offset_ratio)
### BEGIN HIDDEN TESTS
puzzle.grade("offset_ratio", offset_ratio)
### END HIDDEN TESTS

# %% [markdown]
# Now other models, with your functions unchanged.

# %%
gpt2, untied = load_model("gpt2", fallback="mini-gpt2"), load_model("mini-untied")
for other in (model, gpt2, untied):
    W = other.W_E.detach()
    print(f"{other.cfg.model_name:>12}: offset ratio {offset_ratio(W):.2f}, mean cosine {mean_pairwise_cosine(W):z.3f}")

# %% [markdown]
# `mini-untied` is `mini-gpt2` with one change: it reads tokens in and out by two matrices. Its origin needs no moving, and centring changes nothing.
# One pair of models is a hint, not a law: GPT-Neo and GPT-2 both use one matrix, and differ. The next puzzle asks why that may mean nothing.
#
# ## Explain
#
# A colleague says: "GPT-Neo's embeddings are nearly parallel, so it barely tells tokens apart."
# Answer in three to five sentences: what makes the cosines high, what the centred histogram does and does not show, and when you would not centre.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Every embedding contains the same large vector, the mean; the differences between tokens are small beside it, so every cosine mostly measures the mean against itself.
# A cosine is measured from the origin, and nothing in training gives the origin a meaning, so the number is about where zero happens to lie.
# After centring the mean is near zero by arithmetic, and random vectors of the same covariance spread at least as wide, so neither says that tokens are told apart; the neighbours do, and those of common tokens are sensible before centring too.
# I would not centre where the model itself reads the rows, for its layers were trained with the offset in them; in the unembedding the mean adds the same to every logit, and the softmax drops it.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13, as the first of these puzzles was published.
# Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# The mean vector of the embeddings is just very big. In GPT-Neo a typical token has a cosine of about 0.95 with it, so two tokens share about 0.95 squared.
#
# The lesson is about the origin. Cosines and dot products are taken from zero, and a model never promised that its zero means anything. So ask of every cosine, dot product, norm and zero ablation: *from where?* The author of the question centres by default, and calls it a choice, not a rule.
#
# Why is the mean so big? He guesses that it acts as a bias term: nearly free, since every layer can learn biases that undo a constant. Nobody has shown it. (In the stand-in `mini-neo` we put it there: one vector added to every row at initialisation, which training kept.)

# %% [markdown]
# ## Play
#
# Another model, only some of its rows, centred or not.

# %% open="play"
name, first, last, centred = "mini-untied", 0, 2048, False
W = load_model(name).W_E.detach()[first:last]
plots.pair_histogram(cosine_histogram(centre(W) if centred else W, exact=True), names=(name,))

# %% [markdown]
# ## Where next
#
# - *Bias without a home*: GPT-2's mean cosine is near 0.3, GPT-Neo's above 0.9. What does the difference tell you?
# - *Meaningful zero*: the same question, asked of zero ablation.
#
# The question, the figures for GPT-Neo and GPT-2, and the guess are Neel Nanda's (Mech Interp Puzzle 1, 2023).
