"""A build made anew from another dataset's photographs and kept answers: nobody is asked, no photograph is read.

Configuration, plans and the whole of ingest are taken from the other dataset; grounding to publish are done again by
the reproducible models of this machine and by the answers that are stored there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from flows.build.plans import Build
from tasks.records.errors import ConfigurationError
from tasks.records.outcomes import STAGES
from tasks.records.settings_base import RoleSettings
from tasks.roles.placement import HERE
from tasks.stages.config import BuildConfig, config_of
from tasks.stages.registry import SPECS, check_roles, stage_digests
from tasks.storage.objects.store import Store, StoreOptions, open_store
from tasks.storage.objects.uris import local_folder
from tasks.storage.protocol.builds import BuildRecord, build_plans, list_builds
from tasks.storage.protocol.take_over import recorded_libraries, take_over, take_over_plans

NOT_COMPARED = ("python",)
"""Recorded beside the libraries, and no part of the lock file."""


def open_replay(
    origin: str, out: str, *, assignments: Sequence[str] = (), allow_other_libraries: bool = False
) -> Build:
    """The last build of a dataset, to be made anew elsewhere; ingest is copied, so that no photograph is needed.

    Args:
        origin: URI of the dataset whose answers are used; nothing is written there.
        out: URI of the new dataset.
        assignments: ``execution.…=value`` texts; nothing else may differ from the other build.
        allow_other_libraries: go on though other versions are installed than the other dataset was made with; its
            pixels may then come out otherwise.

    Raises:
        ConfigurationError: nothing to start from, other code, prompts or libraries than there, or an assignment of
            something that is not execution.
        DataFault: the other dataset is damaged.
        StorageFault: one of the stores cannot be used.
    """
    source, record = _last_build(origin)
    config = _config_of(record, out, assignments)
    check_roles(config)
    digests = stage_digests(config)
    _check_digests(record, digests)
    # Ingest and the answers are all that is needed; plans of later stages keep the units as they were.
    plans = build_plans(source, record, partial=True)
    if not plans:
        msg = f"--from {origin!r}: build {record.build} has planned nothing yet"
        raise ConfigurationError(msg)
    other = other_libraries(recorded_libraries(source, plans))
    if other and not allow_other_libraries:
        msg = (
            f"--from {origin!r}: made with other libraries than are installed here: {'; '.join(other)}; install those "
            "of the lock file, or say --allow-other-libraries"
        )
        raise ConfigurationError(msg)
    if _place(out) == _place(origin):
        msg = f"--out {out!r}: expected another dataset than --from"
        raise ConfigurationError(msg)
    store = open_store(out, StoreOptions(min_free_bytes=config.execution.min_free_bytes))
    store.probe()
    take_over(source, store, plans[0])
    if not other:
        # Under other libraries rows have other names, which the plans of later stages spell.
        take_over_plans(source, store, plans[1:])
    return Build(
        config=config,
        located=_reproducible_here(config),
        store=store,
        digests=digests,
        replay=True,
        origin=source.uri,
        taken_over=plans[0],
        other_libraries=tuple(other),
    )


def other_libraries(recorded: Mapping[str, Iterable[str]]) -> list[str]:
    """One line per library that is installed in another version than ``recorded`` (library -> versions)."""
    lines = []
    for name, versions in sorted(recorded.items()):
        here = _installed(name)
        if name not in NOT_COMPARED and set(versions) != {here}:
            lines.append(f"{name} {', '.join(sorted(versions))} (here: {here or 'none'})")
    return lines


def _last_build(uri: str) -> tuple[Store, BuildRecord]:
    folder = local_folder(uri)
    if folder is None or folder.exists():  # opening a store makes its folder
        store = open_store(uri)
        builds = list_builds(store)
        if builds:
            return store, builds[0]
    msg = f"--from {uri!r}: holds no build"
    raise ConfigurationError(msg)


def _config_of(record: BuildRecord, out: str, assignments: Sequence[str]) -> BuildConfig:
    wrong = [text for text in assignments if not text.strip().startswith("execution.")]
    if wrong:
        msg = f"--set {wrong[0]!r}: only execution.… may be set with --answers-only"
        raise ConfigurationError(msg)
    # Pools and servers are named by the roles; whether they are part of a build's identity does not matter here.
    places = {name: record.run[name] for name in ("pools", "servers") if name in record.run}
    return config_of({**record.config, **places, "out": out}, assignments)


def _check_digests(record: BuildRecord, digests: Mapping[str, str]) -> None:
    changed = [key.stage for key in record.chain if digests[key.stage] != key.config8]
    if changed:
        first = changed[0]
        theirs = next(key.config8 for key in record.chain if key.stage == first)
        msg = (
            f"{first}: code, prompts or models of this installation make it {digests[first]}, build {record.build} has "
            f"{theirs}; install the version that the other dataset was made with"
        )
        raise ConfigurationError(msg)


def _reproducible_here(config: BuildConfig) -> BuildConfig:
    """Reproducible models that had a pool answer in the workers: their answers are not kept."""
    changes = {}
    for stage in STAGES:
        spec, section = SPECS[stage], getattr(config, stage)
        choices = spec.choices(config)
        moved: dict[str, RoleSettings] = {
            setting: role.model_copy(update={"run": HERE})
            for setting, role in spec.role_settings(config).items()
            if choices[setting].backend.reproducible
        }
        if moved:
            changes[stage] = section.model_copy(update=moved)
    return config.model_copy(update=changes)


def _place(uri: str) -> str:
    return str(local_folder(uri) or uri.rstrip("/"))


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
