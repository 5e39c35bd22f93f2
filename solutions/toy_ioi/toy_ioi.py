# %% [markdown]
# # Borrowed names
#
# *When Mary and John went to the store, John gave a drink to*: GPT-2 small says *Mary*.
# Its circuit is famous for three kinds of heads.
#
# - *Duplicate-token heads* look from the second *John* back at the first, and pass on that he was named twice.
# - *S-inhibition heads* look from the last word at the second *John*, and tell later heads where not to look.
# - *Name movers* look from the last word at *Mary*, and write *Mary*.
#
# A toy of two attention layers, trained on such sentences alone, is always right.
# Its head L1H2 looks from the last word at the second *John*, with over 0.8 of its attention: S-inhibition.
# It also adds more to *Mary* than any other: a name mover. At *Mary* it hardly looks.
#
# **The famous circuit has three kinds of heads. Does a toy trained on the task have them?**
#
# The control: your tests must say yes where all three were put in by hand, and no to their look-alikes.
#
# *45 minutes. You need attention patterns, hooks and activation patching. Guesses are never marked.*

# %%
import functools
import itertools
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.models import Origin, boot_native

# %%
from mechpuzzles.zoo.export import write_native
from mechpuzzles.zoo.recipes import RECIPES
from mechpuzzles.zoo.tasks import NAMES, TASKS, WORDS, name_windows
from mechpuzzles.zoo.training import fit

torch.set_grad_enabled(False)
puzzle = load_puzzle("toy_ioi")
model = load_model("toy-ioi")  # two attention layers of four heads; its vocabulary is 61 words

# %% [markdown]
# The paper's words: IO is the receiver (*Mary*), S1 and S2 are the giver's two mentions, END is the last word.
# In the toy S2 is word 12 and END word 15. IO and S1 are words 6 and 8, in either order.

# %%
rng = torch.Generator().manual_seed(0)
first, second, third = torch.rand(24, len(NAMES), generator=rng).argsort(1).T[:3] + 1
fillers = torch.randint(WORDS.index("the"), len(WORDS), (24, 8), generator=rng)
windows = name_windows(first, second, torch.arange(24) % 2 == 0, fillers)
prompts, io, s = windows[:, :-1], windows[:, -1], windows[:, 12]
io_pos = torch.where(prompts[:, 6] == io, 6, 8)
s1_pos, s2_pos, end_pos = 14 - io_pos, torch.full_like(io_pos, 12), torch.full_like(io_pos, 15)
print(" ".join(WORDS[word] for word in prompts[0]), "->", WORDS[io[0]])


# %%
def lift(logits, names):
    """How far the names stand above the average word, averaged over the sentences."""
    return float((logits.gather(1, names[:, None])[:, 0] - logits.mean(1)).mean())


def margin(logits):
    return lift(logits, io) - lift(logits, s)


# %%
logits, cache = model.run_with_cache(prompts)
print(f"right: {(logits[:, -1].argmax(1) == io).float().mean():.0%}, margin of IO over S: {margin(logits[:, -1]):.1f}")
from_end = cache["pattern", 1][:, 2, -1]
print(f"L1H2, from END: {from_end[:, 12].mean():.2f} to S2, {from_end.gather(1, io_pos[:, None]).mean():.2f} to IO")

# %%
heads = list(itertools.product(range(2), range(4)))
names = [f"L{layer}H{head}" for layer, head in heads]
W_U = model.ln_final.weight[:, None] * model.W_U
attributions = {"to IO": {}, "to S": {}}
for name, (layer, head) in zip(names, heads):
    out = cache["z", layer][:, -1, head] @ model.W_O[layer, head]
    direct = out / cache["ln_final.hook_scale"][:, -1] @ (W_U - W_U.mean(0))  # W_U centred, as LayerNorm does
    attributions["to IO"][name], attributions["to S"][name] = lift(direct, io), lift(direct, s)
plots.bars(attributions, x_title="head", y_title="direct logit attribution")

# %% [markdown]
# ## Commit
#
# Which name does L1H2 earn: `"S-inhibition"`, `"name mover"`, `"both"`, `"neither"`?

# %% open="predict-head"
puzzle.predict("L1H2", ..., because="", sure=...)

# %% [markdown]
# ## Where does a head look?
#
# Words stand at different places in different sentences. About one line.


# %% stub="looks"
def looks(
    pattern: Float[Tensor, "batch head query_pos key_pos"], query: Int[Tensor, "batch"], key: Int[Tensor, "batch"]
) -> Float[Tensor, "head"]:
    """Each head's attention from one word to another, averaged over the sentences; shape [head].

    pattern: [batch, head, query_pos, key_pos]. In sentence i it is from position query[i] to position key[i].
    """
    ### BEGIN SOLUTION
    return pattern[torch.arange(len(pattern)), :, query, key].mean(0)
    ### END SOLUTION


# %% check="looks"
puzzle.check("looks", looks)
### BEGIN HIDDEN TESTS
puzzle.grade("looks", looks)
### END HIDDEN TESTS


# %%
def all_looks(model):
    """[head, kind], layer by layer: S2 to S1 rather than IO, END to S2, END to IO rather than S1."""
    cache, found = model.run_with_cache(prompts)[1], []
    for layer in range(model.cfg.n_layers):
        pattern = cache["pattern", layer]
        duplicate = looks(pattern, s2_pos, s1_pos) - looks(pattern, s2_pos, io_pos)
        mover = looks(pattern, end_pos, io_pos) - looks(pattern, end_pos, s1_pos)
        found.append(torch.stack([duplicate, looks(pattern, end_pos, s2_pos), mover], dim=1))
    return torch.cat(found)


# %%
KINDS = ("duplicate", "inhibition", "mover")
titles = {"x_title": "the look of", "y_title": "head of the toy", "colour_title": "attention"}
plots.heatmap(all_looks(model), rows=names, columns=KINDS, **titles)

# %% [markdown]
# Two heads have the look of S-inhibition, a third barely. Nobody has the other looks.
#
# ## Who listens?
#
# A look is half a criterion. The other half is what comes of it at the implied listener when a word changes:
#
# - duplicate: S1 is someone else; the next layer's *values* at S2 hear it.
# - inhibition: the other one gives; the next layer's *queries* at END hear it.
# - mover: IO is someone else; the *logits* hear it.
#
# **Path patching**: let one head speak as if the word had changed, all others as before, and only the listener hear it.
# About six lines, with `put`.


# %%
def put(value, pos=slice(None)):
    """A hook that puts `value` in an activation's place, everywhere or at one position."""

    def hook_function(activation, hook):
        activation[:, pos] = value[:, pos]

    return hook_function


# %% stub="path_patch"
def path_patch(model, prompts, others, sender, receiver) -> Float[Tensor, "batch d_vocab"]:
    """The logits after the last word of `prompts` if `receiver` alone hears a head speak as on `others`.

    sender is (layer, head, pos), receiver a hook's name such as "blocks.1.attn.hook_q".
    First run: at pos the sender's z is as on `others`; every other z, in all layers, is as on `prompts`.
    Second run: the receiver is, at pos, what it was in the first; nothing else is touched.
    """
    ### BEGIN SOLUTION
    layer, head, pos = sender
    each_z = [f"blocks.{each}.attn.hook_z" for each in range(model.cfg.n_layers)]
    clean, changed = (model.run_with_cache(tokens, names_filter=each_z)[1] for tokens in (prompts, others))
    said = [clean[site].clone() for site in each_z]
    said[layer][:, pos, head] = changed["z", layer][:, pos, head]
    with model.hooks(fwd_hooks=[(site, put(z)) for site, z in zip(each_z, said)]):
        heard = model.run_with_cache(prompts, names_filter=receiver)[1][receiver]
    return model.run_with_hooks(prompts, fwd_hooks=[(receiver, put(heard, pos))])[:, -1]
    ### END SOLUTION


# %% check="path_patch"
puzzle.check("path_patch", path_patch)
### BEGIN HIDDEN TESTS
puzzle.grade("path_patch", path_patch)
### END HIDDEN TESTS

# %%
places = torch.arange(16)
someone = third[:, None]
changed = {
    "duplicate": torch.where(places == s1_pos[:, None], someone, prompts),
    "inhibition": torch.where(places == 12, io[:, None], prompts),
    "mover": torch.where(places == io_pos[:, None], someone, prompts),
}


# %%
@functools.cache
def whole(model):
    return margin(model(prompts)[:, -1])


def act(model, kind, sender, receiver):
    """The share of the margin that is lost: 1 is all of it, 2 turns the answer round."""
    patched = path_patch(model, prompts, changed[kind], sender, receiver)
    return 1 - margin(patched) / whole(model)


# %%
def all_acts(model):
    """[head, kind], layer by layer; in the last layer nobody listens but the logits."""
    found, last = [], model.cfg.n_layers - 1
    for layer, head in itertools.product(range(last + 1), range(model.cfg.n_heads)):
        scores, listening = [0.0, 0.0], f"blocks.{layer + 1}.attn.hook_"
        if layer < last:
            scores[0] = act(model, "duplicate", (layer, head, 12), f"{listening}v")
            scores[1] = act(model, "inhibition", (layer, head, 15), f"{listening}q")
        mover = act(model, "mover", (layer, head, 15), f"blocks.{last}.hook_resid_post")
        found.append([*scores, mover])
    return torch.tensor(found)


# %% [markdown]
# ## Earn a name
#
# About four lines.


# %% stub="earned"
def earned(looks: Float[Tensor, "n_heads kind"], acts: Float[Tensor, "n_heads kind"], floor):
    """One label for each head: the kind of which it passes both tests, else "none".

    looks and acts are [n_heads, 3], with columns "duplicate", "inhibition", "mover".
    A test is passed above `floor`. No head passes both for two kinds.
    """
    ### BEGIN SOLUTION
    kinds = ("duplicate", "inhibition", "mover")
    both = ((looks > floor) & (acts > floor)).tolist()
    return [next((kind for kind, passed in zip(kinds, row) if passed), "none") for row in both]
    ### END SOLUTION


# %% check="earned"
puzzle.check("earned", earned)
### BEGIN HIDDEN TESTS
puzzle.grade("earned", earned)
### END HIDDEN TESTS

# %% [markdown]
# First the control: three hand-set layers, as in the textbook.
# In each, only head 0 is of the kind.


# %%
def tests(model):
    return torch.cat([all_looks(model), all_acts(model)], dim=1)


def names_of(model):
    return [f"L{layer}H{head}" for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)]


# %%
def show(model, scores, title):
    labels = zip(names_of(model), earned(scores[:, :3], scores[:, 3:], 0.1))
    print("earned:", {row: label for row, label in labels if label != "none"} or "not one")
    columns = [f"{test}: {kind}" for test in ("look", "act") for kind in KINDS]
    titles = {"x_title": "test", "y_title": title, "colour_title": "score"}
    return plots.heatmap(scores, rows=names_of(model), columns=columns, **titles)


# %% open="variant"
for_all, for_me = puzzle.variant("your name or id")  # settings and weights: the textbook's, and yours for later
textbook = boot_native(*for_all, Origin("textbook", "three hand-set layers."))

# %%
show(textbook, tests(textbook), "the textbook")

# %% [markdown]
# The tests say yes to three, and no to six that pass only one. Now the toy.

# %%
puzzle.recall("L1H2")
of_toy = tests(model)
show(model, of_toy, "the toy")

# %% [markdown]
# Not one name.
# L1H2 has the look of one kind and the act of another. Nobody comes after it to be told where not to look.
# Two layers cannot hold all three in a row, but inhibition before movers would fit.
#
# ## Try to break it
#
# A function may be shared out: let all four heads of layer 0 speak at once.

# %%
at_end, at_s2 = (0, [0, 1, 2, 3], 15), (0, [0, 1, 2, 3], 12)
for kind, sender, site in (("inhibition", at_end, "q"), ("duplicate", at_s2, "v"), ("duplicate", at_s2, "k")):
    share = act(model, kind, sender, f"blocks.1.attn.hook_{site}")
    print(f"{kind}, heard by the {site}: {share:z.2f} of the margin lost")

# %% [markdown]
# Nothing; undoing the repetition even helps.
#
# L1H2 gives IO a little more attention than S1. Is that how it lifts IO?
# Cut single looks: what is left of the margin?


# %%
def cut(layer, heads, query, keys):
    def look_away(pattern, hook):
        for head in heads:
            pattern[torch.arange(len(keys)), head, query, keys] = 0

    blind = model.run_with_hooks(prompts, fwd_hooks=[(f"blocks.{layer}.attn.hook_pattern", look_away)])
    return margin(blind[:, -1]) / whole(model)


# %%
print(f"L1H2 and L1H3, from END at IO: {cut(1, [2, 3], 15, io_pos):.2f}; at S2: {cut(1, [2, 3], 15, s2_pos):.2f}")
print(f"layer 0, from S2 at IO: {cut(0, range(4), 12, io_pos):.2f}; at S1: {cut(0, range(4), 12, s1_pos):.2f}")

# %% [markdown]
# The small look carries next to nothing, S2's look at S1 less than that.
# Does anybody notice that a name is said twice?
#
# Say S at word 12 alone: a third stands at S1. How far above the average word is S? As it was, IO stands at 18, S at 2.

# %% open="predict-lift"
puzzle.predict("lift of S, at word 12 alone", ..., because="", sure=...)

# %%
unnamed = changed["duplicate"]  # a third stands at S1
sentences = {"in front and at 12": prompts, "at 12 alone": unnamed}
sentences |= {"in front alone": prompts.clone(), "nowhere": unnamed.clone()}
sentences["in front alone"][:, 12] = sentences["nowhere"][:, 12] = prompts[:, 11]  # a filler

# %%
lifts = {who: {} for who in ("IO", "S", "a third")}
for name, tokens in sentences.items():
    ends, seen = model.run_with_cache(tokens)
    ends, divisor = ends[:, -1], seen["ln_final.hook_scale"][:, -1]
    for who, word in zip(lifts, (io, s, third)):
        lifts[who][name] = lift(ends, word)
    before = [lift(ends * divisor, word) for word in (io, s)]
    print(f"S {name}: the last LayerNorm divides by {divisor.mean():.2f};", end=" ")
    print("before, IO is lifted by {:.1f}, S by {:.1f}".format(*before))
guess = puzzle.prediction("lift of S, at word 12 alone")
puzzle.recall("lift of S, at word 12 alone", found=lifts["S"]["at 12 alone"])
plots.bars(lifts, y_title="lift over the average word", prediction=guess)

# %% [markdown]
# S is pushed down without any repetition.
# Before the last LayerNorm, word 12 costs S 2.6 if S is named in front, and about 2.2 if not: mostly a place.
# Whoever is mentioned is lifted, whoever stands at 12 is pushed down.
# That IO gains by it is mostly the last LayerNorm's doing.
#
# So L1H2 looks at S2 and lifts IO. Who put IO there, and what of it: the name, or its place?

# %%
for head in (2, 3):
    direct = act(model, "inhibition", (1, head, 15), "blocks.1.hook_resid_post")
    print(f"L1H{head}: {direct:.2f} of the margin if it alone hears that the other one gives")
changed["place"] = prompts.clone()
changed["place"][:, [6, 8]] = prompts[:, [8, 6]]
for kind, words in {"mover": "IO is someone else", "place": "IO and S1 change places"}.items():
    share = act(model, kind, at_s2, "blocks.1.attn.hook_v")
    print(f"{words}, layer 0 says so at S2, layer 1's values hear it: {share:z.2f}")

# %% [markdown]
# Layer 0, in part: from S2 it looks at both mentions alike, and passes on the name.
# L1H2 and L1H3 turn the answer straight in the logits; no listener stands between.
#
# ## Another toy
#
# The same task from another seed; half as wide, with fewer and larger steps.
# How many of the three kinds will it have: `"none"`, `"one"`, `"two"` or `"three"`?

# %% open="predict-more"
puzzle.predict("kinds in another toy", ..., because="", sure=...)


# %%
def retrain(seed, n_layers=2, steps=220):  # in float64, so that every machine makes the same
    sizes = {"n_layers": n_layers, "d_model": 32, "batch": 48, "warmup": 20, "learning_rate": 0.01}
    recipe = replace(RECIPES["toy-ioi"], seed=seed, steps=steps, **sizes)
    torch.set_default_dtype(torch.float64)
    with torch.enable_grad():
        net, _ = fit(recipe, functools.partial(TASKS["names"], recipe))
    torch.set_default_dtype(torch.float32)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        write_native(net.float(), recipe, Path(folder))
        return load_model(folder)


# %%
another = retrain(seed=1)  # of seeds 0 to 7, three learn the task in so few steps: 0, 1 and 6
ends = another(prompts)[:, -1]
print(f"right: {(ends.argmax(1) == io).float().mean():.0%}, margin {margin(ends):.1f}")
for name, tokens in sentences.items():
    ends, seen = another.run_with_cache(tokens)
    print(f"S {name}: {lift(ends[:, -1] * seen['ln_final.hook_scale'][:, -1], s):.2f} before the last LayerNorm")
puzzle.recall("kinds in another toy")
show(another, tests(another), "another toy")

# %% [markdown]
# It has name movers *and* S-inhibition: what L0H2 says to the queries of layer 1 carries most of the margin.
# "Not one" was said of one toy, not of the task; so is "two".
# Again there is no duplicate-token head. Yet a repetition counts: word 12 costs S 3.4 if S is named in front, 1.6 if not.
#
# ## Your own model
#
# Four layers of two hand-set heads; listeners may sit in *any* later layer. The floor is 0.1.
# Give eight labels, `"duplicate"`, `"inhibition"`, `"mover"` or `"none"`.

# %%
mine = boot_native(*for_me, Origin("mine", "four hand-set layers."))
of_mine = tests(mine)
show(mine, of_mine, "mine")

# %% stub="my_heads"
my_heads = ...  # a list of eight labels: L0H0, L0H1, L1H0, and so on
if my_heads is ...:
    ### BEGIN SOLUTION
    my_looks, my_acts = of_mine[:, :3], of_mine[:, 3:].clone()
    for number, (layer, head) in enumerate(itertools.product(range(4), range(2))):
        for further in range(layer + 2, 4):
            for column, (kind, pos, site) in enumerate([("duplicate", 12, "v"), ("inhibition", 15, "q")]):
                if my_looks[number, column] > 0.1:
                    share = act(mine, kind, (layer, head, pos), f"blocks.{further}.attn.hook_{site}")
                    my_acts[number, column] = max(my_acts[number, column], share)
    my_heads = earned(my_looks, my_acts, 0.1)
    ### END SOLUTION

# %% check="my_heads"
puzzle.check("my_heads", my_heads)
### BEGIN HIDDEN TESTS
puzzle.grade("my_heads", my_heads)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A script reports the three heads of a new model with most attention from END to IO as its name movers.
# Answer in three to five sentences: what is wrong, which test is missing, and how would you know that your test works?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# A ranking has a top in every model, so the script finds three name movers also where there is none; a test has a floor that nobody need pass.
# Looking at IO is half of what the name says: I would patch the path from each head straight to the logits, with IO changed, because a head may look there and write nothing, or write against IO.
# To know that the test works I would run it on a model with name movers put in by hand, beside look-alikes, and see it say yes and no.
# If nobody passes, the model may do the task in another way, as the first toy does, and I would describe that instead of borrowing a name.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Ask of which toy. In the first, not one of eight heads earns a name. L1H2 and L1H3 have the look of S-inhibition and come last, so that nobody is left to be told where not to look. They push the name at word 12 down in the logits themselves, and lift the names that layer 0 has collected there, IO among them. A lift for the mentioned, a push for a place: what Adhikari (2025) found in smaller models of a like task, and called additive and contrastive.
#
# In the second, a head of layer 0 looks at S2, the queries of layer 1 hear it, and heads there look at IO and write it: two kinds of three, as in the paper. Seed, width and step size differ from the first, all at once; which of them decides, we have not found out. Of seeds 0 to 7, three learn the task in so few steps: 0 and 1 have both kinds, 6 is nearer to the first, with name movers alone, and weak ones.
#
# Neither has a duplicate-token head. In the first, word 12 costs a name nearly as much if it is said once as if it is said twice. In the second it costs half as much: a repetition counts, and no head has the name for it. In English the giver may stand anywhere, so that a repetition must be noticed. Here it stands at word 12, and a place does most of the work.
#
# So neither the task nor the right answer tells you the mechanism, and a look does not either. The names were worth something all the same. Each is a bundle of claims: where a head looks, what it says, who listens. That made them testable, and the tests could fail. What a borrowed name is not is an explanation.

# %% [markdown]
# ## Play
#
# Any sentence of 16 words. Who is lifted, who is pushed down?

# %% open="play"
print(*WORDS)
text = "<begin> today once again home early Ada and Ben went later Ben Tom gave cake to"
ends = model(torch.tensor([[WORDS.index(word) for word in text.split()]]))[0, -1]
print({name: round(float(ends[WORDS.index(name)] - ends.mean()), 1) for name in ("Ada", "Ben", "Tom")})

# %% [markdown]
# ## Where next
#
# - *Nobody missed it*: what would heads that step in do to these tests?
# - Problems 3.19 and 3.22: try `retrain(6)` (is it right?) and three layers, `retrain(0, n_layers=3, steps=400)`.
#
# Circuit and path patching: Wang et al. (2022, arXiv 2211.00593). A toy like ours: Adhikari (2025, arXiv 2510.25013).
