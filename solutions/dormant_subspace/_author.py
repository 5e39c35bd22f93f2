"""More than all of it, for authors only: wrong answers, other right answers, and why it is built so."""

import math

import einops
import numpy as np
import torch

from mechpuzzles.puzzle import Alternative, Mutant

DESIGN_NOTE = """
One principle: a patch along a direction reads along it and writes along it, so it can join what the model keeps apart.
The order is the surprise (a layer whose full patch does nothing, and one direction of it that flips the answer), the
tiny case, the formula that replaces the search, two controls that must not show it and do (shuffled wires; pairs that
differ in the argument, not the bracket), then the null space, and why neither it nor its absence decides.

The theorem. Where the output is linear in the site, a patch along a unit v moves it by (delta @ v)(v @ g). Its top
eigenvector is the bisector of delta and g, with (|delta||g| + delta @ g)/2, by Cauchy and Schwarz at least delta @ g,
the full patch. The effect grows with alignment; its excess over the full patch, (|delta||g| - delta @ g)/2, falls. Along delta and along g it is delta @ g exactly. So "more than the whole" needs no mechanism.

Measured on mini-python's last MLP, 32 pairs to search and 32 held out, no name or argument in both. Full patch -4 %,
held out -5 %, 0 of 32 flip. Search 58 %, held out 57 %, 25 of 32 flip; formula 57 %, cosine with the search .98.
Random direction 0. Search from three other starts: 58 %. Six shuffles of W_out: full -6 to 5 %, strongest 56 to 58 %,
26 to 30 flips; random rows of the same lengths: full -8 to 3 %, strongest 54 to 57 %, 20 to 22 flips. The other way
round, corrupted into clean: full -5 %, found 58 %. "Prefers" is ) against ]; the top token is mostly a comma.
The argument instead of the bracket, `[` in both prompts, four names to search and four held out: a to 0 full -0.01,
search 9.65 logits (formula 9.15), 0 to a -0.49 and 8.15, n to key 0.16 and 8.55, x to y -0.95 and 11.07, each time 4 of
4 flip; brackets -0.59 and 6.73. Arguments rolled by one make source a permutation of base: delta is 0 on average, so
the mean moves by 0.17 whatever the search does, single pairs by 1.38 in size, 2 of 32 flip. That was once shown as the
control that fails, and it cannot do otherwise. Unheard: found 39 %, delta 73 %, random 76 %. Heard
part alone 21 %; the best all-heard direction 29 %. Along g the layer writes -1.4 to 1.8 in 3,960 tokens of einops, the
found patch 2.6. Neurons that push towards ): 17 %, the others -22 %; shuffled 17 % and -22 %.
Where the bracket passes: attention 1 full 48 %, delta 48 %, g 40 %, strongest 55 %; attention 2 41, 41, 40, 54 %.
The other layers and models show it too: strongest above full at every MLP of mini-gpt2, mini-noln and mini-python.

What was wrong at first. "A direction wholly in the row space" was meant as a control without the effect; it has half
of it, for W_out hears 128 dimensions and the log odds only one. So the null-space test is taught with its hole, and
the learner's layer holds a bridge that is heard through and through. "The full patch is right" is not the whole
either: neurons that cancel have a null-space part by arithmetic, so the test calls a real twin a bridge. And seen from
one output, every honest direction that is cancelled is a bridge; only several outputs, or other inputs, decide.

Fixtures. patch_along: no unit v, source coordinates away from zero and unlike. strongest: lengths that differ by a
factor of five, acute and obtuse angles (else "largest in size" is right), products of both signs. heard_part: columns
neither orthogonal nor of one length, singular values from 0.6 to 2.4, so that normal equations in float32 pass.
my_directions: sizes such that every bridge of two moves the output less than the full patch does and some honest
direction more; what is dormant varies over prompts more than anything else.
"""


# ---- patch_along: wrong ---------------------------------------------------------------------------------------------


def patched(base, source, v):
    u = v / v.norm()
    return base + ((source - base) @ u)[:, None] * u


def forgets_the_length(base, source, v):
    return base + ((source - base) @ v)[:, None] * v


def divides_by_the_length_once(base, source, v):
    return base + ((source - base) @ v)[:, None] * v / v.norm()


def divides_by_the_square_of_unit_and_v(base, source, v):
    u = v / v.norm()
    return base + ((source - base) @ u)[:, None] * u / (v @ v)


def normalises_and_divides_again(base, source, v):
    u = v / v.norm()
    return base + ((source - base) @ u)[:, None] * u / v.norm()


def adds_the_source(base, source, v):
    u = v / v.norm()
    return base + (source @ u)[:, None] * u


def projects_out(base, source, v):
    u = v / v.norm()
    return base - (base @ u)[:, None] * u


def patches_the_rest(base, source, v):
    return patched(source, base, v)


def patches_all(base, source, v):
    return source.clone()


def keeps_the_projection(base, source, v):
    u = v / v.norm()
    return torch.outer(source @ u, u)


def returns_the_change(base, source, v):
    return patched(base, source, v) - base


def subtracts(base, source, v):
    u = v / v.norm()
    return base + ((base - source) @ u)[:, None] * u


def moves_all_alike(base, source, v):
    u = v / v.norm()
    return base + ((source - base).mean(0) @ u) * u


def steers(base, source, v):
    return base + v / v.norm()


def multiplies_neuron_by_neuron(base, source, v):
    return base + (source - base) * v / v.norm()


def masks_neurons(base, source, v):
    u = v / v.norm()
    return (1 - u**2) * base + u**2 * source


def returns_coordinates(base, source, v):
    return source @ v / v.norm()


# ---- strongest: wrong -----------------------------------------------------------------------------------------------


def halfway(delta, g):
    both = delta / delta.norm() + g / g.norm()
    return both / both.norm()


def points_along_delta(delta, g):
    return delta / delta.norm()


def points_along_g(delta, g):
    return g / g.norm()


def points_along_g_or_back(delta, g):
    return g / g.norm() * torch.sign(delta @ g)


def adds_as_they_are(delta, g):
    return (delta + g) / (delta + g).norm()


def weighs_by_lengths(delta, g):
    both = delta * delta.norm() + g * g.norm()
    return both / both.norm()


def divides_by_squares(delta, g):
    both = delta / (delta @ delta) + g / (g @ g)
    return both / both.norm()


def subtracts_the_units(delta, g):
    return halfway(delta, -g)


def maximises_the_size(delta, g):
    return halfway(delta, g if delta @ g > 0 else -g)


def forgets_to_normalise(delta, g):
    return delta / delta.norm() + g / g.norm()


def averages_the_units(delta, g):
    return torch.stack([delta / delta.norm(), g / g.norm()]).mean(0)


def divides_by_root_two(delta, g):
    return (delta / delta.norm() + g / g.norm()) / 2**0.5


def takes_the_other_sign(delta, g):
    return -halfway(delta, g)


def orthogonalises_g(delta, g):
    d = delta / delta.norm()
    return halfway(delta, g - (g @ d) * d)


def orthogonalises_delta(delta, g):
    return halfway(delta - (delta @ g) / (g @ g) * g, g)


def keeps_what_g_does_not_read(delta, g):
    rest = delta - (delta @ g) / (g @ g) * g
    return rest / rest.norm()


def multiplies_entries(delta, g):
    return delta * g / (delta * g).norm()


def keeps_helpful_neurons(delta, g):
    helpful = torch.relu(delta * g)
    return helpful / helpful.norm()


def picks_a_neuron(delta, g):
    best = (delta * g).argmax()
    v = torch.zeros_like(g)
    v[best] = delta[best].sign()
    return v


def returns_the_effect(delta, g):
    v = halfway(delta, g)
    return (delta @ v) * (v @ g)


# ---- heard_part: wrong ----------------------------------------------------------------------------------------------


def heard(v, W_out):
    return W_out @ torch.linalg.lstsq(W_out, v[:, None]).solution[:, 0]


def returns_the_deaf_part(v, W_out):
    return v - heard(v, W_out)


def gives_it_unit_length(v, W_out):
    return heard(v, W_out) / heard(v, W_out).norm()


def projects_on_everything(v, W_out):
    U = torch.linalg.svd(W_out).U
    return U @ (U.T @ v)


def goes_there_and_back(v, W_out):
    return v @ W_out @ W_out.T


def sums_projections(v, W_out):
    return sum(c * (v @ c) / (c @ c) for c in W_out.T)


def normalises_columns(v, W_out):
    C = W_out / W_out.norm(dim=0, keepdim=True)
    return v @ C @ C.T


def removes_columns_in_turn(v, W_out):
    rest = v.clone()
    for c in W_out.T:
        rest -= c * (rest @ c) / (c @ c)
    return v - rest


def returns_what_is_left_in_turn(v, W_out):
    return v - removes_columns_in_turn(v, W_out)


def keeps_the_top_direction(v, W_out):
    u = torch.linalg.svd(W_out, full_matrices=False).U[:, 0]
    return u * (u @ v)


def keeps_loud_neurons(v, W_out):
    norms = W_out.norm(dim=1)
    return v * (norms >= norms.mean())


def keeps_the_louder_half(v, W_out):
    norms = W_out.norm(dim=1)
    return v * (norms >= norms.median())


def divides_by_the_whole_norm(v, W_out):
    return W_out @ (v @ W_out) / W_out.square().sum()


def returns_what_it_writes(v, W_out):
    return v @ W_out


def returns_coefficients(v, W_out):
    return torch.linalg.pinv(W_out) @ v


def returns_the_projector(v, W_out):
    return W_out @ torch.linalg.pinv(W_out)


# ---- my_directions: wrong -------------------------------------------------------------------------------------------


def movement(corrupted, clean, W_out, v):
    return ((patched(corrupted, clean, v) - corrupted) @ W_out).mean(0)


def rows_of(corrupted, clean, W_out, directions):
    """For each direction: how the output moves, how along the heard part, the heard part, the reading."""
    for v in directions:
        h = heard(v, W_out)
        of_heard = movement(corrupted, clean, W_out, h) if h.norm() > 1e-3 else torch.zeros(W_out.shape[1])
        yield movement(corrupted, clean, W_out, v), of_heard, h, (clean - corrupted).mean(0) @ v


def labels_by(moving, given):
    found = []
    for whole, of_heard, h, _ in rows_of(*given):
        if whole.norm() < 1e-3:
            found.append("disconnected" if h.norm() < 1e-3 else "dormant")
        else:
            found.append("causal" if moving(whole, of_heard, h) else "bridge")
    return found


def own_right(*given):
    corrupted, clean, W_out, _ = given
    full = ((clean - corrupted) @ W_out).mean(0)
    return labels_by(lambda whole, of_heard, h: torch.cosine_similarity(whole, full, dim=0).abs() > 0.999, given)


def trusts_effects(*given):
    return labels_by(lambda whole, of_heard, h: True, given)


def trusts_the_heard_part(*given):
    return labels_by(lambda whole, of_heard, h: of_heard.norm() > 1e-3, given)


def wants_half_the_effect(*given):
    return labels_by(lambda whole, of_heard, h: of_heard.norm() > 0.5 * whole.norm(), given)


def forbids_any_deaf_share(*given):
    return labels_by(lambda whole, of_heard, h: h.norm() > 0.999, given)


def goes_by_the_larger_share(*given):
    return labels_by(lambda whole, of_heard, h: h.norm() ** 2 > 0.5, given)


def goes_by_size(*given):
    corrupted, clean, W_out, _ = given
    full = ((clean - corrupted) @ W_out).mean(0).norm()
    return labels_by(lambda whole, of_heard, h: whole.norm() <= full * 1.0001, given)


def reads_the_weights(*given):
    return ["disconnected" if h.norm() < 1e-3 else "causal" for _, _, h, _ in rows_of(*given)]


def probes(*given):
    return ["dormant" if reading.abs() < 1e-3 else "causal" for _, _, _, reading in rows_of(*given)]


def relabelled(**new):
    return lambda *given: [new.get(label, label) for label in own_right(*given)]


def swaps_idle_ones(*given):
    return relabelled(dormant="disconnected", disconnected="dormant")(*given)


def swaps_moving_ones(*given):
    return relabelled(causal="bridge", bridge="causal")(*given)


def goes_by_variance(*given):
    return relabelled(dormant="causal")(*given)


def lumps_idle_ones(*given):
    return relabelled(dormant="disconnected")(*given)


def forgets_one(*given):
    return own_right(*given)[:-1]


def says_illusion(*given):
    return relabelled(bridge="illusion")(*given)


MUTANTS = (
    Mutant("patch_along", "length_counts_twice", forgets_the_length),
    Mutant("patch_along", "length_counts_once", divides_by_the_length_once),
    Mutant("patch_along", "over_divided", divides_by_the_square_of_unit_and_v),
    Mutant("patch_along", "over_divided", normalises_and_divides_again),
    Mutant("patch_along", "not_replaced", adds_the_source),
    Mutant("patch_along", "only_removed", projects_out),
    Mutant("patch_along", "the_rest_patched", patches_the_rest),
    Mutant("patch_along", "full_patch", patches_all),
    Mutant("patch_along", "projected", keeps_the_projection),
    Mutant("patch_along", "change_only", returns_the_change),
    Mutant("patch_along", "sign", subtracts),
    Mutant("patch_along", "same_for_all", moves_all_alike),
    Mutant("patch_along", "v_added", steers),
    Mutant("patch_along", "by_coordinate", multiplies_neuron_by_neuron),
    Mutant("patch_along", "by_coordinate", masks_neurons),
    Mutant("patch_along", "coordinate_only", returns_coordinates),
    Mutant("strongest", "delta_only", points_along_delta),
    Mutant("strongest", "g_only", points_along_g),
    Mutant("strongest", "g_only", points_along_g_or_back),
    Mutant("strongest", "lengths_kept", adds_as_they_are),
    Mutant("strongest", "lengths_crossed", weighs_by_lengths),
    Mutant("strongest", "lengths_crossed", divides_by_squares),
    Mutant("strongest", "weakest", subtracts_the_units),
    Mutant("strongest", "largest_in_size", maximises_the_size),
    Mutant("strongest", "not_unit", forgets_to_normalise),
    Mutant("strongest", "not_unit", averages_the_units),
    Mutant("strongest", "not_unit", divides_by_root_two),
    Mutant("strongest", "sign", takes_the_other_sign),
    Mutant("strongest", "made_orthogonal", orthogonalises_g),
    Mutant("strongest", "made_orthogonal", orthogonalises_delta),
    Mutant("strongest", "remainder_only", keeps_what_g_does_not_read),
    Mutant("strongest", "by_coordinate", multiplies_entries),
    Mutant("strongest", "by_coordinate", keeps_helpful_neurons),
    Mutant("strongest", "best_neuron", picks_a_neuron),
    Mutant("strongest", "effect_only", returns_the_effect),
    Mutant("heard_part", "unheard_part", returns_the_deaf_part),
    Mutant("heard_part", "another_length", gives_it_unit_length),
    Mutant("heard_part", "unchanged", projects_on_everything),
    Mutant("heard_part", "there_and_back", goes_there_and_back),
    Mutant("heard_part", "columns_taken_as_orthogonal", sums_projections),
    Mutant("heard_part", "columns_taken_as_orthogonal", normalises_columns),
    Mutant("heard_part", "taken_off_in_turn", removes_columns_in_turn),
    Mutant("heard_part", "taken_off_in_turn", returns_what_is_left_in_turn),
    Mutant("heard_part", "top_direction", keeps_the_top_direction),
    Mutant("heard_part", "whole_neurons", keeps_loud_neurons),
    Mutant("heard_part", "whole_neurons", keeps_the_louder_half),
    Mutant("heard_part", "scaled_by_norm", divides_by_the_whole_norm),
    Mutant("heard_part", "in_the_stream", returns_what_it_writes),
    Mutant("heard_part", "in_the_stream", returns_coefficients),
    Mutant("heard_part", "a_matrix", returns_the_projector),
    Mutant("my_directions", "effect_alone", trusts_effects),
    Mutant("my_directions", "row_space_certificate", trusts_the_heard_part),
    Mutant("my_directions", "any_unheard_share", forbids_any_deaf_share),
    Mutant("my_directions", "mostly_unheard", goes_by_the_larger_share),
    Mutant("my_directions", "larger_than_full", goes_by_size),
    Mutant("my_directions", "weights_alone", reads_the_weights),
    Mutant("my_directions", "activations_alone", probes),
    Mutant("my_directions", "idle_ones_swapped", swaps_idle_ones),
    Mutant("my_directions", "moving_ones_swapped", swaps_moving_ones),
    Mutant("my_directions", "varies_over_prompts", goes_by_variance),
    Mutant("my_directions", "idle_ones_not_told_apart", lumps_idle_ones),
    Mutant("my_directions", "number_of_labels", forgets_one),
    Mutant("my_directions", "other_words", says_illusion),
)


# ---- right, in other styles -----------------------------------------------------------------------------------------


def patched_by_loops(base, source, v):
    rows = []
    for ours, theirs in zip(base.double(), source.double(), strict=True):
        gap = sum(float((t - o) * x) for o, t, x in zip(ours, theirs, v, strict=True))
        rows.append(ours + gap / sum(float(x) ** 2 for x in v) * v.double())
    return torch.stack(rows)


def patched_by_a_projector(base, source, v):
    P = torch.outer(v, v) / (v @ v)
    return base @ (torch.eye(len(v)) - P) + source @ P


def patched_with_einops(base, source, v):
    gap = einops.einsum(source - base, v, "batch d, d -> batch") / v.square().sum()
    return base + einops.einsum(gap, v, "batch, d -> batch d")


def patched_in_numpy(base, source, v):
    b, s, u = base.numpy(), source.numpy(), v.numpy() / np.linalg.norm(v.numpy())
    return b + np.outer((s - b) @ u, u)


def strongest_by_eigenvector(delta, g):
    M = torch.outer(delta, g)
    v = torch.linalg.eigh(M + M.T)[1][:, -1]
    return v * torch.sign(v @ delta)


def strongest_by_scanning(delta, g):
    x = delta.double() / delta.norm()
    y = g.double() - (g.double() @ x) * x
    y = y / y.norm()
    best, most = None, -math.inf
    for angle in np.linspace(-math.pi / 2, math.pi / 2, 4001):
        v = math.cos(angle) * x + math.sin(angle) * y
        effect = float((delta.double() @ v) * (v @ g.double()))
        if effect > most:
            best, most = v, effect
    return best


def strongest_by_ascent(delta, g):
    x, y = delta / delta.norm(), g / g.norm()
    v = x.clone()
    for _ in range(400):
        v = v + 0.5 * ((v @ x) * y + (v @ y) * x)
        v = v / v.norm()
    return v


def strongest_in_numpy(delta, g):
    both = delta.numpy() * np.linalg.norm(g.numpy()) + g.numpy() * np.linalg.norm(delta.numpy())
    return both / np.sqrt((both**2).sum())


def heard_by_least_squares(v, W_out):
    return heard(v, W_out)


def heard_by_qr(v, W_out):
    Q = torch.linalg.qr(W_out).Q
    return Q @ (Q.T @ v)


def heard_by_svd(v, W_out):
    U = torch.linalg.svd(W_out.double(), full_matrices=False).U
    return (v.double() @ U) @ U.T


def heard_by_normal_equations(v, W_out):
    return W_out @ torch.linalg.inv(W_out.T @ W_out) @ W_out.T @ v


def heard_by_gram_schmidt(v, W_out):
    basis = []
    for column in W_out.numpy().T.astype(np.float64):
        for b in basis:
            column = column - (column @ b) * b
        basis.append(column / np.linalg.norm(column))
    return sum((v.numpy() @ b) * b for b in basis)


def own_by_span(corrupted, clean, W_out, directions):
    """Whatever is heard of a direction has to lie along the heard part of the differences."""
    hears = W_out @ torch.linalg.pinv(W_out)
    heard_difference = hears @ (clean - corrupted).mean(0)
    along = heard_difference / heard_difference.norm()
    labels = []
    for v in directions:
        h, reads = hears @ v, ((clean - corrupted) @ v).abs().mean() > 1e-3
        if h.norm() < 1e-3:
            labels.append("disconnected")
        elif not reads:
            labels.append("dormant")
        else:
            labels.append("bridge" if (h - (h @ along) * along).norm() > 1e-2 else "causal")
    return labels


ALTERNATIVES = (
    Alternative("patch_along", "loops, float64", patched_by_loops),
    Alternative("patch_along", "a projector", patched_by_a_projector),
    Alternative("patch_along", "einops", patched_with_einops),
    Alternative("patch_along", "numpy", patched_in_numpy),
    Alternative("strongest", "an eigenvector", strongest_by_eigenvector),
    Alternative("strongest", "a scan of angles", strongest_by_scanning),
    Alternative("strongest", "gradient ascent", strongest_by_ascent),
    Alternative("strongest", "numpy, lengths crossed over", strongest_in_numpy),
    Alternative("heard_part", "least squares", heard_by_least_squares),
    Alternative("heard_part", "QR", heard_by_qr),
    Alternative("heard_part", "SVD, float64", heard_by_svd),
    Alternative("heard_part", "normal equations", heard_by_normal_equations),
    Alternative("heard_part", "Gram-Schmidt, numpy", heard_by_gram_schmidt),
    Alternative("my_directions", "against the full patch", own_right),
    Alternative("my_directions", "what is heard of the differences", own_by_span),
)
