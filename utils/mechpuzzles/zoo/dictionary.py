"""A sparse autoencoder of a bundled model's activations: its recipe, its training, its files.

Importing this module loads neither transformers nor TransformerLens; `train` does.
"""

import hashlib
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mechpuzzles.zoo import WEIGHTS, measure
from mechpuzzles.zoo import corpus as texts
from mechpuzzles.zoo.measure import CARD_FILE, WEIGHTS_FILE
from mechpuzzles.zoo.recipes import DICTIONARY, RECIPES, DictionaryRecipe

PARAMETERS = ("W_enc", "b_enc", "W_dec", "b_dec")


class SparseAutoencoder(nn.Module):
    r"""A vector as a sum of few of many directions, $x \approx f W_{dec} + b_{dec}$.

    $f = \mathrm{ReLU}((x - b_{dec}) W_{enc} + b_{enc})$, and each row of W_dec has length one. The names are those
    of TransformerLens and SAELens; `hook` says which activations it is for.

    Source: Cunningham et al. 2023 and Bricken et al. 2023 (the subtracted b_dec).
    """

    def __init__(self, d_model: int, d_dictionary: int, hook: str = ""):
        super().__init__()
        self.hook = hook
        self.W_enc = nn.Parameter(torch.zeros(d_model, d_dictionary))
        self.b_enc = nn.Parameter(torch.zeros(d_dictionary))
        self.W_dec = nn.Parameter(torch.zeros(d_dictionary, d_model))
        self.b_dec = nn.Parameter(torch.zeros(d_model))

    def encode(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_dictionary"]:
        """How much of each unit is in x; most are zero."""
        return torch.relu((x - self.b_dec) @ self.W_enc + self.b_enc)

    def decode(self, acts: Float[Tensor, "*batch d_dictionary"]) -> Float[Tensor, "*batch d_model"]:
        """The vector that the units' activations stand for."""
        return acts @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
        return self.decode(self.encode(x))


def directory(name: str = DICTIONARY.name) -> Path:
    """Where the bundled dictionary lies."""
    return WEIGHTS / name


def load(where: str | Path | None = None) -> SparseAutoencoder:
    """The bundled dictionary, or the one in the directory `where`, in float32. Needs torch alone.

    >>> load().W_dec.shape
    torch.Size([1024, 128])
    """
    from safetensors.torch import load_file

    where = Path(where) if where else directory()
    state = load_file(where / WEIGHTS_FILE)
    d_model, d_dictionary = state["W_enc"].shape
    hook = json.loads((where / CARD_FILE).read_text(encoding="utf-8"))["hook"]
    sae = SparseAutoencoder(d_model, d_dictionary, hook)
    sae.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    return sae.eval().requires_grad_(False)


def write(sae: SparseAutoencoder, out_dir: Path) -> None:
    """Write the weights, in float16."""
    measure.write_tensors({name: getattr(sae, name).half() for name in PARAMETERS}, out_dir / WEIGHTS_FILE)


def train(out_dir: str | Path, steps: int | None = None, corpus: texts.Corpus | None = None) -> dict:
    """Train the bundled dictionary again, write it to `out_dir` and return its card.

    `steps` and `corpus` shorten the recipe for a trial. As with the models, another processor, or another patch
    version of Python (whose standard library is the text), gives slightly other weights.
    """
    from mechpuzzles.zoo.training import one_thread

    recipe = DICTIONARY if steps is None else replace(DICTIONARY, steps=steps)
    corpus = corpus or texts.standard_library()
    out_dir = Path(out_dir)
    with one_thread():
        started = time.process_time()
        sae = fit(recipe, activations(recipe, corpus.train, recipe.tokens))
        cpu_seconds = time.process_time() - started
        write(sae, out_dir)
        card = asdict(recipe) | {
            "hook": recipe.hook,
            "model_sha256": model_sha256(recipe),
            "text": corpus.source,
            "text_sha256": corpus.sha256,
            "torch": torch.__version__,
            "cpu_seconds": round(cpu_seconds, 1),
        }
        measure.write_card(card, out_dir)  # load reads the hook from it
        metrics = metrics_of_files(out_dir) | held_out_metrics(load(out_dir), activations(recipe, corpus.held_out))
    return measure.write_card(card, out_dir, metrics)


@torch.no_grad()
def activations(
    recipe: DictionaryRecipe, files: Sequence[str], most: int | None = None
) -> Float[Tensor, "token d_model"]:
    """The model's activations on its own tokens of `files`, at most about `most` of them, drawn from all over."""
    from tokenizers import Tokenizer

    where = WEIGHTS / recipe.model
    model = measure.load_shipped(where)
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))  # as shipped, it puts END_OF_TEXT first by itself
    stream = [token for encoding in tokenizer.encode_batch(list(files)) for token in encoding.ids]
    cut = measure.windows(stream, RECIPES[recipe.model].n_ctx)[:, :-1]
    if most:
        order = torch.randperm(len(cut), generator=torch.Generator().manual_seed(recipe.seed))
        cut = cut[order[: math.ceil(most / cut.shape[1])]]
    return torch.cat([residual(model, chunk, recipe.layer).flatten(0, 1) for chunk in cut.split(64)])


def residual(model, tokens: Int[Tensor, "batch pos"], layer: int) -> Float[Tensor, "batch pos d_model"]:
    """The residual stream before block `layer`; transformers calls it hidden state number `layer`."""
    return model.transformer(tokens, output_hidden_states=True).hidden_states[layer]


def fit(recipe: DictionaryRecipe, x: Float[Tensor, "token d_model"]) -> SparseAutoencoder:
    r"""A dictionary trained on `x` by Adam: squared error plus `l1` times the sum of the activations.

    For the training `x` is divided by one number, so that its mean squared norm is d_model and `l1` means the
    same for every model. The rows of W_dec are kept at length one, else a unit could grow its row, and shrink
    its activation, for nothing. Encoder and decoder start as each other's transpose, b_dec as the mean.
    """
    d_model = x.shape[1]
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    scale = (x.square().sum(1).mean() / d_model).sqrt()
    sae = SparseAutoencoder(d_model, recipe.d_dictionary, recipe.hook)
    with torch.no_grad():
        sae.W_dec.copy_(nn.functional.normalize(torch.randn(sae.W_dec.shape, generator=generator), dim=1))
        sae.W_enc.copy_(sae.W_dec.T)
        sae.b_dec.copy_(x.mean(0) / scale)
    optimizer = torch.optim.Adam(sae.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.999))
    for step in range(recipe.steps):
        rise = min(1.0, (step + 1) / recipe.warmup)
        fall = min(1.0, 5 * (1 - step / recipe.steps))  # the last fifth
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * rise * fall
        rows = x[torch.randint(len(x), (recipe.batch,), generator=generator)] / scale
        acts = sae.encode(rows)
        error = (sae.decode(acts) - rows).square().sum(1).mean()
        loss = error + recipe.l1 * rise * acts.sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            sae.W_dec.div_(sae.W_dec.norm(dim=1, keepdim=True))
    with torch.no_grad():  # back to the model's own scale
        sae.b_enc.mul_(scale)
        sae.b_dec.mul_(scale)
    return sae.eval().requires_grad_(False)


def held_out_metrics(sae: SparseAutoencoder, x: Float[Tensor, "token d_model"]) -> dict[str, float]:
    """How well and how sparsely `sae` describes `x`.

    The share of the variance around the mean that it explains, the mean number of active units per token, and
    the share of units that are active on none.
    """
    acts = sae.encode(x)
    missed = (sae.decode(acts) - x).square().sum()
    return {
        "held_out_explained_variance": (1 - missed / (x - x.mean(0)).square().sum()).item(),
        "held_out_active_units": (acts > 0).sum(1).float().mean().item(),
        "held_out_dead_share": (acts == 0).all(0).float().mean().item(),
    }


def metrics_of_files(where: Path) -> dict[str, float]:
    """What anybody can measure again from the weights alone."""
    sae = load(where)
    enc, dec = sae.W_enc.T.double(), sae.W_dec.double()
    return {
        "decoder_norms_off_one_by": (dec.norm(dim=1) - 1).abs().max().item(),
        "mean_encoder_norm": enc.norm(dim=1).mean().item(),
        "mean_cosine_of_encoder_and_decoder": nn.functional.cosine_similarity(enc, dec).mean().item(),
    }


def model_sha256(recipe: DictionaryRecipe) -> str:
    """Checksum of the weights of the model that the dictionary is for."""
    return hashlib.sha256((WEIGHTS / recipe.model / WEIGHTS_FILE).read_bytes()).hexdigest()


def problems(where: str | Path | None = None) -> list[str]:
    """One sentence for everything about the files in `where`, or the bundled ones, that their card does not say."""
    where = Path(where) if where else directory()
    sentences = measure.problems(where, DictionaryRecipe, lambda recipe, where: metrics_of_files(where))
    try:
        of_model = json.loads((where / CARD_FILE).read_text(encoding="utf-8"))["model_sha256"]
    except (OSError, ValueError, TypeError, KeyError):
        return sentences or [f"{where / CARD_FILE} does not say on which weights of {DICTIONARY.model} it was trained."]
    if of_model != model_sha256(DICTIONARY):
        sentences.append(f"{where} was trained on other weights than those of the bundled {DICTIONARY.model}.")
    return sentences
