"""The command ``groundedit``: arguments, exit codes and messages; the work is in the other modules of this package.

Exit codes: 0 done, 1 the data has a fault, 2 wrong arguments or configuration, 3 a stage stopped itself, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from flows.cli.terminal import ReaderGone, open_missing_streams, send
from tasks.records.errors import ConfigurationError, EnvironmentFault, GroundEditError, StageStopped
from tasks.storage.objects.uris import DATASET_URIS

DONE, FAULT, WRONG, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130

PROFILE_DEFAULT = "embedded"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and gives its exit code; also the entry point of the installed script."""
    open_missing_streams()
    try:
        return run(_parsed(argv))
    except KeyboardInterrupt:
        _say("interrupted: nothing that was committed is lost; the same command goes on from here")
        with suppress(ReaderGone, EnvironmentFault):
            send()
        return INTERRUPTED
    except ReaderGone:
        return DONE


def run(arguments: argparse.Namespace) -> int:
    """Runs the command that was parsed; every expected error becomes one line and an exit code."""
    module, _, name = arguments.command.partition(":")
    try:
        command: Callable[[argparse.Namespace], int] = getattr(import_module(f"flows.cli.{module}"), name)
        code = command(arguments)
        send()  # here, where a full disk or a reader that went away can still be told
    except GroundEditError as error:
        if arguments.debug:
            raise
        _say(f"error: {error}")
        if isinstance(error, ConfigurationError):
            return WRONG
        return STOPPED if isinstance(error, StageStopped | EnvironmentFault) else FAULT
    except ReaderGone:
        raise  # not a fault: `main` knows what to do
    except Exception as error:  # the edge: whatever was not foreseen is one line, too
        if arguments.debug:
            raise
        _say(
            f"error: {type(error).__name__}: {error} (not foreseen; the same command with --debug says where)"
        )
        return STOPPED
    return code


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    root = argparse.ArgumentParser(
        prog="groundedit",
        description="Builds data for grounded image editing: photographs in, accounted-for samples out.",
        epilog="Exit codes: 0 done, 1 the data has a fault, 2 wrong arguments, 3 a stage stopped itself.",
    )
    root.add_argument("--version", action="version", version=f"groundedit {_version()}")
    commands = root.add_subparsers(metavar="command", required=True)
    _add_building(commands)
    _add_looking(commands)
    _add_answers(commands)
    _add_setting_up(commands)
    return root


def _add_building(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = _command(
        commands, "build", "building:build", "photographs to a release; goes on where it was left"
    )
    plan = _command(
        commands, "plan", "building:plan", "what build would do, and how much of it; does nothing"
    )
    for each in (build, plan):
        each.add_argument(
            "--profile",
            type=_text,
            default=PROFILE_DEFAULT,
            help="name of a profile, or path of a YAML file (default: %(default)s)",
        )
        each.add_argument(
            "--source",
            type=_text,
            action="extend",
            nargs="+",
            default=[],
            metavar="URI",
            help="folders, tars, lists, prefixes",
        )
        each.add_argument("--out", type=_text, metavar="URI", help=f"dataset: {DATASET_URIS}")
        each.add_argument("--name", type=_text, help="name of the release")
        each.add_argument("--limit", type=_count, metavar="SOURCES", help="first so many photographs")
        each.add_argument(
            "--exclude", type=_text, metavar="FILE", help="ids, locations or patterns to leave out"
        )
        each.add_argument(
            "--stages",
            type=_text,
            metavar="A..B",
            help="only these, such as ..grounding, editing or editing..",
        )
        each.add_argument("--retry-failed", action="store_true", help="try failed inputs again")
        _add_set(each)
    build.add_argument("--quiet", action="store_true", help="no progress, only the result")
    build.add_argument(
        "--verbose", action="store_true", help="with Prefect's, Ray's and the workers' own messages"
    )
    plan.add_argument("--json", action="store_true", help="for machines")
    build.add_argument(
        "--answers-only",
        action="store_true",
        help="make another dataset's last build anew from its photographs and kept answers, asking nobody",
    )
    build.add_argument(
        "--from", type=_text, dest="origin", metavar="DATASET", help="the other dataset, for --answers-only"
    )
    build.add_argument(
        "--allow-other-libraries",
        action="store_true",
        help="with --answers-only: go on though other versions are installed than the dataset was made with",
    )


def _add_answers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "answers of models that a dataset keeps"
    parts = commands.add_parser("answers", help=text, description=text).add_subparsers(
        metavar="what", required=True
    )
    listed = _command(parts, "list", "answers:list_answers", "counts per role, kind and round")
    forgotten = _command(
        parts,
        "forget",
        "answers:forget_answers",
        "sets answers and what rests on them aside, to be asked again",
    )
    for each in (listed, forgotten):
        each.add_argument("out", type=_text, metavar="OUT", help=f"dataset: {DATASET_URIS}")
        each.add_argument("--role", type=_text, required=each is forgotten, help="whose answers")
    listed.add_argument("--json", action="store_true", help="for machines")
    forgotten.add_argument(
        "--since", type=_text, metavar="TIME", help="stored then or later, such as 2026-01-31"
    )
    forgotten.add_argument("--server", type=_text, metavar="NAME", help="of this pool or server")
    forgotten.add_argument("--key", type=_text, metavar="DIGITS", help="whose key begins so")


def _add_looking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _command(
        commands, "status", "inspect:status", "the funnel by stage and edit type, and what is left"
    )
    verify = _command(commands, "verify", "inspect:verify", "re-reads a dataset and names every fault")
    repair = _command(commands, "repair", "inspect:repair", "sets damaged units aside for the next build")
    gc = _command(commands, "gc", "inspect:gc", "removes leftovers that no commit names; not during a build")
    show = _command(commands, "show", "inspect:show", "the whole history of one id")
    gallery = _command(commands, "gallery", "inspect:gallery", "a static HTML gallery")
    for each in (status, verify, repair, gc, show, gallery):
        each.add_argument("out", type=_text, metavar="OUT", help=f"dataset: {DATASET_URIS}")
    for each in (status, verify, show):
        each.add_argument("--json", action="store_true", help="for machines")
    verify.add_argument("--deep", action="store_true", help="read every byte, not only sizes")
    gc.add_argument(
        "--older-than-hours",
        type=_count,
        default=24,
        metavar="HOURS",
        help="and were written longer ago than any unit takes (default: %(default)s)",
    )
    show.add_argument(
        "key", type=_text, metavar="KEY", help="id of a sample, target or photograph, or a location"
    )
    gallery.add_argument("--rejected", action="store_true", help="also what was refused")
    gallery.add_argument("--to", type=_text, metavar="DIR", help="where to (default: OUT-gallery)")


def _add_setting_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = _command(
        commands, "fetch", "setup:fetch", "everything a build needs from outside, for work offline"
    )
    fetch.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="name of a profile, or path of a YAML file (default: %(default)s)",
    )
    _add_set(fetch)
    gates = _command(commands, "gates", "gates:gates", "tries the gates on words on texts, without any model")
    gates.add_argument(
        "--profile", type=_text, default=PROFILE_DEFAULT, help="whose gates (default: %(default)s)"
    )
    gates.add_argument(
        "--gates", type=_text, metavar="NAMES", help="'all', or names with commas (default: the profile's)"
    )
    gates.add_argument("file", type=_text, metavar="FILE", help="JSON lines: scene, target, edit and reply")
    _add_set(gates)
    text = "the models of a profile"
    models = commands.add_parser("models", help=text, description=text)
    tried = _command(
        models.add_subparsers(metavar="what", required=True),
        "try",
        "models:try_profile",
        "one photograph through every role: answer, seconds, memory",
    )
    tried.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="name of a profile, or path of a YAML file (default: %(default)s)",
    )
    tried.add_argument("--json", action="store_true", help="for machines")
    tried.add_argument("photo", type=_text, metavar="PHOTO", help="a picture file")
    _add_set(tried)
    config = commands.add_parser("config", help="the configuration", description="the configuration")
    parts = config.add_subparsers(metavar="what", required=True)
    show = _command(parts, "show", "setup:show_config", "each setting and where its value came from")
    show.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="name of a profile, or path of a YAML file (default: %(default)s)",
    )
    show.add_argument("--json", action="store_true", help="for machines")
    _add_set(show)


def _add_set(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", dest="assignments", help="override a setting"
    )


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments; leaves, as argparse does, when only help was asked for or something is wrong."""
    try:
        return parser().parse_args(argv)
    except SystemExit:
        try:
            send()
        except EnvironmentFault as error:
            _say(f"error: {error}")
            raise SystemExit(STOPPED) from error
        raise


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, target: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=target)
    command.add_argument("--debug", action="store_true", help="show where an error came from")
    return command


def _text(text: str) -> str:
    if not text.strip():
        msg = f"{text!r} says nothing: a value is wanted"
        raise argparse.ArgumentTypeError(msg)
    return text


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        msg = f"{text!r}: expected a whole number, at least 1"
        raise argparse.ArgumentTypeError(msg)
    return number


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return version("groundedit")
    except PackageNotFoundError:
        return "from a checkout"


def _say(text: str) -> None:
    with suppress(OSError):  # where not even an error can be told, the exit code still says it
        sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
