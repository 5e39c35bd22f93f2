"""Nothing happened: what is asked, how it is checked, and what each wrong answer looks like."""

import itertools
import math

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: runs as sets of clean nodes, looked up in a dictionary ---------------------------------------------


def runs_of(outputs):
    """The output of each run, by the set of nodes that are clean in it."""
    n_nodes = outputs.ndim
    subsets = [frozenset(s) for size in range(n_nodes + 1) for s in itertools.combinations(range(n_nodes), size)]
    numbers = outputs.double().flatten().tolist()
    return {clean: numbers[sum(2 ** (n_nodes - 1 - node) for node in clean)] for clean in subsets}


def slow_patch_effect(outputs, nodes, direction):
    """The change per unit of the gap between the two runs; both signs turn with the direction."""
    runs, everyone, patched = runs_of(outputs), frozenset(range(outputs.ndim)), frozenset(nodes)
    gap = runs[everyone] - runs[frozenset()]
    if direction == "denoising":
        return (runs[patched] - runs[frozenset()]) / gap
    return (runs[everyone] - runs[everyone - patched]) / gap


def slow_patch_table(outputs):
    both = [slow_patch_effect(outputs, [n], d) for n in range(outputs.ndim) for d in ("denoising", "noising")]
    return torch.tensor(both, dtype=torch.float64).reshape(-1, 2)


def label(denoising, noising, agree=0.1):
    """Which of the four labels, from the larger of the two effects and their difference."""
    if denoising - noising > agree:
        return "OR"
    if noising - denoising > agree:
        return "AND"
    return "alone" if max(denoising**2, noising**2) > agree**2 else "unseen"


def slow_reading(table):
    return [label(denoising, noising) for denoising, noising in table.double().tolist()]


# ---- the inputs: no gap near zero, negative effects and effects above 1, effects that do not add --------------------


def some_outputs(rng, n_nodes):
    """Random outputs whose clean and corrupted runs lie 0.8 to 2.4 apart, in either order, and neither near zero."""
    outputs = 1.5 * torch.randn([2] * n_nodes, generator=rng)
    sign = 1.0 if torch.rand((), generator=rng) < 0.5 else -1.0
    corrupted, gap = 0.6 + torch.rand(2, generator=rng).double() * torch.tensor([0.5, 1.6])
    outputs[(0,) * n_nodes] = sign * corrupted
    outputs[(1,) * n_nodes] = sign * (corrupted + 0.2 + gap)
    return -outputs if torch.rand((), generator=rng) < 0.5 else outputs


def effect_cases(rng):
    for n_nodes, nodes in ((2, [1]), (3, [0]), (3, [2, 1]), (4, [3]), (5, [4, 0, 1])):
        outputs = some_outputs(rng, n_nodes)
        for direction in ("denoising", "noising"):
            yield Case((outputs, nodes, direction))


def table_cases(rng):
    for n_nodes in (4, 3, 5):
        yield Case((some_outputs(rng, n_nodes),))


def reading_cases(rng):
    """Crisp and soft rows of every kind, shuffled; nothing near a boundary; small numbers are rarely exactly zero."""
    crisp = [[0, 1], [1, 0], [1, 1], [0, 0]]
    soft = [[0.05, 0.4], [0.6, 0.95], [0.4, 0], [0.95, 0.6], [0.3, 0.3], [-0.6, -0.6], [-0.6, 0.3], [0.3, -0.6]]
    kinds = torch.tensor(crisp + soft)
    for n_nodes in (13, 15):
        which = torch.cat([torch.randperm(len(kinds), generator=rng), torch.tensor([0, 1, 3])])[:n_nodes]
        shuffled = which[torch.randperm(n_nodes, generator=rng)]
        shake = 0.08 * torch.rand(n_nodes, 2, generator=rng) - 0.04
        yield Case((kinds[shuffled] + shake,))


# ---- the learner's own circuit --------------------------------------------------------------------------------------

N_HEADS = 10
GATES = {"AND": math.prod, "OR": max, "alone": sum, "hidden": lambda bits: float(sum(bits) >= 2)}


def draw(rng):
    """The outputs of all runs of a drawn circuit, and the label of each head."""

    def pick(*options):
        return options[int(torch.randint(len(options), (), generator=rng))]

    n_and, n_or = pick((2, 3), (3, 2), (2, 2))
    kinds = [("AND", n_and), ("OR", n_or), ("hidden", 3), ("alone", 1), ("uninvolved", 1)]
    if n_and + n_or == 4:
        kinds.append((pick("alone", "uninvolved"), 1))
    heads = torch.randperm(N_HEADS, generator=rng).tolist()
    labels, gates = [""] * N_HEADS, []
    for kind, size in kinds:
        mine, heads = heads[:size], heads[size:]
        labels = [kind if head in mine else old for head, old in enumerate(labels)]
        if kind != "uninvolved":
            gates.append((GATES[kind], mine, 1 + 0.4 * float(torch.rand((), generator=rng))))
    scale, base = pick(-2.0, -0.7, 0.6, 1.5), pick(-1.0, 0.5, 2.0)
    outputs = [
        base + scale * sum(weight * gate([bits[head] for head in mine]) for gate, mine, weight in gates)
        for bits in itertools.product((0, 1), repeat=N_HEADS)
    ]
    return torch.tensor(outputs).reshape([2] * N_HEADS), labels


def own_case(rng):
    outputs, labels = draw(rng)
    return [Case((outputs,), want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def other(direction):
    return "noising" if direction == "denoising" else "denoising"


def rest(outputs, nodes):
    return [node for node in range(outputs.ndim) if node not in nodes]


def gap(outputs):
    """Clean minus corrupted."""
    return outputs.flatten()[-1] - outputs.flatten()[0]


def source(outputs, direction):
    return outputs.flatten()[-1 if direction == "denoising" else 0]


def destination(outputs, direction):
    return source(outputs, other(direction))


def back_to_front(outputs):
    return outputs.permute(*reversed(range(outputs.ndim)))


def one_by_one(outputs, nodes, direction):
    return torch.tensor([slow_patch_effect(outputs, [node], direction) for node in nodes], dtype=torch.float64)


def over_contexts(outputs, node):
    """The mean effect of a node over all contexts."""
    return (outputs.select(node, 1) - outputs.select(node, 0)).mean() / gap(outputs)


def moved(want, outputs, direction):
    """The change from the destination's output."""
    return want * (source(outputs, direction) - destination(outputs, direction))


EFFECT_SYMPTOMS = (
    Symptom.gives(
        "always_denoising",
        lambda outputs, nodes, direction: slow_patch_effect(outputs, nodes, "denoising"),
        says="You denoise whatever the direction says. Noising starts from the clean run.",
    ),
    Symptom.gives(
        "always_noising",
        lambda outputs, nodes, direction: slow_patch_effect(outputs, nodes, "noising"),
        says="You noise whatever the direction says. Denoising starts from the corrupted run.",
    ),
    Symptom.gives(
        "directions_swapped",
        lambda outputs, nodes, direction: slow_patch_effect(outputs, nodes, other(direction)),
        says="The directions are swapped. Denoising puts clean activations into the corrupted run; noising the reverse.",
    ),
    Symptom.gives(
        "others_patched",
        lambda outputs, nodes, direction: slow_patch_effect(outputs, rest(outputs, nodes), direction),
        says="The nodes kept their own activations and all the others were patched. It is the named nodes that come from the source.",
    ),
    Symptom.from_truth(
        "same_ruler",
        lambda want, outputs, nodes, direction: want if direction == "denoising" else 1 - want,
        says="Denoising is right, but noising is still measured from the corrupted run, where no change reads 1. "
        "Measure from the destination: no change is 0.",
    ),
    Symptom.from_truth(
        "what_is_left",
        lambda want, outputs, nodes, direction: 1 - want,
        says="This is how far the output still is from the source. Asked for is how far it went: no change is 0.",
    ),
    Symptom.from_truth(
        "absolute",
        lambda want, outputs, nodes, direction: want.abs(),
        says="The sign is lost. A patch may push the output away from the source, and that is a negative effect.",
    ),
    Symptom.from_truth(
        "noising_negative",
        lambda want, outputs, nodes, direction: want if direction == "denoising" else -want,
        says="Denoising is right, but noising has the wrong sign: there the way to go leads from clean to corrupted.",
    ),
    Symptom.from_truth(
        "size_of_the_way",
        lambda want, outputs, nodes, direction: (
            want * (source(outputs, direction) - destination(outputs, direction)).sign()
        ),
        says="The whole way has lost its sign: the clean output need not be the larger one. Divide by a difference, not by its size.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, outputs, nodes, direction: -want,
        says="The sign is turned: all the way to the source is 1, not -1. That holds for noising too.",
    ),
    Symptom.from_truth(
        "unnormalised",
        lambda want, outputs, nodes, direction: moved(want, outputs, direction),
        says="This is the change in the output's own units. Divide by the whole way, so that circuits can be compared.",
    ),
    Symptom.from_truth(
        "unnormalised_towards_clean",
        lambda want, outputs, nodes, direction: want * gap(outputs),
        says="This is right up to its units: divide by the difference between the two unpatched runs.",
    ),
    Symptom.from_truth(
        "divided_by_the_source",
        lambda want, outputs, nodes, direction: moved(want, outputs, direction) / source(outputs, direction),
        says="Divided by the source's output. The whole way is a difference of two outputs: a zero of the output means nothing here.",
    ),
    Symptom.from_truth(
        "divided_by_the_destination",
        lambda want, outputs, nodes, direction: moved(want, outputs, direction) / destination(outputs, direction),
        says="Divided by the destination's output. The whole way is a difference of two outputs: a zero of the output means nothing here.",
    ),
    Symptom.from_truth(
        "divided_by_clean",
        lambda want, outputs, nodes, direction: moved(want, outputs, direction) / outputs.flatten()[-1],
        says="Divided by the clean output in both directions. The whole way is a difference of two outputs.",
    ),
    Symptom.from_truth(
        "ratio_of_outputs",
        lambda want, outputs, nodes, direction: (
            (destination(outputs, direction) + moved(want, outputs, direction)) / source(outputs, direction)
        ),
        says="This is a ratio of two outputs. An effect is a ratio of two differences: the way gone over the whole way.",
    ),
    Symptom(
        "many_runs",
        lambda got, want, outputs, nodes, direction: got.ndim > 0,
        says="Many numbers came back. A run is one entry of outputs: index it with a tuple of zeros and ones, not with a list.",
    ),
    Symptom.from_truth(
        "patched_output",
        lambda want, outputs, nodes, direction: destination(outputs, direction) + moved(want, outputs, direction),
        says="This is the output of the right patched run. Where does it lie between the two unpatched runs?",
    ),
    Symptom.from_truth(
        "clipped",
        lambda want, outputs, nodes, direction: want.clamp(0, 1),
        says="The effect was cut off at 0 and 1. Effects beyond are real: a patch may push away, or overshoot.",
    ),
    Symptom.gives(
        "assumed_to_add",
        lambda outputs, nodes, direction: one_by_one(outputs, nodes, direction).sum(),
        says="You added the effects of single nodes. All nodes go into one run: effects need not add, which is the point.",
    ),
    Symptom.gives(
        "averaged_over_nodes",
        lambda outputs, nodes, direction: one_by_one(outputs, nodes, direction).mean(),
        says="You averaged the effects of single nodes. Patch all of them into one run.",
    ),
    Symptom.gives(
        "one_node_only",
        lambda outputs, nodes, direction: slow_patch_effect(outputs, nodes[:1], direction),
        lambda outputs, nodes, direction: slow_patch_effect(outputs, nodes[-1:], direction),
        says="Only one of the nodes was patched. `nodes` is a list, and all of it goes into one run.",
    ),
    Symptom.gives(
        "nodes_reversed",
        lambda outputs, nodes, direction: slow_patch_effect(back_to_front(outputs), nodes, direction),
        says="The nodes are counted from the wrong end: node 0 is the first axis of outputs.",
    ),
    Symptom.gives(
        "directions_averaged",
        lambda outputs, nodes, direction: (
            (slow_patch_effect(outputs, nodes, "denoising") + slow_patch_effect(outputs, nodes, "noising")) / 2
        ),
        says="This averages the two directions. They answer different questions, and their difference is what tells gates apart.",
    ),
)

TABLE_SYMPTOMS = (
    Symptom.from_truth(
        "columns_swapped",
        lambda want, outputs: want.flip(1),
        says="The columns are swapped: denoising is column 0, noising column 1.",
    ),
    Symptom.from_truth(
        "transposed",
        lambda want, outputs: want.T,
        says="Right, but lying on its side: one row for each node, one column for each direction.",
    ),
    Symptom.from_truth(
        "one_direction_twice",
        lambda want, outputs: want[:, [0, 0]],
        says="Both columns hold denoising. The second question, noising, has its own answer.",
    ),
    Symptom.from_truth(
        "noising_twice",
        lambda want, outputs: want[:, [1, 1]],
        says="Both columns hold noising. The first column is denoising.",
    ),
    Symptom.from_truth(
        "one_direction",
        lambda want, outputs: want[:, 0],
        says="One number for each node came back. A node has two effects, one for each direction.",
    ),
    Symptom.from_truth(
        "own_complement",
        lambda want, outputs: torch.stack([want[:, 0], 1 - want[:, 0]], 1),
        says="The noising column is one minus the same node's denoising. Is what a node cannot restore what it destroys? "
        "Measure it: patch it the other way.",
    ),
    Symptom.from_truth(
        "same_ruler",
        lambda want, outputs: torch.stack([want[:, 0], 1 - want[:, 1]], 1),
        says="The noising column is measured from the corrupted run, where no change reads 1. Let no change be 0 in both columns.",
    ),
    Symptom.from_truth(
        "noising_negative",
        lambda want, outputs: want * torch.tensor([1.0, -1.0]),
        says="The noising column has the wrong sign: its whole way leads from clean to corrupted.",
    ),
    Symptom.from_truth(
        "nodes_reversed",
        lambda want, outputs: want.flip(0),
        says="The rows are upside down: row 0 is node 0, the first axis of outputs.",
    ),
    Symptom.from_truth(
        "others_patched",
        lambda want, outputs: 1 - want.flip(1),
        says="Each row patches all nodes but its own. Patch that node, and leave the others.",
    ),
    Symptom.from_truth(
        "unnormalised",
        lambda want, outputs: want * gap(outputs) * torch.tensor([1.0, -1.0]),
        says="These are changes of the output in its own units. Make each a share of the whole way.",
    ),
    Symptom.from_truth(
        "unnormalised_towards_clean",
        lambda want, outputs: want * gap(outputs),
        says="These are right up to their units: divide by the difference between the two unpatched runs.",
    ),
    Symptom.from_truth(
        "patched_output",
        lambda want, outputs: (
            torch.stack([outputs.flatten()[0], outputs.flatten()[-1]]) + want * gap(outputs) * torch.tensor([1.0, -1.0])
        ),
        says="These are the outputs of the right patched runs. Where does each lie between the two unpatched runs?",
    ),
    Symptom.from_truth(
        "clipped",
        lambda want, outputs: want.clamp(0, 1),
        says="The effect was cut off at 0 and 1. Effects beyond are real: a patch may push away, or overshoot.",
    ),
    Symptom.from_truth(
        "directions_averaged",
        lambda want, outputs: want.mean(1, keepdim=True).expand(-1, 2),
        says="Both columns hold the mean of the two directions. Keep them apart: their difference is the news.",
    ),
    Symptom(
        "made_to_add",
        lambda got, want, outputs: got.shape == want.shape and scaled_to_one(got, want),
        says="Each column was scaled to sum to 1, as if effects had to add up. They need not.",
    ),
    Symptom.from_truth(
        "absolute",
        lambda want, outputs: want.abs(),
        says="The signs are lost: a patch that pushes the output away from the source has a negative effect.",
    ),
    Symptom.gives(
        "over_contexts",
        lambda outputs: torch.stack([over_contexts(outputs, n) for n in range(outputs.ndim)])[:, None].expand(-1, 2),
        says="These are means over all contexts. Each column asks about one context: all others corrupted, or all others clean.",
    ),
)


def scaled_to_one(got, want):
    """Whether each column is the true one divided by its sum; also where that sum nearly vanishes."""
    lengths, sums = got.norm(dim=0), got.sum(0)
    return (
        bool(((sums - 1).abs() <= 1e-4 * (1 + lengths)).all())
        and torch.allclose((got / lengths).abs(), (want / want.norm(dim=0)).abs(), atol=1e-4)
        and torch.allclose(lengths * want.sum(0).abs(), want.norm(dim=0), rtol=0.05)
    )


def by(rule):
    """The labels that another rule for one row would give."""
    return lambda table: [rule(denoising, noising) for denoising, noising in table.tolist()]


def renamed(**new):
    """The right labels with some of them changed."""
    return lambda want, *inputs: [new.get(one, one) for one in want]


READING_SYMPTOMS = (
    Symptom.from_truth(
        "gates_swapped",
        renamed(AND="OR", OR="AND"),
        says="AND and OR are swapped. Under an AND the partner must be clean too: in which direction is it?",
    ),
    Symptom.gives(
        "denoising_only",
        by(lambda denoising, noising: "OR" if denoising > 0.1 else "unseen"),
        by(lambda denoising, noising: "alone" if abs(denoising) > 0.1 else "unseen"),
        by(lambda denoising, noising: "alone" if denoising > 0.1 else "unseen"),
        says="You read the denoising column only. A head that does nothing there may be needed: compare the two columns.",
    ),
    Symptom.gives(
        "noising_only",
        by(lambda denoising, noising: "AND" if noising > 0.1 else "unseen"),
        by(lambda denoising, noising: "alone" if abs(noising) > 0.1 else "unseen"),
        by(lambda denoising, noising: "alone" if noising > 0.1 else "unseen"),
        says="You read the noising column only. A head that does nothing there may have a stand-in: compare the two columns.",
    ),
    Symptom.from_truth(
        "uninvolved",
        renamed(AND="unseen"),
        says="Some heads do little when denoised and much when noised, and you call them unseen. That is the trap of the first screen.",
    ),
    Symptom.from_truth(
        "not_needed",
        renamed(OR="unseen"),
        says="Some heads do much when denoised and little when noised, and you call them unseen. They suffice; they only have stand-ins.",
    ),
    Symptom.gives(
        "negative_is_nothing",
        by(lambda d, n: label(max(d, 0.0), max(n, 0.0))),
        says="A head with two equal negative effects is not unseen: it works against the answer. Within 0.1 of zero is about size, not sign.",
    ),
    Symptom.gives(
        "sizes_compared",
        by(lambda d, n: label(abs(d), abs(n))),
        says="You compare the sizes of the effects. A head that works against the answer has negative effects, and signs count: "
        "compare the two numbers.",
    ),
    Symptom.gives(
        "rounded_first",
        by(lambda d, n: label(float(d > 0.5), float(n > 0.5))),
        by(lambda d, n: label(float(round(d)), float(round(n)))),
        by(lambda d, n: label(float(abs(d) > 0.5), float(abs(n) > 0.5))),
        says="The effects were made 0 or 1 before they were compared. Soft gates have fractions: compare the two effects themselves.",
    ),
    Symptom.gives(
        "needs_a_zero",
        by(lambda d, n: label(d, n) if min(abs(d), abs(n)) <= 0.1 or abs(d - n) <= 0.1 else "alone"),
        says="AND and OR were given only where one effect is near zero. Soft gates leave some in both directions: compare the two.",
    ),
    Symptom.gives(
        "either_large",
        by(lambda d, n: "OR" if d > 0.1 else "AND" if n > 0.1 else label(d, n)),
        by(lambda d, n: "AND" if n > 0.1 else "OR" if d > 0.1 else label(d, n)),
        says="The label follows from the first effect that is large. It is the difference of the two that tells.",
    ),
    Symptom.gives(
        "exact",
        by(lambda d, n: label(d, n, agree=0.0)),
        says="Effects that agree within 0.1 count as equal. Here every small difference became a gate.",
    ),
    Symptom.from_truth(
        "alone_forgotten",
        renamed(alone="unseen"),
        says="Where the two effects agree there are two cases: both near zero, or not.",
    ),
    Symptom.from_truth(
        "unseen_forgotten",
        renamed(unseen="alone"),
        says="A head that does nothing in either direction was not seen at all: that is another label than acting alone.",
    ),
    Symptom.from_truth(
        "reversed",
        lambda want, table: list(reversed(want)),
        says="The labels are in reverse order: the first belongs to row 0.",
    ),
    Symptom(
        "one_per_direction",
        lambda got, want, table: isinstance(got, tuple) and len(got) == table.shape[1],
        says="Two labels came back, one for each column. Asked for is one for each of the {n_nodes} rows.",
    ),
)


def relabelled(name, *changes, says):
    """The symptom of the right labels with some changed, in one of several ways."""
    ways = [renamed(**change) for change in changes]
    return Symptom(name, lambda got, want, outputs: any(list(got) == way(want) for way in ways), says)


OWN_SYMPTOMS = (
    Symptom.from_truth(
        "hidden_is_uninvolved",
        renamed(hidden="uninvolved"),
        says="Some heads do nothing in either direction and you call them uninvolved. Those are two contexts out of 512. "
        "Is there another in which they matter?",
    ),
    Symptom.from_truth(
        "uninvolved_is_hidden",
        renamed(uninvolved="hidden"),
        says="You call every head hidden that single patches do not see. At least one of them matters in no context at all.",
    ),
    Symptom.from_truth(
        "left_unseen",
        renamed(hidden="unseen", uninvolved="unseen"),
        says="The single patches are read rightly. Now tell the unseen heads apart: patch them together with others.",
    ),
    Symptom.from_truth(
        "gates_swapped",
        renamed(AND="OR", OR="AND"),
        says="AND and OR are swapped: under an AND, denoising one head does nothing.",
    ),
    relabelled(
        "denoising_only",
        {"AND": "uninvolved", "hidden": "uninvolved"},
        {"AND": "unseen", "hidden": "unseen", "uninvolved": "unseen"},
        {"AND": "hidden", "uninvolved": "hidden"},
        {"AND": "hidden"},
        says="The heads of an AND are missing. Denoising does not see them: noise them.",
    ),
    relabelled(
        "noising_only",
        {"OR": "uninvolved", "hidden": "uninvolved"},
        {"OR": "unseen", "hidden": "unseen", "uninvolved": "unseen"},
        {"OR": "hidden", "uninvolved": "hidden"},
        {"OR": "hidden"},
        says="The heads of an OR are missing. Noising does not see them: denoise them.",
    ),
    relabelled(
        "alone_is_a_gate",
        {"alone": "OR"},
        {"alone": "AND"},
        says="Some head does the same in both directions, and you give it a gate. It needs no partner and has no stand-in.",
    ),
    Symptom.from_truth(
        "reversed",
        lambda want, outputs: list(reversed(want)),
        says="The labels are in reverse order: the first belongs to head 0, the first axis.",
    ),
    Symptom(
        "not_one_per_head",
        lambda got, want, outputs: isinstance(got, tuple) and len(got) != len(want),
        says="Give one label for each of the ten heads, in their order, and not one for each gate.",
    ),
    Symptom(
        "other_words",
        lambda got, want, outputs: isinstance(got, tuple) and bool(set(got) - {*GATES, "uninvolved"}),
        says='The labels are "AND", "OR", "alone", "hidden" and "uninvolved", spelt so.',
    ),
)

PUZZLE = Puzzle(
    slug="and_or_circuits",
    title="Nothing happened",
    question="You patched the clean activation into the corrupted run and nothing happened. Is the head uninvolved?",
    principle="A patch asks about a component in a context: denoising while all else is corrupted, noising while all else is clean.",
    minutes=40,
    models=("mini-gpt2",),
    after=(),
    problems={"6.1": "my_heads", "6.5": "patch_table"},
    draw=lambda rng: draw(rng)[0],
    parts=(
        Part(
            name="patch_effect",
            takes=(),
            returns="",
            points=3,
            cases=effect_cases,
            spec=slow_patch_effect,
            symptoms=EFFECT_SYMPTOMS,
            hints=(
                "Three runs matter: the unpatched destination, the unpatched source, and the patched run in between.",
                "A run is one entry of outputs: a tuple of zeros and ones, one for each node. In the patched run the named "
                "nodes have the source's number, the others the destination's.",
                "The whole method: (patched - destination) over (source - destination). It holds for both directions.",
            ),
            meaning="One formula for both directions, once source and destination have names.",
        ),
        Part(
            name="patch_table",
            takes=(),
            returns="n_nodes direction",
            points=2,
            cases=table_cases,
            spec=slow_patch_table,
            symptoms=TABLE_SYMPTOMS,
            hints=(
                "You have patch_effect. Call it for each node with a list of that node alone.",
                "There are outputs.ndim nodes. torch.tensor makes a matrix of a list of rows.",
            ),
            meaning="Each row asks about one node twice, in the two most extreme of its contexts.",
        ),
        Part(
            name="reading",
            takes=("n_nodes direction",),
            returns="n_nodes",
            points=2,
            cases=reading_cases,
            spec=slow_reading,
            symptoms=READING_SYMPTOMS,
            kind="label",
            hints=(
                "For each row, first look at the difference of the two effects.",
                "If they agree within 0.1: is either of them further than 0.1 from zero, on whichever side?",
            ),
            meaning="The difference between the directions is how the head interacts with all the rest, taken together.",
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
                "Start with reading(patch_table(mine)). Which heads does it leave open?",
                "A vote needs two of three. Denoise an unseen head together with each of the other unseen heads.",
                "Or try all contexts at once: mine.diff(dim=head) is what this head does in each of the 512.",
            ),
            meaning="Nobody can run every context of a real model: there, 'uninvolved' always means 'in the contexts that I tried'.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("uninvolved", "weak", "together", "spare"), right="together"),
        Prediction("share of the output lost by corrupting head 0", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Denoising one head asks whether it suffices while all else is corrupted; under an AND its partner still is.",
                "Next: noise it (is it needed while all else is clean?), which has the opposite blind spot, OR.",
                "What could stay hidden: heads that matter only in mixed contexts (a vote), variables that both prompts share (XOR), "
                "and gates made or unmade by the choice of prompts or metric. Any one of these.",
            ),
        ),
    ),
)
