# %% [markdown]
# # Nothing happened
#
# A network says 1 on one prompt, the clean one, and 0 on another, the corrupted one.
# Only three heads read the prompt.
# You patch: run the corrupted prompt, but give one head the activation that it had on the clean prompt.
# You do so for each head in turn. Nothing happens, three times.
#
# **Are these heads uninvolved?**
#
# The network is hand-set: its truth is known. A trained one comes last.
#
# *40 minutes. You need to know what activation patching is. Guesses are kept on your machine and never marked.*

# %%
import functools
import itertools

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens import HookedRootModule
from transformer_lens.hook_points import HookPoint

from mechpuzzles import load_model, load_puzzle, plots

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("and_or_circuits")


# %%
class Network(HookedRootModule):
    def __init__(self, W_heads, W_out):
        super().__init__()
        self.W_heads, self.W_out = torch.tensor(W_heads), torch.tensor(W_out)
        self.heads = torch.nn.ModuleList(HookPoint() for _ in W_heads)
        self.setup()

    # Each head copies its own input; three neurons read weighted sums of the heads.
    def forward(self, prompt):
        acts = torch.stack([head(prompt[i]) for i, head in enumerate(self.heads)])
        return torch.relu(acts @ self.W_heads - torch.tensor([0.0, 1.0, 2.0])) @ self.W_out


# %%
network = Network([[1.0] * 3, [1.0] * 3, [0.0] * 3], [0.0, 1.0, 0.0])
clean, corrupted = torch.ones(3), torch.zeros(3)
print(f"clean prompt: {network(clean):.2f}   corrupted prompt: {network(corrupted):.2f}")
_, clean_cache = network.run_with_cache(clean)
for head in range(3):
    patch = (f"heads.{head}", lambda act, hook: clean_cache[hook.name])
    patched = network.run_with_hooks(corrupted, fwd_hooks=[patch])
    print(f"corrupted prompt, head {head} as on the clean prompt: {patched:.2f}")

# %% [markdown]
# ## Commit
#
# Which story do you believe? And what does it predict for the other direction: one head of the *clean* run corrupted?
#
# - `"uninvolved"`: these heads take no part.
# - `"weak"`: each does a little, too little to see alone.
# - `"together"`: some of them work only together.
# - `"spare"`: they stand in for each other.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-noising"
puzzle.predict("share of the output lost by corrupting head 0", ..., because="", sure=...)  # between 0 and 1

# %% [markdown]
# ## Slow and right
#
# Three heads, each with an activation from the clean run (1) or the corrupted one (0): eight runs are all there are.
# `outputs[1, 0, 0]` is the run with head 0 clean and the others corrupted.


# %%
def all_runs(network, clean, corrupted):
    caches = [network.run_with_cache(prompt)[1] for prompt in (corrupted, clean)]
    outputs = torch.zeros([2] * len(clean))
    for run in itertools.product((0, 1), repeat=len(clean)):
        patches = [(f"heads.{i}", lambda act, hook, s=s: caches[s][hook.name]) for i, s in enumerate(run)]
        outputs[run] = network.run_with_hooks(corrupted, fwd_hooks=patches)
    return outputs


outputs = all_runs(network, clean, corrupted)
print("head 0 clean, others corrupted:", outputs[1, 0, 0].item())
print("all clean:", outputs[1, 1, 1].item())

# %% [markdown]
# Patching has a *source*, where activations come from, and a *destination*, the run they go into.
# **Denoising**: source clean, destination corrupted. **Noising**: source corrupted, destination clean.
#
# An effect is the way the output goes, as a share of the way from destination to source: 0 is nothing, 1 is all of it.
# It may be negative, or above 1.
#
# **Your turn**, about five lines, for any number of nodes.


# %% stub="patch_effect"
def patch_effect(outputs, nodes, direction):
    """The effect of patching all of `nodes`, a list such as [0, 2], at once; one number.

    outputs, shape [2] * n_nodes: outputs[i, j, ...] has node 0 from the clean run if i is 1, and so on.
    direction: "denoising" or "noising".
    """
    ### BEGIN SOLUTION
    source, destination = (1, 0) if direction == "denoising" else (0, 1)
    run = [source if node in nodes else destination for node in range(outputs.ndim)]
    start, end = outputs[(destination,) * outputs.ndim], outputs[(source,) * outputs.ndim]
    return (outputs[tuple(run)] - start) / (end - start)
    ### END SOLUTION


# %% check="patch_effect"
puzzle.check("patch_effect", patch_effect)
### BEGIN HIDDEN TESTS
puzzle.grade("patch_effect", patch_effect)
### END HIDDEN TESTS

# %% [markdown]
# Now one node at a time, in both directions. Two or three lines.


# %% stub="patch_table"
def patch_table(outputs) -> Float[Tensor, "n_nodes direction"]:
    """The effect of each node alone; shape [n_nodes, 2]: column 0 denoising, column 1 noising."""
    ### BEGIN SOLUTION
    start, end = outputs.flatten()[0], outputs.flatten()[-1]
    steps = [outputs.select(node, 1) - outputs.select(node, 0) for node in range(outputs.ndim)]
    return torch.stack([step.flatten()[[0, -1]] for step in steps]) / (end - start)
    ### END SOLUTION


# %% check="patch_table"
puzzle.check("patch_table", patch_table)
### BEGIN HIDDEN TESTS
puzzle.grade("patch_table", patch_table)
### END HIDDEN TESTS

# %%
names = [f"head {i}" for i in range(3)]
denoising, noising = patch_table(outputs).T
plots.bars(
    {"denoising": dict(zip(names, denoising)), "noising": dict(zip(names, noising))},
    y_title="effect of one patch",
    prediction=puzzle.prediction("share of the output lost by corrupting head 0"),
)

# %% [markdown]
# Three equal zeros, and two of them meant "I need another head". Only head 2 keeps its zero.
# Why should direction matter? Patch the *others* the other way:

# %%
puzzle.recall("the story")
puzzle.recall("share of the output lost by corrupting head 0", found=noising[0])
random = torch.randn(2, 2, 2, 2, generator=torch.Generator().manual_seed(0))
print(f"noising node 0: {patch_effect(random, [0], 'noising'):.4f}")
print(f"denoising all but node 0: {patch_effect(random, [1, 2, 3], 'denoising'):.4f}")

# %% [markdown]
# They sum to 1 for any table: it is the same run, measured from opposite ends.
# So a direction is a *context*: denoising asks what a head does while all else is corrupted (does it **suffice**?), noising while all else is clean (is it **needed**?).
#
# ## Read the gate
#
# A head that does more when noised needs others: AND. One that does more when denoised has stand-ins: OR.
# Put that into words: about five lines.


# %% stub="reading"
def reading(table: Float[Tensor, "n_nodes direction"]):
    """A list with one label for each row of table, shape [n_nodes, 2], as patch_table makes it.

    "AND" if noising exceeds denoising by more than 0.1, "OR" if it is less by more than 0.1.
    Otherwise "unseen" if both effects lie within 0.1 of zero, and "alone" if not.
    """
    ### BEGIN SOLUTION
    found = []
    for denoising, noising in table.tolist():
        if abs(noising - denoising) > 0.1:
            found.append("AND" if noising > denoising else "OR")
        else:
            found.append("unseen" if max(abs(denoising), abs(noising)) <= 0.1 else "alone")
    return found
    ### END SOLUTION


# %% check="reading"
puzzle.check("reading", reading)
### BEGIN HIDDEN TESTS
puzzle.grade("reading", reading)
### END HIDDEN TESTS

# %% [markdown]
# ## Try to break it
#
# Four more networks. The last is a vote: it says 1 if two of its three heads do. Guess its row before you run.

# %%
first_two, all_three = [[1.0] * 3, [1.0] * 3, [0.0] * 3], [[1.0] * 3] * 3
zoo = {
    "OR": Network(first_two, [1.0, -1.0, 0.0]),
    "sum": Network(first_two, [1.0, 0.0, 0.0]),
    "AND, OR": Network([[1.0, 1.0, 2.0], [0.0, 1.0, 0.0], [1.0, 0.0, 2.0]], [1.0, 1.0, -0.5]),
    "vote": Network(all_three, [0.0, 1.0, -1.0]),
}
for name, net in zoo.items():
    table = patch_table(all_runs(net, clean, corrupted))
    effects = ", ".join(f"{denoising:z.1f}/{noising:z.1f}" for denoising, noising in table)
    print(f"{name:>8}: {effects} (denoising/noising)  {reading(table)}")

# %% [markdown]
# In the vote *every* head is unseen, in both directions, yet nothing else moves the output.
# And `"alone"` claims too much: in `AND, OR`, head 0 feeds both gates, and they cancel.
# Look at other contexts, and at other pairs of prompts:

# %%
vote, both = (all_runs(zoo[name], clean, corrupted) for name in ("vote", "AND, OR"))
print(f"vote, heads 0 and 1 denoised together: {patch_effect(vote, [0, 1], 'denoising'):.1f}")
for head in (1, 2):
    more = patch_effect(both, [0, head], "denoising") - patch_effect(both, [head], "denoising")
    print(f"AND, OR: head 0 denoised after head {head} adds {more:.1f}")
swapped = patch_table(all_runs(network, corrupted, clean))
print("first network, clean and corrupted prompt swapped:", reading(swapped))
xor = all_runs(Network(first_two, [1.0, -2.0, 0.0]), clean, corrupted)
print(f"XOR: clean {xor[1, 1, 1]:.0f}, corrupted {xor[0, 0, 0]:.0f}, only head 0 clean {xor[1, 0, 0]:.0f}")

# %% [markdown]
# Swapping the prompts swaps the columns, and AND with OR: a label belongs to a pair of prompts.
# An XOR whose inputs both change has *one* output for both prompts: the effect is 0/0, and no normalised table can show it.
# If only one changes, that one reads `"alone"` and the other `"unseen"`.
#
# ## Your own circuit
#
# Ten heads, 1,024 runs, of which single patches show 22. The output is a sum of gates, and a head feeds one at most.
# Label each head: `"AND"`, `"OR"`, `"alone"`, `"hidden"` (part of a vote of three), `"uninvolved"` (in *no* context does it matter).

# %% open="variant"
mine = puzzle.variant("your name or id")
print(tuple(mine.shape), f"clean {mine[(1,) * 10]:.2f}, corrupted {mine[(0,) * 10]:.2f}")

# %% stub="my_heads"
my_heads = ...  # a list of ten labels
### BEGIN SOLUTION
my_heads = reading(patch_table(mine))
for head, label in enumerate(my_heads):
    if label == "unseen":
        my_heads[head] = "hidden" if mine.diff(dim=head).abs().max() > 1e-4 else "uninvolved"
### END SOLUTION

# %% check="my_heads"
puzzle.check("my_heads", my_heads)
### BEGIN HIDDEN TESTS
puzzle.grade("my_heads", my_heads)
### END HIDDEN TESTS

# %% [markdown]
# ## Soft gates
#
# Real gates are not that crisp. Two heads each add 6 to a log odds that starts at minus the threshold.
# You measure log odds, or the probability.

# %%
added = torch.tensor([[0.0, 6.0], [6.0, 12.0]])
thresholds = [0, 2, 4, 5, 6, 7, 8, 10, 12]
tables = torch.stack([patch_table((added - threshold).sigmoid())[0] for threshold in thresholds])
log_odds = [patch_table(added - threshold)[0, 0] for threshold in thresholds]
curves = {"denoising, probability": tables[:, 0], "noising, probability": tables[:, 1]}
curves["either, log odds"] = log_odds
plots.lines(thresholds, curves, x_title="threshold", y_title="effect of one of the two heads")

# %% [markdown]
# The heads never changed; your ruler did. Both heads together always have effect 1.
# So single effects need not add up to it: in probability, denoising promises too little under an AND and almost twice too much under an OR.
#
# ## A trained model
#
# Does `mini-gpt2` close `print(i` with `)` or `]`? The corrupted prompt is `print[i`.
# Any patch is a circuit of two nodes: the head, and the rest of the model.

# %%
model = load_model("mini-gpt2")
right, wrong = model.to_single_token(")"), model.to_single_token("]")


def odds(prompts, hooks=()):
    """The log odds of ) over ] after each prompt."""
    logits = model.run_with_hooks(prompts, fwd_hooks=list(hooks))[:, -1]
    return logits[:, right] - logits[:, wrong]


def exchange(z, hook, head):  # each of two prompts gets the head as it is on the other
    z[:, :, head] = z.flip(0)[:, :, head]


# %%
def four_heads(code):
    """The log odds, shape [4, 2, 2]: each head from either prompt, the rest from either; corrupted comes first."""
    prompts = model.to_tokens([code.replace("(", "["), code])
    own, outputs = odds(prompts), []
    for layer, head in itertools.product((0, 1), repeat=2):  # two layers of two
        patch = (f"blocks.{layer}.attn.hook_z", functools.partial(exchange, head=head))
        exchanged = odds(prompts, [patch])  # corrupted but for a clean head, clean but for a corrupted one
        outputs.append([[own[0], exchanged[1]], [exchanged[0], own[1]]])
    return torch.tensor(outputs)


# %%
for code in ("print(i", "print(x, y"):
    runs = four_heads(code)
    print(f"{code}: log odds {runs[0, 0, 0]:.1f} corrupted, {runs[0, 1, 1]:.1f} clean")
    # The probability of ) against ] alone.
    for metric, measured in {"log odds": runs, "probability": runs.sigmoid()}.items():
        table = torch.stack([patch_table(one)[0] for one in measured])
        print(f"{metric:>12}: " + ", ".join(f"{d:.2f}/{n:.2f}" for d, n in table), reading(table))

# %% [markdown]
# The same runs read as AND on one prompt and OR on the other, after a sigmoid.
# Two prompts are an anecdote. Here are 32, ordered by the log odds of `)` halfway from corrupted to clean; each point is a mean over four heads.

# %%
functions = ("print", "data", "x = foo", "if len")
arguments = ("a", "i", "0", "key", "name", "value", "text", "x, y")
runs = [four_heads(f"{function}({argument}") for function in functions for argument in arguments]
runs = torch.stack(sorted(runs, key=lambda heads: heads[0].diagonal().mean()))
halfway = runs[:, 0].diagonal(dim1=1, dim2=2).mean(1)

# %%
curves = {}
for metric, measured in {"log odds": runs, "probability": runs.sigmoid()}.items():
    tables = torch.stack([patch_table(one)[0] for one in measured.flatten(0, 1)])
    gaps = (tables[:, 1] - tables[:, 0]).reshape(len(runs), -1)
    mean, largest = gaps.abs().mean(), gaps.abs().max()
    ands, ors = (gaps > 0.1).sum(), (gaps < -0.1).sum()
    print(f"{metric}: the directions differ by {mean:.2f} on average, {largest:.2f} at most")
    print(f"  {ands} AND and {ors} OR among {gaps.numel()} rows")
    curves[metric] = gaps.mean(1)
x_title, y_title = "log odds of ) halfway", "noising minus denoising"
plots.lines(halfway, curves, x_title=x_title, y_title=y_title)

# %% [markdown]
# In log odds the directions mostly agree; the exceptions, 13 of 128, are nearly all AND, and not the sigmoid's.
# In probability one formula makes the gate: the sigmoid is flat at one end or the other. (Of `)` against `]`; over the whole vocabulary it is less simple.)
# So ask of every AND and OR: does the model compute it, or my metric?
#
# ## Explain
#
# A colleague denoises one head, sees no change, and drops it from the circuit.
# Answer in three to five sentences: what did that patch ask, what would you run next, and what could stay hidden even then?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# Denoising one head asks whether it suffices while everything else is corrupted; a head that feeds an AND does nothing then, because its partner is still corrupted.
# I would noise it as well, which asks whether it is needed while everything else is clean.
# If that does nothing either, it may still vote with others, so I would patch it together with other heads: only a head that matters in no context is uninvolved, and there are 2 to the power n-1 contexts.
# The reading also belongs to the pair of prompts and to the metric: swapped prompts turn AND into OR, probabilities make gates out of sums, and an XOR whose inputs both change leaves no gap to normalise by.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Two of the three heads feed an AND gate; the third is not read at all. Denoising one head of an AND does nothing, for its partner is still corrupted; noising either head destroys everything. For an OR it is the other way round: either head suffices, so none is needed.
#
# The direction of a patch is a logical claim, because it sets the context. Denoising asks about a head while all else is corrupted: sufficiency. Noising asks while all else is clean: necessity. Noising a head and denoising everything else are two halves of one whole. So check both directions.
#
# And both are not enough. With two nodes, noising one is the very run of denoising the other. With three, the single patches together show all eight runs, but a head's own row shows two of its four contexts: so the vote slips through. With four, runs are missing as well. Only a head that matters in no context is uninvolved, and nobody runs all contexts of a real model.
#
# A curious one: an AND and an OR of the same two heads, added, are exactly their sum. No patch can tell them apart, because there is nothing to tell.

# %% [markdown]
# ## Play
#
# Design a network of four heads, all `"unseen"`, yet 0 on one prompt and 1 on the other: how many ways are there?

# %% open="play"
W_heads, W_out = [[1.0, 1.0, 2.0], [0.0, 1.0, 0.0], [1.0, 0.0, 2.0]], [1.0, 1.0, -0.5]
n = len(W_heads)
table = patch_table(all_runs(Network(W_heads, W_out), torch.ones(n), torch.zeros(n)))
rows = [f"{head}: {label}" for head, label in enumerate(reading(table))]
directions = ["denoising", "noising"]
plots.heatmap(table, rows=rows, columns=directions, x_title="", y_title="head", colour_title="effect")

# %% [markdown]
# ## Where next
#
# - *Which corruption*: the corrupted prompt decides what a patch can see.
# - *Understudies*: heads that stand in only once another is gone.
#
# The AND and OR circuits, and the advice to check both directions, are from a comment by Stefan Heimersheim. Sufficiency and necessity: Heimersheim and Nanda (2024, arXiv 2404.15255).
