"""Sharded parameters, their moving average, digests, and numbers summed over ranks."""

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor

from intercog_model.training.objective import InterCog


def world() -> tuple[int, int]:
    """Rank and number of processes; (0, 1) without a process group."""
    if not distributed.is_initialized():
        return 0, 1
    return distributed.get_rank(), distributed.get_world_size()


def process_mesh(device_type: str, replicas: int) -> DeviceMesh:
    """All processes as ("shard",), or as ("replicate", "shard") where the model is held `replicas` times.

    Processes that share one copy have neighboring ranks, so that with the GPUs of a machine as one copy (HSDP) only
    gradients cross the network.
    """
    ranks = world()[1]
    if replicas == 1:
        return init_device_mesh(device_type, (ranks,), mesh_dim_names=("shard",))
    return init_device_mesh(device_type, (replicas, ranks // replicas), mesh_dim_names=("replicate", "shard"))


def shard(model: InterCog, mesh: DeviceMesh, *, bf16: bool) -> None:
    """FSDP2 over a mesh: every decoder layer, ViT layer, the embedding, the output head and the rest is a unit.

    Parameters stay float32; under `bf16` they are cast for compute, and gradients are reduced in float32.
    """
    policy = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16 if bf16 else None,
        reduce_dtype=torch.float32 if bf16 else None,
        # inputs cast on entry would take rotary angles, clean latents and noise down to bf16 with them
        cast_forward_inputs=False,
    )
    language = model.bagel.language_model
    for layer in [*language.model.layers, *model.bagel.vit_model.vision_model.encoder.layers]:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    for table in (language.model.embed_tokens, language.lm_head):  # too large to stay gathered with the rest
        fully_shard(table, mesh=mesh, mp_policy=policy)
    # by default the root stays gathered after a forward pass, and one without backward would leave old weights there
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=True)


def shard_place(tensor: Tensor) -> tuple[int, int]:
    """Which of how many parts of a tensor lies on this process; (0, 1) for one that is not sharded."""
    if not isinstance(tensor, DTensor):
        return 0, 1
    mesh = tensor.device_mesh
    return mesh.get_local_rank(mesh.ndim - 1), mesh.size(mesh.ndim - 1)


def local(tensor: Tensor) -> Tensor:
    """The part of a sharded tensor that lies on this rank, or the tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def sum_over_ranks(values: dict[str, float], device: torch.device | str) -> dict[str, float]:
    """Each value summed over all processes, in float64."""
    if world()[1] == 1:
        return dict(values)
    packed = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    distributed.all_reduce(packed)
    return dict(zip(values, packed.tolist(), strict=True))


def most_over_ranks(values: dict[str, int], device: torch.device | str) -> dict[str, int]:
    """The largest of all processes for each value; every process has the same ones."""
    if world()[1] == 1 or not values:
        return dict(values)
    packed = torch.tensor(list(values.values()), dtype=torch.int64, device=device)
    distributed.all_reduce(packed, op=distributed.ReduceOp.MAX)
    return dict(zip(values, packed.tolist(), strict=True))


class MovingAverage:
    """Exponential average of what is trained, in float32, sharded as it is."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {
            name: p.detach().float().clone() for name, p in model.named_parameters() if p.requires_grad
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """One step toward the current parameters."""
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                local(self.values[name]).lerp_(local(parameter.detach()).float(), 1 - self.decay)

    def bytes(self) -> int:
        """Memory of this rank's part."""
        return sum(local(v).numel() * local(v).element_size() for v in self.values.values())


def optimizer_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Memory of this rank's optimizer state."""
    return sum(local(v).numel() * local(v).element_size() for v in _state_tensors(optimizer))


def _state_tensors(optimizer: torch.optim.Optimizer) -> Iterable[Tensor]:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state.get(parameter, {})
            yield from (state[name] for name in sorted(state) if isinstance(state[name], Tensor))


def digest(tensors: Iterable[Tensor]) -> str:
    """sha256 over the bytes of this rank's parts, in order."""
    sha = hashlib.sha256()
    for tensor in tensors:
        sha.update(local(tensor).detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def optimizer_digest(optimizer: torch.optim.Optimizer) -> str:
    """Digest of this rank's optimizer state."""
    return digest(t.reshape(-1) for t in map(local, _state_tensors(optimizer)))
