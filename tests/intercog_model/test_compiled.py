"""Compiled layers draw and write what the plain ones do, and are plain again afterwards."""

import shutil

import pytest

torch = pytest.importorskip("torch")

from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.layers import HALVES  # noqa: E402
from intercog_model.inference.compiled import compiled_layers  # noqa: E402
from intercog_model.inference.context import Context  # noqa: E402
from intercog_model.inference.sampler import batched_velocities  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

COMPILERS = [
    pytest.param("aot_eager", marks=()),
    pytest.param(
        "inductor",
        marks=[pytest.mark.long, pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")],
    ),
]


@pytest.mark.parametrize("backend", COMPILERS)
def test_compiled_layers_give_the_same_words_and_velocities(backend):
    model = toys.models()[0].bagel
    context, other = Context(model), Context(model)
    context.add_text([1, 2, 3])
    other.add_text([4])
    noise = torch.randn(6, model.config.latent_width, generator=torch.Generator().manual_seed(0))
    side = model.config.pixels_per_latent_token

    def outcome():
        words = context.generate_text(8, ignore_end=True)
        return words, torch.stack(batched_velocities([context, other], noise, 0.5, 2 * side, 3 * side))

    plain_words, plain = outcome()
    with compiled_layers(model, backend):
        words, found = outcome()
    assert words == plain_words
    assert_close(found, plain, atol=1e-4, rtol=1e-4)
    assert not any(half in vars(layer) for layer in model.language_model.model.layers for half in HALVES)
