"""Lets torchvision's Python parts be imported beside a torch without CUDA; imported by each process of an environment.

The compiled part of torchvision's wheels wants CUDA's libraries, and without it the import fails at the registration of
``nms``. Here that operator is defined in Python first, and the check for the compiled part is turned off. Beside a
torch with CUDA nothing is changed.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

EXTENSION = "torchvision.extension"


class _WithoutCompiledPart(importlib.abc.MetaPathFinder):
    """Sees the imports of torchvision before they happen."""

    library: Any = None
    begun = False

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "torchvision" and not self.begun:
            self.begun = True
            self.library = _operators()
        if name != EXTENSION or self.library is None:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def quiet(module: ModuleType) -> None:
                execute(module)
                module._assert_has_ops = lambda: None  # type: ignore[attr-defined]

            spec.loader.exec_module = quiet  # type: ignore[method-assign]
        return spec


def _operators() -> Any:
    """Declares what torchvision registers itself on; None where torch has CUDA."""
    import torch  # noqa: PLC0415  (only in processes that import torchvision)

    if torch.version.cuda is not None:
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.impl("nms", _nms, "CPU")
    return library


def _nms(boxes: Any, scores: Any, threshold: float) -> Any:
    """Indices of boxes that overlap no better one by more than ``threshold``, best first."""
    import torch  # noqa: PLC0415

    left = scores.argsort(descending=True, stable=True)
    sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    kept = []
    while left.numel():
        best, left = left[0], left[1:]
        kept.append(best)
        low = torch.maximum(boxes[best, :2], boxes[left, :2])
        high = torch.minimum(boxes[best, 2:], boxes[left, 2:])
        common = (high - low).clamp(min=0).prod(dim=1)
        left = left[common / (sizes[best] + sizes[left] - common) <= threshold]
    return torch.stack(kept) if kept else torch.empty(0, dtype=torch.int64)


sys.meta_path.insert(0, _WithoutCompiledPart())
