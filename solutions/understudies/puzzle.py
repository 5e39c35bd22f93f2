"""Nobody missed it: what is asked, how it is checked, and what each wrong answer looks like."""

import math
import statistics

import torch

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: lists, one number at a time; differences of whole runs; a parabola through three points -----------


def scale_of(row, eps):
    return math.sqrt(statistics.pvariance(row) + eps)


def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b, strict=True))


def slow_responses(before, after, direction, eps):
    """The norm's entry is the whole change less the others."""
    before, after = before.double(), after.double()
    columns = []
    for place, reader in enumerate(direction.double().tolist()):
        old, new = before[:, place].sum(0).tolist(), after[:, place].sum(0).tolist()
        differences = (after[:, place] - before[:, place]).tolist()
        said = [dot(row, reader) / scale_of(old, eps) for row in differences]
        whole = dot(new, reader) / scale_of(new, eps) - dot(old, reader) / scale_of(old, eps)
        columns.append([*said, whole - math.fsum(said)])
    return torch.tensor(columns, dtype=torch.float64).T


def attended(pattern, values, reads):
    return torch.einsum("bqk,bkh,bqh->bq", pattern.double(), values.double(), reads.double())


def slow_looked_and_said(pattern, values, new_pattern, new_values, reads):
    """Change the one first and the other then, in both orders, and average."""
    neither, both = attended(pattern, values, reads), attended(new_pattern, new_values, reads)
    moved, spoke = attended(new_pattern, values, reads), attended(pattern, new_values, reads)
    return torch.stack([(moved - neither + both - spoke) / 2, (spoke - neither + both - moved) / 2])


def slow_repaid(words, later):
    """The lowest point of the parabola through three sums of squares."""
    words, later = words.double().tolist(), later.double().tolist()
    left, middle, right = (
        math.fsum((b + s * a) ** 2 for a, b in zip(words, later, strict=True)) for s in (-1.0, 0.0, 1.0)
    )
    return (left - right) / (2 * (left + right - 2 * middle))


# ---- the inputs -----------------------------------------------------------------------------------------------------


def normal(rng, *shape):
    return torch.randn(*shape, generator=rng)


def uniform(rng, low, high, *shape):
    return low + (high - low) * torch.rand(*shape, generator=rng)


def level(rows):
    return rows - rows.mean(-1, keepdim=True)


def unit(rows):
    return rows / rows.norm(dim=-1, keepdim=True)


def response_cases(rng):
    """The first part goes, and with it a good piece of the stream's length; means, and much said before and after."""
    for part, batch, d_model, eps in ((4, 3, 7, 1e-5), (5, 2, 8, 0.8), (3, 4, 9, 1.7)):
        direction = uniform(rng, 0.7, 1.4, batch, 1) * unit(level(normal(rng, batch, d_model)))
        common = level(normal(rng, batch, d_model))
        common = 1.6 * unit(
            common - (common * direction).sum(-1, keepdim=True) / direction.square().sum(-1, keepdim=True) * direction
        )
        weights = torch.tensor([2.5] + [1.0] * (part - 1))[:, None, None]
        side = normal(rng, 2, part, batch, d_model) * 0.4
        side = side - (side * unit(direction)).sum(-1, keepdim=True) * unit(direction)
        said = uniform(rng, 1.0, 2.0, 2, part, batch, 1) * unit(direction)
        means = uniform(rng, 0.5, 1.5, part, batch, 1)
        before = weights * common + side[0] + said[0] + means
        after = weights * common + side[1] + 1.7 * said[1] + means
        after[0] = 0.1 * before[0]
        yield Case((before, after, direction, eps))


def attention(rng, *shape):
    return (1.5 * normal(rng, *shape)).softmax(-1)


def way_cases(rng):
    """Every piece is large: the pattern's, the values', and what the two do only together."""
    for batch, query, key, d_head in ((2, 3, 5, 4), (3, 4, 6, 2)):
        old, new = attention(rng, batch, query, key), attention(rng, batch, query, key)
        values = normal(rng, batch, key, d_head) + 1.0
        new_values = 1.5 * normal(rng, batch, key, d_head) - 0.5
        yield Case((old, values, new, new_values, 2 * normal(rng, batch, query, d_head)))


def share_cases(rng):
    """Most words are losses, of unlike size; what comes later follows them, with an offset of its own."""
    for batch, paid in ((9, 0.6), (14, 1.3), (11, -0.5)):
        words = -0.6 + uniform(rng, 0.5, 2.5, batch) * torch.where(torch.arange(batch) % 3 == 0, 1.0, -1.0)
        words[1] *= 2.5
        later = -paid * words + 0.5 + 0.7 * normal(rng, batch)
        yield Case((words, later))


# ---- the learner's own cast -----------------------------------------------------------------------------------------

BATCH, D_MODEL = 21, 13
KINDS = ("voter", "understudy", "brake", "echo", "alarm")


def words_of(kind, dose, lead, share, base):
    """What a part says when the lead is at that dose."""
    change = {
        "voter": torch.zeros_like(lead),
        "understudy": max(0.0, 1 - dose) * lead,
        "brake": -dose * lead,
        "echo": dose * lead,
        "alarm": abs(1 - dose) * lead,
    }[kind]
    return base + share * change


def draw(rng):
    """What was written with the lead off, intact and doubled, and the directions; and the label of each part.

    Everybody writes otherwise in each run; only some say otherwise. Without the lead the stream is shorter.
    """
    extra = [KINDS[int(i)] for i in torch.randint(len(KINDS), (2,), generator=rng)]
    labels = [*KINDS, *extra]
    labels = [labels[i] for i in torch.randperm(len(labels), generator=rng)]
    direction = uniform(rng, 0.8, 1.4, BATCH, 1) * unit(level(normal(rng, BATCH, D_MODEL)))
    write = direction / direction.square().sum(-1, keepdim=True)

    def unheard(*shape):
        rows = level(normal(rng, *shape, BATCH, D_MODEL))
        return rows - (rows * direction).sum(-1, keepdim=True) * write

    common, lead = unit(unheard()), uniform(rng, 2.0, 4.0, BATCH)
    shares, bases = uniform(rng, 0.35, 0.6, len(labels)), uniform(rng, 0.3, 1.0, len(labels), BATCH)
    sides = 0.8 * common + 0.4 * unheard(len(labels))
    runs = []
    for dose in (0.0, 1.0, 2.0):
        parts = [dose * (lead[:, None] * write + 4.0 * common)]
        for kind, share, base, side in zip(labels, shares, bases, sides, strict=True):
            said = words_of(kind, dose, lead, share, base + (1.2 if kind == "voter" else 0.0))
            parts.append(said[:, None] * write + side + 0.3 * unheard())
        runs.append(torch.stack(parts))
    return (*runs, direction), labels


def own_case(rng):
    given, labels = draw(rng)
    return [Case(given, want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def deviation(stream, eps):
    return torch.sqrt(level(stream).square().mean(-1) + eps)


def booked(at="old", of="after", eps_of=lambda eps: eps):
    """The ledger with the parts read at another scale, or the norm's entry for another stream."""

    def formula(before, after, direction, eps):
        old, new = deviation(before.sum(0), eps_of(eps)), deviation(after.sum(0), eps_of(eps))
        stream = {"after": after, "before": before}[of].sum(0)
        said = ((after - before) * direction).sum(-1) / {"old": old, "new": new}[at]
        return torch.cat([said, ((stream * direction).sum(-1) * (1 / new - 1 / old))[None]])

    return formula


def each_at_its_runs_scale(before, after, direction, eps):
    old, new = deviation(before.sum(0), eps), deviation(after.sum(0), eps)
    said = (after * direction).sum(-1) / new - (before * direction).sum(-1) / old
    return torch.cat([said, 0 * said[:1]])


def each_at_its_own_scale(before, after, direction, eps):
    said = (after * direction).sum(-1) / deviation(after, eps) - (before * direction).sum(-1) / deviation(before, eps)
    old, new = deviation(before.sum(0), eps), deviation(after.sum(0), eps)
    whole = (after.sum(0) * direction).sum(-1) / new - (before.sum(0) * direction).sum(-1) / old
    return torch.cat([said, (whole - said.sum(0))[None]])


def what_is_said(before, after, direction, eps):
    old = deviation(before.sum(0), eps)
    return (after * direction).sum(-1) / old, (before * direction).sum(-1) / old


RESPONSE_SYMPTOMS = (
    Symptom.from_truth(
        "norm_missing",
        lambda want, *given: want[:-1],
        says="These are the {part} parts. One entry more is asked for: what the new scale does.",
    ),
    Symptom(
        "not_by_place",
        lambda got, want, *given: got.ndim == 1,
        says="One number for each entry came back. Keep the batch: one for each entry and place.",
    ),
    Symptom(
        "by_coordinate",
        lambda got, want, *given: got.ndim == 3,
        says="There is still an axis of {d_model} coordinates. A dot product adds them up.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, *given: -want,
        says="Every sign is turned: the change is after minus before.",
    ),
    Symptom.from_truth(
        "norm_first",
        lambda want, *given: want.roll(1, 0),
        says="The norm came first. It is the last entry.",
    ),
    Symptom.gives(
        "at_new_scale",
        booked("new", "before"),
        booked("new", "after"),
        says="The changes were read at the new scale. At the old one they are what each part did; what the scale did is the norm's entry.",
    ),
    Symptom.gives(
        "each_at_its_runs_scale",
        each_at_its_runs_scale,
        says="Each part was read at the scale of its run. Then a part that stays as it is seems to answer: that is the norm's doing.",
    ),
    Symptom.gives(
        "each_at_its_own_scale",
        each_at_its_own_scale,
        says="Each part was given a scale of its own. The norm sees the sum only.",
    ),
    Symptom.gives(
        "norm_of_the_old_stream",
        booked("old", "before"),
        says="Parts are right. The norm's entry takes the stream before; then the ledger does not sum to the change. Take what is left of it.",
    ),
    Symptom.from_truth(
        "whole_change",
        lambda want, *given: torch.cat([want[:-1], want.sum(0, keepdim=True)]),
        says="Parts are right. The last entry is the whole change; asked for is the rest, when the parts' entries are taken off.",
    ),
    Symptom(
        "after_alone",
        lambda got, want, before, after, direction, eps: torch.allclose(
            got[:-1], what_is_said(before, after, direction, eps)[0].double(), atol=1e-3
        ),
        says="This is what the parts say afterwards. What they said before is to be taken off.",
    ),
    Symptom.gives(
        "default_eps",
        booked(eps_of=lambda eps: 1e-5),
        says="The eps that was passed is not the one that you used: scale(stream, eps).",
    ),
    Symptom.gives(
        "not_divided",
        lambda before, after, direction, eps: torch.cat(
            [
                ((after - before) * direction).sum(-1),
                booked()(before, after, direction, eps)[-1:],
            ]
        ),
        lambda before, after, direction, eps: torch.cat(
            [
                said := ((after - before) * direction).sum(-1),
                (booked()(before, after, direction, eps).sum(0) - said.sum(0))[None],
            ]
        ),
        says="The parts' changes are not divided by a scale. Take that of the stream before.",
    ),
)


def in_ways(looked_at, said_at):
    """Looked and said, the first with this share of the new values, the second with that of the new pattern."""

    def formula(pattern, values, new_pattern, new_values, reads):
        other_values = values + looked_at * (new_values - values)
        other_pattern = pattern + said_at * (new_pattern - pattern)
        looked = torch.einsum("bqk,bkh,bqh->bq", new_pattern - pattern, other_values, reads)
        return torch.stack([looked, torch.einsum("bqk,bkh,bqh->bq", other_pattern, new_values - values, reads)])

    return formula


WAY_SYMPTOMS = (
    Symptom.from_truth(
        "rows_swapped",
        lambda want, *given: want.flip(0),
        says="The rows are swapped: looked comes first.",
    ),
    Symptom.from_truth(
        "sign",
        lambda want, *given: -want,
        says="The signs are turned: new minus old.",
    ),
    Symptom.from_truth(
        "not_halved",
        lambda want, *given: 2 * want,
        says="Twice as much: a mean of two is half their sum.",
    ),
    Symptom.gives(
        "at_old",
        in_ways(0, 0),
        says="Each is taken with the other at its old. What both do together is in neither row: the rows do not sum to the change.",
    ),
    Symptom.gives(
        "at_new",
        in_ways(1, 1),
        says="Each is taken with the other at its new. What both do together is in both rows: the rows do not sum to the change.",
    ),
    Symptom.gives(
        "one_order",
        in_ways(0, 1),
        in_ways(1, 0),
        says="One is changed first, at the other's old, and the other then. It sums, but depends on the order: take the mean of both.",
    ),
    Symptom.gives(
        "new_alone",
        lambda pattern, values, new_pattern, new_values, reads: torch.stack(
            [
                attended(new_pattern, (values + new_values) / 2, reads),
                attended((pattern + new_pattern) / 2, new_values, reads),
            ]
        ),
        says="The new is there, and the old is not taken off: a change is new minus old.",
    ),
    Symptom(
        "not_dotted",
        lambda got, want, *given: got.ndim == 4,
        says="There is still an axis of {d_head}. Take the dot product with reads.",
    ),
    Symptom(
        "ways_last",
        lambda got, want, *given: got.shape == want.movedim(0, -1).shape,
        says="The two ways came last. They are the first axis: torch.stack without a dim.",
    ),
    Symptom(
        "one_sum",
        lambda got, want, *given: got.shape == want.shape[1:],
        says="One of the ways came back, or their sum. Asked for are both, stacked.",
    ),
)


def correlated(words, later):
    return -torch.corrcoef(torch.stack([words, later]))[0, 1]


def with_intercept(words, later):
    return -((words - words.mean()) @ (later - later.mean())) / (words - words.mean()).square().sum()


SHARE_SYMPTOMS = (
    Symptom.from_truth(
        "sign",
        lambda want, *given: -want,
        says="The sign is turned. Where later parts pay back, words and later have opposite signs, and s is positive.",
    ),
    Symptom.gives(
        "ratio_of_sums",
        lambda words, later: -later.sum() / words.sum(),
        lambda words, later: later.sum() / words.sum(),
        says="That is a ratio of sums, or of means. Losses and gains cancel in both: a part that is always paid back may sum to zero.",
    ),
    Symptom.gives(
        "mean_of_ratios",
        lambda words, later: -(later / words).mean(),
        lambda words, later: (later / words).mean(),
        says="That is the mean of the ratios. Where words is near zero a ratio is huge, and decides it all.",
    ),
    Symptom.gives(
        "median_of_ratios",
        lambda words, later: (-later / words).median(),
        lambda words, later: -(later / words).median(),
        lambda words, later: -(later / words).quantile(0.5),
        lambda words, later: (later / words).median(),
        says="That is the median of the ratios: places where next to nothing was lost count like any other.",
    ),
    Symptom.gives(
        "sizes_only",
        lambda words, later: later.abs().sum() / words.abs().sum(),
        lambda words, later: (later.abs() / words.abs()).mean(),
        lambda words, later: later.norm() / words.norm(),
        lambda words, later: later.square().sum() / words.square().sum(),
        says="That compares sizes, without their signs: what adds to the loss counts as paid back.",
    ),
    Symptom.gives(
        "correlation",
        correlated,
        lambda words, later: -correlated(words, later),
        lambda words, later: -torch.cosine_similarity(words, later, dim=0),
        lambda words, later: torch.cosine_similarity(words, later, dim=0),
        says="That is a correlation. It says how reliably they pay, not how much.",
    ),
    Symptom.gives(
        "intercept",
        with_intercept,
        lambda words, later: -with_intercept(words, later),
        says="The means were taken off, or an intercept was fitted. The line goes through zero: nothing lost, nothing owed.",
    ),
    Symptom.gives(
        "turned_round",
        lambda words, later: -(words @ later) / (later @ later),
        lambda words, later: (words @ later) / (later @ later),
        says="That predicts words from later. Later is to be predicted, from words.",
    ),
    Symptom.gives(
        "losses_only",
        lambda words, later: -(words[words < 0] @ later[words < 0]) / words[words < 0].square().sum(),
        lambda words, later: -later[words < 0].sum() / words[words < 0].sum(),
        says="Only the losses were counted. Where the part spoke against the right token, it is a gain that is to be paid back.",
    ),
    Symptom.gives(
        "largest_only",
        lambda words, later: -later[words.abs().argmax()] / words[words.abs().argmax()],
        lambda words, later: -later[words.argmin()] / words[words.argmin()],
        says="That is the place with the most at stake, and no other. Whoever picks places picks the answer.",
    ),
    Symptom.gives(
        "not_divided",
        lambda words, later: -(words @ later),
        lambda words, later: -(words * later).mean(),
        says="That grows with words. Divide by the sum of its squares.",
    ),
    Symptom(
        "not_a_number",
        lambda got, want, *given: got.ndim > 0,
        says="One number is asked for, over the whole batch.",
    ),
)


def mistaken(*pairs):
    """Some parts are labelled wrongly, and each of them in one of these ways: (label given, true label)."""

    def when(got, want, *given):
        return len(got) == len(want) and {(g, w) for g, w in zip(got, want, strict=True) if g != w} <= set(pairs)

    return when


CAST_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs seven labels, in order. The lead and the norm get none.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(KINDS),
        says='The labels are "voter", "understudy", "brake", "echo" and "alarm", in lower case.',
    ),
    Symptom(
        "by_removal_alone",
        mistaken(("understudy", "brake"), ("understudy", "alarm")),
        says="You call all those understudies that pay back when the lead is off. What do they do when it is doubled?",
    ),
    Symptom(
        "brakes_only",
        mistaken(("brake", "understudy"), ("brake", "alarm")),
        says="You call all those brakes that pay back when the lead is off. Some have nothing against a lead that is doubled.",
    ),
    Symptom(
        "alarms_only",
        mistaken(("alarm", "understudy"), ("alarm", "brake")),
        says="You call all those alarms that speak up when the lead is off. What do they do when it is doubled?",
    ),
    Symptom(
        "voters_seen_to_answer",
        mistaken(*[(label, "voter") for label in KINDS]),
        says="A voter of yours is said to answer. Does it say anything else, or write something unheard, "
        "or is it the same words at another scale? Read all at the old scale.",
    ),
    Symptom(
        "brake_and_echo_swapped",
        mistaken(("echo", "brake"), ("brake", "echo")),
        says="Brake and echo are swapped: a brake says more once the lead is off, an echo less.",
    ),
    Symptom(
        "doubled_alone",
        mistaken(("voter", "understudy"), ("echo", "alarm"), ("alarm", "echo")),
        says="You looked at the doubled lead only. An understudy is silent then, as a voter is; and an alarm sounds like an echo.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. Begin with responses(intact, off, ...) and responses(intact, doubled, ...), averaged over the batch.",
    ),
)

PUZZLE = Puzzle(
    slug="understudies",
    title="Nobody missed it",
    question="You ablate the important head and nothing happens. Why?",
    principle="An ablation shows that later parts pay back, and not whether they waited: an understudy speaks only when the "
    "other is gone, a brake also pushes back when it is turned up. So turn it up. And a head writes at every place: "
    "ablated everywhere, it is many ablations, which may cancel. So split it.",
    minutes=40,
    models=("mini-python", "mini-induction", "toy-ioi", "mini-deep", "mini-gpt2", "mini-neo"),
    after=("freeze_the_norm", "induction_heads"),
    problems={"2.19": "responses", "2.20": "repaid", "2.25": "repaid", "6.7": "responses"},
    draw=lambda rng: draw(rng)[0],
    parts=(
        Part(
            name="responses",
            takes=("part batch d_model", "part batch d_model", "batch d_model", ""),
            returns="entry batch",
            points=2,
            cases=response_cases,
            spec=slow_responses,
            symptoms=RESPONSE_SYMPTOMS,
            hints=(
                "scale(before.sum(0), eps) has one number for each place of the batch. Every part's change is divided by it.",
                "The norm's entry is what is left: the change of the whole quotient, minus the sum of the parts' entries.",
                "In one go: (after.sum(0) * direction).sum(-1) * (1 / new - 1 / old).",
            ),
            meaning="Who took away, who answered, and what only the scale did: it sums to the model's own change.",
        ),
        Part(
            name="looked_and_said",
            takes=(
                "batch query_pos key_pos",
                "batch key_pos d_head",
                "batch query_pos key_pos",
                "batch key_pos d_head",
                "batch query_pos d_head",
            ),
            returns="way batch query_pos",
            points=2,
            cases=way_cases,
            spec=slow_looked_and_said,
            symptoms=WAY_SYMPTOMS,
            hints=(
                "(new_pattern - pattern) @ values is what the looking changes. At which values? At the mean of old and new.",
                "The dot product with reads: multiply, then sum over the last axis.",
            ),
            meaning="Two numbers that sum to the head's answer, whatever changed first.",
        ),
        Part(
            name="repaid",
            takes=("batch", "batch"),
            returns="",
            points=1,
            cases=share_cases,
            spec=slow_repaid,
            symptoms=SHARE_SYMPTOMS,
            hints=(
                "The sum of (later + s * words) squared is a parabola in s. Where is its derivative zero?",
                "It is a regression through zero: a sum of products over a sum of squares.",
            ),
            meaning="One share for all places, weighed by what was at stake.",
        ),
        Part(
            name="my_cast",
            takes=("part batch d_model", "part batch d_model", "part batch d_model", "batch d_model"),
            returns="voice",
            points=3,
            cases=own_case,
            spec=None,
            symptoms=CAST_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "responses(intact, off, direction, 0.0).mean(1) and responses(intact, doubled, direction, 0.0).mean(1), side by side.",
                "The first entry is the lead, the last the norm. For each of the seven: does it change once, twice, with which signs?",
            ),
            meaning="With the lead off, three kinds were one.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("votes", "louder", "spares", "brakes"), right="brakes"),
        Prediction("change when L1H1 is doubled", between=(-2, 5)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Keeps the reasons apart: what others say anyway, the norm's scale, and real answers of later parts, by a ledger at the old scale; or two effects at two places that cancel.",
                "An answer to an ablation does not show a part that waits: later parts that always speak against the head stop as well.",
                "Turn the head up (or give a range of doses): a spare is silent, a brake pushes back. And dropout is no explanation where none was used.",
            ),
        ),
    ),
)
