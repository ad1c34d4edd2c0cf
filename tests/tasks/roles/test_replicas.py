from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tasks.records.errors import OutOfMemory, Reason, SampleError
from tasks.roles.replicas import Cause, ReplicaDied, ThreadReplica, answer_batch


def error_of(module: str, name: str, words: str = "", base: type[Exception] = RuntimeError) -> Exception:
    """An exception as a library that need not be here raises it."""
    return type(name, (base,), {"__module__": module})(words)


class Raising:
    def __init__(self, error: Callable[[], Exception]) -> None:
        self.error = error

    def answer(self, questions: list[Any]) -> list[Any]:
        raise self.error()


def numpy_without_memory() -> Exception:
    try:
        np.zeros((2**20, 2**20, 2**10), np.float64)
    except MemoryError as error:
        return error
    return AssertionError("such a machine was not foreseen")


def opencv_without_memory() -> Exception:
    error = error_of("cv2", "error", "Insufficient memory", Exception)
    error.code = -4  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "error",
    [
        lambda: error_of("torch", "OutOfMemoryError", "CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: error_of("torch.cuda", "OutOfMemoryError"),
        lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        lambda: RuntimeError("CUDA error: out of memory"),
        opencv_without_memory,
        numpy_without_memory,
    ],
)
def test_a_lack_of_memory_is_known_whoever_reports_it(error: Callable[[], Exception]) -> None:
    with pytest.raises(OutOfMemory) as raised:
        answer_batch(Raising(error), [1])
    # A traceback from inside the backend would keep its tensors alive while the halves are asked.
    assert raised.value.__cause__ is raised.value.__context__ is None


@pytest.mark.parametrize(
    "error",
    [
        lambda: RuntimeError("CUDA error: device-side assert triggered\nCUDA kernel errors might be"),
        lambda: RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        lambda: error_of("torch", "AcceleratorError", "CUDA error: an illegal memory access was encountered"),
    ],
)
def test_other_errors_of_the_device_are_the_end_of_the_replica(error: Callable[[], Exception]) -> None:
    with pytest.raises(ReplicaDied) as died:
        answer_batch(Raising(error), [1])
    assert died.value.cause is Cause.CRASHED
    assert "\n" not in died.value.detail


@pytest.mark.parametrize(
    "error", [ValueError("nan"), RuntimeError("shape mismatch"), SampleError(Reason.BACKEND_ERROR)]
)
def test_what_a_backend_raises_otherwise_stays_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        answer_batch(Raising(lambda: error), [1])
    assert raised.value is error


def test_a_backend_that_loses_an_answer_is_found_out() -> None:
    class Short:
        def answer(self, questions: list[int]) -> list[int]:
            return questions[1:]

    with pytest.raises(ValueError, match="Short: 1 answers for 2 questions"):
        answer_batch(Short(), [1, 2])


def test_loading_that_does_not_fit_says_so() -> None:
    def load() -> Any:
        raise error_of("torch", "OutOfMemoryError")

    with pytest.raises(OutOfMemory):
        asyncio.run(ThreadReplica.start({"boxes": load}))


@pytest.mark.parametrize(
    "error",
    [
        SampleError(Reason.OUT_OF_MEMORY, "alone on its device"),
        SampleError(Reason.CRASHED),
        ReplicaDied(Cause.NODE_LOST, "spot instance"),
    ],
)
def test_errors_travel_between_processes(error: Exception) -> None:
    received = pickle.loads(pickle.dumps(error))
    assert type(received) is type(error)
    assert (str(received), vars(received)) == (str(error), vars(error))
