"""Meaningful zero, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: zero is one point of the space, and an ablation is a counterfactual. The order is surprise (a head that the
model cannot do without and that may read anything), three kinds of off, a ranking that turns over, where zero lies, a twin
with the same predictions and another zero, a circuit whose truth is known, and then the case against the mean.

The surprise is real, in mini-neo, and it follows from the first puzzle: its embedding got a common offset, and the heads of
its first layer write a constant against it (cosine -0.94 with the mean embedding for head 0.0; the mean holds 0.98 of its
squared length). Costs in nats over 40 texts, zero, mean, resample: 0.0: 1.427 0.027 0.060; 0.1: 0.782 0.021 0.031; 1.0:
0.134 0.131 0.196; 1.1: 0.095 0.095 0.178. Head 0.0 minus head 1.0, paired over texts, with standard errors: +1.29 (0.07)
at zero, -0.10 (0.02) at the mean, -0.14 (0.02) resampled. Over all 39 shifts of the texts, resampling costs head 0.0 0.064
(deviation 0.010) and head 1.0 0.189 (0.010). A random vector as long as the mean costs head 0.0 1.70, more than zero does.
The mean of the other half of the texts costs 0.036 against 0.033 for its own half.

Points as far from the mean as zero, in 20 random directions, cost head 0.0 0.43 to 1.91 nats, 0.80 on average. So
"unfamiliar" is true of the dear zero, and says nothing of the cheap other text: the notebook prints eight of them and calls
it half of the answer.

In mini-gpt2 zero costs 1.1 to 1.4 times the mean, and the mean holds a tenth of the square. On the 16 texts of the notebook
the three kinds rank alike, on 6 of 8 other samples not: close heads change places. The plan was to show the phenomenon
there; it is the control instead.

Text is a module of the standard library, not snippets typed in: 2,480 predictions and standard errors of 0.01 to 0.07,
where eight snippets would leave a standard error as large as the mean's cost. The begin token keeps its output: it is the same in all texts.

What is true of squares and of a linear reader: zero is the mean's effect plus the square of the constant; resampling over
all other donors is 2n/(n-1) times the mean's. Signed changes average to zero for both. In nats there is no such law: the
factor is between 1.5 and 2.2 here. For a linear reader and all donors, the loss being convex, resampling costs at least as
much as the mean; the notebook does not need it.

Fixtures. Outputs have a common part with unequal coordinates of both signs, else one number or a row's own mean passes for
the mean row. Donors form one ring: no fixed point, and never their own inverse. Raw logits have a level of their own in
every row, else raw logits pass for log-probabilities. The resample part has a constant, else the second moment passes, and
few rows, else "may give to itself" passes. Its large case has 200,000 rows: at 60,000 an n-by-n table is granted by the
system, and then the process is killed; at 200,000 it is refused at once. The large
cases are float64: in float32, torch.cov over 200,000 rows is off by up to 1.5e-3, and right answers were refused.

The hand-set circuit has answers in equal numbers, so that the carrier's mean is zero but for noise. Over 400 drawings the
constant costs most at zero (1.6 to 4.0 nats, the carrier 0.8), the carrier costs most by mean (0.8, the next 0.07) and by
resampling; the loudest and the most variable head write nothing that parts the answers.

The eight statistics are a value, and its cases draw the points by which the truth is found: a function from a name to a
word has no tensor that it could overwrite, and the gate asks that an answer which overwrites its input be refused.

Trying it in a browser changed: labels such as "0.0" were drawn as numbers on an axis; long lines were cut at some hundred
characters; the first screen told that zero can be made to cost nothing; the same-answer donors and the coin stood in one
cell, and nobody could tell the three controls apart; a stub for a value raised after the value was given.
"""


# ---- ablate: wrong --------------------------------------------------------------------------------------------------


def ablate_rightly(acts, kind, donor):
    given = {"zero": 0 * acts, "mean": acts.mean(0, keepdim=True).repeat(len(acts), 1), "resample": acts[donor]}
    return given[kind]


def knows_only_zero(acts, kind, donor):
    return torch.zeros_like(acts)


def takes_each_rows_mean(acts, kind, donor):
    if kind == "mean":
        return acts.mean(1, keepdim=True).expand_as(acts)
    return ablate_rightly(acts, kind, donor)


def returns_the_means_of_rows(acts, kind, donor):
    return acts.mean(1) if kind == "mean" else ablate_rightly(acts, kind, donor)


def takes_one_mean(acts, kind, donor):
    if kind == "mean":
        return torch.full_like(acts, acts.mean().item())
    return ablate_rightly(acts, kind, donor)


def forgets_to_expand(acts, kind, donor):
    return acts.mean(0) if kind == "mean" else ablate_rightly(acts, kind, donor)


def keeps_one_row(acts, kind, donor):
    return acts.mean(0, keepdim=True) if kind == "mean" else ablate_rightly(acts, kind, donor)


def zeroes_one_row(acts, kind, donor):
    return torch.zeros(acts.shape[1]) if kind == "zero" else ablate_rightly(acts, kind, donor)


def subtracts_the_mean(acts, kind, donor):
    return acts - acts.mean(0) if kind == "mean" else ablate_rightly(acts, kind, donor)


def takes_the_median(acts, kind, donor):
    if kind == "mean":
        return acts.median(0).values.expand_as(acts)
    return ablate_rightly(acts, kind, donor)


def leaves_itself_out(acts, kind, donor):
    if kind == "mean":
        return torch.stack([torch.cat([acts[:i], acts[i + 1 :]]).mean(0) for i in range(len(acts))])
    return ablate_rightly(acts, kind, donor)


def takes_the_sum(acts, kind, donor):
    return acts.sum(0).expand_as(acts) if kind == "mean" else ablate_rightly(acts, kind, donor)


def keeps_the_lengths(acts, kind, donor):
    if kind == "mean":
        return F.normalize(acts.mean(0), dim=0) * acts.norm(dim=1, keepdim=True)
    return ablate_rightly(acts, kind, donor)


def sends_to_the_donor(acts, kind, donor):
    if kind == "resample":
        out = torch.empty_like(acts)
        out[donor] = acts
        return out
    return ablate_rightly(acts, kind, donor)


def changes_nothing(acts, kind, donor):
    return acts.clone() if kind == "resample" else ablate_rightly(acts, kind, donor)


def takes_the_neighbour(acts, kind, donor):
    return acts.roll(1, 0) if kind == "resample" else ablate_rightly(acts, kind, donor)


def turns_the_batch_round(acts, kind, donor):
    return acts.flip(0) if kind == "resample" else ablate_rightly(acts, kind, donor)


def returns_the_change(acts, kind, donor):
    return acts[donor] - acts if kind == "resample" else ablate_rightly(acts, kind, donor)


def keeps_half(acts, kind, donor):
    return (acts[donor] + acts) / 2 if kind == "resample" else ablate_rightly(acts, kind, donor)


def follows_the_donors_twice(acts, kind, donor):
    return acts[donor[donor]] if kind == "resample" else ablate_rightly(acts, kind, donor)


def throws_its_own_dice(acts, kind, donor):
    if kind == "resample":
        order = list(range(len(acts)))
        order[0], order[2], order[4] = 4, 0, 2
        return acts[order]
    return ablate_rightly(acts, kind, donor)


def zeroes_in_place(acts, kind, donor):
    if kind == "zero":
        return acts.zero_()
    return ablate_rightly(acts, kind, donor)


# ---- ablation_effect: wrong -----------------------------------------------------------------------------------------


def right_answers(logits, answers):
    return F.log_softmax(logits, -1).gather(1, answers[:, None])[:, 0]


def after_minus_before(before, after, answers):
    return (right_answers(after, answers) - right_answers(before, answers)).mean()


def compares_logits(before, after, answers):
    i = torch.arange(len(answers))
    return (before[i, answers] - after[i, answers]).mean()


def compares_probabilities(before, after, answers):
    return (right_answers(before, answers).exp() - right_answers(after, answers).exp()).mean()


def averages_before_the_logarithm(before, after, answers):
    return torch.log(right_answers(before, answers).exp().mean() / right_answers(after, answers).exp().mean())


def counts_bits(before, after, answers):
    return (right_answers(before, answers) - right_answers(after, answers)).mean() / math.log(2)


def sums_the_drops(before, after, answers):
    return (right_answers(before, answers) - right_answers(after, answers)).sum()


def forgets_to_average(before, after, answers):
    return right_answers(before, answers) - right_answers(after, answers)


def normalises_over_the_batch(before, after, answers):
    i = torch.arange(len(answers))
    return (before.log_softmax(0)[i, answers] - after.log_softmax(0)[i, answers]).mean()


def compares_accuracies(before, after, answers):
    return (before.argmax(-1) == answers).float().mean() - (after.argmax(-1) == answers).float().mean()


def counts_all_change_as_damage(before, after, answers):
    return (right_answers(before, answers) - right_answers(after, answers)).abs().mean()


def follows_the_top_token(before, after, answers):
    top = before.argmax(-1)
    return (right_answers(before, top) - right_answers(after, top)).mean()


def compares_margins(before, after, answers):
    def margins(logits):
        others = logits.clone()
        others.scatter_(1, answers[:, None], -math.inf)
        return logits.gather(1, answers[:, None])[:, 0] - others.amax(1)

    return (margins(before) - margins(after)).mean()


def measures_divergence(before, after, answers):
    p = before.log_softmax(-1)
    return (p.exp() * (p - after.log_softmax(-1))).sum(-1).mean()


def gives_the_loss_after(before, after, answers):
    return F.cross_entropy(after, answers)


def gives_a_share(before, after, answers):
    return F.cross_entropy(after, answers) / F.cross_entropy(before, answers) - 1


def gives_a_quotient(before, after, answers):
    return F.cross_entropy(after, answers) / F.cross_entropy(before, answers)


def averages_over_the_vocabulary(before, after, answers):
    return (before.log_softmax(-1) - after.log_softmax(-1)).mean()


def indexes_columns_only(before, after, answers):
    return (before.log_softmax(-1)[:, answers] - after.log_softmax(-1)[:, answers]).mean()


# ---- measured_from: wrong -------------------------------------------------------------------------------------------


def trusts_norms(X):
    return ["points", "origin", "points", "points", "origin", "points", "origin", "points"]


def trusts_cosines(X):
    return ["origin", "points", "points", "points", "origin", "points", "origin", "points"]


def suspects_differences(X):
    return ["origin", "origin", "origin", "points", "origin", "points", "origin", "points"]


def suspects_distances(X):
    return ["origin", "origin", "points", "origin", "origin", "points", "origin", "points"]


def trusts_neighbours(X):
    return ["origin", "origin", "points", "points", "points", "points", "origin", "points"]


def suspects_variances(X):
    return ["origin", "origin", "points", "points", "origin", "origin", "origin", "points"]


def trusts_zero(X):
    return ["origin", "origin", "points", "points", "origin", "points", "points", "points"]


def suspects_the_mean(X):
    return ["origin", "origin", "points", "points", "origin", "points", "origin", "origin"]


def trusts_angles(X):
    return ["origin", "points", "points", "points", "points", "points", "origin", "points"]


def swaps_the_ablations(X):
    return ["origin", "origin", "points", "points", "origin", "points", "points", "origin"]


def turns_everything_round(X):
    return ["points", "points", "origin", "origin", "points", "origin", "points", "origin"]


def suspects_everything(X):
    return ["origin", "origin", "origin", "origin", "origin", "origin", "origin", "origin"]


def trusts_what_has_no_scale(X):
    return ["origin", "points", "points", "points", "points", "origin", "points", "points"]


def speaks_of_zero(X):
    return ["zero", "zero", "points", "points", "zero", "points", "zero", "points"]


def names_only_the_origins(X):
    return ["origin"] * 4


# ---- carrier: wrong -------------------------------------------------------------------------------------------------


def price(kind, heads, W_O, b, answers):
    """What each head costs, in nats."""

    def loss(heads):
        return F.cross_entropy(torch.einsum("nhd,hda->na", heads, W_O) + b, answers).item()

    costs = []
    for h in range(heads.shape[1]):
        changed = heads.clone()
        given = {"zero": 0 * heads[:, h], "mean": heads[:, h].mean(0).expand_as(heads[:, h])}
        changed[:, h] = given.get(kind, heads[:, h].roll(1, 0))
        costs.append(loss(changed) - loss(heads))
    return costs


def believes_zero(heads, W_O, b, answers):
    costs = price("zero", heads, W_O, b, answers)
    return costs.index(max(costs))


def takes_the_largest(heads, W_O, b, answers):
    return int(heads.norm(dim=-1).mean(0).argmax())


def takes_the_most_variable(heads, W_O, b, answers):
    return int(heads.var(0).sum(-1).argmax())


def takes_the_runner_up(heads, W_O, b, answers):
    costs = price("mean", heads, W_O, b, answers)
    return costs.index(sorted(costs)[-2])


def counts_from_one(heads, W_O, b, answers):
    return 5


# ---- expected_resample_effect: wrong --------------------------------------------------------------------------------


def read(acts, readout):
    return acts.double() @ readout.double()


def lets_rows_give_to_themselves(acts, readout):
    return 2 * read(acts, readout).var(correction=0)


def takes_the_variance(acts, readout):
    return read(acts, readout).var()


def takes_the_mean_ablation(acts, readout):
    x = read(acts, readout)
    return (x - x.mean()).square().mean()


def measures_from_zero(acts, readout):
    return read(acts, readout).square().mean()


def doubles_the_second_moment(acts, readout):
    return 2 * read(acts, readout).square().mean()


def takes_the_root(acts, readout):
    return (2 * read(acts, readout).var()).sqrt()


def doubles_the_deviation(acts, readout):
    return 2 * read(acts, readout).std()


def takes_absolute_changes(acts, readout):
    x = read(acts, readout)
    n = len(x)
    if n > 1000:
        return 2 * x.var()
    return (x[:, None] - x).abs().sum() / (n * (n - 1))


def averages_before_squaring(acts, readout):
    return read(acts, readout).mean() ** 2


def forgets_the_squares(acts, readout):
    x = read(acts, readout)
    return (x - x.mean()).mean()


def ignores_the_reader(acts, readout):
    return 2 * acts.double().var(0).sum()


def reads_each_coordinate(acts, readout):
    return 2 * (acts.double() * readout).var(0).sum()


def normalises_the_reader(acts, readout):
    return 2 * read(acts, readout / readout.norm()).var()


def sums_over_pairs(acts, readout):
    n = len(acts)
    return n * (n - 1) * 2 * read(acts, readout).var()


def sums_over_unordered_pairs(acts, readout):
    n = len(acts)
    return n * (n - 1) * read(acts, readout).var()


def counts_pairs_twice(acts, readout):
    return 4 * read(acts, readout).var()


def asks_one_donor(acts, readout):
    x = read(acts, readout)
    return (x.roll(1) - x).square().mean()


def builds_all_pairs(acts, readout):
    x = acts @ readout
    n = len(x)
    return (x[:, None] - x).square().sum() / (n * (n - 1))


def goes_donor_by_donor(acts, readout):
    x = acts @ readout
    n = len(x)
    return sum((x - one).square().sum() for one in x) / (n * (n - 1))


MUTANTS = (
    Mutant("ablate", "kind_ignored", knows_only_zero),
    Mutant("ablate", "own_mean", takes_each_rows_mean),
    Mutant("ablate", "own_mean", returns_the_means_of_rows),
    Mutant("ablate", "one_number", takes_one_mean),
    Mutant("ablate", "not_spread", forgets_to_expand),
    Mutant("ablate", "not_spread", keeps_one_row),
    Mutant("ablate", "not_spread", zeroes_one_row),
    Mutant("ablate", "mean_removed", subtracts_the_mean),
    Mutant("ablate", "median", takes_the_median),
    Mutant("ablate", "mean_of_the_others", leaves_itself_out),
    Mutant("ablate", "sum_not_mean", takes_the_sum),
    Mutant("ablate", "keeps_the_length", keeps_the_lengths),
    Mutant("ablate", "wrong_way_round", sends_to_the_donor),
    Mutant("ablate", "nothing_swapped", changes_nothing),
    Mutant("ablate", "neighbour", takes_the_neighbour),
    Mutant("ablate", "neighbour", turns_the_batch_round),
    Mutant("ablate", "difference_returned", returns_the_change),
    Mutant("ablate", "half_and_half", keeps_half),
    Mutant("ablate", "twice_removed", follows_the_donors_twice),
    Mutant("ablate", "own_chance", throws_its_own_dice),
    Mutant("ablate", "changes_its_input", zeroes_in_place),
    Mutant("ablation_effect", "sign_flipped", after_minus_before),
    Mutant("ablation_effect", "raw_logits", compares_logits),
    Mutant("ablation_effect", "probabilities", compares_probabilities),
    Mutant("ablation_effect", "mean_before_log", averages_before_the_logarithm),
    Mutant("ablation_effect", "bits", counts_bits),
    Mutant("ablation_effect", "summed", sums_the_drops),
    Mutant("ablation_effect", "one_per_use", forgets_to_average),
    Mutant("ablation_effect", "wrong_axis", normalises_over_the_batch),
    Mutant("ablation_effect", "accuracy", compares_accuracies),
    Mutant("ablation_effect", "absolute", counts_all_change_as_damage),
    Mutant("ablation_effect", "own_favourite", follows_the_top_token),
    Mutant("ablation_effect", "margin", compares_margins),
    Mutant("ablation_effect", "divergence", measures_divergence),
    Mutant("ablation_effect", "not_compared", gives_the_loss_after),
    Mutant("ablation_effect", "ratio", gives_a_share),
    Mutant("ablation_effect", "ratio", gives_a_quotient),
    Mutant("ablation_effect", "whole_row", averages_over_the_vocabulary),
    Mutant("ablation_effect", "all_answers_for_all", indexes_columns_only),
    Mutant("measured_from", "other_words", speaks_of_zero),
    Mutant("measured_from", "number_of_words", names_only_the_origins),
    Mutant("measured_from", "norm", trusts_norms),
    Mutant("measured_from", "cosine", trusts_cosines),
    Mutant("measured_from", "difference", suspects_differences),
    Mutant("measured_from", "distance", suspects_distances),
    Mutant("measured_from", "nearest_by_cosine", trusts_neighbours),
    Mutant("measured_from", "variance", suspects_variances),
    Mutant("measured_from", "zero_effect", trusts_zero),
    Mutant("measured_from", "mean_effect", suspects_the_mean),
    Mutant("measured_from", "angles", trusts_angles),
    Mutant("measured_from", "ablations_swapped", swaps_the_ablations),
    Mutant("measured_from", "all_turned_round", turns_everything_round),
    Mutant("measured_from", "all_alike", suspects_everything),
    Mutant("measured_from", "several", trusts_what_has_no_scale),
    Mutant("carrier", "zero_says_so", believes_zero),
    Mutant("carrier", "not_heard", takes_the_largest),
    Mutant("carrier", "not_heard", takes_the_most_variable),
    Mutant("carrier", "knows_a_little", takes_the_runner_up),
    Mutant("carrier", "no_head", counts_from_one),
    Mutant("expected_resample_effect", "gives_to_itself", lets_rows_give_to_themselves),
    Mutant("expected_resample_effect", "mean_effect", takes_the_variance),
    Mutant("expected_resample_effect", "mean_effect", takes_the_mean_ablation),
    Mutant("expected_resample_effect", "zero_effect", measures_from_zero),
    Mutant("expected_resample_effect", "zero_effect", doubles_the_second_moment),
    Mutant("expected_resample_effect", "root", takes_the_root),
    Mutant("expected_resample_effect", "root", doubles_the_deviation),
    Mutant("expected_resample_effect", "absolute", takes_absolute_changes),
    Mutant("expected_resample_effect", "signs_cancel", averages_before_squaring),
    Mutant("expected_resample_effect", "signs_cancel", forgets_the_squares),
    Mutant("expected_resample_effect", "not_read", ignores_the_reader),
    Mutant("expected_resample_effect", "one_by_one", reads_each_coordinate),
    Mutant("expected_resample_effect", "unit_readout", normalises_the_reader),
    Mutant("expected_resample_effect", "summed", sums_over_pairs),
    Mutant("expected_resample_effect", "summed", sums_over_unordered_pairs),
    Mutant("expected_resample_effect", "twice_too_much", counts_pairs_twice),
    Mutant("expected_resample_effect", "neighbours_only", asks_one_donor),
    Mutant("expected_resample_effect", "n_by_n", builds_all_pairs),
    Mutant("expected_resample_effect", "pair_by_pair", goes_donor_by_donor),
)


# ---- right, in other styles ---------------------------------------------------------------------------------------


def ablate_with_einops(acts, kind, donor):
    if kind == "resample":
        return torch.index_select(acts, 0, donor)
    mean = einops.reduce(acts, "n d -> d", "mean")
    return einops.repeat(mean * (kind == "mean"), "d -> n d", n=len(acts))


def ablate_in_numpy(acts, kind, donor):
    a = acts.numpy()
    if kind == "zero":
        return np.zeros_like(a)
    return a[donor.numpy()] if kind == "resample" else np.broadcast_to(a.mean(axis=0), a.shape).copy()


def ablate_with_a_matrix(acts, kind, donor):
    n = len(acts)
    mixing = {"zero": torch.zeros(n, n), "mean": torch.ones(n, n) / n, "resample": torch.eye(n)[donor]}
    return mixing[kind] @ acts


def effect_as_a_rise_of_loss(before, after, answers):
    return F.cross_entropy(after, answers) - F.cross_entropy(before, answers)


def effect_in_numpy(before, after, answers):
    def log_p(logits):
        x = logits.numpy().astype(np.float64)
        x = x - x.max(axis=1, keepdims=True)
        return (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))[np.arange(len(x)), answers.numpy()]

    return (log_p(before) - log_p(after)).mean()


def effect_in_loops(before, after, answers):
    total = 0.0
    for b, a, y in zip(before, after, answers.tolist()):
        total += (b[y] - b.logsumexp(0)).item() - (a[y] - a.logsumexp(0)).item()
    return total / len(answers)


def statistics_by_heart(X):
    return ("origin", "origin", "points", "points", "origin", "points", "origin", "points")


def statistics_by_translating(X):
    v = torch.tensor([5.0, -3.0, 2.0, 7.0, 1.0], dtype=X.dtype)

    def values(X):
        cosines = F.normalize(X, dim=1) @ F.normalize(X, dim=1).T
        apart = X[1:] - X[:-1]
        nearest = cosines.topk(2).indices[:, 1].double()
        ablated = X.square().sum(), (X - X.mean(0)).square().sum()
        return X.norm(dim=1), cosines, apart, apart.norm(dim=1), nearest, X.var(0), *ablated

    moved = zip(values(X), values(X + v))
    return ["points" if torch.allclose(one, other, atol=1e-6) else "origin" for one, other in moved]


def carrier_by_mean(heads, W_O, b, answers):
    costs = price("mean", heads, W_O, b, answers)
    return costs.index(max(costs))


def carrier_by_resampling(heads, W_O, b, answers):
    costs = price("resample", heads, W_O, b, answers)
    return int(np.argmax(costs))


def carrier_by_guessing_from_each(heads, W_O, b, answers):
    writes = torch.einsum("nhd,hda->hna", heads - heads.mean(0), W_O)
    return int((writes.argmax(-1) == answers).float().mean(1).argmax())


def resample_from_moments(acts, readout):
    x = (acts.double() - acts[0].double()) @ readout.double()
    n = len(x)
    return 2 * (x.square().mean() - x.mean() ** 2) * n / (n - 1)


def resample_from_covariance(acts, readout):
    covariance = np.cov(acts.double().numpy().T)
    return float(2 * readout.double().numpy() @ covariance @ readout.double().numpy())


def resample_by_torch_cov(acts, readout):
    return 2 * torch.cov(acts @ readout)


def resample_by_covariance_matrix(acts, readout):
    return 2 * (readout @ torch.cov(acts.T) @ readout)


def resample_with_a_running_sum(acts, readout):
    count, mean, spread = 0, 0.0, 0.0
    for x in (acts.double() @ readout.double()).tolist():
        count += 1
        step = x - mean
        mean += step / count
        spread += step * (x - mean)
    return 2 * spread / (count - 1)


ALTERNATIVES = (
    Alternative("ablate", "a dictionary", ablate_rightly),
    Alternative("ablate", "einops", ablate_with_einops),
    Alternative("ablate", "numpy", ablate_in_numpy),
    Alternative("ablate", "mixing matrix", ablate_with_a_matrix),
    Alternative("ablation_effect", "rise of the loss", effect_as_a_rise_of_loss),
    Alternative("ablation_effect", "numpy, float64", effect_in_numpy),
    Alternative("ablation_effect", "loop", effect_in_loops),
    Alternative("measured_from", "by heart, a tuple", statistics_by_heart),
    Alternative("measured_from", "by translating", statistics_by_translating),
    Alternative("carrier", "mean ablation", carrier_by_mean),
    Alternative("carrier", "resampling", carrier_by_resampling),
    Alternative("carrier", "best single guesser", carrier_by_guessing_from_each),
    Alternative("expected_resample_effect", "two moments", resample_from_moments),
    Alternative("expected_resample_effect", "covariance, numpy", resample_from_covariance),
    Alternative("expected_resample_effect", "torch.cov of what is read", resample_by_torch_cov),
    Alternative("expected_resample_effect", "torch.cov, then read", resample_by_covariance_matrix),
    Alternative("expected_resample_effect", "running sum", resample_with_a_running_sum),
)
