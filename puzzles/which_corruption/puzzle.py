"""A circuit for what: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom
from mechpuzzles.zoo.tasks import FILLERS, NAMES, WORDS

MENTIONS, GIVER = (6, 8), 12  # where the two names are mentioned, and who gives
VARIABLES = ("receiver", "giver", "order")

# ---- the oracle: a prompt is taken apart into its variables, one of them is changed, and it is written down again ------


def roles_of(prompt):
    """Who receives, who gives, and whether the giver is mentioned first."""
    words = prompt.tolist()
    giver = words[GIVER]
    first = words[MENTIONS[0]] == giver
    return words[MENTIONS[1] if first else MENTIONS[0]], giver, first


def written(prompt, receiver, giver, first):
    words = prompt.tolist()
    words[MENTIONS[0]], words[MENTIONS[1]] = (giver, receiver) if first else (receiver, giver)
    words[GIVER] = giver
    return torch.tensor(words)


def slow_matched_corruption(prompt, variable, name):
    receiver, giver, first = roles_of(prompt)
    changed = {
        "receiver": (name, giver, first),
        "giver": (receiver, name, first),
        "order": (receiver, giver, not first),
    }
    return written(prompt, *changed[variable])


def slow_effect_table(clean, corrupted, patched):
    """Sums instead of means: the number of prompts cancels."""
    clean, corrupted, patched = clean.double().tolist(), corrupted.double().tolist(), patched.double().tolist()
    turned = math.fsum(clean) - math.fsum(corrupted[0])
    columns = [[1 - (math.fsum(node) - math.fsum(clean) + turned) / turned for node in nodes] for nodes in patched]
    return torch.tensor([list(row) for row in zip(*columns, strict=True)], dtype=torch.float64)


def slow_carries(table, floor):
    said = []
    for row in table.double():
        above = (row[1:] ** 2 > floor**2).tolist()
        said.append("+".join(VARIABLES[i] for i in range(3) if above[i]) if any(above) else "unseen")
    return said


# ---- the inputs ---------------------------------------------------------------------------------------------------------


def some_prompt(rng, first):
    """A sentence like those of toy-ioi, and a third name."""
    receiver, giver, name = (1 + torch.randperm(len(NAMES), generator=rng)[:3]).tolist()
    words = (WORDS.index(FILLERS[0]) + torch.randint(len(FILLERS), (16,), generator=rng)).tolist()
    for pos, word in ((0, "<begin>"), (7, "and"), (9, "went"), (13, "gave"), (15, "to")):
        words[pos] = WORDS.index(word)
    return written(torch.tensor(words), receiver, giver, first), name


def corruption_cases(rng):
    for variable in VARIABLES:
        for first in (True, False):
            prompt, name = some_prompt(rng, first)
            yield Case((prompt, variable, name))


def table_cases(rng):
    """Uneven prompts; effects below 0 and above 1; ends of the later corruptions close to the clean one, not equal."""
    for n_corruptions, n_nodes, n_prompts in ((4, 5, 9), (3, 6, 7)):
        clean = 6 + 5 * torch.rand(n_prompts, generator=rng)
        turned = 5 + 14 * torch.rand(n_prompts, generator=rng)
        share = 0.1 + 0.5 * torch.rand(n_corruptions, n_nodes, 1, generator=rng)
        share[:, 1], share[:, 2] = -0.3 - 0.2 * share[:, 1], 1.2 + 0.2 * share[:, 2]
        lean = (turned / turned.mean() - 1) * (0.6 + share)  # the larger the way, the larger the share of it
        noise = 1.5 * torch.randn(n_corruptions, n_nodes, n_prompts, generator=rng)
        gaps = (0.5 + 0.4 * torch.rand(n_corruptions, 1, generator=rng)) * torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])[
            :n_corruptions
        ]
        ends = clean - gaps - 0.1 * torch.rand(n_corruptions, n_prompts, generator=rng)
        ends[0] = clean - turned
        yield Case((clean, ends, clean - (share + lean) * turned + noise))


def carries_cases(rng):
    """Every set of variables with every sign somewhere; the column of roles says nothing about the others."""
    for n_nodes, floor in ((11, 0.03), (13, 0.15)):
        bits = torch.tensor([[i >> 2 & 1, i >> 1 & 1, i & 1] for i in range(8)])
        more = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 1]])
        which = torch.cat([bits, more])[:n_nodes]
        which = which[torch.randperm(n_nodes, generator=rng)]
        size = torch.where(
            which > 0, 1.7 + 1.5 * torch.rand(n_nodes, 3, generator=rng), 0.6 * torch.rand(n_nodes, 3, generator=rng)
        )
        sign = torch.where(torch.rand(n_nodes, 3, generator=rng) < 0.5, -1.0, 1.0)
        sign[which.sum(1).argmax()] = torch.tensor([1.0, -1.0, 1.0])
        roles = torch.tensor([0.0, 0.9])[torch.arange(n_nodes) % 2] + 0.5 * floor * torch.rand(n_nodes, generator=rng)
        yield Case((torch.cat([roles[:, None], floor * size * sign], dim=1), floor))


# ---- the learner's own circuit ------------------------------------------------------------------------------------------

SHARED = (7, 9, 13, 15)  # "and", "went", "gave", "to": words that all prompts have in common


class Circuit:
    """Eight hand-set heads that read prompts like those of toy-ioi."""

    n_heads = 8

    def __init__(self, kinds, weights, word):
        self._kinds, self._weights, self._word = kinds, weights, word

    def __call__(self, prompts, source=None, heads=()):
        """Logits after the last word, [n, d_vocab]; `heads` take their activations from a run on `source`."""
        acts = self._activations(prompts, {})
        if source is not None:
            there = self._activations(source, {})
            acts = self._activations(prompts, {head: there[head] for head in heads})
        of = {kind: [h for h in range(self.n_heads) if self._kinds[h] == kind] for kind in set(self._kinds)}
        names = sum(self._weights[h] * acts[h] for kind in ("giver", "receiver", "receiver+giver") for h in of[kind])
        heard = sum(acts[h] for h in of["shared"])  # 1 where the shared word is there
        shift = sum(self._weights[h] * acts[h] for h in of["uninvolved"])  # the same for every word
        return 6 * (0.2 + 0.8 * heard) * names + shift

    def _activations(self, prompts, given):
        """Each head's activation, or the given one; the heads that copy by place listen to those that tell the place."""
        one_hot = torch.nn.functional.one_hot(prompts, len(WORDS)).float()
        first, second, giver = one_hot[:, MENTIONS[0]], one_hot[:, MENTIONS[1]], one_hot[:, GIVER]
        early = {
            "order": (prompts[:, GIVER] == prompts[:, MENTIONS[0]]).float()[:, None],
            "giver": -giver,
            "receiver+giver": first + second,
            "shared": (prompts[:, [self._word]] == WORDS.index(_word_at(self._word))).float(),
            "uninvolved": prompts[:, [MENTIONS[0]]] / len(WORDS) - prompts[:, [GIVER]] / len(WORDS),
        }
        acts = {h: given.get(h, early[kind]) for h, kind in enumerate(self._kinds) if kind != "receiver"}
        told = [h for h, kind in enumerate(self._kinds) if kind == "order"]
        place = sum(self._weights[h] * acts[h] for h in told) / sum(self._weights[h] for h in told)
        copied = place * second + (1 - place) * first
        return acts | {h: given.get(h, copied) for h, kind in enumerate(self._kinds) if kind == "receiver"}


def _word_at(pos):
    return {7: "and", 9: "went", 13: "gave", 15: "to"}[pos]


def draw(rng):
    """A circuit with a head of every kind, and two more.

    Heads that copy the receiver outweigh those that push the giver down, so that a wrong place turns the answer.
    """
    kinds = ["receiver", "giver", "receiver+giver", "order", "shared", "uninvolved"]
    more = ["receiver", "giver", "receiver+giver", "uninvolved"]
    kinds += [more[i] for i in torch.randperm(len(more), generator=rng)[:2]]
    kinds = [kinds[i] for i in torch.randperm(len(kinds), generator=rng)]
    of_kind = {"receiver": 1.5, "giver": 0.9}
    weights = [of_kind.get(kind, 0.7) / (kinds.count(kind) if kind in of_kind else 1) for kind in kinds]
    weights = [weight * (0.9 + 0.2 * float(torch.rand((), generator=rng))) for weight in weights]
    return Circuit(tuple(kinds), tuple(weights), SHARED[int(torch.randint(len(SHARED), (), generator=rng))])


def own_case(rng):
    circuit = draw(rng)
    return [Case((circuit,), want=list(circuit._kinds))]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------------


def changed(prompt, **words):
    """The prompt with other words at some positions, named `at_6` and so on."""
    out = prompt.clone()
    for at, word in words.items():
        out[int(at.removeprefix("at_"))] = word
    return out


def only(variable, wrong):
    """The truth, but for one variable something else."""
    return lambda want, prompt, v, name: wrong(prompt, name) if v == variable else want


def where_giver_is(prompt):
    return MENTIONS[0] if roles_of(prompt)[2] else MENTIONS[1]


def where_receiver_is(prompt):
    return MENTIONS[1] if roles_of(prompt)[2] else MENTIONS[0]


def put_at(prompt, pos, word):
    return changed(prompt, **{f"at_{pos}": word})


def as_if_giver_were(first):
    """Positions taken from one sentence, for another in which the other name gives."""
    of_receiver, of_giver = (MENTIONS[1], MENTIONS[0]) if first else MENTIONS

    def wrong(want, prompt, variable, name):
        if variable == "order":
            return want
        return (
            put_at(prompt, of_receiver, name)
            if variable == "receiver"
            else put_at(put_at(prompt, of_giver, name), GIVER, name)
        )

    return wrong


def elsewhere(prompt):
    return [pos for pos in range(len(prompt)) if pos not in (*MENTIONS, GIVER)]


CORRUPTION_SYMPTOMS = (
    Symptom(
        "other_words",
        lambda got, want, prompt, v, name: (
            got.shape == want.shape and not torch.equal(got[elsewhere(prompt)], prompt[elsewhere(prompt)])
        ),
        says="Words changed that are no names. Only positions 6, 8 and 12 hold names, counted from 0.",
    ),
    Symptom(
        "nothing_changed",
        lambda got, want, prompt, v, name: torch.equal(got, prompt),
        says="The prompt came back as it was. Each of the three variables shows in at least one word.",
    ),
    Symptom.from_truth(
        "giver_left_behind",
        only("giver", lambda prompt, name: put_at(prompt, where_giver_is(prompt), name)),
        says="The giver has a new name where they are mentioned, but word 12 still has the old one: "
        "now somebody gives who was never mentioned, and the receiver is anybody's guess.",
    ),
    Symptom.from_truth(
        "mention_left_behind",
        only("giver", lambda prompt, name: put_at(prompt, GIVER, name)),
        says="The giver has a new name at word 12 only. Three people are in the sentence now, and two of them could receive: "
        "that is more than another name for the giver.",
    ),
    Symptom.from_truth(
        "order_by_roles",
        only("order", lambda prompt, name: put_at(prompt, GIVER, roles_of(prompt)[0])),
        says="For the order, the other one gives. The giver's place did change, but so did who gives, who receives, and the answer.",
    ),
    Symptom.from_truth(
        "order_and_roles",
        only(
            "order", lambda prompt, name: written(prompt, roles_of(prompt)[1], roles_of(prompt)[0], roles_of(prompt)[2])
        ),
        says="The mentions changed places, and word 12 changed as well. Now the other one gives: keep the giver, change the order.",
    ),
    Symptom(
        "one_name_twice",
        lambda got, want, prompt, v, name: v == "order" and got[MENTIONS[0]] == got[MENTIONS[1]],
        says="Both mentions are the same name now: the first was overwritten before it was read. "
        "Entries of a tensor are views, so even a, b = b, a does this.",
    ),
    Symptom(
        "renamed_in_order",
        lambda got, want, prompt, v, name: v == "order" and bool((got == name).any()),
        says="For the order nobody needs a new name: the new name is in the sentence, so two variables changed.",
    ),
    Symptom.from_truth(
        "always_second",
        as_if_giver_were(first=False),
        says="Right where the second name gives. Where the first one gives, you renamed the wrong person: word 12 says who gives.",
    ),
    Symptom.from_truth(
        "always_first",
        as_if_giver_were(first=True),
        says="Right where the first name gives. Where the second one gives, you renamed the wrong person: word 12 says who gives.",
    ),
    Symptom(
        "receiver_and_giver_swapped",
        lambda got, want, prompt, v, name: (
            v != "order"
            and torch.equal(got, slow_matched_corruption(prompt, {"receiver": "giver", "giver": "receiver"}[v], name))
        ),
        says="Receiver and giver are mixed up. Word 12 gives; the receiver is the other name.",
    ),
    Symptom(
        "both_renamed",
        lambda got, want, prompt, v, name: v != "order" and got[MENTIONS[0]] == name and got[MENTIONS[1]] == name,
        says="Both people got the new name: two variables changed, and nobody is left to tell apart.",
    ),
)


def whole_way(clean, corrupted):
    """How far roles moves the margin."""
    return (clean - corrupted[0]).mean()


TABLE_SYMPTOMS = (
    Symptom.gives(
        "own_ends",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / (clean - corrupted).mean(-1, keepdim=True)).T,
        says="Each corruption was divided by its own way. Where both prompts have the same answer that way is near zero, "
        "and the ratio is noise. Use the way of row 0 for all.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, *inputs: want.T,
        says="Right, but lying on its side: one row for each of the nodes, one column for each corruption.",
    ),
    Symptom.from_truth(
        "reshaped",
        lambda want, *inputs: want.T.reshape(want.shape),
        says="The right numbers in the wrong places: reshape keeps their order and cuts it anew. Turn the table with .T instead.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, *inputs: -want,
        says="The sign is turned. A patch that turns the answer round should read 1: it lowers the margin.",
    ),
    Symptom.from_truth(
        "what_is_left",
        lambda want, *inputs: 1 - want,
        says="This is how far the patched run still is from the corrupted one. No change should read 0: measure from clean.",
    ),
    Symptom.gives(
        "from_own_corrupted",
        lambda clean, corrupted, patched: ((patched - corrupted[:, None]).mean(-1) / whole_way(clean, corrupted)).T,
        says="This measures from the corrupted run. The patch was put into the clean one: no change should read 0.",
    ),
    Symptom.gives(
        "mean_of_ratios",
        lambda clean, corrupted, patched: ((clean - patched) / (clean - corrupted[0])).mean(-1).T,
        says="These are means of each prompt's own ratio: a prompt with a short way counts most, and one with none would be infinite. "
        "Average the ways first, then divide.",
    ),
    Symptom.gives(
        "unnormalised",
        lambda clean, corrupted, patched: (clean - patched).mean(-1).T,
        says="These are logits. Divide by the unit, so that another model or another metric can be compared.",
    ),
    Symptom.gives(
        "divided_by_clean",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / clean.mean()).T,
        says="Divided by the clean margin. That is the way to a margin of zero, to indecision; the unit goes on to the other answer.",
    ),
    Symptom.gives(
        "divided_by_corrupted",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / corrupted[0].mean()).T,
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / corrupted[0].mean().abs()).T,
        says="Divided by the margin under roles. The unit is a difference of two margins: from clean to there.",
    ),
    Symptom.gives(
        "last_row_as_unit",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / (clean - corrupted[-1]).mean()).T,
        says="The unit was taken from the last row. Row 0 is roles, the one that turns the answer round.",
    ),
    Symptom.gives(
        "mean_end_as_unit",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1) / (clean - corrupted).mean()).T,
        says="The unit is a mean over all corruptions, most of which hardly move the answer. Take row 0 alone.",
    ),
    Symptom.gives(
        "absolute",
        lambda clean, corrupted, patched: ((clean - patched).mean(-1).abs() / whole_way(clean, corrupted)).T,
        says="The signs are lost. A patch may raise the margin, and that is a negative effect.",
    ),
    Symptom.gives(
        "absolute_before_mean",
        lambda clean, corrupted, patched: ((clean - patched).abs().mean(-1) / whole_way(clean, corrupted)).T,
        says="The changes lost their signs before they were averaged, so that noise adds up instead of cancelling.",
    ),
    Symptom.from_truth(
        "clipped",
        lambda want, *inputs: want.clamp(0, 1),
        says="The effects were cut off at 0 and 1. Those beyond are real.",
    ),
    Symptom.gives(
        "median",
        lambda clean, corrupted, patched: ((clean - patched).median(-1).values / (clean - corrupted[0]).median()).T,
        lambda clean, corrupted, patched: ((clean - patched).median(-1).values / whole_way(clean, corrupted)).T,
        says="These are medians over the prompts. Asked for are means.",
    ),
    Symptom.from_truth(
        "made_to_add",
        lambda want, *inputs: want / want.sum(0),
        says="Each column was scaled to sum to 1, as if nodes had to share the effect out. They need not.",
    ),
    Symptom(
        "per_prompt",
        lambda got, want, *inputs: got.ndim == 3,
        says="One number for each prompt came back. Average over the {prompt} prompts.",
    ),
)


def by(rule):
    """The labels that another rule for one row would give."""
    return lambda table, floor: [rule(row, floor) for row in table.tolist()]


def labelled(effects, floor, names=VARIABLES, size=abs):
    return "+".join(n for n, e in zip(names, effects, strict=False) if size(e) > floor) or "unseen"


def largest(row, floor, size=abs):
    return VARIABLES[max(range(3), key=lambda i: size(row[1 + i]))]


CARRIES_SYMPTOMS = (
    Symptom.gives(
        "off_by_one",
        by(lambda row, floor: labelled(row, floor)),
        says="The first column was read as the receiver. It is roles; the variables follow in columns 1 to 3.",
    ),
    Symptom(
        "roles_read",
        lambda got, want, *inputs: any("roles" in label for label in got),
        says="Roles is not a variable: it changes all three at once, so its effect cannot say which of them a node carries.",
    ),
    Symptom.gives(
        "roles_decides",
        by(lambda row, floor: labelled(row[1:], floor) if abs(row[0]) > floor else "unseen"),
        says="Where roles shows nothing, you call a node unseen. Some nodes do nothing there and much in the other columns.",
    ),
    Symptom.gives(
        "signed",
        by(lambda row, floor: labelled(row[1:], floor, size=lambda e: e)),
        says="Negative effects are missing. A node whose patch raises the margin carries the variable as well.",
    ),
    Symptom.gives(
        "largest_only",
        by(lambda row, floor: largest(row, floor) if labelled(row[1:], floor) != "unseen" else "unseen"),
        by(lambda row, floor: largest(row, floor, lambda e: e) if labelled(row[1:], floor) != "unseen" else "unseen"),
        by(largest),
        by(lambda row, floor: largest(row, floor, lambda e: e)),
        says="One variable for each node. A node may carry two or three, or none: look at each column for itself.",
    ),
    Symptom.gives(
        "below_the_floor",
        by(lambda row, floor: labelled([2 * floor * (abs(e) <= floor) for e in row[1:]], floor)),
        says="You named the variables whose effect stays below the floor.",
    ),
    Symptom.gives(
        "everything_counts",
        by(lambda row, floor: labelled(row[1:], 0.0)),
        says="Every effect that is not exactly zero was counted. Irrelevant changes move the margin a little too: that is what the floor is for.",
    ),
    Symptom.gives(
        "own_floor",
        *(by(lambda row, _, own=own: labelled(row[1:], own)) for own in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5)),
        says="The floor is a number of yours. Use the one that is given: it may differ from model to model.",
    ),
    Symptom.gives(
        "share_of_roles",
        by(lambda row, floor: labelled([e / row[0] if row[0] else 0.0 for e in row[1:]], floor)),
        says="The effects were divided by the node's own effect under roles, which may be next to nothing. All columns have one unit already.",
    ),
    Symptom(
        "empty",
        lambda got, want, *inputs: all(g == ("" if w == "unseen" else w) for g, w in zip(got, want, strict=True)),
        says='A node that no column shows has an empty label. Call it "unseen".',
    ),
    Symptom(
        "order_of_names",
        lambda got, want, *inputs: all(set(g.split("+")) == set(w.split("+")) for g, w in zip(got, want, strict=True)),
        says="The right variables, written in another order: take that of the columns, receiver+giver+order.",
    ),
    Symptom(
        "other_sign_between",
        lambda got, want, *inputs: [g.replace(", ", "+").replace(" ", "+") for g in got] == list(want),
        says='The right variables, not joined by a plus: "receiver+giver".',
    ),
    Symptom(
        "reversed",
        lambda got, want, *inputs: list(got) == list(reversed(want)),
        says="The labels are in reverse order: the first belongs to row 0.",
    ),
    Symptom(
        "one_per_column",
        lambda got, want, table, floor: len(got) != len(want),
        says="Give one label for each of the {n_nodes} rows: a row is a node, a column a corruption.",
    ),
)


def relabelled(name, *changes, says):
    """The symptom of the right labels with some changed, in one of several ways."""
    ways = [lambda want, change=change: [change.get(one, one) for one in want] for change in changes]
    return Symptom(name, lambda got, want, circuit: any(list(got) == way(want) for way in ways), says)


OWN_SYMPTOMS = (
    Symptom(
        "not_one_per_head",
        lambda got, want, circuit: len(got) != len(want),
        says="Give one label for each of the eight heads, in their order.",
    ),
    relabelled(
        "left_unseen",
        {"shared": "unseen", "uninvolved": "unseen"},
        says="What the three corruptions show is read rightly. Now tell the unseen heads apart: which words have you never changed?",
    ),
    Symptom(
        "other_labels",
        lambda got, want, circuit: bool(
            set(got) - {"receiver", "giver", "order", "receiver+giver", "shared", "uninvolved"}
        ),
        says='The labels are "receiver", "giver", "order", "receiver+giver", "shared" and "uninvolved", spelt so.',
    ),
    relabelled(
        "shared_is_uninvolved",
        {"shared": "uninvolved"},
        says="You call a head uninvolved that the answer hangs on. All your prompts had something in common: change that.",
    ),
    relabelled(
        "uninvolved_is_shared",
        {"uninvolved": "shared"},
        says="You call every unseen head shared. At least one does nothing to the margin, whatever word you change.",
    ),
    relabelled(
        "mentions_unseen",
        {"receiver+giver": "uninvolved"},
        {"receiver+giver": "shared"},
        {"receiver+giver": "uninvolved", "shared": "uninvolved"},
        says="Some heads do nothing under roles and you stop there. Under roles the same two people are still mentioned: look at the other columns.",
    ),
    relabelled(
        "order_unseen",
        {"order": "uninvolved"},
        {"order": "shared"},
        {"order": "uninvolved", "shared": "uninvolved"},
        says="No head carries the order, you say. Both prompts have the same answer; did you patch all the same, and divide by the way of roles?",
    ),
    relabelled(
        "negative_dropped",
        {"receiver+giver": "receiver"},
        {"receiver+giver": "giver"},
        says="Some head carries two variables, and you name one. A negative effect is an effect.",
    ),
    relabelled(
        "renamed_halfway",
        {"giver": "uninvolved"},
        {"giver": "shared"},
        says="No head carries the giver, you say. When you renamed the giver, did word 12 get the new name too?",
    ),
    relabelled(
        "receiver_and_giver_swapped",
        {"receiver": "giver", "giver": "receiver"},
        says="Receiver and giver are mixed up. Word 12 gives; the other name receives.",
    ),
    Symptom(
        "roles_only",
        lambda got, want, circuit: len(set(got) - {"shared", "uninvolved"}) == 1,
        says="All heads that you see get one label. Roles changes three variables at once: use the three corruptions that change one.",
    ),
    Symptom(
        "reversed",
        lambda got, want, circuit: list(got) == list(reversed(want)),
        says="The labels are in reverse order: the first belongs to head 0.",
    ),
)

PUZZLE = Puzzle(
    slug="which_corruption",
    title="A circuit for what",
    question="You corrupted the prompt and found a circuit. A circuit for what?",
    principle="The corrupted prompt chooses the variable that patching can see: what both prompts share stays dark.",
    minutes=45,
    models=("toy-ioi",),
    after=("and_or_circuits",),
    problems={"4.23": "carries", "6.5": "effect_table"},
    draw=draw,
    parts=(
        Part(
            name="matched_corruption",
            takes=("pos", "", ""),
            returns="pos",
            points=3,
            cases=corruption_cases,
            spec=slow_matched_corruption,
            symptoms=CORRUPTION_SYMPTOMS,
            kind="integer",
            hints=(
                "Who gives is at position 12. The receiver is whichever of positions 6 and 8 holds another name.",
                "Write into a clone. For a new name, ask where the old one stands: a comparison gives all its places at once.",
                "For the order, read both mentions from the prompt and write them into the clone, crosswise.",
            ),
            meaning="One variable, however many words it takes.",
        ),
        Part(
            name="effect_table",
            takes=("prompt", "corruption prompt", "corruption node prompt"),
            returns="node corruption",
            points=3,
            cases=table_cases,
            spec=slow_effect_table,
            symptoms=TABLE_SYMPTOMS,
            hints=(
                "How far did a patch move the margin, on average over the prompts? The last axis holds the prompts.",
                "The unit is one number for the whole table: the same average, from clean to row 0 of corrupted.",
                "Corruptions come first in patched, nodes first in the table.",
            ),
            meaning="One unit for all: an answer that stays the same no longer divides by zero.",
        ),
        Part(
            name="carries",
            takes=("n_nodes corruption", ""),
            returns="n_nodes",
            points=2,
            cases=carries_cases,
            spec=slow_carries,
            symptoms=CARRIES_SYMPTOMS,
            kind="label",
            hints=(
                "Go through the rows of table.tolist(). Leave out the first number: it belongs to roles.",
                'Collect the names of the columns whose size exceeds the floor; "+".join puts them together.',
            ),
            meaning="A label names what these corruptions can tell apart, and nothing else.",
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
                "carries gives you six kinds of row at most. Which heads does it leave unseen?",
                'All your prompts share five words: the begin token, "and", "went", "gave", "to". Change one at a time, and patch.',
                "An unseen head that moves the margin under one of those is shared; one that never does is uninvolved.",
            ),
            meaning="In a model that nobody set by hand there is always one more word that you did not change.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("chance", "metric", "size", "shared"), right="shared"),
        Prediction("effect of heads 2 and 3 when the giver is renamed", between=(-1, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "What both prompts share cannot show: roles keeps both names in the sentence, so whatever lifts both looks idle.",
                "One word is not one variable: roles changes receiver, giver and order at once, so its map is of their mixture.",
                "Next: a corruption for each variable that changes it alone, also those that keep the answer, in one unit; "
                "and a word that no corruption has changed yet.",
            ),
        ),
    ),
)
