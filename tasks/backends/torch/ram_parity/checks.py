"""Every stored tensor computed again, file by file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import compress

import torch
from torch import Tensor
from torch.func import functional_call

from tasks.backends.torch.ram.network import RamNetwork
from tasks.backends.torch.ram_parity.full_size import check_full_size, sizes_of
from tasks.backends.torch.ram_parity.golden import Golden
from tasks.backends.torch.ram_parity.inner_states import recorded
from tasks.backends.torch.ram_parity.losses import training_losses
from tasks.backends.torch.ram_parity.report import Report
from tasks.records.errors import ConfigurationError

Tensors = Mapping[str, Tensor]


def check_folder(golden: Golden) -> Report:
    """All comparisons of a folder.

    Raises:
        ConfigurationError: an input is missing or does not fit the network, or the weights are of no such network.
    """
    report = Report(golden.cases.tolerance)
    network = golden.network()
    _check_weights(report, golden, network)
    computed: dict[str, Tensors] = {}
    for name in (*FILES, *(name for name in golden.tensors if name not in FILES)):
        if name not in golden.tensors:
            report.require(name, False, "is not listed in cases.json")
            continue
        computed[name] = _computed(golden, name, network) if name in FILES else {}
        _check_file(report, golden, name, computed[name])
    _check_tags(report, golden, computed)
    check_full_size(report, golden.full_size)
    return report


def tagging(network: RamNetwork, inputs: Tensors, golden: Golden) -> dict[str, Tensor]:
    """A forward with all its inner states, and the decisions."""
    del golden
    with torch.no_grad(), recorded(network) as states:
        logits = network(inputs["in.image"])
        if network.sizes.descriptions is not None:
            weights = network.description_weights(states["mid.image_embeds"])
            states["mid.reweight_probs"] = weights
            states["mid.label_embed_reweighted"] = network.weigh(weights)
    probabilities = logits.sigmoid()
    given = (probabilities > inputs["in.class_threshold"]).to(torch.uint8)
    return {**states, "out.logits": logits, "out.probs": probabilities, "out.tagged": given}


def open_set(network: RamNetwork, inputs: Tensors, golden: Golden) -> dict[str, Tensor]:
    """The pictures of the first file under other label embeddings, and so other classes."""
    image = golden.tensors[TAGGING]["in.image"]
    with torch.no_grad():
        logits = functional_call(network, {"label_embed": inputs["in.label_embed"]}, (image,))
    return {"out.logits": logits}


def losses(network: RamNetwork, inputs: Tensors, golden: Golden) -> dict[str, Tensor]:
    """The training losses, and the length of the gradient of their sum by parameter."""
    names = golden.cases.extra.grad_norm_names
    parameters = dict(network.named_parameters())
    unknown = [name for name in names if name not in parameters]
    if unknown:
        raise ConfigurationError(f"grad_norm_names: the network has no {', '.join(unknown[:3])}")
    network.requires_grad_(True)
    try:
        given = {name.removeprefix("in."): tensor for name, tensor in inputs.items()}
        found = training_losses(network, golden.tensors[TAGGING]["in.image"], **given)
        wanted = [parameters[name] for name in names]
        gradients = torch.autograd.grad(torch.stack(tuple(found.values())).sum(), wanted)
    finally:
        network.requires_grad_(False)
    return {**found, "grad_norms": torch.stack([gradient.norm() for gradient in gradients])}


TAGGING = "tagging.safetensors"
Compute = Callable[[RamNetwork, Tensors, Golden], dict[str, Tensor]]
FILES: dict[str, tuple[Compute, tuple[str, ...]]] = {
    TAGGING: (tagging, ("in.image", "in.class_threshold")),
    "open_set.safetensors": (open_set, ("in.label_embed",)),
    "losses.safetensors": (losses, ("in.image_tag", "in.clip_feature", "in.batch_text_embed")),
}
"""File -> what computes its tensors, and from which inputs of the file."""


def _computed(golden: Golden, name: str, network: RamNetwork) -> Tensors:
    compute, wanted = FILES[name]
    missing = [f"{name}: {each}" for each in wanted if each not in golden.tensors[name]]
    if "in.image" not in golden.tensors.get(TAGGING, {}):
        missing.insert(0, f"{TAGGING}: in.image")
    if missing:
        raise ConfigurationError(f"{golden.folder}: missing {', '.join(missing)}")
    try:
        return compute(network, {each: golden.tensors[name][each] for each in wanted}, golden)
    except RuntimeError as error:  # PyTorch's way to say that shapes do not fit each other
        first = str(error).partition("\n")[0]
        raise ConfigurationError(
            f"{golden.folder}: the inputs of {name} do not fit the network: {first}"
        ) from error


def _check_file(report: Report, golden: Golden, file: str, computed: Tensors) -> None:
    listed, stored = golden.cases.files[file], golden.tensors[file]
    used = FILES[file][1] if file in FILES else ()
    for name in (*listed, *(name for name in stored if name not in listed)):
        label = f"{file.removesuffix('.safetensors')}: {name}"
        if name not in listed or name not in stored:
            where = "in the file" if name in listed else "listed in cases.json"
            report.require(label, False, f"is not {where}")
        elif stored[name].shape != listed[name].shape:
            shapes = f"shape {list(stored[name].shape)} stored, {list(listed[name].shape)} in cases.json"
            report.require(label, False, shapes)
        elif listed[name].role == "input":
            report.require(label, name in used, "input" if name in used else "nothing uses this input")
        elif name in computed:
            report.compare(label, computed[name], stored[name], gradient=listed[name].role == "gradient")
        else:
            report.require(label, False, "nothing computes this tensor")


def _check_weights(report: Report, golden: Golden, network: RamNetwork) -> None:
    """Listed shapes, stated sizes, and the buffers that follow from them."""
    listed = {name: shape for shapes in golden.cases.weights.values() for name, shape in shapes.items()}
    found = {name: tuple(tensor.shape) for name, tensor in golden.weights.items()}
    wrong = sorted(name for name in {*listed, *found} if listed.get(name) != found.get(name))
    note = f"{len(found)} as listed" if not wrong else f"not as listed: {', '.join(wrong[:3])}"
    report.require("weights: names and shapes", not wrong, note)
    stated, ours = sizes_of(golden.cases.config), network.sizes
    # A window that is larger than every stage cannot be read from tensors, and makes no difference.
    swin = replace(stated.swin, window=stated.swin.window_of(0))
    descriptions = None if ours.descriptions is None else stated.descriptions
    stated = replace(stated, swin=swin, descriptions=descriptions)
    note = "as stated" if stated == ours else f"{ours}, stated {stated}"
    report.require("weights: sizes", stated == ours, note)
    buffers = dict(network.named_buffers())
    for name, tensor in golden.buffers().items():
        report.compare(f"weights: {name}", buffers[name], tensor)


def _check_tags(report: Report, golden: Golden, computed: Mapping[str, Tensors]) -> None:
    """The strings in which the published code answers."""
    extra = golden.cases.extra
    given = computed[TAGGING]["out.tagged"].bool().tolist() if TAGGING in computed else []
    stored = [(frozenset[int](), extra.tags)] if extra.tags else []
    for deleted, words in (*stored, *extra.tags_without()):
        left = [[tag and number not in deleted for number, tag in enumerate(tags)] for tags in given]
        ours = tuple(" | ".join(compress(extra.tag_names, tags)) for tags in left)
        label = f"words: without {sorted(deleted)}" if deleted else "words: tags"
        report.require(
            label, ours == words, f"{list(ours)}" + ("" if ours == words else f", stored {list(words)}")
        )
    logits = computed.get("open_set.safetensors", {}).get("out.logits")
    if logits is not None and extra.open_set_tags:
        names, words = extra.open_set_tag_names, extra.open_set_tags
        tagged = torch.tensor([[name in line.split(" | ") for name in names] for line in words])
        # The thresholds of the other classes are not stored: each class must be parted by some threshold.
        below = torch.where(tagged, -torch.inf, logits).amax(0)
        above = torch.where(tagged, logits, torch.inf).amin(0)
        note = "each class is parted by a threshold, which is not stored"
        report.require("words: open set", bool((below < above).all()), note)
