"""Quantized weights take less room and change the answers only a little."""

import copy

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("bitsandbytes")

from intercog_model.inference.context import Context  # noqa: E402
from intercog_model.inference.quantize import quantize  # noqa: E402
from intercog_model.inference.sampler import batched_velocities  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # bitsandbytes reports its missing kernels as warnings


@torch.no_grad()
def answers(model):
    context = Context(model)
    context.add_text([1, 2, 3])
    noise = torch.randn(12, 16, generator=torch.Generator().manual_seed(0))
    return context.fork().decode_logits(5), batched_velocities([context], noise, 0.5, 12, 16)[0]


def size(model):
    layers = model.language_model.model.layers
    return sum(p.numel() * p.element_size() for p in layers.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "share", "error"), [(8, 0.3, 0.03), (4, 0.2, 0.3)])
def test_fewer_bits_take_less_room_and_answer_alike(bits, share, error):
    plain = toys.models()[0].bagel.eval().requires_grad_(False)
    packed = quantize(copy.deepcopy(plain), bits, "cpu")
    assert size(packed) < share * size(plain)
    for ours, theirs in zip(answers(packed), answers(plain), strict=True):
        assert 0 < float((ours - theirs).norm() / theirs.norm()) < error
    assert packed.vae2llm.weight.dtype == torch.float32


def test_other_numbers_of_bits_are_refused():
    with pytest.raises(ValueError, match="3 bits"):
        quantize(toys.models()[0].bagel, 3, "cpu")
