"""The eps of a norm, found again from rows before and after it; the ViT's also by repeating the norm bit for bit."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from intercog_model.parity.golden import Golden, GoldenFile
from intercog_model.parity.implied_values import PREFILL, VIT, Files
from intercog_model.parity.stated_values import SPREAD, ULP, Implied, close

USUAL_EPS = (1e-12, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4)


def check_rms_eps(golden: Golden, files: Files) -> None:
    """By the rows' eps."""
    stated = golden.config.llm.rms_norm_eps
    close(golden, "llm.rms_norm_eps", stated, implied_rms_eps(golden, files), relative=0.02)


def check_vit_eps(golden: Golden, files: Files) -> None:
    """By repeating the norm bit for bit, where some eps does; else by the rows' eps."""
    file = files[VIT]
    stated, implied = golden.config.vit.layer_norm_eps, implied_vit_eps(golden, files)
    near = torch.linspace(implied.value - implied.noise, implied.value + implied.noise, 41).tolist()
    candidates = [eps for eps in (*USUAL_EPS, *near) if eps > 0]
    share = {eps: _repeated_rows(golden, file, eps) for eps in (stated, *candidates)}
    best = max(share, key=lambda eps: share[eps])
    if share[best] > 0.9 and share[stated] < 0.5:
        # on hardware that rounds the norm otherwise no value repeats the rows, and nothing is claimed
        note = f"{stated:g} stated, {best:g} repeats {share[best]:.0%} of the rows bit for bit"
        golden.report.miss("cases.json: config.vit.layer_norm_eps", note)
    else:
        close(golden, "vit.layer_norm_eps", stated, implied, relative=0.1)


def implied_rms_eps(golden: Golden, files: Files) -> Implied:
    """From the scale of the first layer's cached values, which are linear in the normed embedding."""
    file = files[PREFILL]
    layer: Any = golden.model.language_model.model.layers[0]
    x = golden.model.embed_text(file.tensors["in.text_a"]).double()
    projection = layer.self_attn.v_proj
    plain = (x * layer.input_layernorm.weight) @ projection.weight.double().T
    cached = file.tensors["step0_text.cache.value"][0].flatten(1).double()[1 : 1 + len(x)] - projection.bias
    return eps_of_rows(cached, plain, x.square().mean(1))


def implied_vit_eps(golden: Golden, files: Files) -> Implied:
    """From the ViT's last norm, whose input and output are both stored."""
    file, norm = files[VIT], golden.model.vit_model.vision_model.post_layernorm
    x = file.tensors[f"mid.layer{golden.config.vit.num_hidden_layers - 1}"].double()
    centered = x - x.mean(1, keepdim=True)
    normed = file.tensors["out.vit"].double() - norm.bias.double()
    return eps_of_rows(normed, centered * norm.weight.double(), centered.square().mean(1))


def eps_of_rows(normed: Tensor, plain: Tensor, squares: Tensor) -> Implied:
    """The eps that turns rows `plain` [R, C] of mean square `squares` [R] into `normed` [R, C].

    A norm rounds one reciprocal root per row, so each row's eps is off by about the mean square x ULP.
    """
    factor = (normed * plain).sum(1) / plain.square().sum(1)
    rows = factor**-2 - squares
    middle = rows.median()
    # 1.4826: deviation of a normal draw from its median absolute deviation; 1.2533: the median's loss to the mean
    seen = 1.2533 * 1.4826 * float((rows - middle).abs().median())
    expected = float(squares.median()) * ULP
    return Implied(float(middle), SPREAD * max(seen, expected) * len(rows) ** -0.5)


def _repeated_rows(golden: Golden, file: GoldenFile, eps: float) -> float:
    """Share of the stored ViT rows that the last norm gives exactly, with this eps."""
    norm = golden.model.vit_model.vision_model.post_layernorm
    x = file.tensors[f"mid.layer{golden.config.vit.num_hidden_layers - 1}"]
    ours = F.layer_norm(x, x.shape[1:], norm.weight, norm.bias, eps)
    return float((ours == file.tensors["out.vit"]).all(1).double().mean())
