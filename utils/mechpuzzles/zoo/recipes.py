"""The recipes of the bundled models: one dataclass, one instance for each model."""

from dataclasses import dataclass

BEGIN = 0  # the token that begins a text or a sequence, in every bundled model


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a bundled model's weights, the text and the machine apart.

    Recipes that differ in one field share all their random draws (see `mechpuzzles.zoo.gpt.init_weights`), so
    a difference between two bundled models is due to that field.

    Raises ValueError if d_vocab or d_mlp equals d_model: TransformerLens reads a weight's orientation from
    its shape, and on a square matrix `enable_compatibility_mode` silently changes the function.
    """

    name: str
    description: str  # honest words, shown wherever the model stands in for another; no spoiler
    construction: str = ""  # what was done to it
    task: str = "python"  # where its sequences come from, see `mechpuzzles.zoo.tasks`
    begin: bool = False  # every sequence of Python source begins with the begin token
    last_only: bool = False  # only the last position's prediction is trained
    layernorm: bool = True  # else every LayerNorm only centres, and scales by a constant
    tied: bool = True  # W_U is W_E transposed
    offset: float = 0.0  # norm of the vector added to every row of W_E at initialisation, in mean row norms
    n_layers: int = 2
    d_model: int = 64
    n_heads: int = 2
    d_mlp: int | None = 256  # None: attention only
    n_ctx: int = 64
    d_vocab: int = 2048
    steps: int = 1500
    batch: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.1
    warmup: int = 100
    seed: int = 0

    def __post_init__(self):
        for axis in ("d_vocab", "d_mlp"):
            if getattr(self, axis) == self.d_model:
                raise ValueError(f"{axis} equals d_model ({self.d_model}): TransformerLens misreads square matrices")
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} does not divide d_model={self.d_model}")

    @property
    def d_head(self) -> int:
        return self.d_model // self.n_heads


_TRAINED = "two layers, 2,048 tokens, trained on the source of Python's standard library"
_DEEP = _TRAINED.replace("two", "eight")

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("mini-gpt2", f"{_TRAINED}.", construction="W_U is W_E transposed, as in GPT-2."),
        Recipe("mini-untied", f"{_TRAINED}.", construction="W_U and W_E are trained apart.", tied=False),
        Recipe(
            "mini-neo",
            f"{_TRAINED}. It was constructed to show GPT-Neo's symptom; the cause in GPT-Neo may differ.",
            construction="One vector, eight mean row norms long, was added to every row of W_E at initialisation.",
            offset=8.0,
        ),
        Recipe("mini-deep", f"{_DEEP}.", construction="W_U is W_E transposed, as in GPT-2.", n_layers=8),
        Recipe(
            "mini-python",
            f"{_TRAINED.replace('two', 'three')}; the text model with the longest training.",
            construction="W_U is W_E transposed, as in GPT-2.",
            n_layers=3,
            d_model=128,
            n_heads=4,
            d_mlp=512,
            n_ctx=128,
            steps=2600,
        ),
        Recipe(
            "mini-noln",
            f"{_TRAINED}, without LayerNorm.",
            construction="Every LayerNorm only centres: it divides by a constant. The files have gpt2_noLN's layout.",
            layernorm=False,
        ),
        Recipe(
            "mini-1l",
            "one layer of attention and one MLP, 1,024 tokens, trained on the source of Python's standard library.",
            construction="W_U and W_E are trained apart.",
            begin=True,
            tied=False,
            n_layers=1,
            n_heads=4,
            d_mlp=512,
            d_vocab=1024,
            steps=3000,
            batch=32,
            learning_rate=3e-3,
        ),
        Recipe(
            "mini-induction",
            "two attention layers, 64 tokens that are no words, trained on random sequences that repeat.",
            construction="Attention only.",
            task="repeats",
            tied=False,
            d_mlp=None,
            n_heads=4,
            n_ctx=48,
            d_vocab=65,
            steps=6000,
            batch=64,
            learning_rate=3e-3,
            weight_decay=0.3,
        ),
        Recipe(
            "toy-ioi",
            "two attention layers, 61 words, trained to say who is given something.",
            construction="Attention only.",
            task="names",
            last_only=True,
            tied=False,
            d_mlp=None,
            n_heads=4,
            n_ctx=16,
            d_vocab=61,
            steps=700,
            batch=256,
        ),
    )
}

# What is no language model has a module of its own here, with its recipe and `train`, `load` and `problems`.
OTHERS = {
    "mini-python-dictionary": "dictionary",
    "mini-clock": "clock",
    "mini-curves": "curves",
    "mini-maze": "mazes",
    "mini-gpt2-tuned": "finetune",
    "mini-induction-onset": "onset",
}

WITH_HISTORY = ("mini-gpt2", "mini-untied")  # W_E is kept at some steps of their training


@dataclass(frozen=True)
class DictionaryRecipe:
    """Everything that decides the dictionary's weights, its model, the text and the machine apart."""

    name: str
    description: str
    model: str  # the bundled model whose activations it takes apart
    layer: int  # it reads this block's hook_resid_pre
    d_dictionary: int
    l1: float  # weight of the units' summed activations beside the squared error, at a mean squared norm of d_model
    tokens: int  # so many activations, drawn from the model's own training text
    steps: int
    batch: int
    learning_rate: float
    warmup: int  # steps over which the learning rate and the l1 weight rise
    seed: int = 0

    @property
    def hook(self) -> str:
        """TransformerLens's name of the activations."""
        return f"blocks.{self.layer}.hook_resid_pre"


DICTIONARY = DictionaryRecipe(
    "mini-python-dictionary",
    "a sparse autoencoder of 1,024 units for mini-python's residual stream before its last layer.",
    model="mini-python",
    layer=2,
    d_dictionary=1024,
    l1=2.0,
    tokens=500_000,
    steps=4000,
    batch=1024,
    learning_rate=5e-3,
    warmup=200,
)
