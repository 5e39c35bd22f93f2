"""Each guard stands before a wrong number: the number is shown on the unguarded model, the error on the guarded one.

If one of the wrong numbers is right one day, TransformerLens has mended it, and the guard can go.
"""

import copy

import pytest
import torch
from torch import nn
from transformer_lens import TransformerBridge, TransformerBridgeConfig, patching
from transformers import AutoTokenizer, GPT2Config, GPT2LMHeadModel

from mechpuzzles import load_model, zoo
from mechpuzzles.guards import SilentlyWrong, guard
from mechpuzzles.quiet import quietly

from .hf_layouts import D_MLP, D_MODEL, D_VOCAB, N_CTX

SHAPE = {"n_layer": 2, "n_head": 3, "n_positions": N_CTX, "bos_token_id": 0, "eos_token_id": 0}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def tokens():
    return torch.randint(200, (2, N_CTX))


def hf_model(**changes):
    """A small GPT-2 with every weight random."""
    settings = SHAPE | {"vocab_size": D_VOCAB, "n_embd": D_MODEL, "n_inner": D_MLP, "attn_implementation": "eager"}
    model = GPT2LMHeadModel(GPT2Config(**(settings | changes))).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model


def bridge(model):
    """TransformerLens's own view of it, unguarded."""
    tokenizer = AutoTokenizer.from_pretrained(zoo.directory("mini-gpt2"))
    with quietly():
        return TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=tokenizer, device="cpu")


def native(**changes):
    """A small model of TransformerLens's own kind, with every weight random."""
    shape = {"d_model": 24, "d_head": 8, "n_heads": 3, "n_layers": 2, "n_ctx": N_CTX, "d_vocab": 280, "d_mlp": 40}
    settings = shape | {"act_fn": "gelu_new", "normalization_type": "LN", "init_weights": False} | changes
    with quietly():
        model = TransformerBridge.boot_native(TransformerBridgeConfig(**settings))
    for parameter in model.parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return model


def log_prob_gap(a, b):
    return (a.log_softmax(-1) - b.log_softmax(-1)).abs().max().item()


# hook_resid_mid


def patched(model, name, clean, corrupted):
    """The corrupted run with the whole clean activation at one hook."""
    _, cache = model.run_with_cache(clean)
    return model.run_with_hooks(corrupted, fwd_hooks=[(name, lambda activation, hook: cache[name].clone())])


@pytest.mark.parametrize("make", [lambda: bridge(hf_model()), native], ids=["hf", "native"])
def test_resid_mid_is_read_and_not_edited(make, tokens):
    model, corrupted = make().eval(), tokens.roll(1)
    right = model(tokens)
    assert torch.allclose(patched(model, "blocks.1.hook_resid_post", tokens, corrupted), right, atol=1e-4)
    wrong = patched(model, "blocks.1.hook_resid_mid", tokens, corrupted)
    assert (wrong - right).abs().max() > 0.1, "hook_resid_mid works now: the guard can go"

    model = guard(model)
    with pytest.raises(SilentlyWrong, match=r"blocks.1.hook_resid_mid can be read but not edited"):
        patched(model, "blocks.1.hook_resid_mid", tokens, corrupted)
    _, cache = model.run_with_cache(tokens)
    assert cache["resid_mid", 1].shape == (2, N_CTX, 24)
    assert torch.equal(model(tokens), right)  # no hook stayed behind


def test_resid_mid_is_not_edited_in_place_or_by_patching_either(tokens):
    model = guard(bridge(hf_model()))

    def zero(activation, hook):
        activation[:] = 0

    with pytest.raises(SilentlyWrong):
        model.run_with_hooks(tokens, fwd_hooks=[("blocks.0.hook_resid_mid", zero)])
    _, cache = model.run_with_cache(tokens.roll(1))
    with pytest.raises(SilentlyWrong):
        patching.get_act_patch_resid_mid(model, tokens, cache, lambda logits: logits[0, -1, 0])
    assert patching.get_act_patch_resid_pre(model, tokens, cache, lambda logits: logits[0, -1, 0]).shape == (2, N_CTX)


# Square matrices


@pytest.mark.parametrize(
    ("make", "axis"),
    [
        (lambda: bridge(hf_model(vocab_size=D_MODEL * 9, n_embd=D_MODEL * 9, n_head=2)), "d_vocab"),
        (lambda: native(d_mlp=24), "d_mlp"),
    ],
    ids=["hf vocabulary", "native mlp"],
)
def test_compatibility_mode_refuses_square_matrices(make, axis, tokens):
    torch.manual_seed(1)
    unguarded = make().eval()
    torch.manual_seed(1)
    model = make().eval()
    right = model(tokens)
    assert torch.equal(unguarded(tokens), right)
    unguarded.enable_compatibility_mode(disable_warnings=True)
    assert log_prob_gap(unguarded(tokens), right) > 0.01, "square matrices are read rightly now: the guard can go"

    model = guard(model)
    with pytest.raises(SilentlyWrong, match=f"{axis} and d_model are both"):
        model.enable_compatibility_mode(disable_warnings=True)
    assert torch.equal(model(tokens), right)
    model.enable_compatibility_mode(no_processing=True, disable_warnings=True)
    assert log_prob_gap(model(tokens), right) < 1e-4


def test_compatibility_mode_is_left_alone_where_it_is_right(tokens):
    model = guard(bridge(hf_model()))
    before = model(tokens)
    model.enable_compatibility_mode(disable_warnings=True)
    assert log_prob_gap(model(tokens), before) < 1e-4


# The eps of a LayerNorm


def set_module_eps(model):
    for block in model.blocks:
        block.ln1.original_component.eps = 10.0


def set_bridge_eps(model):
    model.blocks[0].ln1.eps = 10.0


def set_cfg_eps(model):
    model.cfg.eps = 10.0


def replace_on_the_bridge(model):
    model.blocks[0].ln1 = nn.Identity()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (set_module_eps, r"blocks\[0\].ln1 says eps=10, but TransformerLens divides with eps=1e-05"),
        (set_bridge_eps, r"blocks\[0\].ln1 says eps=10, but TransformerLens divides with eps=1e-05"),
        (set_cfg_eps, r"ln_final says eps=1e-05, but TransformerLens divides with eps=10"),
        (replace_on_the_bridge, r"blocks\[0\].ln1 is Identity now, but the norm before it still runs"),
    ],
)
def test_a_norm_that_is_not_what_it_says_is_an_error(change, words, tokens):
    model = bridge(hf_model())
    before = model(tokens)
    change(model)
    half_done = torch.allclose(model(tokens), before, atol=1e-5)
    assert half_done or change is set_cfg_eps  # which reaches the last norm alone

    model = guard(bridge(hf_model()))
    change(model)
    for run in (model, model.run_with_cache, lambda tokens: model.run_with_hooks(tokens, fwd_hooks=[])):
        with pytest.raises(SilentlyWrong, match=words):
            run(tokens)


def test_an_eps_that_was_set_on_the_module_before_loading_is_an_error(tokens):
    hf = hf_model()
    for block in hf.transformer.h:
        block.ln_1.eps = block.ln_2.eps = 10.0
    with torch.no_grad():
        right = hf(tokens).logits
    model = bridge(hf)
    assert (model(tokens) - right).abs().max() > 0.1, "a module's own eps is used now: the guard can go"
    with pytest.raises(SilentlyWrong, match="says eps=10"):
        guard(model)(tokens)


def test_the_right_ways_to_change_or_remove_a_norm_pass(tokens):
    hf = hf_model(layer_norm_epsilon=10.0)
    with torch.no_grad():
        right = hf(tokens).logits
    model = guard(bridge(hf))
    assert torch.allclose(model(tokens), right, atol=1e-4)
    model.blocks[0].ln1.set_original_component(nn.Identity())
    model.blocks[0].ln1.use_native_layernorm_autograd = True
    changed = model(tokens)
    assert (changed - right).abs().max() > 0.1
    assert changed.isfinite().all()


# Training mode, and being guarded


def test_a_native_model_is_in_eval_mode():
    model = native()
    assert model.training, "boot_native leaves models in eval mode now: the guard can go"
    assert not guard(model).training


@pytest.mark.parametrize("name", ["mini-gpt2", "mini-noln", "mini-induction"])
def test_loaded_models_are_guarded_once_and_their_copies_too(name):
    model = load_model(name)
    tokens = torch.randint(60, (2, 10))
    assert guard(model) is model
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.W_E.mul_(0)
    assert not torch.allclose(twin(tokens), model(tokens))
    twin.blocks[0].ln1.eps = 1.0
    with pytest.raises(SilentlyWrong):
        twin(tokens)
    model(tokens)


def test_a_native_model_without_norms_is_guarded_and_runs(tokens):
    assert torch.isfinite(guard(native(normalization_type=None))(tokens)).all()
