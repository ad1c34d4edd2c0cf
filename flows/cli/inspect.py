"""``groundedit status``, ``verify``, ``repair``, ``gc``, ``show`` and ``gallery``: commands that need no workers."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flows.build.licenses import release_context
from flows.build.recorded import recorded_config
from flows.build.run_report import newest_run
from flows.cli.funnel_table import funnel_table
from flows.cli.gallery_folder import gallery_folder
from flows.cli.run_table import run_text
from flows.cli.tables import text_table
from flows.cli.terminal import tell
from tasks.gallery.build_gallery import write_build_gallery
from tasks.records.errors import ConfigurationError
from tasks.records.measuring import measured_words
from tasks.sources.locations import escape
from tasks.storage.objects.store import Store, open_store
from tasks.storage.objects.uris import local_folder
from tasks.storage.protocol.builds import BuildRecord, build_plans, list_builds
from tasks.storage.reports import auditing, repairing
from tasks.storage.reports.ledger import EditTypeRow, Ledger
from tasks.storage.reports.tallies import tally_of_row


def status(arguments: argparse.Namespace) -> int:
    """Prints the newest build's funnel, its edit types, what is left, and the state of its last run."""
    store = existing_dataset(arguments.out)
    record = _newest(store)
    ledger = Ledger(store, build_plans(store, record))
    run = newest_run(store, record.build)
    if arguments.json:
        report: dict[str, Any] = {
            "build": record.build,
            "funnel": [asdict(line) for line in ledger.funnel()],
            "edit_types": [asdict(line) for line in ledger.edit_types()],
            "progress": [asdict(line) for line in ledger.progress()],
            "run": run,
        }
        tell(json.dumps(report, indent=2))
        return 0
    tell(f"build {record.build}, started {record.run.get('started', 'at an unknown time')}\n")
    tell(_funnel(ledger))
    types = ledger.edit_types()
    if types:
        tell(f"\n{_edit_types(types)}")
    if run is not None:
        tell(f"\n{run_text(run)}")
    return 0


def verify(arguments: argparse.Namespace) -> int:
    """Prints a line per fault; exit code 1 if there is any, else 0."""
    audit = auditing.verify(existing_dataset(arguments.out), deep=arguments.deep)
    if arguments.json:
        report = {"faults": [asdict(f) for f in audit.faults], "notes": [asdict(n) for n in audit.notes]}
        tell(json.dumps({**report, "checked": audit.checked, "bytes": audit.bytes}, indent=2))
    else:
        for fault in audit.faults:
            tell(f"fault: {escape(fault.path)}: {fault.problem}")
        for note in audit.notes:
            tell(f"note: {escape(note.path)}: {note.problem}")
        tell(f"{audit.checked} objects checked, {audit.bytes} bytes read, {len(audit.faults)} faults")
    return 1 if audit.faults else 0


def repair(arguments: argparse.Namespace) -> int:
    """Moves damaged objects, and those that depend on them, to ``aside/``."""
    done = repairing.repair(existing_dataset(arguments.out))
    for path in done.moved:
        tell(f"set aside: {path}")
    for path in done.missing:
        tell(f"missing: {path}")
    tell(
        f"{len(done.moved)} objects set aside, {len(done.missing)} missing; the next build makes them again"
        if done.moved or done.missing
        else "nothing is damaged"
    )
    return 0


def gc(arguments: argparse.Namespace) -> int:
    """Removes objects that no commit refers to: leftovers of killed processes and lost races."""
    store = existing_dataset(arguments.out)
    _newest(store)  # raises for a folder without a dataset, where nothing may be removed
    removed = repairing.collect_garbage(store, timedelta(hours=arguments.older_than_hours))
    for path in removed:
        tell(f"removed: {path}")
    tell(f"{len(removed)} objects removed" if removed else "nothing to remove")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Prints every step of one id, its ancestors and descendants, in the newest build that knows it."""
    store = existing_dataset(arguments.out)
    for record in list_builds(store):
        steps = Ledger(store, build_plans(store, record)).history(arguments.key)
        if not steps:
            continue
        if arguments.json:
            history = [{**asdict(s), "record": json.loads(s.record) if s.record else None} for s in steps]
            tell(json.dumps(history, indent=2, ensure_ascii=False))
            return 0
        for step in steps:
            why = [step.reason, step.detail, measured_words(step.measured)]
            verdict = " ".join(filter(None, [step.outcome, *why]))
            tell(f"{step.stage:<12} {step.kind:<6} {step.id}  {verdict}  {step.edit_type}".rstrip())
            if step.record and step.kind == "child":
                tell(_indented(json.loads(step.record)))
        return 0
    msg = f"KEY={arguments.key!r}: unknown id or location (searched all builds in {store.uri})"
    raise ConfigurationError(msg)


def gallery(arguments: argparse.Namespace) -> int:
    """Writes a gallery of the newest build, finished or not."""
    store = existing_dataset(arguments.out)
    to = gallery_folder(store, arguments.out, arguments.to or "")
    record = _newest(store)
    config = recorded_config(record, arguments.out)
    digests = {key.stage: key.config8 for key in record.chain}
    page = write_build_gallery(
        store,
        build_plans(store, record),
        context=release_context(config, digests),
        settings=config.publish,
        to=to,
        rejected=arguments.rejected,
    )
    tell(str(page))
    return 0


def existing_dataset(uri: str) -> Store:
    """Opens an existing dataset; a read command must not create a folder."""
    folder = local_folder(uri)
    try:
        missing = folder is not None and not folder.is_dir()
    except OSError as error:
        raise ConfigurationError(f"OUT={uri!r}: cannot be looked at ({error.strerror})") from error
    if missing:
        msg = f"OUT={uri!r}: no such folder"
        raise ConfigurationError(msg)
    return open_store(uri)


def _newest(store: Store) -> BuildRecord:
    builds = list_builds(store)
    if not builds:
        msg = f"OUT={store.uri!r}: holds no build"
        raise ConfigurationError(msg)
    return builds[0]


def _funnel(ledger: Ledger) -> str:
    rows = ledger.funnel()
    units = {line.stage: line for line in ledger.progress()}
    found = [units.get(row.stage) for row in rows]
    more = {
        "left": [str(row.open) for row in rows],
        "units": [f"{of.units_done}/{of.units}" if of else "0/0" for of in found],
        "inputs/s": [
            f"{(row.inputs - row.open) / of.seconds:.2f}" if of and of.seconds else "-"
            for row, of in zip(rows, found, strict=True)
        ],
    }
    return funnel_table([tally_of_row(row) for row in rows], more)


def _edit_types(types: Sequence[EditTypeRow]) -> str:
    rows = [("stage", "edit type", "kept", "rejected", "failed")]
    rows += [
        (line.stage, line.edit_type, str(line.kept), str(line.rejected), str(line.failed)) for line in types
    ]
    return text_table(rows, right=range(2, 5))


def _indented(record: object) -> str:
    text = json.dumps(record, indent=2, ensure_ascii=False)
    return "\n".join(f"    {line}" for line in text.splitlines())
