# %% [markdown]
# # Freeze the norm
#
# `mini-gpt2` reads `return x[0` and puts `]` 3.01 logits ahead of `)`. Call that its answer.
# It is read off a sum of six parts: two embeddings, two attention layers, two MLPs.
# So ask each part what it said for `]` against `)`, and add up. Three usual ways to ask give 2.11, 5.87 and 3.51.
#
# **Direct logit attributions do not add up. What did you forget?**
#
# You will make them right to the last digit. Then you will take out a part that said a third of it all, and they will be wrong again.
# The control is a model without LayerNorm, where nothing of this may happen.
#
# *45 minutes. You need the residual stream, LayerNorm, hooks and gradients. Guesses are never marked.*

# %%
import itertools

import torch
from jaxtyping import Float
from torch import Tensor
from transformer_lens.tools.analysis import direct_logit_attribution

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.quiet import quietly
from mechpuzzles.zoo.corpus import package_source

# %%
puzzle = load_puzzle("freeze_the_norm")
model = load_model("mini-gpt2").requires_grad_(False)
prompt, right, wrong = model.to_tokens("return x[0"), model.to_single_token("]"), model.to_single_token(")")


def take_apart(model, tokens):
    """The parts of what the last norm reads, [part, batch, pos, d_model], and the logits."""
    logits, cache = model.run_with_cache(tokens)
    parts, names = cache.decompose_resid(return_labels=True)
    return [name.removesuffix("_out") for name in names], parts, logits


# %%
names, parts, logits = take_apart(model, prompt)
parts, logits = parts[:, 0, -1], logits[0, -1]  # of the last position
alone, normed = parts @ model.W_U, model.ln_final(parts) @ model.W_U
for name, said in {"the model": logits[None], "W_U alone": alone, "each through the norm": normed}.items():
    print(f"{name:>21}: {(said[:, right] - said[:, wrong]).sum():.2f}")
with quietly():
    (folded := load_model("mini-gpt2")).enable_compatibility_mode()
theirs = direct_logit_attribution(folded, prompt, right, wrong).attribution
print(f"TransformerLens' tool: {theirs.sum():.2f}")

# %% [markdown]
# ## All but the scale
#
# The last norm centres the stream, divides by its **scale**, multiplies by a weight and adds a bias. Then `W_U` and `b_U` read it.
# The scale is the root of variance plus `eps`. Of everything else, two things are left for a pair of tokens:
#
# `logit difference = stream @ direction / scale + constant`
#
# **Your turn**, about three lines.


# %% stub="difference_direction"
def difference_direction(
    W_U: Float[Tensor, "d_model d_vocab"],
    b_U: Float[Tensor, "d_vocab"],
    weight: Float[Tensor, "d_model"],
    bias: Float[Tensor, "d_model"],
    right,
    wrong,
):
    """(direction, shape [d_model]; constant, one number), such that the formula holds for every stream.
    The difference is the right token's logit minus the wrong one's."""
    ### BEGIN SOLUTION
    read = W_U[:, right] - W_U[:, wrong]
    direction = weight * read
    return direction - direction.mean(), bias @ read + b_U[right] - b_U[wrong]
    ### END SOLUTION


# %% check="difference_direction"
puzzle.check("difference_direction", difference_direction)
### BEGIN HIDDEN TESTS
puzzle.grade("difference_direction", difference_direction)
### END HIDDEN TESTS


# %%
def scale(x, eps=1e-5):  # one for each row; this eps is mini-gpt2's
    return (x.var(-1, correction=0) + eps).sqrt()


# %%
def answer(logits):
    return float(logits[right] - logits[wrong])


last = model.ln_final
direction, constant = difference_direction(model.W_U, model.b_U, last.weight, last.bias, right, wrong)
words = parts @ direction / scale(parts.sum(0))
print(f"the model {answer(logits):.4f}, yours {words.sum() + constant:.4f}, of which constant {constant:.4f}")
print(f"your attributions and the tool's: largest difference {(words - theirs.flatten()).abs().max():.5f}")
plus_one = difference_direction(model.W_U + 1, model.b_U + 1, last.weight, last.bias, right, wrong)
changes = [(new - old).abs().max() for new, old in zip(plus_one, (direction, constant))]
print("1 added to all of W_U and b_U: they change by", *(f"{change:.4f}" for change in changes))

# %% [markdown]
# They add up. The tool had forgotten the constant, the norm's bias: no part said it.
# What all tokens share cancels in a difference. The scale does not: it was *frozen*, the same number for every part.
#
# ## Who said it?

# %%
plots.bars(dict(zip(names, words.tolist())), y_title="said for ] against ), logits")

# %% [markdown]
# The last MLP said 0.99, a third of the answer. Nobody reads it but the last norm.
# Take it out and run the model: by how much will the 3.01 fall?

# %% open="predict-fall"
puzzle.predict("fall without the last MLP", ..., because="", sure=...)  # between -3 and 3

# %% [markdown]
# A part that leaves the stream also leaves the scale. So a fall has two pieces:
# **words**, the part's attribution at the old scale, and **volume**, the rest: what the new scale does to what the others say.
#
# **Your turn**, about five lines; you may use `scale(x, eps)`.


# %% stub="removals"
def removals(
    parts: Float[Tensor, "part d_model"], direction: Float[Tensor, "d_model"], eps
) -> Float[Tensor, "part effect"]:
    """Words and volume of each part, taken out of the stream alone; shape [part, 2].

    parts, shape [part, d_model], sum to the stream; direction has shape [d_model].
    Column 0, words: the part @ direction, over the scale of the whole stream.
    Column 1, volume: the fall of `stream @ direction / scale` when the part is subtracted, minus the words.
    """
    ### BEGIN SOLUTION
    whole = parts.sum(0)
    rest = whole - parts
    said = parts @ direction / scale(whole, eps)
    fall = whole @ direction / scale(whole, eps) - rest @ direction / scale(rest, eps)
    return torch.stack([said, fall - said], dim=1)
    ### END SOLUTION


# %% check="removals"
puzzle.check("removals", removals)
### BEGIN HIDDEN TESTS
puzzle.grade("removals", removals)
### END HIDDEN TESTS

# %%
split = removals(parts, direction, model.cfg.eps)
falls = split.sum(1)
puzzle.recall("fall without the last MLP", found=falls[-1])
bars = {"words": split[:, 0], "words and volume": falls}
bars = {name: dict(zip(names, column.tolist())) for name, column in bars.items()}
plots.bars(bars, y_title="fall, logits", prediction=puzzle.prediction("fall without the last MLP"))

# %% [markdown]
# That is arithmetic. Intervene: take each part out of the last norm's input, with the scale free, then held.


# %%
cache = model.run_with_cache(prompt)[1]
hold = ("ln_final.hook_scale", lambda x, hook: cache[hook.name])


def fall(edit, site="blocks.1.hook_resid_post", more=()):
    out = model.run_with_hooks(prompt, fwd_hooks=[(site, edit), *more])[0, -1]
    return answer(logits) - answer(out)


# %%
for name, part in zip(names, parts):

    def without(x, hook, part=part):
        return x - part

    print(f"{name:>9}: falls by {fall(without):z.2f}, with the scale held by {fall(without, more=[hold]):z.2f}")
print(f"the last MLP at its own hook: {fall(lambda x, hook: 0 * x, 'blocks.1.hook_mlp_out'):z.2f}")

# %% [markdown]
# Without the last MLP's third the answer is the same: the others get louder by as much.
# Attention 1 is three quarters as long, and hardly moves the others. Where is the difference?

# %%
stream = parts.sum(0)
noise = torch.randn(1000, 64, generator=torch.Generator().manual_seed(0))
noise = noise - noise.mean(1, keepdim=True)
centred = parts - parts.mean(1, keepdim=True)
for name, part in zip(names, centred):
    others = centred.sum(0) - part
    as_long = noise / noise.norm(dim=1, keepdim=True) * part.norm()
    ratios = [(scale(others) / scale(others + there)).mean() for there in (part, as_long)]
    along = torch.cosine_similarity(part, others, dim=0)
    print(f"{name:>9}: length {part.norm():.1f}, cosine with the others {along:z.2f}; without it", end=" ")
    print("the scale is times {:.2f}, without noise in its place times {:.2f}".format(*ratios))

# %% [markdown]
# Who leaves takes its own length along. At right angles to the others, as noise is, that is all: so with the first MLP.
# The last leans on the others, and takes more; attention 1 leans against them, and takes less.
#
# ## Let the scale follow
#
# Then linearise. The gradient of `stream @ direction / scale` at the stream, dotted with a part, is what a little more of that part does.
# The words sum to 3.51, the falls to 1.60. And these six?
#
# - `"answer"`: to 3.51, like the words.
# - `"falls"`: to 1.60, or near it.
# - `"zero"`: to zero.

# %% open="predict-sum"
puzzle.predict("sum of the gradients", ..., because="", sure=...)

# %% [markdown]
# About three lines, with autograd or by hand.


# %% stub="gradients"
def gradients(parts: Float[Tensor, "part d_model"], direction: Float[Tensor, "d_model"], eps) -> Float[Tensor, "part"]:
    """The gradient of `stream @ direction / scale` at the stream, the sum of the parts, dotted with each part.

    parts has shape [part, d_model], direction [d_model]; the result [part].
    """
    ### BEGIN SOLUTION
    x = parts.sum(0).requires_grad_()
    (x @ direction / scale(x, eps)).backward()
    return parts @ x.grad
    ### END SOLUTION


# %% check="gradients"
puzzle.check("gradients", gradients)
### BEGIN HIDDEN TESTS
puzzle.grade("gradients", gradients)
### END HIDDEN TESTS

# %%
slopes = gradients(parts, direction, model.cfg.eps)
print(f"the gradients sum to {slopes.sum():z.4f}, the falls to {falls.sum():.2f}, the words to {words.sum():.2f}")
puzzle.recall("sum of the gradients")
three = {"frozen": words, "gradient": slopes, "removal": falls}
plots.bars({name: dict(zip(names, row.tolist())) for name, row in three.items()}, y_title="logits")

# %% [markdown]
# They have to. A little more of every part is a longer stream, and the norm does not hear length: in small steps, volume takes back every word.
#
# Which of the two predicts the falls? Here the gradient for the last MLP, the frozen scale for the first.
# One prompt, picked for its last MLP, decides nothing.


# %%
def attributions(model, stream, gone, right, wrong):
    """[n, 3]: words, volume and gradient of each vector that is taken out of the stream; gone has shape [n, d_model]."""
    both, last = [right, wrong], model.ln_final
    direction, _ = difference_direction(model.W_U[:, both], model.b_U[both], last.weight, last.bias, 0, 1)
    with_the_rest = torch.cat([gone, stream[None] - gone.sum(0)])  # they sum to the stream
    given = (with_the_rest, direction, model.cfg.eps)
    return torch.cat([removals(*given), gradients(*given)[:, None]], dim=1)[:-1]


# %%
source = "".join(package_source("einops"))  # Python code that no bundled model was trained on


def texts(model):
    return model.to_tokens([source[i : i + 400] for i in range(0, 16_000, 2_000)])[:, :60]


# %%
def squares(model, offs):
    """Sums of squares, [off, part]: of the falls, of what the frozen scale misses of them, and of what the gradient does."""
    tokens, found = texts(model), []
    names, parts, logits = take_apart(model, tokens)
    gone = torch.stack([parts - off(parts) for off in offs])  # minus what takes the part's place
    for at in itertools.product(range(8), range(8, 59, 3)):  # text and position
        right, ranked = int(tokens[at[0], at[1] + 1]), logits[at].topk(2).indices.tolist()
        wrong = ranked[ranked[0] == right]  # the likeliest other token
        found.append(attributions(model, parts[:, *at].sum(0), gone[:, :, *at].flatten(0, 1), right, wrong))
    words, volume, slope = torch.stack(found).unflatten(1, gone.shape[:2]).unbind(-1)
    return names, torch.stack([words + volume, volume, words + volume - slope]).square().sum(1)


# %%
deep = load_model("gpt2", fallback="mini-deep").requires_grad_(False)
labels, (fallen, *missed) = squares(deep, [torch.zeros_like])
shares = {name: dict(zip(labels, (x / fallen)[0].tolist())) for name, x in zip(("scale frozen", "gradient"), missed)}
plots.bars(shares, y_title=f"share of the falls missed, {deep.cfg.model_name}")

# %% [markdown]
# Shares of the sum of squares, on other code, for the right token against its rival.
# In `mini-deep`, what sums to the answer misses up to two thirds of the falls; what sums to zero misses an eighth at most, mostly under a twentieth.
#
# So is the gradient the right attribution? Try to break that.
# A removal leaves nothing in a part's place. Put in its mean, or its output in another text, or noise as long.


# %%
def noise_as_long(parts):
    noise = torch.randn(parts.shape, generator=torch.Generator().manual_seed(0))
    noise = noise - noise.mean(-1, keepdim=True)
    return noise / noise.norm(dim=-1, keepdim=True) * parts.norm(dim=-1, keepdim=True)


offs = {"nothing": torch.zeros_like, "mean": lambda parts: parts.mean((1, 2), keepdim=True).expand_as(parts)}
offs |= {"another text's": lambda parts: parts.roll((1, 7), (1, 2)), "noise": noise_as_long}

# %%
others = [deep, load_model("gpt-neo-125m", fallback="mini-neo"), load_model("mini-noln")]
rows = {}
for other in (model, *others):
    fallen, *missed = squares(other.requires_grad_(False), offs.values())[1].sum(2)
    for method, sums in zip(("frozen", "gradient"), missed):
        rows[f"{other.cfg.model_name}, {method}"] = (sums / fallen).tolist()
titles = {"x_title": "put in place of the part", "y_title": "model", "colour_title": "share missed"}
plots.heatmap(rows.values(), rows=list(rows), columns=list(offs), **titles)

# %%
print("the scale changes, in place of a part:", *offs, sep="  ")
for other in (model, *others):
    stack, eps = take_apart(other, texts(other))[1], other.cfg.eps
    ratios = [scale(stack.sum(0) - stack + off(stack), eps) / scale(stack.sum(0), eps) for off in offs.values()]
    typical = [ratio[:, :, 8:].log().square().mean().sqrt() for ratio in ratios]  # root mean square
    print(f"{other.cfg.model_name:>10}:", *(f"{change:4.0%}" for change in typical))

# %% [markdown]
# In each model, the frozen attribution misses least where the scale changes least.
# The rest is no ranking: the mean moves the scale no more than nothing does, and more is missed.
# A gradient sees the part's length go, not the noise's length come:
# with noise it misses more than the frozen scale in each model with a norm.
# Without LayerNorm no part moves the scale, and both are exact.
#
# ## Say nothing, be heard
#
# How far can volume go without a word? Build it: a vector which, added to the stream, says nothing about the pair, and doubles the answer.
#
# **Your turn**, about five lines. Many vectors will do.


# %% stub="silent"
def silent(stream: Float[Tensor, "d_model"], direction: Float[Tensor, "d_model"], factor) -> Float[Tensor, "d_model"]:
    """A vector v of shape [d_model] with v @ direction = 0, such that with stream + v in place of stream
    `stream @ direction / scale` is multiplied by factor.

    stream and direction have shape [d_model]; direction sums to zero. Take eps as zero.
    """
    ### BEGIN SOLUTION
    centred = stream - stream.mean()
    heard = (centred @ direction) / (direction @ direction) * direction
    unheard = centred - heard
    left = centred.square().sum() / factor**2 - heard.square().sum()
    return ((left / unheard.square().sum()).sqrt() - 1) * unheard
    ### END SOLUTION


# %% check="silent"
puzzle.check("silent", silent)
### BEGIN HIDDEN TESTS
puzzle.grade("silent", silent)
### END HIDDEN TESTS

# %%
for factor in (0.5, 1.5, 2, 4):
    vector = silent(stream, direction, factor)

    def with_it(x, hook, vector=vector):
        return x + vector

    says = vector @ direction / scale(stream)
    print(f"times {factor}: it says {says:z.2f}, and 3.01 becomes {answer(logits) - fall(with_it):.2f}")

# %% [markdown]
# All but the constant, which no scale touches. And only on this pair: on other tokens the vector does speak.
# GPT-2 has neurons that write where `W_U` hardly reads, for any token, and act by the scale (Stolfo et al., 2024).
#
# ## Explain
#
# A colleague writes: "With the norm frozen the attributions add up, and the last MLP has a third of the answer. So without it we lose a third."
# Answer in three to five sentences: what the attribution says, which experiment tests the second sentence, and when you would believe a frozen scale.

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The attribution says whose words stand in the sum, at the scale that all parts made together; that it adds up follows from holding the scale, and says nothing about a removal.
# I take the MLP out and run the model: the answer stays, because the stream gets shorter and the norm turns all other parts up; with hook_scale held, the fall is the attribution.
# I would believe it where what takes the part's place keeps the length of the stream, such as its output on another text, and not for zero or the mean of a long part.
# So beside each attribution I report by what factor the scale changes.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# First the constant: the norm's bias, which no part said. Then the scale: read through the norm alone, each part gets one of its own, and the model has one for all. Freeze that one, and the attributions add up.
#
# Then you have forgotten who made the scale: the same parts. Whoever leaves takes its words along, and turns the others up or down. The last MLP's words are a third of the answer, its volume takes as much back, and the answer stays. Your silent vector is the other extreme: all volume, no words.
#
# So there are three questions. Who said it? Frozen: sums to the answer. What would a little more of it do? The gradient: sums to zero, because the norm does not hear a common factor. What if it were gone? Run it: sums to nothing in particular. The frozen attribution answers the third only where the scale hardly changes: mostly with noise of the same length or another text's output, but not with noise in `mini-neo`, where the embedding and the first attention layer lean against each other and noise does not. So report the ratio of the scales beside it.
#
# One thing volume cannot do: it multiplies what the others say, and never turns their sign. And all falls here are direct effects, at the last norm; only the last MLP has no others.

# %% [markdown]
# ## Play
#
# Other prompts, pairs and models. Look for a part whose removal has the other sign than its words.

# %% open="play"
name, text, a, b = "mini-python", "x = foo(a, b", ")", "]"
m = load_model(name).requires_grad_(False)
labels, stack, _ = take_apart(m, m.to_tokens(text))
stack = stack[:, 0, -1]
found = attributions(m, stack.sum(0), stack, m.to_single_token(a), m.to_single_token(b))
said, fallen = found[:, 0], found[:, 0] + found[:, 1]
bars = {"frozen": said, "gradient": found[:, 2], "removal": fallen}
plots.bars({n: dict(zip(labels, row.tolist())) for n, row in bars.items()}, y_title=f"for {a} against {b}, logits")

# %% [markdown]
# ## Where next
#
# - *Meaningful zero*: what to put in a part's place.
# - *Understudies*: what later layers do when a part is gone.
# - Problems 6.2 and 6.3: the logit lens on GPT-Neo.
#
# Stolfo et al. (2024): Confidence Regulation Neurons in Language Models.
