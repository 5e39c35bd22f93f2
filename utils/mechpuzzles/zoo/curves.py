"""A small convolutional network of drawn shapes: how they are drawn, its recipe, its training, its files.

Importing this module needs torch alone. Angles are in degrees, counter-clockwise, 0 to the right, as on paper: row 0
of an image is its top.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechpuzzles.zoo import plain

SIZE = 24  # an image's pixels on each side
CLASSES = (
    *(f"arc {angle}" for angle in range(0, 360, 45)),
    *(f"corner {angle}" for angle in range(0, 360, 45)),
    *(f"line {angle}" for angle in range(0, 180, 45)),
    "circle",
)


@dataclass(frozen=True)
class CurvesRecipe:
    """Everything that decides the network's weights, the machine apart."""

    name: str
    description: str
    n_filters: int
    n_units: int
    steps: int
    batch: int
    learning_rate: float
    weight_decay: float
    l1: float  # weight of the units' activations, each times the length of its readout, beside the loss in nats
    seed: int = 0


RECIPE = CurvesRecipe(
    "mini-curves",
    "a convolutional network of two layers, trained to tell drawn arcs, corners, lines and circles "
    "and their directions.",
    n_filters=12,
    n_units=24,
    steps=1000,
    batch=192,
    learning_rate=4e-3,
    weight_decay=0.01,
    l1=0.02,
)


# Drawing


def to_segment(x: Tensor, y: Tensor, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor) -> Tensor:
    """The distance of the points (x, y) from the segment between (x0, y0) and (x1, y1)."""
    dx, dy = x1 - x0, y1 - y0
    along = (((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)).clamp(0, 1)
    return torch.hypot(x - x0 - along * dx, y - y0 - along * dy)


def draw(
    kind: str,
    direction: Float[Tensor, "image"],
    radius: Float[Tensor, "image"],
    x0: Float[Tensor, "image"] | float = 0.0,
    y0: Float[Tensor, "image"] | float = 0.0,
    width: float = 1.5,
    size: int = SIZE,
) -> Float[Tensor, "image y x"]:
    """White shapes on black, anti-aliased, values from 0 to 1; x0 to the right and y0 up are from the middle.

    An arc is a third of its circle, with its middle at (x0, y0) and the circle's centre `radius` away in `direction`. A
    corner has its tip there, and legs as long as an arc's halves at 45 degrees to each side of `direction`. A line
    goes through (x0, y0) at angle `direction`, as long as the arc. A circle has its centre there.
    """
    at = torch.arange(size) - (size - 1) / 2
    x, y = at[None, None, :], -at[None, :, None]
    angle, radius, x0, y0 = (
        torch.as_tensor(v, dtype=torch.float32).expand(len(direction))[:, None, None]
        for v in (direction * (math.pi / 180), radius, x0, y0)
    )
    half = radius * math.pi / 3  # the length of an arc's half
    if kind == "line":
        dx, dy = half * angle.cos(), half * angle.sin()
        distance = to_segment(x, y, x0 - dx, y0 - dy, x0 + dx, y0 + dy)
    elif kind == "corner":
        legs = [
            to_segment(x, y, x0, y0, x0 + half * (angle + turn).cos(), y0 + half * (angle + turn).sin())
            for turn in (math.pi / 4, -math.pi / 4)
        ]
        distance = torch.minimum(*legs)
    elif kind == "circle":
        distance = (torch.hypot(x - x0, y - y0) - radius).abs()
    elif kind == "arc":
        across, up = x - (x0 + radius * angle.cos()), y - (y0 + radius * angle.sin())
        # in the frame whose first axis points from the circle's centre to the arc's middle
        first, second = -across * angle.cos() - up * angle.sin(), across * angle.sin() - up * angle.cos()
        on_ring = (torch.hypot(across, up) - radius).abs()
        end = radius / 2, radius * math.sqrt(3) / 2  # at 60 degrees
        to_end = torch.hypot(first - end[0], second.abs() - end[1])
        distance = torch.where(torch.atan2(second.abs(), first) < math.pi / 3, on_ring, to_end)
    else:
        raise ValueError(f"{kind!r} is none of arc, corner, line and circle")
    return (width / 2 + 0.5 - distance).clamp(0, 1)


def examples(n: int, generator: torch.Generator) -> tuple[Float[Tensor, "image y x"], Int[Tensor, "image"]]:
    """Images of one shape each, and its class.

    Directions are off by up to 15 degrees, radii from 5 to 8, places by up to 3 pixels, contrasts from 0.6 to 1 of
    either sign; over a grating of random direction and wavelength, and noise.
    """

    def uniform(lo: float, hi: float) -> Tensor:
        return lo + (hi - lo) * torch.rand(n, generator=generator)

    label = torch.randint(len(CLASSES), (n,), generator=generator)
    direction = label % 8 * 45 + uniform(-15.0, 15.0)
    radius, x0, y0 = uniform(5.0, 8.0), uniform(-3.0, 3.0), uniform(-3.0, 3.0)
    contrast = uniform(0.6, 1.0) * (1 - 2 * torch.randint(2, (n,), generator=generator))
    images = torch.zeros(n, SIZE, SIZE)
    for kind, first, last in (("arc", 0, 8), ("corner", 8, 16), ("line", 16, 20), ("circle", 20, 21)):
        some = (label >= first) & (label < last)
        images[some] = draw(kind, direction[some], radius[some], x0[some], y0[some])
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    turn, wave, start = uniform(0.0, math.pi), uniform(4.0, 12.0), uniform(0.0, 2 * math.pi)
    along = at[None, None, :] * turn.cos()[:, None, None] + at[None, :, None] * turn.sin()[:, None, None]
    grating = (2 * math.pi * along / wave[:, None, None] + start[:, None, None]).sin()
    images = contrast[:, None, None] * images + uniform(0.0, 0.15)[:, None, None] * grating
    return images + 0.15 * torch.randn(images.shape, generator=generator), label


# The network


class CurveNet(nn.Module):
    """Filters, their largest response in each 2 by 2 places, units that read those, and classes that read units.

    A unit counts once for an image: its largest activation over all places.
    """

    def __init__(self, n_filters: int = RECIPE.n_filters, n_units: int = RECIPE.n_units):
        super().__init__()
        self.filters = nn.Conv2d(1, n_filters, 7)
        self.units = nn.Conv2d(n_filters, n_units, 5)
        self.classes = nn.Linear(n_units, len(CLASSES))

    def forward(self, images: Float[Tensor, "image y x"]) -> Float[Tensor, "image class"]:
        return self.classes(self.activations(images))

    def activations(self, images: Float[Tensor, "image y x"]) -> Float[Tensor, "image unit"]:
        """Each unit's largest activation in each image."""
        maps = nn.functional.max_pool2d(torch.relu(self.filters(images[:, None])), 2)
        return torch.relu(self.units(maps)).amax((2, 3))


def network(tensors: plain.Tensors) -> CurveNet:
    net = CurveNet(len(tensors["filters.weight"]), len(tensors["units.weight"]))
    net.load_state_dict(tensors)
    return net.eval().requires_grad_(False)


def load(where: str | Path | None = None) -> CurveNet:
    """The bundled network, or the one in the directory `where`, in float32.

    >>> load().units.weight.shape
    torch.Size([24, 12, 5, 5])
    """
    return network(plain.read(RECIPE, where))


def fit(recipe: CurvesRecipe) -> plain.Tensors:
    """The trained network's tensors."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        net = CurveNet(recipe.n_filters, recipe.n_units)
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * min(1.0, (step + 1) / 50) * min(1.0, 3 * (1 - step / recipe.steps))
        images, label = examples(recipe.batch, generator)
        acts = net.activations(images)
        activity = (acts @ net.classes.weight.norm(dim=0)).mean()
        loss = nn.functional.cross_entropy(net.classes(acts), label) + recipe.l1 * min(1.0, step / 200) * activity
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return dict(net.state_dict())


def metrics(recipe: CurvesRecipe, tensors: plain.Tensors) -> dict[str, float]:
    """The share of right answers and the loss in nats, on images apart from those of its training."""
    net = network(tensors).double()
    images, label = examples(2048, torch.Generator().manual_seed(10_000 + recipe.seed))
    logits = net(images.double())
    return {
        "accuracy": (logits.argmax(1) == label).double().mean().item(),
        "loss": nn.functional.cross_entropy(logits, label).item(),
    }


def train(out_dir: str | Path, steps: int | None = None) -> dict:
    """Train the bundled network again, write it to `out_dir` and return its card; `steps` shortens it for a trial."""
    return plain.train(RECIPE, fit, metrics, out_dir, steps)


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files in `where`, or the bundled ones, that their card does not say."""
    return plain.problems(RECIPE, metrics, where)
