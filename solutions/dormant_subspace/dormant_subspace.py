# %% [markdown]
# # More than all of it
#
# After `get(x` mini-python, three layers trained on Python code, prefers `)` to `]`; after `get[x` it prefers `]`.
# Run the second, but give its last MLP all 512 activations that it had on the first. It still prefers `]`.
#
# Now give it *one* number: the first prompt's place along a single direction, which a search found on other prompts.
# It prefers `)`, on 25 of 32 prompts.
#
# **A one-dimensional patch flips the answer; the full patch does nothing. Which is right?**
#
# The control: run the same search where there is nothing to find.
#
# *40 minutes. You need to know what activation patching is. Guesses are never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo.corpus import package_source

torch.set_grad_enabled(False)
puzzle = load_puzzle("dormant_subspace")
model, site = load_model("mini-python"), "blocks.2.mlp.hook_post"
right, wrong = model.to_single_token(")"), model.to_single_token("]")


# %%
def prompts(names, arguments):  # corrupted, clean; each is four tokens long
    return [model.to_tokens([f"{n}{mark}{a}" for n in names for a in arguments]) for mark in "[("]


def activations(model, tokens, site=site):  # [batch, d_mlp], at the last token
    return model.run_with_cache(tokens, names_filter=site)[1][site][:, -1]


searched = prompts(["print", "data", "items", "len"], ["a", "i", "n", "key", "name", "value", "0", "index"])
held_out = prompts(["get", "result", "text", "path"], ["x", "k", "s", "line", "item", "node", "1", "type"])


# %%
def log_odds(model, tokens, acts=None, site=site):  # of ) over ]; acts in place of the site's own, at the last token
    def put(own, hook):
        return torch.cat([own[:, :-1], acts[:, None]], dim=1)

    logits = model.run_with_hooks(tokens, fwd_hooks=[] if acts is None else [(site, put)])[:, -1]
    return logits[:, right] - logits[:, wrong]


def shares_of_way(model, pairs, patches, site=site):  # from the corrupted prompts' log odds to the clean ones'
    corrupted, clean = (log_odds(model, tokens).mean() for tokens in pairs)
    patched = [log_odds(model, pairs[0], acts, site).mean() for acts in patches]
    return [((mean - corrupted) / (clean - corrupted)).item() for mean in patched]


# %%
base, source = (activations(model, tokens) for tokens in held_out)
for name, acts in {"corrupted": base, "all 512 from clean": source}.items():
    [share], flips = shares_of_way(model, held_out, [acts]), (log_odds(model, held_out[0], acts) > 0).sum()
    print(f"{name}: {share:z.1%} of the way to clean; {flips} of 32 prefer )")

# %% [markdown]
# ## One direction
#
# A direction `v` gives each row of activations a coordinate. The patch replaces that one number. About two lines.


# %% stub="patch_along"
def patch_along(
    base: Float[Tensor, "batch d_mlp"], source: Float[Tensor, "batch d_mlp"], v: Float[Tensor, "d_mlp"]
) -> Float[Tensor, "batch d_mlp"]:
    """Each row of base, moved along v until its coordinate along v is that of the same row of source.

    base and source are [batch, d_mlp]. v, [d_mlp], has any length but zero, and only its direction counts.
    """
    ### BEGIN SOLUTION
    unit = v / v.norm()
    return base + ((source - base) @ unit)[:, None] * unit
    ### END SOLUTION


# %% check="patch_along"
puzzle.check("patch_along", patch_along)
### BEGIN HIDDEN TESTS
puzzle.grade("patch_along", patch_along)
### END HIDDEN TESTS


# %%
def search(model, pairs, steps=20):  # gradient descent on v
    base, source = (activations(model, tokens) for tokens in pairs)
    resid_mid = activations(model, pairs[0], "blocks.2.hook_resid_mid")  # what the last MLP adds to
    v = torch.randn(base.shape[1], generator=torch.Generator().manual_seed(0)).requires_grad_()
    adam = torch.optim.Adam([v], lr=1.0)
    for _ in range(steps):
        with torch.enable_grad():
            resid_post = resid_mid + model.blocks[2].mlp.out(patch_along(base, source, v))
            logits = model.unembed(model.ln_final(resid_post))
            [v.grad] = torch.autograd.grad((logits[:, wrong] - logits[:, right]).mean(), v)
        adam.step()
    return v.detach() / v.norm()


# %%
def effects(model, pairs, directions, site=site):  # shares of the way, of patches along each
    base, source = (activations(model, tokens, site) for tokens in pairs)
    return shares_of_way(model, pairs, [patch_along(base, source, v) for v in directions], site)


found = search(model, searched)
random = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
for name, share in zip(("found", "random"), effects(model, searched, [found, random])):
    print(f"{name} direction, on the prompts of the search: {share:z.1%} of the way")

# %% [markdown]
# ## Commit
#
# - `"hidden"`: the direction carries the bracket; the rest of the layer cancels it in the full patch.
# - `"fitted"`: 512 numbers, fitted to 32 pairs; it fails on others.
# - `"bridge"`: the patch joins two things that this layer keeps apart.
#
# And the control: shuffle the rows of `W_out`, so that each neuron writes what another learnt to.
# What share of the way will the best direction in *that* layer go?

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-shuffled"
puzzle.predict("share of the way, shuffled", ..., because="", sure=...)  # between 0 and 1

# %%
flips = (log_odds(model, held_out[0], patch_along(base, source, found)) > 0).sum()
[share] = effects(model, held_out, [found])
print(f"held out: {share:.1%} of the way; {flips} of 32 prefer )")

# %% [markdown]
# Not `"fitted"`, then.
#
# ## Two neurons
#
# Neuron 0 tells the prompts apart, and nothing hears it. Neuron 1 is heard, and is 0.5 on both.
# Nothing happens whichever you patch, or both.

# %%
two_base, two_source = torch.tensor([[0.0, 0.5]]), torch.tensor([[1.0, 0.5]])


def two_neurons(v):  # how far the output, which is neuron 1, moves
    return round((patch_along(two_base, two_source, v) - two_base)[0, 1].item(), 4)


for v in ([1.0, 0.0], [0.0, 1.0]):
    print(f"patched along {v}: {two_neurons(torch.tensor(v)):.1f}")
print(f"both neurons patched: {(two_source - two_base)[0, 1]:.1f}")

# %% [markdown]
# What is the most that a patch along any one direction can do?

# %% open="predict-toy"
puzzle.predict("the most that two neurons can do", ..., because="", sure=...)  # between 0 and 1

# %%
degrees = torch.arange(0, 91, 15)
turned = [torch.tensor([angle.cos(), angle.sin()]) for angle in degrees.deg2rad()]
moved = [two_neurons(v) for v in turned]
puzzle.recall("the most that two neurons can do", found=max(moved))
guess = puzzle.prediction("the most that two neurons can do")
titles = {"x_title": "degrees from neuron 0", "y_title": "output moves by"}
picture = plots.lines(degrees, {"output": moved}, **titles, prediction=guess)
picture.say(f"Highest half way: {max(moved):.2f}.")
picture

# %% [markdown]
# A patch uses `v` twice: it **reads** along `v` how far the prompts differ, and **writes** that much along `v`.
# In between, it reads neuron 0 and writes neuron 1.
#
# Now any layer. The prompts differ by `delta`; writing `w` moves the output by `w @ g`.
# So a patch along a unit `v` moves it by `(delta @ v) * (v @ g)`. Which `v` is best? About two lines.


# %% stub="strongest"
def strongest(delta: Float[Tensor, "d_mlp"], g: Float[Tensor, "d_mlp"]) -> Float[Tensor, "d_mlp"]:
    """The v of length one with the largest (delta @ v) * (v @ g); of v and -v the one with delta @ v > 0.

    Largest means most positive. delta and g, both [d_mlp], have any length but zero, and are never parallel.
    """
    ### BEGIN SOLUTION
    both = delta / delta.norm() + g / g.norm()
    return both / both.norm()
    ### END SOLUTION


# %% check="strongest"
puzzle.check("strongest", strongest)
### BEGIN HIDDEN TESTS
puzzle.grade("strongest", strongest)
### END HIDDEN TESTS

# %% [markdown]
# In the model `delta` is the mean difference of the activations, and `g` the mean gradient of the log odds.


# %%
def two_sides(model, pairs, site=site):
    base, source = (activations(model, tokens, site) for tokens in pairs)
    with torch.enable_grad():
        at = base.clone().requires_grad_()
        gradient = torch.autograd.grad(log_odds(model, pairs[0], at, site).sum(), at)[0]
    return (source - base).mean(0), gradient.mean(0)


# %%
delta, g = two_sides(model, searched)
v = strongest(delta, g)
print(f"cosine of delta and g: {torch.cosine_similarity(delta, g, dim=0):z.2f}")
print(f"cosine of v and what the search found: {v @ found:.2f}")
gap = (log_odds(model, searched[1]) - log_odds(model, searched[0])).mean()
[share] = effects(model, searched, [v])
print(f"share of the way: {(delta @ v) * (v @ g) / gap:.1%} by the formula, {share:.1%} measured")

# %% [markdown]
# Your formula finds what the search found. Now shuffle the wires, and turn `v` from `delta` to `g`.


# %%
def between(delta, g):  # seven directions from delta to g, at equal angles
    x, y = delta / delta.norm(), g / g.norm()
    angle = torch.arccos(x @ y)
    return [torch.sin((1 - way) * angle) * x + torch.sin(way * angle) * y for way in ways]


ways = torch.linspace(0, 1, 7)  # of the angle

# %%
shuffled = load_model("mini-python")
order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
shuffled.blocks[2].mlp.W_out.data = shuffled.blocks[2].mlp.W_out[order].clone()
curves = {}
for name, which, v in (("trained", model, found), ("shuffled", shuffled, search(shuffled, searched))):
    [full] = shares_of_way(which, held_out, [activations(which, held_out[1])])
    one, *curves[name] = effects(which, held_out, [v, *between(*two_sides(which, searched))])
    print(f"{name}: full patch {full:z.1%}, search {one:.1%} of the way")

# %%
guess = puzzle.prediction("share of the way, shuffled")
puzzle.recall("share of the way, shuffled", found=max(curves["shuffled"]))
titles = {"x_title": "from delta, 0, to g, 1", "y_title": "share of the way"}
picture = plots.lines(ways, curves, **titles, prediction=guess)
picture.say(f"Highest half way: {max(curves['trained']):.2f} and {max(curves['shuffled']):.2f}.")
picture

# %% [markdown]
# The same curve. Along `delta`, and along `g`, a patch does what the full patch does: next to nothing.
# In between it flips answers, whether the wires were learnt or not.
# The search succeeds where *something* differs and *something* is heard. That they are joined, it does not show.
#
# So the brackets need not differ: `[` in both prompts, `a` in one and `0` in the other. Does it fail?


# %%
def swapped(names):  # the bracket stays, the argument does not
    return [model.to_tokens([f"{name}[{argument}" for name in names]) for argument in ("a", "0")]


to_search, plain = swapped(["print", "data", "items", "len"]), swapped(["get", "result", "text", "path"])
mixed = [[tokens[0], tokens[0].roll(1, 0)] for tokens in (searched, held_out)]  # differ by nothing on average

# %%
trials = {"brackets": (held_out, found), "a and 0": (plain, search(model, to_search))}
trials["arguments, by nothing on average,"] = (mixed[1], search(model, mixed[0]))
for name, (pairs, v) in trials.items():
    ours, theirs = (activations(model, tokens) for tokens in pairs)
    before, *after = (log_odds(model, pairs[0], acts) for acts in (None, theirs, patch_along(ours, theirs, v)))
    moved = [(odds - before).mean() for odds in after]
    print("{} differ: log odds move by {:z.2f} in the full patch, by {:z.2f} along v".format(name, *moved))

# %% [markdown]
# The argument moves `)` more than the bracket did.
# Where pairs differ by nothing on average, the mean hardly moves: arithmetic.
#
# ## Who hears?
#
# 512 neurons write into a stream of 128 dimensions, so `v @ W_out` is zero in a space of 384, the **null space**.
# Take out what nobody hears. One or two lines.


# %% stub="heard_part"
def heard_part(v: Float[Tensor, "d_mlp"], W_out: Float[Tensor, "d_mlp d_model"]) -> Float[Tensor, "d_mlp"]:
    """The shortest vector that W_out maps to where it maps v: v without its part in the null space.

    v is [d_mlp]; W_out is [d_mlp, d_model], with independent columns. The result, [d_mlp], has any length.
    """
    ### BEGIN SOLUTION
    return W_out @ (torch.linalg.pinv(W_out) @ v)
    ### END SOLUTION


# %% check="heard_part"
puzzle.check("heard_part", heard_part)
### BEGIN HIDDEN TESTS
puzzle.grade("heard_part", heard_part)
### END HIDDEN TESTS

# %%
W_out = model.W_out[2].detach()
bars = {"whole": {}, "heard part alone": {}}
for name, v in {"found": found, "delta": delta, "random": random}.items():
    heard = heard_part(v, W_out)
    print(f"{name}: {1 - heard.norm() ** 2 / v.norm() ** 2:.0%} of its squared length is not heard")
    bars["whole"][name], bars["heard part alone"][name] = effects(model, held_out, [v, heard])
plots.bars(bars, x_title="direction", y_title="share of the way")

# %% [markdown]
# Without its unheard part the found direction loses almost two thirds of its effect: that is where it reads.
# In the papers' words it joins a **disconnected** direction, which differs and is not heard, to a **dormant** one, which is heard and does not differ.
#
# How *much* is unheard is no test: `delta` is as unheard as a random direction, and does no more than the full patch.
#
# ## Try to break it
#
# Is a direction honest if all of it is heard? And does the layer ever write, in 4,000 tokens of code, what these patches write?

# %%
text = "".join(package_source("einops"))
tokens = model.to_tokens([text[i : i + 500] for i in range(0, 20_000, 500)])[:, :100]
axis = g / g.norm()
natural = model.run_with_cache(tokens, names_filter=site)[1][site][:, 1:].flatten(0, 1) @ axis
for name, v in {"found": found, "all heard": strongest(heard_part(delta, W_out), g)}.items():
    patched = patch_along(base, source, v)
    along = (patched @ axis).mean()
    [share] = shares_of_way(model, held_out, [patched])
    print(f"{name}: {share:.1%} of the way; along g it writes {along:.1f},", end=" ")
    print(f"where corrupted is {(base @ axis).mean():.1f}; {(natural > along).float().mean():.2%} of tokens reach it")

# %% [markdown]
# Even a direction heard throughout beats the whole layer: it reads one heard direction and writes another.
# What the found patch writes, no token here reaches.
#
# Is `"hidden"` dead? Some neurons push towards `)`, others back:

# %%
for name, which in {"trained": model, "shuffled": shuffled}.items():
    ours, theirs = (activations(which, tokens) for tokens in held_out)
    pushing = torch.mul(*two_sides(which, searched)) > 0
    for who, some in {"neurons that push": pushing, "the others": ~pushing}.items():
        [share] = shares_of_way(which, held_out, [torch.where(some, theirs, ours)])
        print(f"{name}, {some.sum()} {who}: {share:.1%} of the way")
heard = heard_part(torch.tensor([1.0, 0.0]), torch.tensor([[1.0], [-1.0]]))
print(f"the first of two twins, its heard part: {heard.tolist()}; along it", end=" ")
print(f"the prompts differ by {torch.ones(2) @ heard:.1f}")

# %% [markdown]
# Under shuffled wires neurons cancel as much: no sign of design.
# Mind twins, which differ alike and write with opposite signs: along the first one's heard part the prompts do not differ, so it passes for a bridge.
# A pair that cancels and a bridge are the same arithmetic. Only inputs on which one twin is silent tell them apart.
#
# ## Where the bracket does pass
#
# A patch along `delta` was chosen without looking at the output, one along `g` without the prompts.

# %%
puzzle.recall("the story")
bars = {"full patch": {}, "delta": {}, "g": {}, "strongest": {}}
for place in [f"blocks.{layer}.{what}" for layer in (1, 2) for what in ("hook_attn_out", "mlp.hook_post")]:
    sides = two_sides(model, searched, place)
    ours, theirs = (activations(model, tokens, place) for tokens in held_out)
    patches = [theirs, *(patch_along(ours, theirs, v) for v in (*sides, strongest(*sides)))]
    for name, share in zip(bars, shares_of_way(model, held_out, patches, place)):
        bars[name][place.removeprefix("blocks.")] = share
plots.bars(bars, x_title="site", y_title="share of the way")

# %% [markdown]
# Chosen from one side, a direction does about what its site does. Chosen from both, it does more at every site.
#
# ## Your own layer
#
# Its directions are mixtures of features. A feature differs within pairs of prompts, or not; `W` hears it, or not. Label each direction:
#
# - `"disconnected"`: made of nothing that is heard
# - `"dormant"`: of heard features that do not differ
# - `"bridge"`: of something dormant, and something that differs
# - `"causal"`: of a heard feature that differs, and nothing dormant

# %% open="variant"
corrupted, clean, W, directions = puzzle.variant("your name or id")
print([tuple(one.shape) for one in (corrupted, clean, W, directions)])  # the output is activations @ W

# %% stub="my_directions"
my_directions = ...  # a list of eight labels
### BEGIN SOLUTION
my_directions = []
full = ((clean - corrupted) @ W).mean(0)
for v in directions:
    moved = ((patch_along(corrupted, clean, v) - corrupted) @ W).mean(0)
    if moved.norm() < 1e-3:
        my_directions.append("dormant" if (v @ W).norm() > 1e-3 else "disconnected")
    else:
        same_way = torch.cosine_similarity(moved, full, dim=0).abs() > 0.999
        my_directions.append("causal" if same_way else "bridge")
### END SOLUTION

# %% check="my_directions"
puzzle.check("my_directions", my_directions)
### BEGIN HIDDEN TESTS
puzzle.grade("my_directions", my_directions)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague has searched an MLP for a direction, patches along it, flips most held-out answers, and writes: "the model stores the variable here."
# Answer in three to five sentences: what does the patch do, what does its success show, and what would you run next?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# A patch along a direction reads along it how far the prompts differ, and writes that much along it; so it can read what the layer does not use, and write what the layer never says.
# The search finds such a bridge wherever something differs and something is heard, also when the wires between them are shuffled, or when it is another variable that differs; held-out prompts do not help, for the bridge works on them too.
# I would patch the whole layer, and the heard part alone, and repeat the search in a shuffled layer; and choose the direction from one side, by the difference of the activations, before I look at the output.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Both patches report what happened. Only the full patch reports what the layer does by itself: nothing, on these prompts. The one-dimensional patch builds a bridge. It reads where the prompts differ, mostly in the null space, and writes where the output listens, beyond anything that the layer says in 4,000 tokens of code.
#
# The best bridge has effect (|delta| |g| + delta @ g) / 2. The full patch has delta @ g, which is never more. So, to first order, a search over directions never does less than the whole, at any site, and the less the two sides have to do with each other, the further it goes beyond the whole. Nor need the bracket differ: where only the argument does, a direction flips the answer all the same.
#
# Who named it? Makelov, Lange and Nanda found it in GPT-2's MLPs and called it an illusion. Wu and others answered that by this definition explanations that one would want are illusions too. Both have a point: you saw that the unheard share is no test, that the heard part is no certificate, and that twins which cancel look like a bridge. What is left is the comparison: with the full patch, with shuffled wires, with what the layer says by itself.
#
# And a zero of the full patch is a sum. It may hide parts that cancel; then look for inputs on which one of them is silent.

# %% [markdown]
# ## Play
#
# Another site: `"blocks.0.mlp.hook_post"`, `"blocks.2.hook_resid_pre"`. Whose curve rises least above its ends?

# %% open="play"
elsewhere = "blocks.1.hook_attn_out"
shares = effects(model, held_out, between(*two_sides(model, searched, elsewhere)), elsewhere)
plots.lines(ways, {elsewhere: shares}, **titles)

# %% [markdown]
# ## Where next
#
# - *Nothing happened*: parts that a single patch cannot see.
#
# Makelov, Lange and Nanda (2023, arXiv 2311.17030); the reply: Wu et al. (2024, arXiv 2401.12631).
