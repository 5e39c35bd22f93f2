# %% [markdown]
# # A circuit for what
#
# A small model reads *Ada and Ben went ... Ben gave ... to* and says who is given something: *Ada*.
# You change one word, the second *Ben* into *Ada*. Now it says *Ben*.
# You patch its eight heads at the last word, where the answer is read: two of them account for all of the change. A clean circuit.
#
# A colleague changes one word too, *Ada* into *Tom*. Now it says *Tom*.
# In her circuit those two heads do less than half, and the six that did nothing in yours do as much.
#
# Same model, same sentence, same method.
#
# **You found a circuit. A circuit for what?**
#
# *45 minutes. You need to know what activation patching is. Guesses are kept on your machine and never marked.*

# %%
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo.tasks import NAMES, WORDS, name_windows

torch.set_grad_enabled(False)
puzzle = load_puzzle("which_corruption")
model = load_model("toy-ioi")  # two attention layers of four heads; its vocabulary is 61 words


# %%
def sentence(first, second, giver):
    text = f"<begin> today once again home early {first} and {second} went later home {giver} gave cake to"
    return torch.tensor([[WORDS.index(word) for word in text.split()]])


# %%
def run(prompts, cache=None, site="", pos=-1, heads=slice(None)):
    """Logits after the last word; with another run's cache, one site is as in that run."""
    if cache is None:
        return model(prompts)[:, -1]

    def put(act, hook):
        act[:, pos, heads] = cache[site][:, pos, heads]

    return model.run_with_hooks(prompts, fwd_hooks=[(site, put)])[:, -1]


# %%
Z0, Z1 = "blocks.0.attn.hook_z", "blocks.1.attn.hook_z"
clean = sentence("Ada", "Ben", "Ben")
pairs = ("Ben", sentence("Ada", "Ben", "Ada")), ("Tom", sentence("Tom", "Ben", "Ben"))
bars = {}
for answer, other in pairs:
    bar = bars[f"{WORDS[run(clean).argmax()]} becomes {WORDS[run(other).argmax()]}"] = {}
    _, cache = model.run_with_cache(other)
    for site, heads in ((Z0, [0, 1, 2, 3]), (Z1, [0, 1]), (Z1, [2, 3])):
        logits = torch.cat([run(clean), run(clean, cache, site, -1, heads), run(other)])
        lead = logits[:, WORDS.index("Ada")] - logits[:, WORDS.index(answer)]
        bar[f"layer {site[7]}, heads {heads}"] = float((lead[0] - lead[1]) / (lead[0] - lead[2]))
plots.bars(bars, y_title="share of the way")

# %% [markdown]
# ## Commit
#
# Why do the two circuits differ?
#
# - `"chance"`: one sentence is an anecdote; over many the two will agree.
# - `"metric"`: one lead is over Ben, the other over Tom; measure both alike and they will agree.
# - `"size"`: the colleague's change is the larger one, so more heads react.
# - `"shared"`: a patch cannot show what both prompts share, and the two pairs share different things.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## One word is not one variable
#
# Slow and right: take a sentence apart. Names stand at positions 6, 8 and 12; take the rest for filling.


# %%
def variables(prompt):
    giver = prompt[12]
    receiver = prompt[8] if prompt[6] == giver else prompt[6]
    order = "giver first" if prompt[6] == giver else "receiver first"
    return f"receiver {WORDS[receiver]}, giver {WORDS[giver]}, {order}"


print("clean:    ", variables(clean[0]))
print("you:      ", variables(sentence("Ada", "Ben", "Ada")[0]))
print("colleague:", variables(sentence("Tom", "Ben", "Ben")[0]))

# %% [markdown]
# The colleague changed one variable. Your single word changed all three. Call your corruption *roles*.
#
# **Your turn**: change exactly one variable, in however many words that takes. About six lines.


# %% stub="matched_corruption"
def matched_corruption(prompt: Int[Tensor, "pos"], variable, name) -> Int[Tensor, "pos"]:
    """A new prompt that differs from `prompt`, [16] word numbers, in one variable.

    variable: "receiver" or "giver", who is then called `name` (a word number), or "order", of the two mentions.
    """
    ### BEGIN SOLUTION
    if variable == "order":
        exchanged = prompt.clone()
        exchanged[[6, 8]] = prompt[[8, 6]]
        return exchanged
    old = prompt[12] if variable == "giver" else prompt[6] + prompt[8] - prompt[12]
    return torch.where(prompt == old, name, prompt)
    ### END SOLUTION


# %% check="matched_corruption"
puzzle.check("matched_corruption", matched_corruption)
### BEGIN HIDDEN TESTS
puzzle.grade("matched_corruption", matched_corruption)
### END HIDDEN TESTS

# %% [markdown]
# No more anecdotes: 300 sentences, and one margin for all of them, the logit of who receives *in the clean sentence* minus the logit of who gives in it.

# %%
rng = torch.Generator().manual_seed(0)
first, second, spare = torch.rand(300, len(NAMES), generator=rng).argsort(1).T[:3] + 1
fillers = torch.randint(WORDS.index("the"), len(WORDS), (2, 300, 8), generator=rng)
first_gives = torch.rand(300, generator=rng) < 0.5
windows, refilled = (name_windows(first, second, first_gives, words) for words in fillers)
prompts, receivers = windows[:, :-1], windows[:, -1]


def margins(logits):
    return (logits.gather(1, windows[:, [-1]]) - logits.gather(1, windows[:, [12]])).squeeze(1)


# %%
corrupted = {"roles": prompts.clone()}
corrupted["roles"][:, 12] = receivers
for variable in ("receiver", "giver", "order"):
    changed = [matched_corruption(prompt, variable, int(name)) for prompt, name in zip(prompts, spare)]
    corrupted[variable] = torch.stack(changed)
corrupted["fillers"] = refilled[:, :-1]  # a control
print(f"{'clean':>9}: margin {margins(run(prompts)).mean():.1f}")
for name, others in corrupted.items():
    logits = run(others)
    same = (logits.argmax(1) == receivers).float().mean()
    print(f"{name:>9}: margin {margins(logits).mean():6.1f}, same answer in {same:.0%}")

# %% [markdown]
# Another giver, or another order, and the answer is the same. The usual effect, a share of the way from clean to corrupted, is then a share of nearly nothing. Patch the word at 6:

# %%
R0 = "blocks.0.hook_resid_pre"
clean_margin, order_margin = margins(run(prompts)).mean(), margins(run(corrupted["order"])).mean()
_, cache = model.run_with_cache(corrupted["order"])
patched = margins(run(prompts, cache, R0, 6)).mean()
share = (clean_margin - patched) / (clean_margin - order_margin)
print(f"order: margin {clean_margin:.3f} clean, {order_margin:.3f} corrupted, {patched:.3f} patched")
print(f"share of the way: {share:.0f}")

# %% [markdown]
# So take one unit for all: the way of roles, which turns the answer round.
# Then 1 is a turned answer, 0.5 is indecision, and below 0 the model gets surer.
#
# **Your turn**, about three lines.


# %% stub="effect_table"
def effect_table(
    clean: Float[Tensor, "prompt"],
    corrupted: Float[Tensor, "corruption prompt"],
    patched: Float[Tensor, "corruption node prompt"],
) -> Float[Tensor, "node corruption"]:
    """How far each patch lowers the mean margin, in units of how far roles does; shape [node, corruption].

    Margins: clean [prompt], corrupted [corruption, prompt], row 0 being roles, and patched
    [corruption, node, prompt]: the clean run with one node as under that corruption.
    """
    ### BEGIN SOLUTION
    unit = clean.mean() - corrupted[0].mean()
    moved = clean.mean() - patched.mean(dim=2)
    return (moved / unit).T
    ### END SOLUTION


# %% check="effect_table"
puzzle.check("effect_table", effect_table)
### BEGIN HIDDEN TESTS
puzzle.grade("effect_table", effect_table)
### END HIDDEN TESTS

# %% [markdown]
# Before you look: rename the giver, and the answer stays. What is the effect of layer 1's heads 2 and 3 then? A number between -1 and 1; it becomes a line.

# %% open="predict-giver"
puzzle.predict("effect of heads 2 and 3 when the giver is renamed", ..., because="", sure=...)

# %%
NODES = {"the word at 12": (R0, 12), "layer 0, at word 12": (Z0, 12)}
NODES |= {"layer 1, heads 2, 3": (Z1, -1, [2, 3]), "layer 1, heads 0, 1": (Z1, -1, [0, 1])}
NODES |= {"layer 0, last word": (Z0, -1)}


def measure(corruptions, nodes):
    ends, patched = [], []
    for others in corruptions.values():
        logits, cache = model.run_with_cache(others)
        ends.append(margins(logits[:, -1]))
        patched.append(torch.stack([margins(run(prompts, cache, *node)) for node in nodes.values()]))
    return effect_table(margins(run(prompts)), torch.stack(ends), torch.stack(patched))


# %%
table = measure(corrupted, NODES)
print(f"control, fillers: at most {table[:, 4].abs().max():.4f}")
bars = {name: dict(zip(NODES, column)) for name, column in zip(corrupted, table.T[:4])}
prediction = puzzle.prediction("effect of heads 2 and 3 when the giver is renamed")
puzzle.recall("effect of heads 2 and 3 when the giver is renamed", found=table[2, 2])
plots.bars(bars, y_title="effect, turned answers", prediction=prediction)

# %% [markdown]
# ## Read it
#
# Which variables does each node carry? An effect counts if it is larger in size than `floor`. About five lines.


# %% stub="carries"
def carries(table: Float[Tensor, "n_nodes corruption"], floor):
    """One label for each row of table, [n_nodes, 4]: columns roles, receiver, giver, order.

    The variables that the node shows, in that order, joined by "+", such as "receiver+order"; else "unseen".
    """
    ### BEGIN SOLUTION
    node_labels = []
    for _, *effects in table.tolist():
        seen = [name for name, effect in zip(("receiver", "giver", "order"), effects) if abs(effect) > floor]
        node_labels.append("+".join(seen) or "unseen")
    return node_labels
    ### END SOLUTION


# %% check="carries"
puzzle.check("carries", carries)
### BEGIN HIDDEN TESTS
puzzle.grade("carries", carries)
### END HIDDEN TESTS

# %%
for (name, label), row in zip(zip(NODES, carries(table[:, :4], floor=0.02)), table):
    print(f"{name:>20}: {label:15}  receiver {row[1]:z.2f}, giver {row[2]:z.2f}, roles {row[0]:z.2f}")
puzzle.recall("the story")
for name, rival in (("roles", prompts[:, 12]), ("receiver", spare)):
    sides = run(prompts), run(corrupted[name])
    clean_lead, end = ((side.gather(1, receivers[:, None]) - side.gather(1, rival[:, None])).mean() for side in sides)
    print(f"{name}: the lead over its own new answer falls by {clean_lead - end:.1f} logits")

# %% [markdown]
# Three stories are gone: 300 sentences, one margin, and each change is about as large in its own lead.
# Four nodes carry both. But look at their signs under *giver*, and at the logits behind them:

# %%
before = run(prompts)
for variable, who in (("giver", prompts[:, 12]), ("receiver", receivers)):
    _, cache = model.run_with_cache(corrupted[variable])
    for name in ("layer 0, last word", "layer 1, heads 2, 3"):
        moved = run(prompts, cache, *NODES[name]) - before
        old, new = (moved.gather(1, one[:, None]).mean() for one in (who, spare))
        print(f"{name}, another {variable}: the old one {old:+.1f}, the new one {new:+.1f}")
attention = model.run_with_cache(prompts)[1]["pattern", 1][:, 2:, -1, 12].mean()
print(f"heads 2 and 3 attend to the word that gives: {attention:.2f}")

# %% [markdown]
# At the last word, layer 0 lifts a name because it is *mentioned*. Heads 2 and 3 push down whoever *gives*, and lift the other one about as much.
# Roles keeps both names in the sentence: it shows what tells them apart, and hardly what lifts both.
# Your circuit was for *which of the two*. It takes for granted *which two*.
#
# ## Try to break it
#
# No node above carries the order. Do the two words themselves?

# %%
halves = {"word 6 alone": (R0, 6), "word 8 alone": (R0, 8), "both": (R0, [6, 8])}
effects = measure({name: corrupted[name] for name in ("roles", "order")}, halves)[:, 1]
for name, effect in zip(halves, effects):
    print(f"order, {name}: {effect:z.2f}")
change = margins(run(corrupted["order"])) - margins(run(prompts))
print(f"order, whole sentence: {change.mean():z.2f} logits on average, {change.abs().mean():.2f} in size")

# %% [markdown]
# Half a matched corruption is another one: the patched run read *Ben and Ben*, or *Ada and Ada*.
# And an average hides what cancels, so the last line gives the size too: under 2 % of a turned answer.
#
# All corruptions so far share words. Change those:

# %%
shared = {"roles": corrupted["roles"]}
for pos, word in ((13, "went"), (15, "the"), (15, "went")):
    name = f"{WORDS[prompts[0, pos]]} -> {word}"
    shared[name] = prompts.clone()
    shared[name][:, pos] = WORDS.index(word)
for name, column in zip(shared, measure(shared, NODES).T):
    print(f"{name:>12}: heads 2, 3 {column[2]:z.2f}, heads 0, 1 {column[3]:z.2f}")

# %% [markdown]
# The word for giving moves nothing: in training it never varied.
# Neither did *to*, and yet, as if after *the*, heads 2 and 3 leave the model undecided; after *went* they hardly notice. None of your corruptions could tell.
#
# ## Your own circuit
#
# Eight hand-set heads, the same sentences. Other networks may use the order; this one does.

# %% open="variant"
mine = puzzle.variant("your name or id")

# %%
names = ("roles", "receiver", "giver", "order")
ends = torch.stack([margins(mine(corrupted[name])) for name in names])
runs = [margins(mine(prompts, corrupted[name], [head])) for name in names for head in range(8)]
start = margins(mine(prompts))
own_table = effect_table(start, ends, torch.stack(runs).view(4, 8, -1))
print(f"margin {start.mean():.1f}, with the order changed {ends[3].mean():.1f}")
heads = [f"head {head}" for head in range(8)]
titles = {"x_title": "corruption", "y_title": "your circuit", "colour_title": "effect"}
plots.heatmap(own_table, rows=heads, columns=names, **titles)

# %% [markdown]
# See the last column: two sentences with one answer and one margin. Put one head from one into the other, and the answer turns.
# A share of the way would have been 0/0.
#
# Label each head: `"receiver"`, `"giver"`, `"order"`, `"receiver+giver"`.
# The unseen ones are `"shared"` if they matter for a word that all these sentences share, and `"uninvolved"` if no word matters.
# `mine(prompts, source, [head])` runs `prompts` with that head as on `source`.

# %% stub="my_heads"
my_heads = ...  # a list of eight labels
if my_heads is ...:
    ### BEGIN SOLUTION
    third = spare[:, None]
    sources = {
        "receiver": prompts.where(prompts != windows[:, [16]], third),
        "giver": prompts.where(prompts != prompts[:, [12]], third),
        "order": prompts[:, [0, 1, 2, 3, 4, 5, 8, 7, 6, 9, 10, 11, 12, 13, 14, 15]],
        "shared": prompts.where(torch.tensor([i not in (7, 9, 13, 15) for i in range(16)]), WORDS.index("the")),
    }
    my_heads = []
    for number in range(8):
        moves = [
            kind
            for kind, source in sources.items()
            if (margins(mine(prompts, source, [number])) - margins(mine(prompts))).abs().max() > 0.01
        ]
        my_heads.append("+".join(moves) or "uninvolved")
    ### END SOLUTION

# %% check="my_heads"
puzzle.check("my_heads", my_heads)
### BEGIN HIDDEN TESTS
puzzle.grade("my_heads", my_heads)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A paper corrupts *who gives*, patches, finds two heads and calls them "the circuit for indirect objects".
# Answer in three to five sentences: what is that circuit for, what may be missing from it, and which corruptions would you add?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# It is a circuit for what differs between the two prompts, here which of two known people gives; one changed word changed the giver, the receiver and their order together, so the map mixes three variables.
# Whatever both prompts share stays dark: the heads that carry which two names were mentioned, and anything that depends on the fixed words.
# I would add corruptions that change one variable each: another receiver, another giver in both places, the other order, also where the answer stays the same, with one unit for all effects.
# I would also replace the fixed words one by one, use names that the model treats alike, and keep fillers as a control.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# A patch replaces what differs between two runs. What both runs share is patched by itself, so nothing happens, however much the model relies on it. The corrupted prompt chooses the variable; the map is a map of that variable, not of the behaviour.
#
# In this toy the behaviour has two halves. Layer 0 and two heads of layer 1 lift both names that were mentioned, whatever their order. The other two look at the word that gives, with about 0.8 of their attention: they push that name down and lift the other. Roles keeps the two names and so shows the second half almost alone. A new receiver shows both. No node of the table carries the order: this is not the circuit of GPT-2, where Wang and others (2022) parted what a name is from where it stands by just such prompts, flipping one and keeping the other.
#
# Matched means: one variable, all of its words, and equivalent words. Stefan Heimersheim tells how his group, working on a circuit for docstrings, replaced param by arg in the corrupted prompts and were confused: the model treats param specially, and self as well. Our toy met all forty names equally often, and fillers hardly matter, as the control shows. Check both before you trust a map.

# %% [markdown]
# ## Play
#
# Any two sentences, each of 16 words of the vocabulary. What does a word that is no name do in place of *Ada*? Three names? No giver?

# %% open="play"
print(*WORDS)
one, other = sentence("Ada", "Ben", "Ben"), sentence("cake", "Ben", "Ben")
_, cache = model.run_with_cache(other)
for name, node in NODES.items():
    logits = run(one, cache, *node)[0]
    print(f"{name:>20}:", [f"{WORDS[word]} {logits[word]:.1f}" for word in logits.topk(3).indices])

# %% [markdown]
# ## Where next
#
# - *Nothing happened*: the other choice in a patch, its direction.
# - *Toy IOI*, a later puzzle: which part of the famous circuit does a toy have?
#
# That the choice of corrupt words matters, with `param` and `self`, is from a comment by Stefan Heimersheim. Task: Wang et al. (2022, arXiv 2211.00593).
