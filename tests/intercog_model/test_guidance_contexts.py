"""Training meets the contexts that guide the edited picture at inference; pictures are sized alike on both sides."""

from dataclasses import dataclass, field
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.draws import Draws  # noqa: E402
from intercog_model.data.plans import guidance_context  # noqa: E402
from intercog_model.inference.chain import ChainSettings, run_chain  # noqa: E402
from intercog_model.inference.context import Context  # noqa: E402
from intercog_model.inference.pipeline import EncodedImage, Pipeline, debug_pipeline  # noqa: E402
from intercog_model.inference.sampler import batched_velocities  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.packing.pack import sample_length  # noqa: E402
from intercog_model.packing.resize import DEBUG_VAE_RULE, DEBUG_VIT_RULE  # noqa: E402
from intercog_model.training.objective import term_counts, total_loss  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

CONTEXTS = ("without text", "without image")


def key_with(context, share=0.5):
    """A key whose sample is trained in that context, at half of all samples for each."""
    return next(k for k in (f"k{i}" for i in range(99)) if guidance_context(Draws(0, k, 0), share) == context)


def names(sample):
    return [item.name for item in sample.items]


def test_each_context_for_guidance_has_its_share_and_a_share_of_0_leaves_every_chain_whole():
    found = [guidance_context(Draws(0, f"k{i}", 7), 0.1) for i in range(4000)]
    for context, share in (("whole", 0.8), ("without text", 0.1), ("without image", 0.1)):
        assert abs(found.count(context) / 4000 - share) < 0.015
    assert {guidance_context(Draws(0, f"k{i}", 7), 0.0) for i in range(200)} == {"whole"}


def test_a_sample_without_its_chain_holds_what_the_context_holds_and_nothing_is_dropped_from_it():
    items = {
        "without text": ["system", "I vae", "I", "O"],
        "without image": ["system", "c", "T1", "T2", "O"],
    }
    for context, expected in items.items():
        example = toys.example(key_with(context))
        # the other kinds of dropping don't touch it
        sample = toys.build([example], drop_chain=0.5, drop_text=1.0, drop_vae=1.0, drop_vit=1.0)[0].sample
        assert names(sample) == expected
        assert not any(item.dropped for item in sample.items)
        plain = {
            "drop_chain": 0.5,
            "text_reasoning": False,
            "visual_reasoning": False,
            "system_prompt": False,
        }
        kept = {"system", "T1", "T2"}
        assert names(toys.build([example], **plain)[0].sample) == [n for n in expected if n not in kept]


def test_only_the_velocity_of_the_edited_picture_counts_and_a_pack_of_nothing_else_trains():
    model, vae = toys.models()
    for context in CONTEXTS:
        batch = toys.batch([toys.example(key_with(context))], drop_chain=0.5, announce_images=True)
        counts = term_counts(batch, model.config)
        o = batch.packed.span(0, "O")
        assert counts["mse"] == o.stop - o.start
        assert all(value == 0 for name, value in counts.items() if name != "mse")
        assert batch.targets == batch.features == (None,)
        sums = model(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
        loss = total_loss(sums, {name: max(counts[name], 1) for name in sums}, model.config)
        assert_close(float(loss.detach()), float(sums["mse"].detach()) / counts["mse"])
        loss.backward()
        norms = [float(p.grad.norm()) for p in model.parameters() if p.grad is not None]
        assert sum(norms) > 0
        assert all(map(torch.isfinite, torch.tensor(norms)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording(Pipeline):
    """A pipeline with the plan's own pictures, that keeps the contexts it was to draw from."""

    plan: dict
    seen: dict = field(default_factory=dict)

    def encode(self, image, draws, name):
        del image, draws
        clean, vit = self.plan[f"{name} vae"], self.plan[name]
        latent = self.vae.encode(clean.pixels[None], clean.vae_noise[None])[0]
        return EncodedImage(latent=latent, vit_pixels=vit.pixels, size=tuple(clean.pixels.shape[1:]))

    def draw(self, contexts, size, settings, noise_draws, name):
        del size, settings, noise_draws
        self.seen[name] = contexts
        return toys.example().grounded


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_packed_sample_equals_the_context_that_inference_guides_with(context, monkeypatch):
    model, vae = toys.models()
    example = toys.example(key_with(context))
    plan = {item.name: item for item in toys.build([example])[0].sample.items}
    texts = iter([list(plan["T1"].ids), list(plan["T2"].ids)])
    monkeypatch.setattr(Context, "generate_text", lambda *_a, **_k: next(texts))
    tokenizer = toys.builder().tokenizer
    pipeline = Recording(model=model.bagel, vae=vae, tokenizer=tokenizer, plan=plan)
    run_chain(pipeline, example.source, example.instruction, ChainSettings(), 0)
    cached = getattr(pipeline.seen["O"], context.replace(" ", "_"))

    batch = toys.batch([example], drop_chain=0.5)
    with torch.no_grad():
        out = model.run_backbone(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
    span = batch.packed.span(0, "O")
    assert int(batch.packed.position_ids[span.start]) == cached.position
    inside = (batch.packed.vae_indexes >= span.start) & (batch.packed.vae_indexes < span.stop)
    noised, t = out.embedded.noised_NC[inside], float(out.embedded.t_N[inside][0])
    ours = batched_velocities([cached], noised, t, *plan["O"].pixels.shape[1:])[0]
    assert_close(ours, out.velocity, atol=1e-4, rtol=1e-4)
    # and it is another context than that of the whole chain
    whole = batched_velocities([pipeline.seen["O"].full], noised, t, *plan["O"].pixels.shape[1:])[0]
    assert float((whole - out.velocity).abs().max()) > 1e-2


def test_t1_has_no_loss_without_a_copy_of_the_source_unless_it_is_switched_on():
    blind = partial(toys.build, [toys.example()], drop_vae=1.0, drop_vit=1.0, announce_images=True)
    cases = (
        (blind(), False),
        (blind(ce_without_source=True), True),
        (toys.build([toys.example()], drop_vae=1.0), True),
        (toys.build([toys.example()], drop_vit=1.0), True),
    )
    for (built,), loss in cases:
        found = {item.name: item for item in built.sample.items}
        assert found["T1"].loss is loss
        assert found["T2"].loss
        assert built.target is not None
    texts = {item.name: item for item in blind()[0].sample.items}
    assert texts["T1"].closing_label is None
    assert texts["T2"].closing_label is not None
    # what is counted is what is left: the rows of T2 and its closing token
    batch = toys.batch([toys.example()], drop_vae=1.0, drop_vit=1.0)
    assert len(batch.packed.ce_indexes) == len(texts["T2"].ids) + 1


def test_training_and_inference_show_the_vision_encoder_the_same_pixels():
    model, vae = toys.models()
    pipeline = debug_pipeline(model.bagel, vae)
    for size in ((90, 62), (61, 47), (30, 33)):
        example = toys.example(size=size)
        plan = {item.name: item for item in toys.build([example])[0].sample.items}
        source = pipeline.encode(example.source, Draws(0, "a", 0), "I")
        assert torch.equal(plan["I"].pixels, source.vit_pixels)
        assert plan["O"].pixels.shape[1:] == plan["V vae"].pixels.shape[1:] == source.size
        drawn = example.grounded.resize(source.size[::-1], 3)  # V comes from the sampler at this size
        assert torch.equal(plan["V"].pixels, pipeline.encode(drawn, Draws(0, "a", 0), "V").vit_pixels)
    # the picture itself would have been given other sizes than the resized one
    assert DEBUG_VIT_RULE.size(30, 33) != DEBUG_VIT_RULE.size(*DEBUG_VAE_RULE.size(30, 33))


def test_lengths_are_known_with_the_chain_left_out():
    makes = toys.builder(drop_chain=0.3, drop_vae=0.5, drop_vit=0.5, drop_text=0.5)
    lengths = set()
    for i in range(12):
        example, draws = toys.example(f"k{i}", size=(60, 34 + i)), Draws(0, f"k{i}", 0)
        built = makes.build(example, draws).sample
        assert makes.length(example, draws) == sample_length(built, debug_config())
        lengths.add(len(built.items))
    assert len(lengths) == 3
