"""One training step of two packed samples: packing, masks, hidden states, losses and gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from intercog_model.backbone.attention import DenseAttend, FlexAttend
from intercog_model.backbone.bagel import BackboneOutput, encode_images, pad_images
from intercog_model.backbone.token_losses import (
    cross_entropy_rows,
    mean_rows,
    velocity_errors,
    weighted_mean_rows,
)
from intercog_model.packing.batch import PackedBatch
from intercog_model.packing.masks import dense_masks, flex_mask
from intercog_model.packing.pack import pack
from intercog_model.packing.plan import PlanItem, Sample, TextItem, VaeItem, VitItem
from intercog_model.parity.golden import Golden, GoldenFile

FILE = "train_forward.safetensors"
TYPES = ("text", "vit_image", "vae_image")
FIELDS = ("type", "loss", "special_token_loss", "special_token_label")
Plan = list[list[dict[str, Any]]]


def check(golden: Golden) -> None:
    """Run the file by the dense route with gradients, and by the flex route without (none on a CPU)."""
    file = golden.open(FILE)
    batch = pack(_samples(golden, file, _checked_plan(golden, file)), golden.config)
    _check_packing(golden, file, batch)
    clean = encode_images(golden.vae, batch, golden.config.latent_patch_size, padded=True)
    _check_latents(golden, file, batch)
    layers = range(1, golden.config.llm.num_hidden_layers + 1)

    golden.model.zero_grad(set_to_none=True)
    attend = DenseAttend(dense_masks(batch))
    out = golden.model(batch, clean, attend, timestep_shift=golden.training_shift, keep_layers=layers)
    _check_embedded(file, out)
    loss = _check_outputs(file, out, batch, "")
    torch.autograd.backward(loss)
    _check_gradients(golden, file)

    padded = sum(golden.extra["train_flex_sample_lens"])
    with torch.no_grad():
        flex = FlexAttend(flex_mask(batch, max(padded, batch.length), "cpu"), compiled=False)
        out = golden.model(batch, clean, flex, timestep_shift=golden.training_shift, keep_layers=layers)
        _check_outputs(file, out, batch, "flex")
    file.close()


def _checked_plan(golden: Golden, file: GoldenFile) -> Plan:
    """The stated plan, its faults named; in place of one that cannot be packed, the plan the stored rows imply."""
    stated: Plan = golden.extra["train_plan"]
    implied = implied_plan(file)
    fits = implied is None or [len(plan) for plan in stated] == [len(plan) for plan in implied]
    if not fits:
        golden.report.miss("cases.json: extra.train_plan", "the pack is stored with another number of items")
    sound = fits
    for s, plan in enumerate(stated):
        for i, entry in enumerate(plan):
            found = implied[s][i] if implied is not None and fits else None
            faults = {field: _fault(golden, entry, field, found) for field in FIELDS}
            for field, (fault, _) in faults.items():
                if fault:
                    golden.report.miss(f"cases.json: extra.train_plan.{s}.{i}.{field}", fault)
            sound &= not any(grave for _, grave in faults.values())
    if sound:
        return stated
    if implied is None:
        raise ValueError("the plan in cases.json cannot be packed")
    return implied


def _fault(
    golden: Golden, entry: dict[str, Any], field: str, found: dict[str, Any] | None
) -> tuple[str, bool]:
    """What is wrong with a field of a plan's item, empty for nothing, and whether packing has to do without it."""
    value = entry.get(field)
    if field == "special_token_label":
        known = isinstance(value, int) and 0 <= value < golden.config.llm.vocab_size
        if not entry.get("special_token_loss"):
            return "", False  # no row reads it
        if not known:
            return f"{value!r} is not a token", True
        same = found is None or not found["special_token_loss"] or found[field] == value
        return "" if same else f"{value!r} stated, {found and found[field]!r} stored", False
    choices: tuple[object, ...] = TYPES if field == "type" else (0, 1)
    if field == "loss" and entry.get("type") == "vit_image":
        choices = (0,)  # patches have no loss
    if value not in choices:
        return f"{value!r} is none of {choices}", True
    if found is None or found[field] == value:
        return "", False
    return f"{value!r} stated, the stored rows imply {found[field]!r}", field == "type"


def implied_plan(file: GoldenFile) -> Plan | None:
    """The plan that the stored index lists describe; None where the split lengths do not add up.

    A row's list tells its kind, most rows of an item decide: one changed row then changes no item.
    """
    tensors = {name.removeprefix("packed."): value for name, value in file.tensors.items()}
    samples = tensors["sample_lens"].flatten().tolist()
    splits = tensors["split_lens"].flatten().tolist()[:-1]  # the last one pads the pack
    rows = {
        name: set(tensors[f"{name}_indexes"].flatten().tolist())
        for name in ("packed_vit_token", "packed_vae_token", "mse_loss", "ce_loss")
    }
    ce = tensors["ce_loss_indexes"].flatten().tolist(), tensors["packed_label_ids"].flatten().tolist()
    labels = dict(zip(*ce, strict=False))
    ends = torch.tensor(samples).cumsum(0).tolist()
    plan, start = Plan([[] for _ in samples]), 0
    for length in splits:
        sample = sum(end <= start for end in ends)
        if sample >= len(samples) or start + length > ends[sample]:
            return None
        plan[sample].append(_implied_item(range(start, start + length), rows, labels))
        start += length
    return plan if start == ends[-1] else None


def _implied_item(split: range, rows: dict[str, set[int]], labels: dict[int, int]) -> dict[str, Any]:
    def most(name: str, part: range) -> bool:
        return 2 * len(rows[name].intersection(part)) > len(part)

    inner, last = split[1:-1], split[-1]
    kind = next((kind for kind in ("vit", "vae") if most(f"packed_{kind}_token", inner)), "")
    loss = most("mse_loss", inner) if kind == "vae" else most("ce_loss", split[:-1]) if not kind else False
    closing = last in rows["ce_loss"]
    return {
        "type": f"{kind}_image" if kind else "text",
        "loss": int(loss),
        "special_token_loss": int(closing),
        "special_token_label": labels.get(last) if closing else None,
    }


def _samples(golden: Golden, file: GoldenFile, plan: Plan | None = None) -> list[Sample]:
    """Plans made of the raw inputs; the only stored draws are the time of each noised image and the noises."""
    raw, flow_noise = file.take("packed.packed_timesteps", draw=True), file.take("flow.noise")
    vae_noise = iter(file.take("vae.noise"))
    first, samples = 0, []
    side = golden.config.pixels_per_latent_token
    for s, entries in enumerate(plan or golden.extra["train_plan"]):
        texts, images, items = 0, 0, list[PlanItem]()
        for entry in entries:
            label = entry["special_token_label"] if entry["special_token_loss"] else None
            if entry["type"] == "text":
                ids = tuple(file.take(f"in.sample{s}.text{texts}").tolist())
                items.append(TextItem(ids=ids, loss=bool(entry["loss"]), closing_label=label))
                texts += 1
                continue
            pixels = file.take(f"in.sample{s}.image{images}")
            images += 1
            if entry["type"] == "vit_image":
                items.append(VitItem(pixels=pixels, closing_label=label))
                continue
            count = (pixels.shape[1] // side) * (pixels.shape[2] // side)
            drawn = float(raw[first]) if entry["loss"] else None
            if drawn is not None and not torch.isfinite(raw[first]):
                file.report.miss(f"{FILE}: packed.packed_timesteps", f"a noised image has raw time {drawn}")
            noise = flow_noise[first : first + count]
            items.append(
                VaeItem(
                    pixels=pixels,
                    vae_noise=next(vae_noise),
                    flow_noise=noise,
                    raw_timestep=drawn,
                    closing_label=label,
                )
            )
            first += count
        samples.append(Sample(key=str(s), items=tuple(items)))
    return samples


def _check_packing(golden: Golden, file: GoldenFile, batch: PackedBatch) -> None:
    ours: dict[str, Tensor | list[int]] = {
        "packed_text_ids": batch.text_ids,
        "packed_text_indexes": batch.text_indexes,
        "packed_position_ids": batch.position_ids,
        "packed_latent_position_ids": batch.latent_ids,
        "packed_vae_token_indexes": batch.vae_indexes,
        "packed_vit_tokens": batch.vit_patches,
        "packed_vit_position_ids": batch.vit_ids,
        "packed_vit_token_indexes": batch.vit_indexes,
        "vit_token_seqlens": batch.vit_lengths,
        "packed_timesteps": batch.raw_timesteps,
        "mse_loss_indexes": batch.mse_indexes,
        "packed_label_ids": batch.ce_labels,
        "ce_loss_indexes": batch.ce_indexes,
        "ce_loss_weights": batch.ce_weights,
        "sample_lens": batch.sample_lengths,
        "patchified_vae_latent_shapes": torch.tensor(batch.latent_grids),
        "padded_images": pad_images(batch.vae_images),
    }
    for name, value in ours.items():
        file.check(f"packed.{name}", value)
    for s, mask in enumerate(dense_masks(batch)):
        file.check(f"packed.attn_allowed.sample{s}", mask.to(torch.uint8))
    # the last split pads the pack to a length of the trainer's choice, stated once more in cases.json
    pad = golden.extra["train_flex_sample_lens"][-1]
    file.check("packed.split_lens", [*batch.split_lengths, pad])
    declared: dict[str, object] = {
        "train_attn_modes": [*batch.split_modes, "causal"],
        "train_flex_sample_lens": [*batch.sample_lengths, pad],
        "train_sequence_length": batch.length,
    }
    for name, planned in declared.items():
        note = f"{golden.extra[name]} stored, {planned} from the plan"
        golden.report.require(f"cases.json: extra.{name}", golden.extra[name] == planned, note)


def _check_latents(golden: Golden, file: GoldenFile, batch: PackedBatch) -> None:
    with torch.no_grad():
        latent = golden.vae.encode(pad_images(batch.vae_images), torch.stack(batch.vae_noise))
    file.check("vae.padded_latent", latent)


def _check_embedded(file: GoldenFile, out: BackboneOutput) -> None:
    file.check("vit.out", out.embedded.vit_PD)
    file.check("vit.connector_out", out.embedded.connected_PD)
    file.check("timestep.shifted", out.embedded.t_N)
    file.check("timestep.embed", out.embedded.time_ND)
    file.check("latent.noised_tokens", out.embedded.noised_NC)
    file.check("hidden.input", out.embedded.sequence_LD)


def _check_outputs(file: GoldenFile, out: BackboneOutput, batch: PackedBatch, route: str) -> Tensor:
    """Compare hidden states and losses; the loss that the stored gradients belong to."""
    for number, hidden in out.layers.items():
        file.check(f"hidden.layer{number - 1}", hidden, route=route)
    ce = cross_entropy_rows(out.logits, batch.ce_labels)
    mse = velocity_errors(out.velocity, out.target)
    loss_ce, loss_mse = mean_rows(ce), mean_rows(mse)
    file.check("hidden.last", out.last_LD, route=route)
    file.check("out.mse_preds", out.velocity, route=route)
    file.check("out.ce_logits", out.logits, route=route)
    file.check("out.ce", ce, route=route)
    file.check("out.mse", mse, route=route)
    file.check("out.loss_ce", loss_ce, route=route)
    file.check("out.loss_mse", loss_mse, route=route)
    file.check("out.loss_ce_weighted", weighted_mean_rows(ce, batch.ce_weights), route=route)
    return loss_ce + loss_mse


def _check_gradients(golden: Golden, file: GoldenFile) -> None:
    gradients = {name: p.grad for name, p in golden.model.named_parameters()}
    for name in file.names("grad."):
        gradient = gradients.get(name.removeprefix("grad."))
        if gradient is not None:
            file.check(name, gradient)
    one_dimensional = {
        f"grad.{name}" for name, value in gradients.items() if value is not None and value.dim() == 1
    }
    for name in sorted(one_dimensional - set(file.names("grad."))):
        golden.report.miss(f"{FILE}: {name}", "is not stored")
    names = golden.extra["grad_norm_names"]
    trained = sorted(name for name, value in gradients.items() if value is not None)
    note = f"differs by {sorted(set(names) ^ set(trained))}"
    golden.report.require("cases.json: extra.grad_norm_names", sorted(names) == trained, note)
    found = (gradients.get(name) for name in names)
    norms = [torch.nan if gradient is None else float(gradient.norm()) for gradient in found]
    file.check("grad_norms", torch.tensor(norms))
    tables = _buffers(golden.model)
    stored = sorted(golden.extra["no_grad_params"])
    golden.report.require(
        "cases.json: extra.no_grad_params", stored == tables, f"{stored} stored, {tables} ours"
    )


def _buffers(model: Module) -> list[str]:
    return sorted(name for name, _ in model.named_buffers())
