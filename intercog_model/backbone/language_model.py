"""The Mixture-of-Transformers language model: two experts per layer, one shared attention.

Shape suffixes: L packed tokens, D hidden width, H query heads, K key heads, d head width.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from intercog_model.backbone.attention import Attend, RMSNorm, rope_table, rotate
from intercog_model.backbone.layers import Layer
from intercog_model.config import LanguageConfig


@dataclass(frozen=True, slots=True)
class Routing:
    """Which packed rows each expert works on: disjoint index sets that together cover all rows.

    `gen` None means that every row is an understanding row and the generation expert is not run at all;
    an empty `gen` runs it on zero rows, so that all processes of a sharded model use the same weights.
    """

    und: Tensor
    gen: Tensor | None

    def apply(self, x: Tensor, und: Callable[[Tensor], Tensor], gen: Callable[[Tensor], Tensor]) -> Tensor:
        """Row-wise result [L, ...] of each row's own expert."""
        if self.gen is None:
            return und(x)
        und_out, gen_out = und(x[self.und]), gen(x[self.gen])
        out = und_out.new_empty(x.shape[0], *und_out.shape[1:])
        out[self.und] = und_out
        out[self.gen] = gen_out.to(out.dtype)
        return out

    def detach_und(self, x: Tensor) -> Tensor:
        """X with no gradient through the understanding rows."""
        return self.apply(x, Tensor.detach, lambda rows: rows)


class FeedForward(nn.Module):
    """SwiGLU: down(silu(gate(x)) * up(x))."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_LD: Tensor) -> Tensor:
        """[L, D]."""
        out_LD: Tensor = self.down_proj(F.silu(self.gate_proj(x_LD)) * self.up_proj(x_LD))
        return out_LD


class SharedAttention(nn.Module):
    """Projections and QK norms per expert (suffix `_moe_gen`), one joint attention over all rows."""

    o_proj: nn.Linear
    o_proj_moe_gen: nn.Linear

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        width, head = config.hidden_size, config.head_dim
        key_width = config.num_key_value_heads * head
        self.head_dim = head
        for suffix in ("", "_moe_gen"):
            self.add_module(f"q_proj{suffix}", nn.Linear(width, width))
            self.add_module(f"k_proj{suffix}", nn.Linear(width, key_width))
            self.add_module(f"v_proj{suffix}", nn.Linear(width, key_width))
            self.add_module(f"o_proj{suffix}", nn.Linear(width, width, bias=False))
            self.add_module(f"q_norm{suffix}", RMSNorm(head, config.rms_norm_eps))
            self.add_module(f"k_norm{suffix}", RMSNorm(head, config.rms_norm_eps))

    def _project(self, x_LD: Tensor, routing: Routing, name: str, *, norm: bool) -> Tensor:
        def expert(suffix: str) -> Callable[[Tensor], Tensor]:
            def project(rows: Tensor) -> Tensor:
                projected: Tensor = getattr(self, f"{name}_proj{suffix}")(rows)
                heads: Tensor = projected.unflatten(-1, (-1, self.head_dim))
                if not norm:
                    return heads
                normed: Tensor = getattr(self, f"{name}_norm{suffix}")(heads)
                return normed

            return project

        return routing.apply(x_LD, expert(""), expert("_moe_gen"))

    def forward(
        self, x_LD: Tensor, routing: Routing, rope: tuple[Tensor, Tensor], freeze_und: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Rotated and normed queries [L, H, d] and keys [L, K, d], and values [L, K, d]."""
        q_LHd = self._project(x_LD, routing, "q", norm=True)
        k_LKd = self._project(x_LD, routing, "k", norm=True)
        v_LKd = self._project(x_LD, routing, "v", norm=False)
        if freeze_und:
            q_LHd, k_LKd, v_LKd = (routing.detach_und(x) for x in (q_LHd, k_LKd, v_LKd))
        return rotate(q_LHd, rope), rotate(k_LKd, rope), v_LKd

    def join_heads(self, out_LHd: Tensor, routing: Routing) -> Tensor:
        """Attention branch of a layer [L, D] from the heads' outputs."""
        return routing.apply(out_LHd.flatten(1), self.o_proj, self.o_proj_moe_gen)


class DecoderLayer(Layer):
    """Pre-norm layer with an understanding and a generation expert."""

    input_layernorm: RMSNorm
    input_layernorm_moe_gen: RMSNorm
    post_attention_layernorm: RMSNorm
    post_attention_layernorm_moe_gen: RMSNorm

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.self_attn = SharedAttention(config)
        self.mlp = FeedForward(config)
        self.mlp_moe_gen = FeedForward(config)
        for suffix in ("", "_moe_gen"):
            for name in ("input_layernorm", "post_attention_layernorm"):
                self.add_module(name + suffix, RMSNorm(config.hidden_size, config.rms_norm_eps))

    def forward(
        self,
        x_LD: Tensor,
        routing: Routing,
        rope: tuple[Tensor, Tensor],
        attend: Attend,
        layer: int,
        freeze_und: bool,
    ) -> Tensor:
        """Residual stream after the layer, [L, D]."""

        def run(x_LD: Tensor) -> Tensor:
            heads = self.run_half(self.before_attention, x_LD, routing, rope, freeze_und)
            return self.run_half(self.after_attention, x_LD, attend(layer, *heads), routing, freeze_und)

        return self.run_whole(run, x_LD)

    def before_attention(
        self, x_LD: Tensor, routing: Routing, rope: tuple[Tensor, Tensor], freeze_und: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of the layer."""
        normed = routing.apply(x_LD, self.input_layernorm, self.input_layernorm_moe_gen)
        q_k_v: tuple[Tensor, Tensor, Tensor] = self.self_attn(normed, routing, rope, freeze_und)
        return q_k_v

    def after_attention(self, x_LD: Tensor, out_LHd: Tensor, routing: Routing, freeze_und: bool) -> Tensor:
        """Residual stream after the layer, from the one before it and the heads' outputs."""
        branch = self.self_attn.join_heads(out_LHd, routing)
        x_LD = x_LD + (routing.detach_und(branch) if freeze_und else branch)
        branch = routing.apply(
            x_LD,
            lambda rows: self.mlp(self.post_attention_layernorm(rows)),
            lambda rows: self.mlp_moe_gen(self.post_attention_layernorm_moe_gen(rows)),
        )
        return x_LD + (routing.detach_und(branch) if freeze_und else branch)


class Decoder(nn.Module):
    """Embedding, layers and the final norm of each expert."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.norm_moe_gen = RMSNorm(config.hidden_size, config.rms_norm_eps)


class LanguageModel(nn.Module):
    """The decoder stack and the untied output head."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(
        self,
        x_LD: Tensor,
        routing: Routing,
        position_ids: Tensor,
        attend: Attend,
        *,
        keep_layers: Collection[int] = (),
        freeze_und: bool = False,
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Last hidden state [L, D] after each expert's final norm, and the residual streams asked for.

        `keep_layers`: 1-based layer numbers whose output, before any final norm, is returned by number; the
        stream is taken in this loop and not by a hook, which recomputation would fire twice.
        """
        wrong = [n for n in keep_layers if not 1 <= n <= len(self.model.layers)]
        if wrong:
            raise ValueError(f"layer numbers {wrong} are outside 1..{len(self.model.layers)}")
        rope = rope_table(position_ids, self.config.head_dim, self.config.rope_theta)
        if freeze_und:
            x_LD = routing.detach_und(x_LD)
        kept: dict[int, Tensor] = {}
        for index, layer in enumerate(self.model.layers):
            x_LD = layer(x_LD, routing, rope, attend, index, freeze_und)
            if index + 1 in keep_layers:
                kept[index + 1] = x_LD
        last_LD = routing.apply(x_LD, self.model.norm, self.model.norm_moe_gen)
        return (routing.detach_und(last_LD) if freeze_und else last_LD), kept
