"""What only a GPU can show: FlexAttention equals dense attention on real shapes, gradients too."""

import pytest

torch = pytest.importorskip("torch")

from intercog_model.backbone.attention import DenseAttend, FlexAttend  # noqa: E402
from intercog_model.packing.masks import flex_mask, split_mask  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU at hand"),
]


class Splits:
    """The part of a packed batch that masks are made of: one chain at 512 pixels."""

    split_lengths = [90, 1026, 1371, 40, 200, 1026, 1026, 1371, 150, 1026]  # noqa: RUF012 - a constant
    split_modes = ["causal", "full", "full", "causal", "causal", "noise", "full", "full", "causal", "noise"]  # noqa: RUF012
    length = sum(split_lengths)
    sample_lengths = [length]  # noqa: RUF012


def test_flex_equals_dense_with_gradients_at_the_released_heads():
    padded = -(-Splits.length // 128) * 128
    masks = [split_mask(Splits.split_lengths, Splits.split_modes).cuda()]
    routes = [DenseAttend(masks), FlexAttend(flex_mask(Splits, padded, "cuda"), compiled=True)]
    found = []
    for attend in routes:
        generator = torch.Generator("cuda").manual_seed(0)
        shapes = ((28, 128), (4, 128), (4, 128))
        inputs = [
            torch.randn(Splits.length, *s, device="cuda", generator=generator, requires_grad=True)
            for s in shapes
        ]
        out = attend(0, *inputs)
        weights = torch.randn(out.shape, device="cuda", generator=generator)
        (out * weights).sum().backward()
        found.append([out.detach(), *(x.grad for x in inputs)])
    for dense, flex in zip(*found, strict=True):
        assert float((dense - flex).norm() / dense.norm()) < 2e-3


def test_a_training_pass_agrees_by_both_routes():
    model, vae = toys.models()
    batch = toys.batch([toys.example("a"), toys.example("b")])
    clean = toys.latents(vae, batch).cuda()
    packed = batch.packed.to("cuda")
    model.bagel.cuda()
    norms = []
    masks = [split_mask(batch.packed.split_lengths[:10], batch.packed.split_modes[:10]).cuda()] * 2
    for attend in (DenseAttend(masks), FlexAttend(flex_mask(batch.packed, 2560, "cuda"), compiled=True)):
        model.zero_grad(set_to_none=True)
        out = model.bagel(packed, clean, attend, timestep_shift=4.0)
        (out.logits.square().mean() + out.velocity.square().mean()).backward()
        norms.append(
            {n: float(p.grad.norm()) for n, p in model.bagel.named_parameters() if p.grad is not None}
        )
    for name, value in norms[0].items():
        assert norms[1][name] == pytest.approx(value, rel=1e-2, abs=1e-5), name
