"""Where a recipe's sequences come from: windows of Python source, or a task whose right answers are known.

Every source draws windows [batch, n_ctx + 1] of tokens: n_ctx inputs and, one place later, their targets.
"""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from mechpuzzles.zoo.recipes import BEGIN, Recipe

Windows = Int[Tensor, "batch window_pos"]

NAMES = [
    "Ada",
    "Alan",
    "Anna",
    "Ben",
    "Carl",
    "Cleo",
    "Dan",
    "Dora",
    "Ella",
    "Emil",
    "Eva",
    "Finn",
    "Gus",
    "Hana",
    "Hugo",
    "Ida",
    "Igor",
    "Iris",
    "Jack",
    "June",
    "Karl",
    "Kim",
    "Lena",
    "Leo",
    "Lily",
    "Luca",
    "Mara",
    "Max",
    "Mia",
    "Nils",
    "Nora",
    "Olga",
    "Omar",
    "Otto",
    "Paul",
    "Rosa",
    "Ruth",
    "Sam",
    "Tom",
    "Zoe",
]
FILLERS = [
    "the",
    "park",
    "shop",
    "lake",
    "then",
    "later",
    "today",
    "once",
    "again",
    "home",
    "quite",
    "early",
    "book",
    "cake",
    "ball",
    "drink",
]
WORDS = ("<begin>", *NAMES, "and", "went", "gave", "to", *FILLERS)  # the vocabulary of "names", in order
GIVER_POS = 12
BETWEEN = (5, 2, 1)  # fillers before the names, before the subject, and before the last "to"


def python(recipe: Recipe, stream: Int[Tensor, " n_tokens"], generator: torch.Generator) -> Windows:
    """Windows of `stream` that start anywhere; with `recipe.begin` their first token is the begin token instead."""
    starts = torch.randint(len(stream) - recipe.n_ctx, (recipe.batch, 1), generator=generator)
    windows = stream[starts + torch.arange(recipe.n_ctx + 1)]
    if recipe.begin:
        windows[:, 0] = BEGIN
    return windows


def repeats(recipe: Recipe, generator: torch.Generator) -> Windows:
    """The begin token, then sequences most of which repeat with a random period of 4 to n_ctx / 2.

    Half the rows are uniform tokens, and all of those repeat. The others follow a fixed bigram language, in
    which each token has four successors (probabilities 0.5, 0.25, 0.15, 0.1); half of those repeat too.
    """
    rows, length = recipe.batch, recipe.n_ctx
    language = torch.Generator().manual_seed(42)
    successors = torch.randint(1, recipe.d_vocab, (recipe.d_vocab, 4), generator=language)
    odds = torch.tensor([0.5, 0.25, 0.15, 0.1])
    tokens = torch.randint(1, recipe.d_vocab, (rows, length), generator=generator)
    choices = torch.multinomial(odds, rows // 2 * length, replacement=True, generator=generator).view(-1, length)
    for pos in range(1, length):
        tokens[: rows // 2, pos] = successors[tokens[: rows // 2, pos - 1], choices[:, pos]]
    period = torch.randint(4, length // 2 + 1, (rows, 1), generator=generator)
    period[: rows // 4] = length  # these do not repeat
    tokens = tokens.gather(1, torch.arange(length) % period)
    return torch.cat([torch.full((rows, 1), BEGIN), tokens], dim=1)


def shown_twice(n: int, length: int, d_vocab: int, generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """The begin token, `length` different random tokens, and the same tokens again: [n, 1 + 2 length].

    Raises ValueError if the vocabulary is too small for that.
    """
    if length >= d_vocab:
        raise ValueError(f"{length} different tokens cannot be drawn from a vocabulary of {d_vocab} with a begin token")
    once = 1 + torch.rand(n, d_vocab - 1, generator=generator).argsort(-1)[:, :length]
    return torch.cat([torch.full((n, 1), BEGIN), once, once], dim=1)


def names(recipe: Recipe, generator: torch.Generator) -> Windows:
    """Indirect objects: "Ada and Ben went ... Ben gave ... to", and the answer "Ada", as tokens of WORDS.

    Both orders of the two names, and either of them as the giver, are equally likely.
    Source of the task: Wang et al. 2022, "Interpretability in the Wild".
    """
    first = torch.randint(len(NAMES), (recipe.batch,), generator=generator)
    second = (first + torch.randint(1, len(NAMES), (recipe.batch,), generator=generator)) % len(NAMES)
    gives = torch.randint(2, (recipe.batch,), generator=generator).bool()
    n_fillers = sum(BETWEEN)
    fillers = torch.randint(len(FILLERS), (recipe.batch, n_fillers), generator=generator)
    return name_windows(1 + first, 1 + second, gives, fillers + WORDS.index(FILLERS[0]))


def name_windows(
    first: Int[Tensor, " batch"],
    second: Int[Tensor, " batch"],
    first_gives: Bool[Tensor, " batch"],
    fillers: Int[Tensor, "batch filler"],
) -> Windows:
    """The sentences of `names` with these name tokens and filler tokens; the last column is the answer."""
    giver, receiver = torch.where(first_gives, first, second), torch.where(first_gives, second, first)

    def word(text: str) -> Int[Tensor, " batch"]:
        return torch.full_like(first, WORDS.index(text))

    lead, middle, end = (list(part.unbind(1)) for part in fillers.split(BETWEEN, dim=1))
    columns = [word("<begin>"), *lead, first, word("and"), second, word("went"), *middle]
    return torch.stack([*columns, giver, word("gave"), *end, word("to"), receiver], dim=1)


TASKS: dict[str, Callable[[Recipe, torch.Generator], Windows]] = {"repeats": repeats, "names": names}
