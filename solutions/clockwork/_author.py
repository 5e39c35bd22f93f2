"""Fifty-three hours, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch
import torch.nn.functional as F

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a basis is a claim about the task. In the right one few parts do the work, and that is shown by
keeping, removing and turning them. PCA is not told which hour follows which: its sizes are the same for relabelled
hours.

What was measured. p = 53, W_E [53, 12], one matrix for a and one for b, 80 units, AdamW 5e-3, weight decay 1, half of
all pairs, 1,500 steps, 5 CPU seconds a run. Four seeds with ReLU all end with four or five frequencies that hold
about nine tenths of W_E. Seed 3 has the longest wait (shown 100 % at step 500, the others 1 %, 4 % at 750, 23 % at
1,000, 99.6 % at 1,250), so it is the one in the story; seeds 0, 1 and 2 jump at 600 to 800. Without the bottleneck of
12 (one-hot into 128 units) there is no small set: all 26 frequencies are used, each by a few units. With one W_in for
both hours the network is symmetric, knows 45 % of the others at once, because it knows (b, a), and the delay is
blurred.

Nearly every unit reads one frequency of a, the same of b, and writes the same (seed 3: 95, 94 and 87 % on average;
the strongest is the same in 79 and 80 of 80; 78 of 80 read more than four fifths; twin 15, 4 and 4 %); the angle
written is the sum of the two read (mean cosine of the difference above 0.99), in subtraction the difference of the
two. The size of a single frequency's vote hardly depends on a - b (correlation with |cos| of half the difference
-0.02 and 0.06 in seed 0), so this is no "pizza" in the sense of Zhong et al. (2023): units with different angles for
a and b make up for each other.

Cutting W_E at the end: one frequency alone 8 to 13 % right, the first two 42 %, the ten triples 54 to 98 % (largest
three 97), four 99.9 %; without any one of the five 97 to 100 %; without all five 2.3 %.

What PCA sees. The first version said that nothing stands out, and that is false here. Ten sizes are large, then .03
and .02 (twin .06, .05). The largest share of one frequency in components 1 to 10 is .81 .91 .73 .50 .71 .39 .79 .50
.55 .50 (twin .10 to .17; relabelled .11 to .33), and in the plane of the first two the hour's angle follows 4h (mean
resultant .95). True is that the sizes cannot tell the network from its relabelled copy, and that 2, 4, 6, 8, 10
components keep 8, 27, 60, 89, 100 %, so a pair of components is no hand of its own: the five sizes are nearly equal,
so PCA mixes them. Turning the five by ten hours moves 100 % of the answers by twenty; turning all else moves none.

Before the jump. Keeping only the five strongest waves of each checkpoint raises the share right of the others at
every step before the jump and in all four seeds (seed 3: 1.1 to 8 % at 500, 4.3 to 18 at 750, 23 to 44 at 1,000; seed
2: 6.5 to 24 at 375; seed 1: 4.8 to 20 at 250; seed 0: 12 to 37 at 416). Ten principal components, as many dimensions,
do nearly nothing (4.3 to 5.3 at 750). In the twin nothing happens (2 %). Choosing the five at the end or at that step
gives the same numbers to a point or two. What the note claimed at first and is false: that an excluded loss near a
guess shows that no table is left. In the twin it rises too, to 3.5 (network 4.1, a guess 3.97), since ten of twelve
dimensions are gone. Only the restricted loss parts the two, and it, too, rises at first (3.98 to 4.93 at step 375,
where the plain loss turns). And the plain loss on the others falls from step 375 on, 500 steps before the share right
moves, so part of the jump is the measure's. Nor does the jump only lay bare what was there, as the answer once said:
at steps 500, 625, ... 1,250 the five alone are right on 8, 11, 18, 27, 44, 88, 100 % of the others (network 1, 2, 4,
9, 23, 75, 100), with W_out cut to the same five waves on 18, 33, 47, 56, 74, 99, 100 %. More is hidden than the
notebook shows, and it still grows. From step 500 to 1,250 the five's power in W_E goes from 141 to 203 and that of
all else from 170 to 13.

Why the embedding is cut and not the logits, as in Nanda et al. (2023). Their projection onto waves of a + b averages,
for each c, over all pairs with the same sum, and so is told the answer: a pure table of the shown pairs with logits
of 10 is right on 99 % and more of *all* pairs after the projection, restricted loss 3.1, and with logits of 30 the
loss is 1.6. Averages over unseen pairs alone do not have this leak; with them, at step 416 of seed 0, five waves give
87 % where the network has 12 %, all 26 give 18 %, and five other waves 1 %. The cut of the embedding needs no answers
at all, and is an intervention.

Which frequencies win. By symmetry none is better (multiply the hours). Over the four bundled runs the strongest at
the start is among the last ones, mean rank of the last ones 6.6 of 26 where chance is 13.5; but the runs share two
starts, and from one start addition, GELU and subtraction end with different sets. In the GELU run frequency 3 rises
to 0.13 and falls to 0; in seed 3, 3 and 11 are among the five at step 500 and have given way to 21 and 15 by 875.

Fixtures. shares: constants larger than the waves, columns of unequal size, so that the total, the mean and per-column
norms all show. split: the basis is random, so that a solution made for waves fails. two_losses: untrained networks
that are sure and wrong, a third rule besides plus and minus. my_clock: four frequencies that vote, one that units
read and whose writing cancels, one that nothing reads and that is larger than all that are used; no single one of the
four is needed to be right, so the share right finds none and the loss finds all (at least 1.8 times, drawn again
else; others change it by at most 2 %).
"""


# ---- shares: wrong --------------------------------------------------------------------------------------------------


def lists_both_ends(W):
    power = torch.fft.fft(W, dim=0).abs().square().sum(1)[1:]
    return power / power.sum()


def lists_the_constant(W):
    power = torch.fft.rfft(W, dim=0).abs().square().sum(1)
    return power / power.sum()


def lists_everything(W):
    power = torch.fft.fft(W, dim=0).abs().square().sum(1)
    return power / power.sum()


def centres_and_lists_the_constant(W):
    power = torch.fft.rfft(W - W.mean(0), dim=0).abs().square().sum(1)
    return power / power.sum()


def drops_the_last(W):
    power = torch.fft.rfft(W, dim=0).abs().square().sum(1)[:-1]
    return power / power.sum()


def divides_by_all(W):
    power = torch.fft.rfft(W, dim=0).abs().square().sum(1)
    return power[1:] / power.sum()


def divides_by_the_sum_of_squares(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1) * 2 / len(W)
    return power / W.square().sum()


def divides_by_both_ends(W):
    power = torch.fft.fft(W, dim=0).abs().square().sum(1)[1:]
    return power[: len(power) // 2] / power.sum()


def takes_cosines(W):
    power = torch.fft.rfft(W, dim=0)[1:].real.square().sum(1)
    return power / power.sum()


def takes_sines(W):
    power = torch.fft.rfft(W, dim=0)[1:].imag.square().sum(1)
    return power / power.sum()


def forgets_to_square(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().sum(1)
    return power / power.sum()


def takes_norms(W):
    size = torch.fft.rfft(W, dim=0)[1:].abs().norm(dim=1)
    return size / size.sum()


def adds_absolute_values(W):
    half = torch.fft.rfft(W, dim=0)[1:]
    size = (half.real.abs() + half.imag.abs()).sum(1)
    return size / size.sum()


def averages_over_columns(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square()
    return (power / power.sum(0)).mean(1)


def normalises_columns(W):
    power = torch.fft.rfft(W / W.norm(dim=0), dim=0)[1:].abs().square().sum(1)
    return power / power.sum()


def standardises_columns(W):
    power = torch.fft.rfft((W - W.mean(0)) / W.std(0), dim=0)[1:].abs().square().sum(1)
    return power / power.sum()


def adds_columns_first(W):
    power = torch.fft.rfft(W.sum(1))[1:].abs().square()
    return power / power.sum()


def squares_the_sum(W):
    p = len(W)
    angle = 2 * torch.pi * torch.outer(torch.arange(1, (p + 1) // 2), torch.arange(p)) / p
    power = ((angle.cos() + angle.sin()) @ W).square().sum(1)
    return power / power.sum()


def forgets_the_two(W):
    p = len(W)
    angle = torch.pi * torch.outer(torch.arange(1, (p + 1) // 2), torch.arange(p)) / p
    power = (angle.cos() @ W).square().sum(1) + (angle.sin() @ W).square().sum(1)
    return power / power.sum()


def returns_powers(W):
    return torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1)


def returns_true_powers(W):
    return torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1) * 2 / len(W)


def divides_by_the_maximum(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1)
    return power / power.max()


def keeps_columns(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square()
    return power / power.sum(0)


def keeps_columns_and_divides_by_all(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square()
    return power / power.sum()


def sorts_them(W):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1)
    return (power / power.sum()).sort(descending=True).values


def takes_components(W):
    sizes = torch.linalg.svdvals(W - W.mean(0)).square()
    found = torch.zeros((len(W) - 1) // 2)
    n = min(len(sizes), len(found))
    found[:n] = (sizes / sizes.sum())[:n]
    return found


def goes_along_columns(W):
    power = torch.fft.rfft(W)[:, 1:].abs().square().sum(0)
    return power / power.sum()


# ---- split: wrong ---------------------------------------------------------------------------------------------------


def exchanges_them(W, basis):
    part = basis.T @ basis @ W
    return W - part, W.mean(0) + part


def centres_throughout(W, basis):
    part, mean = basis.T @ basis @ W, W.mean(0)
    return part, W - mean - part


def keeps_the_part(W, basis):
    part = basis.T @ basis @ W
    return part, W - part


def removes_what_it_keeps(W, basis):
    kept = W.mean(0) + basis.T @ basis @ W
    return kept, W - kept


def adds_to_everything(W, basis):
    part = basis.T @ basis @ W
    return W + part, W - part


def turns_the_sign(W, basis):
    part = basis.T @ basis @ W
    return W.mean(0) + part, W + part


def stops_at_coordinates(W, basis):
    return W.mean(0) + basis @ W, W - basis.T @ (basis @ W)


def takes_the_first_direction(W, basis):
    part = torch.outer(basis[0], basis[0] @ W)
    return W.mean(0) + part, W - part


def adds_directions_up(W, basis):
    one = basis.sum(0)
    part = torch.outer(one, one @ W)
    return W.mean(0) + part, W - part


def divides_by_directions(W, basis):
    part = basis.T @ basis @ W / len(basis)
    return W.mean(0) + part, W - part


def divides_by_hours(W, basis):
    part = basis.T @ basis @ W / len(W)
    return W.mean(0) + part, W - part


def averages_rows(W, basis):
    part = basis.T @ basis @ W
    return W.mean(1, keepdim=True) + part, W - part


def averages_everything(W, basis):
    part = basis.T @ basis @ W
    return W.mean() + part, W - part


def adds_the_mean_twice(W, basis):
    part = basis.T @ basis @ W
    return W.mean(0) + part, W.mean(0) + W - part


# ---- two_losses: wrong ----------------------------------------------------------------------------------------------


def embed(W_E, W_in, b_in, W_out):
    return torch.relu((W_E @ W_in[0])[:, None] + W_E @ W_in[1] + b_in) @ W_out


def cut(W_E, basis):
    part = basis.T @ basis @ W_E
    return W_E.mean(0) + part, W_E - part


def gives_excluded_first(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(two[shown], answer[shown]), F.cross_entropy(one[~shown], answer[~shown])


def exchanges_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(one[shown], answer[shown]), F.cross_entropy(two[~shown], answer[~shown])


def exchanges_embeddings(W_E, W_in, b_in, W_out, basis, answer, shown):
    two, one = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def looks_at_shown_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(one[shown], answer[shown]), F.cross_entropy(two[shown], answer[shown])


def looks_at_other_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[~shown], answer[~shown])


def looks_at_all_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out).flatten(0, 1) for E in cut(W_E, basis))
    return F.cross_entropy(one, answer.flatten()), F.cross_entropy(two, answer.flatten())


def restricts_on_all_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return F.cross_entropy(one.flatten(0, 1), answer.flatten()), F.cross_entropy(two[shown], answer[shown])


def cuts_nothing(W_E, W_in, b_in, W_out, basis, answer, shown):
    logits = embed(W_E, W_in, b_in, W_out)
    return F.cross_entropy(logits[~shown], answer[~shown]), F.cross_entropy(logits[shown], answer[shown])


def cuts_the_mean_out(W_E, W_in, b_in, W_out, basis, answer, shown):
    part = basis.T @ basis @ W_E
    one, two = embed(part, W_in, b_in, W_out), embed(W_E - W_E.mean(0) - part, W_in, b_in, W_out)
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def restricts_without_the_mean(W_E, W_in, b_in, W_out, basis, answer, shown):
    part = basis.T @ basis @ W_E
    one, two = embed(part, W_in, b_in, W_out), embed(W_E - part, W_in, b_in, W_out)
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def restricts_nothing(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = embed(W_E, W_in, b_in, W_out), embed(cut(W_E, basis)[1], W_in, b_in, W_out)
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def excludes_nothing(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = embed(cut(W_E, basis)[0], W_in, b_in, W_out), embed(W_E, W_in, b_in, W_out)
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def counts_right_answers(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out).argmax(-1) == answer for E in cut(W_E, basis))
    return one[~shown].float().mean(), two[shown].float().mean()


def turns_both_signs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    return -F.cross_entropy(one[~shown], answer[~shown]), -F.cross_entropy(two[shown], answer[shown])


def counts_bits(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    of_one, of_two = F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])
    return of_one / math.log(2), of_two / math.log(2)


def adds_up_pairs(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (embed(E, W_in, b_in, W_out) for E in cut(W_E, basis))
    of_one = F.cross_entropy(one[~shown], answer[~shown], reduction="sum")
    return of_one, F.cross_entropy(two[shown], answer[shown], reduction="sum")


def stays_linear(W_E, W_in, b_in, W_out, basis, answer, shown):
    one, two = (((E @ W_in[0])[:, None] + E @ W_in[1] + b_in) @ W_out for E in cut(W_E, basis))
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


def cuts_the_output(W_E, W_in, b_in, W_out, basis, answer, shown):
    logits = embed(W_E, W_in, b_in, W_out)
    part = logits @ basis.T @ basis
    one, two = logits.mean(-1, keepdim=True) + part, logits - part
    return F.cross_entropy(one[~shown], answer[~shown]), F.cross_entropy(two[shown], answer[shown])


# ---- my_clock: wrong ------------------------------------------------------------------------------------------------


def frequencies_of(W_E, W_in, b_in, W_out):
    """Right: the loss without each."""
    p = len(W_E)
    hours = torch.arange(p)
    sums = (hours[:, None] + hours).flatten() % p

    def loss(E):
        hidden = torch.relu((E @ W_in[0])[:, None] + E @ W_in[1] + b_in)
        return float(torch.nn.functional.cross_entropy((hidden @ W_out).flatten(0, 1), sums))

    used = []
    for k in range(1, (p + 1) // 2):
        wave = torch.polar(torch.ones(p), 2 * torch.pi * k * hours / p)
        E = W_E - 2 / p * (torch.outer(wave.real, wave.real @ W_E) + torch.outer(wave.imag, wave.imag @ W_E))
        used += [k] if loss(E) > 1.3 * loss(W_E) else []
    return used


def top_of(W, n):
    power = torch.fft.rfft(W, dim=0)[1:].abs().square().sum(1)
    return (power.argsort(descending=True)[:n] + 1).tolist()


def lists_all_that_is_large(W_E, W_in, b_in, W_out):
    return top_of(W_E, 6)


def lists_the_largest_four(W_E, W_in, b_in, W_out):
    return top_of(W_E, 4)


def lists_the_largest(W_E, W_in, b_in, W_out):
    return top_of(W_E, 1)


def lists_what_is_read(W_E, W_in, b_in, W_out):
    return sorted(top_of(W_E @ W_in[0], 5))


def mirrors_them(W_E, W_in, b_in, W_out):
    return [37 - k for k in frequencies_of(W_E, W_in, b_in, W_out)]


def lists_mirrors_too(W_E, W_in, b_in, W_out):
    right = frequencies_of(W_E, W_in, b_in, W_out)
    return right + [37 - k for k in right]


def lists_zero(W_E, W_in, b_in, W_out):
    return [0, *frequencies_of(W_E, W_in, b_in, W_out)]


def forgets_to_add_one(W_E, W_in, b_in, W_out):
    return [k - 1 for k in frequencies_of(W_E, W_in, b_in, W_out)]


def finds_none_needed(W_E, W_in, b_in, W_out):
    return []


def leaves_one_out(W_E, W_in, b_in, W_out):
    return frequencies_of(W_E, W_in, b_in, W_out)[:-1]


def adds_a_silent_one(W_E, W_in, b_in, W_out):
    right = frequencies_of(W_E, W_in, b_in, W_out)
    return [*right, next(k for k in range(1, 19) if k not in top_of(W_E, 6))]


MUTANTS = (
    Mutant("shares", "both_ends", lists_both_ends),
    Mutant("shares", "constant_listed", lists_the_constant),
    Mutant("shares", "constant_listed", lists_everything),
    Mutant("shares", "constant_listed", centres_and_lists_the_constant),
    Mutant("shares", "one_off", drops_the_last),
    Mutant("shares", "constant_in_the_total", divides_by_all),
    Mutant("shares", "constant_in_the_total", divides_by_the_sum_of_squares),
    Mutant("shares", "half_of_the_total", divides_by_both_ends),
    Mutant("shares", "cosines_only", takes_cosines),
    Mutant("shares", "sines_only", takes_sines),
    Mutant("shares", "amplitudes", forgets_to_square),
    Mutant("shares", "amplitudes", takes_norms),
    Mutant("shares", "amplitudes", adds_absolute_values),
    Mutant("shares", "columns_alike", averages_over_columns),
    Mutant("shares", "columns_alike", normalises_columns),
    Mutant("shares", "columns_alike", standardises_columns),
    Mutant("shares", "columns_added_first", adds_columns_first),
    Mutant("shares", "cosine_plus_sine", squares_the_sum),
    Mutant("shares", "half_a_turn", forgets_the_two),
    Mutant("shares", "not_divided", returns_powers),
    Mutant("shares", "not_divided", returns_true_powers),
    Mutant("shares", "divided_by_the_largest", divides_by_the_maximum),
    Mutant("shares", "kept_apart", keeps_columns),
    Mutant("shares", "kept_apart", keeps_columns_and_divides_by_all),
    Mutant("shares", "sorted_away", sorts_them),
    Mutant("shares", "components", takes_components),
    Mutant("shares", "across_columns", goes_along_columns),
    Mutant("split", "exchanged", exchanges_them),
    Mutant("split", "no_mean_at_all", centres_throughout),
    Mutant("split", "mean_not_kept", keeps_the_part),
    Mutant("split", "mean_removed", removes_what_it_keeps),
    Mutant("split", "all_kept", adds_to_everything),
    Mutant("split", "added", turns_the_sign),
    Mutant("split", "coordinates", stops_at_coordinates),
    Mutant("split", "one_direction", takes_the_first_direction),
    Mutant("split", "directions_added", adds_directions_up),
    Mutant("split", "divided_again", divides_by_directions),
    Mutant("split", "divided_again", divides_by_hours),
    Mutant("split", "rows_means", averages_rows),
    Mutant("split", "one_mean", averages_everything),
    Mutant("split", "mean_in_both_ways", adds_the_mean_twice),
    Mutant("two_losses", "exchanged", gives_excluded_first),
    Mutant("two_losses", "pairs_exchanged", exchanges_pairs),
    Mutant("two_losses", "embeddings_exchanged", exchanges_embeddings),
    Mutant("two_losses", "shown_only", looks_at_shown_pairs),
    Mutant("two_losses", "others_only", looks_at_other_pairs),
    Mutant("two_losses", "all_pairs", looks_at_all_pairs),
    Mutant("two_losses", "all_pairs", restricts_on_all_pairs),
    Mutant("two_losses", "nothing_cut", cuts_nothing),
    Mutant("two_losses", "mean_cut_too", cuts_the_mean_out),
    Mutant("two_losses", "mean_cut_too", restricts_without_the_mean),
    Mutant("two_losses", "restricted_is_all", restricts_nothing),
    Mutant("two_losses", "excluded_is_all", excludes_nothing),
    Mutant("two_losses", "share_right", counts_right_answers),
    Mutant("two_losses", "sign_turned", turns_both_signs),
    Mutant("two_losses", "bits", counts_bits),
    Mutant("two_losses", "summed", adds_up_pairs),
    Mutant("two_losses", "without_relu", stays_linear),
    Mutant("two_losses", "cut_after", cuts_the_output),
    Mutant("my_clock", "by_share", lists_all_that_is_large),
    Mutant("my_clock", "only_the_largest", lists_the_largest_four),
    Mutant("my_clock", "only_the_largest", lists_the_largest),
    Mutant("my_clock", "read_not_used", lists_what_is_read),
    Mutant("my_clock", "above_a_half", mirrors_them),
    Mutant("my_clock", "twice", lists_mirrors_too),
    Mutant("my_clock", "constant", lists_zero),
    Mutant("my_clock", "counted_from_zero", forgets_to_add_one),
    Mutant("my_clock", "none", finds_none_needed),
    Mutant("my_clock", "some_missing", leaves_one_out),
    Mutant("my_clock", "too_many", adds_a_silent_one),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def shares_by_fft(W):
    power = torch.fft.rfft(W - W.mean(0), dim=0)[1:].abs().square().sum(1)
    return power / power.sum()


def shares_in_numpy(W):
    power = (np.abs(np.fft.rfft(W.numpy(), axis=0)[1:]) ** 2).sum(axis=1)
    return power / power.sum()


def shares_in_loops(W):
    p, powers = len(W), []
    for k in range(1, (p - 1) // 2 + 1):
        turns = 2 * torch.pi * k * torch.arange(p) / p
        powers.append(sum(float(column @ turns.cos()) ** 2 + float(column @ turns.sin()) ** 2 for column in W.T))
    return torch.tensor(powers) / sum(powers)


def shares_with_einops(W):
    hours = torch.arange(len(W), dtype=torch.float64)
    turns = torch.exp(2j * torch.pi * torch.outer(hours[1 : (len(W) + 1) // 2], hours) / len(W))
    along = torch.einsum("kh,hc->kc", turns, W.to(turns.dtype))
    power = einops.reduce(along.abs() ** 2, "k c -> k", "sum")
    return power / power.sum()


def split_in_order(W, basis):
    inside = basis.T @ (basis @ W)
    return inside + W.mean(0, keepdim=True), W - inside


def split_in_numpy(W, basis):
    W, basis = W.numpy().astype(float), basis.numpy().astype(float)
    inside = basis.T @ basis @ W
    return inside + W.mean(axis=0), W - inside


def split_in_loops(W, basis):
    removed = W.clone()
    for direction in basis:
        removed -= torch.outer(direction, direction @ W)
    return W - removed + W.mean(0), removed


def split_by_least_squares(W, basis):
    found = torch.linalg.lstsq(basis.T.double(), W.double()).solution
    inside = basis.T.double() @ found
    return inside + W.double().mean(0), W.double() - inside


def split_with_einsum(W, basis):
    projector = torch.einsum("dh,dg->hg", basis, basis)
    inside = einops.einsum(projector, W, "h g, g c -> h c")
    return einops.reduce(W, "h c -> 1 c", "mean") + inside, W - inside


def losses_written_out(W_E, W_in, b_in, W_out, basis, answer, shown):
    part = basis.T @ basis @ W_E
    losses = []
    for E, pairs in ((W_E.mean(0) + part, ~shown), (W_E - part, shown)):
        a, b = pairs.nonzero(as_tuple=True)
        logits = torch.relu(E[a] @ W_in[0] + E[b] @ W_in[1] + b_in) @ W_out
        right = logits[torch.arange(len(a)), answer[a, b]]
        losses.append((logits.logsumexp(-1) - right).mean())
    return losses[0], losses[1]


def losses_in_numpy(W_E, W_in, b_in, W_out, basis, answer, shown):
    W_E, W_in, b_in, W_out, basis = (x.numpy().astype(float) for x in (W_E, W_in, b_in, W_out, basis))
    answer, shown, part = answer.numpy(), shown.numpy(), basis.T @ basis @ W_E
    found = []
    for E, pairs in ((W_E.mean(0) + part, ~shown), (W_E - part, shown)):
        logits = np.maximum((E @ W_in[0])[:, None] + E @ W_in[1] + b_in, 0) @ W_out
        logits = logits - logits.max(-1, keepdims=True)
        log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        found.append(-np.take_along_axis(log_probs, answer[..., None], -1)[..., 0][pairs].mean())
    return tuple(found)


def losses_in_loops(W_E, W_in, b_in, W_out, basis, answer, shown):
    part, sums, counts = basis.T @ basis @ W_E, [0.0, 0.0], [0, 0]
    embeddings = (W_E.mean(0) + part, W_E - part)
    for a in range(len(W_E)):
        for b in range(len(W_E)):
            which = int(shown[a, b])
            E = embeddings[which]
            hidden = (E[a] @ W_in[0] + E[b] @ W_in[1] + b_in).clamp(min=0)
            sums[which] -= float((hidden @ W_out).log_softmax(-1)[answer[a, b]])
            counts[which] += 1
    return sums[0] / counts[0], sums[1] / counts[1]


def losses_in_float64(W_E, W_in, b_in, W_out, basis, answer, shown):
    W_E, W_in, b_in, W_out, basis = (x.double() for x in (W_E, W_in, b_in, W_out, basis))
    projector = basis.T @ basis
    both = torch.stack([W_E.mean(0) + projector @ W_E, W_E - projector @ W_E])
    read = torch.einsum("nhd,idm->inhm", both, W_in)
    logits = (read[0][:, :, None] + read[1][:, None] + b_in).relu() @ W_out
    nll = torch.nn.functional.nll_loss(
        logits.log_softmax(-1).flatten(0, 2), answer.repeat(2, 1, 1).flatten(), reduction="none"
    ).view(2, *answer.shape)
    return nll[0][~shown].mean(), nll[1][shown].mean()


ALTERNATIVES = (
    Alternative("shares", "fft", shares_by_fft),
    Alternative("shares", "numpy", shares_in_numpy),
    Alternative("shares", "loops", shares_in_loops),
    Alternative("shares", "complex exponentials, float64", shares_with_einops),
    Alternative("split", "one product", split_in_order),
    Alternative("split", "numpy", split_in_numpy),
    Alternative("split", "direction by direction", split_in_loops),
    Alternative("split", "least squares", split_by_least_squares),
    Alternative("split", "einsum and einops", split_with_einsum),
    Alternative("two_losses", "only the pairs that count", losses_written_out),
    Alternative("two_losses", "numpy", losses_in_numpy),
    Alternative("two_losses", "pair by pair", losses_in_loops),
    Alternative("two_losses", "float64, both at once", losses_in_float64),
    Alternative("my_clock", "the loss without each", frequencies_of),
)
