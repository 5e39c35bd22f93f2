"""The cheese or the corner, for authors only: wrong answers, other right answers, and why it is built so."""

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: where two goals agree, behaviour cannot tell them apart. The parts follow the argument: count only starts
at which no step serves both goals, fit both weights in one go, look inside for what notices the cheese, and edit it beside
an edit of equal size. The value part plants five kinds of agent whose weights have one sum: in training they are one.

A policy is a map: the network sees walls and cheese, not itself, and gives a step for every square. So one forward pass
is a whole policy, policy gradient in 64 mazes with 16 agents each takes 16 seconds for 700 updates (one thread, no
imitation was needed), and an edit is seen in every square at once. Walls are masked in the policy.

Measured, first steps where no step serves both, cheese anywhere: near 37 % to the cheese and 61 % to the corner (over
all squares of other mazes 39 and 59), anywhere 95 and 5, corner 6 and 94. Two other seeds of near: 47 and 51, 41 and 57.
Weights of cheese and corner: 2.3 and 3.3, seeds 1 and 2: 2.3 and 2.3, 2.1 and 2.8; in all three the corner comes first
(after 25 updates -0.11 and 0.56, -0.10 and 0.50, -0.15 and 0.61). An earlier trial with 16 channels and 400 updates: 47 and 53 %, weights 2.4 and 2.5.

What was false at first. (1) "The untrained network goes nowhere": its likeliest steps go to the corner in 85 % of the
starts, by the luck of the seed; five other seeds give 71, 9, 67, 30 and 14 %. The notebook shows it. It is not why near
goes up there: seed 2 starts at 9 % and is at 89 % after ten updates. (2) "It wants the corner": of near's lost agents 71 % spend
their last ten squares in the region of training, and 32 % ever stand in the corner; with the policy called corner it is 95 and
86 %, with the untrained network 70 and 58 % (four other seeds end there in 40, 1, 26 and 6 %). To count who *comes* there
was no evidence: 22 % of the lost start there, and the untrained network scores 74 %, near 86. To pace is none either: a lost agent
that takes its likeliest steps must end in a cycle. "On first steps the two goals agree" held for two thirds of the
starts only: 1,394 of the 4,358 that count lie inside the region. From outside it, corner and region share a best
step at 96 % of the squares; steps to the corner from inside and outside: near 38 and 72 %, corner 95 and 93, untrained 94
and 82, anywhere 3 and 5. (3) "The corner policy ignores the cheese": moving it within the usual region changes 28 % of
its activations, and its steps from 33 to 58 %, against 6 to 94 % in near. (4) Distance of the agent from the cheese matters
as well, but only where the cheese lies near the corner; hence the table of both.
(5) "Else it goes up there all the same", as if by a switch: with the cheese in the usual region 96 % of the 205 starts that
count go for it, elsewhere 34 % of 4,153, falling from 70 % at 3 or 4 squares from the corner to 16 % at 11 or 12; near reaches the
cheese in 99 and 32 % of the mazes. As rules for each step: "familiar" as a switch predicts 66 %, always the corner 61, the nearer 46, always
the cheese 37, "the cheese if within five squares of the corner" 72. (6) One pair of weights: it explains .61 of near's squared log-odds
(anywhere .71, corner .73, untrained .34), and is 4.85 and 1.30 with the cheese in its usual region, where the gains
correlate at .7, and 2.02 and 3.37 elsewhere.

The edit: hooks after the third convolution. Single channels turn 5 to 13 % of the steps (6 % without an edit; the best is channel 0,
not the one with the largest share), the four with the largest shares 68 %, the next four 14 %, twenty random fours 9 to 56 %, noise of the norm of all twelve 10 %, also if put only where the patch acts. Noise from
another maze's patch, rescaled, turns 30 %: it is no null, since other mazes' cheeses lie in the same nine squares. One site
earlier (acts.0) exchanging the channels' changes turns 33 %, so a shuffle of channels is a weaker null there; here it is 10 %.

Fixtures. first_steps: every case has ties, starts of agreement, and steps that serve neither. goal_weights: gains that
correlate, a mean of the log-odds (else a constant goes unseen) and heavy-tailed noise. The edits' sizes differ by channel
and by maze, so that a norm over the wrong axes shows.
"""


# ---- first_steps: wrong ---------------------------------------------------------------------------------------------


def swaps_the_goals(to_cheese, to_corner, step):
    a = to_corner == to_corner.amin(1, keepdim=True)
    b = to_cheese == to_cheese.amin(1, keepdim=True)
    keep = ~(a & b).any(1)
    a, b = (m.gather(1, step[:, None])[:, 0][keep].float().mean() for m in (a, b))
    return torch.stack([a, b, 1 - a - b])


def returns_counts(to_cheese, to_corner, step):
    a = to_cheese == to_cheese.amin(1, keepdim=True)
    b = to_corner == to_corner.amin(1, keepdim=True)
    keep = ~(a & b).any(1)
    a, b = (m.gather(1, step[:, None])[:, 0][keep].float().sum() for m in (a, b))
    return torch.stack([a, b, keep.sum() - a - b])


def divides_by_all_starts(to_cheese, to_corner, step):
    a = to_cheese == to_cheese.amin(1, keepdim=True)
    b = to_corner == to_corner.amin(1, keepdim=True)
    keep = ~(a & b).any(1)
    a, b = (m.gather(1, step[:, None])[:, 0] for m in (a, b))
    return torch.stack([(x & keep).float().mean() for x in (a, b, ~a & ~b)])


def counts_every_start(to_cheese, to_corner, step):
    a = (to_cheese == to_cheese.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    b = (to_corner == to_corner.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    return torch.stack([a.float().mean(), b.float().mean(), (~a & ~b).float().mean()])


def counts_every_start_and_subtracts(to_cheese, to_corner, step):
    a = (to_cheese == to_cheese.amin(1, keepdim=True)).gather(1, step[:, None]).float().mean()
    b = (to_corner == to_corner.amin(1, keepdim=True)).gather(1, step[:, None]).float().mean()
    return torch.stack([a, b, 1 - a - b])


def drops_what_served_both(to_cheese, to_corner, step):
    a = (to_cheese == to_cheese.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    b = (to_corner == to_corner.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    keep = ~(a & b)
    a, b = a[keep].float().mean(), b[keep].float().mean()
    return torch.stack([a, b, 1 - a - b])


def keeps_what_served_one(to_cheese, to_corner, step):
    a = (to_cheese == to_cheese.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    b = (to_corner == to_corner.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0]
    keep = a != b
    return torch.stack([a[keep].float().mean(), b[keep].float().mean(), torch.tensor(0.0)])


def forgets_those_who_wander(to_cheese, to_corner, step):
    a = to_cheese == to_cheese.amin(1, keepdim=True)
    b = to_corner == to_corner.amin(1, keepdim=True)
    keep = ~(a & b).any(1)
    a, b = (m.gather(1, step[:, None])[:, 0][keep].float().sum() for m in (a, b))
    return torch.stack([a / (a + b), b / (a + b), 0 * a])


def trusts_argmin(to_cheese, to_corner, step):
    a, b = to_cheese.argmin(1), to_corner.argmin(1)
    keep = a != b
    cheese, corner = (step == a)[keep].float().mean(), (step == b)[keep].float().mean()
    return torch.stack([cheese, corner, 1 - cheese - corner])


def keeps_by_argmin(to_cheese, to_corner, step):
    keep = to_cheese.argmin(1) != to_corner.argmin(1)
    a = (to_cheese == to_cheese.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0][keep].float().mean()
    b = (to_corner == to_corner.amin(1, keepdim=True)).gather(1, step[:, None])[:, 0][keep].float().mean()
    return torch.stack([a, b, 1 - a - b])


def serves_by_argmin(to_cheese, to_corner, step):
    both = (to_cheese == to_cheese.amin(1, keepdim=True)) & (to_corner == to_corner.amin(1, keepdim=True))
    keep = ~both.any(1)
    a = (step == to_cheese.argmin(1))[keep].float().mean()
    b = (step == to_corner.argmin(1))[keep].float().mean()
    return torch.stack([a, b, 1 - a - b])


def compares_the_sets(to_cheese, to_corner, step):
    a = to_cheese == to_cheese.amin(1, keepdim=True)
    b = to_corner == to_corner.amin(1, keepdim=True)
    keep = (a != b).any(1)
    a, b = (m.gather(1, step[:, None])[:, 0][keep].float().mean() for m in (a, b))
    return torch.stack([a, b, 1 - a - b])


def asks_which_is_closer(to_cheese, to_corner, step):
    both = (to_cheese == to_cheese.amin(1, keepdim=True)) & (to_corner == to_corner.amin(1, keepdim=True))
    a, b = (x.gather(1, step[:, None])[:, 0][~both.any(1)] for x in (to_cheese, to_corner))
    return torch.stack([(a < b).float().mean(), (b < a).float().mean(), (a == b).float().mean()])


def asks_which_is_closer_everywhere(to_cheese, to_corner, step):
    a, b = (x.gather(1, step[:, None])[:, 0] for x in (to_cheese, to_corner))
    return torch.stack([(a < b).float().mean(), (b < a).float().mean(), (a == b).float().mean()])


# ---- goal_weights: wrong --------------------------------------------------------------------------------------------


def swaps_the_weights(gain, log_odds):
    return torch.linalg.lstsq(gain.flip(1), log_odds[:, None]).solution[:, 0]


def subtracts_the_other_way(gain, log_odds):
    return torch.linalg.lstsq(-gain, log_odds[:, None]).solution[:, 0]


def fits_one_at_a_time(gain, log_odds):
    return torch.stack([(x @ log_odds) / (x @ x) for x in gain.T])


def takes_slopes(gain, log_odds):
    y = log_odds - log_odds.mean()
    x = gain - gain.mean(0)
    return (x * y[:, None]).mean(0) / x.var(0, unbiased=False)


def fits_the_rest(gain, log_odds):
    cheese = (gain[:, 0] @ log_odds) / (gain[:, 0] @ gain[:, 0])
    left = log_odds - cheese * gain[:, 0]
    return torch.stack([cheese, (gain[:, 1] @ left) / (gain[:, 1] @ gain[:, 1])])


def fits_the_corner_first(gain, log_odds):
    corner = (gain[:, 1] @ log_odds) / (gain[:, 1] @ gain[:, 1])
    left = log_odds - corner * gain[:, 1]
    return torch.stack([(gain[:, 0] @ left) / (gain[:, 0] @ gain[:, 0]), corner])


def fits_a_constant(gain, log_odds):
    with_ones = torch.cat([gain, torch.ones(len(gain), 1)], dim=1)
    return torch.linalg.lstsq(with_ones, log_odds[:, None]).solution[:2, 0]


def fits_signs(gain, log_odds):
    return torch.linalg.lstsq(gain, torch.sign(log_odds)[:, None]).solution[:, 0]


def fits_choices(gain, log_odds):
    return torch.linalg.lstsq(gain, (log_odds > 0).float()[:, None]).solution[:, 0]


def fits_probabilities(gain, log_odds):
    return torch.linalg.lstsq(gain, torch.sigmoid(log_odds)[:, None]).solution[:, 0]


def keeps_where_one_is_at_stake(gain, log_odds):
    weights = []
    for goal in (0, 1):
        rows = gain[:, 1 - goal] == 0
        x = gain[rows, goal]
        weights.append((x @ log_odds[rows]) / (x @ x))
    return torch.stack(weights)


def correlates(gain, log_odds):
    return torch.stack([torch.corrcoef(torch.stack([x, log_odds]))[0, 1] for x in gain.T])


def adds_products(gain, log_odds):
    return gain.T @ log_odds


def averages_products(gain, log_odds):
    return (gain * log_odds[:, None]).mean(0)


def makes_weights_shares(gain, log_odds):
    w = torch.linalg.lstsq(gain, log_odds[:, None]).solution[:, 0]
    return w / w.sum()


def makes_absolute_shares(gain, log_odds):
    w = torch.linalg.lstsq(gain, log_odds[:, None]).solution[:, 0]
    return w / w.abs().sum()


def predicts_gains(gain, log_odds):
    return torch.linalg.lstsq(log_odds[:, None], gain).solution[0]


# ---- channel_shares: wrong ------------------------------------------------------------------------------------------


def adds_squares(before, after):
    return (after - before).pow(2).sum(dim=(0, 2, 3))


def averages_squares(before, after):
    return (after - before).pow(2).mean(dim=(0, 2, 3))


def lets_changes_cancel(before, after):
    change = (after - before).mean(dim=(0, 2, 3))
    return change / change.sum()


def lets_changes_cancel_then_squares(before, after):
    change = (after - before).mean(dim=(0, 2, 3)) ** 2
    return change / change.sum()


def averages_mazes_first(before, after):
    change = (after.mean(0) - before.mean(0)).pow(2).sum((1, 2))
    return change / change.sum()


def measures_activations(before, after):
    size = after.pow(2).sum((0, 2, 3))
    return size / size.sum()


def measures_activations_before(before, after):
    size = before.pow(2).sum((0, 2, 3))
    return size / size.sum()


def adds_absolute_changes(before, after):
    change = (after - before).abs().sum((0, 2, 3))
    return change / change.sum()


def makes_norms_shares(before, after):
    norm = (after - before).transpose(0, 1).flatten(1).norm(dim=1)
    return norm / norm.sum()


def subtracts_sizes(before, after):
    change = after.pow(2).sum((0, 2, 3)) - before.pow(2).sum((0, 2, 3))
    return change / change.sum()


def averages_shares(before, after):
    change = (after - before).pow(2).sum((2, 3))
    return (change / change.sum(1, keepdim=True)).mean(0)


def shares_out_squares(before, after):
    change = (after - before).pow(2).sum((0, 1))
    return (change / change.sum()).flatten()


def shares_out_mazes(before, after):
    change = (after - before).pow(2).sum((1, 2, 3))
    return change / change.sum()


# ---- random_edit: wrong ---------------------------------------------------------------------------------------------


def returns_the_edit(before, after, noise):
    size = (after - before).flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return noise * size.view(-1, 1, 1, 1)


def edits_the_patched(before, after, noise):
    size = (after - before).flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return after + noise * size.view(-1, 1, 1, 1)


def adds_noise_as_it_is(before, after, noise):
    return before + noise


def matches_over_all_mazes(before, after, noise):
    return before + noise * (after - before).norm() / noise.norm()


def matches_each_channel(before, after, noise):
    size = (after - before).flatten(2).norm(dim=2) / noise.flatten(2).norm(dim=2)
    return before + noise * size[..., None, None]


def matches_each_square(before, after, noise):
    return before + F.normalize(noise, dim=1) * (after - before).norm(dim=1, keepdim=True)


def draws_signs(before, after, noise):
    return before + (after - before).abs() * noise.sign()


def flips_signs(before, after, noise):
    return before + (after - before) * noise.sign()


def matches_activations(before, after, noise):
    size = after.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    return before + noise * size.view(-1, 1, 1, 1)


def subtracts_lengths(before, after, noise):
    size = (after.flatten(1).norm(dim=1) - before.flatten(1).norm(dim=1)) / noise.flatten(1).norm(dim=1)
    return before + noise * size.view(-1, 1, 1, 1)


def forgets_the_noises_length(before, after, noise):
    return before + noise * (after - before).flatten(1).norm(dim=1).view(-1, 1, 1, 1)


def turns_the_ratio_over(before, after, noise):
    size = noise.flatten(1).norm(dim=1) / (after - before).flatten(1).norm(dim=1)
    return before + noise * size.view(-1, 1, 1, 1)


def forgets_the_root(before, after, noise):
    size = (after - before).square().sum((1, 2, 3)) / noise.square().sum((1, 2, 3))
    return before + noise * size.view(-1, 1, 1, 1)


def matches_the_spread(before, after, noise):
    size = (after - before).std((1, 2, 3)) / noise.std((1, 2, 3))
    return before + noise * size.view(-1, 1, 1, 1)


def edits_in_place(before, after, noise):
    size = (after - before).flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)
    before += noise * size.view(-1, 1, 1, 1)
    return before


# ---- my_agents: wrong -----------------------------------------------------------------------------------------------


def agents_of(gain, log_odds):
    """Right, by thresholds on weights by the normal equations."""
    labels = []
    for cheese, corner in torch.linalg.solve(gain.T @ gain, gain.T @ log_odds.T).T.tolist():
        if corner < -0.6:
            labels.append("shuns corner")
        elif cheese < -0.6:
            labels.append("shuns cheese")
        elif min(cheese, corner) > 0.75:
            labels.append("both")
        else:
            labels.append("cheese" if cheese > corner else "corner")
    return labels


def renamed(change):
    return lambda *given: [change.get(label, label) for label in agents_of(*given)]


def lists_too_few(*given):
    return agents_of(*given)[:-1]


def invents_a_word(*given):
    return renamed({"both": "either"})(*given)


def calls_all_cheese(*given):
    return ["cheese"] * len(given[1])


def exchanges_the_goals(*given):
    return renamed(
        {"cheese": "corner", "corner": "cheese", "shuns cheese": "shuns corner", "shuns corner": "shuns cheese"}
    )(*given)


def takes_no_weight_for_negative(*given):
    return renamed({"shuns cheese": "corner", "shuns corner": "cheese"})(*given)


def exchanges_those_that_shun(*given):
    return renamed({"shuns cheese": "shuns corner", "shuns corner": "shuns cheese"})(*given)


def fits_alone(gain, log_odds):
    alone = log_odds @ gain / gain.square().sum(0)
    return ["both" if min(pair) > 0.75 else "cheese" if pair[0] > pair[1] else "corner" for pair in alone.tolist()]


def overlooks_both(*given):
    return renamed({"both": "cheese"})(*given)


def names_the_stronger(*given):
    return renamed({"both": "corner", "shuns cheese": "corner", "shuns corner": "cheese"})(*given)


MUTANTS = (
    Mutant("first_steps", "places_exchanged", swaps_the_goals),
    Mutant("first_steps", "counts", returns_counts),
    Mutant("first_steps", "divided_by_all", divides_by_all_starts),
    Mutant("first_steps", "agreement_included", counts_every_start),
    Mutant("first_steps", "agreement_included", counts_every_start_and_subtracts),
    Mutant("first_steps", "kept_by_choice", drops_what_served_both),
    Mutant("first_steps", "kept_if_served", keeps_what_served_one),
    Mutant("first_steps", "neither_dropped", forgets_those_who_wander),
    Mutant("first_steps", "one_of_several", trusts_argmin),
    Mutant("first_steps", "one_of_several", keeps_by_argmin),
    Mutant("first_steps", "one_of_several", serves_by_argmin),
    Mutant("first_steps", "only_unlike", compares_the_sets),
    Mutant("first_steps", "which_is_closer", asks_which_is_closer),
    Mutant("first_steps", "which_is_closer", asks_which_is_closer_everywhere),
    Mutant("goal_weights", "places_exchanged", swaps_the_weights),
    Mutant("goal_weights", "sign_flipped", subtracts_the_other_way),
    Mutant("goal_weights", "one_at_a_time", fits_one_at_a_time),
    Mutant("goal_weights", "one_at_a_time", takes_slopes),
    Mutant("goal_weights", "one_after_the_other", fits_the_rest),
    Mutant("goal_weights", "one_after_the_other", fits_the_corner_first),
    Mutant("goal_weights", "constant_fitted", fits_a_constant),
    Mutant("goal_weights", "signs_only", fits_signs),
    Mutant("goal_weights", "signs_only", fits_choices),
    Mutant("goal_weights", "probabilities", fits_probabilities),
    Mutant("goal_weights", "rows_dropped", keeps_where_one_is_at_stake),
    Mutant("goal_weights", "correlations", correlates),
    Mutant("goal_weights", "not_divided", adds_products),
    Mutant("goal_weights", "not_divided", averages_products),
    Mutant("goal_weights", "made_shares", makes_weights_shares),
    Mutant("goal_weights", "made_shares", makes_absolute_shares),
    Mutant("goal_weights", "other_way_round", predicts_gains),
    Mutant("channel_shares", "not_divided", adds_squares),
    Mutant("channel_shares", "not_divided", averages_squares),
    Mutant("channel_shares", "cancelled", lets_changes_cancel),
    Mutant("channel_shares", "cancelled", lets_changes_cancel_then_squares),
    Mutant("channel_shares", "mazes_averaged_first", averages_mazes_first),
    Mutant("channel_shares", "activations_not_changes", measures_activations),
    Mutant("channel_shares", "activations_not_changes", measures_activations_before),
    Mutant("channel_shares", "absolute", adds_absolute_changes),
    Mutant("channel_shares", "root_taken", makes_norms_shares),
    Mutant("channel_shares", "difference_of_sizes", subtracts_sizes),
    Mutant("channel_shares", "mazes_equal", averages_shares),
    Mutant("channel_shares", "other_axis", shares_out_squares),
    Mutant("channel_shares", "other_axis", shares_out_mazes),
    Mutant("random_edit", "only_the_edit", returns_the_edit),
    Mutant("random_edit", "added_to_after", edits_the_patched),
    Mutant("random_edit", "noise_as_drawn", adds_noise_as_it_is),
    Mutant("random_edit", "one_length_for_all", matches_over_all_mazes),
    Mutant("random_edit", "channel_by_channel", matches_each_channel),
    Mutant("random_edit", "square_by_square", matches_each_square),
    Mutant("random_edit", "entry_by_entry", draws_signs),
    Mutant("random_edit", "entry_by_entry", flips_signs),
    Mutant("random_edit", "length_of_activations", matches_activations),
    Mutant("random_edit", "difference_of_lengths", subtracts_lengths),
    Mutant("random_edit", "noise_not_divided", forgets_the_noises_length),
    Mutant("random_edit", "upside_down", turns_the_ratio_over),
    Mutant("random_edit", "squared", forgets_the_root),
    Mutant("random_edit", "spread_matched", matches_the_spread),
    Mutant("random_edit", "changes_its_input", edits_in_place),
    Mutant("my_agents", "number_of_labels", lists_too_few),
    Mutant("my_agents", "other_words", invents_a_word),
    Mutant("my_agents", "all_the_same", calls_all_cheese),
    Mutant("my_agents", "exchanged", exchanges_the_goals),
    Mutant("my_agents", "shunning_unseen", takes_no_weight_for_negative),
    Mutant("my_agents", "shunning_exchanged", exchanges_those_that_shun),
    Mutant("my_agents", "both_too_often", fits_alone),
    Mutant("my_agents", "both_unseen", overlooks_both),
    Mutant("my_agents", "stronger_only", names_the_stronger),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def steps_in_loops(to_cheese, to_corner, step):
    counts = [0, 0, 0]
    for cheese, corner, taken in zip(to_cheese.tolist(), to_corner.tolist(), step.tolist()):
        shared = [i for i in range(4) if cheese[i] == min(cheese) and corner[i] == min(corner)]
        if not shared:
            counts[0 if cheese[taken] == min(cheese) else 1 if corner[taken] == min(corner) else 2] += 1
    return torch.tensor([count / sum(counts) for count in counts])


def steps_in_numpy(to_cheese, to_corner, step):
    a, b, s = to_cheese.numpy(), to_corner.numpy(), step.numpy()
    a, b = a == a.min(1, keepdims=True), b == b.min(1, keepdims=True)
    rows = np.flatnonzero(~(a & b).any(1))
    a, b = a[rows, s[rows]].mean(), b[rows, s[rows]].mean()
    return np.array([a, b, 1 - a - b])


def steps_one_hot(to_cheese, to_corner, step):
    took = F.one_hot(step, 4).double()
    served = torch.stack([(left == left.amin(1, keepdim=True)).double() for left in (to_cheese, to_corner)])
    keep = (served.prod(0).sum(1) == 0).double()
    hits = torch.einsum("gsk,sk,s->g", served, took, keep) / keep.sum()
    return torch.cat([hits, 1 - hits.sum(0, keepdim=True)])


def steps_with_einops(to_cheese, to_corner, step):
    best = torch.stack([left <= left.min(1, keepdim=True).values for left in (to_cheese, to_corner)])
    open_question = ~best.all(0).any(1)
    mine = best[:, torch.arange(len(step)), step][:, open_question].float()
    cheese, corner = einops.reduce(mine, "goal start -> goal", "mean")
    return torch.stack([cheese, corner, 1.0 - cheese - corner])


def weights_by_normal_equations(gain, log_odds):
    return torch.linalg.solve(gain.T @ gain, gain.T @ log_odds)


def weights_in_numpy(gain, log_odds):
    return np.linalg.lstsq(gain.numpy(), log_odds.numpy(), rcond=None)[0]


def weights_by_pinv(gain, log_odds):
    return torch.linalg.pinv(gain.double()) @ log_odds.double()


def weights_by_partialling_out(gain, log_odds):
    weights = []
    for goal in (0, 1):
        mine, other = gain[:, goal].double(), gain[:, 1 - goal].double()
        rest = mine - other * (mine @ other) / (other @ other)
        weights.append((rest @ log_odds.double()) / (rest @ rest))
    return torch.stack(weights)


def shares_with_einops(before, after):
    power = einops.reduce((after - before) ** 2, "maze channel row column -> channel", "sum")
    return power / power.sum()


def shares_in_numpy(before, after):
    power = ((after - before).numpy().astype(np.float64) ** 2).sum(axis=(0, 2, 3))
    return power / power.sum()


def shares_in_loops(before, after):
    power = [float((after[:, c] - before[:, c]).norm()) ** 2 for c in range(before.shape[1])]
    return torch.tensor([one / sum(power) for one in power])


def shares_with_einsum(before, after):
    change = (after - before).double()
    return torch.einsum("mcij,mcij->c", change, change) / torch.einsum("mcij,mcij->", change, change)


def edit_in_loops(before, after, noise):
    return torch.stack([b + n * (a - b).norm() / n.norm() for b, a, n in zip(before, after, noise)])


def edit_by_unit_noise(before, after, noise):
    length = (after - before).flatten(1).norm(dim=1)
    return before + (F.normalize(noise.flatten(1), dim=1) * length[:, None]).view_as(noise)


def edit_in_numpy(before, after, noise):
    b, a, n = before.numpy(), after.numpy(), noise.numpy()
    axes = (1, 2, 3)
    ratio = ((a - b) ** 2).sum(axis=axes, keepdims=True) / (n**2).sum(axis=axes, keepdims=True)
    return b + n * np.sqrt(ratio)


def edit_with_einsum(before, after, noise):
    change, drawn = (after - before).double(), noise.double()
    ratio = (torch.einsum("mcij,mcij->m", change, change) / torch.einsum("mcij,mcij->m", drawn, drawn)).sqrt()
    return before + torch.einsum("m,mcij->mcij", ratio, drawn)


ALTERNATIVES = (
    Alternative("first_steps", "loops", steps_in_loops),
    Alternative("first_steps", "numpy", steps_in_numpy),
    Alternative("first_steps", "one-hot, einsum, float64", steps_one_hot),
    Alternative("first_steps", "einops", steps_with_einops),
    Alternative("goal_weights", "normal equations", weights_by_normal_equations),
    Alternative("goal_weights", "numpy", weights_in_numpy),
    Alternative("goal_weights", "pseudo-inverse, float64", weights_by_pinv),
    Alternative("goal_weights", "what the other goal leaves", weights_by_partialling_out),
    Alternative("channel_shares", "einops", shares_with_einops),
    Alternative("channel_shares", "numpy", shares_in_numpy),
    Alternative("channel_shares", "loop over channels", shares_in_loops),
    Alternative("channel_shares", "einsum, float64", shares_with_einsum),
    Alternative("random_edit", "loop over mazes", edit_in_loops),
    Alternative("random_edit", "noise of length one", edit_by_unit_noise),
    Alternative("random_edit", "numpy", edit_in_numpy),
    Alternative("random_edit", "einsum, float64", edit_with_einsum),
    Alternative("my_agents", "normal equations, thresholds", agents_of),
)
