"""Every loss term equals its plain formula, reaches the layers it should, and is counted."""

import pytest

torch = pytest.importorskip("torch")

from torch.testing import assert_close  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.grounding.placement import coverage, place, region, valid_size  # noqa: E402
from intercog_model.grounding.reconstruction import mask_iou, mask_loss, mask_target  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.training.objective import rows_of, term_counts, total_loss  # noqa: E402
from tests.intercog_model import toys  # noqa: E402


def attend(batch):
    return DenseAttend(dense_masks(batch.packed))


def run(batch, model, vae):
    return model.run_backbone(batch, toys.latents(vae, batch), attend(batch))


def cosine(a, b):
    return float((a * b).sum() / (a.norm() * b.norm()))


@pytest.fixture(scope="module")
def case():
    model, vae = toys.models()
    batch = toys.batch([toys.example("a"), toys.example("b", boxes=((30, 4, 60, 20),))])
    with torch.no_grad():
        out = run(batch, model, vae)
        sums = model(batch, toys.latents(vae, batch), attend(batch))
    return model, batch, out, sums


@torch.no_grad()
def test_text_vision_alignment_is_minus_the_cosine_of_the_two_averages(case):
    model, batch, out, sums = case
    expected = 0.0
    for sample in (0, 1):
        rows, target = rows_of(batch, sample, model.config.grounding), batch.targets[sample]
        inside = [
            out.layers[2][rows.o.start + r * rows.o.columns + c]
            for r in range(rows.o.rows)
            for c in range(rows.o.columns)
            if target.mask[r * 4 : r * 4 + 4, c * 4 : c * 4 + 4].float().mean() >= 0.5
        ]
        text = torch.stack([out.layers[2][i] for i in rows.second]).mean(0)
        expected -= cosine(model.heads.text_alignment(torch.stack(inside).mean(0)), text)
    assert_close(float(sums["tv"]), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_vision_vision_alignment_is_minus_the_mean_cosine_over_patches(case):
    model, batch, out, sums = case
    expected = 0.0
    for sample in (0, 1):
        rows = rows_of(batch, sample, model.config.grounding)
        noised = out.layers[2][rows.o.start : rows.o.stop].reshape(rows.o.rows, rows.o.columns, -1)
        cosines = []
        for r in range(rows.vit.rows):
            for c in range(rows.vit.columns):
                # bilinear with corners not aligned, written out
                y = min(max((r + 0.5) * rows.o.rows / rows.vit.rows - 0.5, 0), rows.o.rows - 1)
                x = min(max((c + 0.5) * rows.o.columns / rows.vit.columns - 0.5, 0), rows.o.columns - 1)
                y0, x0 = int(y), int(x)
                y1, x1 = min(y0 + 1, rows.o.rows - 1), min(x0 + 1, rows.o.columns - 1)
                top = noised[y0, x0] * (1 - (x - x0)) + noised[y0, x1] * (x - x0)
                low = noised[y1, x0] * (1 - (x - x0)) + noised[y1, x1] * (x - x0)
                here = top * (1 - (y - y0)) + low * (y - y0)
                patch = out.layers[2][rows.vit.start + r * rows.vit.columns + c]
                cosines.append(cosine(model.heads.vision_alignment(here), patch))
        expected -= sum(cosines) / len(cosines)
    assert_close(float(sums["vv"]), expected, atol=1e-5, rtol=1e-5)


def test_mask_terms_are_binary_cross_entropy_over_the_valid_part(case):
    model, batch, out, sums = case
    expected = {"mask_text": 0.0, "mask_v": 0.0, "mask_o": 0.0}
    for sample in (0, 1):
        # the 64 x 48 picture fills 64 x 48 of the 64 x 64 logits
        goal = batch.targets[sample].mask.float()
        with torch.no_grad():
            logits = model.mask_logits(batch, sample, out)
        for name, value in logits.items():
            chance = torch.sigmoid(value[:48, :64].double())
            expected[name] -= float((goal * chance.log() + (1 - goal) * (1 - chance).log()).mean())
    for name, value in expected.items():
        assert_close(float(sums[name]), value, atol=1e-5, rtol=1e-5)


def test_text_and_velocity_terms_are_sums_over_their_rows(case):
    _model, batch, out, sums = case
    chance = torch.softmax(out.logits.double(), dim=1)
    ce = -sum(float(chance[i, label].log()) for i, label in enumerate(batch.packed.ce_labels))
    assert_close(float(sums["ce"]), ce, atol=1e-3, rtol=1e-5)
    assert_close(
        float(sums["mse"]), float(((out.velocity - out.target) ** 2).mean(1).sum()), rtol=1e-5, atol=1e-5
    )


def test_the_total_weighs_the_means_of_equation_5(case):
    model, batch, _out, sums = case
    counts = term_counts(batch, model.config)
    assert counts == {
        "ce": len(batch.packed.ce_indexes), "mse": len(batch.packed.mse_indexes),
        "tv": 2, "vv": 2, "mask_text": 2, "mask_v": 2, "mask_o": 2,
    }  # fmt: skip
    means = {name: float(value) / counts[name] for name, value in sums.items()}
    expected = means["ce"] + means["mse"] + means["tv"] + means["vv"]
    expected += 0.1 * (means["mask_text"] + means["mask_v"] + means["mask_o"])
    assert_close(float(total_loss(sums, counts, model.config)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("term", ["tv", "vv"])
@pytest.mark.parametrize("number", [3, 14, 28])
def test_alignment_gradients_are_zero_above_their_layer(term, number):
    model, vae = toys.models(align_layer=number)
    batch = toys.batch([toys.example()])
    layer = {3: 1, 14: 2, 28: 4}[number]
    assert model.layer == layer
    model(batch, toys.latents(vae, batch), attend(batch))[term].backward()

    def size(module):
        return sum(float(p.grad.abs().sum()) for p in module.parameters() if p.grad is not None)

    layers = model.bagel.language_model.model.layers
    assert all(size(module) > 0 for module in layers[:layer])
    above = [
        *layers[layer:],
        model.bagel.language_model.lm_head,
        model.bagel.llm2vae,
        model.heads.mask_decoder,
    ]
    assert [size(module) for module in above] == [0.0] * len(above)


def test_no_gradient_reaches_the_goal_side_unless_asked():
    sizes = {}
    for detach in (True, False):
        model, vae = toys.models(detach_targets=detach)
        batch = toys.batch([toys.example()], drop_vit=1.0, feedback="vit")
        model(batch, toys.latents(vae, batch), attend(batch))["vv"].backward()
        # with I's ViT copy dropped the connector only carries V's patches, which O also sees
        sizes[detach] = float(model.bagel.connector.fc1.weight.grad.abs().sum())
    assert sizes[False] != sizes[True]


@pytest.mark.parametrize(
    ("changes", "term"),
    [
        ({"hidden": "before norm"}, "mask_o"),
        ({"text": "section 2"}, "mask_text"),
        ({"align_layer": 28}, "tv"),
        ({"region_coverage": 1.0}, "tv"),
        ({"vit_target": "connector"}, "vv"),
        ({"vv_region": "target"}, "vv"),
    ],
)
def test_each_reading_changes_its_term(case, changes, term):
    _model, batch, _out, sums = case
    other, vae = toys.models(**changes)
    if "region_coverage" in changes:
        batch = toys.batch([toys.example(boxes=((9, 9, 39, 31),)), toys.example("b")])
        with torch.no_grad():
            sums = toys.models()[0](batch, toys.latents(vae, batch), attend(batch))
    with torch.no_grad():
        changed = other(batch, toys.latents(vae, batch), attend(batch))
    assert abs(float(changed[term]) - float(sums[term])) > 1e-5


@pytest.mark.parametrize(("switch", "module"), [("train_decoder", "heads"), ("detach_hidden", "bagel")])
def test_what_reconstruction_trains_follows_its_switches(switch, module):
    model, vae = toys.models(**{switch: switch == "detach_hidden"})
    batch = toys.batch([toys.example()])
    sums = model(batch, toys.latents(vae, batch), attend(batch))
    (sums["mask_text"] + sums["mask_v"] + sums["mask_o"]).backward()
    part = model.heads.mask_decoder if module == "heads" else model.bagel
    assert all(p.grad is None or not p.grad.any() for p in part.parameters())
    assert model.heads.vision_projector[0].weight.grad.any()


@pytest.mark.parametrize(
    ("changes", "weights", "terms"),
    [
        ({"text_reasoning": False, "visual_reasoning": False, "system_prompt": False},
         {"weight_tv": 0, "weight_vv": 0, "weight_mask": 0}, {"mse"}),
        ({"visual_reasoning": False}, {}, {"ce", "mse", "tv", "mask_text", "mask_o"}),
        ({"text_reasoning": False}, {}, {"ce", "mse", "vv", "mask_v", "mask_o"}),
        ({}, {"weight_mask": 0}, {"ce", "mse", "tv", "vv"}),
        ({}, {"weight_tv": 0, "weight_vv": 0}, {"ce", "mse", "mask_text", "mask_v", "mask_o"}),
    ],
)  # fmt: skip
def test_an_ablation_has_exactly_its_terms(changes, weights, terms):
    model, vae = toys.models(**weights)
    batch = toys.batch([toys.example()], **changes)
    counts = term_counts(batch, model.config)
    sums = model(batch, toys.latents(vae, batch), attend(batch))
    assert {name for name, value in counts.items() if value} == terms
    assert {name for name, value in sums.items() if counts[name]} == terms


def test_two_targets_are_one_union_mask():
    model, vae = toys.models()
    two = toys.batch([toys.example(boxes=((4, 4, 20, 20), (40, 28, 60, 44)))])
    sums = model(two, toys.latents(vae, two), attend(two))
    assert all(torch.isfinite(value) for value in sums.values())
    goal = mask_target(two.targets[0].mask, 64)
    assert goal[10, 10] == 1
    assert goal[35, 50] == 1
    assert goal[24, 30] == 0
    assert goal.sum() == 16 * 16 + 20 * 16


def test_a_sample_without_any_mask_adds_no_grounding_terms():
    model, vae = toys.models()
    empty = toys.batch([toys.example(boxes=())])
    counts = term_counts(empty, model.config)
    sums = model(empty, toys.latents(vae, empty), attend(empty))
    assert {name for name, value in counts.items() if value} == {"ce", "mse"}
    assert set(sums) == {"ce", "mse"}


def test_coverage_is_an_area_average_at_any_ratio():
    mask = torch.zeros(3, 3)
    mask[0, 0] = 1
    # one of nine pixels; a cell of 1.5 x 1.5 pixels holds it whole
    assert_close(coverage(mask, 2, 2), torch.tensor([[1 / 2.25, 0], [0, 0]]))
    assert_close(coverage(mask, 1, 1), torch.tensor([[1 / 9]]))
    assert_close(coverage(torch.ones(7, 5), 3, 2), torch.ones(3, 2))


def test_a_region_falls_back_to_cells_with_any_coverage():
    mask = torch.zeros(8, 8)
    mask[1, 1] = 1
    assert region(mask, 2, 2, 0.5).tolist() == [[True, False], [False, False]]
    mask[0:4, 4:8] = 1
    assert region(mask, 2, 2, 0.5).tolist() == [[False, True], [False, False]]


def test_cells_that_fit_are_pasted_top_left_and_others_resized():
    cells = torch.arange(12.0).reshape(1, 3, 4)
    sheet = place(cells, 4)
    assert torch.equal(sheet[:, :3], cells)
    assert not sheet[:, 3].any()
    assert valid_size(3, 4, 64) == (48, 64)
    assert_close(place(torch.ones(1, 3, 4), 8)[0, :6], torch.ones(6, 8))


def test_mask_loss_ignores_what_lies_outside_the_image():
    goal = torch.ones(2, 4)
    logits = torch.full((4, 4), 9.0)
    changed = logits.clone()
    changed[2:] = -9
    assert mask_loss(logits, goal) == mask_loss(changed, goal)
    assert mask_iou(changed, goal) == 1.0
    assert mask_iou(-logits, goal) == 0.0


def test_the_decoder_starts_without_any_conditioning_from_vision():
    from intercog_model.grounding.config import DEBUG_HEADS  # noqa: PLC0415
    from intercog_model.grounding.heads import GroundingHeads  # noqa: PLC0415

    heads = GroundingHeads(debug_config().llm.hidden_size, DEBUG_HEADS)
    image = torch.randn(32, 16, 16)
    first, second = (heads.vision_logits(image, torch.randn(12, 64), (3, 4)) for _ in range(2))
    assert torch.equal(first, second)
