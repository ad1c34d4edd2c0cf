"""Opens a network in ONNX Runtime on the CPU with reproducible results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tasks.records.errors import ModelUnavailable
from tasks.records.process_environment import set_up

if TYPE_CHECKING:
    import onnxruntime as ort


def open_session(path: Path, *, threads: int) -> ort.InferenceSession:
    """An inference session on the CPU; sequential, so that no result depends on the number of threads.

    The memory arena is off: it would keep the activations of the largest picture, up to 1.5 GB, until the process ends.

    Raises:
        ModelUnavailable: the runtime cannot load the file.
    """
    set_up()  # it reports home from its import on, and not every process that gets here is one of a build
    import onnxruntime as ort  # noqa: PLC0415 - heavy, and a worker that loads no network needs no runtime

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (
        ort.capi.onnxruntime_pybind11_state.Fail,
        ort.capi.onnxruntime_pybind11_state.InvalidGraph,
        ort.capi.onnxruntime_pybind11_state.InvalidProtobuf,
    ) as error:
        raise ModelUnavailable(f"{path.name}: ONNX Runtime cannot load it: {error}") from error
