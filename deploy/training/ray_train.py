"""`python -m deploy.training.ray_train --workers N --config FILE …`: the training loop in workers of Ray Train.

On a cluster: ``ray job submit --working-dir . -- python -m deploy.training.ray_train --workers 64 --config …``. Workers
that die are replaced up to `--max-failures` times and go on from the newest checkpoint.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, get_device

from intercog_model.errors import ConfigurationError
from intercog_model.train import train
from intercog_model.training.config import TrainConfig
from intercog_model.training.config_files import load_config


def main(arguments: list[str] | None = None) -> int:
    """0 when the last step is done, 2 for a wrong configuration."""
    parser = argparse.ArgumentParser(prog="python -m deploy.training.ray_train")
    parser.add_argument(
        "--config", type=Path, action="append", required=True, help="as intercog_model.train has it"
    )
    parser.add_argument("--fork", default="", metavar="RUN/step-N", help="as intercog_model.train has it")
    parser.add_argument("--workers", type=int, required=True, help="processes, with a GPU each")
    parser.add_argument(
        "--cpu", action="store_true", help="workers without GPUs, for configurations of debug size"
    )
    parser.add_argument(
        "--max-failures", type=int, default=0, help="how often workers that died are replaced"
    )
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.config)
        require_shared_folder(config)
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    ray.init()  # of RAY_ADDRESS, which `ray job submit` sets, or one on this machine
    TorchTrainer(
        train_worker,
        train_loop_config={"config": config, "fork": options.fork},
        # gloo saves checkpoints
        torch_config=TorchConfig(backend="gloo" if options.cpu else "cpu:gloo,cuda:nccl"),
        scaling_config=ScalingConfig(num_workers=options.workers, use_gpu=not options.cpu),
        run_config=RunConfig(
            name="ray",
            storage_path=config.run.out,
            failure_config=FailureConfig(max_failures=options.max_failures),
        ),
    ).fit()
    return 0


def require_shared_folder(config: TrainConfig) -> None:
    """Raise ConfigurationError for a relative folder: jobs and workers of Ray run in temporary ones."""
    if not Path(config.run.out).is_absolute():
        raise ConfigurationError(
            f"run.out: {config.run.out!r}, should be an absolute path that all machines share, for Ray"
        )


def train_worker(given: dict[str, Any]) -> None:
    """The run, in one of Ray Train's processes, which has joined their group already."""
    if torch.cuda.is_available():
        torch.cuda.set_device(get_device())
    train(given["config"], given["fork"])


if __name__ == "__main__":
    sys.exit(main())
