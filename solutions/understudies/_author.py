"""Nobody missed it, for authors only: wrong answers, other right answers, and why it is built so."""

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: an ablation only takes away, and there a part that waits and a part that always pushes back look alike;
a dose above one tells them apart. *Freeze the norm* has the scale, *Any one can go* the votes; both are entries here,
so that the third, a real response, can be seen.

The last cell asks for GPT-2 and GPT-Neo, which differ in dropout (row 2.25), and runs on their stand-ins without the Hub.
It takes each layer's loudest head, the one whose words vary most: one run a layer. Tried on twelve layers of random
weights, for names such as L10H3; not on the real two.

Measured. `return self.asarray(x`, ) against ., mini-python: answer 2.71, L1H1 at its mean -3.38, later parts +3.44
(L2H0 1.56, L2H2 1.11, MLP2 0.44, MLP1 0.39), norm -0.01; doubled +3.38, -3.20, answer +0.11; dose 3: 6.77, -6.31; dose
-1: -6.77, 6.93. Linear in the dose: brakes.

By place. Those are ablations at every place, and the heads do not hear what L1H1 says at `x`: L2H0 and L2H2 look at `(`
(0.90, 0.92). Off at `x` alone: -3.38, MLP1 0.39, L2H0 -0.87, L2H2 -0.11, MLP2 2.22, all -1.86. Before `x` alone (all of
it is `(`: 0.49 of 0.51): L2H0 1.84, L2H2 1.15, MLP2 -2.20, norm -0.37. Doubled at `x`: MLP2 -2.07, MLP1 -0.33, L2H0
-0.20; doubled before: L2H0 -1.69, L2H2 -1.04, MLP2 1.96. So MLP2 pushes against the sum that reaches it. Eleven prompts
alike (ten end in `(` and a name): of 2.5 to 3.7 words at the last token, later parts pay back -0.1 to 2.3 when L1H1 is
off there alone (the two heads -0.8 to -2.1), 2.5 to 4.1 when it is off everywhere. On the 408 places below, one run a
place: of L1H1's share 0.67, 0.30 is paid at the place itself (over texts 0.21 to 0.42; L2H0 and L2H2 -0.09, MLP2 0.35),
and off before it alone L2H0 and L2H2 pay 0.42, MLP2 -0.19. Doubled there alone 0.40. L1H3: 0.28 of 0.56. These runs
take 3 seconds, so the notebook says "about half" and does not run them.

On 408 places of einops, share paid back by regression: L1H1 0.67 (doubled
0.64), L1H3 0.56 (0.77), L1H0 0.26, L1H2 0.09; another text's output 0.44 and 0.29; noise 0.15 and 0.20; layer 2 as much
as noise. By text L1H1 0.37 to 1.19, L1H3 0.26 to 0.92 (bootstrap over the texts 0.47 to 0.97, 0.41 to 0.72). With 24 texts: 0.65 and 0.58, another text's 0.50 and 0.43. By values, not patterns (L2H0 1.62 of 1.56). The
norm's slope for heads is -0.02. L1H3 before ` =` is a second case: -2.29, +2.24 (`for axis in axes[::-1]:` and `x`).
Last MLP: only the norm answers, root mean square 0.66 against 1.24, 0.13 paid back (the
means, 0.28 and -0.28, look like full repayment and are a coincidence: not shown). Untrained: -0.20 to 0.17, one seed.

What was expected and is not there. No understudy in any bundled model: none waits. mini-gpt2, mini-neo: layer 1 within
-0.23 and 0.11 (their loudest heads -0.07, -0.03); mini-noln -0.29 and -0.78 (MLP1 adds to the loss). toy-ioi: receiver
ahead of the likeliest other 14.03, without one early head 8.45 to 9.96, without all four -5.45 (8 % right): the falls
are 18.5 in sum, 19.5 together. Against the giver the early heads cannot be seen: all four off leave 13.69 of 16.33, for
layer 1 finds the giver by its fixed place; an earlier ledger against the giver was blind to them. mini-induction's
layer 1 answers by looking elsewhere, and adds to the loss. mini-deep: layer 2's loudest head 0.40 (another
text's 0.36, noise 0.36), L3H0 0.22 (noise 0.23), L4H1 0.20 (0.15): a push against whatever is written. Falling with
depth, since fewer come after. So the understudy is hand-set, in the picture and in the cast. No recipe uses dropout, so the brakes
are not its doing; name movers are another matter (row 2.24 is not claimed).

Also tried: the mean over places with the largest loss (top 2 %: 60 % paid back), left out, for it selects. Zero-mean
noise in the whole stream: 0.16 to 0.20. Ablating both L1H1 and a payer would not tell, brakes and spares are superadditive alike: argued, not run. Why training
made brakes is not known.

Fixtures. responses: the stream gets shorter, so that each choice of scale shows; eps small and large. looked_and_said:
the interaction is as large as either way. repaid: nets do not vanish, ratios are wild, an offset. my_cast: everybody
writes otherwise in each run, voters speak loudest, and the lead is long, so that reading each run at its own scale makes
brakes of voters; the lead's words are positive, so that signs tell.
"""


# ---- responses: wrong -----------------------------------------------------------------------------------------------


def spread(x, eps):
    return torch.sqrt(((x - x.mean(-1, keepdim=True)) ** 2).mean(-1) + eps)


def heard(x, direction):
    return (x * direction).sum(-1)


def book(before, after, direction, eps):
    old, new = spread(before.sum(0), eps), spread(after.sum(0), eps)
    said = heard(after - before, direction) / old
    whole = heard(after.sum(0), direction) / new - heard(before.sum(0), direction) / old
    return said, whole - said.sum(0)


def together(said, norm):
    return torch.cat([said, norm[None]])


def book_whole(*given):
    return together(*book(*given))


def forgets_the_norm(*given):
    return book(*given)[0]


def averages_the_batch(*given):
    return book_whole(*given).mean(1)


def sums_the_batch(*given):
    return book_whole(*given).sum(1)


def keeps_coordinates(before, after, direction, eps):
    return (after - before) * direction / spread(before.sum(0), eps)[:, None]


def subtracts_after_from_before(*given):
    return -book_whole(*given)


def puts_the_norm_first(*given):
    said, norm = book(*given)
    return torch.cat([norm[None], said])


def reads_at_the_new_scale(before, after, direction, eps):
    said = heard(after - before, direction) / spread(after.sum(0), eps)
    return together(said, book_whole(before, after, direction, eps).sum(0) - said.sum(0))


def reads_each_run_at_its_scale(before, after, direction, eps):
    said = heard(after, direction) / spread(after.sum(0), eps) - heard(before, direction) / spread(before.sum(0), eps)
    return together(said, book_whole(before, after, direction, eps).sum(0) - said.sum(0))


def gives_each_part_its_scale(before, after, direction, eps):
    said = heard(after, direction) / spread(after, eps) - heard(before, direction) / spread(before, eps)
    return together(said, book_whole(before, after, direction, eps).sum(0) - said.sum(0))


def rescales_the_old_stream(before, after, direction, eps):
    old, new = spread(before.sum(0), eps), spread(after.sum(0), eps)
    return together(book(before, after, direction, eps)[0], heard(before.sum(0), direction) * (1 / new - 1 / old))


def enters_the_whole_change(*given):
    said, norm = book(*given)
    return together(said, norm + said.sum(0))


def reads_afterwards_only(before, after, direction, eps):
    return together(heard(after, direction) / spread(before.sum(0), eps), book(before, after, direction, eps)[1])


def leaves_eps_at_its_default(before, after, direction, eps):
    return book_whole(before, after, direction, 1e-5)


def never_divides(before, after, direction, eps):
    return together(heard(after - before, direction), book(before, after, direction, eps)[1])


def never_divides_but_sums(before, after, direction, eps):
    said = heard(after - before, direction)
    return together(said, book_whole(before, after, direction, eps).sum(0) - said.sum(0))


# ---- looked_and_said: wrong -----------------------------------------------------------------------------------------


def two_ways(pattern, values, new_pattern, new_values, reads, looked_at=0.5, said_at=0.5):
    looked = (new_pattern - pattern) @ (values + looked_at * (new_values - values))
    said = (pattern + said_at * (new_pattern - pattern)) @ (new_values - values)
    return torch.stack([(looked * reads).sum(-1), (said * reads).sum(-1)])


def says_before_it_looks(*given):
    return two_ways(*given).flip(0)


def takes_old_minus_new(*given):
    return -two_ways(*given)


def forgets_the_half(*given):
    return 2 * two_ways(*given)


def keeps_the_other_old(*given):
    return two_ways(*given, 0.0, 0.0)


def keeps_the_other_new(*given):
    return two_ways(*given, 1.0, 1.0)


def looks_first(*given):
    return two_ways(*given, 0.0, 1.0)


def speaks_first(*given):
    return two_ways(*given, 1.0, 0.0)


def forgets_the_old(pattern, values, new_pattern, new_values, reads):
    looked, said = new_pattern @ (values + new_values) / 2, (pattern + new_pattern) / 2 @ new_values
    return torch.stack([(looked * reads).sum(-1), (said * reads).sum(-1)])


def never_dots(pattern, values, new_pattern, new_values, reads):
    looked = (new_pattern - pattern) @ (values + new_values) / 2
    return torch.stack([looked, (pattern + new_pattern) @ (new_values - values) / 2]) * reads


def stacks_last(*given):
    return two_ways(*given).movedim(0, -1)


def adds_the_ways(*given):
    return two_ways(*given).sum(0)


# ---- repaid: wrong --------------------------------------------------------------------------------------------------


def forgets_the_minus(words, later):
    return words @ later / (words @ words)


def divides_sums(words, later):
    return -later.sum() / words.sum()


def divides_means_of_nets(words, later):
    return later.mean() / words.mean()


def averages_ratios(words, later):
    return (-later / words).mean()


def takes_the_median_ratio(words, later):
    return (-later / words).median()


def divides_sizes(words, later):
    return later.abs().mean() / words.abs().mean()


def divides_lengths(words, later):
    return later.norm() / words.norm()


def correlates(words, later):
    return -torch.corrcoef(torch.stack([words, later]))[0, 1]


def takes_a_cosine(words, later):
    return -(words @ later) / (words.norm() * later.norm())


def fits_an_intercept(words, later):
    X = torch.stack([words, torch.ones_like(words)], 1)
    return -torch.linalg.lstsq(X, later[:, None]).solution[0, 0]


def divides_by_later(words, later):
    return -(words @ later) / (later @ later)


def counts_losses(words, later):
    lost = words < 0
    return -(words[lost] @ later[lost]) / (words[lost] @ words[lost])


def picks_the_largest(words, later):
    i = words.abs().argmax()
    return -later[i] / words[i]


def stops_at_the_product(words, later):
    return -(words @ later)


def gives_one_for_each(words, later):
    return -later / words


# ---- my_cast: wrong -------------------------------------------------------------------------------------------------


def two_runs(off, intact, doubled, direction, ledger=book_whole):
    return [ledger(intact, after, direction, 0.0)[1:-1].mean(1).tolist() for after in (off, doubled)]


def cast(without, twice, least=0.02):
    if max(abs(without), abs(twice)) < least:
        return "voter"
    if abs(twice) < least:
        return "understudy"
    if twice > 0:
        return "alarm" if without > 0 else "echo"
    return "brake"


def casts_rightly(*given):
    return [cast(*pair) for pair in zip(*two_runs(*given), strict=True)]


def relabelled(**new):
    return lambda *given: [new.get(label, label) for label in casts_rightly(*given)]


def never_doubles(*given):
    return relabelled(brake="understudy", alarm="understudy")(*given)


def calls_all_brakes(*given):
    return relabelled(understudy="brake", alarm="brake")(*given)


def calls_all_alarms(*given):
    return relabelled(understudy="alarm", brake="alarm")(*given)


def reads_at_each_scale(*given):
    pairs = two_runs(*given, ledger=reads_each_run_at_its_scale)
    right = casts_rightly(*given)
    return [
        cast(*pair) if label == "voter" else label for pair, label in zip(zip(*pairs, strict=True), right, strict=True)
    ]


def trusts_movement(off, intact, doubled, direction):
    moved = (off - intact).norm(dim=-1).mean(1)[1:] > 0.1
    right = casts_rightly(off, intact, doubled, direction)
    return ["understudy" if m and label == "voter" else label for m, label in zip(moved, right, strict=True)]


def takes_brakes_for_echoes(*given):
    return relabelled(brake="echo", echo="brake")(*given)


def never_removes(off, intact, doubled, direction):
    twice = two_runs(off, intact, doubled, direction)[1]
    return ["voter" if abs(x) < 0.02 else "echo" if x > 0 else "brake" for x in twice]


def shifts_by_one(*given):
    return casts_rightly(*given)[1:] + casts_rightly(*given)[:1]


def labels_the_lead_too(*given):
    return ["lead", *casts_rightly(*given)]


def says_backup(*given):
    return relabelled(understudy="backup")(*given)


MUTANTS = (
    Mutant("responses", "norm_missing", forgets_the_norm),
    Mutant("responses", "not_by_place", averages_the_batch),
    Mutant("responses", "not_by_place", sums_the_batch),
    Mutant("responses", "by_coordinate", keeps_coordinates),
    Mutant("responses", "sign", subtracts_after_from_before),
    Mutant("responses", "norm_first", puts_the_norm_first),
    Mutant("responses", "at_new_scale", reads_at_the_new_scale),
    Mutant("responses", "each_at_its_runs_scale", reads_each_run_at_its_scale),
    Mutant("responses", "each_at_its_own_scale", gives_each_part_its_scale),
    Mutant("responses", "norm_of_the_old_stream", rescales_the_old_stream),
    Mutant("responses", "whole_change", enters_the_whole_change),
    Mutant("responses", "after_alone", reads_afterwards_only),
    Mutant("responses", "default_eps", leaves_eps_at_its_default),
    Mutant("responses", "not_divided", never_divides),
    Mutant("responses", "not_divided", never_divides_but_sums),
    Mutant("looked_and_said", "rows_swapped", says_before_it_looks),
    Mutant("looked_and_said", "sign", takes_old_minus_new),
    Mutant("looked_and_said", "not_halved", forgets_the_half),
    Mutant("looked_and_said", "at_old", keeps_the_other_old),
    Mutant("looked_and_said", "at_new", keeps_the_other_new),
    Mutant("looked_and_said", "one_order", looks_first),
    Mutant("looked_and_said", "one_order", speaks_first),
    Mutant("looked_and_said", "new_alone", forgets_the_old),
    Mutant("looked_and_said", "not_dotted", never_dots),
    Mutant("looked_and_said", "ways_last", stacks_last),
    Mutant("looked_and_said", "one_sum", adds_the_ways),
    Mutant("repaid", "sign", forgets_the_minus),
    Mutant("repaid", "ratio_of_sums", divides_sums),
    Mutant("repaid", "ratio_of_sums", divides_means_of_nets),
    Mutant("repaid", "mean_of_ratios", averages_ratios),
    Mutant("repaid", "median_of_ratios", takes_the_median_ratio),
    Mutant("repaid", "sizes_only", divides_sizes),
    Mutant("repaid", "sizes_only", divides_lengths),
    Mutant("repaid", "correlation", correlates),
    Mutant("repaid", "correlation", takes_a_cosine),
    Mutant("repaid", "intercept", fits_an_intercept),
    Mutant("repaid", "turned_round", divides_by_later),
    Mutant("repaid", "losses_only", counts_losses),
    Mutant("repaid", "largest_only", picks_the_largest),
    Mutant("repaid", "not_divided", stops_at_the_product),
    Mutant("repaid", "not_a_number", gives_one_for_each),
    Mutant("my_cast", "by_removal_alone", never_doubles),
    Mutant("my_cast", "brakes_only", calls_all_brakes),
    Mutant("my_cast", "alarms_only", calls_all_alarms),
    Mutant("my_cast", "voters_seen_to_answer", reads_at_each_scale),
    Mutant("my_cast", "voters_seen_to_answer", trusts_movement),
    Mutant("my_cast", "brake_and_echo_swapped", takes_brakes_for_echoes),
    Mutant("my_cast", "doubled_alone", never_removes),
    Mutant("my_cast", "several", shifts_by_one),
    Mutant("my_cast", "number_of_labels", labels_the_lead_too),
    Mutant("my_cast", "other_words", says_backup),
)


# ---- right, in other ways -------------------------------------------------------------------------------------------


def books_in_loops(before, after, direction, eps):
    rows = torch.zeros(len(before) + 1, before.shape[1])
    for place in range(before.shape[1]):
        x, y, d = before[:, place].sum(0), after[:, place].sum(0), direction[place]
        old, new = torch.sqrt(x.var(correction=0) + eps), torch.sqrt(y.var(correction=0) + eps)
        for part in range(len(before)):
            rows[part, place] = (after[part, place] - before[part, place]) @ d / old
        rows[-1, place] = y @ d / new - x @ d / old - rows[:-1, place].sum()
    return rows


def books_with_einops(before, after, direction, eps):
    def norm(x):
        centred = x - einops.reduce(x, "b d -> b 1", "mean")
        return (einops.reduce(centred**2, "b d -> b", "mean") + eps).sqrt()

    old, new = norm(before.sum(0)), norm(after.sum(0))
    said = einops.einsum(after - before, direction, "p b d, b d -> p b") / old
    volume = einops.einsum(after, direction, "p b d, b d -> b") * (old - new) / (old * new)
    return torch.vstack([said, volume])


def books_in_float64(before, after, direction, eps):
    return book_whole(before.double(), after.double(), direction.double(), eps)


def books_in_numpy(before, after, direction, eps):
    x, y, d = before.numpy(), after.numpy(), direction.numpy()
    old, new = np.sqrt(x.sum(0).var(-1) + eps), np.sqrt(y.sum(0).var(-1) + eps)
    said = ((y - x) * d).sum(-1) / old
    return np.concatenate([said, [(y.sum(0) * d).sum(-1) * (1 / new - 1 / old)]])


def ways_by_both_orders(*given):
    return (two_ways(*given, 0.0, 1.0) + two_ways(*given, 1.0, 0.0)) / 2


def ways_by_einsum(pattern, values, new_pattern, new_values, reads):
    def run(A, V):
        return torch.einsum("bqk,bkh,bqh->bq", A, V, reads)

    middle_v, middle_a = (values + new_values) / 2, (pattern + new_pattern) / 2
    return torch.stack(
        [run(new_pattern, middle_v) - run(pattern, middle_v), run(middle_a, new_values) - run(middle_a, values)]
    )


def ways_in_loops(pattern, values, new_pattern, new_values, reads):
    out = torch.zeros(2, *pattern.shape[:2], dtype=torch.float64)
    for b in range(pattern.shape[0]):
        for q in range(pattern.shape[1]):
            for k in range(pattern.shape[2]):
                a, c = pattern[b, q, k], new_pattern[b, q, k]
                v, w = values[b, k] @ reads[b, q], new_values[b, k] @ reads[b, q]
                out[0, b, q] += (c - a) * (v + w) / 2
                out[1, b, q] += (c + a) / 2 * (w - v)
    return out


def ways_projected_first(pattern, values, new_pattern, new_values, reads):
    old, new = reads @ values.transpose(1, 2), reads @ new_values.transpose(1, 2)
    looked = ((new_pattern - pattern) * (old + new) / 2).sum(-1)
    return torch.stack([looked, ((pattern + new_pattern) * (new - old) / 2).sum(-1)])


def repaid_by_least_squares(words, later):
    return -torch.linalg.lstsq(words[:, None], later[:, None]).solution.item()


def repaid_in_a_loop(words, later):
    top = bottom = 0.0
    for a, b in zip(words.tolist(), later.tolist(), strict=True):
        top, bottom = top - a * b, bottom + a * a
    return top / bottom


def repaid_by_weighing_ratios(words, later):
    return -(later / words * words**2).sum() / (words**2).sum()


def repaid_in_numpy(words, later):
    return float(-np.dot(words.numpy(), later.numpy()) / np.dot(words.numpy(), words.numpy()))


def casts_by_slopes(off, intact, doubled, direction):
    """The slope of each part's words on the lead's, below and above intact."""
    slopes = []
    for after in (off, doubled):
        change = heard(after - intact, direction)
        slopes.append([float(change[0] @ row / (change[0] @ change[0])) for row in change[1:]])
    labels = []
    for below, above in zip(*slopes, strict=True):
        key = tuple(0 if abs(x) < 0.1 else 1 if x > 0 else -1 for x in (below, above))
        labels.append(
            {(0, 0): "voter", (-1, 0): "understudy", (-1, -1): "brake", (1, 1): "echo", (-1, 1): "alarm"}[key]
        )
    return labels


def casts_by_signs(off, intact, doubled, direction):
    """Both changes in one table, at the scale of the intact stream, and read as signs."""
    old = intact.sum(0).std(-1, correction=0)
    change = ((torch.stack([off, doubled]) - intact) * direction).sum(-1) / old  # [run, part, batch]
    signs = torch.where(change.mean(-1).abs() < 0.02, 0, change.mean(-1).sign()).long().T[1:].tolist()
    names = {(0, 0): "voter", (1, 0): "understudy", (1, -1): "brake", (-1, 1): "echo", (1, 1): "alarm"}
    return [names[without, twice] for without, twice in signs]


ALTERNATIVES = (
    Alternative("responses", "loops", books_in_loops),
    Alternative("responses", "einops", books_with_einops),
    Alternative("responses", "what is left, float64", books_in_float64),
    Alternative("responses", "numpy", books_in_numpy),
    Alternative("looked_and_said", "both orders", ways_by_both_orders),
    Alternative("looked_and_said", "einsum", ways_by_einsum),
    Alternative("looked_and_said", "loops, float64", ways_in_loops),
    Alternative("looked_and_said", "reads first", ways_projected_first),
    Alternative("repaid", "least squares", repaid_by_least_squares),
    Alternative("repaid", "a loop", repaid_in_a_loop),
    Alternative("repaid", "weighted ratios", repaid_by_weighing_ratios),
    Alternative("repaid", "numpy", repaid_in_numpy),
    Alternative("my_cast", "a table of signs", casts_by_signs),
    Alternative("my_cast", "rule by rule", casts_rightly),
    Alternative("my_cast", "slopes", casts_by_slopes),
)
