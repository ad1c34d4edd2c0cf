"""Small LiteRT (tflite) networks: one picture in, arrays out, one thread."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from tasks.records.errors import ModelUnavailable


class TfliteModel:
    """A loaded network with one input, from a file or from bytes. Not for use from several threads at once."""

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        source = {"model_path": str(path)} if content is None else {"model_content": content}
        try:
            # One thread, so that floating-point sums do not depend on the number of cores.
            self._interpreter = Interpreter(**source, num_threads=1)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelUnavailable(f"{path.name} cannot be loaded: {error}") from error
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()

    @property
    def side(self) -> int:
        """Side of the square input, pixels."""
        return int(self._input["shape"][1])

    def run(self, picture: NDArray[np.uint8] | NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Outputs in the file's order for a picture (side, side, 3) RGB of the network's own type and range."""
        self._interpreter.set_tensor(self._input["index"], picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(o["index"]) for o in self._outputs]
