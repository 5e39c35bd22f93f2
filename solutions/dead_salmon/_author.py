"""Dead salmon, for authors only: wrong answers, other right answers, and why it is built so."""

import math
from collections import defaultdict

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a probe's score is a difference, over what the same probe reads of the same text without the model. The
parts follow the argument: the probe, its rival, the difference with its error, and eight planted labels of which some
are the model's, some the text's, some nobody's. *A feature beyond the embedding* asks the same of a unit, with a table
of tokens, the same token in two places and a swap of the past; here the reader is fitted, and the rival holds the
past, too.

Measured on markdown_it, rich and typer, 144 files in three thirds (288 windows, 9,216 places a third; with a window
more of each file, 13,700 places, all that follows is the same within its error). Scores are areas within a file,
averaged over files. Inside brackets: the stream after block 1 0.949, redrawn 0.680, twenty shuffles 0.49 on average and
from 0.43 to 0.58, a table of tokens 0.78, bags of 128 numbers 0.70, 0.80, 0.87, 0.88, 0.87, 0.83 for decays of 0, 0.5,
0.8, 0.9, 0.95, 0.98. Four other draws of the random directions at 0.9 differ by 0.01 (header by 0.04). So more than
four fifths of what lies above 0.5 needs no model. Paired over files, with the larger sample: header after block 1
against after block 2 0.032 +- 0.008, after attn 1 against mlp 1 0.125 +- 0.017; brackets 0.010 +- 0.004 and 0.079 +-
0.007.

One neuron: of the 512 of MLP 1 the best, chosen by its ranks on the first third, scores 0.55 to 0.76, all 512 by a
probe 0.74 to 0.99. Over the best of 512 random directions, five draws, it is ahead for line ends (0.04 to 0.06, errors
0.02) and for nothing else in all five; even there all 512 are 0.17 ahead of the one. Chosen by correlation, neurons do
worse still: that finds rare and loud ones.

What was expected and is false. An untrained network is not the text alone: it reads the text far worse than plain sums
do, and everything learnt or not beats it (elsewhere it was the stronger null: Meloux et al. have 0.61 for a random BERT
and 0.57 for a projected bag). A shuffle is not 0.50: a probe for shuffled labels is as good as a random direction, and
in a trained stream those score from 0.44 to 0.57; hence twenty. And the gain is not "what the model knows": with 1,024
numbers a token it is gone for all five labels of state (-0.001, -0.017, 0.001, -0.044, -0.003, errors 0.008 to 0.018),
and attn 1 keeps 0.011, 0.012, 0.010, -0.031, 0.022, errors 0.005 to 0.019; with one number for each of 2,048 tokens and
a penalty chosen for it, likewise (strings 0.948 against 0.938, brackets 0.945 against 0.955, headers 0.970 against
0.938). With five other draws of the 1,024 numbers: after block 1 all five within 0.018 of zero or below it, attn 1 up
to 0.031 (header 0.014 to 0.031, brackets 0.006 to 0.027; errors 0.006 to 0.018). It could not be otherwise, and the
notebook ends on it. *line ends* does not melt so, being a guess about the next token: over 1,024 numbers at a decay of
0.9, 0.121 to 0.130 after block 1 and 0.128 to 0.137 after block 2 (errors 0.012 to 0.016); over the token one-hot
beside 1,023 numbers of three decays, with the penalty of each block chosen on the second third, 0.029 +- 0.011 and
0.037 +- 0.011. With a penalty of 1 instead of 10,000 the wide bags overfit, and the gain would seem to stay: 0.02 to
0.05. For the model's probes anything from 1 to 10,000 gives the same.

Areas are taken within files. Pooled over places, in a choice of windows like this one, "nested" scores 0.92 on the
redrawn model and 0.97 on a bag, since a few files of tables hold most of it; within files 0.72 and 0.84. After that, a
split by place in place of files costs little (brackets 0.963, not 0.955; nested 0.896, not 0.872), so the notebook
does not make much of it, and the planted labels do: one of them is a coin for each file, and the activations know
their file.

Adding the difference of means of "inside brackets" after block 1 doubles the chance of a closing bracket outside
brackets (0.008 to 0.016; taken away: 0.004); pushes of equal length along coins, capitals, headers, strings, shuffles
and random directions give 0.005 to 0.013. Left out: a second principle, and controls that come too near.

Loops, arguments of calls and indentation behave as brackets do (block 1 ahead by 0.02 to 0.05 of pooled area); whether
a line's number is odd cannot be read anywhere (0.50). A name's second showing is a label of its own here: the table
has it.

Row 4.35 (a probe on the neurons of a one-layer model) is not claimed: the models at hand have two layers or more. Rows
4.36, 6.31 and 9.13 are the cell of the best neuron, 9.17 and 9.18 the rows of the heatmap that say at which site.

Fixtures: columns far from zero, another mean at the new places, and labels that hold for more than half, so that each
way of losing the intercept shows; once fewer places than columns. Bags: decay 0, 1 and between; tokens recur. Gains:
two files with one kind of label only, files of unlike length and level (pooling shows), more ties in the rival. The
planted labels: 24 files, so that any honest split leaves margins of 0.08 around the lines at 0.65 and at 0.1.
"""


# ---- ridge_probe: wrong --------------------------------------------------------------------------------------------


def eye(X):
    return torch.eye(X.shape[1], dtype=X.dtype)


def right_weights(X, y, penalty):
    Xc = X - X.mean(0)
    return torch.linalg.solve(Xc.T @ Xc + penalty * eye(X), Xc.T @ (y - y.mean(0)))


def forgets_the_intercept(X, y, X_new, penalty):
    return X_new @ torch.linalg.solve(X.T @ X + penalty * eye(X), X.T @ y)


def adds_the_intercept_afterwards(X, y, X_new, penalty):
    w = torch.linalg.solve(X.T @ X + penalty * eye(X), X.T @ y)
    return X_new @ w + (y - X @ w).mean(0)


def ones_beside(Z):
    return torch.cat([Z, torch.ones(len(Z), 1)], 1)


def penalises_the_intercept(X, y, X_new, penalty):
    A = ones_beside(X)
    return ones_beside(X_new) @ torch.linalg.solve(A.T @ A + penalty * eye(A), A.T @ y)


def centres_on_the_new(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X_new.mean(0)) @ right_weights(X, y, penalty)


def centres_each_on_its_own(X, y, X_new, penalty):
    return (X_new - X_new.mean(0)) @ right_weights(X, y, penalty)


def keeps_the_mean_away(X, y, X_new, penalty):
    return (X_new - X.mean(0)) @ right_weights(X, y, penalty)


def leaves_the_new_as_they_are(X, y, X_new, penalty):
    return X_new @ right_weights(X, y, penalty) + y.mean(0)


def leaves_the_new_and_the_mean(X, y, X_new, penalty):
    return X_new @ right_weights(X, y, penalty)


def adds_the_penalty_everywhere(X, y, X_new, penalty):
    Xc = X - X.mean(0)
    return y.mean(0) + (X_new - X.mean(0)) @ torch.linalg.pinv(Xc.T @ Xc + penalty, hermitian=True) @ Xc.T @ (
        y - y.mean(0)
    )


def adds_no_penalty(X, y, X_new, penalty):
    return ones_beside(X_new) @ torch.linalg.pinv(ones_beside(X)) @ y


def adds_no_penalty_to_centred(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ (torch.linalg.pinv(X - X.mean(0)) @ (y - y.mean(0)))


def penalises_the_mean_error(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty * len(X))


def divides_the_penalty(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty / len(X))


def squares_the_penalty(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty**2)


def halves_the_gradient(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty / 2)


def doubles_the_penalty(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, 2 * penalty)


def standardises(X, y, X_new, penalty):
    sd = X.std(0)
    return y.mean(0) + ((X_new - X.mean(0)) / sd) @ right_weights((X - X.mean(0)) / sd, y, penalty)


def standardises_in_numpy(X, y, X_new, penalty):
    X, y, X_new = X.numpy(), y.numpy(), X_new.numpy()
    A, B = (X - X.mean(0)) / X.std(0), (X_new - X.mean(0)) / X.std(0)
    return y.mean(0) + B @ np.linalg.solve(A.T @ A + penalty * np.eye(A.shape[1]), A.T @ (y - y.mean(0)))


def decides(X, y, X_new, penalty):
    return (y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty) > 0.5).float()


def returns_the_weights(X, y, X_new, penalty):
    return right_weights(X, y, penalty)


def returns_weights_and_intercept(X, y, X_new, penalty):
    w = right_weights(X, y, penalty)
    return torch.cat([w, (y.mean(0) - X.mean(0) @ w)[None]])


def scores_what_it_fitted(X, y, X_new, penalty):
    return y.mean(0) + (X - X.mean(0)) @ right_weights(X, y, penalty)


# ---- bag_of_words: wrong -------------------------------------------------------------------------------------------


def back(tokens):
    at = torch.arange(tokens.shape[1])
    return at[:, None] - at


def with_weights(weights, tokens, directions):
    return weights.float() @ directions[tokens]


def masks_after_the_power(tokens, directions, decay):
    b = back(tokens)
    return with_weights(torch.tensor(float(decay)) ** b * (b >= 0), tokens, directions)


def leaves_out_its_own(tokens, directions, decay):
    b = back(tokens)
    return with_weights(torch.where(b > 0, float(decay) ** b.clamp(min=0), 0.0), tokens, directions)


def reads_before_it_writes(tokens, directions, decay):
    state, out = torch.zeros(len(tokens), directions.shape[1]), []
    for column in tokens.T:
        out.append(state)
        state = decay * state + directions[column]
    return torch.stack(out, 1)


def looks_both_ways(tokens, directions, decay):
    return with_weights(float(decay) ** back(tokens).abs(), tokens, directions)


def looks_ahead(tokens, directions, decay):
    b = back(tokens).T
    return with_weights(torch.where(b >= 0, float(decay) ** b.clamp(min=0), 0.0), tokens, directions)


def sums_the_window(tokens, directions, decay):
    return directions[tokens].sum(1, keepdim=True).expand(-1, tokens.shape[1], -1).clone()


def sums_evenly(tokens, directions, decay):
    return directions[tokens].cumsum(1)


def moves_an_average(tokens, directions, decay):
    state, out = torch.zeros(len(tokens), directions.shape[1]), []
    for column in tokens.T:
        state = decay * state + (1 - decay) * directions[column]
        out.append(state)
    return torch.stack(out, 1)


def divides_by_the_weights(tokens, directions, decay):
    b = back(tokens)
    weights = torch.where(b >= 0, float(decay) ** b.clamp(min=0), 0.0)
    return with_weights(weights / weights.sum(1, keepdim=True), tokens, directions)


def divides_by_the_length_so_far(tokens, directions, decay):
    at = torch.arange(1, tokens.shape[1] + 1)
    return carried_along(tokens, directions, decay) / at[:, None]


def decays_after_adding(tokens, directions, decay):
    state, out = torch.zeros(len(tokens), directions.shape[1]), []
    for column in tokens.T:
        state = decay * (state + directions[column])
        out.append(state)
    return torch.stack(out, 1)


def counts_from_the_start(tokens, directions, decay):
    at = torch.arange(tokens.shape[1])
    return (directions[tokens] * (float(decay) ** at)[:, None]).cumsum(1)


def counts_from_the_end(tokens, directions, decay):
    at = torch.arange(tokens.shape[1]).flip(0)
    return (directions[tokens] * (float(decay) ** at)[:, None]).cumsum(1)


def never_resets(tokens, directions, decay):
    state, out = torch.zeros(directions.shape[1]), []
    for token in tokens.flatten():
        state = decay * state + directions[token]
        out.append(state)
    return torch.stack(out).view(*tokens.shape, -1)


def changes_one_sum_in_place(tokens, directions, decay):
    state, out = torch.zeros(len(tokens), directions.shape[1]), []
    for column in tokens.T:
        state *= decay
        state += directions[column]
        out.append(state)
    return torch.stack(out, 1)


def keeps_the_last_place(tokens, directions, decay):
    return carried_along(tokens, directions, decay)[:, -1]


def stacks_places_first(tokens, directions, decay):
    return carried_along(tokens, directions, decay).transpose(0, 1)


# ---- gain: wrong ---------------------------------------------------------------------------------------------------


def area(scores, labels):
    return (scores[labels][:, None] - scores[~labels]).sign().mean() / 2 + 0.5


def columns(mine, rival, labels, files, area=area):
    kept = [f for f in files.unique() if 0 < labels[files == f].sum() < (files == f).sum()]
    return [torch.stack([area(s[files == f], labels[files == f]) for f in kept]) for s in (mine, rival)]


def gains(*inputs, area=area):
    a, b = columns(*inputs, area=area)
    return a - b


def summary(found):
    return found.mean(), found.std() / len(found) ** 0.5


def keeps_one_sided_files(mine, rival, labels, files):
    found = [
        area(mine[files == f], labels[files == f]) - area(rival[files == f], labels[files == f]) for f in files.unique()
    ]
    return summary(torch.stack(found))


def puts_the_error_first(*inputs):
    return summary(gains(*inputs))[::-1]


def subtracts_the_wrong_way(mine, rival, labels, files):
    return summary(gains(rival, mine, labels, files))


def forgets_the_rival(*inputs):
    return summary(columns(*inputs)[0])


def compares_with_guessing(*inputs):
    return summary(columns(*inputs)[0] - 0.5)


def adds_variances(*inputs):
    a, b = columns(*inputs)
    return a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()


def adds_errors(*inputs):
    a, b = columns(*inputs)
    return a.mean() - b.mean(), (a.std() + b.std()) / len(a) ** 0.5


def takes_one_error(*inputs):
    a, b = columns(*inputs)
    return (a - b).mean(), a.std() / len(a) ** 0.5


def returns_the_spread(*inputs):
    return gains(*inputs).mean(), gains(*inputs).std()


def divides_by_the_number(*inputs):
    found = gains(*inputs)
    return found.mean(), found.std() / len(found)


def counts_places(mine, rival, labels, files):
    found = gains(mine, rival, labels, files)
    return found.mean(), found.std() / len(labels) ** 0.5


def uses_numpys_std(*inputs):
    found = gains(*inputs).numpy()
    return found.mean(), found.std() / np.sqrt(len(found))


def counts_all_files(mine, rival, labels, files):
    found = gains(mine, rival, labels, files)
    return found.mean(), found.std() / len(files.unique()) ** 0.5


def divides_the_sum_by_all_files(mine, rival, labels, files):
    found = gains(mine, rival, labels, files)
    return found.sum() / len(files.unique()), found.std() / len(found) ** 0.5


def gives_one_sided_files_nothing(mine, rival, labels, files):
    found = gains(mine, rival, labels, files)
    return summary(torch.cat([found, torch.zeros(len(files.unique()) - len(found))]))


def fills_the_nan(mine, rival, labels, files):
    found = [
        area(mine[files == f], labels[files == f]) - area(rival[files == f], labels[files == f]) for f in files.unique()
    ]
    return summary(torch.stack(found).nan_to_num())


def pools_places(mine, rival, labels, files):
    return area(mine, labels) - area(rival, labels), summary(gains(mine, rival, labels, files))[1]


def weighs_by_length(mine, rival, labels, files):
    found = gains(mine, rival, labels, files)
    kept = [f for f in files.unique() if 0 < labels[files == f].sum() < (files == f).sum()]
    weight = torch.tensor([float((files == f).sum()) for f in kept])
    return (found * weight).sum() / weight.sum(), found.std() / len(found) ** 0.5


def wins_only(*inputs):
    return summary(gains(*inputs, area=lambda s, on: (s[on][:, None] > s[~on]).float().mean()))


def wins_ties(*inputs):
    return summary(gains(*inputs, area=lambda s, on: (s[on][:, None] >= s[~on]).float().mean()))


def counts_right_ones(*inputs):
    return summary(gains(*inputs, area=lambda s, on: ((s > 0.5) == on).float().mean()))


def counts_right_ones_everywhere(mine, rival, labels, files):
    hits = [((s > 0.5) == labels).float() for s in (mine, rival)]
    return summary(torch.stack([(hits[0] - hits[1])[files == f].mean() for f in files.unique()]))


def returns_an_interval(*inputs):
    mean, error = summary(gains(*inputs))
    return mean, 1.96 * error


def takes_the_median(*inputs):
    found = gains(*inputs)
    return found.median(), summary(found)[1]


# ---- my_labels: wrong ----------------------------------------------------------------------------------------------


def areas(acts, bag, labels, files, fit, judge, area=area):
    """[label, (acts, bag)]"""
    y = labels.float()
    rows = []
    for k in range(labels.shape[1]):
        both = [right_probe(X[fit], y[fit], X[judge], 1.0)[:, k] for X in (acts, bag)]
        rows.append([area(s, labels[judge][:, k]) for s in both])
    return torch.tensor(rows)


def within(acts, bag, labels, files, fit, judge):
    y = labels.float()
    rows = []
    for k in range(labels.shape[1]):
        mine, rival = (right_probe(X[fit], y[fit], X[judge], 1.0)[:, k] for X in (acts, bag))
        rows.append([c.mean() for c in columns(mine, rival, labels[judge][:, k], files[judge])])
    return torch.tensor(rows)


def verdicts(table, level=0.65, margin=0.06):
    return [
        "model" if a - b > margin and a > level else "text" if b > level or a > level else "neither"
        for a, b in table.tolist()
    ]


def halves(files):
    return files < 12, files >= 12


def right_labels(acts, bag, labels, files):
    return verdicts(within(acts, bag, labels, files, *halves(files)))


def splits_by_place(acts, bag, labels, files):
    fit = torch.rand(len(files), generator=torch.Generator().manual_seed(0)) < 0.5
    return verdicts(areas(acts, bag, labels, files, fit, ~fit))


def judges_what_it_fitted(acts, bag, labels, files):
    seen = torch.arange(len(files)) % 8 == 0
    table, truth = within(acts, bag, labels, files, seen, seen), right_labels(acts, bag, labels, files)
    return [
        "text" if right == "neither" and min(row) > 0.6 else right
        for row, right in zip(table.tolist(), truth, strict=True)
    ]


def takes_the_score_for_the_model(acts, bag, labels, files):
    table = within(acts, bag, labels, files, *halves(files))
    return ["model" if a > 0.65 else "neither" for a, _ in table.tolist()]


def gives_the_text_all_it_reads(acts, bag, labels, files):
    table = within(acts, bag, labels, files, *halves(files))
    return ["text" if b > 0.65 else "model" if a > 0.65 else "neither" for a, b in table.tolist()]


def believes_the_share_right(acts, bag, labels, files):
    right, often = right_labels(acts, bag, labels, files), labels.float().mean(0)
    return ["text" if w == "neither" and p < 0.2 else w for w, p in zip(right, often, strict=True)]


def asks_for_much(acts, bag, labels, files):
    table = within(acts, bag, labels, files, *halves(files))
    kept = verdicts(table)
    weakest = min((i for i, word in enumerate(kept) if word == "text"), key=lambda i: table[i].max())
    return ["neither" if i == weakest else word for i, word in enumerate(kept)]


def mixes_model_and_text(*given):
    swap = {"model": "text", "text": "model", "neither": "neither"}
    return [swap[word] for word in right_labels(*given)]


def says_model_everywhere(*given):
    return ["model"] * 8


def forgets_one(*given):
    return right_labels(*given)[:-1]


def writes_true_and_false(*given):
    return [str(word == "model") for word in right_labels(*given)]


MUTANTS = (
    Mutant("ridge_probe", "no_intercept", forgets_the_intercept),
    Mutant("ridge_probe", "b_afterwards", adds_the_intercept_afterwards),
    Mutant("ridge_probe", "intercept_penalised", penalises_the_intercept),
    Mutant("ridge_probe", "own_mean", centres_on_the_new),
    Mutant("ridge_probe", "own_mean", centres_each_on_its_own),
    Mutant("ridge_probe", "mean_not_added", keeps_the_mean_away),
    Mutant("ridge_probe", "new_not_centred", leaves_the_new_as_they_are),
    Mutant("ridge_probe", "new_not_centred", leaves_the_new_and_the_mean),
    Mutant("ridge_probe", "penalty_everywhere", adds_the_penalty_everywhere),
    Mutant("ridge_probe", "no_penalty", adds_no_penalty),
    Mutant("ridge_probe", "no_penalty", adds_no_penalty_to_centred),
    Mutant("ridge_probe", "another_penalty", penalises_the_mean_error),
    Mutant("ridge_probe", "another_penalty", divides_the_penalty),
    Mutant("ridge_probe", "another_penalty", squares_the_penalty),
    Mutant("ridge_probe", "another_penalty", halves_the_gradient),
    Mutant("ridge_probe", "another_penalty", doubles_the_penalty),
    Mutant("ridge_probe", "standardised", standardises),
    Mutant("ridge_probe", "standardised", standardises_in_numpy),
    Mutant("ridge_probe", "decided", decides),
    Mutant("ridge_probe", "weights", returns_the_weights),
    Mutant("ridge_probe", "weights", returns_weights_and_intercept),
    Mutant("ridge_probe", "fitted_places", scores_what_it_fitted),
    Mutant("bag_of_words", "not_a_number", masks_after_the_power),
    Mutant("bag_of_words", "own_token_missing", leaves_out_its_own),
    Mutant("bag_of_words", "own_token_missing", reads_before_it_writes),
    Mutant("bag_of_words", "sees_the_future", looks_both_ways),
    Mutant("bag_of_words", "sees_the_future", looks_ahead),
    Mutant("bag_of_words", "sees_the_future", sums_the_window),
    Mutant("bag_of_words", "no_decay", sums_evenly),
    Mutant("bag_of_words", "moving_average", moves_an_average),
    Mutant("bag_of_words", "averaged", divides_by_the_weights),
    Mutant("bag_of_words", "averaged", divides_by_the_length_so_far),
    Mutant("bag_of_words", "one_step_too_old", decays_after_adding),
    Mutant("bag_of_words", "age_from_the_start", counts_from_the_start),
    Mutant("bag_of_words", "age_from_the_start", counts_from_the_end),
    Mutant("bag_of_words", "windows_run_on", never_resets),
    Mutant("bag_of_words", "one_tensor_many_times", changes_one_sum_in_place),
    Mutant("bag_of_words", "last_place", keeps_the_last_place),
    Mutant("bag_of_words", "places_first", stacks_places_first),
    Mutant("gain", "not_a_number", keeps_one_sided_files),
    Mutant("gain", "order", puts_the_error_first),
    Mutant("gain", "rival_minus_mine", subtracts_the_wrong_way),
    Mutant("gain", "rival_forgotten", forgets_the_rival),
    Mutant("gain", "rival_forgotten", compares_with_guessing),
    Mutant("gain", "unpaired", adds_variances),
    Mutant("gain", "unpaired", adds_errors),
    Mutant("gain", "unpaired", takes_one_error),
    Mutant("gain", "not_divided", returns_the_spread),
    Mutant("gain", "divided_by_n", divides_by_the_number),
    Mutant("gain", "places_counted", counts_places),
    Mutant("gain", "spread_by_n", uses_numpys_std),
    Mutant("gain", "all_files_counted", counts_all_files),
    Mutant("gain", "one_sided_files_kept", divides_the_sum_by_all_files),
    Mutant("gain", "one_sided_files_kept", gives_one_sided_files_nothing),
    Mutant("gain", "one_sided_files_kept", fills_the_nan),
    Mutant("gain", "pooled", pools_places),
    Mutant("gain", "long_files_count_more", weighs_by_length),
    Mutant("gain", "ties", wins_only),
    Mutant("gain", "ties", wins_ties),
    Mutant("gain", "accuracy", counts_right_ones),
    Mutant("gain", "accuracy", counts_right_ones_everywhere),
    Mutant("gain", "two_errors", returns_an_interval),
    Mutant("gain", "median", takes_the_median),
    Mutant("my_labels", "number_of_answers", forgets_one),
    Mutant("my_labels", "other_words", writes_true_and_false),
    Mutant("my_labels", "files_told_apart", splits_by_place),
    Mutant("my_labels", "rare_ones", believes_the_share_right),
    Mutant("my_labels", "seen_before", judges_what_it_fitted),
    Mutant("my_labels", "rival_not_subtracted", takes_the_score_for_the_model),
    Mutant("my_labels", "bag_reads_some", gives_the_text_all_it_reads),
    Mutant("my_labels", "not_found", asks_for_much),
    Mutant("my_labels", "model_or_text", mixes_model_and_text),
    Mutant("my_labels", "several", says_model_everywhere),
)


# ---- right, in other styles ----------------------------------------------------------------------------------------


def right_probe(X, y, X_new, penalty):
    return y.mean(0) + (X_new - X.mean(0)) @ right_weights(X, y, penalty)


def probe_with_a_free_column(X, y, X_new, penalty):
    A = torch.cat([X, torch.ones(len(X), 1)], 1).double()
    diagonal = torch.full((A.shape[1],), float(penalty), dtype=torch.float64)
    diagonal[-1] = 0
    w = torch.linalg.inv(A.T @ A + torch.diag(diagonal)) @ A.T @ y.double()
    return X_new.double() @ w[:-1] + w[-1]


def probe_in_numpy(X, y, X_new, penalty):
    X, y, X_new = X.numpy(), y.numpy(), X_new.numpy()
    mean = X.mean(0)
    U, S, Vt = np.linalg.svd(X - mean, full_matrices=False)
    w = Vt.T @ ((S / (S**2 + penalty))[:, None] * (U.T @ (y - y.mean(0))))
    return (X_new - mean) @ w + y.mean(0)


def probe_in_the_dual(X, y, X_new, penalty):
    Xc, Zc = X - X.mean(0), X_new - X.mean(0)
    K = einops.einsum(Xc, Xc, "a d, b d -> a b")
    alpha = torch.linalg.solve(K + penalty * torch.eye(len(X)), y - y.mean(0))
    return einops.einsum(Zc, Xc, alpha, "n d, a d, a f -> n f") + y.mean(0)


def probe_feature_by_feature(X, y, X_new, penalty):
    out = []
    for one in y.T:
        A = X - X.mean(dim=0, keepdim=True)
        w = torch.linalg.lstsq(A.T @ A + penalty * torch.eye(A.shape[1]), (A.T @ (one - one.mean()))[:, None]).solution
        b = one.mean() - X.mean(0) @ w[:, 0]
        out.append(X_new @ w[:, 0] + b)
    return torch.stack(out, dim=1)


def carried_along(tokens, directions, decay):
    state, out = torch.zeros(len(tokens), directions.shape[1]), []
    for column in tokens.T:
        state = decay * state + directions[column]
        out.append(state)
    return torch.stack(out, dim=1)


def bag_in_loops(tokens, directions, decay):
    out = torch.zeros(*tokens.shape, directions.shape[1])
    for w in range(tokens.shape[0]):
        for i in range(tokens.shape[1]):
            for j in range(i + 1):
                out[w, i] += decay ** (i - j) * directions[tokens[w, j]]
    return out


def bag_with_a_matrix(tokens, directions, decay):
    n = tokens.shape[1]
    weights = torch.tensor([[decay ** (i - j) if j <= i else 0.0 for j in range(n)] for i in range(n)])
    return einops.einsum(weights, directions[tokens], "i j, w j d -> w i d")


def bag_in_numpy(tokens, directions, decay):
    x = directions.numpy().astype(np.float64)[tokens.numpy()]
    for i in range(1, x.shape[1]):
        x[:, i] += decay * x[:, i - 1]
    return x


def bag_by_shifts(tokens, directions, decay):
    x = directions[tokens].double()
    n = x.shape[1]
    return sum(float(decay) ** k * F.pad(x, (0, 0, k, 0))[:, :n] for k in range(n))


def gain_stacked(mine, rival, labels, files):
    return summary(gains(mine, rival, labels, files))


def gain_in_loops(mine, rival, labels, files):
    places = defaultdict(list)
    for m, r, label, f in zip(mine.tolist(), rival.tolist(), labels.tolist(), files.tolist(), strict=True):
        places[f].append((m, r, label))
    found = []
    for rows in places.values():
        on, off = [x for x in rows if x[2]], [x for x in rows if not x[2]]
        if on and off:
            score = sum((a[0] > b[0]) - (a[0] < b[0]) - (a[1] > b[1]) + (a[1] < b[1]) for a in on for b in off)
            found.append(score / (2 * len(on) * len(off)))
    mean = sum(found) / len(found)
    return mean, math.sqrt(sum((x - mean) ** 2 for x in found) / (len(found) - 1) / len(found))


def gain_by_ranks(mine, rival, labels, files):
    def by_ranks(s, on):
        s, n = s.double(), on.sum()
        ranks = (s[:, None] > s).sum(1) + ((s[:, None] == s).sum(1) + 1) / 2
        return (ranks[on].sum() - n * (n + 1) / 2) / (n * (~on).sum())

    return summary(gains(mine, rival, labels, files, area=by_ranks))


def gain_dropping_nans(mine, rival, labels, files):
    table = [
        [float(area(s[files == f], labels[files == f])) for s in (mine, rival)] for f in torch.unique(files).tolist()
    ]
    found = np.diff(np.array(table), axis=1)[:, 0]
    found = -found[~np.isnan(found)]
    return found.mean(), found.std(ddof=1) / np.sqrt(len(found))


def labels_by_gain(acts, bag, labels, files):
    """As the solution does it."""
    seen, answers = files < 12, []
    y = labels.float()
    for k in range(labels.shape[1]):
        mine, rival = (right_probe(X[seen], y[seen], X[~seen], 1.0)[:, k] for X in (acts, bag))
        there = labels[~seen][:, k], files[~seen]
        ahead, _ = summary(gains(mine, rival, *there))
        of_model, of_text = (column.mean() for column in columns(mine, rival, *there))
        answers.append("neither" if max(of_model, of_text) < 0.65 else "model" if ahead > 0.1 else "text")
    return answers


def labels_the_other_way_round(acts, bag, labels, files):
    return verdicts(within(acts, bag, labels, files, *halves(files)[::-1]))


def labels_on_every_other_file(acts, bag, labels, files):
    return verdicts(within(acts, bag, labels, files, files % 2 == 0, files % 2 == 1))


def labels_from_scratch(acts, bag, labels, files):
    """Odd files are judged by what the even ones fitted."""
    even, aims = files % 2 == 0, labels.double()
    scored = []
    for X in (acts.double(), bag.double()):
        rows = torch.cat([X, torch.ones(len(X), 1)], dim=1)
        free = torch.diag(torch.tensor([1.0] * X.shape[1] + [0.0]).double())  # the last weight has no penalty
        w = torch.linalg.solve(rows[even].T @ rows[even] + free, rows[even].T @ aims[even])
        scored.append(rows @ w)
    answers = []
    for k, label in enumerate(labels.T):
        places = [(files == number) & ~even for number in files.unique()]
        pairs = [(here & label, here & ~label) for here in places if 0 < label[here].sum() < here.sum()]
        mine, text = (
            sum(float((s[on, k, None] > s[off, k]).double().mean()) for on, off in pairs) / len(pairs) for s in scored
        )
        answers.append("neither" if max(mine, text) < 0.65 else "model" if mine > text + 0.1 else "text")
    return answers


ALTERNATIVES = (
    Alternative("ridge_probe", "centred", right_probe),
    Alternative("ridge_probe", "a column of ones that is not penalised, float64", probe_with_a_free_column),
    Alternative("ridge_probe", "singular values, numpy", probe_in_numpy),
    Alternative("ridge_probe", "through places instead of columns, einops", probe_in_the_dual),
    Alternative("ridge_probe", "one feature after the other", probe_feature_by_feature),
    Alternative("bag_of_words", "a running sum", carried_along),
    Alternative("bag_of_words", "loops", bag_in_loops),
    Alternative("bag_of_words", "a matrix of weights, einops", bag_with_a_matrix),
    Alternative("bag_of_words", "numpy, in place in a copy", bag_in_numpy),
    Alternative("bag_of_words", "shifted copies, float64", bag_by_shifts),
    Alternative("gain", "stacked", gain_stacked),
    Alternative("gain", "loops over pairs", gain_in_loops),
    Alternative("gain", "ranks, float64", gain_by_ranks),
    Alternative("gain", "without the NaN, numpy", gain_dropping_nans),
    Alternative("my_labels", "gain and its error", labels_by_gain),
    Alternative("my_labels", "fitted on the other half", labels_the_other_way_round),
    Alternative("my_labels", "every other file", labels_on_every_other_file),
    Alternative("my_labels", "nothing but torch", labels_from_scratch),
)
