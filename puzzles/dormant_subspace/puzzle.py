"""More than all of it: what is asked, how it is checked, and what each wrong answer looks like."""

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: changes of basis, in float64 -----------------------------------------------------------------------


def slow_patch_along(base, source, v):
    """In an orthonormal basis that begins with v, one coordinate is exchanged."""
    basis = torch.linalg.qr(torch.cat([v.double()[:, None], torch.eye(len(v), dtype=torch.float64)], 1))[0]
    rows = []
    for ours, theirs in zip(base.double() @ basis, source.double() @ basis, strict=True):
        rows.append(basis @ torch.cat([theirs[:1], ours[1:]]))
    return torch.stack(rows)


def slow_strongest(delta, g):
    """(delta @ v) * (v @ g) is a quadratic form in v: the top eigenvector of its symmetric matrix."""
    form = torch.outer(delta.double(), g.double())
    v = torch.linalg.eigh(form + form.T).eigenvectors[:, -1]
    return v if v @ delta.double() > 0 else -v


def null_space(W_out):
    """Orthonormal columns that W_out maps to zero."""
    return torch.linalg.svd(W_out.double()).U[:, W_out.shape[1] :]


def slow_heard_part(v, W_out):
    unheard = null_space(W_out)
    return v.double() - unheard @ (unheard.T @ v.double())


# ---- the inputs: no vector of length one, no mean of zero, no two axes alike ----------------------------------------


def unit(v):
    return v / v.norm(dim=-1, keepdim=True)


def rotation(rng, n):
    return torch.linalg.qr(torch.randn(n, n, generator=rng))[0]


def uniform(rng, low, high):
    return low + (high - low) * float(torch.rand((), generator=rng))


def patch_cases(rng):
    """The source's coordinates along v lie away from zero, and differ from row to row."""
    for batch, d_mlp, length in ((5, 3, 0.4), (4, 6, 2.2), (7, 4, 3.1)):
        base, source = torch.randn(2, batch, d_mlp, generator=rng) + torch.tensor([1.0, -0.5])[:, None, None]
        v = unit(torch.randn(d_mlp, generator=rng))
        yield Case((base, source + 1.5 * v, length * v))


def strongest_cases(rng):
    """Unlike lengths, acute and obtuse; some neurons' products are positive, some negative."""
    for d_mlp, cosine, of_delta, of_g in ((6, 0.5, 3.0, 0.6), (5, -0.5, 0.5, 4.0), (9, 0.3, 0.3, 2.5)):
        products = torch.ones(1)
        while products.min() > -0.05 or products.max() < 0.05:
            x, y = rotation(rng, d_mlp)[:2]
            products = x * (towards := cosine * x + (1 - cosine**2) ** 0.5 * y)
        yield Case((of_delta * x, of_g * towards))


def some_weights(rng, d_mlp, d_model):
    """Columns neither of one length nor orthogonal, and yet far from dependent."""
    stretch = torch.linspace(0.6, 2.4, d_model)[:, None]
    return rotation(rng, d_mlp)[:, :d_model] @ (stretch * rotation(rng, d_model))


def heard_cases(rng):
    for d_mlp, d_model in ((7, 3), (9, 4), (6, 5)):
        W_out = some_weights(rng, d_mlp, d_model)
        inside = W_out @ torch.randn(d_model, generator=rng)
        outside = null_space(W_out).float() @ torch.randn(d_mlp - d_model, generator=rng)
        yield Case((1.3 * unit(inside) + 1.1 * unit(outside), W_out))


# ---- the learner's own layer ----------------------------------------------------------------------------------------

N_PAIRS, D_MLP, D_OUT = 30, 14, 5
KINDS = ("causal", "bridge", "disconnected", "dormant")


def draw(rng):
    """Activations of the corrupted and of the clean prompts, W_out, the directions; and the label of each.

    Feature 0 differs and is heard; 1 to 4 are heard and do not differ; 5 to 8 differ and are not heard.
    """
    features = rotation(rng, D_MLP)
    W_out = features[:, :D_OUT] @ (torch.linspace(1.0, 1.2, D_OUT)[:, None] * rotation(rng, D_OUT))
    # Such that bridges move the output less than the full patch does, and some honest direction more.
    size = torch.zeros(D_MLP)
    size[0] = uniform(rng, 0.7, 1.3)
    size[5:9] = size[0] * (1.42 + 0.16 * torch.rand(4, generator=rng))
    wobble = torch.randn(N_PAIRS, D_MLP, generator=rng)
    differ = size * (1 + 0.2 * (wobble - wobble.mean(0)))
    shared = torch.randn(N_PAIRS, D_MLP, generator=rng) * (0.3 + torch.rand(D_MLP, generator=rng))
    shared[:, 1:5] *= 3  # what is dormant varies over prompts, though not within a pair
    dormant = (1 + torch.randperm(4, generator=rng)).tolist()
    deaf = (5 + torch.randperm(4, generator=rng)).tolist()
    directions, labels = some_directions(rng, dormant, deaf)
    order = torch.randperm(len(labels), generator=rng)
    signs = torch.where(torch.rand(len(labels), 1, generator=rng) < 0.5, -1.0, 1.0)
    given = (shared @ features.T, (shared + differ) @ features.T, W_out, (signs * directions)[order] @ features.T)
    return given, [labels[i] for i in order]


def some_directions(rng, dormant, deaf):
    """Rows of unit length in the basis of the features, and their labels."""

    def mix(*parts):  # of pairs: a feature, and its share of the squared length
        row = torch.zeros(D_MLP)
        for feature, share in parts:
            row[feature] = share**0.5
        return unit(row)

    much, little = (lambda: uniform(rng, 0.55, 0.62)), (lambda: uniform(rng, 0.08, 0.15))
    extra = (
        ("disconnected", mix((deaf[0], 0.5), (deaf[2], 0.5))),
        ("dormant", mix((dormant[0], 0.5), (dormant[2], 0.5))),
        ("causal", mix((0, 1 - (share := little())), (deaf[2], share))),
        ("bridge", mix((0, 0.3), (dormant[2], 0.4), (deaf[2], 0.3))),
    )
    rows = (
        ("causal", mix((0, 1))),
        ("causal", mix((0, 1 - (share := much())), (deaf[0], share))),
        ("bridge", mix((dormant[0], 1 - (share := much())), (deaf[1], share))),
        ("bridge", mix((dormant[1], 1 - (share := little())), (deaf[0], share))),
        ("bridge", mix((0, share := uniform(rng, 0.4, 0.6)), (dormant[3], 1 - share))),
        ("disconnected", mix((deaf[3], 1))),
        ("dormant", mix((dormant[2], 1))),
        extra[int(torch.randint(len(extra), (), generator=rng))],
    )
    return torch.stack([row for _, row in rows]), [label for label, _ in rows]


def own_case(rng):
    given, labels = draw(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def change(base, source, v):
    """What the right patch adds."""
    return torch.outer((source - base) @ unit(v), unit(v))


PATCH_SYMPTOMS = (
    Symptom.gives(
        "length_counts_twice",
        lambda base, source, v: base + change(base, source, v) * v.norm() ** 2,
        says="v enters twice, once to read and once to write, and each time with its length. Make it length one first.",
    ),
    Symptom.gives(
        "length_counts_once",
        lambda base, source, v: base + change(base, source, v) * v.norm(),
        says="Divided by the length of v once. v enters twice, to read and to write: divide for each.",
    ),
    Symptom.gives(
        "over_divided",
        lambda base, source, v: base + change(base, source, v) / v.norm(),
        lambda base, source, v: base + change(base, source, v) / v.norm() ** 2,
        says="The length of v is divided out more often than v enters. For a v of length one this would be right.",
    ),
    Symptom.gives(
        "not_replaced",
        lambda base, source, v: base + torch.outer(source @ unit(v), unit(v)),
        says="The source's coordinate was added to the base's own. It is to take its place.",
    ),
    Symptom.gives(
        "only_removed",
        lambda base, source, v: base - torch.outer(base @ unit(v), unit(v)),
        says="The base lost its coordinate along v: that is an ablation. Put the source's coordinate there.",
    ),
    Symptom.gives(
        "the_rest_patched",
        lambda base, source, v: source - change(base, source, v),
        says="This is the source with the base's coordinate along v: all but v was patched.",
    ),
    Symptom.gives(
        "full_patch",
        lambda base, source, v: source,
        says="This is the source itself, the full patch. Only the coordinate along v is to change.",
    ),
    Symptom.gives(
        "projected",
        lambda base, source, v: torch.outer(source @ unit(v), unit(v)),
        says="Only the source's part along v is left. All that is not along v stays as in base.",
    ),
    Symptom.gives(
        "change_only",
        change,
        says="This is the change that the patch makes. Add it to base.",
    ),
    Symptom.gives(
        "sign",
        lambda base, source, v: base - change(base, source, v),
        says="Each row moved the wrong way along v: from the base's coordinate to the source's.",
    ),
    Symptom.gives(
        "same_for_all",
        lambda base, source, v: base + change(base, source, v).mean(0),
        says="Every row moved by the same amount, the mean. That is steering; in a patch each row takes its own source's coordinate.",
    ),
    Symptom.gives(
        "v_added",
        lambda base, source, v: base + unit(v),
        lambda base, source, v: base + v,
        says="v itself was added: that is steering. A patch depends on the source.",
    ),
    Symptom.gives(
        "by_coordinate",
        lambda base, source, v: base + (source - base) * unit(v),
        lambda base, source, v: base + (source - base) * v,
        lambda base, source, v: base + (source - base) * unit(v) ** 2,
        lambda base, source, v: base + (source - base) * v**2,
        says="Each neuron moved by itself. Along v there is one coordinate: a sum over all {d_mlp} neurons, (source - base) @ unit.",
    ),
    Symptom(
        "coordinate_only",
        lambda got, want, base, source, v: got.shape == base.shape[:1],
        says="One number for each row came back, its coordinate. Return the whole rows, moved along v.",
    ),
)


def same_direction(got, want):
    return got.shape == want.shape and bool(((unit(got) - unit(want)).abs() < 1e-3).all())


def best_of(first, second):
    return unit(unit(first) + unit(second))


STRONGEST_SYMPTOMS = (
    Symptom.gives(
        "delta_only",
        lambda delta, g: unit(delta),
        lambda delta, g: -unit(delta),
        says="Along delta the patch reads all there is, but writes little that is heard. Give up some of one for the other.",
    ),
    Symptom.gives(
        "g_only",
        lambda delta, g: unit(g),
        lambda delta, g: -unit(g),
        lambda delta, g: unit(g) * (delta @ g).sign(),
        says="Along g all that the patch writes is heard, but it reads little. Give up some of one for the other.",
    ),
    Symptom.gives(
        "lengths_kept",
        lambda delta, g: unit(delta + g),
        says="delta and g were added with their lengths, so the longer one wins. Stretch delta: does the best direction change?",
    ),
    Symptom.gives(
        "lengths_crossed",
        lambda delta, g: unit(delta * delta.norm() + g * g.norm()),
        lambda delta, g: unit(delta / delta.norm() ** 2 + g / g.norm() ** 2),
        says="delta and g were weighed by their lengths. Stretching either only scales the effect: its length should not count.",
    ),
    Symptom.gives(
        "largest_in_size",
        lambda delta, g: best_of(delta, g if delta @ g > 0 else -g),
        says="Where delta and g point apart, this v has the largest effect in size, and it is negative. Asked for is the most positive.",
    ),
    Symptom.gives(
        "weakest",
        lambda delta, g: best_of(delta, -g),
        lambda delta, g: best_of(g, -delta),
        says="Along this v the effect is the most negative that there is: it pushes back.",
    ),
    Symptom(
        "not_unit",
        lambda got, want, delta, g: same_direction(got, want),
        says="The right direction. Give it length one.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, delta, g: -want,
        says="The right line, but of v and -v take the one with delta @ v > 0.",
    ),
    Symptom.gives(
        "made_orthogonal",
        lambda delta, g: best_of(delta, g - (g @ unit(delta)) * unit(delta)),
        lambda delta, g: best_of(g, delta - (delta @ unit(g)) * unit(g)),
        says="One of the two lost its part along the other first. 45 degrees from delta is best only where they are orthogonal.",
    ),
    Symptom.gives(
        "remainder_only",
        lambda delta, g: unit(delta - (delta @ unit(g)) * unit(g)),
        lambda delta, g: unit(g - (g @ unit(delta)) * unit(delta)),
        says="This v is orthogonal to one of the two: either it reads nothing or nothing hears it, and the effect is zero.",
    ),
    Symptom.gives(
        "by_coordinate",
        lambda delta, g: unit(delta * g),
        lambda delta, g: unit((delta * g).clamp(min=0)),
        lambda delta, g: unit((delta * g).abs()),
        says="delta * g says what each neuron's own patch does. v mixes neurons: it can read one and write another.",
    ),
    Symptom.gives(
        "best_neuron",
        lambda delta, g: torch.eye(len(g))[(delta * g).argmax()] * delta[(delta * g).argmax()].sign(),
        lambda delta, g: torch.eye(len(g))[(delta * g).argmax()],
        says="This is the best single neuron. v mixes neurons: it can read one and write another.",
    ),
    Symptom(
        "effect_only",
        lambda got, want, delta, g: got.ndim == 0,
        says="One number came back. Return the direction, of {d_mlp} numbers, and not its effect.",
    ),
)


def column_by_column(v, W_out):
    return sum((v @ column) * column / column.square().sum() for column in W_out.T)


def unit_columns(v, W_out):
    columns = W_out / W_out.norm(dim=0)
    return columns @ (columns.T @ v)


def taken_off_in_turn(v, W_out):
    rest = v
    for column in W_out.T:
        rest = rest - (rest @ column) * column / column.square().sum()
    return rest


def top_direction(v, W_out):
    top = torch.linalg.svd(W_out).U[:, 0]
    return (v @ top) * top


def loud_neurons(v, W_out):
    loud = W_out.norm(dim=1)
    return torch.where(loud >= loud.mean(), v, 0.0)


HEARD_SYMPTOMS = (
    Symptom.from_truth(
        "unheard_part",
        lambda want, v, W_out: v - want,
        says="This is the part that W_out does not hear. Return the other.",
    ),
    Symptom(
        "another_length",
        lambda got, want, v, W_out: same_direction(got, want),
        says="The right direction, in another length. Then v minus it is still heard.",
    ),
    Symptom.gives(
        "unchanged",
        lambda v, W_out: v,
        says="This is v as it was. Of the {d_mlp} dimensions, W_out hears {d_model}.",
    ),
    Symptom.gives(
        "there_and_back",
        lambda v, W_out: W_out @ (W_out.T @ v),
        says="Through W_out and back through its transpose stretches what W_out maps strongly. To come back, undo W_out: pinv, or lstsq.",
    ),
    Symptom.gives(
        "columns_taken_as_orthogonal",
        column_by_column,
        unit_columns,
        says="The projections on the {d_model} columns were added up. The columns are not orthogonal, so they overlap.",
    ),
    Symptom.gives(
        "taken_off_in_turn",
        taken_off_in_turn,
        lambda v, W_out: v - taken_off_in_turn(v, W_out),
        says="The columns were taken off one after the other. They are not orthogonal: what one leaves, the next brings back.",
    ),
    Symptom.gives(
        "top_direction",
        top_direction,
        says="Only the direction that W_out stretches most is left. It hears {d_model} dimensions.",
    ),
    Symptom.gives(
        "whole_neurons",
        loud_neurons,
        lambda v, W_out: torch.where(W_out.norm(dim=1) >= W_out.norm(dim=1).median(), v, 0.0),
        says="Whole neurons were kept or dropped. Each neuron is heard; what is not heard are mixtures of neurons.",
    ),
    Symptom.gives(
        "scaled_by_norm",
        lambda v, W_out: W_out @ (W_out.T @ v) / W_out.norm() ** 2,
        lambda v, W_out: W_out @ (W_out.T @ v) / torch.linalg.matrix_norm(W_out, 2) ** 2,
        says="One number cannot undo W_out, which stretches each of its directions by another factor: pinv, or lstsq.",
    ),
    Symptom(
        "in_the_stream",
        lambda got, want, v, W_out: got.shape == W_out.shape[1:],
        says="{d_model} numbers came back: what v writes into the stream, or its coefficients. Asked for is a direction of {d_mlp} neurons.",
    ),
    Symptom(
        "a_matrix",
        lambda got, want, v, W_out: got.ndim == 2,
        says="A matrix came back. Apply it to v.",
    ),
)


def measured(corrupted, clean, W_out, directions):
    """For each direction: the output's mean movement, that of its heard part, and the share that is not heard."""
    differ, deaf = (clean - corrupted).double().mean(0), null_space(W_out)
    whole = directions.double()
    heard = whole - whole @ deaf @ deaf.T
    share = 1 - heard.norm(dim=1) ** 2

    def moves(rows):
        lengths = rows.norm(dim=1, keepdim=True)
        rows = torch.where(lengths > 1e-4, rows / lengths, 0.0)
        return (rows @ differ)[:, None] * (rows @ W_out.double())

    return moves(whole), moves(heard), share, whole @ differ


def idle(share):
    return "disconnected" if share > 0.99 else "dormant"


def judged(rule):
    """Labels by another rule for the directions that move the output: rule(movement, heard part's, unheard share, full)."""

    def labels(corrupted, clean, W_out, directions):
        full = ((clean - corrupted) @ W_out).double().mean(0)
        found = []
        for whole, heard, share, _ in zip(*measured(corrupted, clean, W_out, directions), strict=True):
            moved = whole.norm() > 1e-3
            found.append(("causal" if rule(whole, heard, share, full) else "bridge") if moved else idle(share))
        return found

    return labels


def by_weights(corrupted, clean, W_out, directions):
    return ["disconnected" if s > 0.99 else "causal" for s in measured(corrupted, clean, W_out, directions)[2]]


def by_activations(corrupted, clean, W_out, directions):
    return ["causal" if r.abs() > 1e-3 else "dormant" for r in measured(corrupted, clean, W_out, directions)[3]]


def renamed(**new):
    """The right labels with some of them changed."""
    return lambda want, *given: [new.get(one, one) for one in want]


OWN_SYMPTOMS = (
    Symptom.gives(
        "effect_alone",
        judged(lambda whole, heard, share, full: True),
        says="You call every direction causal that moves the output. Some of them read one thing and write another.",
    ),
    Symptom.gives(
        "row_space_certificate",
        judged(lambda whole, heard, share, full: heard.norm() > 1e-3),
        says="You trust the heard part. At least one bridge is heard through and through: what else does its patch move?",
    ),
    Symptom.gives(
        "any_unheard_share",
        judged(lambda whole, heard, share, full: share < 0.01),
        says="You call a direction a bridge as soon as part of it is not heard. An unheard part does no harm by itself.",
    ),
    Symptom.gives(
        "mostly_unheard",
        judged(lambda whole, heard, share, full: share < 0.5),
        says="You judge by how much of a direction is not heard. A little of it can be enough to read by, and much of it can be idle.",
    ),
    Symptom.gives(
        "larger_than_full",
        judged(lambda whole, heard, share, full: whole.norm() <= 1.001 * full.norm()),
        says="You judge by size, against the full patch. A bridge can also do little: look at where the output goes.",
    ),
    Symptom.gives(
        "weights_alone",
        by_weights,
        says="You call every direction causal that is heard. Some of them do not differ between the prompts.",
    ),
    Symptom.gives(
        "activations_alone",
        by_activations,
        says="You call every direction causal along which the prompts differ. That is a probe: does anything hear it?",
    ),
    Symptom.from_truth(
        "idle_ones_swapped",
        renamed(dormant="disconnected", disconnected="dormant"),
        says="Dormant and disconnected are swapped: what is dormant is heard, and does not differ.",
    ),
    Symptom.from_truth(
        "moving_ones_swapped",
        renamed(causal="bridge", bridge="causal"),
        says="Causal and bridge are swapped: a bridge has something dormant in it.",
    ),
    Symptom.from_truth(
        "varies_over_prompts",
        renamed(dormant="causal"),
        says="What is dormant varies from prompt to prompt here, but not within a pair. Compare clean with corrupted.",
    ),
    Symptom.from_truth(
        "idle_ones_not_told_apart",
        renamed(dormant="disconnected"),
        says="You call everything disconnected that moves nothing. Some of it is heard.",
    ),
    Symptom(
        "number_of_labels",
        lambda got, want, *given: isinstance(got, tuple) and len(got) != len(want),
        says="Give eight labels, one for each row of directions, in their order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: isinstance(got, tuple) and bool(set(got) - set(KINDS)),
        says='The labels are "causal", "bridge", "disconnected" and "dormant", spelt so.',
    ),
)

PUZZLE = Puzzle(
    slug="dormant_subspace",
    title="More than all of it",
    question="A one-dimensional patch flips the answer; the full patch does nothing. Which is right?",
    principle="A patch along a direction reads along it and writes along it; it can join what the model keeps apart, so "
    "compare it with the full patch, and with the same search in a layer whose wires were shuffled.",
    minutes=40,
    models=("mini-python",),
    after=("and_or_circuits",),
    problems={"6.1": "strongest"},
    draw=lambda rng: draw(rng)[0],
    parts=(
        Part(
            name="patch_along",
            takes=("batch d_mlp", "batch d_mlp", "d_mlp"),
            returns="batch d_mlp",
            points=2,
            cases=patch_cases,
            spec=slow_patch_along,
            symptoms=PATCH_SYMPTOMS,
            hints=(
                "The coordinate of a row along v is row @ unit, with unit = v / v.norm().",
                "How much has to be added to a row, along unit, so that its coordinate becomes the source's?",
            ),
            meaning="One number per prompt was read along v, and that much written along v.",
        ),
        Part(
            name="strongest",
            takes=("d_mlp", "d_mlp"),
            returns="d_mlp",
            points=3,
            cases=strongest_cases,
            spec=slow_strongest,
            symptoms=STRONGEST_SYMPTOMS,
            tolerance=1e-3,
            hints=(
                "What lies outside the plane of delta and g reads nothing and is not heard. In the plane, an angle decides.",
                "With an angle a to delta and b to g the effect is cos(a) cos(b) times a constant, and a + b is given.",
                "Half way between the two. Their lengths do not count.",
            ),
            meaning="Its effect is (|delta| |g| + delta @ g) / 2, never less than the full patch's delta @ g, and large even if that is zero.",
        ),
        Part(
            name="heard_part",
            takes=("d_mlp", "d_mlp d_model"),
            returns="d_mlp",
            points=2,
            cases=heard_cases,
            spec=slow_heard_part,
            symptoms=HEARD_SYMPTOMS,
            hints=(
                "The heard part is a combination of the columns of W_out: W_out @ x. Which x comes nearest to v?",
                "torch.linalg.lstsq(W_out, v[:, None]).solution, or torch.linalg.pinv(W_out) @ v, is that x.",
            ),
            meaning="What is left of v, W_out cannot tell from nothing at all. But a patch can read it.",
        ),
        Part(
            name="my_directions",
            takes=(),
            returns="direction",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "Patch along each, and look at the outputs, acts @ W_out: five numbers for each prompt. Some never move. Why not?",
                "Of those that move them: patch along the heard part alone. Who needs the unheard part?",
                "The full patch moves the outputs along one line only. Who moves them along another?",
            ),
            meaning="Here you could ask every output. In a real model you see the ones that you thought of measuring.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("hidden", "fitted", "bridge"), right="bridge"),
        Prediction("share of the way, shuffled", between=(0, 1)),
        Prediction("the most that two neurons can do", between=(0, 1), within=0.05),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "A patch along a direction reads along it and writes along it, so it can carry what nobody hears to where the layer writes nothing.",
                "A large effect of a direction that was searched for is no evidence: shuffled wires give it too, and it need only "
                "differ somewhere and be heard somewhere.",
                "Next: the full patch, the heard part alone, the same search in a shuffled layer, the natural range of what is written, "
                "or a direction chosen from one side. Any one of these, with what it would show.",
            ),
        ),
    ),
)
