"""The few functions of torchvision that segment-anything imports, for machines where torchvision does not load.

torchvision's wheels need CUDA's libraries and fail on a CPU build of PyTorch. The stand-in is visible only while the
package is imported; a torchvision that works is used as it is.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import PIL.Image


def _resize(image: PIL.Image.Image, size: tuple[int, int]) -> PIL.Image.Image:
    """As torchvision's default for Pillow images: bilinear; ``size`` is (height, width)."""
    return image.resize((size[1], size[0]), PIL.Image.Resampling.BILINEAR)


def _to_pil_image(array: np.ndarray) -> PIL.Image.Image:
    return PIL.Image.fromarray(array)


def _not_here(*_: object, **__: object) -> None:
    raise NotImplementedError("the tests do without torchvision's operators")


MEMBERS = {
    "torchvision": {},
    "torchvision.transforms": {},
    "torchvision.transforms.functional": {"resize": _resize, "to_pil_image": _to_pil_image},
    "torchvision.ops": {},
    "torchvision.ops.boxes": {"batched_nms": _not_here, "box_area": _not_here},
}


@contextmanager
def torchvision_for_import() -> Iterator[None]:
    """Within it ``import segment_anything`` works whether or not torchvision does."""
    try:
        importlib.import_module("torchvision.transforms.functional")
    except (ImportError, RuntimeError, OSError):
        before = {name: module for name, module in sys.modules.items() if name.startswith("torchvision")}
    else:
        yield
        return
    for name in before:
        del sys.modules[name]
    for name, members in MEMBERS.items():
        module = ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__path__ = []
        vars(module).update(members)
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in MEMBERS:
            del sys.modules[name]
        sys.modules.update(before)
