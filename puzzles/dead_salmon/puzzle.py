"""Dead salmon: what is asked, how it is checked, and what each wrong answer looks like. Released to learners."""

import itertools
import math

import torch

from mechpuzzles.answers import agree
from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom

# ---- the oracles: one least-squares problem with more rows, a running sum, pairs one by one -------------------------


def slow_probe(X, y, X_new, penalty):
    """The penalty as further rows: each weight, times the penalty's root, should be zero."""
    n, d = X.shape
    rows = torch.zeros(n + d, d + 1, dtype=torch.float64)
    rows[:n, :d], rows[:n, d] = X.double(), 1
    rows[n:, :d] = math.sqrt(penalty) * torch.eye(d, dtype=torch.float64)
    aims = torch.cat([y.double(), torch.zeros(d, y.shape[1], dtype=torch.float64)])
    found = torch.linalg.lstsq(rows, aims).solution
    return X_new.double() @ found[:d] + found[d]


def slow_bag(tokens, directions, decay):
    """A sum that is carried along."""
    table, d = directions.double().tolist(), directions.shape[1]
    windows = []
    for row in tokens.tolist():
        carried, places = [0.0] * d, []
        for token in row:
            carried = [decay * old + new for old, new in zip(carried, table[token], strict=True)]
            places.append(carried)
        windows.append(places)
    return torch.tensor(windows, dtype=torch.float64)


def pairwise(scores, labels, tie=0.5):
    """The share of pairs, one with the label and one without, that are in the right order."""
    rows = list(zip(scores.double().tolist(), labels.tolist(), strict=True))
    pairs = [(a, b) for a, on in rows if on for b, off in rows if not off]
    return math.fsum(1.0 if a > b else tie if a == b else 0.0 for a, b in pairs) / len(pairs)


def average(numbers):
    return math.fsum(numbers) / len(numbers)


def spread(numbers, fewer=1):
    centre = average(numbers)
    return math.sqrt(math.fsum((x - centre) ** 2 for x in numbers) / (len(numbers) - fewer))


def by_file(mine, rival, labels, files):
    """One (mine, rival, labels) for each file that has both kinds of places."""
    for number in sorted(set(files.tolist())):
        here = files == number
        if 0 < int(labels[here].sum()) < int(here.sum()):
            yield mine[here], rival[here], labels[here]


def two_columns(mine, rival, labels, files, tie=0.5):
    """The areas of both probes, file by file."""
    rows = list(by_file(mine, rival, labels, files))
    return [pairwise(a, on, tie) for a, _, on in rows], [pairwise(b, on, tie) for _, b, on in rows]


def differences(*inputs, tie=0.5):
    return [a - b for a, b in zip(*two_columns(*inputs, tie=tie), strict=True)]


def slow_gain(mine, rival, labels, files):
    found = differences(mine, rival, labels, files)
    return average(found), spread(found) / math.sqrt(len(found))


# ---- the inputs ----------------------------------------------------------------------------------------------------


def probe_cases(rng):
    """Columns far from zero and of unlike sizes, new places with another mean, once fewer places than columns."""
    for n, d, n_features, n_new, penalty in ((13, 4, 2, 7, 3.0), (8, 11, 3, 6, 1.5), (19, 5, 4, 9, 6.0)):
        size = 0.6 + 1.2 * torch.rand(d, generator=rng)
        level = 1.5 * torch.randn(d, generator=rng).sign() * (0.7 + torch.rand(d, generator=rng))
        X = level + size * torch.randn(n, d, generator=rng)
        X_new = 0.3 * level + 1 + size * torch.randn(n_new, d, generator=rng)
        raw = (X - level) @ torch.randn(d, n_features, generator=rng) + torch.randn(n, n_features, generator=rng)
        y = (raw > raw.quantile(0.3, dim=0)).float()  # more than half hold, so that the means are not one half
        yield Case((X, y, X_new, penalty))


def bag_cases(rng):
    """Tokens recur within a window; two windows begin alike; once only the own token counts, once all count alike."""
    for n_windows, n, d_vocab, d, decay in (
        (3, 7, 11, 4, 0.7),
        (2, 6, 9, 5, 0.0),
        (4, 5, 8, 3, 1.0),
        (5, 8, 12, 6, 0.4),
    ):
        tokens = torch.randint(d_vocab, (n_windows, n), generator=rng)
        tokens[:, n // 2] = tokens[:, 0]
        yield Case((tokens, 0.5 + torch.randn(d_vocab, d, generator=rng), decay))


def gain_cases(rng):
    """Files of unlike length and difficulty; two in which all labels are the same; ties, more of them in the rival."""
    for sizes in ((9, 14, 5, 22, 12, 17, 7), (16, 6, 11, 25, 8, 13, 10, 19)):
        files = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)) * 3 + 2
        n = len(files)
        labels = torch.rand(n, generator=rng) < 0.35
        for number in range(len(sizes)):
            first = sum(sizes[:number])
            labels[first], labels[first + 1] = True, False
        labels[files == 5], labels[files == 8] = False, True
        help_in = 0.6 + 1.5 * torch.rand(len(sizes), generator=rng)
        shift = 2.5 * torch.randn(len(sizes), generator=rng)
        hardly = 0.3 * torch.rand(len(sizes), generator=rng)
        number = (files - 2) // 3
        mine = labels * help_in[number] + shift[number] + torch.randn(n, generator=rng)
        rival = labels * hardly[number] - shift[number] + torch.randn(n, generator=rng)
        order = torch.randperm(n, generator=rng)
        yield Case(tuple(x[order] for x in ((2 * mine).round() / 2, rival.round(), labels, files)))


# A learner's own: eight labels; how strongly each is written into the activations and into the bag, and how often it holds.
OWN_FILES, OWN_PLACES, OWN_WIDTH = 24, 120, 48
KINDS = {
    "only there": ("model", 2.6, 0.0, 0.5),
    "more there": ("model", 2.8, 1.0, 0.4),
    "alike": ("text", 1.8, 1.8, 0.5),
    "less there": ("text", 1.4, 2.4, 0.4),
    "rare": ("text", 2.2, 2.2, 0.15),
    "coins": ("neither", 0.0, 0.0, 0.5),
    "rare coins": ("neither", 0.0, 0.0, 0.15),
    "by file": ("neither", 0.0, 0.0, 0.5),
}
ALWAYS = ("only there", "more there", "alike", "coins", "rare coins", "by file")
ANSWERS = ("model", "text", "neither")


def draw_labels(rng):
    """The true answers, and what the learner is given: acts, bag, labels, files."""
    names = list(KINDS)
    some = [names[i] for i in torch.randint(len(names), (2,), generator=rng).tolist()]
    kinds = [*ALWAYS, *some]
    kinds = [kinds[i] for i in torch.randperm(len(kinds), generator=rng).tolist()]
    files = torch.arange(OWN_FILES).repeat_interleave(OWN_PLACES)
    acts, bag = (torch.randn(len(files), OWN_WIDTH, generator=rng) for _ in range(2))
    ways = [torch.linalg.qr(torch.randn(OWN_WIDTH, OWN_WIDTH, generator=rng))[0] for _ in range(2)]
    acts += torch.randn(OWN_FILES, OWN_WIDTH, generator=rng)[files]  # in the activations, a file knows itself
    columns = []
    for number, kind in enumerate(kinds):
        _, in_acts, in_bag, often = KINDS[kind]
        label = torch.rand(len(files), generator=rng) < often
        if kind == "by file":
            coins = torch.randperm(OWN_FILES, generator=rng) % 2 == 0
            label = coins[files] ^ (torch.rand(len(files), generator=rng) < 0.15)
        signal = label.float() - often
        acts += in_acts * signal[:, None] * ways[0][number]
        bag += in_bag * signal[:, None] * ways[1][number]
        columns.append(label)
    return [KINDS[kind][0] for kind in kinds], (acts, bag, torch.stack(columns, 1), files)


def own_case(rng):
    answers, given = draw_labels(rng)
    yield Case(given, want=tuple(answers))


# ---- what wrong answers look like ----------------------------------------------------------------------------------


def solved(X, y, penalty):
    """Weights of a ridge without any intercept; ``penalty`` may be a matrix."""
    d = X.shape[1]
    matrix = penalty if isinstance(penalty, torch.Tensor) else penalty * torch.eye(d, dtype=torch.float64)
    return torch.linalg.lstsq(torch.einsum("na,nb->ab", X, X) + matrix, torch.einsum("na,nf->af", X, y)).solution


def around(X):
    return X - X.mean(dim=0)


def with_ones(X):
    return torch.nn.functional.pad(X, (0, 1), value=1.0)


def other_penalty(change):
    return lambda X, y, X_new, penalty: slow_probe(X, y, X_new, change(penalty, X))


def doubles(function):
    """A formula in float64."""
    return lambda X, y, X_new, penalty: function(X.double(), y.double(), X_new.double(), penalty)


def scaled(X, y, X_new, penalty, correction):
    sizes = X.std(dim=0, correction=correction)
    return slow_probe(X / sizes, y, X_new / sizes, penalty)


def everywhere(X, y, X_new, penalty):
    """The penalty in all entries: with fewer places than columns there is then no one solution."""
    X, y, X_new = X.double(), y.double(), X_new.double()
    w = solved(around(X), around(y), torch.full((X.shape[1], X.shape[1]), float(penalty), dtype=torch.float64))
    return y.mean(0) + (X_new - X.mean(dim=0)) @ w


PROBE_SYMPTOMS = (
    Symptom.gives(
        "no_intercept",
        doubles(lambda X, y, X_new, penalty: X_new @ solved(X, y, penalty)),
        says="There is no b: at X = 0 your probe says 0, whatever the data say. Zero means nothing here. "
        "Centre X and y, or give b a column of ones that is not penalised.",
    ),
    Symptom.gives(
        "b_afterwards",
        doubles(
            lambda X, y, X_new, penalty: X_new @ solved(X, y, penalty) + (y - X @ solved(X, y, penalty)).mean(dim=0),
        ),
        says="The weights were fitted as if there were no b, and b came afterwards. Fit both together: take the means off X and y first.",
    ),
    Symptom.gives(
        "intercept_penalised",
        doubles(lambda X, y, X_new, penalty: with_ones(X_new) @ solved(with_ones(X), y, penalty)),
        says="b is penalised like a weight, so the probe's mean is pulled to zero. Leave b out of the penalty.",
    ),
    Symptom.gives(
        "own_mean",
        doubles(lambda X, y, X_new, penalty: y.mean(0) + around(X_new) @ solved(around(X), around(y), penalty)),
        doubles(lambda X, y, X_new, penalty: around(X_new) @ solved(around(X), around(y), penalty)),
        says="The new places were centred on their own mean. The probe knows only the places that it was fitted on: use their mean.",
    ),
    Symptom.gives(
        "mean_not_added",
        doubles(
            lambda X, y, X_new, penalty: (X_new - X.mean(dim=0)) @ solved(around(X), around(y), penalty),
        ),
        says="The mean of y was taken away and not put back: your scores are centred on 0.",
    ),
    Symptom.gives(
        "new_not_centred",
        doubles(lambda X, y, X_new, penalty: X_new @ solved(around(X), around(y), penalty) + y.mean(0)),
        doubles(lambda X, y, X_new, penalty: X_new @ solved(around(X), around(y), penalty)),
        says="The weights were fitted to centred X and applied to X_new as it is. Take the same mean off X_new, that of X.",
    ),
    Symptom.gives(
        "no_penalty",
        other_penalty(lambda penalty, X: 0.0),
        doubles(
            lambda X, y, X_new, penalty: y.mean(0) + (X_new - X.mean(0)) @ torch.linalg.pinv(around(X)) @ around(y)
        ),
        doubles(
            lambda X, y, X_new, penalty: with_ones(X_new) @ torch.linalg.pinv(with_ones(X)) @ y,
        ),
        says="This is the fit without a penalty.",
    ),
    Symptom.gives(
        "another_penalty",
        other_penalty(lambda penalty, X: penalty * len(X)),
        other_penalty(lambda penalty, X: penalty / len(X)),
        other_penalty(lambda penalty, X: penalty**2),
        other_penalty(lambda penalty, X: 2 * penalty),
        other_penalty(lambda penalty, X: penalty / 2),
        says="Right but for the size of the penalty. Asked for is a sum of squared errors, not a mean, plus penalty times the sum of squares of w.",
    ),
    Symptom.gives(
        "standardised",
        lambda *inputs: scaled(*inputs, correction=1),
        lambda *inputs: scaled(*inputs, correction=0),
        says="The columns were divided by their spread, so that the penalty weighs them otherwise. Leave them as they are.",
    ),
    Symptom(
        "decided",
        lambda got, want, *inputs: got.shape == want.shape and bool(((got == 0) | (got == 1)).all()),
        says="These are decisions, 0 or 1. Return the scores: which place scores higher is all that will count.",
    ),
    Symptom(
        "weights",
        lambda got, want, X, y, X_new, penalty: (
            tuple(got.shape) in ((X.shape[1], y.shape[1]), (X.shape[1] + 1, y.shape[1]))
        ),
        says="These are the {d} weights, perhaps with b. Return what they say of the {new_pos} new places.",
    ),
    Symptom(
        "fitted_places",
        lambda got, want, X, y, X_new, penalty: tuple(got.shape) == (X.shape[0], y.shape[1]),
        says="These are scores of the {pos} places that the probe was fitted on. Asked for are the {new_pos} new ones.",
    ),
    Symptom(
        "penalty_everywhere",
        lambda got, want, X, *rest: len(X) <= X.shape[1] or agree(got, everywhere(X, *rest), want),
        says="The penalty was added to every entry of X.T @ X. It belongs on the diagonal: penalty times the identity.",
    ),
)


def weighed(kernel):
    """A bag with other weights: ``kernel(i, j, n, decay)`` for place j in the sum at place i."""

    def formula(tokens, directions, decay):
        n = tokens.shape[1]
        table = [[kernel(i, j, n, decay) for j in range(n)] for i in range(n)]
        return torch.einsum("ij,wjd->wid", torch.tensor(table, dtype=torch.float64), directions.double()[tokens])

    return formula


def power(decay, back):
    return decay**back if back >= 0 else 0.0


def run_on(tokens, directions, decay):
    return slow_bag(tokens.reshape(1, -1), directions, decay).reshape(*tokens.shape, -1)


BAG_SYMPTOMS = (
    Symptom(
        "not_a_number",
        lambda got, want, *inputs: bool((got.isnan() | got.isinf()).any()),
        says="There is a NaN or an infinite number in it. With decay 0, a negative power is infinite, and infinite times 0 is not 0: "
        "keep j > i out before you take the power.",
    ),
    Symptom.gives(
        "own_token_missing",
        weighed(lambda i, j, n, decay: power(decay, i - j) if j < i else 0.0),
        weighed(lambda i, j, n, decay: power(decay, i - j - 1)),
        says="A place's own token is missing. The sum runs over j <= i, and the own token counts in full.",
    ),
    Symptom.gives(
        "sees_the_future",
        weighed(lambda i, j, n, decay: power(decay, abs(i - j))),
        weighed(lambda i, j, n, decay: power(decay, j - i)),
        weighed(lambda i, j, n, decay: 1.0),
        says="Later tokens are in the sum. The model sees none of them at that place, so neither may its rival.",
    ),
    Symptom.gives(
        "no_decay",
        weighed(lambda i, j, n, decay: float(j <= i)),
        says="All tokens count alike. The one that is k places back counts decay ** k.",
    ),
    Symptom.gives(
        "moving_average",
        weighed(lambda i, j, n, decay: (1 - decay) * power(decay, i - j)),
        says="Everything is smaller by the factor 1 - decay: this is a moving average. Here the own token counts in full.",
    ),
    Symptom.gives(
        "averaged",
        weighed(lambda i, j, n, decay: power(decay, i - j) / sum(power(decay, i - k) for k in range(i + 1))),
        weighed(lambda i, j, n, decay: power(decay, i - j) / (i + 1)),
        weighed(lambda i, j, n, decay: power(decay, i - j) / n),
        says="This is an average. Asked for is the sum, which is not divided by anything.",
    ),
    Symptom.gives(
        "one_step_too_old",
        weighed(lambda i, j, n, decay: power(decay, i - j + 1) if j <= i else 0.0),
        says="Every token counts as one step older than it is. The own token counts decay ** 0, which is 1.",
    ),
    Symptom.gives(
        "age_from_the_start",
        weighed(lambda i, j, n, decay: power(decay, j) if j <= i else 0.0),
        weighed(lambda i, j, n, decay: power(decay, n - 1 - j) if j <= i else 0.0),
        says="A token's weight depends on where it stands in the window. It should depend on how far back it is, i - j.",
    ),
    Symptom.gives(
        "windows_run_on",
        run_on,
        says="One window's tokens count in the next. Each window starts from nothing.",
    ),
    Symptom.from_truth(
        "one_tensor_many_times",
        lambda want, *inputs: want[:, -1:].expand_as(want),
        says="All places hold what belongs to the last one. A sum that is changed in place is one tensor, however often "
        "a list holds it: append a copy.",
    ),
    Symptom(
        "last_place",
        lambda got, want, tokens, directions, decay: tuple(got.shape) == (tokens.shape[0], directions.shape[1]),
        says="One vector for each window came back. There is one for each of its {pos} places.",
    ),
    Symptom.from_truth(
        "places_first",
        lambda want, *inputs: want.transpose(0, 1),
        says="Right numbers, other order of axes: [window, pos, d] is asked for. After a loop over places, stack along dim=1.",
    ),
)


def error(numbers):
    return spread(numbers) / math.sqrt(len(numbers))


def sizes(mine, rival, labels, files):
    return [len(a) for a, _, _ in by_file(mine, rival, labels, files)]


def padded(found, files, value):
    """With the files that have but one kind of places counted in, too."""
    return [*found, *[value] * (n_files(files) - len(found))]


def n_files(files):
    return len(set(files.tolist()))


def weighed_mean(numbers, weights):
    return math.fsum(x * w for x, w in zip(numbers, weights, strict=True)) / sum(weights)


def share_right(scores, labels):
    return average([float((s > 0.5) == on) for s, on in zip(scores.tolist(), labels.tolist(), strict=True)])


def accuracies(mine, rival, labels, files, both=True):
    rows = by_file(mine, rival, labels, files) if both else every_file(mine, rival, labels, files)
    return average([share_right(a, on) - share_right(b, on) for a, b, on in rows])


def every_file(mine, rival, labels, files):
    for number in sorted(set(files.tolist())):
        here = files == number
        yield mine[here], rival[here], labels[here]


def of_differences(formula):
    """A wrong value, made from the differences file by file."""
    return lambda *inputs: formula(differences(*inputs), *inputs)


GAIN_SYMPTOMS = (
    Symptom(
        "not_a_number",
        lambda got, want, *inputs: any(bool(one.isnan()) for one in got),
        says="There is a NaN in it: where all labels of a file are the same there are no pairs, and no area. Leave that file out.",
    ),
    Symptom.from_truth(
        "order",
        lambda want, *inputs: (want[1], want[0]),
        says="Right numbers, other order: the mean first, then its standard error.",
    ),
    Symptom.from_truth(
        "rival_minus_mine",
        lambda want, *inputs: -want,
        at=0,
        says="The sign is turned round: above zero should mean that `mine` is ahead.",
    ),
    Symptom.gives(
        "rival_forgotten",
        lambda *inputs: average(two_columns(*inputs)[0]),
        lambda *inputs: average(two_columns(*inputs)[0]) - 0.5,
        at=0,
        says="The rival is not in it. Its area comes off in every file, in place of the 0.5 of guessing.",
    ),
    Symptom.gives(
        "one_sided_files_kept",
        of_differences(lambda found, *inputs: average(padded(found, inputs[3], 0.0))),
        at=0,
        says="A file in which all labels are the same was given a difference of zero. It has none: leave it out, and do not count it.",
    ),
    Symptom.gives(
        "pooled",
        lambda mine, rival, labels, files: pairwise(mine, labels) - pairwise(rival, labels),
        at=0,
        says="Places of different files were compared with each other. Then a probe also scores for telling files apart. "
        "Compare within each file, then average over files.",
    ),
    Symptom.gives(
        "long_files_count_more",
        of_differences(lambda found, *inputs: weighed_mean(found, sizes(*inputs))),
        at=0,
        says="Long files were given more weight. Here each file counts once.",
    ),
    Symptom.gives(
        "ties",
        lambda *inputs: average(differences(*inputs, tie=0.0)),
        lambda *inputs: average(differences(*inputs, tie=1.0)),
        at=0,
        says="Ties count as lost, or as won. Between equal scores the probe cannot tell: that is half a win, as in `auc`.",
    ),
    Symptom.gives(
        "accuracy",
        accuracies,
        lambda *inputs: accuracies(*inputs, both=False),
        at=0,
        says="These are shares right at the threshold 0.5. Always saying no is often right, too. Use `auc`, which guessing leaves at 0.5.",
    ),
    Symptom.gives(
        "median",
        of_differences(lambda found, *inputs: sorted(found)[(len(found) - 1) // 2]),
        of_differences(lambda found, *inputs: torch.tensor(found).quantile(0.5).item()),
        at=0,
        says="This is the median over files. Take the mean: that is what the error belongs to.",
    ),
    Symptom.gives(
        "unpaired",
        lambda *inputs: math.hypot(*(error(column) for column in two_columns(*inputs))),
        lambda *inputs: sum(error(column) for column in two_columns(*inputs)),
        lambda *inputs: error(two_columns(*inputs)[0]) - error(two_columns(*inputs)[1]),
        lambda *inputs: error(two_columns(*inputs)[0]),
        at=1,
        says="The error was put together from two spreads. Both probes met the same files: take the difference in each file first.",
    ),
    Symptom.gives(
        "not_divided",
        of_differences(lambda found, *inputs: spread(found)),
        of_differences(lambda found, *inputs: spread(found, 0)),
        at=1,
        says="The second number is the spread over files; the error of their mean is that over the root of their number.",
    ),
    Symptom.gives(
        "divided_by_n",
        of_differences(lambda found, *inputs: spread(found) / len(found)),
        at=1,
        says="For the error the spread was divided by the number of files, not by its root.",
    ),
    Symptom.gives(
        "places_counted",
        of_differences(lambda found, *inputs: spread(found) / math.sqrt(len(inputs[2]))),
        of_differences(lambda found, *inputs: spread(found) / math.sqrt(sum(sizes(*inputs)))),
        of_differences(lambda found, *inputs: spread(found) / math.sqrt(int(inputs[2].sum()))),
        at=1,
        says="For the error you counted places. Places of one file resemble each other: count files.",
    ),
    Symptom.gives(
        "spread_by_n",
        of_differences(lambda found, *inputs: spread(found, 0) / math.sqrt(len(found))),
        at=1,
        says="The error is a little too small: the spread has n - 1 below, not n.",
    ),
    Symptom.gives(
        "all_files_counted",
        of_differences(lambda found, *inputs: spread(found) / math.sqrt(n_files(inputs[3]))),
        at=1,
        says="For the error, files that were left out are still counted below. Count those that have a difference.",
    ),
    Symptom.from_truth(
        "two_errors",
        lambda want, *inputs: 1.96 * want,
        at=1,
        says="The second number is 1.96 times the standard error; asked for is one.",
    ),
)


def mistakes(got, want):
    return [(number, g, w) for number, (g, w) in enumerate(zip(got, want, strict=True)) if g != w]


def wrong_only(*pairs, where=lambda label, files: True):
    """All mistakes are of these kinds, (answer given, true answer), and on such labels."""

    def when(got, want, acts, bag, labels, files):
        if len(got) != len(want):
            return False
        found = mistakes(got, want)
        return all((g, w) in pairs and where(labels[:, number], files) for number, g, w in found)

    return when


def told_by_file(label, files):
    rates = [float(label[files == number].double().mean()) for number in set(files.tolist())]
    return all(abs(rate - 0.5) > 0.2 for rate in rates) and not is_rare(label, files)


def is_rare(label, files):
    return float(label.double().mean()) < 0.2


READ_WRONGLY = (("model", "neither"), ("text", "neither"))

OWN_SYMPTOMS = (
    Symptom(
        "number_of_answers",
        lambda got, want, *given: len(got) != len(want),
        says="The list needs eight answers, one for each column of labels, in order.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(ANSWERS),
        says='The answers are "model", "text" and "neither", in lower case.',
    ),
    Symptom(
        "files_told_apart",
        wrong_only(*READ_WRONGLY, where=told_by_file),
        says="One or more labels hardly change within a file, and the activations know their file. "
        "On files that the probe has not seen, and compared within each, is anything left?",
    ),
    Symptom(
        "rare_ones",
        wrong_only(*READ_WRONGLY, where=is_rare),
        says="One or more rare labels fooled you: always saying no is right nearly nine times in ten. Use auc, on unseen files.",
    ),
    Symptom(
        "seen_before",
        wrong_only(*READ_WRONGLY),
        says="One or more labels that mean nothing were read all the same. Was the probe judged on places that it was fitted on, or on their files?",
    ),
    Symptom(
        "rival_not_subtracted",
        wrong_only(("model", "text")),
        says="One or more of your model labels are read off the bag just as well. Subtract what the bag gives.",
    ),
    Symptom(
        "bag_reads_some",
        wrong_only(("text", "model")),
        says="One or more of your text labels are read off the bag, but off the activations clearly better. It is the difference that counts.",
    ),
    Symptom(
        "not_found",
        wrong_only(("neither", "model"), ("neither", "text")),
        says="One or more labels that you gave up on can be read in unseen files. Mind rare labels: their area is fine where their share right is not.",
    ),
    Symptom(
        "model_or_text",
        wrong_only(*itertools.permutations(("model", "text"), 2)),
        says="What can be read, you found. Whether the activations beat the bag, for several labels not: "
        "look at the difference and its error.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several answers are not so. Split by file, fit both probes on one part, and look at `gain` and the bag's area on the other.",
    ),
)

PUZZLE = Puzzle(
    slug="dead_salmon",
    title="Dead salmon",
    question='A probe reads "inside brackets" at 0.95. From the model, or from the text?',
    principle="A probe's score is a difference: what the same probe reads of the same text without the model comes off first, "
    "in files that it has not seen.",
    minutes=45,
    models=("mini-python",),
    after=("feature_beyond_the_embedding",),
    problems={
        "4.36": "gain",
        "6.31": "gain",
        "9.13": "gain",
        "9.17": "gain",
        "9.18": "gain",
        "9.36": "ridge_probe",
        "9.37": "gain",
        "9.38": "gain",
        "9.39": "gain",
    },
    draw=lambda rng: draw_labels(rng)[1],
    parts=(
        Part(
            name="ridge_probe",
            takes=("pos d", "pos feature", "new_pos d", ""),
            returns="new_pos feature",
            points=3,
            cases=probe_cases,
            spec=slow_probe,
            symptoms=PROBE_SYMPTOMS,
            hints=(
                "Whatever w is, the best b makes the mean error zero. So take the means off X and y, and b is gone from the problem.",
                "For centred X and y, setting the gradient to zero gives (X.T @ X + penalty * identity) @ w = X.T @ y: torch.linalg.solve.",
                "Centre X_new with the mean of X, and add the mean of y at the end.",
            ),
            meaning="A probe is a regression. It finds whatever can be found, wherever that comes from.",
        ),
        Part(
            name="bag_of_words",
            takes=("window pos", "d_vocab d", ""),
            returns="window pos d",
            points=2,
            cases=bag_cases,
            spec=slow_bag,
            symptoms=BAG_SYMPTOMS,
            hints=(
                "directions[tokens] is [window, pos, d]. What is left is a sum over earlier places, the same in all windows.",
                "A running sum does it: times decay, plus the new token's direction. Or a matrix [pos, pos] of weights: at i, j it holds "
                "decay ** (i - j), and 0 above the diagonal.",
            ),
            meaning="No network, nothing learnt: each token has a random direction, and the past fades.",
        ),
        Part(
            name="gain",
            takes=("pos", "pos", "pos", "pos"),
            returns=("", ""),
            points=3,
            cases=gain_cases,
            spec=slow_gain,
            symptoms=GAIN_SYMPTOMS,
            hints=(
                "Go through files.unique(). In each, select the places with files == number, and compare two areas.",
                "A file has no area if labels there are all True or all False.",
                "The differences are n numbers: their mean, and their std() over the root of n.",
            ),
            meaning="The unit is the file: places of one file are no independent witnesses, and both probes met the same files.",
        ),
        Part(
            name="my_labels",
            takes=("pos d", "pos d", "pos label", "pos"),
            returns="label",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=OWN_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "seen = files < 12. Fit ridge_probe on acts[seen], and again on bag[seen]; score the places of ~seen with both.",
                "gain(of acts, of bag, ...) says whether the activations are ahead. Against torch.zeros of the same length, "
                "gain says how far the bag is from guessing.",
            ),
            meaning="Three ways of being readable: through the model, through the text, and through a test that lets the probe peep.",
        ),
    ),
    predictions=(
        Prediction("the story", choices=("model", "word", "words", "probe"), right="words"),
        Prediction("inside brackets, without a model", between=(0, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The score counts against what the text alone gives under the same probe: a table of tokens, and words in random "
                "directions; a redrawn model or shuffled labels are weaker rivals.",
                "Fit, choose the layer and judge on different files; compare within files, and take the error over files.",
                "A gain says that the model made the feature easier to read for a probe of this size; not that the text lacks it, "
                "nor that the model uses it.",
            ),
        ),
    ),
)
