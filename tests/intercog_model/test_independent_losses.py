"""One odd-sized sample with two targets, computed again from the paper alone: layout, visibility, positions, losses.

Nothing here calls the package's packer, masks, placement or loss functions; of the model only the hidden states are
taken, and the weights of projectors and mask decoder. Sums are in float64.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.data.chain_text import GROUNDING_PROMPT, HEADINGS  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from tests.intercog_model import toys  # noqa: E402

LAYER = 2  # 14 of 28, in a model of 4
SIZE = (90, 62)
BOXES = ((7, 5, 37, 33), (51, 20, 83, 57))
CELLS = 16  # of the debug image embedding, along a side
LIMIT = 1e-6


@dataclass(frozen=True)
class Segment:
    """Rows first..last of the sequence, the two frame tokens included."""

    name: str
    first: int
    last: int
    position: int
    text: tuple[int, ...] | None
    noised: bool = False

    @property
    def inner(self) -> range:
        return range(self.first + 1, self.last)


def ids(text: str) -> tuple[int, ...]:
    return tuple(text.encode())


def layout(example, grid: tuple[int, int], vit_grid: tuple[int, int]) -> list[Segment]:
    """The paper's sequence I, c -> T1 -> V -> T2 -> O, written down row by row."""
    s = example.sections
    latents, patches = grid[0] * grid[1], vit_grid[0] * vit_grid[1]
    parts = [
        ("system", ids(GROUNDING_PROMPT), 0, False),
        ("I vae", None, latents, False),
        ("I", None, patches, False),
        ("c", ids(example.instruction), 0, False),
        ("T1", ids(f"<think>{HEADINGS[0]}{s.scene}\n{HEADINGS[1]}{s.target}"), 0, False),
        ("V drawn", None, latents, True),
        ("V vae", None, latents, False),
        ("V", None, patches, False),
        ("T2", ids(f"{HEADINGS[2]}{s.edit}\n{HEADINGS[3]}{s.result}</think>"), 0, False),
        ("O", None, latents, True),
    ]
    found, row, position = list[Segment](), 0, 0
    for name, text, inside, noised in parts:
        length = (len(text) if text is not None else inside) + 2
        found.append(Segment(name, row, row + length - 1, position, text, noised))
        row += length
        # a text takes one position per row, a picture one in all; a noised one hands its own to its clean copy
        position += length if text is not None else 0 if noised else 1
    return found


def area_share(mask: Tensor, rows: int, columns: int) -> Tensor:
    """Share of each cell that the mask covers, by summing overlaps of pixels and cells."""
    height, width = mask.shape
    share = torch.zeros(rows, columns, dtype=torch.float64)
    for y, x in mask.nonzero().tolist():
        for r in range(int(y * rows / height), math.ceil((y + 1) * rows / height)):
            down = min((r + 1) * height / rows, y + 1) - max(r * height / rows, y)
            for c in range(int(x * columns / width), math.ceil((x + 1) * columns / width)):
                across = min((c + 1) * width / columns, x + 1) - max(c * width / columns, x)
                share[r, c] += max(down, 0) * max(across, 0)
    return share * rows * columns / (height * width)


def bilinear(grid: Tensor, rows: int, columns: int) -> Tensor:
    """[h, w, D] sampled at the centers of rows x columns cells, edges repeated."""
    height, width, _ = grid.shape
    out = torch.zeros(rows, columns, grid.shape[2], dtype=torch.float64)
    for r in range(rows):
        y = max((r + 0.5) * height / rows - 0.5, 0)
        y0 = min(int(y), height - 1)
        y1 = min(y0 + 1, height - 1)
        for c in range(columns):
            x = max((c + 0.5) * width / columns - 0.5, 0)
            x0 = min(int(x), width - 1)
            x1 = min(x0 + 1, width - 1)
            upper = grid[y0, x0] * (1 - x + x0) + grid[y0, x1] * (x - x0)
            lower = grid[y1, x0] * (1 - x + x0) + grid[y1, x1] * (x - x0)
            out[r, c] = upper * (1 - y + y0) + lower * (y - y0)
    return out


def fourier_code(matrix: Tensor) -> Tensor:
    """[C, CELLS, CELLS]: sines, then cosines, of the cells' centers in -1..1 times the matrix (2, C / 2)."""
    code = torch.zeros(2 * matrix.shape[1], CELLS, CELLS, dtype=torch.float64)
    for r in range(CELLS):
        for c in range(CELLS):
            x, y = (2 * (place + 0.5) / CELLS - 1 for place in (c, r))
            angle = 2 * math.pi * (x * matrix[0] + y * matrix[1])
            code[:, r, c] = torch.cat([angle.sin(), angle.cos()])
    return code


def cosine(a: Tensor, b: Tensor) -> float:
    return float((a @ b) / (a.norm() * b.norm()))


@pytest.fixture(scope="module")
def case():
    model, vae = toys.models(seed=3)
    example = toys.example("odd", boxes=BOXES, size=SIZE)
    batch = toys.batch([example])
    clean, attend = toys.latents(vae, batch), DenseAttend(dense_masks(batch.packed))
    with torch.no_grad():
        out = model.run_backbone(batch, clean, attend)
        sums = {name: float(value) for name, value in model(batch, clean, attend).items()}
    source, config = batch.targets[0].image, debug_config()
    grid = (source.height // config.pixels_per_latent_token, source.width // config.pixels_per_latent_token)
    vit_width, vit_height = toys.sequence().vit_rule.size(*source.size)
    vit_grid = (vit_height // config.vit.patch_size, vit_width // config.vit.patch_size)
    assert grid[0] * grid[1] != vit_grid[0] * vit_grid[1]
    segments = {s.name: s for s in layout(example, grid, vit_grid)}
    return model.double(), example, batch, out, sums, segments, grid, vit_grid


def test_rows_positions_and_visibility_are_those_of_the_sequence(case) -> None:
    _model, _example, batch, _out, _sums, segments, *_ = case
    packed, rows = batch.packed, list(segments.values())
    assert packed.length == rows[-1].last + 1
    assert all(a.last + 1 == b.first for a, b in pairwise(rows))
    positions = [
        s.position + (row - s.first if s.text is not None else 0)
        for s in rows
        for row in range(s.first, s.last + 1)
    ]
    assert packed.position_ids.tolist() == positions
    seen = torch.zeros(packed.length, packed.length, dtype=torch.bool)
    for s in rows:
        own = slice(s.first, s.last + 1)
        for before in rows:
            if before.first < s.first and not before.noised:
                seen[own, before.first : before.last + 1] = True
        seen[own, own] = True
        for row in range(s.first, s.last + 1) if s.text is not None else ():
            seen[row, row + 1 : s.last + 1] = False
    (mask,) = dense_masks(packed)
    assert torch.equal(mask, seen)


def test_text_and_velocity_losses_read_the_rows_of_the_sequence(case) -> None:
    _model, _example, batch, out, sums, segments, *_ = case
    expected = []
    for name in ("T1", "T2"):
        s = segments[name]
        expected += list(zip(range(s.first, s.last), [*s.text, debug_config().tokens.text_end], strict=True))
    packed = batch.packed
    assert list(zip(packed.ce_indexes.tolist(), packed.ce_labels.tolist(), strict=True)) == expected
    assert packed.mse_indexes.tolist() == [*segments["V drawn"].inner, *segments["O"].inner]
    logits = out.logits.double()
    ce = sum(float(logits[i].logsumexp(0) - logits[i, label]) for i, (_row, label) in enumerate(expected))
    assert sums["ce"] == pytest.approx(ce, rel=LIMIT)
    squares = ((out.velocity.double() - out.target.double()) ** 2).mean(dim=1)
    assert sums["mse"] == pytest.approx(float(squares.sum()), rel=LIMIT)


@torch.no_grad()
def test_alignment_of_edit_and_text_is_equation_3(case) -> None:
    model, example, batch, out, sums, segments, grid, _ = case
    hidden = out.layers[LAYER].double()
    share = area_share(batch.targets[0].mask, *grid).flatten()
    assert 0 < int((share >= 0.5).sum()) < len(share)
    noised = hidden[list(segments["O"].inner)]
    mean = sum(row for row, part in zip(noised, share, strict=True) if part >= 0.5) / int(
        (share >= 0.5).sum()
    )
    t1 = segments["T1"]
    body = hidden[t1.last - len(ids(example.sections.target)) : t1.last]
    assert sums["tv"] == pytest.approx(-cosine(model.heads.text_alignment(mean), body.mean(0)), abs=LIMIT)


@torch.no_grad()
def test_alignment_of_edit_and_picture_is_equation_4(case) -> None:
    model, _example, _batch, out, sums, segments, grid, vit_grid = case
    hidden = out.layers[LAYER].double()
    noised = bilinear(hidden[list(segments["O"].inner)].reshape(*grid, -1), *vit_grid).flatten(0, 1)
    seen = hidden[list(segments["V"].inner)]
    each = [cosine(model.heads.vision_alignment(a), b) for a, b in zip(noised, seen, strict=True)]
    assert sums["vv"] == pytest.approx(-sum(each) / len(each), abs=LIMIT)


@torch.no_grad()
def test_masks_are_reconstructed_as_in_equations_1_and_2(case) -> None:
    model, _example, batch, out, sums, segments, grid, _ = case
    heads, hidden = model.heads, out.last_LD.double()
    source = batch.targets[0].image
    features = batch.features[0].double()
    longest = max(source.size)
    valid = [max(1, round(4 * CELLS * side / longest)) for side in (source.height, source.width)]
    goal = (area_share(batch.targets[0].mask, *valid) >= 0.5).double()
    nothing = torch.zeros(features.shape[0], CELLS, CELLS, dtype=torch.float64)
    no_tokens = torch.zeros(1, 0, features.shape[0], dtype=torch.float64)

    def placed(name: str) -> Tensor:
        cells = heads.vision_projector(hidden[list(segments[name].inner)]).reshape(*grid, -1)
        rows, columns = (max(1, round(CELLS * side / max(grid))) for side in grid)
        sheet = nothing.clone()
        sheet[:, :rows, :columns] = bilinear(cells, rows, columns).permute(2, 0, 1)
        return sheet

    text = segments["T1"]
    content = hidden[text.first + 1 + len("<think>") : text.last]
    prompts = {
        "mask_text": (heads.text_projector(content).mean(0)[None, None], nothing),
        "mask_v": (no_tokens, placed("V drawn")),
        "mask_o": (no_tokens, placed("O")),
    }
    for name, (sparse, dense) in prompts.items():
        logits, _ = heads.mask_decoder.predict_masks(
            features[None],
            fourier_code(heads.position_code.positional_encoding_gaussian_matrix)[None],
            sparse,
            (dense + heads.no_mask_embed.weight[0][:, None, None])[None],
        )
        chance = torch.sigmoid(logits[0, 0, : valid[0], : valid[1]])
        bce = -(goal * chance.log() + (1 - goal) * (1 - chance).log()).mean()
        assert sums[name] == pytest.approx(float(bce), rel=1e-5), name
