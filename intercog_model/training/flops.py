"""Floating-point operations of a training step, counted of the work that its gradients need."""

from dataclasses import dataclass

from torch import nn

from intercog_model.packing.batch import PackedBatch
from intercog_model.packing.masks import visible_pairs
from intercog_model.training.lora import LoraLinear
from intercog_model.training.objective import InterCog

# of a decoder layer, in the order that rows pass them: norms, linear layers, whether the experts' rows meet behind
STAGES = (
    (("input_layernorm",), ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), True),
    (("self_attn.q_norm", "self_attn.k_norm"), ("self_attn.o_proj",), True),
    (("post_attention_layernorm",), ("mlp.gate_proj", "mlp.up_proj"), False),
    ((), ("mlp.down_proj",), True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFlops:
    """Forward and backward of one row of each kind, and of one visible pair of rows, over the whole language model.

    A row passes one expert only. Of each weight that it meets, 2 operations are counted for the forward pass, 2 for the
    weight's gradient where the weight is trained, and 2 for the gradient of what goes in where something before it is
    trained: 6 in all of a network that is trained whole, 4 of a frozen one behind a trained vision encoder, 2 where
    nothing before it is trained either. An adapter's two weights are counted beside the frozen one. Attention: 4 per
    head channel and pair, 12 with its gradients. ViT, autoencoder, heads of training and recomputation are left out, so
    that a share of the peak is a lower bound.
    """

    und: float
    gen: float
    text: float  # of a row with a text loss, at the output head
    pair: float

    def of(self, packed: PackedBatch) -> float:
        """Of a step with this pack."""
        rows = self.und * len(packed.und_indexes) + self.gen * len(packed.vae_indexes)
        return rows + self.text * len(packed.ce_indexes) + self.pair * visible_pairs(packed)


def row_flops(model: InterCog) -> RowFlops:
    """Of a network that is prepared for training, sharded or not, by which of its parameters have a gradient."""
    bagel, frozen = model.bagel, model.config.freeze_und
    language = bagel.language_model
    inputs = (
        language.model.embed_tokens,
        bagel.vit_model,
        bagel.connector,
        bagel.time_embedder,
        bagel.vae2llm,
    )
    counted, pair = {"und": 0.0, "gen": 0.0}, 0.0
    needed = dict.fromkeys(
        counted, any(map(_trained, inputs))
    )  # whether a gradient goes on behind these rows
    for layer in language.model.layers:
        for norms, linears, meet in STAGES:
            for expert in counted:
                needed[expert] |= any(_trained(_part(layer, norm, expert)) for norm in norms)
                parts = [_part(layer, name, expert) for name in linears]
                still = expert == "und" and frozen  # its rows are cut off from every gradient
                counted[expert] += sum(_linear(part, needed[expert], still=still) for part in parts)
                needed[expert] |= any(map(_trained, parts))
            if meet:
                needed = dict.fromkeys(needed, any(needed.values()))
            if "self_attn.q_proj" in linears:
                pair += 4.0 * language.config.hidden_size * (3 if needed["gen"] else 1)
    needed["und"] |= _trained(language.model.norm) or _trained(language.model.norm_moe_gen)
    text = _linear(language.lm_head, needed["und"] and not frozen)
    return RowFlops(und=counted["und"], gen=counted["gen"], text=text, pair=pair)


def _linear(layer: nn.Module, needed: bool, *, still: bool = False) -> float:
    """Of one row; `needed` is the gradient of what goes in, `still` leaves all gradients out."""
    assert isinstance(layer, nn.Linear)
    size = layer.in_features * layer.out_features
    own = layer.weight.requires_grad and not still
    flops = 2.0 * size * (1 + own + (needed and not still))
    if isinstance(layer, LoraLinear):
        flops += 2.0 * layer.lora_down.numel() * (1 if still else 2 + needed)
        flops += 2.0 * layer.lora_up.numel() * (1 if still else 3)
    return flops


def _part(layer: nn.Module, name: str, expert: str) -> nn.Module:
    if expert == "gen":
        name = name.replace("mlp.", "mlp_moe_gen.") if name.startswith("mlp.") else f"{name}_moe_gen"
    return layer.get_submodule(name)


def _trained(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())
