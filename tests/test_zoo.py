"""The bundled models: their files, their cards, their recipes."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file

from mechpuzzles import load_model, zoo
from mechpuzzles.zoo import corpus, export, gpt, history, measure, tasks, training
from mechpuzzles.zoo.recipes import RECIPES, WITH_HISTORY, Recipe

MEGABYTE = 1_000_000
TEXT = [name for name, recipe in RECIPES.items() if recipe.task == "python"]
TASKS = [name for name in RECIPES if name not in TEXT]


@pytest.fixture(autouse=True)
def _one_thread():
    with training.one_thread():
        yield


@pytest.fixture
def copy(tmp_path):
    """A copy of mini-neo to damage."""
    return shutil.copytree(zoo.directory("mini-neo"), tmp_path / "mini-neo")


# The files


@pytest.mark.parametrize("name", zoo.bundled())
def test_the_files_are_as_the_card_says(name):
    assert zoo.verify(name) == []


@pytest.mark.parametrize("name", zoo.bundled())
def test_each_model_is_small(name):
    model = (path for path in zoo.directory(name).iterdir() if path.name != history.HISTORY_FILE)
    assert sum(path.stat().st_size for path in model) < 2.1 * MEGABYTE


def test_the_zoo_holds_the_recipes_models_and_is_small():
    assert sorted(path.name for path in zoo.WEIGHTS.iterdir()) == sorted(zoo.bundled())
    assert sum(path.stat().st_size for path in zoo.WEIGHTS.rglob("*")) < 12 * MEGABYTE


@pytest.mark.parametrize("name", zoo.names())
def test_no_weight_is_square(name):
    settings = load_model(name).cfg
    assert settings.d_model not in {settings.d_vocab, settings.d_mlp}


@pytest.mark.parametrize("name", zoo.names())
def test_the_card_holds_the_whole_recipe_and_its_circumstances(name):
    card = zoo.card(name)
    assert asdict(RECIPES[name]).items() <= card.items()
    assert card["torch"]
    assert card["cpu_seconds"] < 600
    assert card["description"].endswith(".")
    if name in TEXT:
        assert card["text"].startswith("CPython 3.")
        assert len(card["text_sha256"]) == 64
        assert card["metrics"]["moving_the_mean_changes_log_probs_by"] < 1e-3


@pytest.mark.parametrize("name", TASKS)
def test_a_task_is_learned_and_a_guess_would_not_do(name):
    metrics = zoo.card(name)["metrics"]
    accuracy = [value for metric, value in metrics.items() if metric.startswith("accuracy")]
    assert min(accuracy) > 0.99
    if name == "mini-induction":  # what was not shown yet cannot be known
        assert metrics["loss_on_first_showing"] > math.log(64) - 0.1


def test_the_model_without_layernorm_has_the_published_layout():
    """As on gpt2_noLN's model card: eps 1e12 and scales of 1e6, and biases of zero, inside the blocks."""
    config = json.loads((zoo.directory("mini-noln") / "config.json").read_text())
    assert config["layer_norm_epsilon"] == 1e12
    weights = load_file(zoo.directory("mini-noln") / "model.safetensors")
    inside = {name: tensor for name, tensor in weights.items() if ".ln_1." in name or ".ln_2." in name}
    assert len(inside) == 8
    for name, tensor in inside.items():
        assert (tensor == (1e6 if name.endswith("weight") else 0)).all()
    assert weights["transformer.ln_f.weight"].std() > 1e4
    assert weights["transformer.ln_f.bias"].std() > 0.01


@pytest.mark.parametrize(
    ("name", "low", "high"), [("mini-gpt2", 0.2, 0.4), ("mini-untied", -0.02, 0.02), ("mini-neo", 0.9, 0.99)]
)
def test_each_embedding_shows_what_its_model_is_for(name, low, high):
    """The loaded W_E, with the cosines of all pairs written out, against the card's closed form."""
    W_E = load_model(name).W_E.detach().double()
    metrics = zoo.card(name)["metrics"]
    for rows, metric in ((W_E, "mean_cosine_raw"), (W_E - W_E.mean(0), "mean_cosine_centred")):
        unit = rows / rows.norm(dim=-1, keepdim=True)
        i, j = torch.triu_indices(len(unit), len(unit), offset=1)
        assert (unit @ unit.T)[i, j].mean().item() == pytest.approx(metrics[metric], abs=1e-6)
    assert low < metrics["mean_cosine_raw"] < high
    assert abs(metrics["mean_cosine_centred"]) < 0.05


def test_the_constructed_model_says_so():
    assert (
        "constructed to show GPT-Neo's symptom; the cause in GPT-Neo may differ" in zoo.card("mini-neo")["description"]
    )


def test_an_unknown_name_is_an_error():
    for ask in (zoo.directory, zoo.card, zoo.verify, zoo.trajectory):
        with pytest.raises(KeyError, match="not a bundled model; these are: mini-gpt2, mini-untied, mini-neo"):
            ask("mini-nwo")
    with pytest.raises(KeyError, match="not a bundled model"):
        zoo.train("mini-nwo", "nowhere")


# Their histories


def test_the_histories_are_there_and_small():
    files = list(zoo.WEIGHTS.rglob(history.HISTORY_FILE))
    assert sorted(path.parent.name for path in files) == sorted(WITH_HISTORY)
    assert sum(path.stat().st_size for path in files) < 3 * MEGABYTE
    for name in WITH_HISTORY:
        assert history.HISTORY_FILE in zoo.card(name)["sha256"]


@pytest.mark.parametrize("name", WITH_HISTORY)
def test_a_trajectory_leads_from_the_first_draw_to_the_bundled_model(name):
    run, recipe = zoo.trajectory(name), RECIPES[name]
    assert run.steps == (0, 94, 188, 375, 750, recipe.steps)
    assert run.W_E.shape == (len(run.steps), recipe.d_vocab, recipe.d_model)
    torch.testing.assert_close(run.W_E[0], gpt.GPT(recipe).tok_embed.weight.detach(), rtol=0, atol=1e-3)  # float16
    assert torch.equal(run.W_E[-1], load_model(name).W_E)
    moved = (run.W_E[1:] - run.W_E[:-1]).norm(dim=-1).mean(-1)
    assert (moved > 0.05).all()
    assert run.counts.sum() == recipe.steps * recipe.batch * (recipe.n_ctx + 1)
    assert 0 < (run.counts == 0).sum() < 200


def test_two_recipes_see_the_same_batches_from_the_same_start():
    tied, untied = (zoo.trajectory(name) for name in ("mini-gpt2", "mini-untied"))
    assert torch.equal(tied.counts, untied.counts)
    assert torch.equal(tied.W_E[0], untied.W_E[0])
    assert not torch.equal(tied.W_E[1], untied.W_E[1])


def test_a_model_without_a_history_says_which_have_one():
    with pytest.raises(KeyError, match="no history of 'mini-neo' was kept; of these it was: mini-gpt2, mini-untied"):
        zoo.trajectory("mini-neo")


def test_steps_are_halved_and_never_kept_twice():
    assert history.kept_steps(1500) == (0, 94, 188, 375, 750, 1500)
    assert history.kept_steps(3) == (0, 1, 2, 3)


def test_loading_a_trajectory_loads_neither_transformers_nor_transformer_lens():
    code = (
        "import sys; from mechpuzzles import zoo; zoo.trajectory('mini-gpt2'); "
        "assert not {'transformers', 'transformer_lens'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Damage


def test_a_changed_history_is_reported(tmp_path):
    copy = shutil.copytree(zoo.directory("mini-untied"), tmp_path / "mini-untied")
    file = copy / history.HISTORY_FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert zoo.verify("mini-untied", copy) == [f"{file} is damaged or was changed: its sha256 is not the card's."]
    file.unlink()
    assert zoo.verify("mini-untied", copy) == [f"{file} is missing."]


def test_one_flipped_bit_is_reported(copy):
    weights = copy / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    sentence = f"{weights} is damaged or was changed: its sha256 is not the card's."
    assert zoo.verify("mini-neo", copy)[0] == sentence


def test_other_weights_are_reported_by_what_they_are(copy):
    weights = copy / "model.safetensors"
    tensors = load_file(weights)
    tensors["transformer.wte.weight"] -= tensors["transformer.wte.weight"].mean(0)
    save_file(tensors, weights, metadata={"format": "pt"})
    checksum, raw, *others = zoo.verify("mini-neo", copy)
    assert "its sha256 is not the card's" in checksum
    assert f"{copy}: mean_cosine_raw is 0.01" in raw
    assert "the card says 0.95" in raw
    assert any("mean_row_over_row_norm" in sentence for sentence in others)


def test_missing_added_and_unreadable_files_are_reported(copy):
    (copy / "tokenizer.json").unlink()
    (copy / "notes.txt").write_text("mine")
    (copy / "model.safetensors").write_bytes(b"nothing")
    missing, added, changed, unreadable = zoo.verify("mini-neo", copy)
    assert missing == f"{copy / 'tokenizer.json'} is missing."
    assert added == f"{copy / 'notes.txt'} is not on the card."
    assert changed.startswith(f"{copy / 'model.safetensors'} is damaged")
    assert unreadable.startswith(f"{copy / 'model.safetensors'} cannot be read (")


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_an_unreadable_card_is_reported(copy, content):
    (copy / "recipe.json").unlink()
    if content is not None:
        (copy / "recipe.json").write_text(content)
    [sentence] = zoo.verify("mini-neo", copy)
    assert sentence.startswith(f"{copy / 'recipe.json'} is not a readable card (")


# The recipes


def test_a_recipe_refuses_square_weights():
    for axis in ("d_vocab", "d_mlp"):
        with pytest.raises(ValueError, match=f"{axis} equals d_model"):
            Recipe("square", "Not to be.", **{axis: 64})
    with pytest.raises(ValueError, match="n_heads=3 does not divide d_model=64"):
        Recipe("ragged", "Not to be.", n_heads=3)


def test_recipes_that_differ_in_one_field_share_their_draws():
    base, untied, neo = (gpt.GPT(RECIPES[name]).state_dict() for name in ("mini-gpt2", "mini-untied", "mini-neo"))
    for name, tensor in base.items():
        if name != "head.weight":
            assert torch.equal(tensor, untied[name])
        if name not in {"head.weight", "tok_embed.weight"}:
            assert torch.equal(tensor, neo[name])
    added = neo["tok_embed.weight"] - base["tok_embed.weight"]
    assert torch.allclose(added, added[0], atol=1e-5)
    mean_norm = base["tok_embed.weight"].norm(dim=-1).mean()
    assert (added[0].norm() / mean_norm).item() == pytest.approx(8, rel=1e-4)


@pytest.mark.parametrize("name", zoo.names())
def test_the_exported_model_computes_what_the_trained_one_does(name, tmp_path):
    recipe = replace(RECIPES[name], d_vocab=300)
    model = gpt.GPT(recipe)
    for parameter in model.parameters():  # random biases and layer norms too; rounded, for the file keeps float16
        parameter.data = (parameter.data + 0.1 * torch.randn_like(parameter)).half().float()
    if recipe.tied:
        model.head.weight = model.tok_embed.weight
    tokens = torch.randint(300, (2, recipe.n_ctx))
    if recipe.task == "python":
        export.write_checkpoint(model, recipe, corpus.train_tokenizer(["a b c"], 300), tmp_path)
        logits = measure.load_shipped(tmp_path)(tokens).logits
    else:
        export.write_native(model, recipe, tmp_path)
        logits = load_model(tmp_path)(tokens)
        assert torch.equal(measure.load_native(recipe, tmp_path)(tokens), model(tokens))
    with torch.no_grad():
        torch.testing.assert_close(logits, model(tokens), rtol=0, atol=1e-4)


def test_the_learning_rate_warms_up_and_falls():
    recipe = RECIPES["mini-gpt2"]
    rates = [training.schedule(step, recipe) for step in range(recipe.steps)]
    peak = rates.index(max(rates))
    assert peak == pytest.approx(recipe.warmup, abs=2)
    assert rates == sorted(rates[:peak]) + sorted(rates[peak:], reverse=True)
    assert rates[0] == pytest.approx(0.01)
    assert rates[-1] == pytest.approx(0.05, abs=1e-4)


def test_windows_share_only_the_token_between_them():
    assert measure.windows(list(range(8)), 3).tolist() == [[0, 1, 2, 3], [3, 4, 5, 6]]
    with pytest.raises(ValueError, match="3 tokens do not fill a context of 3"):
        measure.windows([1, 2, 3], 3)


# Training


def tiny_corpus():
    texts = tuple(f"def add_{i}(x, y):\n    return x + y + {i}\n" for i in range(60))
    return corpus.Corpus("a few functions", texts[6:], texts[:6])


def test_a_short_training_learns_and_writes_a_whole_model(tmp_path):
    card = training.train("mini-neo", tmp_path / "first", steps=20, corpus=tiny_corpus())
    again = training.train("mini-neo", tmp_path / "again", steps=20, corpus=tiny_corpus())
    assert card["first_loss"] == pytest.approx(math.log(2048), abs=0.5)
    assert card["last_loss"] < card["first_loss"] - 0.1
    assert card["steps"] == 20
    assert card["text"] == "a few functions"
    assert card == json.loads((tmp_path / "first" / "recipe.json").read_text())
    assert card["sha256"] == again["sha256"]
    assert zoo.verify("mini-neo", tmp_path / "first") == []
    model = load_model(tmp_path / "first")
    assert model.to_string(model.to_tokens("def add_1(x, y)")[0, 1:]) == "def add_1(x, y)"


def test_a_training_with_a_history_is_the_same_training(tmp_path):
    recipe = replace(RECIPES["mini-untied"], steps=20)
    stream = torch.randint(recipe.d_vocab, (2000,), generator=torch.Generator().manual_seed(0))
    recorder = history.Recorder(recipe)
    draw = partial(tasks.python, recipe, stream)
    (watched, watched_losses), (alone, losses) = training.fit(recipe, draw, recorder), training.fit(recipe, draw)
    assert watched_losses == losses
    assert all(torch.equal(a, b) for a, b in zip(watched.parameters(), alone.parameters(), strict=True))
    card = training.train("mini-untied", tmp_path, steps=20, corpus=tiny_corpus())
    run = history.read(tmp_path)
    assert history.HISTORY_FILE in card["sha256"]
    assert zoo.verify("mini-untied", tmp_path) == []
    assert run.steps == history.kept_steps(20)
    assert len(run.W_E) == len(run.steps)
    assert torch.equal(run.W_E[-1], load_model(tmp_path).W_E)
    assert run.counts.sum() == 20 * recipe.batch * (recipe.n_ctx + 1)


@pytest.mark.parametrize("name", TASKS)
def test_a_short_training_on_a_task_learns_and_writes_a_whole_model(name, tmp_path):
    card = training.train(name, tmp_path / "first", steps=30)
    again = training.train(name, tmp_path / "again", steps=30)
    assert card["last_loss"] < card["first_loss"] - 0.1
    assert card["sha256"] == again["sha256"]
    assert "text" not in card
    assert zoo.verify(name, tmp_path / "first") == []


def test_a_recipe_with_a_begin_token_puts_it_first():
    recipe, stream = replace(RECIPES["mini-gpt2"], begin=True), torch.arange(1, 500)
    first, again = (tasks.python(recipe, stream, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert (first[:, 0] == 0).all()
    assert (first[:, 2:] == first[:, 1:-1] + 1).all()
    assert stream[0] == 1  # the text itself is left as it was


# Tasks


def test_repeats_repeat_where_the_docstring_says():
    recipe = replace(RECIPES["mini-induction"], batch=64)
    tokens = tasks.repeats(recipe, torch.Generator().manual_seed(0))
    assert tokens.shape == (64, recipe.n_ctx + 1)
    assert (tokens[:, 0] == 0).all()
    assert tokens[:, 1:].min() >= 1
    assert tokens.max() < recipe.d_vocab
    body = tokens[:, 1:]
    periods = [
        {period for period in range(4, 25) if torch.equal(row[period:], row[:-period])} for row in body
    ]  # a period's multiples are periods too
    assert not any(periods[:16])
    assert all(periods[16:])
    assert len({min(found) for found in periods[16:]}) > 8


def test_shown_twice_has_no_duplicate_within_a_showing():
    tokens = tasks.shown_twice(20, 23, 65, torch.Generator().manual_seed(0))
    assert tokens.shape == (20, 47)
    assert torch.equal(tokens[:, 1:24], tokens[:, 24:])
    assert all(len(set(row[1:24].tolist())) == 23 for row in tokens)
    assert tokens[:, 1:].min() >= 1
    with pytest.raises(ValueError, match="65 different tokens cannot be drawn from a vocabulary of 65"):
        tasks.shown_twice(1, 65, 65, torch.Generator())


def test_names_are_sentences_with_one_right_answer():
    recipe = replace(RECIPES["toy-ioi"], batch=400)
    tokens = tasks.names(recipe, torch.Generator().manual_seed(0))
    assert tokens.shape == (400, recipe.n_ctx + 1)
    assert len(tasks.WORDS) == len(set(tasks.WORDS)) == recipe.d_vocab
    gives_first = 0
    for row in tokens.tolist():
        words = [tasks.WORDS[token] for token in row]
        assert (words[0], words[7], words[9], words[13], words[15]) == ("<begin>", "and", "went", "gave", "to")
        first, second, giver, receiver = words[6], words[8], words[tasks.GIVER_POS], words[16]
        assert first != second
        assert {giver, receiver} == {first, second}
        gives_first += giver == first
        assert set(words[1:6] + words[10:12] + words[14:15]) <= set(tasks.FILLERS)
    assert 150 < gives_first < 250


def test_a_package_is_text_too():
    files = corpus.package_source("einops")
    assert len(files) > 3
    assert "def rearrange" in "".join(files)
    with pytest.raises(ModuleNotFoundError, match="nowhere is not installed"):
        corpus.package_source("nowhere")


def test_the_corpus_is_code_of_the_standard_library():
    python = corpus.standard_library()
    assert corpus.standard_library().sha256 == python.sha256
    assert len(python.held_out) == (len(python.held_out) + len(python.train)) // 20
    assert not set(python.train) & {text for text in python.held_out if len(text) > 1000}
    assert any("class JSONDecoder" in text for text in (*python.train, *python.held_out))


def test_the_corpus_leaves_out_what_is_not_code_or_not_everywhere(tmp_path):
    kept = ["a.py", "json/b.py"]
    dropped = [
        "test/c.py",
        "json/tests/d.py",
        "site-packages/e.py",
        "encodings/f.py",
        "_sysconfigdata_here.py",
        "g.txt",
    ]
    for file in (*kept, *dropped):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(file)
    assert [path.relative_to(tmp_path).as_posix() for path in corpus.standard_library_files(tmp_path)] == kept
    assert corpus.standard_library(tmp_path).source.endswith("standard library, 2 files, 13 bytes")
    (tmp_path / "a.py").unlink()
    with pytest.raises(FileNotFoundError, match="no Python source of the standard library in"):
        corpus.standard_library(tmp_path)


def test_every_file_starts_with_the_end_of_text_token():
    tokenizer = corpus.train_tokenizer(["x = 1"], 300)
    assert tokenizer.token_to_id(corpus.END_OF_TEXT) == 0
    stream = corpus.token_stream(tokenizer, ["x = 1", "café"])
    assert stream.count(0) == 2
    assert stream[0] == 0
    assert tokenizer.decode(stream) == "x = 1café"
