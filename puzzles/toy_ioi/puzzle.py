"""Borrowed names: what is asked, how it is checked, and what each wrong answer looks like."""

import functools
import math

import torch

from mechpuzzles import zoo
from mechpuzzles.drivers import with_model
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom
from mechpuzzles.zoo.tasks import NAMES, WORDS

KINDS = ("duplicate", "inhibition", "mover")
S2, END, MENTIONS, N_CTX = 12, 15, (6, 8), 16  # where toy-ioi's sentences say what

# ---- the oracle ---------------------------------------------------------------------------------------------------------


def slow_looks(pattern, query, key):
    batch, n_heads = pattern.shape[:2]
    attention, queries, keys = pattern.double().tolist(), query.tolist(), key.tolist()
    sums = [math.fsum(attention[i][h][queries[i]][keys[i]] for i in range(batch)) for h in range(n_heads)]
    return torch.tensor(sums, dtype=torch.float64) / batch


@functools.cache
def weights(name):
    from safetensors.torch import load_file

    return {key: tensor.double() for key, tensor in load_file(zoo.directory(name) / "model.safetensors").items()}


def normed(x, weight, bias):
    x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def walk(name, tokens, said=None, heard=None):
    """What each hook point of a bundled model without MLPs holds, and the last word's logits, computed in plain torch.

    ``said`` replaces the z of whole layers, ``heard`` is a hook point, positions, and what it holds there.
    """
    W, said, found = weights(name), said or {}, {}

    def held(site, value):
        if heard is not None and heard[0] == site:
            value = value.clone()
            value[:, heard[1]] = heard[2][:, heard[1]]
        found[site] = value
        return value

    resid = W["tok_embed.weight"][tokens] + W["pos.weight"][: tokens.shape[1]]
    hidden = torch.ones(tokens.shape[1], tokens.shape[1]).triu(1).bool()
    for layer in range(2):
        prefix = f"layers.{layer}."
        own = {key.removeprefix(prefix): tensor for key, tensor in W.items() if key.startswith(prefix)}
        x = normed(resid, own["ln1.weight"], own["ln1.bias"])
        q, k, v = (
            held(
                f"blocks.{layer}.attn.hook_{one}",
                (x @ own[f"attn.{one}.weight"].T + own[f"attn.{one}.bias"]).unflatten(-1, (4, -1)),
            )
            for one in "qkv"
        )
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / math.sqrt(q.shape[-1])
        pattern = scores.masked_fill(hidden, -math.inf).softmax(-1)
        z = said.get(layer, torch.einsum("bhqk,bkhd->bqhd", pattern, v))
        found["z", layer] = z
        resid = resid + z.flatten(2) @ own["attn.o.weight"].T + own["attn.o.bias"]
        resid = held(f"blocks.{layer}.hook_resid_post", resid)
    found["logits"] = normed(resid, W["ln_out.weight"], W["ln_out.bias"])[:, -1] @ W["head.weight"].T
    return found


def speaking(clean, changed, sender):
    """Each layer's z as on the clean run, but for one head at one position."""
    layer, head, pos = sender
    said = {each: clean["z", each].clone() for each in range(2)}
    said[layer][:, pos, head] = changed["z", layer][:, pos, head]
    return said


def listening(name, prompts, pos, receiver, heard):
    return walk(name, prompts, heard=(receiver, pos, heard))["logits"]


def slow_path_patch(name, prompts, others, sender, receiver):
    said = speaking(walk(name, prompts), walk(name, others), sender)
    return listening(name, prompts, sender[2], receiver, walk(name, prompts, said)[receiver])


def slow_earned(looks, acts, floor):
    labels = []
    for head in range(len(looks)):
        label = "none"
        for kind, name in enumerate(KINDS):
            if min(float(looks[head, kind]), float(acts[head, kind])) > floor:
                label = name
        labels.append(label)
    return labels


# ---- the inputs ---------------------------------------------------------------------------------------------------------


def looks_cases(rng):
    """Peaked causal attention; queries and keys differ from sentence to sentence."""
    for batch, n_heads, pos in ((4, 3, 7), (5, 2, 9)):
        scores = 2.0 * torch.randn(batch, n_heads, pos, pos, generator=rng)
        hidden = torch.ones(pos, pos).triu(1).bool()
        pattern = scores.masked_fill(hidden, -math.inf).softmax(-1)
        query = 2 + torch.randperm(pos - 3, generator=rng)[:batch]
        key = (torch.rand(batch, generator=rng) * query).long()
        yield Case((pattern, query, key))


def patch_cases(rng):
    """A listener before the last word, where toy-ioi looks; and the last residual stream, which tells whether layer 1 was held."""
    for at, receiver in ((S2, "blocks.1.attn.hook_v"), (END, "blocks.1.hook_resid_post")):
        prompts, others = torch.randint(1, len(WORDS), (2, 3, N_CTX), generator=rng)
        prompts[:, END] = WORDS.index("to")
        yield Case(("toy-ioi", prompts, others, (0, int(torch.randint(4, (), generator=rng)), at), receiver))


def earned_cases(rng):
    """Looks without acts, acts without looks, a look of one kind with the act of another, both tests failed as badly."""

    def between(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    for floor, n_more in ((0.1, 1), (0.25, 2)):
        present, twice, absent = torch.randperm(3, generator=rng).tolist()
        heads = [("both", present), ("both", twice), ("both", twice), ("none", absent), ("opposed", present)]
        heads += [("look", absent), ("act", absent), ("look", twice), ("act", present)]
        heads += [("crossed", absent), ("crossed", twice), ("slight look", present), ("slight act", twice)]
        heads += [(("look", "act")[i], present) for i in range(n_more)]
        heads = [heads[i] for i in torch.randperm(len(heads), generator=rng).tolist()]
        looks = 0.5 * floor * torch.rand(len(heads), 3, generator=rng)
        acts = 0.5 * floor * torch.rand(len(heads), 3, generator=rng)
        for row, (what, kind) in enumerate(heads):
            other = (kind + 1 + int(torch.randint(2, (), generator=rng))) % 3
            if what in ("both", "look", "crossed"):
                looks[row, kind] = between(0.6, 0.95)
            if what in ("both", "act"):
                acts[row, kind] = between(1.7 * floor, 0.55) if what == "both" else between(0.8, 1.6)
            if what.startswith("slight"):
                one, another = (looks, acts) if what == "slight look" else (acts, looks)
                one[row, kind], another[row, kind] = floor * between(1.3, 1.5), floor * between(0.1, 0.3)
            if what == "crossed":
                acts[row, other] = between(0.6, 1.2)
            if what == "opposed":
                looks[row, kind], acts[row, kind] = -between(0.6, 0.9), -between(0.6, 0.9)
        yield Case((looks, acts, floor))


# ---- hand-set models, the textbook's and the learner's own: a place in the stream for everything ------------------------

D_HEAD = 64
PLACES, PEOPLE = range(N_CTX), range(len(NAMES))
SIZES = {"word": len(WORDS), "place": N_CTX, "repeated place": N_CTX, "forbidden place": N_CTX}
SIZES |= {space: len(NAMES) for space in ("repeated name", "forbidden name", "unread", "answer")}
D_MODEL = sum(SIZES.values())
STARTS = dict(zip(SIZES, torch.tensor([0, *SIZES.values()]).cumsum(0).tolist(), strict=False))
STARTS["name"] = STARTS["word"] + 1  # the names follow the begin token


def axes(space, which):
    """A row [d_model] for each of these coordinates of a space."""
    rows = torch.zeros(len(which), D_MODEL)
    rows[range(len(which)), [STARTS[space] + i for i in which]] = 1.0
    return rows


def any_of(space, which):
    return axes(space, which).sum(0, keepdim=True)


class Head:
    """A head's weights, filled one channel of d_head after the other."""

    def __init__(self):
        self.q, self.k, self.v, self.o = (torch.zeros(D_HEAD, D_MODEL) for _ in range(4))
        self.matched = self.moved = 0

    def match(self, queries, keys, score):
        """Add so much to the score of a query in the i-th of these directions and a key in the i-th of those."""
        channels = slice(self.matched, self.matched + len(queries))
        self.q[channels], self.k[channels] = score * math.sqrt(D_HEAD) * queries, keys
        self.matched = channels.stop

    def move(self, read, written, gain):
        """Write, along the i-th of these directions, what the key holds along the i-th of those."""
        channels = slice(self.moved, self.moved + len(read))
        self.v[channels], self.o[channels] = read, gain * written
        self.moved = channels.stop


def looking(where, strength):
    """A head that looks where it says and, from elsewhere or in vain, mostly at the begin token."""
    head = Head()
    head.match(any_of("place", PLACES), any_of("word", [0]), 2.0)
    if where == "same name":  # its own place excepted
        head.match(axes("name", PEOPLE), axes("name", PEOPLE), strength)
        head.match(axes("place", PLACES), axes("place", PLACES), -strength)
        return head
    target = [S2] if where == "S2" else MENTIONS
    head.match(any_of("place", [S2 if where == "mentions, from S2" else END]), any_of("place", target), strength)
    if where == "allowed mentions":
        head.match(axes("forbidden place", PLACES), axes("place", PLACES), -1.5 * strength)
        head.match(axes("forbidden name", PEOPLE), axes("name", PEOPLE), -1.5 * strength)
    return head


HEADS = {  # where it looks, what it reads there, where it writes that, and how strongly
    "tells the place": ("same name", "place", "repeated place", 1.0),
    "tells the name": ("same name", "name", "repeated name", 1.0),
    "tells nobody": ("same name", "name", "unread", 1.0),
    "collects": ("mentions, from S2", "name", "repeated name", 1.0),
    "forbids the place": ("S2", "repeated place", "forbidden place", 1.0),
    "forbids the name": ("S2", "name", "forbidden name", 1.0),
    "forbids to nobody": ("S2", "name", "unread", 1.0),
    "pushes down": ("S2", "name", "answer", -0.4),
    "pushes down the repeated": ("S2", "repeated name", "answer", -1.0),
    "lifts the collected": ("S2", "repeated name", "answer", 0.8),
    "lifts": ("mentions", "name", "answer", 0.8),
    "moves": ("allowed mentions", "name", "answer", 1.0),
    "moves nothing": ("allowed mentions", "name", "unread", 1.0),
    "moves against": ("allowed mentions", "name", "answer", -0.3),
}
LOOK_ALIKE = {"same name": "duplicate", "S2": "inhibition", "allowed mentions": "mover"}
TEXTBOOK = (
    ("tells the place", "lifts", "tells nobody"),
    ("forbids the place", "pushes down", "forbids to nobody"),
    ("moves", "moves nothing", "moves against"),
)


class Own:
    """A model by its heads, and the names that they earn."""

    def __init__(self, rows, rng):
        self.rows = rows
        self.jitter = [[(0.95 + 0.1 * torch.rand(2, generator=rng)).tolist() for _ in row] for row in rows]
        self.inhibited = any(what.startswith("forbids the") for row in rows for what in row)

    @property
    def labels(self):
        return [self.label(what) for row in self.rows for what in row]

    def label(self, what):
        if what in ("tells the place", "tells the name"):
            return "duplicate"
        if what in ("forbids the place", "forbids the name"):
            return "inhibition"
        return "mover" if what == "moves" and self.inhibited else "none"

    @property
    def settings(self):
        """Those of a TransformerBridgeConfig."""
        return {
            "d_model": D_MODEL,
            "d_head": D_HEAD,
            "n_heads": len(self.rows[0]),
            "n_layers": len(self.rows),
            "n_ctx": N_CTX,
            "d_vocab": len(WORDS),
            "d_mlp": 4 * D_MODEL,
            "act_fn": "relu",
            "attn_only": True,
            "normalization_type": None,
        }

    @property
    def state(self):
        """The weights, under the names that TransformerLens's native model has for them."""
        state = {"tok_embed.weight": axes("word", range(len(WORDS))), "pos.weight": axes("place", PLACES)}
        state["head.weight"] = torch.zeros(len(WORDS), D_MODEL)
        state["head.weight"][1 : 1 + len(NAMES)] = 10 * axes("answer", PEOPLE)
        for layer, row in enumerate(self.rows):
            heads = [self.head(*one) for one in zip(row, self.jitter[layer], strict=True)]
            maps = {one: torch.cat([getattr(head, one) for head in heads]) for one in "qkvo"}
            maps["o"] = maps["o"].T.contiguous()
            for one, weight in maps.items():
                state[f"layers.{layer}.attn.{one}.weight"] = weight
                state[f"layers.{layer}.attn.{one}.bias"] = torch.zeros(len(weight))
        return state

    def head(self, what, jitter):
        where, read, written, gain = HEADS[what]
        head = looking(where, 5.0 * jitter[0])
        which = PLACES if read.endswith("place") else PEOPLE
        head.move(axes(read, which), axes(written, which), gain * jitter[1])
        return head


def own(rng):
    """All kinds, or all but a duplicate-token head, or only that; in each somebody is heard two layers on or more."""

    def one_of(*choices):
        return choices[int(torch.randint(len(choices), (), generator=rng))]

    plan = one_of("all", "no duplicate", "duplicate alone")
    if plan == "all":
        fixed = [("tells the place", 0), ("forbids the place", one_of(1, 2)), ("moves", 3), ("moves", 3)]
        free = [
            "pushes down",
            "lifts",
            one_of("tells nobody", "forbids to nobody"),
            one_of("moves nothing", "moves against"),
        ]
    elif plan == "no duplicate":
        fixed = [
            ("forbids the name", one_of(0, 1)),
            ("moves", 3),
            ("collects", one_of(0, 1)),
            ("lifts the collected", one_of(2, 3)),
        ]
        free = ["pushes down", "lifts", "tells nobody", one_of("moves nothing", "moves against", "forbids to nobody")]
    else:
        fixed = [("tells the name", 0), ("pushes down the repeated", one_of(2, 3)), ("moves", 3)]
        free = [
            "pushes down",
            "lifts",
            "forbids to nobody",
            one_of("moves", "tells nobody"),
            one_of("moves nothing", "lifts"),
        ]
    rows = [[what for what, layer in fixed if layer == each] for each in range(4)]
    free = [free[i] for i in torch.randperm(len(free), generator=rng).tolist()]
    rows = [[*row, *(free.pop() for _ in range(2 - len(row)))] for row in rows]
    return Own([row[:: one_of(1, -1)] for row in rows], rng)


def draw(rng):
    """Settings and weights of the textbook's model, the same for all, and those of the learner's."""
    return tuple((circuit.settings, circuit.state) for circuit in (Own(TEXTBOOK, torch.Generator()), own(rng)))


def own_case(rng):
    circuit = own(rng)
    return [Case((circuit,), want=circuit.labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------------


def one_by_one(pattern, query, key):
    """[head, batch]"""
    return torch.stack([attention[:, q, k] for attention, q, k in zip(pattern, query, key, strict=True)], dim=1)


LOOKS_SYMPTOMS = (
    Symptom.gives(
        "exchanged",
        lambda pattern, query, key: one_by_one(pattern, key, query).mean(1),
        says="Query and key are exchanged: this asks where the earlier word looks, and it cannot look ahead.",
    ),
    Symptom.gives(
        "every_pair",
        lambda pattern, query, key: pattern[:, :, query][..., key].mean((0, 2, 3)),
        lambda pattern, query, key: pattern[:, :, query, key].mean((0, 2)),
        says="Each sentence was read at the positions of all sentences. Sentence i has its own pair: index the batch axis as well.",
    ),
    Symptom.gives(
        "first_sentence",
        lambda pattern, query, key: pattern[:, :, query[0], key[0]].mean(0),
        says="The positions of the first sentence were used for all. They differ from sentence to sentence.",
    ),
    Symptom.gives(
        "last_query",
        lambda pattern, query, key: one_by_one(pattern, torch.full_like(query, pattern.shape[2] - 1), key).mean(1),
        says="This is always the last word's attention. The query is given, for each sentence.",
    ),
    Symptom.gives(
        "all_queries",
        lambda pattern, query, key: one_by_one(pattern.mean(2, keepdim=True), torch.zeros_like(query), key).mean(1),
        says="This is averaged over all queries. Only one word of each sentence is asked for.",
    ),
    Symptom.gives(
        "top_key",
        lambda pattern, query, key: torch.stack(
            [(p[:, q].argmax(-1) == k).double() for p, q, k in zip(pattern, query, key, strict=True)]
        ).mean(0),
        says="This counts how often the key is the most attended. Asked for is how much attention it gets.",
    ),
    Symptom.gives(
        "largest",
        lambda pattern, query, key: one_by_one(pattern, query, key).amax(1),
        says="This is the most attentive sentence. Take the mean.",
    ),
    Symptom.gives(
        "median",
        lambda pattern, query, key: one_by_one(pattern, query, key).median(1).values,
        says="This is the median over the sentences. Take the mean.",
    ),
    Symptom.gives(
        "summed",
        lambda pattern, query, key: one_by_one(pattern, query, key).sum(1),
        says="This is the sum over {batch} sentences: more sentences, more attention. Take the mean.",
    ),
    Symptom.gives(
        "sentences_kept",
        lambda pattern, query, key: one_by_one(pattern, query, key),
        lambda pattern, query, key: one_by_one(pattern, query, key).T,
        says="There is one number for each sentence and head. Average over the sentences.",
    ),
    Symptom.gives(
        "heads_averaged",
        lambda pattern, query, key: one_by_one(pattern, query, key).mean(0),
        lambda pattern, query, key: one_by_one(pattern, query, key).mean(),
        says="The heads are averaged. Keep one number for each head. Which axis comes first after indexing?",
    ),
)


def heard_if(speak, tokens=None):
    """The logits if the z's of the first run were others."""

    def wrong(name, prompts, others, sender, receiver):
        clean, changed = walk(name, prompts), walk(name, others)
        run = walk(name, others if tokens == "others" else prompts, speak(clean, changed, sender))
        return listening(name, prompts, sender[2], receiver, run[receiver])

    return wrong


def only_sender(clean, changed, sender):
    return {sender[0]: speaking(clean, changed, sender)[sender[0]]}


def in_every_layer(clean, changed, sender):
    return {layer: speaking(clean, changed, (layer, *sender[1:]))[layer] for layer in range(2)}


def whole_layer(clean, changed, sender):
    return speaking(clean, changed, (sender[0], slice(None), sender[2]))


def switched_off(clean, changed, sender):
    return speaking(clean, {("z", sender[0]): 0 * changed["z", sender[0]]}, sender)


def by_the_last(clean, changed, sender):
    last = speaking(clean, changed, sender)[1]
    return {0: last, 1: last}


def at_the_end(name, prompts, others, sender, receiver):
    return slow_path_patch(name, prompts, others, (*sender[:2], prompts.shape[1] - 1), receiver)


def everywhere(name, prompts, others, sender, receiver):
    sender = (*sender[:2], slice(None))
    return slow_path_patch(name, prompts, others, sender, receiver)


PATCH_SYMPTOMS = (
    Symptom(
        "every_word",
        lambda got, want, *inputs: got.ndim == 3,
        says="The logits after every word came back. Asked for are those after the last: [batch, d_vocab].",
    ),
    Symptom.gives(
        "nothing_changed",
        lambda name, prompts, others, sender, receiver: walk(name, prompts)["logits"],
        says="The logits are those of `prompts`, unpatched. Are the z's still held while the receiver should be heard, "
        "was the sender's z overwritten by the clean one, or was the receiver read too early?",
    ),
    Symptom.gives(
        "exchanged",
        lambda name, prompts, others, sender, receiver: slow_path_patch(name, others, prompts, sender, receiver),
        says="Prompts and others are exchanged: the model should read `prompts`, and one head speak as on `others`.",
    ),
    Symptom.gives(
        "difference",
        lambda *inputs: slow_path_patch(*inputs) - walk(*inputs[:2])["logits"],
        says="This is the change of the logits. Return the patched logits themselves.",
    ),
    Symptom.gives(
        "between_not_held",
        heard_if(only_sender),
        says="Where the receiver is further on, the heads between hear the sender and answer to it: the path is no longer alone. Hold every other z at its clean value.",
    ),
    Symptom.gives(
        "everybody_hears",
        lambda name, prompts, others, sender, receiver: walk(
            name, prompts, only_sender(walk(name, prompts), walk(name, others), sender)
        )["logits"],
        says="Everybody hears the sender: this is activation patching, the total effect. Record what the receiver hears, then patch the receiver in a run of its own.",
    ),
    Symptom.gives(
        "receiver_as_on_others",
        lambda name, prompts, others, sender, receiver: listening(
            name, prompts, sender[2], receiver, walk(name, others)[receiver]
        ),
        says="The receiver is as on `others`, whoever told it. It should hear one head from there, and all else as on `prompts`.",
    ),
    Symptom.gives(
        "heard_on_others",
        heard_if(speaking, tokens="others"),
        says="The receiver listens in a run on `others`, so their words reach it as well. The first run, too, is on `prompts`.",
    ),
    Symptom.gives(
        "others_exchanged",
        heard_if(lambda clean, changed, sender: speaking(changed, clean, sender)),
        says="All heads speak as on `others`, except the sender. It is to be the other way round.",
    ),
    Symptom.gives(
        "all_speak",
        heard_if(lambda clean, changed, sender: {0: changed["z", 0], 1: changed["z", 1]}),
        says="All heads of all layers speak as on `others`. Only the sender should.",
    ),
    Symptom.gives(
        "whole_layer",
        heard_if(whole_layer),
        says="All heads of the sender's layer speak as on `others`. z is [batch, pos, head, d_head]: index the head, too.",
    ),
    Symptom.gives(
        "in_every_layer",
        heard_if(in_every_layer),
        says="The head of that number speaks as on `others` in every layer. The sender has one layer.",
    ),
    Symptom.gives(
        "one_z_for_all",
        heard_if(by_the_last),
        says="Every layer got the last layer's z: hooks made in a loop all see the loop's last value. Bind it, by a default argument or a function that makes the hook.",
    ),
    Symptom.gives(
        "switched_off",
        heard_if(switched_off),
        says="The sender is silent, its z zero. It should speak as on `others`.",
    ),
    Symptom.gives(
        "at_the_end",
        at_the_end,
        says="Sender and receiver are patched at the last word. The position is given, and may be an earlier one.",
    ),
    Symptom.gives(
        "everywhere",
        everywhere,
        says="The head speaks, and the receiver listens, at every word. Patch position `pos` alone.",
    ),
)


def by(rule):
    """The labels that another rule for one head would give, in place of both tests."""

    def wrong(looks, acts, floor):
        found = []
        for look, act in zip(looks.tolist(), acts.tolist(), strict=True):
            found.append(next((KINDS[i] for i in rule(look, act, floor)), "none"))
        return found

    return wrong


def where(holds):
    """The columns for which this holds, first to last."""
    return by(lambda look, act, floor: [i for i in range(3) if holds(look[i], act[i], floor)])


def best_of_each(looks, acts, floor, score=lambda look, act: look + act):
    found = ["none"] * len(looks)
    for i, kind in enumerate(KINDS):
        scores = [score(*pair) for pair in zip(looks[:, i].tolist(), acts[:, i].tolist(), strict=True)]
        found[scores.index(max(scores))] = kind
    return found


def crossed(look, act, floor, first):
    ways = [[i for i in range(3) if one[i] > floor] for one in (look, act)]
    return ways[first] if all(ways) else []


EARNED_SYMPTOMS = (
    Symptom(
        "one_per_kind",
        lambda got, want, looks, acts, floor: len(got) != len(want),
        says="Give one label for each of the {n_heads} heads, and not one for each kind.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *inputs: not set(got) <= {*KINDS, "none"},
        says='The labels are "duplicate", "inhibition", "mover" and "none", spelt so.',
    ),
    Symptom.gives(
        "by_looks",
        where(lambda look, act, floor: look > floor),
        by(lambda look, act, floor: [look.index(max(look))] if max(look) > floor else []),
        says="The look alone decides. Some heads look the part and nobody hears them, or they do something else.",
    ),
    Symptom.gives(
        "by_acts",
        where(lambda look, act, floor: act > floor),
        by(lambda look, act, floor: [act.index(max(act))] if max(act) > floor else []),
        says="The act alone decides. Some heads have the effect without the look: they come by it in another way.",
    ),
    Symptom.gives(
        "either",
        where(lambda look, act, floor: look > floor or act > floor),
        where(lambda look, act, floor: max(look, act) > floor),
        says="One test of the two suffices here. A name takes both.",
    ),
    Symptom.gives(
        "crossed",
        by(lambda look, act, floor: crossed(look, act, floor, 0)),
        by(lambda look, act, floor: crossed(look, act, floor, 1)),
        says="Some heads have the look of one kind and the act of another, and you name them all the same. Both tests must be passed in one column.",
    ),
    Symptom.gives(
        "made_up_for",
        where(lambda look, act, floor: (look + act) / 2 > floor),
        where(lambda look, act, floor: look + act > floor),
        where(lambda look, act, floor: look * act > floor**2),
        says="A high score in one test makes up for a low one in the other: it was averaged, added or multiplied. Each must pass the floor by itself.",
    ),
    Symptom.gives(
        "sizes",
        where(lambda look, act, floor: abs(look) > floor and abs(act) > floor),
        says="Signs are lost. A head that looks elsewhere, or whose message helps the other way, has not passed.",
    ),
    Symptom.gives(
        "best_of_each",
        best_of_each,
        lambda *inputs: best_of_each(*inputs, score=min),
        lambda *inputs: best_of_each(*inputs, score=lambda look, act: look * act),
        lambda *inputs: best_of_each(*inputs, score=lambda look, act: look),
        says="Each kind went to its best head. There is always a best: a kind may be absent, or have two heads.",
    ),
    Symptom.gives(
        "always_a_name",
        *(
            by(lambda look, act, floor, score=score: [max(range(3), key=lambda i: score(look[i], act[i]))])
            for score in (lambda look, act: look + act, lambda look, act: look * act, min, max)
        ),
        says="Every head gets its best kind. Most heads are of none.",
    ),
    Symptom.gives(
        "own_floor",
        *(
            where(lambda look, act, _, own=own: look > own and act > own)
            for own in (0.0, 0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.5)
        ),
        says="The floor is a number of yours. Use the one that is given.",
    ),
    Symptom.gives(
        "upside_down",
        lambda looks, acts, floor: slow_earned(looks, acts, floor)[::-1],
        says="The labels are in reverse order: the first belongs to row 0.",
    ),
)


def listed(circuit, rule):
    """Labels by a rule for one head."""
    numbered = [(layer, what) for layer, row in enumerate(circuit.rows) for what in row]
    return [rule(circuit, layer, what) for layer, what in numbered]


def looks_like(circuit, layer, what):
    """The kind that a head's attention suggests; without an inhibition before, movers look at both mentions."""
    kind = LOOK_ALIKE.get(HEADS[what][0], "none")
    before = [one for row in circuit.rows[:layer] for one in row]
    return "none" if kind == "mover" and not any(one.startswith("forbids the") for one in before) else kind


def mistaken(circuit, got, given, true):
    """Every mistake is to call what is of these one of those."""
    wrong = [
        (g, w, t)
        for g, w, t in zip(got, circuit.labels, [what for row in circuit.rows for what in row], strict=True)
        if g != w
    ]
    return all(g in given and (w in true or t in true) for g, w, t in wrong)


def own_symptom(name, when, says):
    return Symptom(name, lambda got, want, circuit: len(got) == len(want) and bool(when(list(got), circuit)), says)


OWN_SYMPTOMS = (
    Symptom(
        "not_one_per_head",
        lambda got, want, circuit: len(got) != len(want),
        says="Give one label for each of the eight heads: L0H0, L0H1, L1H0, and so on.",
    ),
    own_symptom(
        "other_words",
        lambda got, circuit: not set(got) <= {*KINDS, "none"},
        says='The labels are "duplicate", "inhibition", "mover" and "none", spelt so.',
    ),
    own_symptom(
        "by_looks",
        lambda got, circuit: got == listed(circuit, looks_like),
        says="Your labels follow the looks. At least one of these heads is not heard where its name implies: patch the path.",
    ),
    own_symptom(
        "writes_to_the_logits",
        lambda got, circuit: mistaken(
            circuit, got, {"inhibition"}, {"pushes down", "pushes down the repeated", "lifts the collected"}
        ),
        says="A head that looks at S2 and writes to the logits is called inhibition. That kind tells later heads where not to look: who listens to yours?",
    ),
    own_symptom(
        "fails_as_mover",
        lambda got, circuit: mistaken(
            circuit, got, {"mover"}, {"lifts", "lifts the collected", "moves", "moves against", "moves nothing"}
        ),
        says="Some head that fails one of the two tests is called a mover: it does not look at IO more than at S1, "
        "or what it writes does not lift IO.",
    ),
    own_symptom(
        "kinds_exchanged",
        lambda got, circuit: (
            got == [{"duplicate": "inhibition", "inhibition": "duplicate"}.get(one, one) for one in circuit.labels]
        ),
        says="Duplicate and inhibition are exchanged: the first looks from S2, the second from END.",
    ),
    own_symptom(
        "another_order",
        lambda got, circuit: got in (circuit.labels[::-1], circuit.labels[::2] + circuit.labels[1::2]),
        says="The right names in another order: layer by layer, L0H0, L0H1, L1H0, and so on.",
    ),
    own_symptom(
        "one_of_each",
        lambda got, circuit: all(got.count(kind) == 1 for kind in KINDS),
        says="Each name is given once, as in the textbook. In yours a kind may be missing, or have two heads.",
    ),
    own_symptom(
        "missed",
        lambda got, circuit: mistaken(circuit, got, {"none"}, set(KINDS)),
        says="The names you give are right, and at least one more is earned. A listener need not sit in the very next layer.",
    ),
)

PUZZLE = Puzzle(
    slug="toy_ioi",
    title="Borrowed names",
    question="The famous circuit has three kinds of heads. Does a toy trained on the task have them?",
    principle="A name borrowed from another circuit is a hypothesis with criteria, not a label: "
    "a head earns it by passing tests that look-alikes fail.",
    minutes=45,
    models=("toy-ioi",),
    after=("induction_heads", "which_corruption"),
    problems={"3.18": "path_patch", "3.19": "earned", "4.23": "path_patch", "6.13": "path_patch", "6.24": "earned"},
    draw=draw,
    parts=(
        Part(
            name="looks",
            takes=("batch head query_pos key_pos", "batch", "batch"),
            returns="head",
            points=1,
            cases=looks_cases,
            spec=slow_looks,
            symptoms=LOOKS_SYMPTOMS,
            hints=(
                "For sentence i alone it is pattern[i, :, query[i], key[i]], one number for each head.",
                "torch.arange(len(pattern)) in the place of i takes all sentences at once. Which axis does the slice of heads end up on?",
            ),
            meaning="Where a head looks. What comes of it is another question.",
        ),
        Part(
            name="path_patch",
            takes=("", "batch pos", "batch pos", "", ""),
            returns="batch d_vocab",
            points=3,
            cases=patch_cases,
            spec=slow_path_patch,
            symptoms=PATCH_SYMPTOMS,
            driver=with_model,
            hints=(
                "Two caches first, of prompts and of others. From them, one z for each layer: the clean one, with one head at one position exchanged.",
                "The first run, on prompts, has a hook at every layer's hook_z; run_with_cache inside `with model.hooks(...)` records what the receiver hears.",
                "The second run, on prompts again, has one hook, at the receiver: put(heard, pos).",
            ),
            meaning="One sender, one listener, everybody else as before: a claim about a wire, not about a head.",
        ),
        Part(
            name="earned",
            takes=("n_heads kind", "n_heads kind", ""),
            returns="n_heads",
            points=2,
            cases=earned_cases,
            spec=slow_earned,
            symptoms=EARNED_SYMPTOMS,
            kind="label",
            hints=(
                "Compare each table with the floor by itself. Where are both above it?",
                "Each row of (looks > floor) & (acts > floor) has at most one True. Which column is it in, if any?",
            ),
            meaning="A test, and not a ranking: it can find nobody.",
        ),
        Part(
            name="my_heads",
            takes=(),
            returns="n_heads",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "tests(mine) asks the next layer alone. Which heads have a look and no act?",
                "For those, act(mine, kind, sender, receiver) with the receiver in each later layer: blocks.2, blocks.3.",
            ),
            meaning="Each name says where a head looks, what it says, and who listens. Yours have been asked all three.",
        ),
    ),
    predictions=(
        Prediction("L1H2", choices=("S-inhibition", "name mover", "both", "neither"), right="neither"),
        Prediction("lift of S, at word 12 alone", between=(-20, 20), within=2),
        Prediction("kinds in another toy", choices=("none", "one", "two", "three"), right="two"),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A ranking always has a top: it names three heads in any model, also in one without the kind. A test needs a floor that nobody may pass.",
                "Looking at IO is half: patch the path from the head to the logits and see whether IO is lifted; look-alikes write nothing, or against.",
                "The test must be able to say yes and no: a model with the kind put in, and look-alikes. "
                "And the task may be done in another way, which is to be described and not named.",
            ),
        ),
    ),
)
