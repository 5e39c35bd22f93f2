"""Before the cliff, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
The first plan was "a score can precede its function". Measured as *Any one can go* measures it, on the second showing, the
previous-token score comes 120 to 360 steps *after* the effect, in every run looked at: three of these,
one of this width at half the learning rate (no score yet when the loss had half fallen), and mini-induction itself (cliff at 300 to 450; score at 690
only 0.14, ablation already 3.4 nats). That too would have been a false conclusion: induction reads layer 0 at the keys of
the first showing, and there the attention one back rises with the effect (mini-induction: 0.29 of 0.07 at step 330, 0.72
at 450). The puzzle lets the learner walk into it, with bars and intervals that are all in order, and then asks where the
wire ends. A cut of the keys of one showing decides. TransformerLens' detectors and ARENA's average the attention one back
over all positions, so over both showings: that score (0.19, 0.32, 0.18 at step 600; begun by 480, 360, 360) is not late.

The heads are chosen by the score on the second showing, which the puzzle then rejects, and the one decided verdict hangs
on it: in run 1 L0H2 looks harder on the first showing (0.97 against 0.94), costs three times as much (3.94 nats against
1.33), and its ranges meet (effect after 120, by 480; score after 0, by 360). The learner is shown that at the end.
A cost is more than ln 65 where the cut also relieves the wrong order (run 0, L0H1: right order 0.08 to 4.14, wrong order
8.17 to 5.54). The loss in another order is the lower of the two only until step 480 (360 in run 1); then it is the highest.

Other things that would have gone wrong. The loss on the second showing falls before any induction, in whatever order the
tokens come again; so "function" is what the right order is worth, and its control two wrong orders. Heads at
initialisation are too quiet a control for attention: recency drifts, so the bar is the attention five back in all runs at
all checkpoints. The first-showing score leaves a low bar early by a trifle, since attention is measured finely; by twice
the bar its lead in run 1 is gone, and the lateness on the second showing is not. The change is not sudden at a spacing of
120 steps: three to four times a straight line, where sqrt(step) has 2.8.

The recipe is mini-induction's at half the width, so that three runs of nine checkpoints fit where one of eight would;
twice its learning rate brings the cliff to about step 500.

Fixtures: onset has curves that blip, that fall back in the end, that are above from the first or at the last only, and one
that stays just below the highest of twenty controls, three of their spreads up: a quantile of the controls, some number
of their spreads, their mean over rows, or the middle sequence each begin elsewhere there, and none did before. Means
are set, so that no order of summing decides. onset_range keeps only draws on which the range is wider than the onset.
suddenness has uneven steps, falling curves and turns against the whole, once the steepest of all. The learner's runs are drawn until the first
crossing misleads where a blip was planted, and one open run has the score earlier when taken without a range.
"""


# ---- second_loss: wrong ---------------------------------------------------------------------------------------------


def compares_at_the_same_place(logits, tokens, period):
    log_probs = logits[:, period + 1 :].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 1 :, None]).squeeze(-1).mean(1)


def compares_at_the_same_place_without_the_first(logits, tokens, period):
    log_probs = logits[:, period + 2 :].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).mean(1)


def averages_both_showings(logits, tokens, period):
    log_probs = logits[:, :-1].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, 1:, None]).squeeze(-1).mean(1)


def takes_the_first_showing(logits, tokens, period):
    log_probs = logits[:, :period].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, 1 : period + 1, None]).squeeze(-1).mean(1)


def counts_the_unknowable(logits, tokens, period):
    log_probs = logits[:, period:-1].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 1 :, None]).squeeze(-1).mean(1)


def starts_one_late(logits, tokens, period):
    log_probs = logits[:, period + 2 : -1].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 3 :, None]).squeeze(-1).mean(1)


def averages_the_batch(logits, tokens, period):
    return F.cross_entropy(logits[:, period + 1 : -1].flatten(0, 1), tokens[:, period + 2 :].flatten())


def sums_the_tokens(logits, tokens, period):
    log_probs = logits[:, period + 1 : -1].log_softmax(-1)
    return -log_probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).sum(1)


def forgets_the_minus(logits, tokens, period):
    log_probs = logits[:, period + 1 : -1].log_softmax(-1)
    return log_probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).mean(1)


def measures_bits(logits, tokens, period):
    probs = logits[:, period + 1 : -1].softmax(-1)
    return -probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).log2().mean(1)


def averages_probabilities(logits, tokens, period):
    probs = logits[:, period + 1 : -1].softmax(-1)
    return -probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).mean(1).log()


def forgets_softmax(logits, tokens, period):
    return -logits[:, period + 1 : -1].gather(-1, tokens[:, period + 2 :, None]).squeeze(-1).mean(1)


def takes_the_middle_loss(logits, tokens, period):
    log_probs = logits[:, period + 1 : -1].log_softmax(-1)
    return (-log_probs.gather(-1, tokens[:, period + 2 :, None]).squeeze(-1)).median(1).values


# ---- onset: wrong ---------------------------------------------------------------------------------------------------


def stops_at_the_last_below(values, controls):
    below = (values.mean(1) <= controls.mean(1).max()).nonzero()
    return int(below.max()) if len(below) else -1


def after_the_last(below):
    """The place after the last True; 0 if there is none."""
    places = below.nonzero()
    return int(places.max()) + 1 if len(places) else 0


def says_minus_one_for_never(values, controls):
    at = after_the_last(values.mean(1) <= controls.mean(1).max())
    return at if at < len(values) else -1


def takes_the_first_crossing(values, controls):
    above = values.mean(1) > controls.mean(1).max()
    return int(above.nonzero()[0]) if above.any() else len(values)


def takes_the_first_crossing_by_argmax(values, controls):
    return int((values.mean(1) > controls.mean(1).max()).int().argmax())


def clears_the_mean_control(values, controls):
    return after_the_last(values.mean(1) <= controls.mean())


def clears_every_sequence(values, controls):
    return after_the_last(values.mean(1) <= controls.max())


def wants_every_sequence_above(values, controls):
    return after_the_last((values <= controls.mean(1).max()).any(1))


def is_content_with_one_sequence(values, controls):
    return after_the_last((values <= controls.mean(1).max()).all(1))


def takes_half_of_the_last(values, controls):
    mean = values.mean(1)
    return int((mean > 0.5 * mean[-1]).nonzero()[0])


def takes_a_tenth_of_the_last(values, controls):
    mean = values.mean(1)
    return int((mean > 0.1 * mean[-1]).nonzero()[0])


def takes_the_middle_sequence(values, controls):
    return after_the_last(values.median(1).values <= controls.mean(1).max())


def compares_medians(values, controls):
    return after_the_last(values.median(1).values <= controls.median(1).values.max())


def lets_the_sequences_vote(values, controls):
    return after_the_last((values > controls.mean(1).max()).sum(1) * 2 <= values.shape[1])


def clears_most_controls(values, controls):
    return after_the_last(values.mean(1) <= controls.mean(1).quantile(0.95))


def clears_two_deviations(values, controls):
    bar = controls.mean() + 2 * controls.mean(1).std()
    return after_the_last(values.mean(1) <= bar)


def clears_three_deviations(values, controls):
    bar = controls.mean() + 3 * controls.mean(1).std()
    return after_the_last(values.mean(1) <= bar)


def clears_nine_tenths_of_controls(values, controls):
    return after_the_last(values.mean(1) <= controls.mean(1).quantile(0.9))


def clears_deviations_of_sequences(values, controls):
    return after_the_last(values.mean(1) <= controls.mean() + 2 * controls.std())


def averages_the_controls(values, controls):
    return after_the_last(values.mean(1) <= controls.mean(0).max())


def takes_the_steepest(values, controls):
    return int(values.mean(1).diff().argmax()) + 1


def compares_with_the_first(values, controls):
    return after_the_last(values.mean(1) <= values[0].mean())


def smooths_first(values, controls):
    mean = values.mean(1)
    smooth = torch.stack([mean[max(0, i - 1) : i + 2].mean() for i in range(len(mean))])
    return after_the_last(smooth <= controls.mean(1).max())


def counts_checkpoints(values, controls):
    return int((values.mean(1) > controls.mean(1).max()).sum())


# ---- onset_range: wrong ---------------------------------------------------------------------------------------------


def onset_of(values, controls):
    return after_the_last(values.mean(1) <= controls.mean(1).max())


def keeps_the_controls(values, controls, draws):
    found = [onset_of(values[:, draw], controls) for draw in draws]
    return torch.tensor([min(found), max(found)])


def keeps_the_values(values, controls, draws):
    found = [onset_of(values, controls[:, draw]) for draw in draws]
    return torch.tensor([min(found), max(found)])


def puts_the_latest_first(values, controls, draws):
    found = [onset_of(values[:, draw], controls[:, draw]) for draw in draws]
    return torch.tensor([max(found), min(found)])


def drops_repeats(values, controls, draws):
    found = [onset_of(values[:, draw.unique()], controls[:, draw.unique()]) for draw in draws]
    return torch.tensor([min(found), max(found)])


def returns_one_onset(values, controls, draws):
    return torch.tensor([onset_of(values, controls)] * 2)


def takes_single_sequences(values, controls, draws):
    found = [onset_of(values[:, [i]], controls[:, [i]]) for i in range(values.shape[1])]
    return torch.tensor([min(found), max(found)])


def averages_the_draws(values, controls, draws):
    at = onset_of(values[:, draws].mean(1), controls[:, draws].mean(1))
    return torch.tensor([at, at])


def cuts_the_outer_draws(values, controls, draws):
    found = torch.tensor([onset_of(values[:, draw], controls[:, draw]) for draw in draws]).double()
    return found.quantile(torch.tensor([0.25, 0.75]).double()).round().long()


def takes_mean_and_deviation(values, controls, draws):
    found = torch.tensor([onset_of(values[:, draw], controls[:, draw]) for draw in draws]).double()
    return torch.tensor([round(float(found.mean() - found.std())), round(float(found.mean() + found.std()))])


# ---- suddenness: wrong ----------------------------------------------------------------------------------------------


def counts_checkpoints_for_steps(curve, steps):
    return curve.diff().div((curve[-1] - curve[0]) / (len(curve) - 1)).max()


def divides_one_of_two(curve, steps):
    return (curve.diff() / steps.diff() / (curve[-1] - curve[0])).max()


def takes_logs_of_steps(curve, steps):
    x = (steps + 1).log()
    return (curve.diff() / x.diff() / ((curve[-1] - curve[0]) / (x[-1] - x[0]))).max()


def returns_the_slope(curve, steps):
    return (curve.diff() / steps.diff()).max()


def returns_the_share(curve, steps):
    return (curve.diff() / (curve[-1] - curve[0])).max()


def divides_after_the_maximum(curve, steps):
    return (curve.diff() / steps.diff()).max() / ((curve[-1] - curve[0]) / (steps[-1] - steps[0]))


def ignores_the_direction(curve, steps):
    return (curve.diff() / steps.diff()).abs().max() / ((curve[-1] - curve[0]) / (steps[-1] - steps[0])).abs()


def takes_the_height(curve, steps):
    turn = (curve[-1] - curve[0]).sign()
    return (turn * curve.diff() / steps.diff()).max() * (steps[-1] - steps[0]) / (curve.max() - curve.min())


def divides_by_the_mean_slope(curve, steps):
    slopes = curve.diff() / steps.diff()
    return (slopes / slopes.mean()).max()


def smooths_the_slopes(curve, steps):
    slopes = (curve[2:] - curve[:-2]) / (steps[2:] - steps[:-2])
    return (slopes / ((curve[-1] - curve[0]) / (steps[-1] - steps[0]))).max()


def stands_upside_down(curve, steps):
    slopes = curve.diff() / steps.diff()
    return 1 / (slopes / ((curve[-1] - curve[0]) / (steps[-1] - steps[0]))).max()


def takes_the_flattest(curve, steps):
    slopes = curve.diff() / steps.diff()
    return (slopes / ((curve[-1] - curve[0]) / (steps[-1] - steps[0]))).min()


# ---- my_runs: wrong -------------------------------------------------------------------------------------------------


def labels_by(at):
    """Labels from (earliest, latest) of each quantity."""

    def labelled(scores, score_controls, effects, effect_controls, draws):
        labels = []
        for run in range(len(scores)):
            (a, b), (c, d) = (
                at(scores[run], score_controls[run], draws),
                at(effects[run], effect_controls[run], draws),
            )
            never = max(b, d) == scores.shape[1]
            labels.append("never" if never else "score" if b < c else "function" if d < a else "open")
        return labels

    return labelled


def range_of(values, controls, draws):
    found = [onset_of(values[:, draw], controls[:, draw]) for draw in draws]
    return min(found), max(found)


def crossing_of(values, controls, draws):
    above = values.mean(1) > controls.mean(1).max()
    at = int(above.nonzero()[0]) if above.any() else len(values)
    return at, at


def changed(change):
    return lambda *given: [change.get(label, label) for label in labels_by(range_of)(*given)]


def lists_too_few(*given):
    return labels_by(range_of)(*given)[:-1]


def invents_a_word(*given):
    return changed({"open": "undecided"})(*given)


def turns_the_order(*given):
    return changed({"score": "function", "function": "score"})(*given)


def decides_what_is_open(*given):
    return changed({"open": "score"})(*given)


def calls_never_open(*given):
    return changed({"never": "open"})(*given)


def leaves_all_open(*given):
    return changed({"score": "open", "function": "open"})(*given)


def believes_first_crossings(*given):
    return labels_by(crossing_of)(*given)


MUTANTS = (
    Mutant("second_loss", "not_shifted", compares_at_the_same_place),
    Mutant("second_loss", "not_shifted", compares_at_the_same_place_without_the_first),
    Mutant("second_loss", "both_showings", averages_both_showings),
    Mutant("second_loss", "first_showing", takes_the_first_showing),
    Mutant("second_loss", "first_of_second", counts_the_unknowable),
    Mutant("second_loss", "one_too_few", starts_one_late),
    Mutant("second_loss", "batch_averaged", averages_the_batch),
    Mutant("second_loss", "summed", sums_the_tokens),
    Mutant("second_loss", "sign", forgets_the_minus),
    Mutant("second_loss", "bits", measures_bits),
    Mutant("second_loss", "mean_of_probabilities", averages_probabilities),
    Mutant("second_loss", "raw_logits", forgets_softmax),
    Mutant("second_loss", "median", takes_the_middle_loss),
    Mutant("onset", "last_below", stops_at_the_last_below),
    Mutant("onset", "never_forgotten", says_minus_one_for_never),
    Mutant("onset", "first_crossing", takes_the_first_crossing),
    Mutant("onset", "first_crossing", takes_the_first_crossing_by_argmax),
    Mutant("onset", "mean_control", clears_the_mean_control),
    Mutant("onset", "single_sequences", clears_every_sequence),
    Mutant("onset", "single_sequences", wants_every_sequence_above),
    Mutant("onset", "largest_sequence", is_content_with_one_sequence),
    Mutant("onset", "median_sequence", takes_the_middle_sequence),
    Mutant("onset", "median_sequence", compares_medians),
    Mutant("onset", "median_sequence", lets_the_sequences_vote),
    Mutant("onset", "bar_from_spread", clears_most_controls),
    Mutant("onset", "bar_from_spread", clears_nine_tenths_of_controls),
    Mutant("onset", "bar_from_spread", clears_two_deviations),
    Mutant("onset", "bar_from_spread", clears_three_deviations),
    Mutant("onset", "bar_from_spread", clears_deviations_of_sequences),
    Mutant("onset", "controls_over_steps", averages_the_controls),
    Mutant("onset", "share_of_final", takes_half_of_the_last),
    Mutant("onset", "share_of_final", takes_a_tenth_of_the_last),
    Mutant("onset", "steepest_place", takes_the_steepest),
    Mutant("onset", "against_the_start", compares_with_the_first),
    Mutant("onset", "smoothed", smooths_first),
    Mutant("onset", "counted", counts_checkpoints),
    Mutant("onset_range", "controls_kept", keeps_the_controls),
    Mutant("onset_range", "values_kept", keeps_the_values),
    Mutant("onset_range", "exchanged", puts_the_latest_first),
    Mutant("onset_range", "without_repeats", drops_repeats),
    Mutant("onset_range", "one_onset", returns_one_onset),
    Mutant("onset_range", "each_sequence", takes_single_sequences),
    Mutant("onset_range", "draws_averaged", averages_the_draws),
    Mutant("onset_range", "quantiles", cuts_the_outer_draws),
    Mutant("onset_range", "typical", takes_mean_and_deviation),
    Mutant("suddenness", "steps_ignored", counts_checkpoints_for_steps),
    Mutant("suddenness", "half_ignored", divides_one_of_two),
    Mutant("suddenness", "log_axis", takes_logs_of_steps),
    Mutant("suddenness", "not_divided", returns_the_slope),
    Mutant("suddenness", "share_of_change", returns_the_share),
    Mutant("suddenness", "direction_lost", divides_after_the_maximum),
    Mutant("suddenness", "either_direction", ignores_the_direction),
    Mutant("suddenness", "height_below", takes_the_height),
    Mutant("suddenness", "mean_of_slopes", divides_by_the_mean_slope),
    Mutant("suddenness", "smoothed", smooths_the_slopes),
    Mutant("suddenness", "upside_down", stands_upside_down),
    Mutant("suddenness", "least", takes_the_flattest),
    Mutant("my_runs", "number_of_labels", lists_too_few),
    Mutant("my_runs", "other_words", invents_a_word),
    Mutant("my_runs", "order_turned", turns_the_order),
    Mutant("my_runs", "no_interval", decides_what_is_open),
    Mutant("my_runs", "never_unseen", calls_never_open),
    Mutant("my_runs", "too_careful", leaves_all_open),
    Mutant("my_runs", "several", believes_first_crossings),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def loss_by_cross_entropy(logits, tokens, period):
    guesses, targets = logits[:, period + 1 : -1], tokens[:, period + 2 :]
    return F.cross_entropy(guesses.transpose(1, 2), targets, reduction="none").mean(1)


def loss_in_loops(logits, tokens, period):
    rows = []
    for guesses, row in zip(logits.double(), tokens.tolist()):
        lost = [math.log(guesses[i].exp().sum()) - float(guesses[i, row[i + 1]]) for i in range(period + 1, 2 * period)]
        rows.append(sum(lost) / len(lost))
    return torch.tensor(rows)


def loss_in_numpy(logits, tokens, period):
    x, t = logits.numpy().astype(np.float64), tokens.numpy()
    x = x - np.log(np.exp(x).sum(-1, keepdims=True))
    every = -np.take_along_axis(x[:, :-1], t[:, 1:, None], -1)[..., 0]
    return every[:, -(period - 1) :].mean(1)


def loss_with_einops(logits, tokens, period):
    chosen = F.one_hot(tokens[:, 1:], logits.shape[-1]).double()
    every = -(logits[:, :-1].double().log_softmax(-1) * chosen)
    return einops.reduce(every[:, period + 1 :], "b p v -> b", "sum") / (period - 1)


def onset_walking_back(values, controls):
    bar, at = float(controls.mean(1).max()), len(values)
    while at > 0 and float(values[at - 1].mean()) > bar:
        at -= 1
    return at


def onset_in_numpy(values, controls):
    above = values.numpy().mean(1) > controls.numpy().mean(1).max()
    return len(above) - int(np.cumprod(above[::-1]).sum())


def onset_by_cumprod(values, controls):
    above = (values.double().mean(1)[:, None] > controls.double().mean(1)).all(1)
    return len(values) - above.flip(0).long().cumprod(0).sum()


def onset_by_search(values, controls):
    for at in range(len(values)):
        if all(row.mean() > control.mean() for row in values[at:] for control in controls):
            return at
    return len(values)


def range_by_itself(values, controls, draws):
    first, last = len(values), 0
    for draw in draws.tolist():
        bar, at = controls[:, draw].mean(1).max(), len(values)
        while at > 0 and values[at - 1, draw].mean() > bar:
            at -= 1
        first, last = min(first, at), max(last, at)
    return [first, last]


def range_at_once(values, controls, draws):
    means, bars = values[:, draws].mean(-1), controls[:, draws].mean(-1).amax(0)
    lasting = (means > bars).flip(0).long().cumprod(0).sum(0)
    return len(values) - torch.stack([lasting.max(), lasting.min()])


def range_by_weights(values, controls, draws):
    weights = torch.stack([draw.bincount(minlength=values.shape[1]) for draw in draws]).double() / values.shape[1]
    above = values.double() @ weights.T > (controls.double() @ weights.T).max(0).values
    found = [int((~column).nonzero().max()) + 1 if not column.all() else 0 for column in above.T]
    return np.array([min(found), max(found)])


def suddenness_in_loops(curve, steps):
    whole = (curve[-1] - curve[0]) / (steps[-1] - steps[0])
    best = -math.inf
    for i in range(len(curve) - 1):
        best = max(best, float((curve[i + 1] - curve[i]) / (steps[i + 1] - steps[i]) / whole))
    return best


def suddenness_of_unit_curves(curve, steps):
    y = (curve.double() - curve[0]) / (curve[-1] - curve[0])
    x = (steps.double() - steps[0]) / (steps[-1] - steps[0])
    return (y.diff() / x.diff()).max()


def suddenness_in_numpy(curve, steps):
    rise, run = np.diff(curve.numpy()), np.diff(steps.numpy())
    return float(np.max(rise / run * run.sum() / rise.sum()))


def runs_by_themselves(scores, score_controls, effects, effect_controls, draws):
    labels = []
    for run in range(len(scores)):
        found = []
        for values, controls in ((scores[run], score_controls[run]), (effects[run], effect_controls[run])):
            above = values[:, draws].mean(-1) > controls[:, draws].mean(-1).amax(0)
            found.append(len(values) - above.flip(0).long().cumprod(0).sum(0))
        score, effect = found
        if max(score.max(), effect.max()) == scores.shape[1]:
            labels.append("never")
        elif score.max() < effect.min():
            labels.append("score")
        else:
            labels.append("function" if effect.max() < score.min() else "open")
    return labels


ALTERNATIVES = (
    Alternative("second_loss", "cross_entropy", loss_by_cross_entropy),
    Alternative("second_loss", "loops, float64", loss_in_loops),
    Alternative("second_loss", "numpy, counted from the end", loss_in_numpy),
    Alternative("second_loss", "one-hot and einops", loss_with_einops),
    Alternative("onset", "walking back", onset_walking_back),
    Alternative("onset", "numpy", onset_in_numpy),
    Alternative("onset", "a running product, float64", onset_by_cumprod),
    Alternative("onset", "a search", onset_by_search),
    Alternative("onset_range", "loops", range_by_itself),
    Alternative("onset_range", "all draws at once", range_at_once),
    Alternative("onset_range", "weights", range_by_weights),
    Alternative("suddenness", "a loop", suddenness_in_loops),
    Alternative("suddenness", "both axes from 0 to 1", suddenness_of_unit_curves),
    Alternative("suddenness", "numpy", suddenness_in_numpy),
    Alternative("my_runs", "all draws at once", runs_by_themselves),
)
