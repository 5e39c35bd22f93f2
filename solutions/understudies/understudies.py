# %% [markdown]
# # Nobody missed it
#
# `mini-python` reads `return self.asarray(x` and puts `)` 2.71 logits ahead of `.`. Call that its answer.
# One head, L1H1, says 3.38 of it, counted from its mean over other code.
# Put that mean in its place, at every token, and the answer rises by 0.05.
#
# **You ablate the important head and nothing happens. Why?**
#
# You will find out who pays the 3.38 back, and one more run will decide why.
# The control is a part with nobody after it: there, only the norm can.
#
# *40 minutes. You need direct logit attribution, hooks and mean ablation. Guesses are never marked.*

# %%
from types import SimpleNamespace

import torch
from jaxtyping import Float
from torch import Tensor

from mechpuzzles import load_model, load_puzzle, plots
from mechpuzzles.zoo import tasks
from mechpuzzles.zoo.corpus import package_source

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("understudies")
model = load_model("mini-python")  # three layers of four heads and an MLP, trained without dropout


# %%
def take_apart(model, tokens, hooks=()):
    """Logits, cache, and the parts that the last norm reads, by name, each [batch, pos, d_model]."""
    kept = ("hook_z", "hook_v", "hook_pattern", "hook_mlp_out", "hook_resid_post")
    with model.hooks(fwd_hooks=list(hooks)):
        logits, cache = model.run_with_cache(tokens, names_filter=lambda name: name.endswith(kept))
    W_O, parts = model.W_O, {}
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            parts[f"L{layer}H{head}"] = cache["z", layer][:, :, head] @ W_O[layer, head]
        if not model.cfg.attn_only:
            parts[f"MLP{layer}"] = cache["mlp_out", layer]
    return logits, cache, parts | {"rest": cache["resid_post", layer] - sum(parts.values())}


# %%
def own(cache, name):  # a head's z, or an MLP's output
    layer, _, head = name[1:].partition("H")
    return cache["z", int(layer)][:, :, int(head)] if head else cache["mlp_out", int(name[3:])]


# %%
def put(name, new):
    def in_its_place(z, hook):
        z[:, :, int(head)] = new

    layer, _, head = name[1:].partition("H")
    if head:
        return [(f"blocks.{layer}.attn.hook_z", in_its_place)]
    return [(f"blocks.{name[3:]}.hook_mlp_out", lambda out, hook: 0 * out + new)]


# %%
def scene(model, tokens, right, at, wrong=None):
    """An intact run, and what its last stream is read by at `at`: right against wrong, or the likeliest other."""
    logits, cache, parts = take_apart(model, tokens)
    if wrong is None:
        ranked = logits[:, at].topk(2).indices
        wrong = torch.where(ranked[..., 0] == right, ranked[..., 1], ranked[..., 0])
    reads = model.ln_final.weight * (model.W_U.T[right] - model.W_U.T[wrong])
    reads = (reads - reads.mean(-1, keepdim=True)).flatten(0, -2)
    return SimpleNamespace(model=model, tokens=tokens, cache=cache, parts=parts, at=at, direction=reads)


# %%
source = "".join(package_source("einops"))  # Python code that no bundled model was trained on


def read_code(model):
    tokens = model.to_tokens([source[i : i + 400] for i in range(0, 16_000, 2_000)])[:, :60]
    return scene(model, tokens, tokens[:, 9:], slice(8, 59))


code = read_code(model)
mean = {name: own(code.cache, name).mean((0, 1)) for name in list(code.parts)[:-1]}

# %%
prompt, pair = model.to_tokens("return self.asarray(x"), [model.to_single_token(token) for token in (")", ".")]


def answer(hooks=()):
    right, wrong = take_apart(model, prompt, hooks)[0][0, -1, pair]
    return float(right - wrong)


print(f"intact {answer():.2f}, L1H1 at its mean {answer(put('L1H1', mean['L1H1'])):.2f}")

# %% [markdown]
# ## Commit
#
# - `"votes"`: others say `)` as well, and go on as before.
# - `"louder"`: without L1H1 the last norm turns the others up.
# - `"spares"`: later parts notice that L1H1 is gone, and say it instead.
# - `"brakes"`: later parts had been speaking against L1H1, and stop.

# %% open="predict-story"
puzzle.predict("the story", ..., because="", sure=...)

# %% [markdown]
# ## A ledger
#
# The last norm reads a sum of parts; its **scale** is the root of variance plus `eps`.
# The answer is `stream @ direction / scale`, plus a constant.
# So what an ablation changes falls into what each part now says otherwise, at the *old* scale, and what the new scale does.
#
# **Your turn**, about four lines with `scale`.


# %%
def scale(stream, eps=1e-5):
    return (stream.var(-1, correction=0) + eps).sqrt()


# %% stub="responses"
def responses(
    before: Float[Tensor, "part batch d_model"],
    after: Float[Tensor, "part batch d_model"],
    direction: Float[Tensor, "batch d_model"],
    eps,
) -> Float[Tensor, "entry batch"]:
    """How the answer changes from before to after, entry by entry; shape [part + 1, batch].

    The stream is the sum of the parts. For each part: after minus before of `part @ direction`, over the scale of the
    stream before. Last, the norm: the rest of the change of `stream @ direction / scale`, each at its own scale."""
    ### BEGIN SOLUTION
    old, new = scale(before.sum(0), eps), scale(after.sum(0), eps)
    said = ((after - before) * direction).sum(-1) / old
    norm = (after.sum(0) * direction).sum(-1) * (1 / new - 1 / old)
    return torch.cat([said, norm[None]])
    ### END SOLUTION


# %% check="responses"
puzzle.check("responses", responses)
### BEGIN HIDDEN TESTS
puzzle.grade("responses", responses)
### END HIDDEN TESTS


# %%
def changes(scene, name, new):
    """{part: [batch * pos]}: the ledger when `new` is put in a part's place."""
    ran = take_apart(scene.model, scene.tokens, put(name, new))[2]
    both = [torch.stack(list(parts.values()))[:, :, scene.at].flatten(1, 2) for parts in (scene.parts, ran)]
    entries = responses(*both, scene.direction, scene.model.cfg.eps)
    return dict(zip([*scene.parts, "norm"], entries))


# %%
right, wrong = torch.tensor(pair).view(2, 1, 1)
here = scene(model, prompt, right, slice(-1, None), wrong)
ledger = {name: float(entry) for name, entry in changes(here, "L1H1", mean["L1H1"]).items()}
change = answer(put("L1H1", mean["L1H1"])) - answer()
print(f"the ledger sums to {sum(ledger.values()):z.3f}, the model changes by {change:z.3f}")
plots.bars({name: x for name, x in ledger.items() if abs(x) > 0.001}, y_title="change of the answer, logits")

# %% [markdown]
# L1H1 takes 3.38 away. That is nearly its **direct effect**: hold all later parts as they were.
# In the **total effect** they run.

# %%
later = ("MLP1", "L2H0", "L2H1", "L2H2", "L2H3", "MLP2")
held = [hook for name in later for hook in put(name, own(here.cache, name))]
direct = answer(put("L1H1", mean["L1H1"]) + held) - answer()
print(f"later parts held {direct:z.2f}, later parts free {change:z.2f}")

# %% [markdown]
# Two heads of layer 2 and two MLPs make up for it; the norm does nothing.
# So nobody is louder, and this is no vote: voters do not move.
#
# Nobody comes after the last MLP:

# %%
last = changes(code, "MLP2", mean["MLP2"])
moved = {name: float(x.square().mean().sqrt()) for name, x in last.items() if x.abs().max() > 0.001}
print("without MLP2, on other code, root mean square:", ", ".join(f"{name} {x:z.2f}" for name, x in moved.items()))

# %% [markdown]
# Only the norm answers. That much is *Freeze the norm*.
#
# ## Looked, or said?
#
# A head of layer 2 can answer in two ways: it looks elsewhere, or where it looks something else stands.
# **Your turn**, about three lines.


# %% stub="looked_and_said"
def looked_and_said(
    pattern: Float[Tensor, "batch query_pos key_pos"],
    values: Float[Tensor, "batch key_pos d_head"],
    new_pattern: Float[Tensor, "batch query_pos key_pos"],
    new_values: Float[Tensor, "batch key_pos d_head"],
    reads: Float[Tensor, "batch query_pos d_head"],
) -> Float[Tensor, "way batch query_pos"]:
    """One head's answer, the change of `pattern @ values` dotted with reads, in two ways; shape [2, batch, query_pos].
    Row 0, looked: what the new pattern changes, at the mean of old and new values.
    Row 1, said: what the new values change, at the mean of old and new pattern."""
    ### BEGIN SOLUTION
    looked = (new_pattern - pattern) @ (values + new_values) / 2
    said = (pattern + new_pattern) @ (new_values - values) / 2
    return (torch.stack([looked, said]) * reads).sum(-1)
    ### END SOLUTION


# %% check="looked_and_said"
puzzle.check("looked_and_said", looked_and_said)
### BEGIN HIDDEN TESTS
puzzle.grade("looked_and_said", looked_and_said)
### END HIDDEN TESTS


# %%
def ways(scene, name, new, layer, head):
    """[way, batch, pos]: how a head answers when `new` is put in another part's place."""
    runs = (scene.cache, take_apart(scene.model, scene.tokens, put(name, new))[1])
    halves = [(run["pattern", layer][:, head, scene.at], run["v", layer][:, :, head]) for run in runs]
    stream = sum(scene.parts.values())[:, scene.at]
    reads = scene.direction.view_as(stream) / scale(stream)[..., None] @ scene.model.W_O[layer, head].T
    return looked_and_said(*halves[0], *halves[1], reads)


# %%
for head in range(4):
    looked, said = ways(here, "L1H1", mean["L1H1"], 2, head).flatten()
    print(f"L2H{head}: looks elsewhere {looked:z.2f}, says something else {said:z.2f}", end="; ")
    print(f"intact, {here.cache['pattern', 2][0, head, -1, -2]:.2f} of its attention is on (")

# %% [markdown]
# The two heads that pay look where they looked, and something else stands there.
# The other way, as a control: in `mini-induction`, layer 0 tells layer 1 where to look.

# %%
toy = load_model("mini-induction")
shown = tasks.shown_twice(64, 23, toy.cfg.d_vocab, torch.Generator().manual_seed(0))
copying = scene(toy, shown, shown[:, 26:], slice(25, -1))
for head in range(3):
    looked, said = ways(copying, "L0H1", own(copying.cache, "L0H1").mean(0), 1, head).mean((1, 2))
    print(f"L1H{head}, without L0H1: looks elsewhere {looked:z.2f}, says something else {said:z.2f}")

# %% [markdown]
# ## Where was it missed?
#
# They look at `(`. But L1H1 says its 3.38 at `x`. Ablate it there alone, then before.


# %%
def by_place(dose):
    z, average = own(here.cache, "L1H1"), mean["L1H1"]
    for where, places in {"at x": [-1], "before x": slice(0, -1), "everywhere": slice(None)}.items():
        new = z.clone()
        new[:, places] = average + dose * (z[:, places] - average)
        entries = {name: float(x) for name, x in changes(here, "L1H1", new).items()}
        print(f"dose {dose} {where}: in sum {sum(entries.values()):z.2f}", end="")
        print(*(f", {name} {entries[name]:z.2f}" for name in ("L1H1", "MLP1", "L2H0", "L2H2", "MLP2", "norm")), sep="")


# %%
by_place(0)  # 0 is off, 1 intact

# %% [markdown]
# One ablation did two things.
# At `x` L1H1 is missed: only the MLPs pay, the heads add to the loss, and the answer falls by 1.86.
# The heads answer what it wrote before, at `(`, whatever it says at `x`.
# MLP2 hears both: it gives 2.22 back at `x`, and takes 2.20 off what the heads add.
# The zero is a sum.
#
# ## How much, on any text?
#
# One prompt was picked. Over many places a part now says `words` less or more, and all later parts together answer `later`.
# What share do they pay back?


# %% stub="repaid"
def repaid(words: Float[Tensor, "batch"], later: Float[Tensor, "batch"]):
    """The number s for which `-s * words` is nearest to `later`, in the sum of squares over the batch.

    1: all is paid back. 0: nothing. Below 0: the later parts add to the loss.
    """
    ### BEGIN SOLUTION
    return -(words @ later) / (words @ words)
    ### END SOLUTION


# %% check="repaid"
puzzle.check("repaid", repaid)
### BEGIN HIDDEN TESTS
puzzle.grade("repaid", repaid)
### END HIDDEN TESTS


# %%
def share(scene, name, new):
    entries = changes(scene, name, new)
    words, _ = entries.pop(name), entries.pop("norm")
    return float(repaid(words, sum(entries.values())))


def substitutes(scene, name):
    said, rng = own(scene.cache, name), torch.Generator().manual_seed(0)
    average, noise = said.mean((0, 1)), torch.randn(said.shape, generator=rng)
    length = (said - average).norm(dim=-1, keepdim=True) / noise.norm(dim=-1, keepdim=True)
    return {"its mean": average, "another text's": said.roll((1, 7), (0, 1)), "noise added": said + noise * length}


# %%
untrained, rng = load_model("mini-python"), torch.Generator().manual_seed(0)
for weight in untrained.original_model.parameters():
    if weight.ndim == 2:
        weight.normal_(0, 0.8 * model.cfg.d_model**-0.5, generator=rng)
blank, shares = read_code(untrained), {}
for name in [f"L{layer}H{head}" for layer in (1, 2) for head in range(4)]:
    for kind, new in substitutes(code, name).items():
        shares.setdefault(kind, {})[name] = share(code, name, new)
    average = substitutes(blank, name)["its mean"]
    shares.setdefault("untrained, its mean", {})[name] = share(blank, name, average)
plots.bars(shares, y_title="share paid back")

# %%
for name in ("L1H1", "L1H3"):
    entries = changes(code, name, mean[name])
    words, norm = entries.pop(name).view(8, -1), entries.pop("norm")
    each = [float(repaid(*text)) for text in zip(words, sum(entries.values()).view(8, -1))]
    print(f"{name}, paid back in each text:", ", ".join(f"{s:z.2f}" for s in sorted(each)))

# %% [markdown]
# L1H1 and L1H3 get more than half back; by text, between a quarter and more than all.
# Less comes back where another text's words stand in (L1H3 0.29, noise 0.20).
# The rest means little: noise alone gets up to a quarter, an untrained model's heads a fifth, either way.
# Ablated at one place at a time, L1H1 gets about half as much back.
#
# ## Who waits?
#
# An understudy plays when the other is ill. Do not switch L1H1 off: turn it *up*, to twice its distance from the mean.
# It now says 3.38 more. By how much does the answer change?

# %% open="predict-doubled"
puzzle.predict("change when L1H1 is doubled", ..., because="", sure=...)  # between -2 and 5

# %%
z, doses = own(here.cache, "L1H1"), (-1, 0, 0.5, 1, 1.5, 2, 3)
lines = {"L1H1 itself": [], "all later parts": [], "the answer": [], "an understudy, drawn by hand": []}
for dose in doses:
    entries = changes(here, "L1H1", mean["L1H1"] + dose * (z - mean["L1H1"]))
    words, norm = float(entries.pop("L1H1")), float(entries.pop("norm"))
    later = float(sum(entries.values()))
    for name, number in zip(lines, (words, later, words + later + norm, max(0.0, -words))):
        lines[name].append(number)
puzzle.recall("change when L1H1 is doubled", found=lines["the answer"][doses.index(2)])
guess = puzzle.prediction("change when L1H1 is doubled")
titles = {"x_title": "dose of L1H1: 0 is off, 1 intact", "y_title": "change, logits"}
plots.lines(doses, lines, **titles, prediction=guess)

# %%
for name in ("L1H0", "L1H1", "L1H2", "L1H3"):
    z, average = own(code.cache, name), mean[name]
    doubled = share(code, name, average + 2 * (z - average))
    print(f"{name}: share answered when off {shares['its mean'][name]:.2f}, when doubled {doubled:.2f}")
by_place(2)
puzzle.recall("the story")

# %% [markdown]
# Nobody waits. The more L1H1 writes, at `x` or before, the harder they push: brakes.
# Switching off only takes away, and there a brake and an understudy look alike.
#
# ## Your own cast
#
# A lead and seven others speak, hand-set. You get what each wrote with the lead off, intact and doubled.
# Label the seven:
#
# - `"voter"`: says what it says, whatever the lead does.
# - `"understudy"`: says more, for the lead, when it is off, and only then.
# - `"brake"`: speaks against the lead, the more the lead speaks.
# - `"echo"`: speaks with the lead.
# - `"alarm"`: speaks up whenever the lead is not as usual.

# %% open="variant"
off, intact, doubled, direction = puzzle.variant("your name or id")
print([tuple(one.shape) for one in (off, intact, doubled, direction)])  # [part, batch, d_model]; part 0 leads

# %% stub="my_cast"
my_cast = ...  # a list of seven labels
### BEGIN SOLUTION
both = [responses(intact, after, direction, 0.0)[1:-1].mean(1) for after in (off, doubled)]
my_cast = []
for without, twice in zip(*both):
    if max(abs(without), abs(twice)) < 0.02:
        my_cast.append("voter")
    elif abs(twice) < 0.02:
        my_cast.append("understudy")
    elif twice > 0:
        my_cast.append("alarm" if without > 0 else "echo")
    else:
        my_cast.append("brake")
### END SOLUTION

# %% check="my_cast"
puzzle.check("my_cast", my_cast)
### BEGIN HIDDEN TESTS
puzzle.grade("my_cast", my_cast)
### END HIDDEN TESTS

# %% [markdown]
# ## Other models
#
# Ablate the early heads of `toy-ioi`: does anybody take over? Who is paid back in other models?
# With the Hub in reach, two are GPT-2, trained with dropout, and GPT-Neo, without.

# %%
rng = torch.Generator().manual_seed(0)
first, second, _ = torch.rand(100, len(tasks.NAMES), generator=rng).argsort(1).T[:3] + 1
fillers = torch.randint(tasks.WORDS.index("the"), len(tasks.WORDS), (100, 8), generator=rng)
windows = tasks.name_windows(first, second, torch.arange(100) % 2 == 0, fillers)
giving = scene(load_model("toy-ioi"), windows[:, :-1], windows[:, -1:], slice(15, 16))

# %%
early, right = ["L0H0", "L0H1", "L0H2", "L0H3"], windows[:, -1:]
for gone in ([], *([name] for name in early), early):
    off = [hook for name in gone for hook in put(name, own(giving.cache, name).mean(0))]
    logits = take_apart(giving.model, giving.tokens, off)[0][:, -1]
    others = logits.scatter(1, right, -torch.inf).max(1).values
    ahead = logits.gather(1, right).flatten() - others
    gained = f"{ahead.mean():z.2f} ahead of the likeliest other, {(ahead > 0).float().mean():.0%} right"
    print(f"toy-ioi, off: {', '.join(gone) or 'nothing'}; {gained}")


# %%
def loudest(scene, layer):
    """Of a layer's heads the one whose words vary most."""
    heads = {name: part for name, part in scene.parts.items() if name.startswith(f"L{layer}H")}
    return max(heads, key=lambda name: (heads[name][:, scene.at].flatten(0, 1) * scene.direction).sum(-1).std())


# %%
for name, instead in {"mini-deep": None, "gpt2": "mini-gpt2", "gpt-neo-125m": "mini-neo"}.items():
    other = read_code(load_model(name, fallback=instead))
    for layer in range(1, other.model.cfg.n_layers):
        head = loudest(other, layer)
        kinds = substitutes(other, head)
        off, noise = (share(other, head, kinds[kind]) for kind in ("its mean", "noise added"))
        print(f"{other.model.cfg.model_name}, {head}: paid back {off:z.2f}, noise {noise:z.2f}")

# %% [markdown]
# In the toy nobody takes over: one early head costs 4 to 6 logits, all four about the sum.
# Models of two layers pay nothing back. In eight, the loudest head of layer 2 gets 0.40, but noise there 0.36: a push against whatever is written.
# None of ours saw dropout, nor did GPT-Neo. If you have it here: did dropout make the backups?
#
# ## Explain
#
# A colleague writes: "We ablated the head with the largest attribution and the answer stayed. So the model has backups, which dropout taught it."
# Answer in three to five sentences: what else could it be, and which run decides?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# I write the ledger first: what the head took away, what each later part changed at the old scale, and what the norm's new scale did; others that say the same all the time do not move at all.
# If later parts pay back, they may be spares that wait or brakes that always speak against the head and now stop; an ablation cannot tell, because it only ever takes away.
# So I turn the head up: a spare has nothing to do then, a brake pushes back harder, and an alarm speaks both times.
# And I ablate one place at a time: the head writes at every place, and two effects may nearly cancel.
# In mini-python they are brakes, and it was trained without dropout.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Because one ablation did two things. At `x` it took 3.38 away, and two MLPs, which had been speaking against it, gave 2.61 back. At `(` it took away what makes two heads of layer 2 write the opposite. Off, they all stop. Doubled, they all push. Brakes, and nobody who waits. And where L1H1 speaks, it was missed: by 1.86.
#
# Four stories fit "nothing happens", and each has its test. Votes: nobody's words change. Louder: the norm's entry changes. Spares and brakes: later words change, and only a dose above one tells them apart. To turn a part up costs one more run; to split an ablation by place, two.
#
# A ledger reads later parts at the old scale; otherwise all that stay as they are seem to answer. And a share is a regression over all places: those where most was lost were picked by their loss.
#
# Part of self-repair elsewhere is of this kind: in GPT-2 Small a head that suppresses what earlier ones copied (McDougall et al.), in other models neurons of the last MLP that erase (Rushing and Nanda). What we did not find out is why training puts brakes behind a head, rather than have it say less.

# %% [markdown]
# ## Play: other prompts, parts and doses

# %% open="play"
text, a, b, name, dose = "for axis in axes[::-1]:\n    x", " =", ".", "L1H3", 0
tokens = model.to_tokens(text)
right, wrong = torch.tensor([model.to_single_token(token) for token in (a, b)]).view(2, 1, 1)
spot = scene(model, tokens, right, slice(-1, None), wrong)
new = mean[name] + dose * (own(spot.cache, name) - mean[name])
entries = {part: float(x) for part, x in changes(spot, name, new).items()}
plots.bars({part: x for part, x in entries.items() if abs(x) > 0.01}, y_title="change, logits")

# %% [markdown]
# ## Where next
#
# - *Freeze the norm*: what the scale alone can do.
# - *Any one can go*: heads that vote.
# - Problems 2.24 and 2.25: name movers in GPT-2 have backups (Wang et al., 2022). Double one: do they brake? And in GPT-Neo?
#
# McGrath et al.: The Hydra Effect (2023). Rushing and Nanda: Explorations of Self-Repair in Language Models (2024). McDougall et al.: Copy Suppression (2023).
