"""The command ``groundedit``: arguments, exit codes and messages; the other modules of this package do the work.

Exit codes: 0 done, 1 fault in the data, 2 invalid arguments or configuration, 3 stage stopped, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module

from flows.cli.terminal import ReaderGone, open_missing_streams, send
from tasks.records.errors import ConfigurationError, EnvironmentFault, GroundEditError, StageStopped
from tasks.records.process_environment import set_up
from tasks.storage.objects.uris import DATASET_URIS

DONE, FAULT, WRONG, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130

PROFILE_DEFAULT = "embedded"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code; entry point of the installed script."""
    open_missing_streams()
    try:
        return run(_parsed(argv))
    except KeyboardInterrupt:
        _say("interrupted: everything committed is kept; the same command resumes the build")
        with suppress(ReaderGone, EnvironmentFault):
            send()
        return INTERRUPTED
    except ReaderGone:
        return DONE


def run(arguments: argparse.Namespace) -> int:
    """Runs the parsed command; every expected error becomes one line and an exit code."""
    module, _, name = arguments.command.partition(":")
    set_up()  # before anything is imported that reads the environment
    try:
        command: Callable[[argparse.Namespace], int] = getattr(import_module(f"flows.cli.{module}"), name)
        code = command(arguments)
        send()  # flush here, where a full disk or a closed pipe can still be reported
    except GroundEditError as error:
        if arguments.debug:
            raise
        _say(f"error: {error}")
        if isinstance(error, ConfigurationError):
            return WRONG
        return STOPPED if isinstance(error, StageStopped | EnvironmentFault) else FAULT
    except ReaderGone:
        raise  # not an error: `main` handles it
    except (
        OSError
    ) as error:  # a full disk, a folder that cannot be read: nothing nearer knew what to do about it
        if arguments.debug:
            raise
        from flows.build.check_environment import os_words  # noqa: PLC0415

        _say(f"error: {os_words(error)} (re-run with --debug for a traceback)")
        return STOPPED
    except Exception as error:  # top level: unexpected errors are one line, too
        if arguments.debug:
            raise
        _say(f"unexpected {type(error).__name__}: {error} (re-run with --debug for a traceback)")
        return STOPPED
    return code


def parser() -> argparse.ArgumentParser:
    """The parser of all commands and their arguments."""
    root = argparse.ArgumentParser(
        prog="groundedit",
        description="Builds data for grounded image editing: from photographs to samples, every input accounted for.",
        epilog="Exit codes: 0 done, 1 fault in the data, 2 invalid arguments or configuration, 3 stage stopped.",
    )
    root.add_argument("--version", action="version", version=f"groundedit {_version()}")
    commands = root.add_subparsers(metavar="command", required=True)
    _add_building(commands)
    _add_looking(commands)
    _add_answers(commands)
    _add_models(commands)
    _add_setting_up(commands)
    return root


def _add_building(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    build = _command(
        commands, "build", "building:build", "build a release from photographs; resumes an unfinished build"
    )
    plan = _command(
        commands, "plan", "planning:plan", "show what build would do and how much of it, without doing it"
    )
    for each in (build, plan):
        each.add_argument(
            "--profile",
            type=_text,
            default=PROFILE_DEFAULT,
            help="name of a profile, or path to a YAML file (default: %(default)s)",
        )
        each.add_argument(
            "--source",
            type=_text,
            action="extend",
            nargs="+",
            default=[],
            metavar="URI",
            help="folders, tars, lists or prefixes of photographs",
        )
        each.add_argument("--out", type=_text, metavar="URI", help=f"dataset: {DATASET_URIS}")
        each.add_argument("--name", type=_text, help="name of the release")
        each.add_argument(
            "--limit",
            type=_count,
            metavar="N",
            help="use only the first N photographs, in the order of locations",
        )
        each.add_argument(
            "--exclude", type=_text, metavar="FILE", help="file of ids, locations or patterns to leave out"
        )
        each.add_argument(
            "--stages",
            type=_text,
            metavar="A..B",
            help="run only these stages, such as ..grounding, editing or editing..",
        )
        each.add_argument("--retry-failed", action="store_true", help="try failed inputs again")
        each.add_argument(
            "--recheck",
            action="store_true",
            help="read all photographs again; those that changed count as new",
        )
        _add_set(each)
    build.add_argument("--quiet", action="store_true", help="print only the result, no progress")
    build.add_argument(
        "--verbose", action="store_true", help="also print messages of Prefect, Ray and the workers"
    )
    plan.add_argument("--json", action="store_true", help="print JSON")
    build.add_argument(
        "--answers-only",
        action="store_true",
        help="rebuild another dataset's last build from its photographs and kept answers, without asking any model",
    )
    build.add_argument(
        "--from", type=_text, dest="origin", metavar="DATASET", help="the other dataset, for --answers-only"
    )
    build.add_argument(
        "--allow-other-libraries",
        action="store_true",
        help="with --answers-only: continue although installed library versions differ from the dataset's",
    )


def _add_answers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "list or forget the model answers kept in a dataset"
    parts = commands.add_parser("answers", help=text, description=text).add_subparsers(
        metavar="what", required=True
    )
    listed = _command(parts, "list", "answers:list_answers", "count answers per role, kind and round")
    forgotten = _command(
        parts,
        "forget",
        "answers:forget_answers",
        "set answers and the units that depend on them aside, so that they are asked again",
    )
    for each in (listed, forgotten):
        each.add_argument("out", type=_text, metavar="OUT", help=f"dataset: {DATASET_URIS}")
        each.add_argument(
            "--role", type=_text, required=each is forgotten, help="role whose answers are meant"
        )
    listed.add_argument("--json", action="store_true", help="print JSON")
    forgotten.add_argument(
        "--since", type=_text, metavar="TIME", help="only those stored at TIME or later, such as 2026-01-31"
    )
    forgotten.add_argument("--server", type=_text, metavar="NAME", help="only those of this pool or server")
    forgotten.add_argument(
        "--key", type=_text, metavar="DIGITS", help="only those whose key starts with DIGITS"
    )


def _add_looking(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    status = _command(
        commands, "status", "inspect:status", "show the funnel by stage and edit type, and what is left"
    )
    verify = _command(commands, "verify", "inspect:verify", "re-read a dataset and report every fault")
    repair = _command(commands, "repair", "inspect:repair", "set damaged units aside for the next build")
    gc = _command(
        commands, "gc", "inspect:gc", "remove leftovers that no commit refers to; not during a build"
    )
    show = _command(commands, "show", "inspect:show", "show the whole history of one id")
    gallery = _command(commands, "gallery", "inspect:gallery", "write a static HTML gallery")
    for each in (status, verify, repair, gc, show, gallery):
        each.add_argument("out", type=_text, metavar="OUT", help=f"dataset: {DATASET_URIS}")
    for each in (status, verify, show):
        each.add_argument("--json", action="store_true", help="print JSON")
    verify.add_argument("--deep", action="store_true", help="read every byte, not only sizes")
    gc.add_argument(
        "--older-than-hours",
        type=_count,
        default=24,
        metavar="HOURS",
        help="minimum age; choose more than any unit takes (default: %(default)s)",
    )
    show.add_argument(
        "key", type=_text, metavar="KEY", help="id of a sample, target or photograph, or a location"
    )
    gallery.add_argument("--rejected", action="store_true", help="include rejected samples")
    gallery.add_argument("--to", type=_text, metavar="DIR", help="output folder (default: OUT-gallery)")


def _add_setting_up(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    fetch = _command(commands, "fetch", "setup:fetch", "download everything a build needs, for offline work")
    fetch.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="name of a profile, or path to a YAML file (default: %(default)s)",
    )
    _add_set(fetch)
    gates = _command(commands, "gates", "gates:gates", "try the word gates on texts, without any model")
    gates.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="profile whose gates apply (default: %(default)s)",
    )
    gates.add_argument(
        "--gates",
        type=_text,
        metavar="NAMES",
        help="'all', or comma-separated names (default: the profile's)",
    )
    gates.add_argument("file", type=_text, metavar="FILE", help="JSON lines: scene, target, edit and reply")
    _add_set(gates)
    config = commands.add_parser("config", help="show the configuration", description="the configuration")
    parts = config.add_subparsers(metavar="what", required=True)
    show = _command(parts, "show", "setup:show_config", "show each setting and the origin of its value")
    show.add_argument(
        "--profile",
        type=_text,
        default=PROFILE_DEFAULT,
        help="name of a profile, or path to a YAML file (default: %(default)s)",
    )
    show.add_argument("--json", action="store_true", help="print JSON")
    _add_set(show)


def _add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "check, fetch, lock, serve or try the models of a profile"
    parts = commands.add_parser("models", help=text, description=text).add_subparsers(
        metavar="what", required=True
    )
    check = _command(
        parts,
        "check",
        "models_check:check_profile",
        "show which files, digests, servers and GPU memory a profile needs, and what of it is there",
    )
    check.add_argument(
        "--cards", type=_count, metavar="N", help="GPUs of the machine that is meant (default: this one's)"
    )
    check.add_argument(
        "--card-gb", type=_count, metavar="G", help="memory of one, GB (default: execution.card_gb)"
    )
    fetch = _command(
        parts, "fetch", "weights:fetch", "download the weights of a profile and write their lock files"
    )
    lock = _command(parts, "lock", "weights:lock", "hash weights and write the lock file that names them")
    lock.add_argument("path", type=_text, metavar="PATH", help="file or folder of weights")
    lock.add_argument(
        "--revision", type=_text, help="revision of the weights (default: that of the lock file)"
    )
    served = _command(
        parts,
        "serve",
        "models_serve:serve_profile",
        "start the servers of a profile and keep them until Ctrl-C, for several builds",
    )
    served.add_argument(
        "--server",
        type=_text,
        action="extend",
        nargs="+",
        default=[],
        metavar="NAME",
        help="only these servers (default: all that have serve)",
    )
    tried = _command(
        parts,
        "try",
        "models:try_profile",
        "run one photograph through every role: answer, seconds, memory",
    )
    for each in (check, fetch, served, tried):
        each.add_argument(
            "--profile",
            type=_text,
            default=PROFILE_DEFAULT,
            help="name of a profile, or path to a YAML file (default: %(default)s)",
        )
        _add_set(each)
    for each in (check, tried):
        each.add_argument("--json", action="store_true", help="print JSON")
    tried.add_argument("photo", type=_text, metavar="PHOTO", help="an image file")


def _add_set(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set", action="append", default=[], metavar="a.b=c", dest="assignments", help="override a setting"
    )


def _parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parses the arguments; exits as argparse does for ``--help`` and for errors."""
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
    command.add_argument("--debug", action="store_true", help="print a traceback on errors")
    return command


def _text(text: str) -> str:
    if not text.strip():
        msg = f"{text!r}: expected a non-empty value"
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
    with suppress(OSError):  # with stderr gone the exit code still reports the error
        sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
