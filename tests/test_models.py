"""load_model: bundled models, directories in three real layouts, the Hub reached, cached and lost."""

import argparse
import inspect
import json
import os
import shutil
import subprocess
import sys
import threading
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, RepositoryNotFoundError
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from transformer_lens import TransformerBridge
from transformer_lens.model_bridge import sources
from transformers import AutoModelForCausalLM

from mechpuzzles import load_model, models, zoo
from mechpuzzles.models import ModelNotFound, UnusableCheckpoint, describe, stands_in
from mechpuzzles.quiet import quietly

from .hf_layouts import D_VOCAB, EMBEDDING, END_OF_TEXT, N_CTX, TEXTS, write_checkpoint, write_tokenizer
from .hub import serving_hub
from .timing import cpu_seconds


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("MECHPUZZLES_OFFLINE", raising=False)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """One directory for each layout; tests that damage one copy it first."""
    root = tmp_path_factory.mktemp("checkpoints")
    return {layout: write_checkpoint(layout, root / layout) for layout in EMBEDDING}


@pytest.fixture
def damaged(checkpoints, tmp_path):
    """A copy of the GPT-2 directory."""
    return shutil.copytree(checkpoints["gpt2"], tmp_path / "damaged")


@pytest.fixture
def hub(monkeypatch, checkpoints):
    """A Hub that answers with the GPT-Neo directory and an empty cache; both keep what they were asked."""
    asked = SimpleNamespace(names=[], downloads=[], info=None)
    files = [path.name for path in checkpoints["gpt_neo"].iterdir()]
    files += ["pytorch_model.bin", "flax_model.msgpack", "onnx/config.json", "README.md"]
    asked.info = lambda name: SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])

    def model_info(self, name, timeout):
        asked.names.append(name)
        return asked.info(name)

    def snapshot_download(name, allow_patterns=None, local_files_only=False):
        if local_files_only:
            raise LocalEntryNotFoundError("not in the cache")
        asked.downloads.append(sorted(allow_patterns))
        return str(checkpoints["gpt_neo"])

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return asked


def raising(error):
    def raise_it(*args, **settings):
        raise error

    return raise_it


# What loads


@pytest.mark.parametrize("layout", EMBEDDING)
def test_a_directory_loads_as_transformers_loads_it(layout, checkpoints):
    directory = checkpoints[layout]
    model = load_model(directory)
    assert isinstance(model, TransformerBridge)
    assert not model.training
    with quietly():
        reference = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
    tokens = torch.randint(D_VOCAB, (3, N_CTX), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), reference(tokens).logits, rtol=0, atol=1e-5)
    with safe_open(directory / "model.safetensors", "pt") as weights:
        assert torch.equal(model.W_E.detach(), weights.get_tensor(EMBEDDING[layout]))
    assert describe(model) == f"the checkpoint in {directory}."
    assert not stands_in(model)


@pytest.mark.parametrize("layout", EMBEDDING)
def test_the_tokenizer_goes_there_and_back(layout, checkpoints):
    model = load_model(str(checkpoints[layout]))
    assert model.tokenizer.eos_token == END_OF_TEXT
    for text in (*TEXTS, "words it has never seen: ξ"):
        tokens = model.to_tokens(text, prepend_bos=False, truncate=False)
        assert tokens.max() < D_VOCAB
        assert model.to_string(tokens[0]) == text


@pytest.mark.parametrize("name", zoo.names())
def test_bundled_models_load_by_name(name, capfd):
    model, card = load_model(name.upper()), zoo.card(name)
    assert model.W_E.shape == (card["d_vocab"], card["d_model"])
    assert not model.training
    assert describe(model) == f"{name}, {card['description']}"
    assert model.cfg.model_name == name
    if card["task"] == "python":
        assert model.to_str_tokens("import os")[:2] == [END_OF_TEXT, "import"]
    assert capfd.readouterr() == ("", "")  # a notebook would show it


def test_a_loaded_model_has_about_the_loss_of_its_card():
    model = load_model("mini-gpt2")
    tokens = model.to_tokens(inspect.getsource(argparse), truncate=False)[0]
    windows = tokens[: 100 * model.cfg.n_ctx].view(100, model.cfg.n_ctx)
    with torch.no_grad():
        loss = model(windows, return_type="loss").item()
    # Another text than the card's, and another in each Python; a guess would be log 2048 = 7.6.
    assert loss == pytest.approx(zoo.card("mini-gpt2")["metrics"]["held_out_loss"], abs=0.5)


def test_bundled_models_load_fast_and_without_the_hub(hub, monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", raising(AssertionError("a bundled model asked the network")))
    load_model("mini-neo")  # the first load imports transformers' GPT-2
    assert cpu_seconds(lambda: load_model("mini-neo", fallback="mini-gpt2")) < 2
    assert hub.names == []


def test_importing_is_light():
    heavy = "{'torch', 'transformers', 'transformer_lens', 'huggingface_hub', 'numpy'}"
    code = f"import sys, mechpuzzles.models; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# The Hub


def test_a_reachable_hub_gives_the_real_model(hub, capsys):
    model = load_model("gpt-neo-125m", fallback="mini-neo")
    assert hub.names == ["EleutherAI/gpt-neo-125M"]
    assert model.cfg.d_vocab == D_VOCAB
    assert describe(model) == "EleutherAI/gpt-neo-125M from the Hugging Face Hub."
    assert not stands_in(model)
    assert capsys.readouterr().out == ""
    [wanted] = hub.downloads
    assert {"config.json", "model.safetensors", "vocab.json", "merges.txt"} <= set(wanted)
    assert not {"pytorch_model.bin", "flax_model.msgpack", "onnx/config.json", "README.md"}.intersection(wanted)


WITH_A_HUB = """
from mechpuzzles import load_model
from mechpuzzles.models import describe
model = load_model("gpt-neo-125m", fallback="mini-neo")
print(describe(model), model.cfg.d_vocab)
"""


def test_over_http_a_download_shows_a_bar_and_is_the_real_model(checkpoints, tmp_path):
    """huggingface_hub itself, against a server that has the Hub's addresses."""
    weights = tmp_path / "weights"
    shutil.copytree(checkpoints["gpt_neo"], weights)
    environment = {**os.environ, "HF_HOME": str(tmp_path / "cache"), "NO_PROXY": "*", "no_proxy": "*"}
    del environment["HF_HUB_OFFLINE"]
    with serving_hub({"EleutherAI/gpt-neo-125M": weights}) as address:
        environment["HF_ENDPOINT"] = address
        command = [sys.executable, "-c", WITH_A_HUB]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"EleutherAI/gpt-neo-125M from the Hugging Face Hub. {D_VOCAB}\n"
    assert "100%|" in done.stderr


def test_without_safetensors_the_older_weights_are_downloaded(hub):
    files = [
        "config.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "tokenizer.json",
        "rust_model.ot",
    ]
    hub.info = lambda name: SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])
    load_model("pythia-70m")
    assert hub.downloads == [sorted(files[:-1])]


def test_a_cached_model_is_used_without_asking_the_hub(checkpoints, tmp_path, monkeypatch):
    repository = tmp_path / "models--EleutherAI--gpt-neo-125M"
    shutil.copytree(checkpoints["gpt_neo"], repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("socket.getaddrinfo", raising(AssertionError("a cached model asked the network")))
    for offline in (True, False):
        monkeypatch.setenv("HF_HUB_OFFLINE", str(int(offline)))
        assert describe(load_model("EleutherAI/gpt-neo-125m")) == "EleutherAI/gpt-neo-125M from the Hugging Face Hub."
    (repository / "snapshots" / "abc123" / "model.safetensors").unlink()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFound, match="HF_HUB_OFFLINE is set"):
        load_model("gpt-neo-125m")  # half a download is no model


def test_offline_the_fallback_says_what_it_is(capsys):
    model = load_model("gpt-neo-125m", fallback="mini-neo")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    out = " ".join(lines)
    assert out.startswith("gpt-neo-125m is not in reach. Instead: mini-neo, two layers")
    assert "constructed to show GPT-Neo's symptom; the cause in GPT-Neo may differ" in out
    assert out.endswith("Its numbers are its own.")
    assert describe(model) == out
    assert stands_in(model)


def test_a_directory_can_be_the_fallback(checkpoints, capsys):
    directory = checkpoints["gpt_neox"]
    assert stands_in(load_model("pythia-70m", fallback=directory))
    assert f"pythia-70m is not in reach. Instead: the checkpoint in {directory}." in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.parametrize("switch", ["MECHPUZZLES_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_without_a_fallback_one_error_says_what_is_in_reach(hub, switch, monkeypatch):
    monkeypatch.setenv(switch, "1")
    with pytest.raises(ModelNotFound) as error:
        load_model("gpt-neo-125m")
    for words in (
        "gpt-neo-125m",
        f"{switch} is set",
        *zoo.names(),
        "any checkpoint directory",
        "when online",
    ):
        assert words in str(error.value)
    assert hub.names == []


def test_a_lost_connection_leads_to_the_fallback(hub):
    hub.info = raising(ConnectionError("no route\nand more"))
    assert stands_in(load_model("gpt2", fallback="mini-gpt2"))
    with pytest.raises(ModelNotFound, match=r"not in reach \(ConnectionError: no route\)"):
        load_model("gpt2")


def test_a_silent_hub_is_given_up_soon(hub, monkeypatch):
    wakes, answers = threading.Event(), []
    hub.info = lambda name: answers.append(wakes.wait(5))
    monkeypatch.setattr(models, "PATIENCE", 0.1)
    with pytest.raises(models.HubOutOfReach, match="TimeoutError: no answer"):
        models.hub_files("gpt2")
    assert not answers
    wakes.set()


def test_a_download_that_breaks_off_leads_to_the_fallback(hub, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "snapshot_download", raising(OSError("disk full")))
    assert stands_in(load_model("gpt2", fallback="mini-gpt2"))
    with pytest.raises(ModelNotFound, match="the download broke off, OSError: disk full"):
        load_model("gpt2")


def test_a_name_that_the_hub_does_not_have_is_an_error_despite_the_fallback(hub):
    hub.info = raising(RepositoryNotFoundError("404", response=SimpleNamespace(headers={}, request=None)))
    with pytest.raises(ModelNotFound, match="no directory someone/nothing, and no model of that name on the Hub"):
        load_model("someone/nothing", fallback="mini-neo")


def test_transformer_lens_own_format_has_its_own_loader(hub, monkeypatch):
    bridge = load_model("mini-gpt2").train()
    asked = []

    def boot_tl_legacy(name, device):
        asked.append((name, device))
        return bridge

    monkeypatch.setattr(sources, "boot_tl_legacy", boot_tl_legacy)
    model = load_model("attn-only-2l", fallback="mini-gpt2")
    assert asked == [("NeelNanda/Attn_Only_2L512W_C4_Code", "cpu")]
    assert not model.training
    assert describe(model) == "NeelNanda/Attn_Only_2L512W_C4_Code from the Hugging Face Hub."
    monkeypatch.setattr(sources, "boot_tl_legacy", raising(NotImplementedError("uses shortformer")))
    with pytest.raises(UnusableCheckpoint, match="cannot be loaded: NotImplementedError: uses shortformer"):
        load_model("attn-only-2l-demo")


# Names that lead nowhere


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("mini_neo", ModelNotFound, "did you mean mini-neo"),
        ("gtp2-medium", ModelNotFound, "did you mean gpt2-medium"),
        ("pythia-70", ModelNotFound, "pythia-70m"),
        ("Qqqqqqqqq", ModelNotFound, "bundled are mini-gpt2, mini-untied, mini-neo"),
        ("", ModelNotFound, "the model's name is empty"),
        (" \n", ModelNotFound, "the model's name is empty"),
        ("./nowhere", ModelNotFound, "there is no directory nowhere"),
        ("/nowhere/at/all", ModelNotFound, "there is no directory /nowhere/at/all"),
        (zoo.WEIGHTS / "mini-nothing", ModelNotFound, "there is no directory"),
        (__file__, UnusableCheckpoint, "test_models.py is a file; a checkpoint is the directory"),
        # With annotations checked at run time, the parameter is named first.
        (None, TypeError, "parameter 'name'|a model's name is a string or a path, not NoneType"),
        (7, TypeError, "parameter 'name'|a model's name is a string or a path, not int"),
    ],
)
def test_a_bad_name_is_an_error_despite_the_fallback(name, error, words):
    with pytest.raises(error, match=words):
        load_model(name, fallback="mini-neo")


def test_a_misspelt_fallback_is_found_before_it_is_needed(hub):
    with pytest.raises(ModelNotFound, match="the fallback 'mini-nwo' is no directory and none of the bundled mini"):
        load_model("gpt2", fallback="mini-nwo")
    assert hub.names == []


# Checkpoints that are not whole


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["config.json"], "lacks config.json"),
        (["model.safetensors"], "lacks weights"),
        (["vocab.json"], "lacks a tokenizer"),
        (["merges.txt"], "lacks a tokenizer"),
        (["vocab.json", "merges.txt", "tokenizer_config.json"], "lacks a tokenizer"),
    ],
)
def test_a_missing_file_is_named(damaged, files, words):
    for file in files:
        (damaged / file).unlink()
    with pytest.raises(UnusableCheckpoint, match=words) as error:
        load_model(damaged, fallback="mini-gpt2")
    assert str(damaged) in str(error.value)


def spoil_config(directory):
    (directory / "config.json").write_text("{")


def spoil_architecture(directory):
    (directory / "config.json").write_text('{"model_type": "clip", "architectures": ["CLIPModel"]}')


def spoil_unknown_architecture(directory):
    (directory / "config.json").write_text('{"model_type": "nobody", "architectures": ["NobodyLMHeadModel"]}')


def spoil_weights(directory):
    (directory / "model.safetensors").write_bytes(b"not weights")


def spoil_one_tensor(directory):
    tensors = load_file(directory / "model.safetensors")
    del tensors["h.1.mlp.c_fc.weight"]
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def spoil_shape(directory):
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"n_positions": N_CTX + 1}))


def spoil_shards(directory):
    (directory / "model.safetensors").unlink()
    index = {"weight_map": {"wte.weight": "model-00001-of-00002.safetensors"}}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))


def spoil_index(directory):
    (directory / "model.safetensors").unlink()
    (directory / "model.safetensors.index.json").write_text("[]")


def spoil_tokenizer(directory):
    write_tokenizer(directory, in_one_file=False, d_vocab=D_VOCAB + 5)


def spoil_vocabulary(directory):
    (directory / "vocab.json").write_text("{}")
    (directory / "merges.txt").write_text("#version: 0.2\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (spoil_config, "config.json is no JSON object with an architecture"),
        (
            spoil_architecture,
            r"\(CLIPModel\) cannot be loaded: .*Could not determine supported architecture from config$",
        ),
        (spoil_unknown_architecture, r"\(NobodyLMHeadModel\) cannot be loaded: .*model type `nobody`"),
        (spoil_weights, r"\(GPT2LMHeadModel\) cannot be loaded: SafetensorError"),
        (spoil_one_tensor, "1 tensors are not among its weights, such as transformer.h.1.mlp.c_fc.weight"),
        (spoil_shape, "1 tensors have another shape than by its config, such as transformer.wpe.weight"),
        (spoil_shards, "lacks model-00001-of-00002.safetensors"),
        (spoil_index, "lacks a readable model.safetensors.index.json"),
        (spoil_tokenizer, f"a tokenizer of {D_VOCAB + 5} tokens and a model of {D_VOCAB}"),
        (spoil_vocabulary, "a tokenizer without any token"),
    ],
)
def test_a_damaged_checkpoint_is_an_error_despite_the_fallback(damaged, spoil, words, capfd):
    spoil(damaged)
    with pytest.raises(UnusableCheckpoint, match=words) as error:
        load_model(damaged, fallback="mini-gpt2")
    assert str(damaged) in str(error.value)
    assert capfd.readouterr().err == ""


# Models of integer tokens


@pytest.fixture
def native(tmp_path):
    """A copy of mini-induction to damage."""
    return shutil.copytree(zoo.directory("mini-induction"), tmp_path / "native")


def test_a_native_model_cannot_fall_short_of_its_weights(native):
    weights = load_file(native / "model.safetensors")
    save_file({name: tensor for name, tensor in weights.items() if "attn.q" not in name}, native / "model.safetensors")
    with pytest.raises(UnusableCheckpoint, match=r"other weights than its native.json says: layers.0.*q.*weight"):
        load_model(native)


def test_native_weights_beside_the_settings_are_an_error(native):
    settings = json.loads((native / "native.json").read_text())
    (native / "native.json").write_text(json.dumps(settings | {"n_layers": 1}))
    with pytest.raises(UnusableCheckpoint, match=r"other weights than its native.json says: layers.1.*"):
        load_model(native)
    (native / "native.json").write_text(json.dumps(settings | {"d_vocab": 66}))
    with pytest.raises(UnusableCheckpoint, match="cannot be loaded: RuntimeError: "):
        load_model(native)


@pytest.mark.parametrize("content", ["{", "[]", '{"d_model": 64}', '{"nonsense": 1}'])
def test_unreadable_native_settings_are_an_error(native, content):
    (native / "native.json").write_text(content)
    with pytest.raises(UnusableCheckpoint, match="cannot be loaded"):
        load_model(native)


def test_native_weights_may_not_be_missing(native):
    (native / "model.safetensors").unlink()
    with pytest.raises(UnusableCheckpoint, match="cannot be loaded: FileNotFoundError"):
        load_model(native)
