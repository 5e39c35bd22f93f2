"""The bundled dictionary: its files, its arithmetic, its recipe."""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import load_model, zoo
from mechpuzzles.zoo import corpus, dictionary, training
from mechpuzzles.zoo.dictionary import SparseAutoencoder
from mechpuzzles.zoo.recipes import DICTIONARY


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread():
        yield


@pytest.fixture
def copy(tmp_path):
    """A copy of the bundled dictionary to damage."""
    return shutil.copytree(dictionary.directory(), tmp_path / DICTIONARY.name)


def planted(n=6000, seed=0):
    """Vectors of which each is the sum of few of 20 directions in 12 dimensions, away from the origin."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.nn.functional.normalize(torch.randn(20, 12, generator=generator), dim=1)
    on = torch.rand(n, 20, generator=generator) < 0.06
    amounts = on * (1 + torch.rand(n, 20, generator=generator))
    return 5 * (amounts @ directions + 2), directions


SMALL = replace(DICTIONARY, d_dictionary=40, l1=0.25, steps=800, batch=256, learning_rate=1e-2, warmup=50)


# The files


def test_the_files_are_as_the_card_says():
    assert dictionary.problems() == []


def test_it_is_small_and_within_its_budget():
    assert sum(path.stat().st_size for path in dictionary.directory().iterdir()) < 600_000
    assert json.loads((dictionary.directory() / "recipe.json").read_text())["cpu_seconds"] < 300


def test_the_card_holds_the_whole_recipe_and_its_circumstances():
    card = json.loads((dictionary.directory() / "recipe.json").read_text())
    assert asdict(DICTIONARY).items() <= card.items()
    assert card["hook"] == "blocks.2.hook_resid_pre"
    assert card["text"].startswith("CPython 3.")
    assert len(card["text_sha256"]) == 64
    assert card["description"].endswith(".")
    assert card["metrics"]["held_out_explained_variance"] > 0.75
    assert card["metrics"]["held_out_active_units"] < 30
    assert card["metrics"]["held_out_dead_share"] < 0.05


def test_the_bundled_dictionary_describes_what_the_bundled_model_does():
    """On text that neither has seen, by the hook that the dictionary names."""
    sae, model = dictionary.load(), load_model(DICTIONARY.model)
    ids = model.tokenizer("".join(corpus.package_source("einops")))["input_ids"]
    tokens = torch.tensor(ids[: 64 * 128]).view(64, 128)
    with torch.no_grad():
        x = model.run_with_cache(tokens, names_filter=sae.hook)[1][sae.hook].flatten(0, 1)
    metrics = dictionary.held_out_metrics(sae, x)
    assert metrics["held_out_explained_variance"] > 0.7
    assert metrics["held_out_active_units"] < 35
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(1024), rtol=0, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in sae.parameters())
    other = load_model(DICTIONARY.model).run_with_cache(tokens[:8], names_filter="blocks.1.hook_resid_pre")[1]
    elsewhere = dictionary.held_out_metrics(sae, other["blocks.1.hook_resid_pre"].detach().flatten(0, 1))
    assert (
        elsewhere["held_out_explained_variance"] < metrics["held_out_explained_variance"] - 0.1
    )  # it is for one place


def test_damage_is_found(copy):
    weights = load_file(copy / "model.safetensors")
    weights["W_dec"][3] *= 1.5
    save_file(weights, copy / "model.safetensors")
    checksum, *metrics = dictionary.problems(copy)
    assert "its sha256 is not the card's" in checksum
    assert any(f"{copy}: decoder_norms_off_one_by is" in sentence for sentence in metrics)


def test_missing_added_and_unreadable_files_are_reported(copy):
    (copy / "notes.txt").write_text("mine")
    (copy / "model.safetensors").write_bytes(b"nothing")
    added, changed, unreadable = dictionary.problems(copy)
    assert added == f"{copy / 'notes.txt'} is not on the card."
    assert changed.startswith(f"{copy / 'model.safetensors'} is damaged")
    assert unreadable.startswith(f"{copy / 'model.safetensors'} cannot be read (")
    (copy / "notes.txt").unlink()
    (copy / "model.safetensors").unlink()
    assert dictionary.problems(copy) == [f"{copy / 'model.safetensors'} is missing."]


def test_a_dictionary_of_another_model_is_reported(copy):
    card = json.loads((copy / "recipe.json").read_text())
    card["model_sha256"] = "0" * 64
    (copy / "recipe.json").write_text(json.dumps(card))
    [sentence] = dictionary.problems(copy)
    assert sentence == f"{copy} was trained on other weights than those of the bundled mini-python."
    del card["model_sha256"]
    (copy / "recipe.json").write_text(json.dumps(card))
    assert dictionary.problems(copy) == [
        f"{copy / 'recipe.json'} does not say on which weights of mini-python it was trained."
    ]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_an_unreadable_card_is_reported(copy, content):
    (copy / "recipe.json").unlink()
    if content is not None:
        (copy / "recipe.json").write_text(content)
    [sentence] = dictionary.problems(copy)
    assert sentence.startswith(f"{copy / 'recipe.json'} is not a readable card (")


def test_loading_needs_torch_alone():
    code = (
        "import sys\nfrom mechpuzzles.zoo import dictionary\ndictionary.load()\n"
        "print([name for name in ('transformers', 'transformer_lens') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


# The arithmetic


def test_encoding_and_decoding_are_what_the_docstring_says():
    sae = SparseAutoencoder(3, 5)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(parameter.numel()))
    x = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    acts, back = sae.encode(x), sae(x)
    for i in range(2):
        for j in range(4):
            for unit in range(5):
                before = sum((x[i, j, d] - sae.b_dec[d]) * sae.W_enc[d, unit] for d in range(3)) + sae.b_enc[unit]
                assert acts[i, j, unit].item() == pytest.approx(max(0.0, before.item()), abs=1e-5)
            for d in range(3):
                value = sum(acts[i, j, unit] * sae.W_dec[unit, d] for unit in range(5)) + sae.b_dec[d]
                assert back[i, j, d].item() == pytest.approx(value.item(), abs=1e-5)


def test_the_metrics_are_what_their_names_say():
    sae = SparseAutoencoder(2, 3)
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
        sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
        sae.b_enc[2] = -1.0
    x = torch.tensor([[1.0, 0.0], [2.0, 3.0], [-2.0, 0.0], [3.0, 1.0]])  # the negative one is lost
    metrics = dictionary.held_out_metrics(sae.requires_grad_(False), x)
    assert metrics["held_out_active_units"] == pytest.approx(5 / 4)
    assert metrics["held_out_dead_share"] == pytest.approx(1 / 3)
    assert metrics["held_out_explained_variance"] == pytest.approx(1 - 4 / (14 + 6))


# The recipe


def test_a_training_finds_planted_directions_at_any_scale():
    x, directions = planted()
    sae = dictionary.fit(SMALL, x)
    metrics = dictionary.held_out_metrics(sae, planted(seed=0)[0])
    assert metrics["held_out_explained_variance"] > 0.9
    found = (directions @ sae.W_dec.T).max(dim=1).values
    chance = (directions @ torch.nn.functional.normalize(torch.randn(40, 12), dim=1).T).max(dim=1).values
    assert found.mean() > 0.9 > chance.mean()
    again = dictionary.fit(SMALL, 100 * x)
    torch.testing.assert_close(again.W_dec, sae.W_dec, rtol=0, atol=2e-2)
    assert (sae.W_dec.norm(dim=1) - 1).abs().max() < 1e-5


def test_a_larger_l1_leaves_fewer_units_active():
    x, _ = planted()
    active = [
        dictionary.held_out_metrics(dictionary.fit(replace(SMALL, l1=l1, steps=300), x), x)["held_out_active_units"]
        for l1 in (0.1, 3.0)
    ]
    assert active[1] < 0.7 * active[0]


def tiny_corpus():
    texts = tuple(f"def add_{i}(x, y):\n    return x + y + {i}\n" for i in range(90))
    return corpus.Corpus("a few functions", texts[12:], texts[:12])


def test_a_short_training_writes_a_whole_dictionary(tmp_path):
    card = dictionary.train(tmp_path / "first", steps=20, corpus=tiny_corpus())
    again = dictionary.train(tmp_path / "again", steps=20, corpus=tiny_corpus())
    assert card == json.loads((tmp_path / "first" / "recipe.json").read_text())
    assert card["sha256"] == again["sha256"]
    assert card["steps"] == 20
    assert card["text"] == "a few functions"
    assert dictionary.problems(tmp_path / "first") == []
    assert dictionary.load(tmp_path / "first").W_dec.shape == (1024, 128)


def test_the_activations_are_those_of_the_hook():
    """By transformers, on the model's own tokens, as by TransformerLens; and each text begins with one begin token."""
    texts = tiny_corpus().train
    x = dictionary.activations(DICTIONARY, texts)
    model = load_model(DICTIONARY.model)
    stream = [token for text in texts for token in (0, *model.tokenizer(text, add_special_tokens=False)["input_ids"])]
    with torch.no_grad():
        cache = model.run_with_cache(torch.tensor([stream[:128]]), names_filter=DICTIONARY.hook)[1]
    torch.testing.assert_close(x[:128], cache[DICTIONARY.hook][0], rtol=0, atol=1e-4)
    few = dictionary.activations(DICTIONARY, texts, most=200)
    assert len(few) == 256
    assert len(x) > len(few)


def test_it_lies_with_the_models():
    assert dictionary.directory().parent == zoo.WEIGHTS
    assert DICTIONARY.model in zoo.names()
