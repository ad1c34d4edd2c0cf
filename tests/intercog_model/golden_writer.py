"""Writes a golden folder of other sizes with this package's own network, to test the parity command on."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from intercog_model.packing.pack import pack
from intercog_model.parity import golden as golden_module
from intercog_model.parity import run as parity
from intercog_model.parity.check_train_forward import _samples

NUMBERS = {torch.float32: "float32", torch.int64: "int64", torch.int32: "int32", torch.uint8: "uint8"}


def change_sizes(config: dict, extra: dict) -> None:
    """Other widths, depths, rope base and autoencoder shape than the public folder."""
    config["llm"] |= {"hidden_size": 48, "intermediate_size": 72, "num_hidden_layers": 3, "rope_theta": 5e5}
    config["llm"] |= {"num_attention_heads": 6, "num_key_value_heads": 3, "vocab_size": 320}
    config["vit"] |= {
        "hidden_size": 32,
        "intermediate_size": 40,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
    }
    config["vae"] |= {"ch": 64, "ch_mult": [1, 2], "num_res_blocks": 1, "z_channels": 8, "downsample": 2}
    config["vae"] |= {"scale_factor": 0.5, "shift_factor": 0.2}
    config["bagel"] |= {"max_latent_size": 32, "timestep_shift": 2.0}
    ids = {"bos_token_id": 310, "eos_token_id": 311, "start_of_image": 312, "end_of_image": 313}
    config["special_token_ids"] = ids
    extra["train_plan"][0][3]["special_token_label"] = 312


def write(source: Path, target: Path) -> None:
    """Record what the checks compute into a copy of `source` with changed sizes and random weights."""
    shutil.copytree(source, target)
    for stale in target.glob("*weights*"):
        stale.unlink()
    cases = json.loads((source / "cases.json").read_text())
    change_sizes(cases["config"], cases["extra"])
    config = golden_module.read_config(cases["config"])
    torch.manual_seed(7)
    model, vae = golden_module.Bagel(config), golden_module.AutoEncoder(config.vae)
    for name, value in [*model.named_parameters(), *vae.named_parameters()]:
        noise = torch.randn_like(value)
        one = name.endswith("weight") and value.dim() == 1
        value.data = (
            1 + 0.1 * noise if one else noise * (0.5 if value.dim() == 1 else value[0].numel() ** -0.5)
        )
    for name, module in (("model_weights", model), ("vae_weights", vae)):
        save_file(
            {k: v.detach().contiguous() for k, v in module.state_dict().items()},
            target / f"{name}.safetensors",
        )
        shapes = {k: list(v.shape) for k, v in module.state_dict().items()}
        cases["weights"][f"{name}.safetensors"] = shapes
    cases["extra"]["grad_norm_names"] = sorted(name for name, _ in model.named_parameters())
    _resize_inputs(target, cases, config.vae.z_channels, config.latent_width)
    (target / "cases.json").write_text(json.dumps(cases))
    _record(target, cases)


def _resize_inputs(target: Path, cases: dict, z: int, width: int) -> None:
    """Random draws of the forms the new sizes need; images and token ids stay."""
    torch.manual_seed(8)
    step = 2  # pixels per latent cell
    path = target / "train_forward.safetensors"
    tensors = load_file(path)
    images = [tensors[f"in.sample{s}.image{i}"] for s, i in ((0, 1), (0, 2), (1, 0), (1, 1))]
    height, grid = [max(i.shape[a] for i in images) // step for a in (1, 2)], 2 * step
    counts = [(i.shape[1] // grid) * (i.shape[2] // grid) for i in images]
    tensors["vae.noise"] = torch.randn(4, z, *height)
    tensors["flow.noise"] = torch.randn(sum(counts), width)
    raw = zip((-torch.inf, 0.4, -0.6, -torch.inf), counts, strict=True)
    tensors["packed.packed_timesteps"] = torch.cat([torch.full((n,), value) for value, n in raw])
    save_file(tensors, path)
    path = target / "vae.safetensors"
    tensors = load_file(path)
    sizes = [tensors[f"img{i}.in.image"].shape for i in (0, 1)]
    for i, size in enumerate(sizes):
        tensors[f"img{i}.in.noise"] = torch.randn(1, z, size[2] // step, size[3] // step)
    tensors["padded.in.noise"] = torch.randn(2, z, *(max(s[a] for s in sizes) // step for a in (2, 3)))
    save_file(tensors, path)
    for name, key, other in (
        ("prefill_and_greedy", "step2_vae.latent_noise", None),
        ("flow", "in.vae_latent_noise", "gen.packed_init_noises"),
    ):
        path = target / f"{name}.safetensors"
        tensors = load_file(path)
        size = tensors["in.vae_image"].shape
        tensors[key] = torch.randn(1, z, size[1] // step, size[2] // step)
        if other:
            height, width_px = tensors["gen.image_size"].tolist()
            tensors[other] = torch.randn((height // grid) * (width_px // grid), width)
        save_file(tensors, path)
    train = cases["files"]["train_forward.safetensors"]
    layer = train["hidden.layer0"]
    train["hidden.layer2"] = layer
    cases["files"]["vit.safetensors"]["mid.layer2"] = layer
    vae = cases["files"]["vae.safetensors"]
    for name in [n for n in vae if any(f"{x}{i}" in n for x in ("down", "up") for i in (1, 2, 3))]:
        del vae[name]
    vae["img0.mid.enc.down1_last_block"] = vae["img0.mid.enc.mid_attn"]
    vae["img0.mid.dec.up1_upsample"] = vae["img0.mid.enc.mid_attn"]


class _Recorder(golden_module.GoldenFile):
    """Keeps what is computed instead of comparing it."""

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.cases if name.startswith(prefix)]

    def check(self, name: str, ours: Tensor | list[int] | int, *, route: str = "") -> None:
        value = ours if isinstance(ours, Tensor) else torch.tensor(ours)
        old = self.tensors.get(name)
        if name in self.seen or (name in ("packed.packed_timesteps",)):
            return
        self.seen.add(name)
        kind = old.dtype if old is not None else value.dtype
        value = value.reshape(old.shape) if old is not None and old.numel() == value.numel() == 1 else value
        self.tensors[name] = value.detach().clone().to(kind).contiguous()

    def close(self) -> None:
        gradients = {n: v for n, v in self.tensors.items() if n.startswith("grad.")}
        keep = {n: v for n, v in self.tensors.items() if n in self.seen or n in ("vel.timestep",)}
        keep |= {n: v for n, v in self.tensors.items() if n == "packed.packed_timesteps"}
        keep |= {n: v for n, v in gradients.items() if n in self.seen}
        for name in [n for n in self.cases if n not in keep]:
            del self.cases[name]
        for name, value in keep.items():
            entry = dict(self.cases.get(name, {"role": "gradient" if name.startswith("grad") else "output"}))
            self.cases[name] = entry | {"shape": list(value.shape), "dtype": NUMBERS[value.dtype]}
        self.tensors = keep


def _record(target: Path, cases: dict) -> None:
    golden = golden_module.Golden(target)
    golden.build()
    files: dict[str, _Recorder] = {}

    def open_recorder(name: str) -> _Recorder:
        files[name] = _Recorder(name, load_file(target / name), golden.cases["files"][name], golden.report)
        return files[name]

    golden.open = open_recorder
    train = golden.cases["files"]["train_forward.safetensors"]
    for name in [n for n in train if n.startswith("grad.")]:
        del train[name]
    one = {"role": "gradient", "shape": [], "dtype": "float32"}
    train |= {f"grad.{n}": one for n, p in golden.model.named_parameters() if p.dim() == 1}
    rows = sum(1 for _ in golden.model.named_parameters())
    assert len(golden.extra["grad_norm_names"]) == rows
    batch = pack(_samples(golden, open_recorder("train_forward.safetensors")), golden.config)
    golden.extra["train_sequence_length"] = batch.length
    golden.extra["train_flex_sample_lens"] = [*batch.sample_lengths, 9]
    for check in parity.CHECKS.values():
        check(golden)
    for name, file in files.items():
        save_file(file.tensors, target / name)
    (target / "cases.json").write_text(json.dumps(golden.cases))
