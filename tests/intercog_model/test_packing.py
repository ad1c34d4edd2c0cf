"""Plans, masks and positions: the rule written out, the flex route, and independence of samples."""

import pytest

torch = pytest.importorskip("torch")

from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
from PIL import Image  # noqa: E402
from torch._dynamo.testing import CompileCounterWithBackend  # noqa: E402
from torch.nn.attention import flex_attention  # noqa: E402
from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone import attention, bagel  # noqa: E402
from intercog_model.backbone.attention import DenseAttend, FlexAttend  # noqa: E402
from intercog_model.backbone.bagel import encode_images  # noqa: E402
from intercog_model.backbone.position_tables import grid_ids  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.draws import Draws  # noqa: E402
from intercog_model.data.example import EditExample, TextToImageExample, UnderstandingExample  # noqa: E402
from intercog_model.packing import masks  # noqa: E402
from intercog_model.packing.masks import dense_masks, flex_mask, split_mask, visible_pairs  # noqa: E402
from intercog_model.packing.pack import pack, sample_length  # noqa: E402
from intercog_model.packing.plan import Sample, TextItem, VaeItem  # noqa: E402
from intercog_model.packing.resize import PUBLISHED_VIT_RULE, VAE_RULE, VIT_RULE, SizeRule, to_rgb  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

CONFIG = debug_config()


def test_the_mask_is_the_rule():
    lengths, modes = [2, 3, 2, 2], ["causal", "noise", "full", "causal"]
    split = [0, 0, 1, 1, 1, 2, 2, 3, 3]
    expected = [
        [
            (j <= i or (split[i] == split[j] and modes[split[i]] != "causal"))
            and not (modes[split[j]] == "noise" and split[i] != split[j])
            for j in range(9)
        ]
        for i in range(9)
    ]
    assert split_mask(lengths, modes).tolist() == expected
    with pytest.raises(ValueError, match="sideways"):
        split_mask([1], ["sideways"])


def test_the_flex_mask_is_the_dense_mask_and_a_pad_row_sees_its_own_block():
    batch = toys.batch([toys.example("a"), toys.example("b")]).packed
    padded = 128 * (batch.length // 128 + 4) + 7
    block = flex_mask(batch, padded, "cpu")
    i, j = torch.meshgrid(torch.arange(padded), torch.arange(padded), indexing="ij")
    flex = block.mask_mod(torch.tensor(0), torch.tensor(0), i, j)
    dense = torch.block_diag(*dense_masks(batch)).bool()
    assert torch.equal(flex[: batch.length, : batch.length], dense)
    assert not flex[: batch.length, batch.length :].any()
    pads = torch.arange(padded) >= batch.length
    own = pads[i] & pads[j] & (i // 128 == j // 128) & (j <= i)
    assert torch.equal(flex[batch.length :], own[batch.length :])
    assert flex_mask(batch, batch.length, "cpu").seq_lengths[0] == batch.length


def test_packs_of_other_lengths_share_one_compiled_mask_maker(monkeypatch):
    batches = [
        toys.batch([toys.example("a", size=size)]).packed for size in ((32, 32), (48, 64), (64, 32), (64, 64))
    ]
    plain = [flex_mask(batch, 2560, "cpu") for batch in batches]
    counter = CompileCounterWithBackend("aot_eager")
    monkeypatch.setattr(masks, "create_block_mask", torch.compile(masks.create_block_mask, backend=counter))
    for batch, expected in zip(batches, plain, strict=True):
        assert torch.equal(flex_mask(batch, 2560, "cpu").to_dense(), expected.to_dense())
    assert counter.frame_count == 1


def test_visible_pairs_are_counted_without_the_masks():
    batch = toys.batch([toys.example("a"), toys.example("b", boxes=((3, 3, 20, 30), (30, 5, 40, 9)))]).packed
    assert {"causal", "full", "noise"} == set(batch.split_modes)
    assert visible_pairs(batch) == sum(int(mask.sum()) for mask in dense_masks(batch))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_flex_and_dense_attention_give_the_same_output_and_gradients(monkeypatch):
    # torch refuses flex's backward on a CPU by this check alone; uncompiled or traced, it runs
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    counter = CompileCounterWithBackend("aot_eager")
    traced = torch.compile(flex_attention.flex_attention, dynamic=False, backend=counter)
    monkeypatch.setattr(attention, "compiled_flex", lambda: traced)
    generator = torch.Generator().manual_seed(0)
    for sizes in (((48, 40), (40, 48)), ((32, 32), (64, 32))):
        batch = toys.batch([toys.example(str(size), size=size) for size in sizes]).packed
        block = flex_mask(batch, 2048, "cpu")
        shapes = ((batch.length, heads, 16) for heads in (4, 2, 2))
        inputs = [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]
        weights = torch.randn(batch.length, 4, 16, generator=generator)
        routes = [
            DenseAttend(dense_masks(batch)),
            FlexAttend(block, compiled=False),
            FlexAttend(block, compiled=True),
        ]
        found = []
        for attend in routes:
            out = attend(0, *inputs)
            found.append([out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)])
        for flex in found[1:]:
            for ours, dense in zip(flex, found[0], strict=True):
                assert float((ours - dense).norm() / dense.norm()) < 2e-6
    assert counter.frame_count == 1  # other packs, the same kernels


def test_positions_follow_the_chain():
    batch = toys.batch([toys.example()]).packed
    at = {s.name: int(batch.position_ids[s.start]) for s in batch.spans}
    length = {s.name: s.stop - s.start for s in batch.spans}
    assert [s.name for s in batch.spans] == [
        "system",
        "I vae",
        "I",
        "c",
        "T1",
        "V drawn",
        "V vae",
        "V",
        "T2",
        "O",
    ]
    # a text's span starts behind its start token, which holds the text's first position
    assert at["I vae"] == length["system"] + 2
    assert at["I"] == at["I vae"] + 1
    assert at["V drawn"] == at["V vae"] == at["T1"] - 1 + length["T1"] + 2
    assert at["V"] == at["V drawn"] + 1
    assert at["T2"] - 1 == at["V drawn"] + 2


def test_what_each_segment_of_the_chain_sees():
    batch = toys.batch([toys.example()]).packed
    mask, spans = dense_masks(batch)[0], {s.name: s for s in batch.spans}

    def seen(name):
        row = mask[spans[name].stop - 1]
        return {other for other, s in spans.items() if row[s.start : s.stop].any()}

    before = {"system", "I vae", "I", "c", "T1"}
    assert seen("V drawn") == before | {"V drawn"}
    assert seen("V vae") == before | {"V vae"}
    assert seen("V") == before | {"V vae", "V"}
    assert seen("T2") == before | {"V vae", "V", "T2"}
    assert seen("O") == before | {"V vae", "V", "T2", "O"}


def test_changing_a_noised_picture_leaves_every_other_row_as_it_was():
    model, vae = toys.models()
    batch = toys.batch([toys.example()])
    clean = toys.latents(vae, batch)
    attend = DenseAttend(dense_masks(batch.packed))
    span = batch.packed.span(0, "V drawn")
    noise = batch.packed.flow_noise.clone()
    inside = (batch.packed.vae_indexes >= span.start) & (batch.packed.vae_indexes < span.stop)
    noise[inside] += 1
    changed = replace(batch, packed=replace(batch.packed, flow_noise=noise))
    with torch.no_grad():
        a, b = (model.run_backbone(x, clean, attend).last_LD for x in (batch, changed))
    rows = (a != b).any(dim=1).nonzero().flatten()
    assert rows.min() >= span.start - 1
    assert rows.max() <= span.stop


def test_no_reasoning_and_no_prompt_is_plain_bagel():
    example = toys.example()
    chain = toys.build([example], system_prompt=False, text_reasoning=False, visual_reasoning=False)[0]
    plain = toys.builder().build(
        EditExample(key="a", source=example.source, instruction=example.instruction, edited=example.edited),
        Draws(0, "a", 0),
    )
    a, b = pack([chain.sample], CONFIG), pack([plain.sample], CONFIG)
    for name in ("text_ids", "position_ids", "text_indexes", "vit_patches", "ce_indexes", "mse_indexes"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert a.split_modes == b.split_modes == ["full", "full", "causal", "noise"]
    assert len(a.ce_indexes) == 0


def test_a_pack_may_lack_any_modality():
    model, vae = toys.models()
    picture = toys.example().source
    for example in (
        UnderstandingExample(key="u", image=picture, question="What?", answer="A box."),
        TextToImageExample(key="t", caption="A box.", image=picture),
    ):
        batch = toys.batch([example])
        sums = model(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
        sum(sums.values()).backward()
        # every weight has a gradient on every rank, zero or not
        missing = [n for n, p in model.named_parameters() if p.grad is None]
        assert missing == []
        model.zero_grad(set_to_none=True)
    text = Sample(key="x", items=(TextItem(ids=(1, 2, 3), loss=True),))
    batch = pack([text], CONFIG)
    out = model.bagel(
        batch, torch.zeros(0, CONFIG.latent_width), DenseAttend(dense_masks(batch)), timestep_shift=1
    )
    assert out.logits.shape == (4, CONFIG.llm.vocab_size)
    assert out.velocity.shape == (0, CONFIG.latent_width)


def test_samples_of_a_pack_do_not_depend_on_their_order_or_neighbors():
    model, vae = toys.models()
    examples = [toys.example("a"), toys.example("b", size=(48, 64)), toys.example("c", boxes=((1, 1, 9, 9),))]
    results = []
    for order in ([0, 1, 2], [2, 0, 1], [0]):
        batch = toys.batch([examples[i] for i in order])
        with torch.no_grad():
            out = model.run_backbone(batch, toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed)))
        rows = out.last_LD.split(batch.packed.sample_lengths)
        results.append(rows[order.index(0)])
    for other in results[1:]:
        assert_close(other, results[0], atol=1e-5, rtol=1e-5)


def test_a_padded_encode_changes_the_latents_and_the_single_one_does_not():
    _model, vae = toys.models()
    small, large = toys.example("a", size=(48, 32)), toys.example("b", size=(64, 64))
    alone, both = toys.batch([small]).packed, toys.batch([small, large]).packed
    a, b = encode_images(vae, alone, 2), encode_images(vae, both, 2)
    assert_close(a, b[: len(a)], atol=1e-6, rtol=1e-5)
    padded = encode_images(vae, both, 2, padded=True)
    assert float((padded[: len(a)] - a).abs().max()) > 0.01


def test_a_picture_that_is_noised_and_clean_is_encoded_once_with_a_noise_for_each(monkeypatch):
    _model, vae = toys.models()
    samples = [built.sample for built in toys.build([toys.example("a"), toys.example("b", size=(48, 64))])]
    batch = pack(samples, CONFIG)
    apart = [
        replace(s, items=tuple(replace(i, pixels=i.pixels.clone()) if isinstance(i, VaeItem) else i for i in s.items))
        for s in samples
    ]  # fmt: skip
    assert [len(pack(group, CONFIG).vae_images) for group in (samples, apart)] == [6, 8]
    assert batch.vae_pictures == [0, 1, 1, 2, 3, 4, 4, 5]
    encoded = []
    vae.encoder.register_forward_hook(lambda _module, pixels, _out: encoded.append(len(pixels[0])))
    found = encode_images(vae, batch, 2)
    assert encoded == [3, 3]  # I, V and O of either size
    assert_close(found, encode_images(vae, pack(apart, CONFIG), 2), atol=1e-5, rtol=1e-5)
    noised, clean = (batch.span(0, name) for name in ("V drawn", "V vae"))
    rows = found[noised.first : noised.first + 192], found[clean.first : clean.first + 192]
    assert not torch.equal(*rows)
    monkeypatch.setattr(bagel, "ENCODED_PIXELS", 2 * 48 * 64)
    del encoded[:]
    assert_close(encode_images(vae, batch, 2), found, atol=1e-5, rtol=1e-5)
    assert encoded == [2, 1, 2, 1]


def test_the_encoder_in_bfloat16_gives_float32_latents_near_the_exact_ones():
    _model, vae = toys.models()
    batch = toys.batch([toys.example("a")]).packed
    exact = encode_images(vae, batch, 2)
    vae.encoder.to(torch.bfloat16)
    found = encode_images(vae, batch, 2)
    assert found.dtype == torch.float32
    error = float((found - exact).norm() / exact.norm())
    assert 0 < error < 0.02


def test_every_kind_of_item_may_have_a_loss_on_its_closing_token():
    chain = toys.build([toys.example()])[0].sample
    plain = pack([chain], CONFIG)
    labels = {"system": 5, "I": 6, "V vae": 7, "O": 8}
    items = tuple(replace(i, closing_label=labels.get(i.name, i.closing_label)) for i in chain.items)
    batch = pack([replace(chain, items=items)], CONFIG)
    closing = {
        int(r): int(x) for r, x in zip(batch.ce_indexes, batch.ce_labels, strict=True) if x in labels.values()
    }
    assert closing.items() >= {batch.span(0, name).stop: label for name, label in labels.items()}.items()
    assert len(batch.ce_indexes) == len(plain.ce_indexes) + 4
    assert batch.ce_indexes.tolist() == sorted(batch.ce_indexes.tolist())
    assert [
        float(w)
        for r, w in zip(batch.ce_indexes, batch.ce_weights, strict=True)
        if int(r) == batch.span(0, "system").stop
    ] == [1.0]


def test_dropping_removes_a_text_and_keeps_the_place_of_an_image():
    batch = toys.batch([toys.example()], drop_vae=1.0, drop_text=1.0).packed
    names = [s.name for s in batch.spans]
    assert names == ["system", "I", "T1", "V drawn", "V vae", "V", "T2", "O"]
    at = {s.name: int(batch.position_ids[s.start]) for s in batch.spans}
    first = batch.span(0, "system")
    assert at["I"] == first.stop - first.start + 3  # two frame tokens and the place of the dropped copy
    assert at["T1"] - 1 == at["I"] + 1
    assert len(toys.batch([toys.example()], drop_vit=1.0).packed.vit_lengths) == 1


def test_the_pieces_of_text_that_losses_read_are_found():
    for tags in ("one pair", "pair per text"):
        built = toys.build([toys.example()], think_tags=tags)[0]
        text = next(item for item in built.sample.items if item.name == "T1")
        assert bytes(text.ids[i] for i in built.target.second) == b"On the left."
        content = bytes(text.ids[i] for i in built.target.content)
        assert content.startswith(b"1. Scene") and content.endswith(b"left.")  # noqa: PT018
        assert bytes(text.ids).endswith(b"</think>") == (tags == "pair per text")


def test_the_readings_of_the_sequence_change_it():
    base = toys.batch([toys.example()]).packed
    names = [s.name for s in base.spans]
    assert "V" not in [s.name for s in toys.batch([toys.example()], feedback="vae").packed.spans]
    assert "V vae" not in [s.name for s in toys.batch([toys.example()], feedback="vit").packed.spans]
    assert [s.name for s in toys.batch([toys.example()], system_prompt=False).packed.spans] == names[1:]
    announced = toys.batch([toys.example()], announce_images=True).packed
    start = CONFIG.tokens.image_start
    assert (announced.ce_labels == start).sum() == 2
    assert (base.ce_labels == start).sum() == 0


def test_draws_depend_on_seed_key_step_and_purpose_only():
    value = Draws(1, "k", 2).normal("x", 3)
    again = Draws(1, "k", 2)
    again.normal("other", 5)
    assert torch.equal(again.normal("x", 3), value)
    for other in (Draws(2, "k", 2), Draws(1, "l", 2), Draws(1, "k", 3)):
        assert not torch.equal(other.normal("x", 3), value)
    assert not torch.equal(again.normal("y", 3), value)


def test_sizes_of_the_reference_and_its_later_steps():
    assert VAE_RULE.size(1500, 2250) == (688, 1024)
    assert VAE_RULE.size(640, 480) == (688, 512)
    assert PUBLISHED_VIT_RULE.size(1500, 2250) == (658, 980)
    assert VIT_RULE.size(1500, 2250) == (350, 518)
    assert SizeRule(max_side=980, min_side=378, stride=14).size(2013, 445) == (980, 224)
    assert VAE_RULE.size(1818, 5157) == (352, 1024)


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_16_bits_of_gray_are_scaled_to_8(mode):
    values = np.linspace(0, 65535, 256).astype(np.uint16)[None]
    data = values.astype({"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]).tobytes()
    rgb = np.array(to_rgb(Image.frombytes(mode, (256, 1), data)))
    assert np.array_equal(rgb[0], np.arange(256, dtype=np.uint8)[:, None].repeat(3, axis=1))


def test_lengths_are_known_before_packing():
    built = toys.build([toys.example()], drop_vit=1.0)[0]
    assert sample_length(built.sample, CONFIG) == pack([built.sample], CONFIG).length
    with pytest.raises(ValueError, match="leaves no rows"):
        pack([Sample(key="k", items=(TextItem(ids=(1,), dropped=True),))], CONFIG)
    odd = VaeItem(pixels=torch.zeros(3, 6, 8), vae_noise=torch.zeros(0), flow_noise=torch.zeros(0))
    with pytest.raises(ValueError, match="not a multiple of 4"):
        pack([Sample(key="k", items=(odd,))], CONFIG)


def test_interpolated_positions_spread_the_grid_over_the_table():
    assert grid_ids(2, 2, 8).tolist() == [0, 1, 8, 9]
    assert grid_ids(2, 2, 8, interpolate=True).tolist() == [0, 4, 32, 36]
    with pytest.raises(ValueError, match="9 x 2 does not fit"):
        grid_ids(9, 2, 8)
    config = replace(CONFIG, interpolate_positions=True)
    sample = toys.build([toys.example()])[0].sample
    assert not torch.equal(pack([sample], config).latent_ids, pack([sample], CONFIG).latent_ids)
