"""Meaningful zero: what is asked, how it is checked, and what each wrong answer looks like."""

import math

import torch

from mechpuzzles.limits import Limits
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracle: plain Python over rows -----------------------------------------------------------------------------


def slow_ablate(acts, kind, donor):
    """Row by row: what each use is given instead of its own output."""
    rows, gives = acts.double().tolist(), donor.tolist()
    n, d_head = acts.shape
    average = [math.fsum(row[i] for row in rows) / n for i in range(d_head)]
    given = {"zero": lambda i: [0.0] * d_head, "mean": lambda i: average, "resample": lambda i: rows[gives[i]]}
    return torch.tensor([given[kind](i) for i in range(n)], dtype=torch.float64)


def nats(row, answer):
    """Minus the log-probability of an answer."""
    top = max(row)
    return math.log(math.fsum(math.exp(x - top) for x in row)) + top - row[answer]


def slow_ablation_effect(before, after, answers):
    rows = zip(before.double().tolist(), after.double().tolist(), answers.tolist())
    return math.fsum(nats(b, answer) - nats(a, answer) for b, a, answer in rows) / -len(answers)


def slow_expected_resample_effect(acts, readout):
    """Squares of all differences, from the sum and the sum of squares of what is read."""
    read = [math.fsum(x * r for x, r in zip(row, readout.double().tolist())) for row in acts.double().tolist()]
    n, around = len(read), read[0]  # from the first reading, so that a large constant costs no digits
    read = [x - around for x in read]
    return 2 * (n * math.fsum(x * x for x in read) - math.fsum(read) ** 2) / (n * (n - 1))


# ---- which statistics survive a translation: found by translating ---------------------------------------------------


def nearest(similarity):
    return (similarity - 1e9 * torch.eye(len(similarity))).argmax(1).double()


def cosines(X):
    U = X / X.norm(dim=1, keepdim=True)
    return U @ U.T


STATISTICS = {
    "norm": lambda X: X.norm(dim=1),
    "cosine": cosines,
    "difference": lambda X: X[:, None] - X[None],
    "distance": lambda X: torch.cdist(X, X),
    "nearest by cosine": lambda X: nearest(cosines(X)),
    "variance": lambda X: X.var(0),
    "zero effect": lambda X: X.sum(1).square().mean(),
    "mean effect": lambda X: (X - X.mean(0)).sum(1).square().mean(),
}


def by_translating(X):
    """For each statistic, whether it stays when all points move by one vector; three vectors are tried."""
    moves = 3 * torch.randn(3, X.shape[1], generator=torch.Generator().manual_seed(0), dtype=X.dtype)
    stays = [all(torch.allclose(of(X), of(X + v), atol=1e-6) for v in moves) for of in STATISTICS.values()]
    return ["points" if stay else "origin" for stay in stays]


# ---- the inputs: a constant that is large beside the spread, and chains of donors ------------------------------------


def outputs(rng, n, d_head, offset):
    """Rows with unequal spread and a common part whose coordinates differ."""
    common = offset * (torch.randn(d_head, generator=rng).abs() + 0.6) * torch.tensor([1.0, -2.0] * d_head)[:d_head]
    return torch.randn(n, d_head, generator=rng) * torch.exp(0.5 * torch.randn(n, 1, generator=rng)) + common


def one_round(rng, n):
    """Donors in one ring through all rows: nobody gives to itself, and there and back differ."""
    order = torch.randperm(n, generator=rng)
    donor = torch.empty(n, dtype=torch.long)
    donor[order] = order.roll(1)
    return donor


def ablate_cases(rng):
    for n, d_head, offset in ((7, 4, 2.0), (6, 3, 0.5)):
        acts, donor = outputs(rng, n, d_head, offset), one_round(rng, n)
        for kind in ("zero", "mean", "resample"):
            yield Case((acts, kind, donor))


def effect_cases(rng):
    for n, d_vocab in ((9, 5), (6, 8)):
        answers = torch.randint(d_vocab, (n,), generator=rng)
        level = 3 + 4 * torch.rand(2, n, 1, generator=rng)  # raw logits have no zero of their own
        before, after = 1.5 * torch.randn(2, n, d_vocab, generator=rng)
        before[torch.arange(n), answers] += 1.5
        yield Case((before + 2 * level[0], after + level[1], answers))


def resample_cases(rng):
    for n, d_head, offset in ((7, 4, 1.5), (5, 3, 0.8)):
        yield Case((outputs(rng, n, d_head, offset), torch.randn(d_head, generator=rng) + 0.5))
    for n, limits in ((3_000, Limits(seconds=20, extra_mb=8)), (200_000, Limits(seconds=3))):
        # Two kinds of rows, so that the mean over all pairs is known: only unequal pairs count.
        # In float64: in float32 torch.cov errs by up to 1.5e-3 over so many rows, and it is a right answer.
        a, b, readout = (torch.randn(3, 4, generator=rng).abs() + torch.tensor([[1.0], [2.5], [0.5]])).double()
        some = n // 3
        unequal = 2 * some * (n - some) / (n * (n - 1))
        yield Case(
            (torch.cat([a.expand(some, 4), b.expand(n - some, 4)]), readout),
            want=unequal * ((a - b) @ readout) ** 2,
            limits=limits,
        )


def statistic_cases(rng):
    X = torch.randn(40, 5, generator=rng, dtype=torch.float64)
    yield Case((X,), want=by_translating(X))


# ---- a hand-set circuit, drawn for each learner ----------------------------------------------------------------------

N, D_HEAD, ANSWERS = 120, 3, 4


def hand_set(rng):
    """Outputs [n, head, d_head], W_O, bias and answers of a circuit, and which head has which role.

    ``carrier`` knows the answer and has no constant; ``weak`` knows it a little, and has one; ``constant`` says the same
    to everyone; ``loud`` raises all answers alike, which is no news; ``babble`` varies, and is not read at all. The bias
    takes back what is constant.
    """
    role = dict(zip(("carrier", "weak", "constant", "loud", "babble"), torch.randperm(5, generator=rng).tolist()))
    answers = torch.arange(N).remainder(ANSWERS)[torch.randperm(N, generator=rng)]
    news = torch.eye(ANSWERS)[answers] - 1 / ANSWERS
    basis = torch.linalg.qr(torch.eye(ANSWERS)[:, :D_HEAD] - 1 / ANSWERS).Q.T  # logits that sum to zero
    turns = torch.linalg.qr(torch.randn(5, D_HEAD, D_HEAD, generator=rng)).Q
    W_O = turns @ basis
    constants = {name: torch.randn(ANSWERS, generator=rng) for name in ("weak", "constant")}
    sizes = {"weak": 4.0, "constant": 8.0}
    constants = {name: c - c.mean() for name, c in constants.items()}
    constants = {name: sizes[name] * c / c.norm() for name, c in constants.items()}
    said = {
        "carrier": 3 * news,
        "weak": 0.8 * news + constants["weak"],
        "constant": constants["constant"].expand(N, -1),
    }
    heads = torch.zeros(N, 5, D_HEAD)
    for name, writes in said.items():
        heads[:, role[name]] = writes @ W_O[role[name]].T
    for name, noise in (("carrier", 0.3), ("weak", 0.3)):
        heads[:, role[name]] += noise * torch.randn(N, D_HEAD, generator=rng)
    heads[:, role["loud"]] = 6 * torch.randn(N, D_HEAD, generator=rng) + 5
    W_O[role["loud"]] = torch.rand(D_HEAD, 1, generator=rng).expand(-1, ANSWERS)
    heads[:, role["babble"]] = 3 * torch.randn(N, D_HEAD, generator=rng)
    W_O[role["babble"]] = 0.02 * W_O[role["babble"]]
    return (heads, W_O, -sum(constants.values()), answers), role


def carrier_cases(rng):
    circuit, role = hand_set(rng)
    yield Case(circuit, want=role["carrier"])


def is_constant(heads):
    return heads.var(0).sum(1) < 1e-6


def told(heads, W_O, answers):
    """How far apart each head's mean logits for the four answers lie."""
    writes = torch.einsum("nhd,hda->nha", heads, W_O)
    writes = writes - writes.mean(-1, keepdim=True)
    middles = torch.stack([writes[answers == answer].mean(0) for answer in range(W_O.shape[-1])])
    return middles.var(0).sum(-1)


# ---- the ways of being wrong ----------------------------------------------------------------------------------------


def on(kind, wrong):
    """A wrong formula for one kind; the others do not show it."""
    return lambda acts, asked, donor: wrong(acts, donor) if asked == kind else torch.tensor(math.nan)


def everywhere(row, acts):
    return row.expand(acts.shape)


def back(acts, donor):
    """Each row goes to where it should have come from."""
    return acts.index_select(0, donor.argsort())


def middle(acts):
    return acts.sum(0) / len(acts)


ABLATE_SYMPTOMS = (
    Symptom.gives(
        "kind_ignored",
        lambda acts, kind, donor: 0 * acts,
        says="Zeros came back where a mean or another row was asked for. Look at kind.",
    ),
    Symptom.gives(
        "own_mean",
        on("mean", lambda acts, donor: acts.mean(dim=1, keepdim=True).expand(acts.shape)),
        on("mean", lambda acts, donor: acts.mean(dim=1)),
        says="Each row became its own mean over {d_head} coordinates. The average row is over the {n} uses: "
        "it has {d_head} numbers, the same for everyone.",
    ),
    Symptom.gives(
        "one_number",
        on("mean", lambda acts, donor: everywhere(acts.mean(), acts)),
        on("mean", lambda acts, donor: acts.mean()),
        says="One number stands everywhere: the mean of all {n} x {d_head} entries. Coordinates have means of their own.",
    ),
    Symptom.gives(
        "not_spread",
        on("mean", lambda acts, donor: middle(acts)),
        on("mean", lambda acts, donor: middle(acts)[None]),
        on("zero", lambda acts, donor: 0 * acts[0]),
        says="That is the right row, once. Every one of the {n} uses needs a copy: return the shape that came in.",
    ),
    Symptom.gives(
        "mean_removed",
        on("mean", lambda acts, donor: acts - middle(acts)),
        says="The mean was taken away, and what differs between uses was kept. "
        "Mean ablation does the opposite: it keeps what they share.",
    ),
    Symptom.gives(
        "median",
        on("mean", lambda acts, donor: everywhere(acts.median(0).values, acts)),
        says="Every row became the median of each coordinate. Asked for is the mean.",
    ),
    Symptom.gives(
        "mean_of_the_others",
        on("mean", lambda acts, donor: (acts.sum(0) - acts) / (len(acts) - 1)),
        says="Each row became the mean of the *other* rows. That still differs from use to use, and so still tells which use it is.",
    ),
    Symptom.gives(
        "sum_not_mean",
        on("mean", lambda acts, donor: everywhere(acts.sum(0), acts)),
        says="Every row became the sum of the rows, {n} times the mean.",
    ),
    Symptom.gives(
        "keeps_the_length",
        on("mean", lambda acts, donor: middle(acts) / middle(acts).norm() * acts.norm(dim=1, keepdim=True)),
        says="Every row points along the mean, but kept its own length: the length still tells uses apart.",
    ),
    Symptom.gives(
        "wrong_way_round",
        on("resample", back),
        says="The rows moved the wrong way round: row i went *to* donor[i]. Row i is to receive what row donor[i] was.",
    ),
    Symptom.gives(
        "nothing_swapped",
        lambda acts, kind, donor: acts,
        says="This use got its own output back. Give row i what row donor[i] was.",
    ),
    Symptom.gives(
        "neighbour",
        on("resample", lambda acts, donor: acts.roll(1, 0)),
        on("resample", lambda acts, donor: acts.roll(-1, 0)),
        on("resample", lambda acts, donor: acts.flip(0)),
        says="Each row got some other row, but not the one that donor names. The donors are given, so that a run can be repeated.",
    ),
    Symptom.gives(
        "difference_returned",
        on("resample", lambda acts, donor: acts.index_select(0, donor) - acts),
        says="That is by how much each row changes. Return what it becomes.",
    ),
    Symptom.gives(
        "half_and_half",
        on("resample", lambda acts, donor: (acts.index_select(0, donor) + acts) / 2),
        says="Each row is half itself. Switched off, nothing of its own remains.",
    ),
    Symptom.gives(
        "twice_removed",
        on("resample", lambda acts, donor: acts.index_select(0, donor.index_select(0, donor))),
        says="The donors were followed twice: each row got its donor's donor.",
    ),
    Symptom(
        "own_chance",
        lambda got, want, acts, kind, donor: (
            kind == "resample"
            and got.shape == acts.shape
            and all((acts - row).abs().sum(1).min() < 1e-5 for row in got)
        ),
        says="Each row is one of the rows, but not the one that donor names. The donors are given, so that a run can be repeated.",
    ),
)


def probabilities(logits, answers):
    return torch.softmax(logits, 1)[range(len(answers)), answers]


def log_probabilities(logits, answers, dim=1):
    return torch.log_softmax(logits, dim)[range(len(answers)), answers]


def drops(before, after, answers, dim=1):
    return log_probabilities(before, answers, dim) - log_probabilities(after, answers, dim)


def margins(logits, answers):
    of_answers = torch.nn.functional.one_hot(answers, logits.shape[1]).bool()
    return logits[of_answers] - logits.masked_fill(of_answers, -math.inf).max(1).values


EFFECT_SYMPTOMS = (
    Symptom.from_truth(
        "sign_flipped",
        lambda want, before, after, answers: -want,
        says="The sign is turned: damage should come out positive, so it is before minus after.",
    ),
    Symptom.gives(
        "raw_logits",
        lambda before, after, answers: (before - after)[range(len(answers)), answers].mean(),
        says="These are raw logits, and a logit has no zero of its own: add 7 to all {d_vocab} of them and nothing is "
        "predicted otherwise. Make them log-probabilities first.",
    ),
    Symptom.gives(
        "probabilities",
        lambda before, after, answers: (probabilities(before, answers) - probabilities(after, answers)).mean(),
        says="This is the drop in probability. From 0.9 to 0.8 and from 0.11 to 0.01 are alike to it, and not alike in nats: "
        "take logarithms.",
    ),
    Symptom.gives(
        "mean_before_log",
        lambda before, after, answers: (
            probabilities(before, answers).mean().log() - probabilities(after, answers).mean().log()
        ),
        says="The probabilities were averaged before the logarithm. First a log-probability for each use, then their mean.",
    ),
    Symptom.from_truth(
        "bits",
        lambda want, before, after, answers: want / math.log(2),
        says="These are bits: the logarithm has base 2. Asked for are nats.",
    ),
    Symptom.from_truth(
        "summed",
        lambda want, before, after, answers: want * len(answers),
        says="The drops are summed over the {n} uses. Take their mean, so that batches of different sizes can be compared.",
    ),
    Symptom.gives(
        "one_per_use",
        drops,
        says="One drop for each use came back: right, but not yet averaged.",
    ),
    Symptom.gives(
        "wrong_axis",
        lambda before, after, answers: drops(before, after, answers, dim=0).mean(),
        says="The softmax ran over the {n} uses. The probabilities of one use, over {d_vocab} tokens, sum to one.",
    ),
    Symptom.gives(
        "accuracy",
        lambda before, after, answers: (
            (before.argmax(1) == answers).double().mean() - (after.argmax(1) == answers).double().mean()
        ),
        says="This is the drop in accuracy: a head that makes a right answer barely right costs nothing in it. Use log-probabilities.",
    ),
    Symptom.gives(
        "absolute",
        lambda before, after, answers: drops(before, after, answers).abs().mean(),
        says="Every change counts as damage here. Where switching off helps, the drop is negative: keep its sign.",
    ),
    Symptom.gives(
        "own_favourite",
        lambda before, after, answers: drops(before, after, before.argmax(1)).mean(),
        says="This follows what the intact model liked best. Asked for is the right answer, liked or not.",
    ),
    Symptom.gives(
        "margin",
        lambda before, after, answers: (margins(before, answers) - margins(after, answers)).mean(),
        says="This is the drop of the answer's lead over the best other token: a good measure too, but a logit difference. "
        "Asked for is the log-probability.",
    ),
    Symptom.gives(
        "divergence",
        lambda before, after, answers: torch.nn.functional.kl_div(
            torch.log_softmax(after, 1), torch.log_softmax(before, 1), reduction="batchmean", log_target=True
        ),
        says="This is the KL divergence: how far the predictions moved, over all {d_vocab} tokens. "
        "Asked for is only what the right answer lost.",
    ),
    Symptom.gives(
        "not_compared",
        lambda before, after, answers: -log_probabilities(after, answers).mean(),
        lambda before, after, answers: log_probabilities(after, answers).mean(),
        says="This is the loss after the ablation. The effect is what it adds to the loss before.",
    ),
    Symptom.gives(
        "ratio",
        lambda before, after, answers: (
            1 - log_probabilities(after, answers).mean() / log_probabilities(before, answers).mean()
        ),
        lambda before, after, answers: (
            log_probabilities(after, answers).mean() / log_probabilities(before, answers).mean()
        ),
        lambda before, after, answers: (
            log_probabilities(after, answers).mean() / log_probabilities(before, answers).mean() - 1
        ),
        says="This is a ratio of losses. A difference is asked for: nats.",
    ),
    Symptom.gives(
        "whole_row",
        lambda before, after, answers: (torch.log_softmax(before, 1) - torch.log_softmax(after, 1)).mean(),
        says="This averages over all {d_vocab} tokens of each use. Pick the answer's column in each row.",
    ),
    Symptom.gives(
        "all_answers_for_all",
        lambda before, after, answers: (
            (torch.log_softmax(before, 1) - torch.log_softmax(after, 1)).index_select(1, answers).mean()
        ),
        says="[:, answers] takes everybody's answers from every row, an n-by-n table. Each row needs its own: index rows too.",
    ),
)


def small(wrong):
    """A wrong formula, tried on few rows only: on many it might take what the learner's may not."""
    return lambda acts, readout: wrong(acts, readout) if len(acts) < 3_000 else torch.tensor(math.nan)


def pairs(acts):
    n = len(acts)
    apart = acts[:, None] - acts[None]
    return apart[~torch.eye(n, dtype=torch.bool)]


RESAMPLE_SYMPTOMS = (
    Symptom.from_truth(
        "gives_to_itself",
        lambda want, acts, readout: want * (len(acts) - 1) / len(acts),
        says="Here a row may be its own donor, which changes nothing and dilutes the mean: {n} of those pairs are zero.",
    ),
    Symptom(
        "mean_effect",
        lambda got, want, acts, readout: any(
            abs(got - wrong) <= 1e-4 * max(1, abs(want)) for wrong in (want / 2, want / 2 * (len(acts) - 1) / len(acts))
        ),
        says="This is the variance: how far a row lies from the *mean*. A donor lies off the mean as well, by as much: "
        "how large, then, is the square of a difference?",
    ),
    Symptom.gives(
        "zero_effect",
        lambda acts, readout: torch.mv(acts, readout).square().mean(),
        lambda acts, readout: 2 * torch.mv(acts, readout).square().mean(),
        says="The squares are taken from zero, so a constant counts. A constant that all rows share cancels in a row minus a row.",
    ),
    Symptom(
        "root",
        lambda got, want, acts, readout: any(
            abs(got - wrong) <= 1e-4 * max(1, abs(want))
            for wrong in (want.sqrt(), (2 * want).sqrt(), (want / 2).sqrt())
        ),
        says="This is a root: a standard deviation, or made of one. Asked for is the mean of the squares.",
    ),
    Symptom.gives(
        "absolute",
        small(lambda acts, readout: torch.mv(pairs(acts), readout).abs().mean()),
        says="These are absolute changes, not squared ones.",
    ),
    Symptom.gives(
        "signs_cancel",
        lambda acts, readout: torch.zeros(()),
        lambda acts, readout: torch.mv(acts, readout).mean() ** 2,
        says="The changes were averaged before they were squared: for every pair there and back, they cancel.",
    ),
    Symptom.gives(
        "not_read",
        small(lambda acts, readout: pairs(acts).square().sum(1).mean()),
        says="This is the squared distance between rows, whatever reads them. Only the part along readout changes anything.",
    ),
    Symptom.gives(
        "one_by_one",
        small(lambda acts, readout: (pairs(acts) * readout).square().sum(1).mean()),
        says="Each coordinate was squared by itself before they were added. Coordinates vary together: read first, then square.",
    ),
    Symptom.gives(
        "unit_readout",
        small(lambda acts, readout: torch.mv(pairs(acts), readout / readout.norm()).square().mean()),
        says="The readout was given length one. Take it as it is: it says how much a change of the head changes the output.",
    ),
    Symptom(
        "summed",
        lambda got, want, acts, readout: any(
            abs(got - want * share * len(acts)) <= 1e-4 * max(1, abs(want)) * len(acts)
            for share in ((len(acts) - 1) / 2, len(acts) - 1, 1)
        ),
        says="This is a sum, over pairs or over rows. Asked for is the mean over pairs.",
    ),
    Symptom.from_truth(
        "twice_too_much",
        lambda want, acts, readout: 2 * want,
        says="Exactly twice. An ordered pair's square stands in the loop twice, as i with j and as j with i, "
        "and is divided by twice as many pairs.",
    ),
    Symptom.gives(
        "neighbours_only",
        lambda acts, readout: torch.mv(acts.roll(1, 0) - acts, readout).square().mean(),
        lambda acts, readout: torch.mv(acts[1:] - acts[:-1], readout).square().mean(),
        says="One donor for each row. Asked for is the mean over all donors, which needs no chance.",
    ),
    Symptom.exceeds(
        "n_by_n",
        "memory",
        says="Right on few rows, but on {n} rows {broke}. Multiply out the square of a difference: you need two sums, not every pair.",
    ),
    Symptom.exceeds(
        "pair_by_pair",
        "time",
        says="Right on few rows, but on {n} rows {broke}. Multiply out the square of a difference: which two sums remain?",
    ),
)

WHY = {
    "norm": "A norm is the distance from zero: move everything, and it changes.",
    "cosine": "A cosine has no scale, but it is an angle seen from zero: step aside, and it changes.",
    "nearest by cosine": "Who is nearest by cosine depends on where you look from: zero. By distance it would not.",
    "zero effect": "Zero ablation moves a row to the origin. Move the rows and not the origin, and it moves them elsewhere: "
    "that is what the twin showed.",
    "difference": "In a difference of two outputs, what was added to both cancels.",
    "distance": "A distance needs two points and no third one: what was added to both cancels.",
    "variance": "A variance is taken around the mean, and the mean moves along.",
    "mean effect": "Mean ablation takes a row to the mean, and the mean moves along: the way is as long as before.",
}


def wrong_are(*names):
    """Exactly these of the statistics are answered wrongly."""

    def when(got, want, X):
        wrong = {name for name, g, w in zip(STATISTICS, got, want, strict=True) if g != w}
        return wrong == set(names)

    return when


STATISTIC_SYMPTOMS = (
    Symptom(
        "number_of_words",
        lambda got, want, X: len(got) != len(want),
        says="The list needs eight words, one for each statistic, in the order given.",
    ),
    Symptom(
        "other_words",
        lambda got, want, X: not set(got) <= {"points", "origin"},
        says='The two words are "points" and "origin", in lower case.',
    ),
    *(
        Symptom(name.replace(" ", "_"), wrong_are(name), says=f"All but one are right. {says}")
        for name, says in WHY.items()
    ),
    Symptom(
        "angles",
        wrong_are("cosine", "nearest by cosine"),
        says="All but two are right. Cosines forget lengths, not the origin: an angle has its corner at zero.",
    ),
    Symptom(
        "ablations_swapped",
        wrong_are("zero effect", "mean effect"),
        says="All but two are right. Think of the twin: every output moved. Which of the two ablations cost the same before and after?",
    ),
    Symptom(
        "all_turned_round",
        wrong_are(*STATISTICS),
        says='Every one is turned round. "points" means: the number stays when everything moves by one vector.',
    ),
    Symptom(
        "all_alike",
        lambda got, want, X: len(set(got)) == 1,
        says="They are not all alike: some are built of differences, and some are measured from zero.",
    ),
    Symptom(
        "several",
        lambda got, want, X: True,
        says="Several are not so. Do not guess: take X = torch.randn(6, 3) and v = torch.randn(3), "
        "and compute each from X and from X + v.",
    ),
)

CARRIER_SYMPTOMS = (
    Symptom(
        "no_head",
        lambda got, want, heads, W_O, b, answers: not 0 <= got < heads.shape[1],
        says="There is no head of that number. They count from 0.",
    ),
    Symptom(
        "zero_says_so",
        lambda got, want, heads, W_O, b, answers: is_constant(heads)[got],
        says="Zeroing that head costs most. But print its rows: can an output that never changes say anything about the answer?",
    ),
    Symptom(
        "not_heard",
        lambda got, want, heads, W_O, b, answers: told(heads, W_O, answers)[got] < 0.05,
        says="Its rows vary a lot, but no answer gains on another by them. Look at the cost, not at the size.",
    ),
    Symptom(
        "knows_a_little",
        lambda got, want, heads, W_O, b, answers: got != want,
        says="That head knows something, and has a constant as well. Part the two: another one carries more.",
    ),
)

PUZZLE = Puzzle(
    slug="meaningful_zero",
    title="Meaningful zero",
    question='A model cannot do without a head, and does not care what the head reads. What does switching a component "off" mean?',
    principle="Zero, mean and resampling are three counterfactuals: zero removes a constant too, and a constant is a bias, not importance.",
    minutes=40,
    models=("mini-neo", "gpt2", "mini-gpt2"),
    after=("similar_embeddings",),
    problems={"6.7": "carrier", "6.8": "ablation_effect"},
    draw=lambda rng: hand_set(rng)[0],
    parts=(
        Part(
            name="ablate",
            takes=("n d_head", "", "n"),
            returns="n d_head",
            points=2,
            cases=ablate_cases,
            spec=slow_ablate,
            symptoms=ABLATE_SYMPTOMS,
            hints=(
                "Three cases, one return each. All return the shape of acts.",
                "The average row is over the uses, dim 0; expand_as gives everyone a copy. For donors, index with a tensor.",
            ),
            meaning="Three different questions: what if the head were silent, what if it said the usual, what if it had read something else?",
        ),
        Part(
            name="ablation_effect",
            takes=("n d_vocab", "n d_vocab", "n"),
            returns="",
            points=2,
            cases=effect_cases,
            spec=slow_ablation_effect,
            symptoms=EFFECT_SYMPTOMS,
            hints=(
                "From logits to log-probabilities there is one method; along which axis do probabilities sum to one?",
                "Row i needs column answers[i]: index with torch.arange(n) and answers together. Before minus after, then the mean.",
            ),
            meaning="Positive is damage, and it is the rise of the loss. Log-probabilities have a zero that means something: certainty.",
        ),
        Part(
            name="measured_from",
            takes=("n d_head",),
            returns="statistic",
            points=2,
            cases=statistic_cases,
            spec=None,
            symptoms=STATISTIC_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "Do not guess: take X = torch.randn(6, 3) and v = torch.randn(3), and compute each from X and from X + v.",
                "Four and four. Ask of each: does what is added to all of them cancel?",
            ),
            meaning="What survives is built of differences. That is all a space without an origin has: an affine space.",
        ),
        Part(
            name="carrier",
            takes=("n head d_head", "head d_head answer", "answer", "n"),
            returns="",
            points=2,
            cases=carrier_cases,
            spec=None,
            symptoms=CARRIER_SYMPTOMS,
            kind="integer",
            value=True,
            hints=(
                "Zero mixes what a head says about this use with what it says about every use. Which bars do not?",
                "Look for the tallest bar of the mean, or of resampling: they agree.",
            ),
            meaning="You read what a head tells, not what it weighs. Zero would have named another one.",
        ),
        Part(
            name="expected_resample_effect",
            takes=("n d_head", "d_head"),
            returns="",
            points=2,
            cases=resample_cases,
            spec=slow_expected_resample_effect,
            symptoms=RESAMPLE_SYMPTOMS,
            hints=(
                "First read: one number for each row. Then it is a question about differences of numbers.",
                "The mean squared difference of two independent draws is a multiple of a well-known statistic. "
                "Which multiple, and does it divide by n or by n - 1?",
            ),
            meaning="No constant in it, and no chance: resampling costs the row's own spread and the donor's.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("alike", "backup", "unfamiliar", "constant"), right="constant"),
        Prediction("mean cost of head 0.0", between=(-1, 5), within=0.2),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "Zero removes the information and the constant; the constant is a bias, which could stand elsewhere without changing a prediction.",
                "Mean ablation or resampling from other texts parts the two.",
                "When zero is fair: where it is a state of the head or its mean is zero, or where deletion is the question. "
                "And the others are counterfactuals too: a mean that never occurs, an agreement broken.",
            ),
        ),
    ),
)
