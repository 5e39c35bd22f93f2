# %% [markdown]
# # Dead salmon
#
# In 2009 a salmon lay in a brain scanner and was shown photographs. Some of its brain responded. The salmon was dead.
#
# Here a linear probe reads the residual stream of a small Python model: is this place **inside brackets**?
# On files that it has never seen it scores 0.95. Guessing scores 0.50; the same model with its weights redrawn, 0.68.
#
# **From the model, or from the text?**
#
# You will give the probe a rival: the same text, and no model at all.
#
# *45 minutes. You need the residual stream and linear regression. Guesses are never marked.*

# %%
import io
import itertools
import tokenize

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo.corpus import package_source

# %%
torch.set_grad_enabled(False)
puzzle, model = load_puzzle("dead_salmon"), load_model("mini-python")
texts = [text for name in ("markdown_it", "rich", "typer") for text in package_source(name)]  # new to it


# %%
def states(source):
    """For each character: string, indent, bracket, nested, header, once it has been read."""
    starts = [0, *itertools.accumulate(map(len, io.StringIO(source)))]
    marks, depth, header = [], 0, False
    for one in tokenize.generate_tokens(io.StringIO(source).readline):
        depth += (one.string in ("(", "[", "{")) - (one.string in (")", "]", "}"))
        header = one.string == "def" or (header and (one.string != ":" or depth > 0))
        indent = len(one.line) - len(one.line.lstrip())
        here = [one.type == tokenize.STRING, indent >= 8, depth > 0, depth > 1, header]
        marks += [here] * (starts[one.end[0] - 1] + one.end[1] - len(marks))
    return marks


# %%
source = 'def add(a, b="(", c=(1, 2)): return a[b, c]'
marks = [[float(on) for on in row] for row in zip(*states(source))]
titles = {"x_title": "after this character", "y_title": "", "colour_title": "holds"}
plots.heatmap(marks, rows=["string", "indent", "bracket", "nested", "header"], columns=source, **titles)


# %%
def windows(texts):
    """Windows of 129 tokens, the states after each of the first 128, and the number of the file."""
    rows, marks, files = [], [], []
    for number, source in enumerate(texts):
        coded, state = model.tokenizer(source, return_offsets_mapping=True), states(source)
        ids, after = coded["input_ids"], [state[last - 1] for _, last in coded["offset_mapping"]]
        for i in range(0, len(ids) - 128, max(128, len(ids) // 2)):
            rows.append(ids[i : i + 129])
            marks.append(after[i : i + 128])
            files.append(number)
    return torch.tensor(rows), torch.tensor(marks), torch.tensor(files)


# %%
rows, marks, files = windows([text for text in texts if 1_000 < len(text) < 16_000])
tokens = rows[:, :-1]
words = [model.tokenizer.decode([token]) for token in range(2048)]
capital = torch.tensor([word.strip()[:1].isupper() for word in words])
newline = torch.tensor(["\n" in word for word in words])
coins = torch.rand(2048, generator=torch.Generator().manual_seed(0)) < 0.5
again = (tokens[:, :, None] == tokens[:, None]).tril(-1).any(2)
NAMES = ["string", "indent", "bracket", "nested", "header", "capital", "again", "line ends", "coins"]
others = torch.stack([capital[tokens], again, newline[rows[:, 1:]], coins[tokens]], dim=2)
labels = torch.cat([marks, others], dim=2)[:, 32:].flatten(0, 1)  # only places with 32 before them
y, token, file = labels.float(), tokens[:, 32:].flatten(), files.repeat_interleave(96)
fit, choose, judge = (file % 3 == part for part in range(3))  # three kinds of files

# %% [markdown]
# Nine labels for each place: in a *string*, a line with an *indent* of 8 or more, a *bracket*, *nested* brackets, the *header* of a function.
# Its token has a *capital*, has come before (*again*), or the *line ends* with the next.
# And *coins*: one thrown for each of the 2,048 tokens.
# A third of the files is for fitting, one for choosing, one for judging.
#
# ## Commit
#
# Which story of "inside brackets" do you believe?
#
# - `"model"`: redrawn weights reach 0.68, so what lies above was learnt.
# - `"word"`: the token gives it away; a table of tokens does as well.
# - `"words"`: the tokens so far give it away; it is enough to add them up.
# - `"probe"`: a probe with 128 weights reads anything, so the coins as well.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Score and probe
#
# **Score:** of all pairs, one place with the label and one without, the share that the probe puts in the right order. Ties count half.
# Pairs stay within a file, and files are averaged.


# %%
def auc(scores, labels):
    return (scores[labels][:, None] - scores[~labels]).sign().mean() / 2 + 0.5


def score(scores, labels, files):
    sizes = files.unique_consecutive(return_counts=True)[1].tolist()  # a file's places lie together
    found = [auc(*of_file) for of_file in zip(scores.split(sizes), labels.split(sizes))]
    return float(torch.stack(found).nanmean())  # no pairs, no number


print(auc(torch.tensor([0.1, 0.4, 0.4, 0.9]), torch.tensor([False, False, True, True])))

# %% [markdown]
# **Your turn.** The probe is a ridge regression, for all labels at once. About four lines.


# %% stub="ridge_probe"
def ridge_probe(
    X: Float[Tensor, "pos d"], y: Float[Tensor, "pos feature"], X_new: Float[Tensor, "new_pos d"], penalty
) -> Float[Tensor, "new_pos feature"]:
    """What a linear probe fitted to X and y scores at the places X_new; shape [new_pos, feature].

    X is [pos, d], y is [pos, feature]. Of all probes X @ w + b, it is the one with the least
    sum of (X @ w + b - y) ** 2 + penalty * sum of w ** 2, for each feature. b is not penalised.
    """
    ### BEGIN SOLUTION
    centre, level = X.mean(0), y.mean(0)
    gram = (X - centre).T @ (X - centre) + penalty * torch.eye(X.shape[1])
    w = torch.linalg.solve(gram, (X - centre).T @ (y - level))
    return (X_new - centre) @ w + level
    ### END SOLUTION


# %% check="ridge_probe"
puzzle.check("ridge_probe", ridge_probe)
### BEGIN HIDDEN TESTS
puzzle.grade("ridge_probe", ridge_probe)
### END HIDDEN TESTS

# %%
SITES = {"embedding": "blocks.0.hook_resid_pre", "neurons": "blocks.1.mlp.hook_post"}
for layer in range(3):
    for name, hook in {"attn": "attn_out", "mlp": "mlp_out", "after": "resid_post"}.items():
        SITES[f"{name} {layer}"] = f"blocks.{layer}.hook_{hook}"


def look(model):
    """The activations at every site: [pos, d_model]."""
    wanted = {"names_filter": list(SITES.values()), "logits_to_keep": 1}  # no logits are wanted
    caches = [model.run_with_cache(some, **wanted)[1] for some in tokens.split(16)]
    found = {site: [cache[hook][:, 32:] for cache in caches] for site, hook in SITES.items()}
    return {site: torch.cat(parts).flatten(0, 1) for site, parts in found.items()}


# %%
redrawn, rng = load_model("mini-python"), torch.Generator().manual_seed(0)
std = 0.8 * model.cfg.d_model**-0.5
for name, weight in redrawn.original_model.named_parameters():
    if weight.ndim == 2:  # GPT-2 draws what writes into the stream smaller
        writes = "c_proj" in name or "attn.o." in name
        weight.normal_(0, std / (2 * model.cfg.n_layers) ** 0.5 if writes else std, generator=rng)
    else:
        weight.fill_(1.0 if name.endswith("weight") else 0.0)
acts = look(model)
neurons = acts.pop("neurons")
blank = torch.cat([redrawn(some, stop_at_layer=2)[:, 32:] for some in tokens.split(16)]).flatten(0, 1)


# %%
def read(X, where, y=y, penalty=1.0):
    """Scores of probes fitted to one third of the files, at the places of another: [pos, label]."""
    return ridge_probe(X[fit], y[fit], X[where], penalty)


def judged(scores, label):
    return score(scores, labels[judge, label], file[judge])


def scores_there(scores, where):
    """The score of each label: [label]."""
    return torch.tensor([score(scores[:, k], labels[where, k], file[where]) for k in range(9)])


# %%
bracket, header = NAMES.index("bracket"), NAMES.index("header")
on_stream = read(acts["after 1"], judge)
print(f"inside brackets, the model: {judged(on_stream[:, bracket], bracket):.3f}")
print(f"inside brackets, redrawn: {judged(read(blank, judge)[:, bracket], bracket):.3f}")
shuffled = torch.stack([y[torch.randperm(len(y), generator=rng), bracket] for _ in range(20)], 1)
by_luck = [judged(scores, bracket) for scores in read(acts["after 1"], judge, shuffled).T]
print(f"labels shuffled, 20 times: {sum(by_luck) / 20:.2f}, {min(by_luck):.2f} to {max(by_luck):.2f}")

# %% [markdown]
# A probe for shuffled labels is as good as a random direction: one shuffle lands anywhere in that range.
#
# ## No model at all
#
# Give each token 128 random numbers. A place gets the sum over its window so far, in which older tokens count less.
# Nothing is learnt; there are no layers. What will the same probe score? Your guess becomes a line.

# %% open="predict-bag"
puzzle.predict("inside brackets, without a model", ..., because="", sure=...)  # 0.5 is guessing

# %% [markdown]
# **Your turn**, about three lines.


# %% stub="bag_of_words"
def bag_of_words(
    tokens: Int[Tensor, "window pos"], directions: Float[Tensor, "d_vocab d"], decay
) -> Float[Tensor, "window pos d"]:
    """A fading sum of the tokens so far; shape [window, pos, d].

    tokens, [window, pos], are ids; directions, [d_vocab, d], a row for each id; decay is from 0 to 1.
    Place i holds the sum over j <= i of decay ** (i - j) * directions[token j], where 0 ** 0 is 1.
    """
    ### BEGIN SOLUTION
    back = torch.arange(tokens.shape[1])[:, None] - torch.arange(tokens.shape[1])
    weights = torch.where(back >= 0, float(decay) ** back.clamp(min=0), 0.0)
    return weights @ directions[tokens]
    ### END SOLUTION


# %% check="bag_of_words"
puzzle.check("bag_of_words", bag_of_words)
### BEGIN HIDDEN TESTS
puzzle.grade("bag_of_words", bag_of_words)
### END HIDDEN TESTS

# %%
DECAYS, directions = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98), torch.randn(2048, 128, generator=rng)
bags = {decay: bag_of_words(tokens, directions, decay)[:, 32:].flatten(0, 1) for decay in DECAYS}
without, curves = [read(bag, judge) for bag in bags.values()], {}
for k in (bracket, header):
    curves[f"{NAMES[k]}, the model"] = [judged(on_stream[:, k], k)] * len(DECAYS)
    curves[f"{NAMES[k]}, no model"] = [judged(scores[:, k], k) for scores in without]
guess = puzzle.prediction("inside brackets, without a model")
puzzle.recall("inside brackets, without a model", found=max(curves["bracket, no model"]))
plots.lines(DECAYS, curves, x_title="decay", y_title="score", prediction=guess)

# %% [markdown]
# Most of what lies above guessing needs no model.
# The redrawn model was no measure of that: it reads the text worse than plain sums do.
#
# ## What is left?
#
# The difference, then. Places of one file resemble each other, so take it file by file.
# About six lines; use `auc`.


# %% stub="gain"
def gain(mine: Float[Tensor, "pos"], rival: Float[Tensor, "pos"], labels: Bool[Tensor, "pos"], files):
    """How far the scores `mine` are ahead of the scores `rival`: (mean over files, its standard error).

    All are [pos]; files says which file a place is from. In each file: auc of mine minus auc of rival.
    A file in which all labels are the same is left out. The error is the standard deviation over the n
    files that are left (n - 1 below), over the root of n.
    """
    ### BEGIN SOLUTION
    ahead = []
    for number in files.unique():
        here = files == number
        on = labels[here]
        if 0 < on.sum() < len(on):
            ahead.append(auc(mine[here], on) - auc(rival[here], on))
    return torch.stack(ahead).mean(), torch.stack(ahead).std() / len(ahead) ** 0.5
    ### END SOLUTION


# %% check="gain"
puzzle.check("gain", gain)
### BEGIN HIDDEN TESTS
puzzle.grade("gain", gain)
### END HIDDEN TESTS


# %% [markdown]
# For each label, the rival is the best of seven on the second third of the files: a table of tokens, and bags of six decays.


# %%
def text_alone(where):
    """What the seven rivals read there: [rival, pos, label]."""
    counts = torch.bincount(token[fit], minlength=2048)[:, None]
    table = (torch.zeros(2048, 9).index_add(0, token[fit], y[fit]) + y[fit].mean(0)) / (counts + 1)
    return torch.stack([table[token[where]], *(read(bag, where) for bag in bags.values())])


RIVALS = ["table", *(f"bag {decay}" for decay in DECAYS)]
strongest = torch.stack([scores_there(scores, choose) for scores in text_alone(choose)]).argmax(0)
rival = text_alone(judge)[strongest, :, range(9)].T


# %%
def ahead(mine, rival, k):
    """The gain for label k on the last third of the files, and its error."""
    return gain(mine[:, k], rival[:, k], labels[judge, k], file[judge])


readings = {site: read(X, judge) for site, X in (acts | {"redrawn": blank}).items()}
found = torch.stack([scores_there(scores, judge) for scores in readings.values()], dim=1)
table = found - scores_there(rival, judge)[:, None]  # the mean gain
pairs = [f"{name} ({RIVALS[r]})" for name, r in zip(NAMES, strongest)]
titles = {"x_title": "site", "y_title": "label (rival)", "colour_title": "gain"}
plots.heatmap(table, rows=pairs, columns=list(readings), **titles)

# %% [markdown]
# Below zero, the text wins.
#
# - A high score is not a gain: *capital* scores 0.99 off the embedding, and a table of tokens does as well.
# - *coins* mean nothing and score 0.87 there. A probe learns words by heart; Hewitt and Liang subtract this score, and call the rest *selectivity*.
# - In the first five rows nothing is clearly ahead before `attn 1`, and `mlp 1` hardly is. After the last block *header* fades.
# - Redrawn weights lose every row.
#
# Ninety cells are ninety chances for luck, which was the salmon's own lesson. So choose each label's site on other files:

# %%
chosen = {site: scores_there(read(X, choose), choose) for site, X in acts.items()}  # the rival is the same
for k, name in enumerate(NAMES):
    site = max(chosen, key=lambda site: chosen[site][k])
    high, (mean, error) = judged(readings[site][:, k], k), ahead(readings[site], rival, k)
    print(f"{name:>9} at {site:>9}: scores {high:.3f}, gains {mean:z.3f} ± {error:.3f}")

# %% [markdown]
# ## Does one neuron do?
#
# A rival may also be small. For each label, take the neuron of MLP 1 that ranks the first third's places best.
# How far ahead is a probe on all 512? And is a neuron better than the best of 512 random directions among them?


# %%
def best(directions):
    """For each label the column that ranks places best on the first third, as it reads the last: [pos, label]."""
    along, aims = directions.T @ neurons[fit][::4].T, y[fit][::4]
    ranks = along.argsort().argsort().float()
    together = (ranks - ranks.mean(1, keepdim=True)) @ (aims - aims.mean(0))
    at = together.abs().argmax(0)
    return neurons[judge] @ (directions[:, at] * together[at, range(9)].sign())


# %%
readers = {"all 512 neurons": read(neurons, judge), "the best neuron": best(torch.eye(512))}
readers["the best direction"] = best(torch.randn(512, 512, generator=rng))
probe, neuron, direction = readers.values()
for k, name in enumerate(NAMES):
    (more, error), (lead, its_error) = ahead(probe, neuron, k), ahead(neuron, direction, k)
    print(f"{name:>9}: all over one {more:z.2f} ± {error:.2f}; neuron over direction {lead:z.2f} ± {its_error:.2f}")
found = {who: {name: judged(scores[:, k], k) for k, name in enumerate(NAMES)} for who, scores in readers.items()}
plots.bars(found, y_title="score")

# %% [markdown]
# Only for *line ends* is a neuron ahead of the best direction, and far behind all 512.
# The others' best tell no more than random directions.
#
# ## Try to break it
#
# 128 random numbers are one rival among many. Give each token more:

# %%
WIDTHS = (64, 128, 256, 512, 1024)
numbers = [torch.randn(2048, 128, generator=rng) for _ in range(8)]
wide = torch.cat([bag_of_words(tokens, some, 0.9)[:, 32:].flatten(0, 1) for some in numbers], dim=1)
wide = [read(wide[:, :width], judge, penalty=1e4) for width in WIDTHS]  # with 1, wide bags overfit
for site in ("after 1", "attn 1"):
    over = {NAMES[k]: ahead(readings[site], wide[-1], k) for k in (*range(5), 7)}
    said = (f"{name} {mean:z.3f} ± {error:.3f}" for name, (mean, error) in over.items())
    print(f"{site} over 1,024 numbers:", ", ".join(said))
puzzle.recall("the story")
stream = readings["after 1"]
curves = {NAMES[k]: [float(ahead(stream, scores, k)[0]) for scores in wide] for k in (0, 1, 2, 4, 7)}
plots.lines(WIDTHS, curves, x_title="random numbers per token", y_title="gain, stream after block 1")

# %% [markdown]
# For the first five the gain melts: after block 1 nothing is left, and `attn 1` keeps a few hundredths at most.
# *line ends*, a guess about the next token, keeps a gain; see *Play*.
# The model sees nothing but the text, so it adds no information.
# It brings these labels, beside all else that it holds, into 128 numbers.
# A gain is over a rival. Name it, and its width.
#
# ## Your own labels
#
# Planted for you: activations, a bag as wide, eight labels, 24 files. Call a label, in files that the probe has not seen,
#
# - `"model"` if the activations score above 0.65, and 0.1 or more above the bag;
# - `"text"` if the bag scores above 0.65 and the activations do not beat it so;
# - `"neither"` if neither scores above 0.65.

# %% open="variant"
my_acts, my_bag, given, my_files = puzzle.variant("your name or id")
shapes = {"my_acts": my_acts, "my_bag": my_bag, "given": given, "my_files": my_files}
print(", ".join(f"{name} {list(tensor.shape)}" for name, tensor in shapes.items()), "and files 0 to 23")

# %% stub="my_labels"
my_labels = ...  # a list of eight words, one for each column of given
### BEGIN SOLUTION
seen, my_labels = my_files < 12, []
for label in given.T:
    aim = label[seen, None].float()
    mine, text = (ridge_probe(X[seen], aim, X[~seen], 1.0)[:, 0] for X in (my_acts, my_bag))
    of_model, of_text = (score(scores, label[~seen], my_files[~seen]) for scores in (mine, text))
    extra, _ = gain(mine, text, label[~seen], my_files[~seen])
    read_at_all = max(of_model, of_text) > 0.65
    my_labels.append("neither" if not read_at_all else "model" if extra > 0.1 else "text")
### END SOLUTION

# %% check="my_labels"
puzzle.check("my_labels", my_labels)
### BEGIN HIDDEN TESTS
puzzle.grade("my_labels", my_labels)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague writes: "A probe reads the sentiment of a review off layer 7, 92 % right; off the untrained network, 70 %. So layer 7 computes sentiment, and the model uses it."
# Answer in three to five sentences: what would you subtract, on which texts, and what would the difference still not show?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# I subtract what the same probe reads of the same reviews without the network: a table of words, and words in random directions added up, as wide as the layer and wider; the untrained network is a weaker rival, because it buries the text.
# Fitting, choosing the layer and judging get different reviews, by different authors if there are several of each, and the difference comes with its error over these, not over tokens.
# I use a score that guessing leaves at one half, and look at labels that mean nothing, one coin for each word, to see what such a probe learns by heart.
# A gain says that the network has made sentiment easier to read for a probe of this width; the information was in the text all along.
# That the model uses it no probe can show: for that I change the direction and see what becomes of the output.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# From the text. More than four fifths of what the probe scores above guessing can be read off 128 random numbers for each token, added up as they come, and with 1,024 nearly all the rest. A model computes from its text, so it cannot hold anything that the text does not.
#
# What is the model's is where it lies: from the attention of block 1 on, brackets, strings and headers can be read off 128 numbers, which hold much else too. That is a gain over a rival of that width, on files that nobody fitted or chose.
#
# A redrawn network looks like the natural control, and was the weakest. Shuffled labels test the arithmetic. A coin for each word tests how much a probe learns by heart. None of them is the text alone.
#
# The salmon of Bennett and others (2009) was about another slip: many comparisons, and no correction. That is why sites and rivals are chosen on files of their own. And a gain is not yet a use: change the direction, and see what the model does.

# %% [markdown]
# ## Play
#
# Another site, label, width or decay. A weak rival flatters.

# %% open="play"
site, name, width, decay = "mlp 2", "line ends", 256, 0.5
numbers = torch.randn(2048, width, generator=torch.Generator().manual_seed(1))
bag = bag_of_words(tokens, numbers, decay)[:, 32:].flatten(0, 1)
mean, error = ahead(readings[site], read(bag, judge), NAMES.index(name))
print(f"{name}: {site} is {mean:z.3f} ± {error:.3f} ahead of {width} numbers")

# %% [markdown]
# ## Where next
#
# - *A feature beyond the embedding*: the same question of a dictionary's unit, and a swap of its past.
# - *Meaningful zero*: how to switch a direction off.
#
# Control tasks: Hewitt and Liang (2019). The salmon, for language models: Méloux et al. (2025).
