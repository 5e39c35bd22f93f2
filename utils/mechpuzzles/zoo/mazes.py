"""Mazes with a cheese, and small policies trained in them by policy gradient: their recipe, training and files.

A maze is 7 squares by 7, True where it is open. A policy sees the open squares and the cheese, and gives for *every*
square the log-probabilities of four steps, up, right, down and left; the agent looks up the square where it stands.
Importing this module loads no TransformerLens; `load` does.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Int
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from mechpuzzles.zoo import plain

SIZE = 7
SQUARES = SIZE * SIZE
STEPS = ("up", "right", "down", "left")
CORNER = SIZE - 1  # the number of the top right square; squares are numbered row by row
REGIONS = {"near": 3, "corner": 1, "anywhere": SIZE}  # the cheese lies in this many of the top rows and right columns
CLOSED = -1e9  # the logit of a step into a wall

_MOVES = torch.tensor([-SIZE, 1, SIZE, -1])  # what a step adds to the number of a square
_ROOMS = [(row, column) for row in range(0, SIZE, 2) for column in range(0, SIZE, 2)]
_DOORS = torch.tensor(  # two rooms, by their numbers, and the square between them
    [
        (room, _ROOMS.index((row + down, column + 2 - down)), (row + down // 2) * SIZE + column + 1 - down // 2)
        for room, (row, column) in enumerate(_ROOMS)
        for down in (0, 2)
        if (row + down, column + 2 - down) in _ROOMS
    ]
)


@dataclass(frozen=True)
class MazeRecipe:
    """Everything that decides the policies' weights, the machine apart."""

    name: str
    description: str
    steps: int  # updates of each policy
    kept: str = ""  # the policy "near" is also kept after so many
    mazes: int = 64  # new ones in each update
    agents: int = 16  # in each maze, each on a square of its own drawing
    horizon: int = 40  # steps until an agent gives up
    discount: float = 0.95
    entropy: float = 0.01  # weight of the policy's entropy in the objective
    learning_rate: float = 3e-3
    channels: int = 12
    layers: int = 6
    open_doors: float = 0.3  # share of the doors opened beside those of a spanning tree
    seed: int = 0


RECIPE = MazeRecipe(
    name="mini-maze",
    description="small convolutional policies for mazes of 7 by 7 squares, trained by policy gradient.",
    steps=700,
    kept="25 50 100",
)


# Mazes


def draw(n: int, generator: Generator, open_doors: float = RECIPE.open_doors) -> Bool[Tensor, "maze row column"]:
    """`n` mazes in which every open square can be reached from every other.

    Rooms lie on even rows and columns, with doors between neighbours. A random spanning tree of the rooms is opened
    (Prim's algorithm on random weights), then each other door with probability `open_doors`: so ways are not unique.
    """
    left, right, square = _DOORS.T
    weights, rows = torch.rand(n, len(_DOORS), generator=generator), torch.arange(n)
    reached = torch.zeros(n, len(_ROOMS), dtype=torch.bool)
    reached[rows, torch.randint(len(_ROOMS), (n,), generator=generator)] = True
    is_open = torch.zeros(n, SQUARES, dtype=torch.bool)
    is_open[:, [row * SIZE + column for row, column in _ROOMS]] = True
    for _ in range(len(_ROOMS) - 1):
        door = weights.masked_fill(reached[:, left] == reached[:, right], 2.0).argmin(1)
        reached[rows, left[door]] = reached[rows, right[door]] = is_open[rows, square[door]] = True
    is_open[:, square] |= torch.rand(n, len(_DOORS), generator=generator) < open_doors
    return is_open.view(n, SIZE, SIZE)


def place(mazes: Bool[Tensor, "maze row column"], generator: Generator, region: int = SIZE) -> Int[Tensor, "maze"]:
    """An open square of each maze, by its number, among the `region` top rows and right columns."""
    there = mazes.clone()
    there[:, region:] = there[:, :, : SIZE - region] = False
    return torch.multinomial(there.flatten(1).float(), 1, generator=generator)[:, 0]


def after_steps(values: Tensor, wall: float) -> Float[Tensor, "maze step row column"]:
    """For each square what `values` [maze, row, column] holds one step up, right, down and left; `wall` outside."""
    padded = F.pad(values, (1, 1, 1, 1), value=wall)
    return torch.stack([padded[:, :-2, 1:-1], padded[:, 1:-1, 2:], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2]], 1)


def distances(mazes: Bool[Tensor, "maze row column"], goal: Int[Tensor, "maze"]) -> Float[Tensor, "maze row column"]:
    """The number of steps from each square to the square number `goal` of its maze; infinite on walls."""
    far = torch.full((len(mazes), SQUARES), math.inf)
    far = far.scatter(1, goal[:, None], 0.0).view_as(mazes)
    while True:
        nearer = torch.minimum(far, 1 + after_steps(far, math.inf).amin(1)).masked_fill(~mazes, math.inf)
        if torch.equal(nearer, far):
            return far
        far = nearer


def observe(mazes: Bool[Tensor, "maze row column"], cheese: Int[Tensor, "maze"]) -> Float[Tensor, "maze 2 row column"]:
    """What a policy sees: 1 on open squares, and 1 on the cheese."""
    return torch.stack([mazes, F.one_hot(cheese, SQUARES).view_as(mazes).bool()], 1).float()


# Policies


class Policy(nn.Module):
    """Convolutions of 3 by 3 squares, each added to what it reads; then the four logits and a value of every square.

    `acts` are called on the activations after the first convolution and after each later one.
    """

    def __init__(self, recipe: MazeRecipe = RECIPE, generator: Generator | None = None):
        super().__init__()
        generator = generator or Generator().manual_seed(recipe.seed)
        self.first = nn.Conv2d(2, recipe.channels, 3, padding=1)
        self.later = nn.ModuleList(
            nn.Conv2d(recipe.channels, recipe.channels, 3, padding=1) for _ in range(recipe.layers)
        )
        self.head = nn.Conv2d(recipe.channels, len(STEPS) + 1, 1)
        with torch.no_grad():
            for conv in (module for module in self.modules() if isinstance(module, nn.Conv2d)):
                conv.bias = nn.Parameter(torch.zeros(conv.out_channels))
                scale = 0.01 if conv is self.head else 1.0
                conv.weight.normal_(std=scale * conv.weight[0].numel() ** -0.5, generator=generator)
        self.acts = nn.ModuleList(nn.Identity() for _ in range(recipe.layers + 1))

    def outputs(self, seen: Float[Tensor, "maze 2 row column"]) -> tuple[Tensor, Tensor]:
        """Log-probabilities [maze, step, row, column], of a step into a wall about `CLOSED`; values of all squares."""
        first, *later = self.acts.children()
        acts = first(F.relu(self.first(seen)))
        for conv, hook in zip(self.later, later, strict=True):
            acts = hook(F.relu(acts + conv(acts)))
        logits, value = self.head(acts).split((len(STEPS), 1), dim=1)
        can = after_steps(seen[:, 0], 0.0) > 0
        return logits.masked_fill(~can, CLOSED).log_softmax(1), value[:, 0]

    def forward(self, seen: Float[Tensor, "maze 2 row column"]) -> Float[Tensor, "maze step row column"]:
        return self.outputs(seen)[0]


@cache
def hooked_class() -> type:
    """The policy with TransformerLens's hook points; made on demand, as the import is slow."""
    from transformer_lens import HookedRootModule
    from transformer_lens.hook_points import HookPoint

    class HookedPolicy(Policy, HookedRootModule):
        """A `Policy` whose hook points are called acts.0, acts.1, and so on."""

        def __init__(self, recipe: MazeRecipe = RECIPE):
            super().__init__(recipe)
            self.acts = nn.ModuleList(HookPoint() for _ in self.acts)
            self.setup()

    return HookedPolicy


def hooked(weights: Tensor | None = None, recipe: MazeRecipe = RECIPE) -> nn.Module:
    """A policy with hook points and these weights, all in one row; without them as it is before training."""
    policy = hooked_class()(recipe)
    if weights is not None:
        nn.utils.vector_to_parameters(weights, policy.parameters())
    return policy.eval().requires_grad_(False)


# Training


@torch.no_grad()
def walk(
    log_probs: Float[Tensor, "maze step row column"],
    start: Int[Tensor, "maze agent"],
    cheese: Int[Tensor, "maze"],
    horizon: int,
    generator: Generator | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Agents step as the policy says until they stand on the cheese; without a generator they take the likeliest step.

    Squares and steps, both [time, maze, agent]; whether the agent was still under way then; and [maze, agent] whether
    it arrived.
    """
    by_square, rows = log_probs.flatten(2).transpose(1, 2), torch.arange(len(start))[:, None]
    below, likeliest = by_square.exp().cumsum(-1)[..., :-1], by_square.argmax(-1)
    at, under_way, seen = start, start != cheese[:, None], []
    for _ in range(horizon):
        step = likeliest[rows, at]
        if generator:
            step = (torch.rand(*at.shape, 1, generator=generator) > below[rows, at]).sum(-1)
        seen.append((at, step, under_way))
        at = torch.where(under_way, at + _MOVES[step], at)
        under_way = under_way & (at != cheese[:, None])
    squares, steps, on_the_way = (torch.stack(one) for one in zip(*seen, strict=True))
    return squares, steps, on_the_way, ~under_way


def train_policy(recipe: MazeRecipe, region: int) -> Iterator[Tensor]:
    """The weights, all in one row, before each update and after the last.

    An actor-critic: an agent that arrives in t steps earns discount ** (t - 1), one that gives up earns nothing. The
    gradient is that of the steps' log-probabilities times earnings less the value, which is fitted beside them.
    """
    generator = Generator().manual_seed(recipe.seed)
    policy = Policy(recipe, generator)
    optimizer = torch.optim.Adam(policy.parameters(), lr=recipe.learning_rate)
    rows = torch.arange(recipe.mazes)[None, :, None]
    for update in range(recipe.steps):
        yield nn.utils.parameters_to_vector(policy.parameters()).detach().clone()
        for group in optimizer.param_groups:
            fall = max(0.02, min(1.0, 2 * (1 - update / recipe.steps)))  # the second half
            group["lr"] = recipe.learning_rate * min(1.0, (update + 1) / 50) * fall
        mazes = draw(recipe.mazes, generator, recipe.open_doors)
        cheese = place(mazes, generator, region)
        log_probs, value = policy.outputs(observe(mazes, cheese))
        start = torch.multinomial(mazes.flatten(1).float(), recipe.agents, replacement=True, generator=generator)
        at, step, under_way, arrived = walk(log_probs, start, cheese, recipe.horizon, generator)
        left = under_way.flip(0).cumsum(0).flip(0) - 1  # steps after this one
        earned, weight = arrived * recipe.discount**left, under_way / under_way.sum()
        said, by_square = value.flatten(1)[rows, at], log_probs.flatten(2)
        advantage = (earned - said).detach()
        advantage = advantage / ((advantage.square() * weight).sum().sqrt() + 0.05)
        entropy = -(by_square.exp() * by_square.clamp(min=-50)).sum(1)[rows, at]
        gained = by_square[rows, step, at] * advantage + recipe.entropy * entropy - 0.5 * (earned - said).square()
        optimizer.zero_grad()
        (-(gained * weight).sum()).backward()
        nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
        optimizer.step()
    yield nn.utils.parameters_to_vector(policy.parameters()).detach().clone()


def fit(recipe: MazeRecipe) -> plain.Tensors:
    """The weights of each policy, by the name of its region; of "near" also those kept on the way, as "near-100"."""
    weights = {}
    for name, region in REGIONS.items():
        for update, row in enumerate(train_policy(recipe, region)):
            if name == "near" and str(update) in recipe.kept.split():
                weights[f"{name}-{update}"] = row
        weights[name] = row
    return weights


# Files


@torch.no_grad()
def metrics(recipe: MazeRecipe, tensors: plain.Tensors, n: int = 400) -> dict[str, float]:
    """How often each policy's likeliest steps lead to the cheese, in its own region and anywhere, within 60 steps."""
    generator = Generator().manual_seed(10_000 + recipe.seed)
    mazes = draw(n, generator, recipe.open_doors)
    start, found = place(mazes, generator), {}
    cheeses = {name: place(mazes, generator, region) for name, region in REGIONS.items()}
    for name, row in tensors.items():
        policy = Policy(recipe)
        nn.utils.vector_to_parameters(row, policy.parameters())
        policy = policy.double()
        for where in dict.fromkeys((name.split("-")[0], "anywhere")):
            log_probs = policy(observe(mazes, cheeses[where]).double())
            arrived = walk(log_probs, start[:, None], cheeses[where], 60)[-1]
            found[f"{name}_finds_cheese_{where}"] = arrived.double().mean().item()
    return found


def train(out_dir: str | Path, steps: int | None = None) -> dict:
    """Train the policies again, write them to `out_dir` and return their card. `steps` shortens it for a trial."""
    return plain.train(RECIPE, fit, metrics, out_dir, steps)


def load(where: str | Path | None = None) -> dict[str, nn.Module]:
    """The bundled policies by name, or those in the directory `where`, with TransformerLens's hook points.

    >>> load()["near"](observe(mazes, cheese)).shape  # log-probabilities
    torch.Size([100, 4, 7, 7])
    """
    return {name: hooked(weights) for name, weights in plain.read(RECIPE, where).items()}


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files in `where`, or the bundled ones, that their card does not say."""
    return plain.problems(RECIPE, metrics, where)
