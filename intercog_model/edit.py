"""`python -m intercog_model.edit`: the chain of grounding, or plain BAGEL, on one picture or a batch."""

import argparse
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from PIL import Image

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.config import debug_config
from intercog_model.inference.chain import ChainSettings, run_chain
from intercog_model.inference.compiled import compiled_layers
from intercog_model.inference.jobs import Job, read_jobs, save_last, write_chain
from intercog_model.inference.pipeline import Pipeline, debug_pipeline, load_pipeline
from intercog_model.inference.plain_modes import TEXT_TO_IMAGE, edit, text_to_image, understand
from intercog_model.inference.quantise import BITS, quantise
from intercog_model.inference.sampler import SamplerSettings, batched_velocities, separate_velocities

MODES = ("intercog", "edit", "edit-think", "text-to-image", "understand")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Command line; wrong combinations end with exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m intercog_model.edit", description=__doc__)
    parser.add_argument(
        "--model", required=True, help='checkpoint folder, or "random-debug" for random tiny weights'
    )
    parser.add_argument("--mode", choices=MODES, default="intercog")
    parser.add_argument("--image", type=Path, help="source picture")
    parser.add_argument("--instruction", help="instruction, question or caption")
    parser.add_argument("--batch", type=Path, help="folder or JSON-lines manifest instead of --image")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=50, help="time points; one less is the number of steps")
    parser.add_argument("--max-tokens", type=int, default=1000, help="of each generated text")
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 1024), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--bits", type=int, choices=BITS, help="quantise the language model's weights")
    parser.add_argument(
        "--separate-guidance", action="store_true", help="one forward pass per guidance context"
    )
    parser.add_argument(
        "--compile", action="store_true", help="torch.compile: slow to start, for many pictures"
    )
    options = parser.parse_args(arguments)
    single = options.instruction is not None and (options.mode == "text-to-image" or options.image)
    if bool(options.batch) == bool(single):
        parser.error("give either --batch, or --instruction with --image (no --image for text-to-image)")
    if options.batch and options.mode == "text-to-image":
        parser.error("text-to-image has no batch mode")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0 when every job was done."""
    options = parse(arguments)
    pipeline = _pipeline(options)
    if options.batch:
        jobs = read_jobs(options.batch)
    else:
        jobs = iter([Job(key="result", image=options.image or Path(), instruction=options.instruction)])
    options.out.mkdir(parents=True, exist_ok=True)
    with compiled_layers(pipeline.model) if options.compile else nullcontext():
        for job in jobs:
            run_job(pipeline, job, options)
            print(f"{job.key}: done")
    return 0


def run_job(pipeline: Pipeline, job: Job, options: argparse.Namespace) -> None:
    """Run one job in the chosen mode and write its files."""
    out, key = options.out, job.key
    if options.mode == "text-to-image":
        sampler = SamplerSettings(points=options.points, guidance=TEXT_TO_IMAGE.guidance)
        size = tuple(options.size)
        picture = text_to_image(pipeline, job.instruction, size, seed=options.seed, settings=sampler)
        save_last(picture, out / f"{key}.png")
        return
    with Image.open(job.image) as opened:
        image = opened.copy()
    sampler = SamplerSettings(points=options.points)
    if options.mode == "understand":
        answer = understand(pipeline, image, job.instruction, max_tokens=options.max_tokens)
        (out / f"{key}.txt").write_text(answer)
    elif options.mode == "intercog":
        settings = ChainSettings(sampler=sampler, max_tokens=options.max_tokens)
        write_chain(run_chain(pipeline, image, job.instruction, settings, options.seed), out, key)
    else:
        think = options.mode == "edit-think"
        result = edit(
            pipeline,
            image,
            job.instruction,
            seed=options.seed,
            settings=sampler,
            think=think,
            max_tokens=options.max_tokens,
        )
        if think:
            (out / f"{key}.thought.txt").write_text(result.thought)
        save_last(result.edited, out / f"{key}.edited.png")


def _pipeline(options: argparse.Namespace) -> Pipeline:
    velocities = separate_velocities if options.separate_guidance else batched_velocities
    if options.model == "random-debug":
        torch.manual_seed(options.seed)
        config = debug_config()
        loaded = debug_pipeline(
            Bagel(config).to(options.device).eval(), AutoEncoder(config.vae).to(options.device)
        )
    else:
        # weights to be packed are loaded beside the device, which may not hold them whole
        place = "cpu" if options.bits else options.device
        loaded = load_pipeline(Path(options.model), device=place, dtype=DTYPES[options.dtype])
    if options.bits:
        quantise(loaded.model, options.bits, options.device)
        loaded.vae.to(options.device)
    return Pipeline(
        model=loaded.model,
        vae=loaded.vae,
        tokenizer=loaded.tokenizer,
        vae_rule=loaded.vae_rule,
        vit_rule=loaded.vit_rule,
        velocities=velocities,
    )


if __name__ == "__main__":
    sys.exit(main())
