"""A curve from lines: what is asked, how it is checked, and what each wrong answer looks like."""

import cmath
import math
from functools import cache

import torch
from torch.nn.functional import conv2d, unfold

from mechpuzzles.puzzle import Case, FreeText, Part, Prediction, Puzzle, Symptom
from mechpuzzles.zoo import curves

# ---- the oracle: place by place, in plain Python --------------------------------------------------------------------


def slow_line_maps(images, even, odd, join=math.hypot, flip=False):
    """Each pair of kernels laid on each place of each image; ``join`` makes one number of the two sums."""
    height, width = even.shape[1:]
    pairs = [(e.double().tolist(), o.double().tolist()) for e, o in zip(even, odd, strict=True)]
    places = [(i, j) for i in range(height) for j in range(width)]
    out = []
    for image in images.double().tolist():
        maps = []
        for kernels in pairs:
            rows = []
            for top in range(len(image) - height + 1):
                row = []
                for left in range(len(image[0]) - width + 1):
                    sums = [
                        math.fsum(
                            kernel[i][j]
                            * (image[top + height - 1 - i][left + width - 1 - j] if flip else image[top + i][left + j])
                            for i, j in places
                        )
                        for kernel in kernels
                    ]
                    row.append(join(*sums))
                rows.append(row)
            maps.append(rows)
        out.append(maps)
    return torch.tensor(out, dtype=torch.float64)


def arrows(responses, angles, period):
    """One arrow for each stimulus."""
    pairs = zip(responses.double().tolist(), angles.double().tolist(), strict=True)
    return [cmath.rect(response, 2 * math.pi * angle / period) for response, angle in pairs]


def slow_tuning(responses, angles, period):
    steps = arrows(responses, angles, period)
    end = complex(math.fsum(step.real for step in steps), math.fsum(step.imag for step in steps))
    turns = cmath.phase(end) / (2 * math.pi)
    return turns % 1 * period, abs(end) / math.fsum(map(abs, steps))


def slow_curve_weights(
    direction, radius, angles, size, *, middle=None, up=-1, swap=False, centre=1.0, ring=None, wide=2.0, fit=None
):
    """Through the squared cosine between a line and the circle's tangent, which needs no angle of the place.

    The keywords are ways of going wrong.
    """
    middle = (size - 1) / 2 if middle is None else middle
    ring = radius if ring is None else ring
    fit = (lambda along: 2 * along * along - 1) if fit is None else fit
    towards = math.radians(direction)
    lines = [(math.cos(line), math.sin(line)) for line in map(math.radians, angles.double().tolist())]
    rows = []
    for row in range(size):
        rows.append([])
        for column in range(size):
            place = [column - middle, up * (row - middle)]
            place = place[::-1] if swap else place
            x = place[0] - centre * radius * math.cos(towards)
            y = place[1] - centre * radius * math.sin(towards)
            x, y = (x, y) if math.hypot(x, y) > 1e-9 else (1e-12, 0.0)
            distance = math.hypot(x, y)
            fade = math.exp(-((distance - ring) ** 2) / wide)
            along = [(sin * x - cos * y) / distance for cos, sin in lines]  # cosines between the lines and the tangent
            rows[-1].append([fit(cosine) * fade for cosine in along])
    return torch.tensor(rows, dtype=torch.float64).permute(2, 0, 1).contiguous()


def slow_quarter_turn(weights, *, channels=None, places=lambda x, y: (-y, x)):
    """Each weight carried to its new place and to the channel of its turned line, one by one."""
    n, size = weights.shape[:2]
    channels = n // 2 if channels is None else channels
    middle = (size - 1) / 2
    turned = torch.zeros_like(weights, dtype=torch.float64)
    for channel in range(n):
        for row in range(size):
            for column in range(size):
                x, y = places(column - middle, middle - row)
                turned[(channel + channels) % n, round(middle - y), round(x + middle)] = weights[channel, row, column]
    return turned


# ---- the inputs -----------------------------------------------------------------------------------------------------


def maps_cases(rng):
    """Kernels of odd shapes that are no pairs of each other, images with a few large values of either sign."""
    for images, lines, height, width, y, x in ((2, 3, 3, 2, 6, 7), (1, 4, 2, 4, 5, 8), (3, 2, 4, 3, 7, 6)):
        image = torch.randn(images, y, x, generator=rng) * torch.exp(0.5 * torch.randn(images, y, x, generator=rng))
        even, odd = torch.randn(2, lines, height, width, generator=rng)
        yield Case((image, even, 0.6 * odd))


def tuning_cases(rng):
    """Bumps at an angle just above zero, with responses on both sides of it, and at one beyond the half; a zero in each."""

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    for n, reach, period, low, high in (
        (12, 360.0, 360.0, 0.03, 0.08),
        (16, 360.0, 180.0, 0.60, 0.85),
        (10, 180.0, 180.0, 0.04, 0.09),
        (9, 360.0, 360.0, 0.58, 0.70),
    ):
        angles = torch.arange(n) * reach / n
        away = 2 * math.pi * (angles / period - uniform(low, high))
        bump = uniform(1.0, 3.0) * torch.exp(uniform(1.0, 1.6) * (away.cos() - 1))
        bump = bump * (1 + 0.1 * torch.rand(n, generator=rng))
        bump[away.cos().argmin()] = 0.0
        yield Case((bump, angles, period))


def weights_cases(rng):
    """Directions in no special relation to the grid, an even size among the odd ones, angles in uneven steps."""

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    for lines, size, start in ((3, 7, 20.0), (5, 6, 115.0), (4, 9, 290.0)):
        angles = torch.arange(lines) * 180.0 / lines + 12 * torch.rand(lines, generator=rng)
        yield Case((start + uniform(0, 45), uniform(2.5, 4.5), angles, size))


def turn_cases(rng):
    for lines, size in ((4, 5), (8, 3), (12, 4)):
        yield Case(
            (torch.randn(lines, size, size, generator=rng) * torch.exp(0.4 * torch.randn(lines, 1, 1, generator=rng)),)
        )


# ---- the learner's own units ----------------------------------------------------------------------------------------

N_LINES, KERNEL = 8, 11
CURVES = tuple(f"curve {angle}" for angle in range(0, 360, 45))
STRAIGHT = tuple(f"line {angle}" for angle in range(0, 180, 45))
LABELS = (*CURVES, *STRAIGHT, "neither")


def line_weights(angle, angles, size):
    """What a curve's weights become at a radius without end."""
    towards = math.radians(angle + 90)
    at = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    off = at[None, :] * math.cos(towards) - at[:, None] * math.sin(towards)
    fit = torch.cos(2 * torch.deg2rad(angles.double() - angle))
    return fit[:, None, None] * torch.exp(-(off**2) / 2)


@cache
def stimuli():
    """Line maps of clean arcs and lines in 16 directions, by the notebook's filters, cut up into what a unit sees."""
    at = torch.arange(7) - 3.0
    x, y = at[None, :], -at[:, None]
    fade = torch.exp(-(x**2 + y**2) / 8)
    turn = torch.deg2rad(torch.arange(N_LINES) * 180.0 / N_LINES)[:, None, None]
    phase = 0.4 * torch.pi * (y * turn.cos() - x * turn.sin())
    even = fade * (phase.cos() - ((phase.cos() * fade).sum((1, 2)) / fade.sum())[:, None, None])
    pairs = [kernels / kernels.flatten(1).norm(dim=1)[:, None, None] for kernels in (even, fade * phase.sin())]
    around = torch.arange(0, 360, 22.5)
    patches = []
    for kind in ("arc", "line"):
        images = curves.draw(kind, around, torch.full_like(around, 6.5))
        maps = sum(conv2d(images[:, None], kernels[:, None]).square() for kernels in pairs).sqrt()
        patches.append(unfold(maps, KERNEL))  # [image, weight, place]
    return around, *patches


def preference(weights):
    """A unit's strength on arcs with period 360, and on lines with period 180."""
    around, arcs, lines = stimuli()
    of_arcs, of_lines = (torch.relu(weights.float().flatten() @ patches).amax(1) for patches in (arcs, lines))
    return slow_tuning(of_arcs, around, 360.0)[1], slow_tuning(of_lines, around, 180.0)[1]


def in_random_order(weights, rng):
    """The same weights, shuffled until they prefer clearly less than a curve or a line."""
    while True:
        mixed = weights.flatten()[torch.randperm(weights.numel(), generator=rng)].view_as(weights)
        bent, straight = preference(mixed)
        if bent < 0.22 and straight < 0.5:
            return mixed


GAINS = {"curve": (1.0, 1.4), "line": (2.0, 4.0), "neither": (5.0, 10.0)}  # against the order of their peaks


def draw_units(rng):
    """Labels and weights [unit, orientation, y, x]: curves, lines, shuffled curves; two of the curves are opposite."""

    def uniform(low, high):
        return low + (high - low) * float(torch.rand((), generator=rng))

    def one_of(labels):
        return labels[int(torch.randint(len(labels), (), generator=rng))]

    angles = torch.arange(N_LINES) * 180.0 / N_LINES
    first = one_of(range(0, 360, 45))
    opposite = (first + 180) % 360  # so that a period of 180 tells on every learner
    labels = [f"curve {first}", f"curve {opposite}", one_of(CURVES), one_of(STRAIGHT), one_of(STRAIGHT)]
    labels += ["neither", "neither", one_of((*CURVES, *STRAIGHT))]
    labels = [labels[i] for i in torch.randperm(len(labels), generator=rng).tolist()]
    units = []
    for label in labels:
        kind, *rest = label.split()
        angle, radius = (float(rest[0]) if rest else float(one_of(range(0, 360, 45)))), uniform(5.5, 7.5)
        straight = kind == "line"
        weights = line_weights(angle, angles, KERNEL) if straight else slow_curve_weights(angle, radius, angles, KERNEL)
        weights = weights + 0.1 * weights.std() * torch.randn(weights.shape, generator=rng)
        weights = in_random_order(weights, rng) if kind == "neither" else weights
        units.append(uniform(*GAINS[kind]) * weights)
    return labels, torch.stack(units).float()


def own_case(rng):
    labels, weights = draw_units(rng)
    return [Case((weights,), want=labels)]


# ---- the ways of being wrong ----------------------------------------------------------------------------------------

MAP_SYMPTOMS = (
    Symptom.gives(
        "one_phase",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: e),
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: abs(e)),
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: max(e, 0.0)),
        says="Only the even kernel speaks. A line half a stripe to the side, or an edge, would be invisible: the odd kernel sees those.",
    ),
    Symptom.gives(
        "odd_alone",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: o),
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: abs(o)),
        says="Only the odd kernel speaks. It sees edges; on the middle of a line it is silent.",
    ),
    Symptom.gives(
        "root_forgotten",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: e * e + o * o),
        says="The root is missing: twice the contrast would count four times.",
    ),
    Symptom.gives(
        "halves_cut_off",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: math.hypot(max(e, 0), max(o, 0))),
        says="Negative sums were cut off before they were squared, so dark lines on white count differently from white ones on dark.",
    ),
    Symptom.gives(
        "added_before_squaring",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: abs(e + o)),
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: e + o),
        says="The two sums were added first, which makes one kernel of two: it has a phase again. Square each, then add.",
    ),
    Symptom.gives(
        "sizes_added",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: abs(e) + abs(o)),
        says="Sizes were added. That still changes with the phase, by the root of two: add squares, then take the root.",
    ),
    Symptom.gives(
        "larger_one",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: max(abs(e), abs(o))),
        says="The larger of the two was taken. Between the phases that falls by the root of two: add squares, then take the root.",
    ),
    Symptom.gives(
        "mean_of_squares",
        lambda images, even, odd: slow_line_maps(images, even, odd, lambda e, o: math.hypot(e, o) / math.sqrt(2)),
        says="That is the root of the mean of the two squares. Asked for is the root of their sum.",
    ),
    Symptom.gives(
        "kernels_flipped",
        lambda images, even, odd: slow_line_maps(images, even, odd, flip=True),
        says="The kernels were turned upside down, as convolution does in mathematics. Here a kernel is laid on the image as it is.",
    ),
    Symptom(
        "padded",
        lambda got, want, images, even, odd: got.ndim == 4 and got.shape[2:] == images.shape[1:],
        says="The maps are as large as the images, so kernels hung over the edge. Keep only places where a whole kernel fits.",
    ),
    Symptom(
        "axes_exchanged",
        lambda got, want, *given: (
            got.shape == want.transpose(0, 1).shape and torch.allclose(got, want.transpose(0, 1), atol=1e-4)
        ),
        says="Images and orientations are exchanged: the image comes first.",
    ),
)


def plain_mean(responses, angles, period):
    return float((responses.double() @ angles.double()) / responses.double().sum())


def in_turns(responses, angles, period):
    return slow_tuning(responses, angles, period)[0] / period


def sum_of_arrows(responses, angles, period):
    return abs(sum(arrows(responses, angles, period)))


def phase_of_degrees(responses, angles, period):
    """In turns, where the sum of arrows points when degrees are taken for radians."""
    pairs = zip(responses.double().tolist(), angles.double().tolist(), strict=True)
    return cmath.phase(sum(cmath.rect(response, 360 * angle / period) for response, angle in pairs)) / (2 * math.pi)


TUNING_SYMPTOMS = (
    Symptom.gives(
        "mean_of_numbers",
        plain_mean,
        at=0,
        says="The preferred angle is a plain mean of angles. 359 and 1 would have the mean 180: add arrows, not numbers.",
    ),
    Symptom.gives(
        "highest_alone",
        lambda responses, angles, period: angles[responses.argmax()],
        at=0,
        says="The preferred angle is that of the highest response, one stimulus of many. The sum of all arrows lies between them.",
    ),
    Symptom.gives(
        "period_ignored",
        lambda responses, angles, period: slow_tuning(responses, angles, 360.0)[0],
        at=0,
        says="Every arrow points at its angle, whatever the period. With period 180, arrows of 0 and 180 have to point the same way.",
    ),
    Symptom.gives(
        "not_turned_back",
        lambda responses, angles, period: 360 * in_turns(responses, angles, period),
        lambda responses, angles, period: 360 * in_turns(responses, angles, period) % period,
        at=0,
        says="The preferred angle is still the arrow's. Arrows turn 360 degrees in one period: turn back into degrees of the stimulus.",
    ),
    Symptom.gives(
        "below_zero",
        lambda responses, angles, period: ((in_turns(responses, angles, period) + 0.5) % 1 - 0.5) * period,
        at=0,
        says="The preferred angle can come out negative, as atan2 gives it. Bring it between 0 and the period.",
    ),
    Symptom.gives(
        "in_radians",
        lambda responses, angles, period: math.radians(slow_tuning(responses, angles, period)[0]),
        lambda responses, angles, period: 2 * math.pi * in_turns(responses, angles, period),
        at=0,
        says="The preferred angle is in radians. Degrees are asked for.",
    ),
    Symptom.gives(
        "axes_swapped",
        lambda responses, angles, period: (0.25 - in_turns(responses, angles, period)) % 1 * period,
        lambda responses, angles, period: ((0.25 - in_turns(responses, angles, period) + 0.5) % 1 - 0.5) * period,
        at=0,
        says="Sine and cosine are exchanged: torch.atan2 takes the vertical part first.",
    ),
    Symptom.gives(
        "degrees_for_radians",
        lambda responses, angles, period: phase_of_degrees(responses, angles, period) % 1 * period,
        lambda responses, angles, period: phase_of_degrees(responses, angles, period) * period,
        at=0,
        says="Somewhere degrees went into a cosine as they are. torch and math want radians.",
    ),
    Symptom.gives(
        "range_over_sum",
        lambda responses, angles, period: (responses.max() - responses.min()) / (responses.max() + responses.min()),
        at=1,
        says="The strength compares the highest response with the lowest. "
        "One silent stimulus makes that 1, however flat the rest: all responses should count.",
    ),
    Symptom(
        "ratio",
        lambda got, want, responses, angles, period: not math.isfinite(float(got[1])) or float(got[1]) > 100,
        says="The strength is a ratio to the lowest response. That one is 0 here, and the ratio without bound.",
    ),
    Symptom.gives(
        "over_the_highest",
        lambda responses, angles, period: sum_of_arrows(responses, angles, period) / float(responses.max()),
        at=1,
        says="The strength was divided by the highest response. Divided by the arrows' summed length it lies between 0 and 1.",
    ),
    Symptom.gives(
        "over_the_number",
        lambda responses, angles, period: sum_of_arrows(responses, angles, period) / len(responses),
        at=1,
        says="The strength was divided by the number of stimuli, so it grows with the unit's gain. Divide by the arrows' summed length.",
    ),
    Symptom.gives(
        "not_divided",
        sum_of_arrows,
        at=1,
        says="That is the sum's length. Divided by the arrows' summed length it says how much they agree.",
    ),
    Symptom.from_truth(
        "squared",
        lambda want, *given: want**2,
        at=1,
        says="That is the square of the strength: is a root missing?",
    ),
    Symptom.from_truth(
        "spread",
        lambda want, *given: 1 - want,
        at=1,
        says="That is 1 minus the strength, which is large where a unit does not care.",
    ),
    Symptom.gives(
        "over_the_norm",
        lambda responses, angles, period: (
            sum_of_arrows(responses, angles, period) / math.sqrt(float(responses.double().square().sum()))
        ),
        at=1,
        says="The strength was divided by the root of the summed squares. Where all arrows agree it would exceed 1: divide by their summed length.",
    ),
)

WEIGHT_SYMPTOMS = (
    Symptom.from_truth(
        "spokes",
        lambda want, *given: -want,
        says="All signs are turned: lines along the radius are wanted, like spokes. The tangent stands across it, 90 degrees on.",
    ),
    Symptom.gives(
        "period_360",
        lambda d, r, a, s: cosine_of_difference(d, r, a, s),
        says="A line at 0 and one at 180 degrees are the same line, but your weights tell them apart: what is the period of orientation?",
    ),
    Symptom.gives(
        "other_side",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, centre=-1.0),
        says="The circle's centre lies on the other side: this unit prefers the opposite direction.",
    ),
    Symptom.gives(
        "upside_down",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, up=1),
        says="Rows count downwards and angles count upwards: row 0 is the top, where y is largest.",
    ),
    Symptom.gives(
        "rows_for_columns",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, swap=True),
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, swap=True, up=1),
        lambda d, r, a, s: slow_curve_weights(d, r, a, s).transpose(1, 2),
        says="Rows and columns are exchanged: the axes are [orientation, y, x], and x changes along a row.",
    ),
    Symptom.gives(
        "ring_around_the_middle",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, centre=0.0),
        says="The circle lies around the kernel's middle. The arc should pass *through* the middle: the centre is one radius away.",
    ),
    Symptom.gives(
        "from_the_corner",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, middle=0.0),
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, middle=0.0, up=1),
        says="Places are counted from the kernel's corner. Count from its middle.",
    ),
    Symptom.gives(
        "half_a_place_off",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, middle=s // 2),
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, middle=s / 2),
        says="The kernel's middle is off by half a place: of 6 places, 0 to 5, it lies at 2.5.",
    ),
    Symptom.gives(
        "blob_not_ring",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, ring=0.0),
        says="The weights fade with the distance from the circle's *centre*. They should fade with the distance from the circle.",
    ),
    Symptom.gives(
        "no_ring",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, wide=math.inf),
        says="Every place counts as much as those on the circle: the second factor is missing, and with it the radius.",
    ),
    Symptom.gives(
        "ring_too_thin",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, wide=1.0),
        says="The ring is too thin: there is a 2 below the square.",
    ),
    Symptom.gives(
        "no_veto",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, fit=lambda along: max(2 * along * along - 1, 0.0)),
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, fit=lambda along: abs(2 * along * along - 1)),
        says="No weight is negative. A line that crosses the arc should speak against it.",
    ),
    Symptom.gives(
        "squared_cosine",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, fit=lambda along: along * along),
        says="That is the squared cosine of the difference: it has the right period, and never speaks against a line.",
    ),
    Symptom.gives(
        "ring_alone",
        lambda d, r, a, s: slow_curve_weights(d, r, a, s, fit=lambda along: 1.0),
        says="All orientations weigh the same: this is a ring for anything, not for its tangents.",
    ),
    Symptom.gives(
        "degrees_for_radians",
        lambda d, r, a, s: slow_curve_weights(math.degrees(d), r, a, s),
        lambda d, r, a, s: slow_curve_weights(d, r, torch.rad2deg(a.double()), s),
        lambda d, r, a, s: slow_curve_weights(math.degrees(d), r, torch.rad2deg(a.double()), s),
        says="Somewhere degrees went into a cosine as they are. torch and math want radians.",
    ),
    Symptom.from_truth(
        "orientation_last",
        lambda want, *given: want.permute(1, 2, 0),
        says="The orientation comes last. It comes first: [orientation, y, x].",
    ),
)


def cosine_of_difference(direction, radius, angles, size):
    """The cosine of the difference itself, from the angles."""
    weights = slow_curve_weights(direction, radius, angles, size, fit=lambda along: 1.0)
    middle, towards = (size - 1) / 2, math.radians(direction)
    for row in range(size):
        for column in range(size):
            x = column - middle - radius * math.cos(towards)
            y = middle - row - radius * math.sin(towards)
            tangent = math.atan2(y, x) + math.pi / 2
            weights[:, row, column] *= torch.cos(torch.deg2rad(angles.double()) - tangent)
    return weights


def turned_only(weights):
    return slow_quarter_turn(weights, channels=0)


TURN_SYMPTOMS = (
    Symptom.gives(
        "places_only",
        turned_only,
        says="The places turned and the lines did not: a flat line that moves to the arc's side has to become a steep one.",
    ),
    Symptom.gives(
        "lines_only",
        lambda w: slow_quarter_turn(w, places=lambda x, y: (x, y)),
        says="The lines turned and stayed where they were. The places turn too.",
    ),
    Symptom.gives(
        "clockwise",
        lambda w: slow_quarter_turn(w, places=lambda x, y: (y, -x)),
        says="That is a quarter turn clockwise.",
    ),
    Symptom.gives(
        "quarter_of_the_channels",
        lambda w: slow_quarter_turn(w, channels=w.shape[0] // 4),
        lambda w: slow_quarter_turn(w, channels=-(w.shape[0] // 4)),
        says="The lines turned by 45 degrees. All {orientation} channels together cover 180, not 360: how many make 90?",
    ),
    Symptom.gives(
        "one_channel",
        lambda w: slow_quarter_turn(w, channels=1),
        lambda w: slow_quarter_turn(w, channels=-1),
        says="The lines turned by one channel. That is 180 / {orientation} degrees; 90 are asked for.",
    ),
    Symptom.gives(
        "mirrored",
        lambda w: slow_quarter_turn(w, places=lambda x, y: (-y, -x)),
        lambda w: slow_quarter_turn(w, places=lambda x, y: (y, x)),
        lambda w: slow_quarter_turn(w, channels=0, places=lambda x, y: (-y, -x)),
        says="Exchanging rows and columns mirrors; it does not turn.",
    ),
    Symptom.gives(
        "half_turn",
        lambda w: slow_quarter_turn(w, places=lambda x, y: (-x, -y)),
        lambda w: slow_quarter_turn(w, channels=0, places=lambda x, y: (-x, -y)),
        says="The places went half a turn.",
    ),
    Symptom.gives(
        "channels_reversed",
        lambda w: turned_only(w).flip(0),
        lambda w: turned_only(w).flip(0).roll(1, 0),
        says="The order of the channels was reversed, which mirrors every line. Turning shifts them all alike, round the end.",
    ),
)


def mistaken(*pairs):
    """Whether every wrong label is one of these, as (true, said) by their kinds; a symptom's `when`."""

    def when(got, want, *given):
        wrong = {(w.split()[0], g.split()[0]) for w, g in zip(want, got, strict=True) if w != g}
        return bool(wrong) and wrong <= set(pairs)

    return when


def turned_by(*differences):
    """Whether every wrong label is right about the kind, and off by one of these angles."""

    def when(got, want, *given):
        pairs = [(w.split(), g.split()) for w, g in zip(want, got, strict=True) if w != g]
        return all(w[0] == g[0] and (int(g[1]) - int(w[1])) % 360 in differences for w, g in pairs)

    return when


UNIT_SYMPTOMS = (
    Symptom(
        "number_of_labels",
        lambda got, want, *given: len(got) != len(want),
        says="There are eight units, and one label is asked for each.",
    ),
    Symptom(
        "other_words",
        lambda got, want, *given: not set(got) <= set(LABELS),
        says='The labels are "curve 0", "curve 45" and so on up to "curve 315", "line 0" to "line 135", and "neither".',
    ),
    Symptom(
        "opposite",
        turned_by(180),
        says="One or more curves have the opposite direction. Arcs open to all sides: probe them over 360 degrees, with period 360.",
    ),
    Symptom(
        "quarter_off",
        turned_by(90, 270),
        says="One or more units are off by a quarter turn: a curve's direction is that of its centre, a line's is its own.",
    ),
    Symptom(
        "next_direction",
        turned_by(45, 315, 135, 225),
        says="One or more units are one step off. Probe more directions than eight, and take the sum of arrows.",
    ),
    Symptom(
        "line_for_curve",
        mistaken(("line", "curve")),
        says="One or more of your curves answer an arc and its opposite alike. A high response to arcs is no curve: is the period 180 or 360?",
    ),
    Symptom(
        "curve_for_line",
        mistaken(("curve", "line")),
        says="One or more of your lines tell an arc from its opposite, which no line can.",
    ),
    Symptom(
        "shuffle_unseen",
        mistaken(("neither", "curve"), ("neither", "line")),
        says="One or more of your units have the weights of a curve in random order. They prefer something too, but hardly: look at the strength.",
    ),
    Symptom(
        "too_strict",
        mistaken(("curve", "neither"), ("line", "neither")),
        says="One or more units that you call neither do have a preference. Units differ in gain, so look at strengths, not at responses.",
    ),
    Symptom(
        "several",
        lambda got, want, *given: True,
        says="Several labels are not so. For each unit: its strength on arcs with period 360, and with period 180.",
    ),
)

PUZZLE = Puzzle(
    slug="curve_from_lines",
    title="A curve from lines",
    question="Can you write a curve detector by hand, and what would show that it is one?",
    principle="A tuning curve says what a unit prefers among the stimuli you chose. "
    "What a network needs it for shows when a hand-written unit takes its place, with impostors beside it.",
    minutes=45,
    models=("mini-curves",),
    after=("meaningful_zero",),
    problems={"7.4": "curve_weights", "7.5": "line_maps"},
    draw=lambda rng: draw_units(rng)[1],
    parts=(
        Part(
            name="line_maps",
            takes=("image y x", "orientation ky kx", "orientation ky kx"),
            returns="image orientation y x",
            points=2,
            cases=maps_cases,
            spec=slow_line_maps,
            symptoms=MAP_SYMPTOMS,
            hints=(
                "torch.nn.functional.conv2d wants images [image, 1, y, x] and kernels [orientation, 1, ky, kx], and lays kernels as they are.",
                "Call the two results e and o. As a line slides across, they are like a cosine and a sine: what stays the same?",
            ),
            meaning="How strong a line is, whatever its brightness and wherever across the stripes it lies.",
        ),
        Part(
            name="tuning",
            takes=("stimulus", "stimulus", ""),
            returns=("", ""),
            points=2,
            cases=tuning_cases,
            spec=slow_tuning,
            symptoms=TUNING_SYMPTOMS,
            hints=(
                "An arrow has two parts: response * cos and response * sin of its direction in radians, which goes round once in a period.",
                "Sum the parts. torch.atan2(vertical, horizontal) is where the sum points, from -pi to pi; "
                "x % period brings an angle between 0 and the period.",
            ),
            meaning="Every response counts, the ends of the scale are neighbours, and a silent unit cannot blow it up.",
        ),
        Part(
            name="curve_weights",
            takes=("", "", "orientation", ""),
            returns="orientation y x",
            points=3,
            cases=weights_cases,
            spec=slow_curve_weights,
            symptoms=WEIGHT_SYMPTOMS,
            hints=(
                "Places: x = torch.arange(size) - (size - 1) / 2 along a row, and y the same with the sign turned, down a column. "
                "Subtract the circle's centre, radius * (cos, sin) of the direction.",
                "torch.hypot(x, y) is the distance from the centre. torch.atan2(y, x) is the angle of the spoke; "
                "the tangent stands across it, pi / 2 on. angles[:, None, None] puts the orientation first.",
            ),
            meaning="Lines in their places: each speaks for the arc where it runs along it, and against it where it crosses.",
        ),
        Part(
            name="quarter_turn",
            takes=("orientation y x",),
            returns="orientation y x",
            points=1,
            cases=turn_cases,
            spec=slow_quarter_turn,
            symptoms=TURN_SYMPTOMS,
            hints=(
                "Draw a flat line right of the middle. After the turn, where does it lie, and is it still flat?",
                "torch.rot90 turns the places, over dims (1, 2). torch.roll shifts the channels, round the end: "
                "all of them together cover 180 degrees.",
            ),
            meaning="Turning moves a line and turns it. Only both together keep the circuit.",
        ),
        Part(
            name="my_units",
            takes=("unit orientation y x",),
            returns="unit",
            points=2,
            cases=own_case,
            spec=None,
            symptoms=UNIT_SYMPTOMS,
            kind="label",
            value=True,
            hints=(
                "respond(my_weights, maps_of(shown('arc'))) is [direction, unit]. tuning of one column, with period 360 and with 180?",
                "A curve has a strength with period 360. A line has none, but a high one on shown('line') with period 180. Neither has little of both.",
            ),
            meaning="Gain, noise and a preference of some kind were there in all eight. The period and the strength told them apart.",
        ),
    ),
    predictions=(
        Prediction("the curve detector", choices=("unit 4", "unit 9", "both", "neither"), right="unit 9"),
        Prediction("share recovered in unit 9's place", between=(-1, 1)),
    ),
    free_text=(
        FreeText(
            name="explanation",
            points=3,
            rubric=(
                "The tuning curve is about arcs alone: a corner unit has it too, so show other stimuli, and compare peaks.",
                "Whatever takes the unit's place, with fitted gain and offset, recovers something: "
                "compare with a line, another shape, shuffled weights and the unit's mean.",
                "What is not recovered is what the hand-written unit leaves out; and the result holds for these images and this network.",
            ),
        ),
    ),
)
