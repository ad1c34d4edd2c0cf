"""`python -m intercog_model.edit`: the chain of grounding, or plain BAGEL, on one picture or a batch."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import torch

from intercog_model.backbone.autoencoder import AutoEncoder
from intercog_model.backbone.bagel import Bagel
from intercog_model.checkpoint import CheckpointError
from intercog_model.config import debug_config
from intercog_model.data.pictures import PictureError, open_picture
from intercog_model.data.tokenizer import TextError
from intercog_model.errors import ConfigurationError
from intercog_model.inference.chain import ChainSettings, run_chain
from intercog_model.inference.compiled import compiled_layers
from intercog_model.inference.jobs import Job, last_file, read_jobs, save_last, write_chain, write_last
from intercog_model.inference.option_checks import (
    RANDOM,
    Numbers,
    check_bits,
    check_device,
    check_image,
    check_instruction,
    check_model,
    check_vit_side,
    make_folder,
    picture_size,
)
from intercog_model.inference.pipeline import Pipeline, debug_pipeline, load_pipeline
from intercog_model.inference.plain_modes import TEXT_TO_IMAGE, edit, text_to_image, understand
from intercog_model.inference.quantize import BITS, quantize
from intercog_model.inference.sampler import SamplerSettings, batched_velocities, separate_velocities
from intercog_model.read_settings import check_options

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
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of text-to-image; by default the model's largest square, 1024 x 1024 for the released one",
    )
    parser.add_argument(
        "--vit-side",
        type=int,
        metavar="PIXELS",
        help="longest side that the vision encoder sees; by default that of the model's training (518), and 980 for "
        "BAGEL as published",
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="bfloat16")
    parser.add_argument("--bits", type=int, choices=BITS, help="quantize the language model's weights")
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
    if options.batch and (options.instruction is not None or options.image):
        parser.error("--batch brings its own pictures and instructions: no --image, no --instruction")
    if options.size and options.mode != "text-to-image":
        parser.error("--size is for text-to-image; an edit has the size of its source")
    if options.batch and options.mode == "text-to-image":
        parser.error("text-to-image has no batch mode")
    return options


def main(arguments: list[str] | None = None) -> int:
    """0 when every job was done, 1 when the pictures of some could not be read, 2 for a wrong option."""
    options = parse(arguments)
    try:
        jobs = checked_jobs(options)
        pending = []
        for job in jobs:
            if options.batch and _result(job, options).exists():
                done = _result(job, options).name
                print(_printable(f"{job.key}: done before, {done} exists"))
            else:
                pending.append(job)
        pipeline = _pipeline(options) if pending else None
    except ConfigurationError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    failed = run_jobs(pipeline, pending, options) if pipeline else 0
    if options.batch:
        print(f"{len(pending) - failed} done, {len(jobs) - len(pending)} done before, {failed} failed")
    return 1 if failed else 0


def checked_jobs(options: argparse.Namespace) -> list[Job]:
    """What is to be done, once every option is known to be right; makes the folder for the results.

    Raises ConfigurationError, which names option and value.
    """
    check_options(Numbers, options)
    check_device(options.device)
    check_bits(options.bits)
    if options.batch:
        jobs = read_jobs(options.batch)
    else:
        jobs = [Job(key="result", image=options.image or Path(), instruction=options.instruction)]
        if options.mode != "text-to-image":
            check_image(options.image)
    tokenizer, config = check_model(options.model)
    if not options.batch:
        check_instruction(options.instruction, tokenizer)
    if options.mode == "text-to-image":
        options.size = picture_size(options.size, config)
    check_vit_side(options.vit_side, config)
    make_folder(options.out)
    if options.batch and options.batch.is_dir() and options.batch.samefile(options.out):
        raise ConfigurationError(
            f"--out {options.out}: results in the folder of --batch would be its pictures"
        )
    for job in jobs:
        if _result(job, options).is_dir():
            raise ConfigurationError(f"--out {options.out}: {_result(job, options).name} in it is a folder")
    return jobs


def run_jobs(pipeline: Pipeline, jobs: Sequence[Job], options: argparse.Namespace) -> int:
    """Run the jobs in turn; how many had a picture or a text that cannot be used, each told by its key."""
    failed = 0
    with compiled_layers(pipeline.model) if options.compile else nullcontext():
        for job in jobs:
            told = _printable(job.key)
            try:
                run_job(pipeline, job, options)
            except PictureError as error:
                failed += 1
                print(f"{told}: failed, {_printable(str(job.image))}: {error}", file=sys.stderr)
            except TextError as error:
                failed += 1
                print(f"{told}: failed, {error}", file=sys.stderr)
            else:
                print(f"{told}: done")
    return failed


def _printable(name: str) -> str:
    """A file's name as text, whatever its bytes are."""
    return name.encode("utf-8", "backslashreplace").decode()


def _result(job: Job, options: argparse.Namespace) -> Path:
    return last_file(options.out, options.mode, job.key)


def run_job(pipeline: Pipeline, job: Job, options: argparse.Namespace) -> None:
    """Run one job in the chosen mode and write its files; raises PictureError before anything is drawn."""
    out, key = options.out, job.key
    if options.mode == "text-to-image":
        sampler = SamplerSettings(points=options.points, guidance=TEXT_TO_IMAGE.guidance)
        picture = text_to_image(pipeline, job.instruction, options.size, seed=options.seed, settings=sampler)
        save_last(picture, _result(job, options))
        return
    image = open_picture(job.image)
    sampler = SamplerSettings(points=options.points)
    if options.mode == "understand":
        answer = understand(pipeline, image, job.instruction, max_tokens=options.max_tokens)
        write_last(answer, _result(job, options))
    elif options.mode == "intercog":
        chain = asdict(pipeline.chain)
        settings = ChainSettings(**chain, sampler=sampler, max_tokens=options.max_tokens)
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
            (out / f"{key}.thought.txt").write_text(result.thought, encoding="utf-8")
        save_last(result.edited, _result(job, options))


def _pipeline(options: argparse.Namespace) -> Pipeline:
    velocities = separate_velocities if options.separate_guidance else batched_velocities
    if options.model == RANDOM:
        torch.manual_seed(options.seed)
        config = debug_config()
        loaded = debug_pipeline(
            Bagel(config).to(options.device).eval(), AutoEncoder(config.vae).to(options.device)
        )
    else:
        # weights to be packed are loaded beside the device, which may not hold them whole
        place = "cpu" if options.bits else options.device
        try:
            loaded = load_pipeline(Path(options.model), device=place, dtype=DTYPES[options.dtype])
        except CheckpointError as error:
            raise ConfigurationError(f"--model {options.model}: {error}") from error
    if options.bits:
        quantize(loaded.model, options.bits, options.device)
        loaded.vae.to(options.device)
    side = options.vit_side or loaded.vit_rule.max_side
    return replace(loaded, velocities=velocities, vit_rule=loaded.vit_rule.with_side(side))


if __name__ == "__main__":
    sys.exit(main())
