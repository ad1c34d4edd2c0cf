"""Layers in training: what is recomputed is counted, and compiled halves share their graphs."""

import itertools
from collections import Counter

import pytest

torch = pytest.importorskip("torch")

from torch._dynamo.backends.debugging import aot_eager  # noqa: E402
from torch.testing import assert_close  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from intercog_model.backbone.attention import DenseAttend  # noqa: E402
from intercog_model.backbone.layers import compile_layers, set_recompute  # noqa: E402
from intercog_model.data.example import UnderstandingExample  # noqa: E402
from intercog_model.packing.masks import dense_masks  # noqa: E402
from intercog_model.training.objective import term_counts, total_loss  # noqa: E402
from tests.intercog_model import toys  # noqa: E402


class Counting(TorchDispatchMode):
    """Counts matrix products and attentions, without those of the backward formulas."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if "scaled_dot_product" in name and "backward" not in name:
            self.calls["attention"] += 1
        self.calls["product"] += name in ("mm", "addmm")
        return func(*args, **(kwargs or {}))


def gradients(model, batch, clean):
    model.zero_grad(set_to_none=True)
    sums = model(batch, clean, DenseAttend(dense_masks(batch.packed)))
    total_loss(
        sums, {name: max(n, 1) for name, n in term_counts(batch, model.config).items()}, model.config
    ).backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_selective_recomputation_spares_attention_and_no_gradient_changes_a_bit():
    model, vae = toys.models()
    batch = toys.batch([toys.example()])
    clean = toys.latents(vae, batch)
    found, calls = {}, {}
    for recompute in ("none", "selective", "full"):
        set_recompute(model, recompute)
        with Counting() as counting:
            found[recompute] = gradients(model, batch, clean)
        calls[recompute] = counting.calls
    again = {mode: found - calls["none"] for mode, found in calls.items()}
    decoder, vit, images = 4, 2, len(batch.packed.vit_lengths)
    assert again["none"] == Counter()
    # all products of a decoder layer (7 of each expert); of a ViT layer not the last of each part, which nothing reads
    assert again["selective"] == {"product": decoder * 14 + vit * (2 + 2)}
    assert again["full"] == {"product": decoder * 14 + vit * 5, "attention": decoder + vit * images}
    for other in ("selective", "full"):
        assert all(torch.equal(found[other][name], value) for name, value in found["none"].items())


class GraphsOfHalves:
    """A backend that counts what it is given to compile by layer kind and half."""

    def __init__(self):
        self.count = Counter()

    def __call__(self, graph, inputs):
        kind = "vit" if "layer_norm" in graph.code.replace("layernorm", "") else "decoder"
        self.count[kind, "before" if "q_proj" in graph.code else "after"] += 1
        return aot_eager(graph, inputs)


@pytest.mark.slow
def test_packs_of_all_sizes_share_two_graphs_a_half_and_gradients_stay():
    plain, vae = toys.models()
    model, _ = toys.models()
    set_recompute(model, "selective")
    counter = GraphsOfHalves()
    compile_layers(model, counter)
    sides = [32, 36, 40, 44, 48, 52, 56, 60, 64]
    # the first has 8 patches; 16 would look to the compiler like the 16 channels of a head
    sizes = list(itertools.islice(itertools.product(sides, sides), 0, 80, 4))
    assert len(sizes) == len(set(sizes)) == 20
    for number, size in enumerate(sizes):
        batch = toys.batch(
            [toys.example("a", size=size, boxes=((2, 2, 20, 20),))], drop_vae=float(number % 2)
        )
        clean = toys.latents(vae, batch)
        found = gradients(model, batch, clean)
        if number % 10 == 1:
            for name, value in gradients(plain, batch, clean).items():
                assert_close(
                    found[name], value, atol=2e-5, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
                )
    assert len(counter.count) == 4, counter.count
    assert max(counter.count.values()) <= 2, counter.count
    picture = toys.example().source  # understood, not drawn: no rows of the generation expert
    for words in ("What?", "What is it, and where?"):
        batch = toys.batch([UnderstandingExample(key=words, image=picture, question=words, answer="A box.")])
        gradients(model, batch, toys.latents(vae, batch))
    assert max(counter.count.values()) <= 4, counter.count
