"""`python -m intercog_model.convert_sam FILE --out FILE`: SAM's published .pth file as safetensors"""

import argparse
import pickle
import sys
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save_file

from intercog_model.errors import ConfigurationError
from intercog_model.grounding.features import require_sam


def convert(source: Path, target: Path) -> int:
    """Write the tensors of a published file under the same names; how many there are.

    Raises:
        ConfigurationError: it is no file of Segment Anything, or the other one is there already.
    """
    if target.exists():
        raise ConfigurationError(f"--out {target}: should not be there yet")
    if not target.parent.is_dir():
        raise ConfigurationError(f"--out {target}: its folder is not there")
    try:
        # what is no zip file would be read as the pickle of an older version, which fails in a dozen ways
        if not zipfile.is_zipfile(source):
            raise ConfigurationError(f"{source}: should be a file of torch.save")
        weights = torch.load(source, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ConfigurationError(f"{source}: {str(error).partition(chr(10))[0]}") from error
    if not isinstance(weights, dict) or not all(
        isinstance(value, torch.Tensor) for value in weights.values()
    ):
        raise ConfigurationError(f"{source}: should be names and tensors")
    require_sam(weights, str(source))
    part = target.with_name(f"{target.name}.part")
    save_file({name: value.contiguous() for name, value in weights.items()}, part)
    part.replace(target)
    return len(weights)


def main(arguments: list[str] | None = None) -> int:
    """0 when the file is written, 2 for a file that is none of SAM."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.convert_sam", description=__doc__)
    parser.add_argument("file", type=Path, help="as published, such as sam_vit_h_4b8939.pth")
    parser.add_argument("--out", type=Path, required=True, help="such as weights/sam_vit_h.safetensors")
    options = parser.parse_args(arguments)
    try:
        count = convert(options.file, options.out)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} tensors written to {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
