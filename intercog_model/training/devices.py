"""Peak speed and memory of GPUs, by the names that they give themselves."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class Gpu:
    """One kind of GPU, as its maker states it."""

    part: str  # of the device's own name
    tflops: float  # peak of dense bf16 products with float32 sums
    gigabytes: float  # of memory, 10^9 bytes


GPUS: dict[str, Gpu] = {
    # a longer name before the one that is part of it
    "gb200": Gpu("GB200", 2500.0, 186),
    "b200": Gpu("B200", 2250.0, 180),
    "gh200": Gpu("GH200", 989.4, 96),
    "h200-nvl": Gpu("H200 NVL", 835.5, 141),
    "h200": Gpu("H200", 989.4, 141),
    "h100-nvl": Gpu("H100 NVL", 835.5, 94),
    "h100-pcie": Gpu("H100 PCIe", 756.0, 80),
    "h100": Gpu("H100", 989.4, 80),
    "h800": Gpu("H800", 989.4, 80),
    "h20": Gpu("H20", 148.0, 96),
    "a100-40gb": Gpu("A100-SXM4-40GB", 312.0, 40),
    "a100": Gpu("A100", 312.0, 80),
    "a800": Gpu("A800", 312.0, 80),
    "a40": Gpu("A40", 149.7, 48),
    "l40s": Gpu("L40S", 362.0, 48),
    "l4": Gpu("L4", 121.0, 24),
    "rtx-6000-ada": Gpu("RTX 6000 Ada", 364.2, 48),
    "rtx-4090": Gpu("RTX 4090", 165.2, 24),
    "mi300x": Gpu("MI300X", 1307.4, 192),
}
"""By a short name; figures are of the makers' data sheets, without sparsity."""


def known_gpu(name: str) -> Gpu | None:
    """The kind of a device's own name, such as ``NVIDIA H100 80GB HBM3``; None for one that the table lacks."""
    words = f" {name} ".replace("-", " ")
    parts = ((gpu, gpu.part.replace("-", " ")) for gpu in GPUS.values())
    return next((gpu for gpu, part in parts if f" {part} " in words), None)


def device_name(device: torch.device) -> str:
    """What the device calls itself; its type where that is all there is."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def peak_flops(device: torch.device, stated: float = 0.0) -> float | None:
    """Operations a second that one device reaches at most, in bf16; None where nothing is known.

    Args:
        device: known by its own name.
        stated: teraflops instead, where they are above 0.
    """
    known = known_gpu(device_name(device))
    tflops = stated or (known.tflops if known else 0.0)
    return tflops * 1e12 or None


def device_memory(device: torch.device) -> dict[str, int]:
    """Bytes on a GPU: allocated, reserved, and the most allocated since this was last asked; nothing on a CPU."""
    if device.type != "cuda":
        return {}
    found = {
        "memory_allocated": torch.cuda.memory_allocated(device),
        "memory_reserved": torch.cuda.memory_reserved(device),
        "memory_peak": torch.cuda.max_memory_allocated(device),
    }
    torch.cuda.reset_peak_memory_stats(device)
    return found
