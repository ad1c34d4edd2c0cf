"""Rebuilds a dataset from the photographs and kept answers of another one: no model or photograph is requested.

Configuration, plans and all of ingest are copied from the other dataset. Grounding to publish run again, with this
machine's reproducible models and with the answers stored there.
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
from tasks.storage.objects.infos import StoreOptions
from tasks.storage.objects.store import Store, open_store
from tasks.storage.objects.uris import local_folder
from tasks.storage.protocol.builds import BuildRecord, build_plans, list_builds
from tasks.storage.protocol.out_folder import check_out
from tasks.storage.protocol.take_over import recorded_libraries, take_over, take_over_plans

NOT_COMPARED = ("python",)
"""Recorded beside the libraries, but not pinned by the lock file."""


def open_replay(
    origin: str, out: str, *, assignments: Sequence[str] = (), allow_other_libraries: bool = False
) -> Build:
    """Opens the last build of a dataset for rebuilding elsewhere; ingest is copied, so no photograph is needed.

    Args:
        origin: URI of the dataset whose answers are used; nothing is written there.
        out: URI of the new dataset.
        assignments: ``execution.…=value`` texts; nothing else may differ from the other build.
        allow_other_libraries: continue although the installed library versions differ from the recorded ones; pixels
            may then differ.

    Raises:
        ConfigurationError: there is no build to start from; code, prompts or libraries differ; or an assignment
            changes something other than execution settings.
        DataFault: the other dataset is damaged.
        StorageFault: a store cannot be read or written.
    """
    source, record = _last_build(origin)
    config = _config_of(record, out, assignments)
    check_roles(config)
    digests = stage_digests(config)
    _check_digests(record, digests)
    # Only ingest and the answers are needed; the plans of later stages keep the same units.
    plans = build_plans(source, record, partial=True)
    if not plans:
        msg = f"--from {origin!r}: build {record.build} has no plans yet"
        raise ConfigurationError(msg)
    other = other_libraries(recorded_libraries(source, plans))
    if other and not allow_other_libraries:
        msg = (
            f"--from {origin!r}: made with other library versions ({'; '.join(other)}); install those of the "
            "lock file, or pass --allow-other-libraries"
        )
        raise ConfigurationError(msg)
    if _place(out) == _place(origin):
        msg = f"--out {out!r}: expected a dataset other than --from"
        raise ConfigurationError(msg)
    check_out(out)
    store = open_store(out, StoreOptions(min_free_bytes=config.execution.min_free_bytes))
    store.probe()
    take_over(source, store, plans[0])
    if not other:
        # Other libraries change row names, which the plans of later stages refer to.
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
    """One line per library whose installed version differs from ``recorded`` (library -> versions)."""
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
        msg = f"--set {wrong[0]!r}: not allowed with --answers-only (available: execution.…)"
        raise ConfigurationError(msg)
    # Roles name their pools and servers; which of them count for the build's identity does not matter here.
    places = {name: record.run[name] for name in ("pools", "servers") if name in record.run}
    return config_of({**record.config, **places, "out": out}, assignments)


def _check_digests(record: BuildRecord, digests: Mapping[str, str]) -> None:
    changed = [key.stage for key in record.chain if digests[key.stage] != key.config8]
    if changed:
        first = changed[0]
        theirs = next(key.config8 for key in record.chain if key.stage == first)
        msg = (
            f"{first}: version mismatch: this installation computes {digests[first]}, build {record.build} has "
            f"{theirs}; install the code, prompts and models that the other dataset was made with"
        )
        raise ConfigurationError(msg)


def _reproducible_here(config: BuildConfig) -> BuildConfig:
    """Moves reproducible models from pools into the workers, since their answers are not kept."""
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
    scheme, separator, rest = uri.rstrip("/").partition("://")
    return str(local_folder(uri) or f"{scheme.lower()}{separator}{rest}")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
