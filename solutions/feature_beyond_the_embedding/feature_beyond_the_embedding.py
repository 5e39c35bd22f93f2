# %% [markdown]
# # A feature beyond the embedding
#
# A sparse autoencoder describes the inside of a small Python model by 1,024 units.
# Some of them fire on **English**: in comments and docstrings, hardly ever in code.
# Nobody told the model which is which. Run the first cells to see four.
#
# **Did the model compute it, or was it in the token all along?**
#
# You will build the best predictor that sees nothing but the token, and find out what its failure is worth.
#
# *45 minutes. You need the residual stream, and what a sparse autoencoder is for. Guesses are kept on your machine and never marked.*

# %%
import io
import itertools
import tokenize

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import dictionary
from mechpuzzles.zoo.corpus import package_source

# %%
puzzle = load_puzzle("feature_beyond_the_embedding")
model, sae = load_model("mini-python"), dictionary.load()

# %%
_ = torch.set_grad_enabled(False)
text = 'def total(prices):\n    """Return the sum of them all."""\n    return add(prices)\n'
words = model.to_str_tokens(text)
acts = sae.encode(model(model.to_tokens(text), stop_at_layer=2)[0])
fires = (acts > 0).float()
docstring = fires[words.index("Return") : words.index('."""')]
four = (docstring.mean(0) - fires.mean(0)).topk(4).indices
names, shown = [f"unit {unit}" for unit in four], [word.strip() for word in words[1:]]
plots.heatmap(acts[1:, four].T, rows=names, columns=shown, x_title="token", y_title="", colour_title="activation")

# %% [markdown]
# They were picked because they look so well on this text.
# What of text that nobody picked? Here are two packages, and for each token whether it is English.


# %%
def is_english(source):
    """For every character: does it stand in a comment or a docstring?"""
    starts = [0, *itertools.accumulate(len(line) for line in io.StringIO(source))]
    marks = [False] * (len(source) + 1)
    for piece in tokenize.generate_tokens(io.StringIO(source).readline):
        if piece.type == tokenize.COMMENT or '"""' in piece.string[:5]:
            (row, column), (last_row, last_column) = piece.start, piece.end
            first, last = starts[row - 1] + column, starts[last_row - 1] + last_column
            marks[first:last] = [True] * (last - first)
    return marks


# %%
def windows(files):
    """Windows of 128 tokens with gaps between them, and which of the tokens are English; both [window, 128]."""
    rows, labels = [], []
    for source in files:
        coded, marks = model.tokenizer(source, return_offsets_mapping=True), is_english(source)
        for i in range(0, len(coded["input_ids"]) - 127, 192):
            rows.append(coded["input_ids"][i : i + 128])
            labels.append([marks[first] for first, _ in coded["offset_mapping"][i : i + 128]])
    return torch.tensor(rows), torch.tensor(labels)


# %%
def stream(model, rows):
    """The residual stream before block 2, which the autoencoder describes: [window, 128, d_model]."""
    return torch.cat([model(some, stop_at_layer=2) for some in rows.split(16)])


files = [*package_source("einops"), *package_source("markdown_it")]  # new to the model
(rows_a, labels_a), (rows_b, labels_b) = windows(files[::2]), windows(files[1::2])
READ = slice(32, None)  # only tokens with at least 32 before them
tokens_a, english_a, tokens_b, english_b = (x[:, READ].flatten() for x in (rows_a, labels_a, rows_b, labels_b))
own_a, own_b = stream(model, rows_a), stream(model, rows_b)
resid_a, resid_b = own_a[:, READ].flatten(0, 1), own_b[:, READ].flatten(0, 1)
print(f"{english_b.float().mean():.0%} of all tokens are English")


# %%
def most_precise(fires, english, k=8):
    """Of the units that fire on 1 % of the tokens or more, the k for which most of these are English."""
    counts, in_english = fires.float().sum(0), english.float() @ fires.float()
    return (in_english / counts).masked_fill(counts < 0.01 * len(fires), 0).topk(k).indices


acts_a = sae.encode(resid_a)
units = most_precise(acts_a > 0, english_a)  # chosen on one half of the files,
acts_a, acts_b = acts_a[:, units], sae.encode(resid_b)[:, units]
names = [f"unit {unit}" for unit in units]
for name, on in zip(names, acts_b.T > 0):  # measured on the other
    print(f"{name:>9} fires on {on.float().mean():.1%}; of these, {english_b[on].float().mean():.0%} are English")

# %% [markdown]
# ## Commit
#
# Eight units, 80 to 91 % precise. Which story do you believe?
#
# - `"words"`: English words are English words; a table of tokens does it all.
# - `"computed"`: each of the eight depends on what came before.
# - `"either"`: one may be a table, another computed, and precision hardly tells.
# - `"any"`: the best of 1,024 random directions fire as sharply.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# If you see only the token, the best guess of a unit's activation is its mean on that token.
# For a token never seen before, it is the mean over everything.


# %%
def slow_guess(acts, tokens, token):
    seen = [act for act, other in zip(acts.tolist(), tokens.tolist()) if other == token]
    return sum(seen) / len(seen) if seen else sum(acts.tolist()) / len(acts)


for word in (" to", " return"):
    token = model.to_single_token(word)
    print(f"{word!r}:", *(f"{slow_guess(acts, tokens_a, token):.2f}" for acts in acts_a.T))

# %% [markdown]
# **Your turn**, for all tokens at once, without a loop. About five lines.
# Fit on some tokens, guess for others.


# %% stub="embedding_baseline"
def embedding_baseline(
    acts: Float[Tensor, "pos"], tokens: Int[Tensor, "pos"], new_tokens: Int[Tensor, "new_pos"]
) -> Float[Tensor, "new_pos"]:
    """The guess for each of new_tokens, [new_pos], from one unit's acts on tokens, both [pos]; tokens are ids below 2048."""
    ### BEGIN SOLUTION
    counts = torch.bincount(tokens, minlength=2048)
    sums = torch.bincount(tokens, weights=acts, minlength=2048)
    table = torch.where(counts > 0, sums / counts, acts.mean())
    return table[new_tokens]
    ### END SOLUTION


# %% check="embedding_baseline"
puzzle.check("embedding_baseline", embedding_baseline)
### BEGIN HIDDEN TESTS
puzzle.grade("embedding_baseline", embedding_baseline)
### END HIDDEN TESTS

# %% [markdown]
# How good is a guess? Hold its squared error against that of someone who always says the mean.
# 1 is perfect, 0 is no better than the mean, and below 0 is worse. One line.


# %% stub="explained_by_token"
def explained_by_token(acts: Float[Tensor, "pos"], guess: Float[Tensor, "pos"]):
    """The share of the variance of acts that guess explains; both [pos], one number."""
    ### BEGIN SOLUTION
    return 1 - (acts - guess).square().mean() / acts.var(correction=0)
    ### END SOLUTION


# %% check="explained_by_token"
puzzle.check("explained_by_token", explained_by_token)
### BEGIN HIDDEN TESTS
puzzle.grade("explained_by_token", explained_by_token)
### END HIDDEN TESTS

# %% [markdown]
# Take the unit that fires most often. What share of it does the token explain, on files that the table has not seen?

# %% open="predict-share"
puzzle.predict("busiest unit, explained", ..., because="", sure=...)


# %%
def shares(acts, tokens):
    """For each unit: what a table fitted there explains on half b."""
    guesses = (embedding_baseline(act, tokens, tokens_b) for act in acts.T)
    return [float(explained_by_token(act, guess)) for act, guess in zip(acts_b.T, guesses)]


# %%
explained = [shares(acts_a, tokens_a), shares(acts_b, tokens_b)]
puzzle.recall("busiest unit, explained", found=explained[0][(acts_a > 0).sum(0).argmax()])
plots.bars(
    {f"fitted on {files}": dict(zip(names, row)) for files, row in zip(("other files", "these files"), explained)},
    y_title="explained by the token",
    prediction=puzzle.prediction("busiest unit, explained"),
)

# %% [markdown]
# One unit is a table. The busiest, no less precise, is next to nothing of the kind.
# A table fitted on the tokens that it explains flatters itself: a token that occurs once is explained perfectly.
#
# ## Is the rest computed?
#
# "The token does not explain it, so the model computed *English*." Try that sentence on what nobody trained:
# random directions, searched just as hard, and the same directions in a model with its weights drawn anew.

# %%
untrained, rng = load_model("mini-python"), torch.Generator().manual_seed(0)
std = 0.8 * model.cfg.d_model**-0.5
for name, weight in untrained.original_model.named_parameters():
    if weight.ndim == 2:  # GPT-2 draws what writes into the stream smaller
        writes = "c_proj" in name or "attn.o." in name
        weight.normal_(0, std / (2 * model.cfg.n_layers) ** 0.5 if writes else std, generator=rng)
    else:
        weight.fill_(1.0 if name.endswith("weight") else 0.0)
blank_a, blank_b = (stream(untrained, rows)[:, READ].flatten(0, 1) for rows in (rows_a, rows_b))


# %%
def random_units(a, b):
    """1,024 random directions that fire on 3 % of half a; of these the eight most precise there, on either half."""
    directions = torch.randn(a.shape[1], 1024, generator=torch.Generator().manual_seed(0))
    acts = a @ directions
    threshold = acts[::8].topk(len(acts[::8]) * 3 // 100, dim=0).values[-1]
    best = most_precise(acts > threshold, english_a)
    return [torch.relu(half @ directions[:, best] - threshold[best]) for half in (a, b)]


kinds = {"dictionary": (acts_a, acts_b)}
kinds |= {"random directions": random_units(resid_a, resid_b), "untrained": random_units(blank_a, blank_b)}

# %%
for kind, (a, b) in kinds.items():
    precise = sum(english_b[act > 0].float().mean() for act in b.T) / 8
    guesses = [embedding_baseline(act, tokens_a, tokens_b) for act in a.T]
    share = sum(explained_by_token(act, guess) for act, guess in zip(b.T, guesses)) / 8
    print(f"mean of eight, {kind:>17}: {precise:.0%} English, {share:.0%} explained by the token")

# %% [markdown]
# The token explains least where nothing was learnt: random weights mix in earlier tokens and the position, to no purpose.
# And the best of 1,024 random directions are nearly as precise as the dictionary.
# Where the stream holds English, a search makes precision cheap; untrained, it buys five points.
#
# ## The same token, twice
#
# A fairer test: take a token that occurs in English *and* in code, such as ` in`.
# A table has to say the same in both places. How often does the unit fire in each?
#
# Average over all tokens that occur in both, each counting once, however frequent. About five lines.


# %% stub="same_token_rates"
def same_token_rates(fires: Bool[Tensor, "pos"], tokens: Int[Tensor, "pos"], english: Bool[Tensor, "pos"]):
    """(rate in English, rate in code); fires and english are bool, tokens ids below 2048, all [pos]."""

    ### BEGIN SOLUTION
    def rates(where):
        return torch.bincount(tokens[where & fires], minlength=2048) / torch.bincount(tokens[where], minlength=2048)

    inside, outside = rates(english), rates(~english)
    shared = ~(inside + outside).isnan()
    return inside[shared].mean(), outside[shared].mean()
    ### END SOLUTION


# %% check="same_token_rates"
puzzle.check("same_token_rates", same_token_rates)
### BEGIN HIDDEN TESTS
puzzle.grade("same_token_rates", same_token_rates)
### END HIDDEN TESTS

# %%
busiest = int((acts_a > 0).sum(0).argmax())
table = explained[0].index(max(explained[0]))
groups = {f"busiest, {names[busiest]}": acts_b[:, [busiest]]}
groups |= {f"the table, {names[table]}": acts_b[:, [table]]}
groups |= {f"eight, {kind}": b for kind, (_, b) in kinds.items()}
rates = {where: {} for where in ("in English", "in code")}
for name, group in groups.items():
    pairs = [same_token_rates(act > 0, tokens_b, english_b) for act in group.T]
    for where, values in zip(rates, zip(*pairs)):
        rates[where][name] = float(sum(values) / len(values))
plots.bars(rates, y_title="fires on the same tokens, share")

# %% [markdown]
# Here the untrained model shows next to nothing. In the trained one, the same token fires most units far more often in English, the table hardly: something before the token decides.
# Random directions know it too, less sharply. The *stream* holds it, and the dictionary is one way to read it.
#
# ## Change the past
#
# Intervene: keep a token and the `k - 1` before it, at their positions, and swap everything earlier for another text.
# By how much does the unit's activation move? Hold it against the difference between unrelated places:


# %%
def slow_share(full, swapped):
    n = len(full)
    moved = sum((full[i] - swapped[i]) ** 2 for i in range(n)) / n
    unrelated = sum((full[i] - full[j]) ** 2 for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return moved / unrelated


few = torch.tensor([0.0, 3.0, 0.0, 1.0, 5.0])
print(f"nothing moves: {slow_share(few, few):.2f}; all zero: {slow_share(few, 0 * few):.2f}")

# %% [markdown]
# 0: the earlier text does not matter. 1: the unit might as well stand elsewhere.
#
# **Your turn**, one row for each `k`, and no loop over pairs.
# *What do all pairs say that the spread around the mean does not?* One line.


# %% stub="share_of_past"
def share_of_past(full: Float[Tensor, "k n"], swapped: Float[Tensor, "k n"]) -> Float[Tensor, "k"]:
    """slow_share of each row; both [k, n], result [k]."""
    ### BEGIN SOLUTION
    return (full - swapped).square().mean(1) / (2 * full.var(1))
    ### END SOLUTION


# %% check="share_of_past"
puzzle.check("share_of_past", share_of_past)
### BEGIN HIDDEN TESTS
puzzle.grade("share_of_past", share_of_past)
### END HIDDEN TESTS

# %%
KEPT, CUTS = torch.tensor([1, 2, 4, 8, 16, 32]), (32, 56, 80)


def at_kept(resid, cut):
    """The units' activations where so many own tokens were kept: [k, window, unit]."""
    return sae.encode(resid[:, cut + KEPT - 1])[..., units].transpose(0, 1)


foreign = rows_b.roll(len(rows_b) // 2, 0)
mixed = [torch.cat([foreign[:, :cut], rows_b[:, cut : cut + 32]], 1) for cut in CUTS]
full = torch.cat([at_kept(own_b, cut) for cut in CUTS], 1)
swapped = torch.cat([at_kept(stream(model, rows), cut) for rows, cut in zip(mixed, CUTS)], 1)

# %%
plots.lines(
    KEPT,
    {names[i]: share_of_past(full[..., i], swapped[..., i]) for i in (busiest, table)},
    x_title="own tokens kept, this one included",
    y_title="moved by the swap",
)

# %% [markdown]
# The table never looks back. The other unit is lost without its past, and sixteen tokens bring most of it back.
#
# ## Three readings
#
# Could you have read all this off the weights?

# %%
vocabulary = torch.arange(2048)
common = torch.bincount(tokens_b, minlength=2048) >= 10
W_E = model.W_E - model.W_E[common].mean(0)
for i in (busiest, table):
    fires_on = embedding_baseline(acts_b[:, i], tokens_b, vocabulary)
    promotes = sae.W_dec[units[i]] * model.ln_final.weight @ model.W_U
    read = {"fires on": fires_on, "embedding along W_enc": W_E @ sae.W_enc[:, units[i]]}
    for name, score in {**read, "W_dec promotes": promotes}.items():
        best = score.masked_fill(~common, -torch.inf).topk(6).indices
        print(f"{names[i]:>8} {name:>21}:", [model.to_string([token]) for token in best])
puzzle.recall("the story")

# %% [markdown]
# The table fires on ` to` and *promotes* what may follow: a direction's effect is not its cause.
# Nor does the embedding point there, although the token decides: two layers lie between.
# *In the token* and *legible in the embedding* are two claims.
#
# ## Explain
#
# A colleague finds a unit that fires on German, 95 % precise. "Its ten strongest examples are all German words. So the model computes German."
# Answer in three to five sentences: what you would measure, on which text, against which controls, and what your intervention adds.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The ten strongest examples say nothing about the rest, and German words are German by themselves, so I first fit the mean activation per token on some files and ask how much of the variance it explains on others.
# What the token leaves unexplained may be mere mixing of earlier tokens or of the position, as in an untrained model, so I compare the same token in German and in other text, where any table must say the same.
# The unit was found by a search, so its figures come from text that the search did not use, and random directions searched as hard and the untrained model stand beside them.
# Then I swap the earlier text and keep the token: only if the activation moves does the context matter to it, and the number of tokens I must keep says how far it looks.
# Whatever holds of random directions as well belongs to the stream, not to this unit, and high precision at low recall is not yet "the German feature".
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Both, in the same dictionary. One of the eight units is a table, 80 % precise: the token explains 94 % of it, and swapping the past hardly moves it. The busiest, 90 % precise, fires on a quarter of the English, on no token in particular: the token explains next to nothing of it, and without its past it might as well stand elsewhere.
#
# That the token fails is not enough. It fails just as well on an untrained model, which mixes in earlier tokens and the position at random. What convinces is the same token firing in English and not in code, files that nobody searched, and a past that was changed by hand.
#
# And do not thank the dictionary too soon: the best of 1,024 random directions show some of it. The model wrote English against code into its stream, and many directions can read it. That the unit is called English is our word for it: it is 90 % precise, but most English does not make it fire.

# %% [markdown]
# ## Play
#
# Your own text. Delete the quotes or the hash: which words stop firing?

# %% open="play"
text = 'def total(prices):\n    """Return the sum of all the prices in the list that is given."""\n    # this is the sum of them\n    return sum(prices)\n'
tokens = model.to_tokens(text)
acts = sae.encode(stream(model, tokens))[0][:, units]
for i, token in enumerate(tokens[0]):
    print(f"{model.to_string([token])!r:>12}", *(f"{act:5.1f}" if act else "    ." for act in acts[i]))

# %% [markdown]
# ## Where next
#
# - *Dead salmon*: the same nulls, for probes.
# - *Known dictionary*: does an autoencoder find the features that were put in?
#
# The question is Stefan Heimersheim's: a feature that cannot be read off the embedding must be computed and stored somewhere. The German feature is from the early report on dictionary features that he comments on.
