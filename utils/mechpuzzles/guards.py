"""Errors where TransformerLens 4.3 would go on with wrong numbers.

    model = guard(TransformerBridge.boot_native(config))

Every model of `mechpuzzles.load_model` is guarded already. Measured on TransformerLens 4.3.0; tests/test_guards.py
holds each error to a wrong number, and so tells when a later version has mended one.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import nn
    from transformer_lens import TransformerBridge


class SilentlyWrong(RuntimeError):
    """What was asked for would have given a wrong number without a word."""


def guard(model: "TransformerBridge") -> "TransformerBridge":
    """The same model, in eval mode, with an error in place of the silent faults of TransformerLens 4.3.

    - A hook that edits `hook_resid_mid` raises SilentlyWrong: the edit would reach the MLP and not the skip
      connection, so `patching.get_act_patch_resid_mid` patches something else. Reading it is fine.
    - `enable_compatibility_mode()` raises SilentlyWrong if d_vocab or d_mlp equals d_model: it would read the
      square matrix the wrong way round and change the function. `no_processing=True` is fine.
    - A forward pass raises SilentlyWrong if a norm's own eps is not the one that TransformerLens divides by, or
      if a norm was replaced on the bridge while the old one still runs.
    - `boot_native` and `boot_tl_legacy` leave a model in training mode; here it is in eval mode.

    Guarding a model twice is guarding it once.
    """
    guarded, read_only = guarded_classes()
    if not isinstance(model, guarded):
        for block in model.blocks:
            if hasattr(block, "hook_resid_mid"):
                block.hook_resid_mid.__class__ = read_only
        model.norms_as_loaded = norms_of(model)
        model.__class__ = guarded  # methods of a class, unlike functions set on an instance, survive a deepcopy
    return model.eval()


@cache
def guarded_classes() -> tuple[type, type]:
    """The model's class and the class of its hook_resid_mid, with checks; made on demand, as the import is slow."""
    from transformer_lens import TransformerBridge
    from transformer_lens.hook_points import HookPoint

    class GuardedBridge(TransformerBridge):
        __doc__ = guard.__doc__

        def forward(self, *args: Any, **settings: Any) -> Any:
            for norm in self.norms_as_loaded:
                norm.check()
            return super().forward(*args, **settings)

        def enable_compatibility_mode(self, *args: Any, **settings: Any) -> Any:
            if not settings.get("no_processing"):
                refuse_squares(self.cfg)
            return super().enable_compatibility_mode(*args, **settings)

    class ReadOnlyHookPoint(HookPoint):
        """A HookPoint whose forward hooks may look and not touch."""

        def add_hook(self, hook: Any, dir: Literal["fwd", "bwd"] = "fwd", *args: Any, **settings: Any) -> Any:
            return super().add_hook(reading(hook) if dir == "fwd" else hook, dir, *args, **settings)

    return GuardedBridge, ReadOnlyHookPoint


def reading(hook: Any) -> Any:
    """The same hook, with SilentlyWrong raised if it edits what it is given, in place or by what it returns."""

    def reading_hook(activation: Any, hook: Any, original: Any = hook) -> Any:
        version = activation._version
        returned = original(activation, hook=hook)
        if activation._version != version or (returned is not None and returned is not activation):
            raise SilentlyWrong(
                f"{hook.name.replace('ln2.hook_in', 'hook_resid_mid')} can be read but not edited: TransformerLens "
                "adds the unedited residual stream to the MLP's output. Edit hook_resid_pre, hook_resid_post, "
                "hook_attn_out or hook_mlp_out; to change what the MLP alone reads, ln2.hook_normalized."
            )
        return returned

    return reading_hook


def refuse_squares(cfg: Any) -> None:
    """SilentlyWrong if compatibility mode would misread one of the matrices."""
    for axis in ("d_vocab", "d_mlp"):
        if getattr(cfg, axis, None) == cfg.d_model:
            raise SilentlyWrong(
                f"{axis} and d_model are both {cfg.d_model}: compatibility mode takes a weight's orientation from "
                "its shape, and would change what this model computes. Use it as it is, or with no_processing=True."
            )


@dataclass
class Norm:
    """One norm as it was loaded: where the bridge shows it, and where the model runs it."""

    where: str
    shown_by: "nn.Module"
    name: str
    run_by: "nn.Module"
    run_as: str
    norm: Any

    def check(self) -> None:
        """SilentlyWrong if the bridge now shows another norm than runs, or another eps than is divided by."""
        shown, norm = getattr(self.shown_by, self.name), self.norm
        if shown is not norm and getattr(self.run_by, self.run_as) is norm:
            raise SilentlyWrong(
                f"{self.where} is {type(shown).__name__} now, but the norm before it still runs. Use that norm's "
                "set_original_component(...), and set its use_native_layernorm_autograd."
            )
        used = getattr(norm.config, "eps", None)
        says = vars(norm).get("eps", getattr(norm.original_component, "eps", used))
        by_itself = getattr(norm, "use_native_layernorm_autograd", False) or getattr(
            norm.config, "layer_norm_folding", False
        )
        if says != used and ("eps" in vars(norm) or not by_itself):
            raise SilentlyWrong(
                f"{self.where} says eps={says:g}, but TransformerLens divides with eps={used:g}, from the config. "
                "Set config.layer_norm_epsilon of the Hugging Face model before TransformerLens takes it."
            )


def norms_of(model: "TransformerBridge") -> list[Norm]:
    """The norms that the bridge both shows and runs."""
    places = [(f"blocks[{i}].{name}", block, name) for i, block in enumerate(model.blocks) for name in ("ln1", "ln2")]
    found = []
    for where, holder, name in [*places, ("ln_final", model, "ln_final")]:
        norm = getattr(holder, name, None)
        parent = holder.original_model if holder is model else holder.original_component
        paths = [path for path, module in parent.named_modules() if module is norm] if norm is not None else []
        if paths and hasattr(norm, "config"):
            above, _, run_as = paths[0].rpartition(".")
            found.append(Norm(where, holder, name, parent.get_submodule(above), run_as, norm))
    return found
