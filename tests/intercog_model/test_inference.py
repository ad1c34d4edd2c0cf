"""Cached contexts equal one packed forward, routes agree, and guidance meets its limits."""

import pytest

torch = pytest.importorskip("torch")

from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.inference.context import Context  # noqa: E402
from intercog_model.inference.guidance import NO_GUIDANCE, Guidance, guided_velocity  # noqa: E402
from intercog_model.inference.sampler import (  # noqa: E402
    GuidedContexts,
    batched_velocities,
    separate_velocities,
    velocity,
)
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.packing.plan import TextItem, VaeItem, VitItem  # noqa: E402
from tests.intercog_model import toys  # noqa: E402


def test_the_cached_chain_equals_the_packed_forward():
    model, vae = toys.models()
    built = toys.build([toys.example()])[0]
    batch = toys.batch([toys.example()])
    with torch.no_grad():
        out = model.run_backbone(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
    packed, context, seen = batch.packed, Context(model.bagel), 0
    for item in built.sample.items:
        span = packed.span(0, item.name)
        if isinstance(item, TextItem):
            context.add_text(list(item.ids))
        elif isinstance(item, VitItem):
            context.add_vit_image(item.pixels)
        elif item.noised:
            inside = (packed.vae_indexes >= span.start) & (packed.vae_indexes < span.stop)
            noised, t = out.embedded.noised_NC[inside], float(out.embedded.t_N[inside][0])
            v = batched_velocities([context], noised, t, *item.pixels.shape[1:])[0]
            assert_close(v, out.velocity[seen : seen + len(v)], atol=1e-4, rtol=1e-4)
            seen += len(v)
        else:
            assert isinstance(item, VaeItem)
            context.add_vae_image(item.pixels, vae, item.vae_noise)
        assert context.position == int(packed.position_ids[span.stop]) + (
            0 if isinstance(item, VaeItem) and item.noised else 1
        )
    assert seen == len(out.velocity)


def test_decoding_continues_a_text_as_prefilling_does():
    model, _vae = toys.models()
    ids = [5, 6, 7]
    context = Context(model.bagel)
    context.add_text([1, 2])
    step = context.fork()
    tokens = debug_config().tokens
    logits = [step.decode_logits(token) for token in (tokens.text_start, *ids, tokens.text_end)]
    assert step.cache.length == context.cache.length + 5
    context.add_text(ids)
    for ours, whole in zip(step.cache.keys, context.cache.keys, strict=True):
        assert_close(ours[: step.cache.length], whole[: context.cache.length], atol=1e-5, rtol=1e-5)
    assert logits[0].shape == (debug_config().llm.vocab_size,)


def test_drawing_and_generating_leave_the_context_as_it_was():
    model, _vae = toys.models()
    context = Context(model.bagel)
    context.add_text([1, 2, 3])
    before = [key[: context.cache.length].clone() for key in context.cache.keys]
    first = context.generate_text(4)
    batched_velocities([context], torch.randn(4, 16), 0.5, 8, 8)
    assert context.generate_text(4) == first
    assert context.cache.length == 5
    assert all(torch.equal(a, b[:5]) for a, b in zip(before, context.cache.keys, strict=True))


def contexts(model):
    full = Context(model.bagel)
    full.add_text([1, 2])
    image_free = full.fork()
    full.add_vit_image(torch.rand(3, 28, 28))
    text_free = full.fork()
    full.add_text([3, 4, 5])
    image_free.add_text([3, 4, 5])
    return GuidedContexts(full=full, without_text=text_free, without_image=image_free)


def test_the_batched_route_equals_the_separate_passes():
    model, _vae = toys.models()
    group, noise = contexts(model), torch.randn(12, 16)
    for scale in (1.0, 2.0):
        guidance = Guidance(image_scale=scale)
        ways = [
            velocity(group, noise, 0.7, (12, 16), guidance, way)
            for way in (batched_velocities, separate_velocities)
        ]
        assert_close(*ways, atol=1e-5, rtol=1e-5)


def test_guidance_acts_above_the_lower_bound_and_up_to_the_upper():
    guidance = Guidance(text_scale=3.0, image_scale=2.0, interval=(0.4, 0.8))
    assert guidance.scales_at(0.4) == (1.0, 1.0)
    assert guidance.scales_at(0.41) == (3.0, 2.0)
    assert guidance.scales_at(0.8) == (3.0, 2.0)
    assert guidance.scales_at(0.81) == (1.0, 1.0)
    assert Guidance(text_scale=1.0, image_scale=2.0).scales_at(0.5) == (1.0, 1.0)


def test_renorm_never_enlarges_and_stops_at_its_floor():
    full, other = torch.ones(3, 4), torch.ones(3, 4) * 3
    for renorm in ("global", "channel", "text_channel"):
        # 2 * (1 - 3) + 3 = -1 has the norm of 1: nothing to shrink
        guidance = Guidance(text_scale=2.0, image_scale=1.0, renorm=renorm)
        assert_close(guided_velocity(full, other, None, guidance, (2.0, 1.0)), -torch.ones(3, 4))
        # 1.5 * (1 - 3) + 3 = 0 is shorter than 1 and is not made longer
        weak = Guidance(text_scale=1.5, image_scale=1.0, renorm=renorm)
        assert_close(guided_velocity(full, other, None, weak, (1.5, 1.0)), torch.zeros(3, 4))
        # 4 * (1 - 3) + 3 = -5 is five times too long, the floor stops the shrinking at a half
        floor = Guidance(text_scale=4.0, image_scale=1.0, renorm=renorm, renorm_min=0.5)
        assert_close(guided_velocity(full, other, None, floor, (4.0, 1.0)), torch.full((3, 4), -2.5))
    with pytest.raises(ValueError, match="local"):
        Guidance(renorm="local")


def test_without_guidance_only_the_full_context_is_run_and_a_missing_one_is_refused():
    model, _vae = toys.models()
    group, noise = contexts(model), torch.randn(4, 16)
    only = GuidedContexts(full=group.full)
    plain = batched_velocities([group.full], noise, 0.5, 8, 8)[0]
    assert torch.equal(velocity(only, noise, 0.5, (8, 8), NO_GUIDANCE), plain)
    with pytest.raises(ValueError, match="was not given"):
        velocity(only, noise, 0.5, (8, 8), Guidance())
