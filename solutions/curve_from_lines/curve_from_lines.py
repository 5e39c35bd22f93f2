# %% [markdown]
# # A curve from lines
#
# In 2021, *Curve Circuits* took the curve detectors of one layer out of an image model: of 2,000 images, 46 fewer had the right answer among the first five.
# With detectors written by hand in their place: 20 fewer. More than half was recovered.
#
# How much would a *wrong* detector have recovered?
#
# Below, two units of a small network answer arcs of one direction, and hardly any other. By that measure they are equals.
# A curve detector that you write by hand can stand in for one of them. Not for the other.
#
# **Can you write a curve detector by hand, and what would show that it is one?**
#
# Impostors go through the same test: a line detector, shuffled weights, a curve that opens the other way.
#
# *45 minutes. You need to know what a convolution and a hook are. Guesses are never marked.*

# %%
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, cross_entropy
from transformer_lens import HookedRootModule
from transformer_lens.hook_points import HookPoint

from mechpuzzles import load_puzzle, plots
from mechpuzzles.zoo import curves

# %%
torch.set_grad_enabled(False)
puzzle = load_puzzle("curve_from_lines")


class Net(HookedRootModule):
    def __init__(self, trained):
        super().__init__()
        self.trained, self.hook_units = trained, HookPoint()
        self.setup()

    def forward(self, images):  # a unit counts once for an image: its largest activation over all places
        return self.trained.classes(self.hook_units(self.trained.activations(images)))


# %%
net = Net(curves.load())
images, label = curves.examples(1024, torch.Generator().manual_seed(1))
around = torch.arange(0, 360, 22.5)  # degrees, counter-clockwise; 0 is to the right


def shown(kind, radius=6.5):  # one clean stimulus for each direction
    return curves.draw(kind, around, torch.full_like(around, radius))


# %%
panels = torch.cat([*images[[0, 1, 2]], shown("arc")[4], shown("corner")[4]], dim=1)
right = (net(images).argmax(1) == label).float().mean()
print(f"{right:.1%} right; {len(curves.CLASSES)} classes, such as", [curves.CLASSES[i] for i in label[:3]])
picture = plots.heatmap(panels, rows=range(24), columns=range(120), x_title="x", y_title="y", colour_title="brightness")
picture.update_yaxes(scaleanchor="x", constrain="domain").update_layout(height=280)

# %% [markdown]
# Left: three images. Right: a clean arc and a clean corner. Both open towards 90 degrees, upwards.

# %%
on_arcs = net.run_with_cache(shown("arc"))[1]["hook_units"]  # [direction, unit]
plots.lines(
    around,
    {f"unit {unit}": on_arcs[:, unit] / on_arcs[:, unit].max() for unit in (4, 9)},
    x_title="direction of the arc",
    y_title="activation / highest",
)

# %% [markdown]
# ## Commit
#
# Which of them is a curve detector?
# And if your hand-written one takes unit 9's place: what share of the damage of losing unit 9 will it recover? 1 is all, 0 none.

# %% open="predict-which"
puzzle.predict("the curve detector", ..., because="", sure=...)  # "unit 4", "unit 9", "both" or "neither"

# %% open="predict-share"
puzzle.predict("share recovered in unit 9's place", ..., because="", sure=...)  # between -1 and 1

# %% [markdown]
# ## Lines
#
# Gabor filters: stripes that fade out. Each orientation has an even one, for lines, and an odd one, for edges.

# %%
at = torch.arange(7) - 3.0
x, y = at[None, :], -at[:, None]  # row 0 is the top
envelope = torch.exp(-(x**2 + y**2) / 8)
angles = torch.arange(8) * 22.5  # of lines: 0 and 180 would be the same
turn = torch.deg2rad(angles)[:, None, None]
across = y * turn.cos() - x * turn.sin()
even, odd = ((0.4 * torch.pi * across).cos() * envelope, (0.4 * torch.pi * across).sin() * envelope)
even = even - envelope * (even.sum((1, 2)) / envelope.sum())[:, None, None]  # silent on plain grey
even, odd = (kernels / kernels.square().sum((1, 2), keepdim=True).sqrt() for kernels in (even, odd))

# %%
for up in (0.0, 0.5, 1.0, 1.5):
    line = curves.draw("line", torch.zeros(1), torch.full((1,), 6.5), y0=up)[0, 8:15, 8:15]
    print(f"a flat line, {up} up: even {(line * even[0]).sum():z.2f}, odd {(line * odd[0]).sum():z.2f}")

# %% [markdown]
# Each alone flickers as the line moves. Together they need not. About two lines.


# %% stub="line_maps"
def line_maps(
    images: Float[Tensor, "image y x"],
    even: Float[Tensor, "orientation ky kx"],
    odd: Float[Tensor, "orientation ky kx"],
) -> Float[Tensor, "image orientation out_y out_x"]:
    """How strong a line of each orientation is at each place; shape [image, orientation, y, x].

    At every place where a whole kernel fits (no padding), lay it on the image as it is, multiply and sum.
    The map is the root of the summed squares of the even sum and the odd sum.
    """
    ### BEGIN SOLUTION
    sums = [conv2d(images[:, None], kernels[:, None]) for kernels in (even, odd)]
    return torch.hypot(*sums)
    ### END SOLUTION


# %% check="line_maps"
puzzle.check("line_maps", line_maps)
### BEGIN HIDDEN TESTS
puzzle.grade("line_maps", line_maps)
### END HIDDEN TESTS

# %% [markdown]
# ## One number for a tuning curve
#
# Highest over lowest? The lowest is often 0. Use arrows: each stimulus points somewhere, as long as its response.
# For an arc, a turn of 360 degrees brings back the same stimulus; for a line, 180. In one period the arrow goes round once.
# About four lines.


# %% stub="tuning"
def tuning(responses: Float[Tensor, "stimulus"], angles: Float[Tensor, "stimulus"], period):
    """The preferred angle, in degrees from 0 up to the period, and the strength, from 0 to 1; two numbers.

    An arrow of length responses[i] points in direction 360 * angles[i] / period degrees.
    Preferred: where the sum of all arrows points, turned back into degrees of the stimulus.
    Strength: the length of the sum, divided by the sum of the lengths. Responses are not negative.
    """
    ### BEGIN SOLUTION
    turned = 2 * torch.pi * angles / period
    right, up = (responses * turned.cos()).sum(), (responses * turned.sin()).sum()
    preferred = torch.atan2(up, right) / (2 * torch.pi) * period
    return preferred % period, torch.hypot(up, right) / responses.sum()
    ### END SOLUTION


# %% check="tuning"
puzzle.check("tuning", tuning)
### BEGIN HIDDEN TESTS
puzzle.grade("tuning", tuning)
### END HIDDEN TESTS

# %%
for unit in (4, 9):
    preferred, strength = tuning(on_arcs[:, unit], around, 360)
    print(f"unit {unit}: prefers arcs of {preferred:.0f} degrees, strength {strength:.2f}")

# %% [markdown]
# ## A curve
#
# Along an arc, the line at each place is the circle's tangent. So let each line map speak for the arc where it runs along the circle, and against it where it crosses.
# About six lines.


# %% stub="curve_weights"
def curve_weights(
    direction, radius, angles: Float[Tensor, "orientation"], size
) -> Float[Tensor, "orientation size size"]:
    """Weights on line maps, [orientation, y, x], for an arc through the kernel's middle; angles are in degrees.

    The circle's centre is `radius` away from the middle of the kernel, in `direction`. Places are pixels: x to the
    right, y up, row 0 on top. With d the distance of a place from the circle's centre, and t the angle of the tangent
    there (across the line to the centre), the weight is cos(2 (angle - t)) * exp(-(d - radius)**2 / 2).
    """
    ### BEGIN SOLUTION
    at, towards = torch.arange(size) - (size - 1) / 2, torch.deg2rad(torch.tensor(direction))
    x, y = at[None, :] - radius * towards.cos(), -at[:, None] - radius * towards.sin()
    tangent = torch.atan2(y, x) + torch.pi / 2
    along = torch.cos(2 * (torch.deg2rad(angles)[:, None, None] - tangent))
    return along * torch.exp(-((torch.hypot(x, y) - radius) ** 2) / 2)
    ### END SOLUTION


# %% check="curve_weights"
puzzle.check("curve_weights", curve_weights)
### BEGIN HIDDEN TESTS
puzzle.grade("curve_weights", curve_weights)
### END HIDDEN TESTS


# %%
def maps_of(images):
    return torch.as_tensor(line_maps(images, even, odd)).float()


def by_hand(direction, radius=6.5):
    return torch.tensor(curve_weights(float(direction), radius, angles, 11).tolist())


def respond(weights, maps):  # [image, unit]; like the network's units, each counts once for an image
    return torch.relu(conv2d(maps, weights)).amax((2, 3))


# %%
def shuffled(weights, seed, groups=1):  # the weights of each group in one and the same random order
    rows = weights.reshape(groups, -1)
    return rows[:, torch.randperm(rows.shape[1], generator=torch.Generator().manual_seed(seed))].view_as(weights)


# so large a circle is straight
three = {"your curve": by_hand(90), "line": by_hand(90, radius=1e4), "shuffled": shuffled(by_hand(90), 0)}
on_kind = {kind: respond(torch.stack([*three.values()]), maps_of(shown(kind))) for kind in ("arc", "corner", "line")}

# %%
for i, name in enumerate(three):
    highest = ", ".join(f"{kind} {responses[:, i].max():.0f}" for kind, responses in on_kind.items())
    strengths = [tuning(on_kind["arc"][:, i], around, period)[1] for period in (360, 180)]
    print(f"{name}: highest on {highest}; strength on arcs {strengths[0]:z.2f}, with period 180 {strengths[1]:.2f}")
by_name = {name: on_kind["arc"][:, i] for i, name in enumerate(three)}
plots.lines(around, by_name, x_title="direction of the arc", y_title="response")

# %% [markdown]
# A line detector has a tuning curve for arcs, too. Period 360 gives it away: it cannot tell an arc from its opposite.
# Your curve's strength is 0.41, far below the 0.93 of units 4 and 9. Keep that in mind when you see who can stand in for whom.
# And note what your curve answers besides arcs. A corner is not far off; a line of twice the contrast passes for an arc.
#
# ## A family
#
# Write one, turn the rest: what becomes of weights on line maps if the picture turns? One line.


# %% stub="quarter_turn"
def quarter_turn(weights: Float[Tensor, "orientation y x"]) -> Float[Tensor, "orientation y x"]:
    """The weights of the same detector for pictures turned by 90 degrees counter-clockwise; the same shape, y = x.

    Orientation k of n stands for lines at 180 * k / n degrees; n is even.
    """
    ### BEGIN SOLUTION
    return torch.rot90(weights, 1, (1, 2)).roll(len(weights) // 2, 0)
    ### END SOLUTION


# %% check="quarter_turn"
puzzle.check("quarter_turn", quarter_turn)
### BEGIN HIDDEN TESTS
puzzle.grade("quarter_turn", quarter_turn)
### END HIDDEN TESTS

# %%
family = {}
for direction in (0, 45):
    weights = by_hand(direction)
    for turns in range(4):
        family[direction + 90 * turns], weights = weights, torch.tensor(quarter_turn(weights).tolist())
of_family = respond(torch.stack([family[d] for d in (0, 90, 180, 270)]), maps_of(shown("arc")))
shifted = torch.stack([of_family[:, 0].roll(4 * turns) for turns in range(4)], dim=1)
print(f"four members, one curve shifted: largest difference {(of_family - shifted).abs().max():.3f}")

# %% [markdown]
# ## Put it in
#
# Now the swap. Everybody who stands in for a unit gets the best gain and offset, fitted on other images.
# So somebody who knows nothing becomes the unit's mean: that is share 0.

# %%
others, _ = curves.examples(1024, torch.Generator().manual_seed(0))
their_acts, acts = (net.run_with_cache(some)[1]["hook_units"] for some in (others, images))
their_maps, maps = maps_of(others), maps_of(images)


def stand_ins(units, weights):  # [image, unit]: weights in order of the units, or several for one unit
    x, goal = respond(torch.stack(weights), their_maps), their_acts[:, units]
    gain = ((x - x.mean(0)) * goal).mean(0) / x.var(0, unbiased=False)
    return goal.mean(0) + gain * (respond(torch.stack(weights), maps) - x.mean(0))


# %%
def run(values):  # {unit: what stands in}; all before the units stays as it is
    swapped = acts.clone()
    for unit, value in values.items():
        swapped[:, unit] = value
    logits = net.trained.classes(swapped)
    return cross_entropy(logits, label), (logits.argmax(1) == label).float().mean()


# %%
intact = run({})[0]


def recovered(unit, tried):  # {name: weights}; each alone in the unit's place
    lost = run({unit: their_acts[:, unit].mean()})[0]
    values = stand_ins([unit], [*tried.values()]).T
    found = {name: run({unit: value})[0] for name, value in zip(tried, values, strict=True)}
    return {name: float((lost - loss) / (lost - intact)) for name, loss in found.items()}


# %%
shares = {}
for unit, direction in ((9, 225), (4, 45)):
    mine, opposite = family[direction], family[(direction + 180) % 360]
    tried = {"your curve": mine, "line": by_hand(direction, 1e4), "opposite curve": opposite}
    tried |= {f"places {seed}": shuffled(mine, seed, groups=len(angles)) for seed in range(4)}  # lines move along
    tried |= {f"shuffle {seed}": shuffled(mine, seed) for seed in range(4)}
    shares[f"unit {unit}"] = recovered(unit, tried)

# %%
puzzle.recall("share recovered in unit 9's place", found=shares["unit 9"]["your curve"])
puzzle.recall("the curve detector")
guess = puzzle.prediction("share recovered in unit 9's place")
plots.bars(shares, x_title="who stands in", y_title="share recovered", prediction=guess)

# %% [markdown]
# In unit 9's place your curve recovers most of what was lost; in unit 4's it does not.
# In unit 9's place, full shuffles recover no more than a line detector.
# If only places are shuffled, the lines at each stay together, and these four recover more, 0.23 to 0.36: a null has to lose what you claim.
#
# The two tuning curves were equals. What did they leave out?

# %%
kinds = ("arc", "corner", "line", "circle")
peaks = {kind: net.run_with_cache(shown(kind))[1]["hook_units"].amax(0) for kind in kinds}  # of each unit
highest = {f"unit {unit}": {kind: float(peaks[kind][unit]) for kind in kinds} for unit in (9, 4)}
plots.bars(highest, x_title="stimulus", y_title="highest activation")


# %% [markdown]
# Unit 4 prefers corners. A claim, so far: write *that* by hand, two lines that end at the tip, and swap it in.


# %%
def corner_weights(direction, angles, size):
    at, weights = torch.arange(size) - (size - 1) / 2, 0
    x, y = at[None, :], -at[:, None]
    for leg in torch.deg2rad(torch.tensor([direction + 45.0, direction - 45.0])):
        off, behind = y * leg.cos() - x * leg.sin(), (x * leg.cos() + y * leg.sin()).clamp(max=0)
        along = torch.cos(2 * (torch.deg2rad(angles)[:, None, None] - leg))
        weights = weights + along * torch.exp(-(off**2 + behind**2) / 2)
    return weights


# %%
for unit, direction in {9: 225, 4: 45, 6: 315, 7: 180}.items():
    tried = {"curve": by_hand(direction), "corner": corner_weights(direction, angles, 11)}
    tried["line"] = by_hand(direction, 1e4)
    print(f"unit {unit}:", ", ".join(f"{name} {share:z.2f}" for name, share in recovered(unit, tried).items()))

# %% [markdown]
# In units 9 and 4 each shape recovers its own, and less than two fifths of the other: a *related* shape is the impostor to fear.
# Units 6 and 7 answer arcs most, too. Yet a corner nearly does for unit 6, and a line for unit 7: here the swap hardly tells.
#
# Eight units answer arcs more than anything else, one for each direction. Now all of them at once, as in 2021.

# %%
eight = {0: 90, 1: 270, 5: 135, 6: 315, 7: 180, 9: 225, 11: 0, 20: 45}  # unit: direction
casts = {"your curves": [family[d] for d in eight.values()]}
casts["lines"] = [by_hand(d, radius=1e4) for d in eight.values()]
casts["opposite curves"] = [family[(d + 180) % 360] for d in eight.values()]
casts["shuffles"] = [shuffled(family[d], unit) for unit, d in eight.items()]
most = [unit for unit, arc in enumerate(peaks["arc"]) if all(arc > peaks[kind][unit] for kind in kinds[1:])]
print("arcs highest:", most)
off = run({unit: their_acts[:, unit].mean() for unit in eight})
print(f"intact: {run({})[1]:.1%} right; off: {off[1]:.1%}")
for name, weights in casts.items():
    loss, right = run(dict(zip(eight, stand_ins([*eight], weights).T, strict=True)))
    print(f"{name}: {right:.1%} right, {(off[0] - loss) / (off[0] - intact):z.2f} of the loss recovered")

# %% [markdown]
# ## Your own units
#
# Eight hand-set units on line maps, with noise, and each with a gain of its own. Label each by its preference:
# `"curve 0"`, `"curve 45"`, ... `"curve 315"`; `"line 0"`, ... `"line 135"`; or `"neither"`, a curve's weights in random order.

# %% open="variant"
my_weights = puzzle.variant("your name or id")  # [unit, orientation, y, x]
print("highest on arcs:", respond(my_weights, maps_of(shown("arc"))).amax(0).numpy().round())

# %% stub="my_units"
my_units = ...  # a list of eight labels
### BEGIN SOLUTION
my_units = []
mine = {kind: respond(my_weights, maps_of(shown(kind))) for kind in ("arc", "line")}
for unit in range(8):
    towards, bent = tuning(mine["arc"][:, unit], around, 360)
    along, straight = tuning(mine["line"][:, unit], around, 180)
    kind = f"line {round(float(along) / 45) * 45 % 180}" if straight > 0.65 else "neither"
    my_units.append(f"curve {round(float(towards) / 45) * 45 % 360}" if bent > 0.3 else kind)
### END SOLUTION

# %% check="my_units"
puzzle.check("my_units", my_units)
### BEGIN HIDDEN TESTS
puzzle.grade("my_units", my_units)
### END HIDDEN TESTS

# %% [markdown]
# ## Explain
#
# A colleague writes: "Unit 4 is a curve detector: its tuning curve for arcs is as sharp as any, and my hand-written curve detector recovers two fifths of the loss in its place."
# Answer in three to five sentences: what do the two findings show, and what would you do next?

# %% [markdown] free_text="explanation"
# ### BEGIN SOLUTION
# The tuning curve says that among arcs the unit prefers one direction; a corner unit does too, because an arc is a bad corner, so I would show corners, lines and circles and compare the peaks.
# Two fifths recovered mean little by themselves: with fitted gain and offset any related shape recovers something, so I would put a line, a corner, the opposite curve and shuffled weights into the same place.
# The corner recovers most of it, and that is the better description.
# What is still missing is what the hand-written unit leaves out, and all of it holds for these images and this network.
# ### END SOLUTION

# %% [markdown]
# ## The answer
#
# In rot13. Run the cell to decode it, once you have tried a part.

# %% [markdown] reveal="answer"
# Yes, by hand, and in a few lines: an arc is lines in their places. Yours is made of three things: line maps that do not care about sign and phase, weights for the tangent at each place of the circle, and weights against lines that cross it.
# Not all are needed alike: with the even kernel's absolute sum alone the share is 0.75, with its negative half cut off about 0.4, and without the negative weights 0.59.
#
# What shows that it is one? Not its tuning curve for arcs: unit 4 has the same one, and is a corner detector. Ask with other stimuli, then swap, with impostors in the same place and with the same fit. A line recovers a fifth of what unit 9 is worth, shuffled weights at most as much, a corner 0.36, your curve about three quarters. In unit 6's place a corner nearly does, in unit 7's a line: not every unit that answers arcs most is told apart.
#
# A quarter is missing: the trained unit knows something that your weights do not say. What, is open here.
#
# In the experiment of 2021 the units were removed, and no wrong detectors are reported. Its authors speak of initial experiments, and call their detectors roughly analogous to the trained ones.

# %% [markdown]
# ## Play
#
# Another direction or radius, several curves added, a threshold of 30: can you get beyond three quarters?


# %% open="play"
def respond(weights, maps, threshold=0.0):
    return torch.relu(conv2d(maps, weights) - threshold).amax((2, 3))


unit, weights, silent = 9, by_hand(225, radius=6.5), torch.zeros_like(even)
for name, pair in {"both": (even, odd), "even alone": (even, silent), "odd alone": (silent, odd)}.items():
    their_maps, maps = (torch.as_tensor(line_maps(some, *pair)).float() for some in (others, images))
    whole, positive = recovered(unit, {"whole": weights, "positive": weights.relu()}).values()
    print(f"{name}: {whole:.2f}; no negative weights: {positive:.2f}")

# %% [markdown]
# ## Where next
#
# - *More than all of it*: a swap that works for the wrong reason.
# - *Meaningful zero*: what off should mean.
#
# The experiment is that of Cammarata et al. (2021), "Curve Circuits". The network is our own: trained on drawn images, with a price on active units, which keeps them few and clean.
