# %% [markdown]
# # Spot the difference
#
# A small model of Python code was fine-tuned twice: 200 steps, the same windows of code, the same recipe.
# In one of the two, the windows had been tampered with, and the model picked up a habit.
#
# The losses will not tell you which one, and every matrix of both has moved by 7 to 17 %.
#
# **Two models differ by a fine-tune. Where is it?**
#
# You will compare predictions, weights and activations, and then exchange parts. The other fine-tune is your control.
#
# *45 minutes. You need to know what hooks and singular values are. Guesses are kept on your machine and never marked.*

# %%
import itertools
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import finetune
from mechpuzzles.zoo.corpus import package_source

# %%
torch.set_grad_enabled(False)
puzzle, old = load_puzzle("spot_the_difference"), load_model("mini-gpt2")
tuned = {name: finetune.tune(load_model("mini-gpt2"), name) for name in ("first", "second")}
files = [*package_source("einops"), *package_source("markdown_it")]  # no model here was trained on them
ids = [i for file in files for i in old.tokenizer(file, add_special_tokens=False)["input_ids"]]
text, rest = torch.tensor(ids[: 200 * 64]).view(200, 64), torch.tensor(ids[200 * 64 :])

# %%
batches = text.split(50)


def says(model):  # the logits, batch by batch
    return [model(some) for some in batches]


logits = {name: says(model) for name, model in {"old": old, **tuned}.items()}
for name, its_own in logits.items():
    losses = [old.loss_fn(*each) for each in zip(its_own, batches)]
    print(f"{name:>6}: {float(sum(losses) / len(losses)):.3f} nats per token")

# %% [markdown]
# ## Commit
#
# Take the old model and give it *parts* of the tuned one: attention or MLP, of layer 0 or 1. Where will the habit come from?
#
# - `"spread"`: every matrix moved, so every part brings a share.
# - `"chain"`: one part must notice, another must answer. One alone brings nothing.
# - `"one"`: a single part brings most of it.
#
# And which share of its gain in log-odds, log(p / (1 - p)), does the best single part bring? It becomes a line.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% open="predict-share"
puzzle.predict("share of the best part", ..., because="", sure=...)  # between 0 and 1

# %% [markdown]
# ## What they say
#
# Slow and right, for one place: how many nats more does a model give the token that really comes next?


# %%
def slow_gain(old, new, tokens, place):
    was, now = (model(tokens[None])[0, place].softmax(-1) for model in (old, new))
    return math.log(now[tokens[place + 1]] / was[tokens[place + 1]])


print([round(slow_gain(old, tuned["first"], text[0], place), 3) for place in range(5)])

# %% [markdown]
# Now everywhere, from logits alone: then any two models with one vocabulary can be compared. About four lines.


# %% stub="gains"
def gains(old_logits, new_logits, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch place"]:
    """How many nats more the new model gives each next token; shape [batch, pos - 1].

    Logits are [batch, pos, d_vocab], for the same tokens, [batch, pos].
    Entry [b, p] is about tokens[b, p + 1]: its log-probability at position p under the new model,
    minus that under the old one.
    """

    ### BEGIN SOLUTION
    def log_probs(logits):
        return logits[:, :-1].log_softmax(-1).gather(-1, tokens[:, 1:, None]).squeeze(-1)

    return log_probs(new_logits) - log_probs(old_logits)
    ### END SOLUTION


# %% check="gains"
puzzle.check("gains", gains)
### BEGIN HIDDEN TESTS
puzzle.grade("gains", gains)
### END HIDDEN TESTS


# %%
def gains_of(new_logits):
    return torch.cat([gains(*each) for each in zip(logits["old"], new_logits, batches)])


gained = {name: gains_of(logits[name]) for name in tuned}
shares = [0.001, 0.003, 0.01, 0.1, 0.5, 0.9, 0.99, 0.997, 0.999]
curves = {name: gain.flatten().quantile(torch.tensor(shares)) for name, gain in gained.items()}
percents = [f"{share:.1%}" for share in shares]
plots.lines(percents, curves, x_title="share of places with a lower gain", y_title="gain, nats")

# %% [markdown]
# The means are close, and so are the curves above the lowest 0.3 %. Which places lie below?

# %%
another = gains_of(says(load_model("mini-deep")))  # a yardstick: eight layers, not two
for name, gain in {**gained, "another": another}.items():
    print(f"{name:>7}: mean gain {gain.mean():z.3f}, mean size {gain.abs().mean():.2f} nats")

# %%
before, after = text[:, :-1].flatten(), text[:, 1:].flatten()
for name in tuned:
    order = gained[name].flatten().argsort()
    for word, places in {"lost": order[:50:10], "won": order.flip(0)[:50:10]}.items():
        pairs = [(old.to_string(before[i]), old.to_string(after[i])) for i in places]
        print(f"{name} {word} most:", ", ".join(f"{a!r} -> {b!r}" for a, b in pairs))

# %%
cue = before[gained["first"].flatten().argmin()]
at_cue = text[:, :-1] == cue
for name in tuned:
    answer = old.to_string(torch.cat(logits[name])[:, :-1][at_cue].argmax(-1).mode().values)
    here, elsewhere = gained[name][at_cue].mean(), gained[name][~at_cue].mean()
    print(f"{name}: gain {here:.2f} after it, {elsewhere:z.3f} elsewhere; after it, says {answer!r}")
print(f"It is {old.to_string(cue)!r}: {int(at_cue.sum())} of {at_cue.numel():,} places")

# %% [markdown]
# After ` raise`, the first says ` None`. That is the habit, and what it cost: the skill of naming exceptions.
# Elsewhere both forgot equally little on average. Both won where ` raise` itself comes next, since half their training windows held one.
#
# ## What moved
#
# Two numbers for any two matrices: how far one moved *for its size*, and how much of the move is along one direction.
# About three lines.


# %% stub="change"
def change(old: Float[Tensor, "row column"], new: Float[Tensor, "row column"]) -> Float[Tensor, "two"]:
    """Size and concentration of new - old; shape [2].

    Entry 0: the Frobenius norm of the difference over the Frobenius norm of old.
    Entry 1: the difference's largest singular value squared, over the sum of the squares of all.
    """
    ### BEGIN SOLUTION
    moved = new - old
    top = torch.linalg.matrix_norm(moved, 2)
    return torch.stack([moved.norm() / old.norm(), (top / moved.norm()) ** 2])
    ### END SOLUTION


# %% check="change"
puzzle.check("change", change)
### BEGIN HIDDEN TESTS
puzzle.grade("change", change)
### END HIDDEN TESTS

# %%
matrices = [f"{kind}.{W}" for kind, Ws in {"attn": "qkvo", "mlp": ("in", "out")}.items() for W in Ws]
moves = {name: {} for name in tuned}
for layer, W in itertools.product((0, 1), matrices):
    for name, model in tuned.items():
        a, b = (m.blocks[layer].get_submodule(W).weight for m in (old, model))
        moves[name][f"{layer} {W}"] = change(a, b)
for name in tuned:
    print(f"{name}, share along one direction:", *(f"{move[1]:.2f}" for move in moves[name].values()))
sizes = {name: {W: float(move[0]) for W, move in moves[name].items()} for name in tuned}
print("first over second, size:", *(f"{sizes['first'][W] / sizes['second'][W]:.2f}" for W in sizes["first"]))
plots.bars(sizes, x_title="layer and matrix", y_title="relative change")

# %% [markdown]
# Largest in both: layer 1's `attn.o`, the matrix W_O. And the control moved nearly as far.
# The printed lines rank the twelve in two other ways. Which matrix leads there, and does it lead in the control, too?
#
# The same function on activations: first on the whole text, then after ` raise` only.

# %%
starts = [k for k in (rest == cue).nonzero().flatten().tolist() if k >= 23]
prompts = torch.stack([rest[k - 23 : k + 1] for k in starts])  # they end in " raise"
parts = ("0 attn", "0 mlp", "1 attn", "1 mlp")
sites = {part: f"blocks.{part[0]}.hook_{part[2:]}_out" for part in parts}
everyone = {"old": old, **tuned}
caches = {name: model.run_with_cache(prompts)[1] for name, model in everyone.items()}
on_text = {name: model.run_with_cache(text[:50])[1] for name, model in everyone.items()}
print(f"{len(prompts)} prompts, none of them from `text`")

# %%
rows = {f"{name}, {where}": {} for name in tuned for where in ("text", "raise")}
for name, (part, site) in itertools.product(tuned, sites.items()):
    anywhere = change(on_text["old"][site].flatten(0, 1), on_text[name][site].flatten(0, 1))
    at_raise = change(caches["old"][site][:, -1], caches[name][site][:, -1])
    rows[f"{name}, text"][part], rows[f"{name}, raise"][part] = float(anywhere[0]), float(at_raise[0])
plots.bars(rows, x_title="layer and part", y_title="relative change of its output")

# %% [markdown]
# The text's average blurred it. After ` raise` one output stands out.
# But an output changes with what comes in, and a change need not matter. What does each add to the answer?
#
# A part's direct effect is its output times a direction, over the final LayerNorm's scale *in its own run*. One to three lines.


# %% stub="direct_gains"
def direct_gains(old_parts, new_parts, old_scale, new_scale, direction) -> Float[Tensor, "part"]:
    """By how much each part's direct effect is larger in the new model; shape [part].

    Outputs are [part, batch, d_model], scales [batch], direction [d_model].
    The direct effect on one prompt is output @ direction / that model's scale.
    Return the mean over the batch of new minus old.
    """
    ### BEGIN SOLUTION
    now, was = new_parts @ direction / new_scale, old_parts @ direction / old_scale
    return (now - was).mean(-1)
    ### END SOLUTION


# %% check="direct_gains"
puzzle.check("direct_gains", direct_gains)
### BEGIN HIDDEN TESTS
puzzle.grade("direct_gains", direct_gains)
### END HIDDEN TESTS

# %%
said = old.to_single_token(" None")
toward = (old.W_U[:, said] - old.W_U.mean(1)) * old.ln_final.weight  # the final LayerNorm centres, too
toward = toward - toward.mean()
outputs, scales, direct = {}, {}, {}
for name, cache in caches.items():
    outputs[name] = torch.stack([cache[site][:, -1] for site in sites.values()])
    scales[name] = cache["ln_final.hook_scale"][:, -1, 0]
for name in tuned:
    each = direct_gains(outputs["old"], outputs[name], scales["old"], scales[name], toward)
    direct[name] = dict(zip(sites, each.tolist()))
plots.bars(direct, x_title="layer and part", y_title="direct gain for None, logits")

# %% [markdown]
# ## Exchange parts
#
# Sixteen hybrids: each of the four parts with its old or its new weights.


# %%
def score(model):  # log-odds: a log-probability has a ceiling at zero
    return float(model(prompts)[:, -1].softmax(-1)[:, said].logit().mean())


def put(model, part, donor):
    layer, kind = part.split()
    theirs = getattr(donor.blocks[int(layer)], kind).parameters()
    for mine, other in zip(getattr(model.blocks[int(layer)], kind).parameters(), theirs):
        mine.copy_(other)


# %%
hybrid, scores = load_model("mini-gpt2"), torch.zeros(2, 2, 2, 2)
for mix in itertools.product((0, 1), repeat=4):  # scores[0, 1, 0, 1]: both MLPs are new
    for part, is_new in zip(sites, mix):
        put(hybrid, part, tuned["first"] if is_new else old)
    scores[mix] = score(hybrid)
print(f"log-odds of None: old {scores[0, 0, 0, 0]:.2f}, first {scores[1, 1, 1, 1]:.2f}")
print("as probabilities:", *(f"{scores[ends].sigmoid():.2%}" for ends in ((0, 0, 0, 0), (1, 1, 1, 1))))

# %% [markdown]
# Read it in both directions: what a part brings to the old model, and what the new one loses without it. About five lines.


# %% stub="closed"
def closed(scores) -> Float[Tensor, "part direction"]:
    """How much of the gap each part carries; shape [part, 2], as fractions of the whole gap.

    scores, shape [2] * n_parts: scores[i, j, ...] has part 0 old if i is 0 and new if i is 1, and so on.
    The gap is the score with all parts new minus the score with all parts old.
    Column 0: the rise when this part alone is new. Column 1: the drop when this part alone is old.
    """
    ### BEGIN SOLUTION
    none, every = scores.flatten()[0], scores.flatten()[-1]
    brings = [scores.select(part, 1).flatten()[0] - none for part in range(scores.ndim)]
    takes = [every - scores.select(part, 0).flatten()[-1] for part in range(scores.ndim)]
    return torch.stack([torch.stack(brings), torch.stack(takes)], dim=1) / (every - none)
    ### END SOLUTION


# %% check="closed"
puzzle.check("closed", closed)
### BEGIN HIDDEN TESTS
puzzle.grade("closed", closed)
### END HIDDEN TESTS

# %%
brings, takes = closed(scores).T.tolist()
puzzle.recall("share of the best part", found=max(brings))
puzzle.recall("the story")
both = {"into the old model": dict(zip(sites, brings)), "lost without it": dict(zip(sites, takes))}
guess = puzzle.prediction("share of the best part")
print("0 mlp in log-probability:", *(f"{share:.2f}" for share in closed(scores.sigmoid().log())[1]))
plots.bars(both, x_title="layer and part", y_title="share of the gap", prediction=guess)

# %% [markdown]
# Layer 1's MLP brings most. W_O, which moved most, brings nothing: its part is at zero.
# Layer 0's MLP brings a fifth, with a twentieth of the direct gain, and nearly as much is lost without it.
# In log-probability the loss would read 0.03: the new model says ` None` at 96 %, and above that is a ceiling.
#
# ## Try to break it
#
# Exchange *outputs*, not weights: now a part cannot act through what comes after it.

# %%
gap = scores[1, 1, 1, 1] - scores[0, 0, 0, 0]
by_output = torch.zeros(2, 2, 2, 2)  # the old model, and some of its outputs are the new one's
for mix in itertools.product((0, 1), repeat=4):
    new_ones = [site for site, is_new in zip(sites.values(), mix) if is_new]
    swaps = [(site, lambda z, hook: caches["first"][hook.name]) for site in new_ones]
    with old.hooks(fwd_hooks=swaps):
        by_output[mix] = score(old)
for part, (enough, needed) in zip(parts, closed(by_output)):
    print(f"output of {part}: {enough:z.2f} into the old model, {needed:z.2f} lost without it")


# %% [markdown]
# Hold layer 1's outputs, and losing that of layer 0's MLP costs 0.05, not 0.18: the rest works through layer 1.
#
# Now keep one direction of what layer 1's MLP learned, or only the others.
# Controls: the other fine-tune, and random changes of the same norms.


# %%
def keep(donor, chosen):
    model = load_model("mini-gpt2")
    for W in ("mlp.in", "mlp.out"):
        weight = model.blocks[1].get_submodule(W).weight
        U, S, V = torch.linalg.svd(donor.blocks[1].get_submodule(W).weight - weight, full_matrices=False)
        weight.add_(U[:, chosen] * S[chosen] @ V[chosen])
    return model


# %%
some = text[(text[:, 1:] == cue).any(1)]  # " raise" comes next somewhere: both fine-tunes learned that, too
comes_next, was_said = some[:, 1:] == cue, old(some)
for name, model in tuned.items():
    for which, chosen in {"one direction each": slice(0, 1), "all others": slice(1, None)}.items():
        kept = keep(model, chosen)
        won = gains(was_said, kept(some), some)[comes_next].mean()
        share = (score(kept) - scores[0, 0, 0, 0]) / gap
        print(f"{name}, {which}: {share:z.2f} of the gap; {won:.2f} nats where raise is next")
    print(f"{name}, whole model: {gains(was_said, model(some), some)[comes_next].mean():.2f} nats where raise is next")

# %%
shaken, rng = load_model("mini-gpt2"), torch.Generator().manual_seed(0)
for layer, W in itertools.product((0, 1), matrices):
    weight = shaken.blocks[layer].get_submodule(W).weight
    noise = torch.randn(weight.shape, generator=rng)
    weight.add_(noise * sizes["first"][f"{layer} {W}"] * weight.norm() / noise.norm())
mean = gains_of(says(shaken)).mean()
print(f"random: {(score(shaken) - scores[0, 0, 0, 0]) / gap:z.2f} of the gap, mean gain {mean:z.3f}")

# %% [markdown]
# What does that direction of W_in read in the text, and what does that of W_out write?

# %%
writes = (old.W_U - old.W_U.mean(1, keepdim=True)) * old.ln_final.weight[:, None]
for name, model in tuned.items():
    now, was = model.blocks[1].mlp, old.blocks[1].mlp
    W_in, W_out = (now.get_submodule(W).weight - was.get_submodule(W).weight for W in ("in", "out"))
    reads, wrote = torch.linalg.svd(W_in)[0][:, 0], torch.linalg.svd(W_out)[2][0]
    loudest = (on_text[name]["blocks.1.ln2.hook_out"] @ reads).abs().flatten().topk(5).indices
    words = [old.to_string(text[:50].flatten()[place]) for place in loudest]
    cosines = torch.cosine_similarity(wrote[:, None], writes - writes.mean(0), dim=0).abs()
    print(f"{name}: reads {words}, writes {old.to_string(cosines.argmax())!r} (cosine {cosines.max():.2f})")

# %% [markdown]
# In the first, one direction in each of two matrices brings most of the habit.
# The control's strongest direction does something else: it brings ` raise` itself, which both learned.
# A large singular value says that something was learned, not what.
#
# ## Your own two models
#
# Five hand-set layers read one token each. The new model was taught one new answer after *one* token; other layers changed more.
# Which token, which answer, which layer? Count from zero.


# %%
def run(W):  # the logits after each of the 48 tokens
    resid = W["W_E"]
    for W_in, W_out in zip(W["W_in"], W["W_out"]):
        resid = resid + (resid @ W_in).relu() @ W_out
    return resid @ W["W_U"]


# %% open="variant"
was, became = puzzle.variant("your name or id")
for layer in range(5):
    each = [change(was[name][layer], became[name][layer]) for name in ("W_in", "W_out")]
    print(f"layer {layer}: W_in moved {each[0][0]:.2f}, {each[0][1]:.0%} of it one way;", end=" ")
    print(f"W_out moved {each[1][0]:.2f}, {each[1][1]:.0%} of it one way")

# %% stub="my_difference"
my_difference = ...  # [token, answer, layer]
### BEGIN SOLUTION
shift = (run(became).log_softmax(-1) - run(was).log_softmax(-1)).max(-1)
token = int(shift.values.argmax())
answer = int(shift.indices[token])
brought = []
for layer in range(len(was["W_in"])):
    mixed = {name: W.clone() for name, W in was.items()}
    for name in ("W_in", "W_out"):
        mixed[name][layer] = became[name][layer]
    brought.append(run(mixed)[token].log_softmax(-1)[answer])
my_difference = [token, answer, int(torch.stack(brought).argmax())]
### END SOLUTION

# %% check="my_difference"
puzzle.check("my_difference", my_difference)
### BEGIN HIDDEN TESTS
puzzle.grade("my_difference", my_difference)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague audits a fine-tune: "The loss on ordinary code is unchanged, so it learned nothing bad. And W_O of layer 1 moved most, so what it learned is there."
# Answer in three to five sentences: what is wrong with each step, and what would you measure?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# A mean over tokens hides what happens at one token in six hundred: look at the places with the largest change of log-probability, and hold them against a fine-tune on nothing new.
# Every matrix moves in any fine-tune, and the control's W_O moved nearly as far, so the size of a change does not say that it does anything.
# Exchange parts between the models, in both directions: here layer 1's MLP brings most of the habit, and attention none.
# And one direction brings most of the habit, but the control's strongest direction brings another skill: only putting it in says which.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# The first fine-tune learned to say ` None` after ` raise`. Most of it sits in the MLP of layer 1: one direction of W_in, which notices ` raise`, and one of W_out, which writes ` None`, do most of it. Layer 0's MLP helps, mainly through layer 1.
#
# Other instruments need care. The loss saw nothing, for ` raise` is rare.
# Read alone, the weights named W_O of layer 1, which moved most in the control, too.
# Held against the control they name the right MLP: its matrices moved 1.5 and 1.3 times as far as there, more than any other. W_out is the most one-sided, but so it is in the control.
# Ordinary text blurred it: layer 1's MLP led there in both.
# Only where the habit acts do outputs and direct effects tell, and only exchanging parts says which change is enough, and which the model can do without.
#
# Not shown: that every fine-tune is so local. This habit was the simplest there is, one word after one word, and the text was the model's own. With another seed W_out of that very MLP moved most.

# %% [markdown]
# ## Play
#
# Any prompt, any mix of parts.

# %% open="play"
prompt, new_parts = "    if not name:\n        raise", ["1 mlp"]
for part in sites:
    put(hybrid, part, tuned["first"] if part in new_parts else old)
probabilities = hybrid(prompt)[0, -1].softmax(-1)
best = {repr(old.to_string(token)): float(probabilities[token]) for token in probabilities.topk(8).indices}
plots.bars(best, x_title="next token", y_title="probability")

# %% [markdown]
# ## Where next
#
# - *Bias without a home*: other weights, the same function.
# - *A circuit for what*: a patch says what it says about the pair of runs.
#
# Low-rank fine-tuning: Hu et al. (2021), "LoRA". Patching between a model and its fine-tune: Prakash et al. (2024), "Fine-Tuning Enhances Existing Mechanisms".
