# %% [markdown]
# # Three deep
#
# A small model has read Python. After `x = name(key` it closes with `)`, after `x = name[key` with `]`.
# With two brackets open, or three, it prefers the one that closes the latest: 97 % right.
#
# That is what a program with a stack does. Nobody gave the model a stack.
#
# **A model closes one bracket correctly. Does it track nesting?**
#
# You will turn one bracket and leave all else: in this model, in a real stack, in a model that nobody trained.
#
# *45 minutes. You need attention patterns and hooks. Guesses are kept on your machine and never marked.*

# %%
import io
import itertools
import random
import tokenize
from functools import lru_cache, partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo.corpus import package_source

# %%
torch.set_grad_enabled(False)
puzzle, model = load_puzzle("closing_brackets"), load_model("mini-python")


@lru_cache
def begins_with(mark, model):
    vocabulary = model.tokenizer.convert_ids_to_tokens(range(model.cfg.d_vocab))
    return torch.tensor([token.startswith(mark) for token in vocabulary])


# %%
def log_odds(logits, model=model):
    """Log odds that the next token begins with ) rather than with ]."""
    of_round, of_square = (logits[..., begins_with(mark, model)].logsumexp(-1) for mark in ")]")
    return of_round - of_square


# %%
for text in ("x = name(key", "x = name[key", "x = name(key[value", "x = name[key(value[data"):
    print(f"{text:25} log odds of ) over ]: {log_odds(model(text))[0, -1]:.1f}")

# %% [markdown]
# Four prompts are an anecdote: draw the words, turn the brackets.


# %%
WORDS = ["name", "key", "value", "data", "text", "path", "line", "item", "result", "index", "list"]
draws = [random.Random(seed).sample(WORDS, 8) for seed in range(24)]


def prompt(brackets, words):
    """prompt("([]", ["f", "g", "a", "b"]) is "x = f(g[a], b"."""
    word = iter(words)
    return f"x = {next(word)}" + "".join((b if b in "([" else b + ", ") + next(word) for b in brackets)


# %%
def ask(brackets, hooks=(), model=model):
    """The log odds after these brackets, for 24 draws of the words between them."""
    tokens = model.to_tokens([prompt(brackets, words) for words in draws])
    return log_odds(model.run_with_hooks(tokens, fwd_hooks=list(hooks))[:, -1], model)


# %% [markdown]
# A *shape* such as `"(()"` says what opens and closes. Its pairs, numbered as they open, may each be round or square.


# %%
def write(shape, kinds):
    """write("(()", (0, 1)) is "([]": pair 0 is round, pair 1 is square."""
    kind, pairs, written = iter(kinds), [], ""
    for mark in shape:
        if mark == "(":
            pairs.append(next(kind))
        written += "(["[pairs[-1]] if mark == "(" else ")]"[pairs.pop()]
    return written


def every(shape):
    return [write(shape, kinds) for kinds in itertools.product((0, 1), repeat=shape.count("("))]


# %%
def ask_every(shape):
    """What ask says of every way to write a shape, from one run."""
    tokens = model.to_tokens([prompt(brackets, words) for brackets in every(shape) for words in draws])
    return dict(zip(every(shape), log_odds(model(tokens)[:, -1]).split(len(draws))))


odds = ask_every("(") | ask_every("((") | ask_every("(((")
for depth in (1, 2, 3):
    right = torch.cat([(odds[b] > 0) == (b[-1] == "(") for b in odds if len(b) == depth]).float().mean()
    print(f"{depth} open: {right:.0%} right")
plots.bars({b: float(draw.mean()) for b, draw in odds.items()}, x_title="open", y_title="log odds of ) over ]")

# %% [markdown]
# ## Commit
#
# - `"stack"`: it keeps what is still open, and closes the latest of that.
# - `"nearest"`: it matches the nearest opener, closed meanwhile or not.
# - `"count"`: it closes the kind of which more are open.
# - `"fading"`: every opener counts, closed or not; the older, the less.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## Slow and right
#
# The candidates, and two more, as programs. Above zero means: close with `)`.


# %%
def still_open(brackets):
    left = []
    for bracket in brackets:
        if bracket in "([":
            left.append(1 if bracket == "(" else -1)
        else:
            left.pop()
    return left


def opened(brackets):
    return [1 if bracket == "(" else -1 for bracket in brackets if bracket in "(["]


# %%
CANDIDATES = {
    "stack": lambda brackets: still_open(brackets)[-1],
    "nearest": lambda brackets: opened(brackets)[-1],
    "outermost": lambda brackets: still_open(brackets)[0],
    "count": lambda brackets: sum(still_open(brackets)),
    "tally": lambda brackets: sum(opened(brackets)),
    "fading": lambda brackets: sum(one * 0.6**age for age, one in enumerate(opened(brackets)[::-1])),
}
for brackets in ("([", "([]", "[()"):
    said = {name: round(rule(brackets), 1) for name, rule in CANDIDATES.items()}
    print(prompt(brackets, "fgab"), said)

# %% [markdown]
# Now hold them against the *model*, not against Python. The model likes `)` better throughout, so ask whether its log odds are above their mean over all ways to write the shape.
#
# Prompts on which all candidates agree cannot tell. **Your turn**: score them on the rest. Two lines.


# %% stub="agreement"
def agreement(
    model_says: Bool[Tensor, "prompt"],
    says: Bool[Tensor, "candidate prompt"],
) -> Float[Tensor, "candidate"]:
    """On what share of the telling prompts does each candidate, [candidate], say what the model says?

    model_says is [prompt], says is [candidate, prompt]; True is ")".
    A prompt tells if not all candidates say the same. At least one does.
    """
    ### BEGIN SOLUTION
    tells = (says != says[0]).any(0)
    return (says == model_says)[:, tells].float().mean(1)
    ### END SOLUTION


# %% check="agreement"
puzzle.check("agreement", agreement)
### BEGIN HIDDEN TESTS
puzzle.grade("agreement", agreement)
### END HIDDEN TESTS

# %%
SHAPES = "( (( (() ()( ((( ((() (()( ()(( ((()) (()() (())( ()(() ()()("
model_says, says = [], []
for shape in SHAPES.split():
    odds |= ask_every(shape) if every(shape)[0] not in odds else {}  # three shapes are asked already
    ways = torch.stack([odds[brackets] for brackets in every(shape)])  # [way to write it, draw of words]
    model_says.append((ways > ways.mean(0)).flatten())
    rules = [[rule(b) > 0 for b in every(shape) for _ in draws] for rule in CANDIDATES.values()]
    says.append(torch.tensor(rules))
model_says, says = torch.cat(model_says), torch.cat(says, dim=1)

# %%
overall = (says == model_says).float().mean(1)
scores = {"all prompts": overall, "telling": agreement(model_says, says)}
bars = {on: dict(zip(CANDIDATES, score.tolist())) for on, score in scores.items()}
plots.bars(bars, y_title="agrees with the model")

# %%
for pair in ([0, 1], [1, 5]):
    tells = says[pair[0]] != says[pair[1]]
    one, other = (list(CANDIDATES)[i] for i in pair)
    print(f"{one} and {other} differ on {tells.sum()} of {len(tells)} prompts", end=" ")
    print(*(f"{share:.0%}" for share in agreement(model_says, says[pair])) if tells.any() else ())

# %% [markdown]
# Where the stack and the nearest opener differ, it is rarely the stack. Would real code have told you?


# %%
def closings(source):
    """For each ) or ] after a letter or digit: the text before, it, the nearest opener, how far back, if closed."""
    starts = [0, *itertools.accumulate(map(len, io.StringIO(source)))]
    for piece in tokenize.generate_tokens(io.StringIO(source).readline):
        place = starts[piece.start[0] - 1] + piece.start[1]
        if piece.string in ("(", "["):
            nearest, closed = place, False
        elif piece.string in (")", "]"):
            if source[place - 1].isalnum() and place >= 400:
                yield source[place - 400 : place], piece.string, source[nearest], place - nearest, closed
            closed = True


# %%
def right_on(some, hooks=()):
    """Which of these closings the model gets right, from the 40 tokens before each."""
    texts = model.tokenizer([text for text, *_ in some])["input_ids"]
    rows = torch.tensor([tokens[-40:] for tokens in texts])
    says_round = log_odds(model.run_with_hooks(rows, fwd_hooks=list(hooks))[:, -1]) > 0
    return says_round == torch.tensor([closer == ")" for _, closer, *_ in some])


files = [*package_source("einops"), *package_source("markdown_it")]  # new to the model
real = [one for source in files for one in closings(source)]
hard = [one for one in real if one[1] + one[2] in (")[", "](")]

# %%
sample, on_hard = right_on(real[::16]).float().mean(), right_on(hard).float().mean()
print(f"{len(real):,} closings in real code; of every sixteenth, {sample:.1%} are right")
print(f"{len(hard)} of all tell a stack from the nearest opener; {on_hard:.0%} are right")
always = sum(closer == ")" for _, closer, *_ in hard) / len(hard)
print(f"on these, somebody who always says ) has {always:.0%} right")

# %% [markdown]
# A benchmark of real code is nearly all easy.
#
# ## By how much?
#
# So, the nearest opener? `nearest` and `fading` never differ here in what they close with, only in how much the *other* brackets matter.
# Turn one bracket from square to round, leave all else, and see how far the log odds move: its **swing**.
# What the prompts share, the liking for `)` above all, cancels.
#
# Average over all the ways to write the others. One or two lines.


# %% stub="swings"
def swings(odds) -> Float[Tensor, "pair"]:
    """Each pair's swing, [pair]: round minus square, the mean over all ways to write the others.

    odds, shape [2] * n_pairs: in odds[i, j, ...] pair 0 is round if i is 0, square if i is 1, and so on.
    """
    ### BEGIN SOLUTION
    return torch.stack([(odds.select(pair, 0) - odds.select(pair, 1)).mean() for pair in range(odds.ndim)])
    ### END SOLUTION


# %% check="swings"
puzzle.check("swings", swings)
### BEGIN HIDDEN TESTS
puzzle.grade("swings", swings)
### END HIDDEN TESTS

# %% [markdown]
# In `x = f(g(a), b` a stack's closed pair has no swing, and a nearest opener has all of it. What share has the model's closed pair?

# %% open="predict-share"
puzzle.predict("the closed pair's share of the swings", ..., because="", sure=...)


# %%
def table(answer, shape):
    """answer(brackets) for every way to write a shape, as swings takes it."""
    answers = [float(answer(brackets)) for brackets in every(shape)]
    return torch.tensor(answers).view([2] * shape.count("("))


untrained = load_model("mini-python")
rng = torch.Generator().manual_seed(0)
for weight in untrained.original_model.parameters():
    if weight.ndim == 2:
        weight.normal_(0, 0.8 * model.cfg.d_model**-0.5, generator=rng)


# %%
def rule_of(model):
    return lambda brackets: ask(brackets, model=model).mean()


who = {name: CANDIDATES[name] for name in ("stack", "nearest", "fading")}
who |= {"the model": rule_of(model), "untrained": rule_of(untrained)}
shapes = ("((", "(()", "(()()")
print(" " * 9, *(f"{shape:>15}" for shape in shapes))
for name, answer in who.items():
    found = (", ".join(f"{swing:z.1f}" for swing in swings(table(answer, shape))) for shape in shapes)
    print(f"{name:>9}", *(f"{one:>15}" for one in found))

# %%
shares = {}
for name in ("stack", "nearest", "fading", "the model"):
    answer = who[name]
    of_open, of_closed = swings(table(answer, "(()")).tolist()
    shares[name] = of_closed / (of_open + of_closed)
guess = puzzle.prediction("the closed pair's share of the swings")
puzzle.recall("the closed pair's share of the swings", found=shares["the model"])
plots.bars(shares, y_title="closed pair's share of the swings", prediction=guess)

# %% [markdown]
# Neither. Every opener has its swing, the closed one the larger.
# (The untrained model has next to none.)
#
# Does the closer do anything? Give it a kind of its own, matching or not: three brackets, three swings.

# %%
kinds = itertools.product((0, 1), repeat=3)
mixed = torch.tensor([float(ask("(["[i] + "(["[j] + ")]"[k]).mean()) for i, j, k in kinds])
for name, swing in zip(("open", "closed", "its closer"), swings(mixed.view(2, 2, 2))):
    print(f"{name:>10}: {swing:.2f}")

# %% [markdown]
# It pulls back a sixth of what its opener pushes. A sum would have to pull back all of it; a stack has neither push nor pull.
#
# ## Who votes?
#
# Let one head, at the last token alone, look away from one token: the other keys share the attention freed, in proportion.
# About four lines.


# %% stub="look_away"
def look_away(pattern: Float[Tensor, "batch head query_pos key_pos"], head, key):
    """A new pattern in which the last query of that head gives nothing to that key.

    It is [batch, head, query_pos, key_pos], as the old one. The other keys of that row
    share what was freed in proportion to what they have; all other rows stay.
    """
    ### BEGIN SOLUTION
    new_pattern = pattern.clone()
    new_pattern[:, head, -1, key] = 0
    new_pattern[:, head, -1] /= new_pattern[:, head, -1].sum(-1, keepdim=True)
    return new_pattern
    ### END SOLUTION


# %% check="look_away"
puzzle.check("look_away", look_away)
### BEGIN HIDDEN TESTS
puzzle.grade("look_away", look_away)
### END HIDDEN TESTS


# %%
def looking_away(heads, key):
    def edit(head):
        return lambda pattern, hook: look_away(pattern, head, key)

    return [(f"blocks.{layer}.attn.hook_pattern", edit(head)) for layer, head in heads]


def swings_without(shape, heads, key):
    hooks = looking_away(heads, key)
    return swings(table(lambda brackets: ask(brackets, hooks).mean(), shape))


# %%
first, second = 4, 6  # positions of the openers
intact = swings_without("((", [], second)
lost = torch.zeros(3, 4)
for layer, head in itertools.product(range(3), range(4)):
    lost[layer, head] = intact[1] - swings_without("((", [(layer, head)], second)[1]
labels = {"rows": ["L0", "L1", "L2"], "columns": ["H0", "H1", "H2", "H3"]}
plots.heatmap(lost, **labels, x_title="head", y_title="layer", colour_title="swing lost")

# %%
cache = model.run_with_cache(model.to_tokens([prompt("((", words) for words in draws]))[1]
for layer, head in ((1, 1), (1, 2), (2, 0), (2, 2)):
    attention = cache["pattern", layer][:, head, -1, second].mean()
    print(f"L{layer}H{head} attends to the second opener: {attention:.2f}")

# %% [markdown]
# Two heads, L1H1 and L2H0. L2H2 looks nearly as hard, and hardly matters: attention is not yet a vote.
#
# Now do by hand what a stack would have done: in `x = f(g(a), b`, let the two look away from the closed opener.

# %%
voters = [(1, 1), (2, 0)]
aside = {"nothing": (0, []), "closed": (second, voters), "open": (first, voters)}
aside |= {"a word": (5, voters), "closed, L1H2 and L2H2": (second, [(1, 2), (2, 2)])}
groups = {"open pair": {}, "closed pair": {}}
for name, (key, heads) in aside.items():
    for group, swing in zip(groups.values(), swings_without("(()", heads, key).tolist()):
        group[name] = swing
plots.bars(groups, y_title="swing, log odds", x_title="looks away from")

# %% [markdown]
# That does what the closer failed to do: hardly any swing is left to its pair.
# A word, or two other heads, and little moves.
#
# And in real code? A closed opener can be of the wrong kind, or happen to be of the right one.


# %%
def key_of(one):
    """The token that holds the nearest opener, counted from the end."""
    text, _, _, back, _ = one
    spans = model.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    return next(i for i, (_, end) in enumerate(spans) if end > len(text) - back) - len(spans)


# %%
def n_right(some, keys, heads, further):
    """How many are right if these heads look away from each one's own key, or from a token further on."""

    def edit(pattern, hook, head):
        return torch.cat([look_away(row, head, key + further) for row, key in zip(pattern.split(1), keys)])

    hooks = [(f"blocks.{layer}.attn.hook_pattern", partial(edit, head=head)) for layer, head in heads]
    return int(right_on(some, hooks).sum())


# %%
lucky = [one for one in real if one[-1] and one[1] + one[2] not in (")[", "](")]  # closed, and of the right kind
keys_of = [[key_of(one) for one in some] for some in (hard, lucky)]
runs = {"nothing": ([], 0), "the closed opener": (voters, 0), "the token after it": (voters, 1)}
runs["the closed opener, L1H2 and L2H2"] = ([(1, 2), (2, 2)], 0)
for name, (heads, further) in runs.items():
    counts = [n_right(some, keys, heads, further) for some, keys in zip((hard, lucky), keys_of)]
    found = [f"{count} of {len(some)}" for count, some in zip(counts, (hard, lucky))]
    print(f"right behind the wrong kind: {found[0]}, behind the right kind: {found[1]}; looking away from {name}")

# %% [markdown]
# Where the closed opener misleads, taking its vote away mends nearly all: the error goes through these two heads.
# Where it happens to be right, the same cut breaks 11 of 56.
# The model leans on closed openers. A stack would not.
#
# ## Why does nobody pop?
#
# Do these heads not see the closer? Here are the same prompts with `),` and with a mere comma: attention to the first opener, the second, and the comma.

# %%
closed = [prompt("(()", words) for words in draws]
commas = [text.replace("),", ",") for text in closed]
for name, texts in {"closed": closed, "never closed": commas}.items():
    cache = model.run_with_cache(model.to_tokens(texts))[1]
    for layer, head in voters:
        found = cache["pattern", layer][:, head, -1, [first, second, 8]].mean(0)
        print(f"{name:>12}, L{layer}H{head}:", ", ".join(f"{attention:.2f}" for attention in found))

# %% [markdown]
# L1H1 sees it well. But the closer takes attention from *both* openers alike.
# In L2H0 the closed opener loses some, and still gets more than the open one.
#
# An opener's key was written before anybody could know that it would be closed.
# A query that knew the depth could still pick the right one: two layers suffice for any bounded depth (Yao et al. 2021, arXiv 2105.11115).
# These two do not ask that way: closing thins votes out, and pops none.
#
# ## Your own boxes
#
# Eight boxes answer brackets with log odds: `boxes(0, "([")`. Each runs one of the six candidates, with a size and a habit of its own, so single answers say little.
# Which is which? Every candidate occurs.

# %% open="variant"
boxes = puzzle.variant("your name or id")
print([round(boxes(number, "(["), 1) for number in range(8)])

# %% stub="my_boxes"
my_boxes = ...  # a list of eight names of candidates


### BEGIN SOLUTION
def profile(answer):
    found = torch.cat([swings(table(answer, shape)) for shape in ("((", "(()")])
    return found / found.norm()


mine = [profile(partial(boxes, number)) for number in range(8)]
my_boxes = [max(CANDIDATES, key=lambda name: profile(CANDIDATES[name]) @ own) for own in mine]
### END SOLUTION

# %% check="my_boxes"
puzzle.check("my_boxes", my_boxes)
### BEGIN HIDDEN TESTS
puzzle.grade("my_boxes", my_boxes)
### END HIDDEN TESTS

# %% [markdown]
# ## Other models
#
# GPT-Neo has read much code. Does it keep a stack?

# %%
for name, fallback in (("gpt-neo-125m", "mini-deep"), ("mini-gpt2", None)):
    other = load_model(name, fallback=fallback)
    for shape in ("((", "(()"):
        found = swings(table(rule_of(other), shape))
        print(f"{other.cfg.model_name}, {shape}:", ", ".join(f"{swing:.1f}" for swing in found))
puzzle.recall("the story")

# %% [markdown]
# ## Explain
#
# A colleague: "It closes 97 % of brackets right, three deep. One head attends to the opener. So it tracks nesting."
# In three to five sentences: what is wrong with each step, and what would you run instead?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# 97 % is counted on prompts in which nothing has been closed, where a stack, the nearest opener and a fading sum all say the same, so it is evidence for none of them; in real code nearly all closings are of this kind.
# I would write the candidates down and score them only on prompts on which they differ, such as `f[g(a), b`.
# Right and wrong still mix the algorithm with a liking for `)`, so I would turn one bracket at a time and measure how far the log odds move: a stack predicts nothing for a closed pair, and here it moves them most.
# A head that attends to openers serves a stack as well as a fading sum; so I would let it look away from one opener at a time, with another token as control, and see whose swing goes.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# It does not track nesting. Two heads, L1H1 and L2H0, look at all openers at once, and each opener pushes for its own kind as far as it is looked at: the later, the more, and closed or not. The closer takes some attention away and pulls back a little, about a sixth of what its opener pushes. Where nothing is closed, the nearest opener is the right one, and a fading sum is as good as a stack.
#
# Look away from the closed opener by hand, in these two heads, and the pair hardly counts any more; in real code, where a stack and the nearest opener differ, the model then closes nearly all brackets right instead of half. So the votes go through them. Where the closed opener happened to be of the right kind, the same cut costs: the model leans on it. That they attend to openers would not have told: others do as well.
#
# Right answers on easy inputs leave the algorithm open. A stack, the nearest opener and a fading sum were told apart in two steps: by inputs on which they close differently, and, where they never do, by how far each bracket moves the log odds. In real code not two closings in a hundred tell a stack from the nearest opener: no wonder that nobody notices, and perhaps that training did not either.
#
# What we did not find out: what sets the weights. An older opener fades more where everything is open than where something was closed, and one factor for all, our 0.6, is only a sketch. Nor whether larger models do better; you have the functions.

# %% [markdown]
# ## Play
#
# The log odds after every token of your own line. Find one that closes wrongly at depth two with nothing closed.

# %% open="play"
text = "x = data[key(name), list(value), item"
tokens = model.to_tokens(text)
after = log_odds(model(tokens)[0])
places = [f"{i}: {model.to_string([token])}" for i, token in enumerate(tokens[0])]
plots.lines(places, {"log odds of ) over ]": after}, x_title="token", y_title="log odds of ) over ]")

# %% [markdown]
# ## Where next
#
# - *Maximum*: another algorithm, and inputs on which it must fail.
# - *Cheese or corner*: the same principle for goals.
#
# With inputs of any length, and under assumptions on attention, nesting is beyond a transformer of fixed size: Hahn (2020, arXiv 1906.06755).
