"""What the scripts of this folder are told alike: device, size, file for the figures, time; checked before any work."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch


def measuring_parser(name: str, description: str | None, limit_s: float) -> argparse.ArgumentParser:
    """For ``python -m tests.gpu.NAME``; ``limit_s`` seconds after which nothing more is begun."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.gpu.{name}", description=description)
    parser.add_argument("--debug", action="store_true", help="tiny networks, seconds on a CPU")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("--limit-s", type=float, default=limit_s, help="seconds after which nothing is begun")
    return parser


def usable_device(parser: argparse.ArgumentParser, given: argparse.Namespace) -> torch.device | None:
    """The device; None, with a line on stderr, where it is not there or would take hours."""
    if given.out and not given.out.parent.is_dir():
        parser.error(f"--out {given.out}: there is no folder {given.out.parent}")
    device = torch.device(given.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print(f"--device {given.device}: not there", file=sys.stderr)
        return None
    if device.type == "cpu" and not given.debug:
        print("--device cpu: networks of full size take hours; add --debug", file=sys.stderr)
        return None
    return device
