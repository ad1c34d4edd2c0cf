"""Writer and reader for `torch.distributed.checkpoint`: pieces of tensors in files, each with a digest that is checked.

DCP decides which process writes and reads which piece, so that a checkpoint fits any number of processes. It has no
check sums of its own: a flipped bit would be loaded as another number.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata,
    Metadata,
    MetadataIndex,
    TensorProperties,
    TensorStorageMetadata,
)
from torch.distributed.checkpoint.planner import LoadPlan, LoadPlanner, ReadItem, SavePlan, SavePlanner
from torch.distributed.checkpoint.storage import StorageReader, StorageWriter, WriteResult
from torch.futures import Future

from intercog_model.training.checkpoint_folder import (
    BLOCK,
    CheckpointFolder,
    DamagedCheckpointError,
    Index,
    Piece,
    StoredTensor,
)

READERS = 4  # pieces that one process reads at a time


class CheckpointWriter(StorageWriter):
    """Writes one checkpoint; every process has one, and the first also completes it.

    Args:
        folder: where checkpoints lie.
        step: that the state was taken after.
        state: what is no tensor, as JSON holds it.
        written: is called by the first process with the checkpoint's name when it is whole.
    """

    def __init__(
        self, folder: CheckpointFolder, step: int, state: dict[str, Any], written: Callable[[str], None]
    ) -> None:
        self.folder, self.state, self.written = folder, state, written
        self.name = folder.new_name(step)

    def reset(self, checkpoint_id: object = None) -> None:
        """See `StorageWriter`."""

    def set_up_storage_writer(self, is_coordinator: bool, *args: Any, **kwargs: Any) -> None:
        """See `StorageWriter`."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: object) -> bool:
        """See `StorageWriter`."""
        return False

    def prepare_local_plan(self, plan: SavePlan) -> SavePlan:
        """See `StorageWriter`."""
        return plan

    def prepare_global_plan(self, plans: list[SavePlan]) -> list[SavePlan]:
        """Tell every process its file below the name that the first one chose."""
        return [replace(p, storage_data=f"{self.name}/{rank:05d}.bin") for rank, p in enumerate(plans)]

    def write_data(self, plan: SavePlan, planner: SavePlanner) -> Future[list[WriteResult]]:
        """Write this process's pieces end to end into its file."""
        done: Future[list[WriteResult]] = Future()
        results = list[WriteResult]()
        if plan.items:
            with self.folder.writer(plan.storage_data) as file:
                start = 0
                for item in plan.items:
                    found = planner.resolve_data(item)
                    assert isinstance(found, Tensor), item.index.fqn  # the rest is in the index
                    data = _bytes_of(found.detach().cpu())
                    digest = hashlib.sha256()
                    for block in range(0, len(data), BLOCK):
                        part = data[block : block + BLOCK]
                        digest.update(part)
                        file.write(part)
                    piece = Piece(
                        offsets=tuple(item.index.offset or ()),
                        shape=tuple(found.shape),
                        file=plan.storage_data.rpartition("/")[2],
                        start=start,
                        size=len(data),
                        sha256=digest.hexdigest(),
                    )
                    results.append(WriteResult(item.index, len(data), piece))
                    start += len(data)
        done.set_result(results)
        return done

    def finish(self, metadata: Metadata, results: list[list[WriteResult]]) -> None:
        """Complete the checkpoint once all pieces are written."""
        pieces, sizes = defaultdict[str, list[Piece]](list), defaultdict[str, int](int)
        for result in (one for each in results for one in each):
            pieces[result.index.fqn].append(result.storage_data)
            sizes[result.storage_data.file] += result.size_in_bytes
        tensors = {}
        for name, found in metadata.state_dict_metadata.items():
            assert isinstance(found, TensorStorageMetadata), name
            tensors[name] = StoredTensor(
                dtype=str(found.properties.dtype).removeprefix("torch."),
                shape=tuple(found.size),
                pieces=tuple(sorted(pieces[name], key=lambda piece: piece.offsets)),
            )
        self.folder.finish(self.name, Index(state=self.state, tensors=tensors), sizes)
        self.written(self.name)


class CheckpointReader(StorageReader):
    """Reads tensors of one checkpoint; each piece that is touched is read whole and checked.

    Args:
        folder: where checkpoints lie.
        name: of the checkpoint.
        index: as `CheckpointFolder.read` gave it.
    """

    def __init__(self, folder: CheckpointFolder, name: str, index: Index) -> None:
        self.folder, self.name, self.index = folder, name, index

    def reset(self, checkpoint_id: object = None) -> None:
        """See `StorageReader`."""

    @classmethod
    def validate_checkpoint_id(cls, checkpoint_id: object) -> bool:
        """See `StorageReader`."""
        return False

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """The index as DCP wants it."""
        tensors: dict[str, Any] = {
            name: TensorStorageMetadata(
                properties=TensorProperties(dtype=getattr(torch, stored.dtype)),
                size=torch.Size(stored.shape),
                chunks=[
                    ChunkStorageMetadata(offsets=torch.Size(p.offsets), sizes=torch.Size(p.shape))
                    for p in stored.pieces
                ],
            )
            for name, stored in self.index.tensors.items()
        }
        return Metadata(tensors)

    def set_up_storage_reader(
        self, metadata: Metadata, is_coordinator: bool, *args: Any, **kwargs: Any
    ) -> None:
        """See `StorageReader`."""

    def prepare_local_plan(self, plan: LoadPlan) -> LoadPlan:
        """See `StorageReader`."""
        return plan

    def prepare_global_plan(self, plans: list[LoadPlan]) -> list[LoadPlan]:
        """See `StorageReader`."""
        return plans

    def read_data(self, plan: LoadPlan, planner: LoadPlanner) -> Future[None]:
        """Fill all that the plan asks for."""
        asked = defaultdict[MetadataIndex, list[ReadItem]](list)
        for item in plan.items:
            asked[item.storage_index].append(item)

        def fill(index: MetadataIndex) -> None:
            stored = self._read(index)
            for item in asked[index]:
                part, target = stored, planner.resolve_tensor(item).detach()
                for axis, (start, length) in enumerate(zip(item.storage_offsets, item.lengths, strict=True)):
                    part = part.narrow(axis, start, length)
                target.copy_(part)
                planner.commit_tensor(item, target)

        with ThreadPoolExecutor(READERS) as pool:
            for _ in pool.map(fill, asked):
                pass
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _read(self, index: MetadataIndex) -> Tensor:
        stored = self.index.tensors[index.fqn]
        offsets = tuple(index.offset or ())
        piece = next(piece for piece in stored.pieces if piece.offsets == offsets)
        data, digest = torch.empty(piece.size, dtype=torch.uint8), hashlib.sha256()
        view = data.numpy().data
        for start in range(0, piece.size, BLOCK):
            block = self.folder.read_block(
                f"{self.name}/{piece.file}", piece.start + start, min(BLOCK, piece.size - start)
            )
            digest.update(block)
            view[start : start + len(block)] = block
        if digest.hexdigest() != piece.sha256:
            raise DamagedCheckpointError(f"{piece.file} fails the digest of {index.fqn}")
        return data.view(getattr(torch, stored.dtype)).reshape(piece.shape)


def _bytes_of(tensor: Tensor) -> memoryview:
    """The bytes of a tensor on the CPU, without a copy where it is contiguous."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
