"""The autoencoder: moments, samples, decoded pictures, inner activations, and a zero-padded batch."""

import re
from collections.abc import Callable

import torch
from torch import Tensor, nn

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import pad_images
from intercog_model.parity.golden import Golden, GoldenFile

FILE = "vae.safetensors"
LEVEL = re.compile(r"(down|up)(\d+)_(downsample|upsample|last_block)$")
FIXED = {"mid_block1": "mid.block_1", "mid_attn": "mid.attn_1", "mid_block2": "mid.block_2"}


@torch.no_grad()
def check(golden: Golden) -> None:
    """Compute the file from its images and noises."""
    file = golden.open(FILE)
    prefixes = [name.removesuffix("in.image") for name in file.names("img") if name.endswith(".in.image")]
    images = []
    for prefix in prefixes:
        images.append(file.take(f"{prefix}in.image"))
        _check_image(golden, file, prefix, images[-1])
    sheet = pad_images([image for batch in images for image in batch])
    file.check("padded.out.latent", golden.vae.encode(sheet, file.take("padded.in.noise")))
    file.close()


def _check_image(golden: Golden, file: GoldenFile, prefix: str, image: Tensor) -> None:
    vae, noise = golden.vae, file.take(f"{prefix}in.noise")
    kept: dict[str, Tensor] = {}
    handles = []
    for name in file.names(f"{prefix}mid."):
        handles.append(
            _part(vae, name.removeprefix(f"{prefix}mid.")).register_forward_hook(_keep(kept, name))
        )
    moments = vae.encoder(image)
    mean, logvar = moments.chunk(2, dim=1)
    latent = vae.encode(image, noise)
    decoded = vae.decode(latent)
    for handle in handles:
        handle.remove()
    for name, value in kept.items():
        file.check(name, value)
    file.check(f"{prefix}out.moments", moments)
    file.check(f"{prefix}out.latent_sample_raw", mean + torch.exp(0.5 * logvar) * noise)
    file.check(f"{prefix}out.latent", latent)
    file.check(f"{prefix}out.decoded", decoded)
    file.check(f"{prefix}out.decoded_from_mean", vae.decode(vae.scale(mean)))


def _part(vae: AutoEncoder, name: str) -> nn.Module:
    """The module behind a name like `enc.down0_downsample`; ValueError for an unknown one."""
    half, _, rest = name.partition(".")
    module: nn.Module = {"enc": vae.encoder, "dec": vae.decoder}[half]
    match = LEVEL.match(rest)
    path = FIXED.get(rest, rest)
    if match:
        step = "block.-1" if match[3] == "last_block" else match[3]
        path = f"{match[1]}.{match[2]}.{step}"
    for part in path.split("."):
        module = module[int(part)] if isinstance(module, nn.ModuleList) else getattr(module, part)
    return module


def _keep(kept: dict[str, Tensor], name: str) -> Callable[[nn.Module, object, Tensor], None]:
    def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        kept[name] = output

    return hook
