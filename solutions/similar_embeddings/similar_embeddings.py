# %% [markdown]
# # Suspiciously similar embeddings
#
# Pick two tokens of GPT-Neo at random and compare their embeddings: the cosine is above 0.9.
# Pick two others: above 0.9 again.
# Yet there is room for every token to go its own way: the space has 768 dimensions.
#
# **Does the model think that all words mean nearly the same?**
#
# You will measure the effect over *every* pair of the vocabulary, find what causes it, and make it vanish.
# The control: whatever you do, do it to vectors that share nothing, and see nothing happen.
#
# *45 minutes. You need to know what an embedding and a cosine are. Checks answer at once; nothing you guess is marked.*

# %%
import torch

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
# Which story do you believe? Each predicts something that you can measure.
#
# - `"meaning"`: the model cannot tell most tokens apart.
# - `"dimension"`: this is what vectors in a space of this size look like.
# - `"coordinate"`: one coordinate is huge for every token, and owns the score.
# - `"offset"`: every embedding contains one and the same vector, spread over many coordinates.

# %% open="predict-cause"
puzzle.predict("the cause", ..., because="")

# %% [markdown]
# ## Slow and right
#
# Four pairs are an anecdote.
# Here is the mean cosine over all pairs of five rows, in code that cannot be misread.


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
# You need neither hours nor a subsample.
#
# **Your turn**, about three lines, no n-by-n matrix, no loop over pairs.
# *With n rows of length one, what is the squared length of their sum?*


# %% stub="mean_pairwise_cosine"
def mean_pairwise_cosine(W):
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
print(f"{model.cfg.model_name}: mean cosine {mean_pairwise_cosine(W_E):.3f}")
print(f"random vectors: mean cosine {mean_pairwise_cosine(random_rows):.3f}")

# %% [markdown]
# ## Who is responsible?
#
# If the tokens share something, their mean is where to look for it: whatever differs between them averages out.
# Measure how far each token points along the mean embedding. About two lines.


# %% stub="cosine_to_mean"
def cosine_to_mean(W):
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
along = cosine_to_mean(W_E)
print(f"with the mean: lowest {along.min():.3f}, average {along.mean():.3f}; squared {along.mean() ** 2:.3f}")

largest = W_E.mean(0).abs().argmax()
others = W_E[:, torch.arange(W_E.shape[1]) != largest]
print(f"mean cosine without the mean's largest coordinate: {mean_pairwise_cosine(others):.3f}")

# %% [markdown]
# Compare the squared average with your mean over pairs, and the second line with the story of the one huge coordinate.
#
# ## Make it vanish
#
# Move the origin into the middle of the cloud: subtract from every row what all rows share. One line.


# %% stub="centre"
def centre(W):
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
# Before you look: what will the mean cosine be after centring?
# A number between -1 and 1; it becomes a line in the picture.

# %% open="predict-centred"
puzzle.predict("mean cosine after centring", ..., because="")

# %%
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
# So does TransformerLens' compatibility mode, which has centred `W_E` that way by the time you look at it.
# Decide what this does to the blue histogram, and only then run it.

# %%
own_mean_removed = W_E - W_E.mean(dim=1, keepdim=True)
print(f"mean cosine {mean_pairwise_cosine(W_E):.3f} before, {mean_pairwise_cosine(own_mean_removed):.3f} after")

# %% [markdown]
# It removes one direction out of many, the same for every model: all coordinates equal.
# The shared vector points elsewhere.
#
# ## Try to break it
#
# Centred rows sum to zero, so *any* centred matrix has a mean cosine near zero.
# Was your result arithmetic, then, and not a discovery?
# Two controls: two tight clusters on opposite sides, and the random vectors again.

# %%
pole = torch.randn(W_E.shape[1], generator=torch.Generator().manual_seed(1))
sides = torch.tensor([1.0, -1.0]).repeat(len(W_E) // 2)[:, None]
clusters = sides * pole + 0.2 * random_rows[: len(sides)]


def report(name, W):
    print(f"{name:>14}: mean cosine {mean_pairwise_cosine(W):+.3f}, centred {mean_pairwise_cosine(centre(W)):+.3f}")


report("two clusters", clusters)
report("random", random_rows)
report("embeddings", W_E)

# %%
names = ("two clusters", "random", "embeddings, centred")
plots.pair_histogram(*map(cosine_histogram, (clusters, random_rows, centre(W_E))), names=names)

# %% [markdown]
# All three have a mean near zero, and nothing else in common: the mean says little.
# The news is the *shape* of the last one, which centring did not dictate.
# It is wider than chance: some tokens are alike, some opposed, and from the old origin all of that was squeezed into a sliver below 1.
#
# ## How far away?
#
# One number for it: the length of the mean row over the mean length of a row. One line.


# %% stub="offset_ratio"
def offset_ratio(W):
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
models = {"gpt2": load_model("gpt2", fallback="mini-gpt2"), "mini-untied": load_model("mini-untied")}
for other in (model, *models.values()):
    W = other.W_E.detach()
    report(other.cfg.model_name, W)
    print(f"{'':>14}  offset ratio {offset_ratio(W):.2f}")

# %% [markdown]
# `mini-untied` reads tokens in with one matrix and out with another, and has no offset to remove: there, centring changes nothing.
# That GPT-Neo and GPT-2 differ so much is the next puzzle.
#
# ## Explain
#
# A colleague says: "GPT-Neo's embeddings are nearly all parallel, so it barely tells tokens apart."
# Answer in three to five sentences: what makes the cosines high, what a cosine near zero after centring does and does not show, and when you would not centre.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Every embedding contains the same large vector, the mean; the differences between tokens are small beside it, so every cosine mostly measures the mean's cosine with itself.
# A cosine is measured from the origin, and nothing in training gives the origin a meaning, so the number is about where zero happens to lie.
# After centring the mean is near zero by arithmetic; that shows nothing, but the histogram's width and tail show that tokens do differ, and which are alike.
# I would not centre where the model itself uses the length or the offset: if the embedding is also the unembedding, for instance, the mean carries part of what is rare and what is common.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13, as the first of these puzzles was published.
# Running the cell decodes it once you have tried a part.

# %% [markdown] reveal="answer"
# The mean vector of the embeddings is just very big. In GPT-Neo every token has a cosine of about 0.95 with it, so any two tokens share about 0.95 squared.
#
# The lesson is about the origin. Cosines and dot products are taken from zero, and a model never promised that its zero means anything: it can learn a bias in each layer that undoes a constant. So ask of every cosine, dot product, norm and zero ablation: *from where?* Centring is usually the better choice of an origin, and still a choice.
#
# (The stand-in `mini-neo` was built to show the symptom: we put the offset in at initialisation, and training kept it. Why GPT-Neo has one, nobody has shown.)

# %% [markdown]
# ## Play
#
# Which tokens are neighbours, and does the origin change that?
# Try other tokens, only some of the rows, or `model = models["gpt2"]` with its own `W_E`.


# %% open="play"
def neighbours(W, token, k=6):
    cosines = torch.cosine_similarity(W, W[model.to_single_token(token)], dim=1)
    return [model.to_string([i]) for i in cosines.topk(k + 1).indices[1:]]


for token in (" True", " list", " ==", " 1"):
    print(f"{token!r:8} as they are {neighbours(W_E, token)}")
    print(f"{'':8} centred     {neighbours(centre(W_E), token)}")

# %% [markdown]
# ## Where next
#
# - *Bias without a home*: GPT-2's mean cosine is 0.3 and GPT-Neo's 0.95. What does the difference tell you?
# - *Meaningful zero*: the same question asked of zero ablation.
#
# The question is Neel Nanda's (Mech Interp Puzzle 1, 2023).
