"""A training step depends on shapes alone: it runs with tensors that hold no values, forward and backward."""

import pytest

torch = pytest.importorskip("torch")

from dataclasses import fields, is_dataclass, replace  # noqa: E402

from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.backbone.layers import set_recompute  # noqa: E402
from intercog_model.data.example import TextToImageExample, UnderstandingExample  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.training.objective import term_counts, total_loss  # noqa: E402
from tests.intercog_model import toys  # noqa: E402


def without_values(value, mode):
    """A copy of a batch whose tensors have a shape and nothing else."""
    if isinstance(value, torch.Tensor):
        return mode.from_tensor(value)
    if isinstance(value, (list, tuple)):
        return type(value)(without_values(item, mode) for item in value)
    if is_dataclass(value):
        return replace(value, **{f.name: without_values(getattr(value, f.name), mode) for f in fields(value)})
    return value


def chain(**changes):
    return toys.batch([toys.example("a"), toys.example("b", size=(48, 64))], **changes)


def general():
    picture = toys.example().source
    return toys.batch(
        [
            UnderstandingExample(key="u", image=picture, question="What?", answer="A box."),
            TextToImageExample(key="t", caption="A box.", image=picture),
            toys.example("no mask", boxes=()),
        ]
    )


OTHER = {"vit_target": "connector", "vv_region": "target", "text": "section 2", "hidden": "before norm"}


@pytest.mark.parametrize(
    ("batch", "readings", "recompute"),
    [(chain, {}, "full"), (chain, OTHER, "selective"), (general, {}, "none")],
)
def test_forward_and_backward_need_no_values(batch, readings, recompute):
    real = batch()
    with FakeTensorMode() as mode:
        model, vae = toys.models(**readings)
        model.config = replace(model.config, reweight_ce=True)
        set_recompute(model, recompute)
        fake = without_values(real, mode)
        counts = term_counts(fake, model.config)
        sums = model(fake, toys.latents(vae, fake), DenseAttend(dense_masks(fake.packed)))
        total_loss(sums, counts, model.config).backward()
    assert isinstance(next(iter(sums.values())), FakeTensor)
    assert [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None] == []
    assert {name for name in sums if counts[name]} == {name for name in counts if counts[name]}
