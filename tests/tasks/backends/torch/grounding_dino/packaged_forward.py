"""One forward pass of the package groundingdino-py on given inputs; run by its own interpreter.

    python -m tests.tasks.backends.torch.grounding_dino.packaged_forward INPUTS OUTPUTS

Both are files of ``torch.save``: the inputs hold what `PackagedNetwork` takes, the outputs logits and boxes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from tasks.backends.torch.grounding_dino.captions import Caption
from tasks.backends.torch.grounding_dino.packaged_network import PackagedNetwork


def main(inputs: str, outputs: str) -> None:
    given = torch.load(inputs, weights_only=True)
    size = {"shortest_edge": 256, "longest_edge": 400}
    network = PackagedNetwork(Path(given["file"]), Path(given["text_encoder"]), device="cpu", size=size)
    captions = [Caption(names=(), text=text, ids=(), spans=()) for text in given["texts"]]
    sizes = [tuple(picture.shape[1:]) for picture in given["pictures"]]
    logits, boxes = network(given["pictures"], sizes, given["owners"], captions)
    torch.save({"logits": logits, "boxes": boxes}, outputs)


if __name__ == "__main__":
    main(*sys.argv[1:])
