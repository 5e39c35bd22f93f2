# %% [markdown]
# # Born or made?
#
# `mini-gpt2` is a small model of Python source.
# 98 of its 2,048 tokens were never shown to it in training, neither to read nor to predict.
# Among them are `thon` and `859`: the tokenizer has them, no training batch did.
# Yet their embeddings have a cosine of 0.98. Two common tokens are, on average, at 0.
#
# **Training never showed it these tokens. Were they born alike, or did training make them so?**
#
# You have the embedding at six moments, the first of them before the first update.
# You will follow it, look for whoever is responsible, and try to break your story.
#
# *40 minutes. You need the first puzzle, "Suspiciously similar embeddings", and what a gradient is. Guesses are never marked.*

# %%
from dataclasses import replace
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots, zoo

puzzle = load_puzzle("born_or_made")
model = load_model("mini-gpt2")
run = zoo.trajectory("mini-gpt2")  # W_E at six steps of the training, and how often each token was shown

# %%
W_E, never = run.W_E[-1], (run.counts == 0).nonzero().flatten()
for pair in [("thon", "859"), ("\t", " charact"), (" if", "data"), (" class", "value")]:
    tokens = [model.to_single_token(word) for word in pair]
    cosine = torch.cosine_similarity(*W_E[tokens], dim=0)
    print(f"{cosine:z.2f}  {pair}, shown {run.counts[tokens].tolist()} times")

# %% [markdown]
# ## Commit
#
# Which story do you believe? Each predicts something that you will measure.
#
# - `"born"`: they were drawn so, and nothing has touched them since.
# - `"decay"`: weight decay pulls every unused row to the same place.
# - `"read"`: what the model learns from reading other tokens moves them too.
# - `"answer"`: they moved as possible answers, although they never were the right one.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# Five tokens that were never shown, compared each with each, in the trained model.


# %%
def slow_similarity(W):
    cosines = []
    for i in range(len(W)):
        for j in range(i):  # each pair once, and no token with itself
            cosines.append(W[i] @ W[j] / (W[i].norm() * W[j].norm()))
    return sum(cosines) / len(cosines)


print(f"{slow_similarity(W_E[never[:5]]):.3f} over 10 pairs")

# %% [markdown]
# **Your turn**, for any number of tokens and all steps at once: about three lines, no n-by-n matrix.


# %% stub="similarity_curve"
def similarity_curve(W_E_by_step: Float[Tensor, "step n d_model"]) -> Float[Tensor, "step"]:
    """The mean cosine over all pairs of two different tokens, at each step: [step, n, d_model] to [step]."""
    ### BEGIN SOLUTION
    n = W_E_by_step.shape[1]
    unit = W_E_by_step / W_E_by_step.norm(dim=-1, keepdim=True)
    return (unit.sum(1).square().sum(-1) - n) / (n * (n - 1))
    ### END SOLUTION


# %% check="similarity_curve"
puzzle.check("similarity_curve", similarity_curve)
### BEGIN HIDDEN TESTS
puzzle.grade("similarity_curve", similarity_curve)
### END HIDDEN TESTS

# %% [markdown]
# What is the mean cosine of the 98 tokens *before* training? Between -1 and 1; it becomes a line in the picture.

# %% open="predict-start"
puzzle.predict("similarity before training", ..., because="", sure=...)

# %% [markdown]
# `mini-untied` is the twin: the same first draw, the same batches in the same order.
# One thing differs: `mini-gpt2` reads tokens in and writes answers out by one matrix, tied; `mini-untied` has two, and `W_E` only reads.

# %%
twin = zoo.trajectory("mini-untied")
print("the same W_E before training:", torch.equal(run.W_E[0], twin.W_E[0]))
curves = {
    "tied, never shown": similarity_curve(run.W_E[:, never]),
    "tied, all tokens": similarity_curve(run.W_E),
    "untied, never shown": similarity_curve(twin.W_E[:, never]),
    "untied, all tokens": similarity_curve(twin.W_E),
}
start = puzzle.prediction("similarity before training")
puzzle.recall("similarity before training", found=curves["tied, never shown"][0])
plots.lines(run.steps, curves, x_title="training step", y_title="mean cosine", prediction=start)

# %% [markdown]
# The twin's two lines lie on each other, at zero.
# Which stories have just died? Remember that the twin reads and decays too.
#
# ## Who moves?
#
# Group the tokens by how often training showed them. About four lines; *you have just written most of it.*


# %% stub="by_frequency"
def by_frequency(W_E: Float[Tensor, "n d_model"], counts: Int[Tensor, "n"], edges) -> Float[Tensor, "bin"]:
    """The mean cosine within each group of tokens with edges[b] <= count < edges[b + 1]; shape [bin].

    W_E is [n, d_model], counts [n], edges a list of whole numbers; each group has at least two tokens.
    """
    ### BEGIN SOLUTION
    means = []
    for lo, hi in pairwise(edges):
        group = W_E[(lo <= counts) & (counts < hi)]
        length_of_sum = (group / group.norm(dim=1, keepdim=True)).sum(0).norm()
        means.append((length_of_sum**2 - len(group)) / (len(group) * (len(group) - 1)))
    return torch.stack(means)
    ### END SOLUTION


# %% check="by_frequency"
puzzle.check("by_frequency", by_frequency)
### BEGIN HIDDEN TESTS
puzzle.grade("by_frequency", by_frequency)
### END HIDDEN TESTS

# %% [markdown]
# All tokens together end at 0.27. Where do those shown a thousand times or more end?

# %% open="predict-commonest"
puzzle.predict("similarity of the commonest", ..., because="", sure=...)

# %%
edges = [0, 1, 10, 100, 1000, 10**6]
names = ["never", "1 to 9", "10 to 99", "100 to 999", "1,000 or more"]
ends = {"tied": W_E, "untied": twin.W_E[-1]}
groups = {name: dict(zip(names, by_frequency(W, run.counts, edges).tolist())) for name, W in ends.items()}
puzzle.recall("similarity of the commonest", found=groups["tied"]["1,000 or more"])
plots.bars(
    groups,
    x_title="times shown in training",
    y_title="mean cosine within the group",
    prediction=puzzle.prediction("similarity of the commonest"),
)

# %% [markdown]
# The rarer, the more alike.
# The mean over a vocabulary counts tokens, not uses: one token in seven makes two thirds of this text, and these are not alike at all.
# Were they ever?

# %%
often = run.counts >= 1000
curve = similarity_curve(run.W_E[:, often]).tolist()
print(f"{often.sum()} tokens, {run.counts[often].sum() / run.counts.sum():.0%} of the text")
print(", ".join(f"step {step}: {value:z.3f}" for step, value in zip(run.steps, curve)))
moves = run.W_E[1] - run.W_E[0]
cosine = torch.cosine_similarity(moves[often].mean(0), moves[never].mean(0), dim=0)
print(f"their mean move and that of the 98 by step {run.steps[1]}: cosine {cosine:.2f}")

# %% [markdown]
# They set off together too, but the opposite way, and came back. Keep that in mind.
#
# ## Read it off the weights
#
# Could you tell which tokens a model was never shown, from `W_E` alone? You know two models to think of: `mini-gpt2`, and the first puzzle's `mini-neo`, trained alike, with one vector added to every row at the start. One line.


# %% stub="never_trained"
def never_trained(W_E: Float[Tensor, "n d_model"], k) -> Int[Tensor, "k"]:
    """The k rows most likely never shown: their numbers, in any order; one in twenty may be wrong."""
    ### BEGIN SOLUTION
    return (W_E - W_E.mean(0)).norm(dim=1).topk(k).indices
    ### END SOLUTION


# %% check="never_trained"
puzzle.check("never_trained", never_trained)
### BEGIN HIDDEN TESTS
puzzle.grade("never_trained", never_trained)
### END HIDDEN TESTS

# %%
neo, untied = load_model("mini-neo"), load_model("mini-untied")
W_U = untied.W_U.detach().T  # [d_vocab, d_model]: the twin's other matrix
embeddings = {"mini-gpt2": W_E, "mini-neo": neo.W_E.detach(), "mini-untied": untied.W_E.detach()}
for name, W in {**embeddings, "its W_U": W_U}.items():
    shown = run.counts[never_trained(W, len(never))]
    right, rare = (shown == 0).float().mean(), (shown < 10).float().mean()
    print(f"{name:>12}: {right:4.0%} never shown, {rare:4.0%} shown fewer than ten times")

# %% [markdown]
# Four matrices, one text. On exactly one your function finds fewer than guessing would (5 %). What is that one not used for?
#
# ## Who pushes?
#
# The answer to a prompt is read from `logits = resid @ W_U`, where `resid` is what leaves the last LayerNorm.
# How does the loss, the mean cross-entropy over positions, change with each token's row of `W_U.T`? About three lines, no autograd needed.


# %% stub="output_gradient"
def output_gradient(
    logits: Float[Tensor, "pos d_vocab"], targets: Int[Tensor, "pos"], resid: Float[Tensor, "pos d_model"]
) -> Float[Tensor, "d_vocab d_model"]:
    """The gradient of the mean cross-entropy with respect to W_U.T; shape [d_vocab, d_model].

    logits is [pos, d_vocab], targets [pos] the right tokens, resid [pos, d_model].
    """
    ### BEGIN SOLUTION
    error = logits.softmax(-1)
    error[torch.arange(len(targets)), targets] -= 1
    return error.T @ resid / len(targets)
    ### END SOLUTION


# %% check="output_gradient"
puzzle.check("output_gradient", output_gradient)
### BEGIN HIDDEN TESTS
puzzle.grade("output_gradient", output_gradient)
### END HIDDEN TESTS

# %% [markdown]
# Now on real text, before the first update and after the last.
# How alike are the gradients within each group, from never shown to a thousand times or more?

# %%
from tokenizers import Tokenizer

from mechpuzzles.zoo import corpus, gpt, measure, tasks, training
from mechpuzzles.zoo.recipes import RECIPES

recipe = RECIPES["mini-gpt2"]
tokenizer = Tokenizer.from_file(str(zoo.directory("mini-gpt2") / "tokenizer.json"))
files = tokenizer.encode_batch(list(corpus.package_source("typer")))
stream = torch.tensor([token for file in files for token in file.ids])
newborn = gpt.GPT(recipe)  # before the first update: its W_E is run.W_E[0]
windows = measure.windows(stream[:8193].tolist(), recipe.n_ctx)
tokens, targets = windows[:, :-1], windows[:, 1:].flatten()

# %%
newborn.head = torch.nn.Identity()  # it then returns what leaves its last LayerNorm
with torch.no_grad():
    cache = model.run_with_cache(tokens, names_filter="ln_final.hook_out")[1]
    seen = {"start": newborn(tokens), "end": cache["ln_final.hook_out"]}
for when, W in (("start", run.W_E[0]), ("end", W_E)):
    resid = seen[when].flatten(0, 1)
    gradient = output_gradient(resid @ W.T, targets, resid)
    alike = ", ".join(f"{a:z.2f}" for a in by_frequency(gradient, run.counts, edges))
    length = gradient[never].norm(dim=1).mean()
    print(f"{when:>5}: alike by {alike}; length if never shown {length:.0e}")

# %% [markdown]
# A never-right token has nothing in its gradient but `p * resid`, averaged over positions: all such rows are pushed nearly the same way from the first step on.
# The push dies as they become improbable. Common tokens are pulled more than pushed: so they set off the other way.
#
# ## Stop it
#
# A gradient is not yet a cause. Train 50 short steps from the same start, on text that lacks some 400 tokens. Half of those may not be answers: their logits are minus infinity.

# %%
absent = (stream.bincount(minlength=recipe.d_vocab) == 0).nonzero().flatten()
silent, possible = absent[::2], absent[1::2]
short = replace(recipe, batch=4, learning_rate=2 * recipe.learning_rate)  # a quarter of the batch
student, generator = gpt.GPT(short), torch.Generator().manual_seed(0)
optimizer = training.adamw(student, short)
with training.one_thread():
    for _ in range(50):
        batch = tasks.python(short, stream, generator)
        logits = student(batch[:, :-1]).index_fill(-1, silent, -torch.inf)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten()).backward()
        optimizer.step()

# %%
made = student.tok_embed.weight.detach()
for name, some in {"silent": silent, "possible answers": possible}.items():
    before, after = (similarity_curve(W[some][None]).item() for W in (run.W_E[0], made))
    print(f"{name:>16}: {before:z.2f} before, {after:z.2f} after 50 steps, {len(some)} tokens never shown")

# %% [markdown]
# ## Try to break it
#
# Does *not being shown* do anything by itself? The twin's `W_E` only reads. Compare its 98 rows with what they were at the start, and with what weight decay alone would leave of their length.

# %%
for name, W in {"tied W_E": W_E, "untied W_E": twin.W_E[-1], "untied W_U": W_U}.items():
    every, unseen = (similarity_curve(some[None]).item() for some in (W, W[never]))
    print(f"{name:>10}: mean cosine {every:z.2f}, never shown {unseen:z.2f}")

# %%
before, after = twin.W_E[0, never], twin.W_E[-1, never]
cosine = torch.cosine_similarity(before, after, dim=1).mean()
length = (after.norm(dim=1) / before.norm(dim=1)).mean()
rates = [recipe.learning_rate * training.schedule(step, recipe) for step in range(recipe.steps)]
decayed = (1 - recipe.weight_decay * torch.tensor(rates)).prod()
print(f"since the start: cosine {cosine:.4f}, length times {length:.3f}; by decay alone {decayed:.3f}")
puzzle.recall("the story")

# %% [markdown]
# The twin is not spared. Its rare tokens crowd too, in the other matrix.
#
# ## Explain
#
# A colleague says: "These tokens have nearly the same embedding, so the model thinks they mean the same. It must come from the initialisation, since training never saw them."
# Answer in three to five sentences.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# It is not the initialisation: before training their mean cosine is 0.00, and the untied twin starts from the same matrix and keeps it there.
# Training never showed the tokens, but it used their rows: each position's softmax runs over all tokens, so the row of one that is wrong is pushed away from the residual.
# A token that is never right is never pulled back, and all of them are pushed alike; forbidden as answers, they stay where they were.
# Tied, the matrix that answers is also the one that reads, so W_E shows it; untied, W_U does.
# So the likeness says "hardly ever an answer" and nothing about meaning; I have seen it in one small model on one text.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Made, and by being wrong. The first matrix has no similarity. At each position the softmax gives every token some probability, and the gradient pushes each wrong token's row away from the final residual. The pushes of different positions do not cancel, and they are nearly the same for all tokens that are never right. A token that is often right is pulled back; one that never is goes on until its probability is nothing.
#
# So it is the matrix of answers that grows the common direction. Tie it to the embedding, and the embedding has it too.
#
# The lesson is about what a weight is trained by. "Never shown" is not "never trained": ask for every use of a parameter.
#
# Gao and others described this push in 2019, as the degeneration of representations in tied models; Biś and others (2021) the common direction. Land and Bartolo (2024) find undertrained tokens in the weights of published models.

# %% [markdown]
# ## Play
#
# Other groups, another step, the other matrix.
# The 18 tokens shown ten thousand times or more are alike by 0.15. This puzzle does not explain that.

# %% open="play"
W, edges = run.W_E[-1], [1000, 3000, 10_000, 10**6]
print([f"{a:z.2f}" for a in by_frequency(W, run.counts, edges)])
print([model.to_string([token]) for token in run.counts.topk(18).indices])

# %% [markdown]
# ## Where next
#
# - *Bias without a home*: a common offset can move between two matrices, and no prediction changes.
# - With the Hub: `never_trained(load_model("gpt2").W_E.detach(), 50)`. Which tokens are they?
#
# The question is a commenter's on Neel Nanda's first puzzle (2023). The numbers are those of small models of Python source, and their own.
