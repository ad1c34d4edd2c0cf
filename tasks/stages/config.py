"""The one configuration object: a profile, then overrides, checked once at the edge and stored with the build.

    profile YAML (deploy/profiles/<name>.yaml, or a file of one's own)  <  arguments of the command  <  --set a.b=c

What is given as an argument can't be set as a whole, too; ``--set sources.0.license=…`` says more of it.

Unknown keys and bad values are `ConfigurationError` with the key and the value, before any work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from tasks.publishing.settings import PublishSettings
from tasks.records.errors import ConfigurationError
from tasks.records.settings_base import Settings
from tasks.roles.placement import HERE, PoolSettings, ServerSettings
from tasks.roles.questions import ROLES
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.instruction.settings import InstructionSettings
from tasks.storage.objects.uris import DATASET_URIS

PROFILES = resources.files("deploy") / "profiles"
"""Folder of the profiles that come with the project."""


class ExecutionSettings(Settings):
    """How the work is run; nothing here may change what comes out, so nothing here is hashed."""

    pool: Literal["ray", "in-process"] = Field(default="ray")
    workers: int = Field(default=0, ge=0, le=10_000, description="worker processes; 0: one per core")
    threads_per_worker: int = Field(default=1, ge=1, description="threads a model may use")
    ray_address: str = Field(
        default="local", description="'local' starts one; else a cluster's address or 'auto'"
    )
    dashboard: bool = Field(default=False, description="start Ray's dashboard with a local Ray")
    prefect: bool = Field(default=True, description="run as a Prefect flow")
    partitions: int = Field(default=8, ge=1, le=50, description="Prefect task runs per stage, at most")
    units_in_flight: int = Field(default=2, ge=1, description="units at work in a worker at the same time")
    samples_in_flight: int = Field(default=16, ge=1, description="samples at work in a worker, at most")
    megapixels_in_flight: float = Field(
        default=48.0, gt=0, description="photographs at work in a worker; a larger one is at work alone"
    )
    card_gb: float = Field(
        default=80.0, gt=0, description="memory of a GPU, GB; gpu_gb of pools is a share of it"
    )
    local_gpus: int | None = Field(
        default=None, ge=0, description="GPUs that a local Ray counts; null: those it finds"
    )
    wait_for_resources_s: float = Field(
        default=600.0, ge=0, description="how long GPUs and CPUs that may still come are waited for"
    )
    max_environment_faults: int = Field(
        default=3, ge=1, description="faults of the environment that stop a stage"
    )
    max_failed_share: float = Field(default=0.5, gt=0, le=1, description="failed share that stops a stage")
    failed_share_after: int = Field(default=16, ge=1, description="inputs seen before the share counts")
    step_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="a computing step is cut off after this; waiting for a model is not one",
    )
    pause_after: Literal["", "ingest", "grounding", "instruction", "editing"] = Field(
        default="", description="stop in good order after this stage, for a look before the expensive part"
    )
    min_free_bytes: int = Field(default=500_000_000, ge=0, description="free space a local output must have")


class BuildConfig(Settings):
    """Everything a build depends on."""

    profile: str
    name: str = Field(
        default="groundedit", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$", description="release name"
    )
    seed: int = Field(default=0, ge=0, lt=2**31)
    out: str = Field(default="out/demo", min_length=1, description=f"dataset: {DATASET_URIS}")
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    exclude: str = Field(default="", description="file of ids or locations to leave out")
    limit: int = Field(default=0, ge=0, description="first so many sources only; 0: all")
    ingest: IngestSettings = IngestSettings()
    grounding: GroundingSettings
    instruction: InstructionSettings
    editing: EditingSettings
    publish: PublishSettings = PublishSettings()
    pools: dict[str, PoolSettings] = Field(
        default={}, description="actors that hold models, by name; in no digest"
    )
    servers: dict[str, ServerSettings] = Field(
        default={}, description="endpoints by name; of these the model alone is in the digests"
    )
    execution: ExecutionSettings = ExecutionSettings()

    @model_validator(mode="after")
    def _one_placement_per_name(self) -> BuildConfig:
        """A role says ``run: <name>``, so a name may mean one thing only."""
        both = sorted({HERE} & {*self.pools, *self.servers} | set(self.pools) & set(self.servers))
        if both:
            msg = f"{both[0]!r} names two placements out of here, pools and servers; rename one"
            raise ValueError(msg)
        for name, pool in self.pools.items():
            unknown = [role for role in pool.holds if role not in ROLES]
            if unknown:
                msg = f"pools.{name}.holds: unknown role {unknown[0]!r} (available: {', '.join(ROLES)})"
                raise ValueError(msg)
        return self


def profile_names() -> list[str]:
    """Names of the profiles that exist."""
    return sorted(p.name.removesuffix(".yaml") for p in PROFILES.iterdir() if p.name.endswith(".yaml"))


def load_config(
    profile: str, assignments: Sequence[str] = (), arguments: Mapping[str, object] | None = None
) -> BuildConfig:
    """The resolved configuration.

    Args:
        profile: a name of `profile_names`, or the path of a YAML file.
        assignments: ``a.b=value`` texts, values in YAML.
        arguments: dotted keys to values, from the command's own options; None values are skipped.

    Raises:
        ConfigurationError: an unknown profile or key, or a value out of range.
    """
    return load_with_origins(profile, assignments, arguments)[0]


def config_of(tree: Mapping[str, Any], assignments: Sequence[str] = ()) -> BuildConfig:
    """The configuration that a build's record holds as JSON, with some values assigned.

    Raises:
        ConfigurationError: an unknown key, or a value out of range.
    """
    changed = deepcopy(dict(tree))
    for key, value in map(_parse_assignment, assignments):
        _assign(changed, key, value)
    try:
        return BuildConfig.model_validate(changed)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from error


def load_with_origins(
    profile: str, assignments: Sequence[str] = (), arguments: Mapping[str, object] | None = None
) -> tuple[BuildConfig, dict[str, str]]:
    """The resolved configuration and, for each leaf's dotted key, where its value came from."""
    tree = _read_profile(profile)
    origins = dict.fromkeys(_leaves(tree), f"profile {profile}")
    given = {key: value for key, value in (arguments or {}).items() if value is not None}
    changes = [(key, deepcopy(value), f"argument {key}") for key, value in given.items()]
    for key, value in map(_parse_assignment, assignments):
        if key in given:
            msg = f"--set {key}={value!r}: {key} is given as an argument, too; which one is meant?"
            raise ConfigurationError(msg)
        changes.append((key, value, f"--set {key}"))
    for key, value, origin in changes:
        _assign(tree, key, value)
        origins = {k: v for k, v in origins.items() if k != key and not k.startswith(key + ".")}
        origins.update(dict.fromkeys(_leaves(value, key), origin))
        # An item of a list is told with the list.
        origins.update({k: f"{v}, {origin}" for k, v in origins.items() if key.startswith(k + ".")})
    try:
        config = BuildConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from error
    everything = _leaves(config.model_dump(mode="json"))
    return config, {key: origins.get(key, "default") for key in everything}


def leaf_values(config: BuildConfig) -> dict[str, object]:
    """Dotted key to value, for printing."""
    flat: dict[str, object] = {}

    def walk(node: object, key: str) -> None:
        if isinstance(node, dict) and node:
            for name, child in node.items():
                walk(child, f"{key}.{name}" if key else str(name))
        else:
            flat[key] = node

    walk(config.model_dump(mode="json"), "")
    return flat


def _read_profile(profile: str) -> dict[str, Any]:
    """The tree of a named profile, or of a file: what ends in ``.yaml`` or ``.yml`` or holds a slash is a path.

    A file goes by its name without folder and ending, since the configuration is stored with the dataset.
    """
    if profile.endswith((".yaml", ".yml")) or "/" in profile:
        text, name = _read_file(profile), Path(profile).stem
    elif profile in (names := profile_names()):
        text, name = (PROFILES / f"{profile}.yaml").read_text(encoding="utf-8"), profile
    else:
        msg = f"unknown profile {profile!r} (available: {', '.join(names)}; or the path of a YAML file)"
        raise ConfigurationError(msg)
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        msg = f"profile {profile!r}: not YAML{where}: {getattr(error, 'problem', None) or error}"
        raise ConfigurationError(msg) from error
    if not isinstance(tree, dict) or not all(isinstance(key, str) for key in tree):
        msg = f"profile {profile!r}: expected sections by name, as in deploy/profiles/embedded.yaml"
        raise ConfigurationError(msg)
    return {**_unshared(tree), "profile": name}


def _unshared(node: Any) -> Any:
    """A copy in which each section is its own: YAML aliases give one, and setting a value there would set it in all."""
    if isinstance(node, dict):
        return {key: _unshared(child) for key, child in node.items()}
    return [_unshared(child) for child in node] if isinstance(node, list) else node


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        msg = f"profile {path!r}: not UTF-8 text"
        raise ConfigurationError(msg) from error
    except OSError as error:
        msg = f"profile {path!r}: {error.strerror or error} (available by name: {', '.join(profile_names())})"
        raise ConfigurationError(msg) from error


def _parse_assignment(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        msg = f"--set {text!r}: expected key=value"
        raise ConfigurationError(msg)
    try:
        # Nothing is an empty text, as a shell hands `key=''` over; `null` says that there is no value.
        return key.strip(), yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError as error:
        msg = f"--set {key}: {value!r} is no YAML value"
        raise ConfigurationError(msg) from error


def _assign(tree: dict[str, Any], key: str, value: object) -> None:
    """Sets a leaf; an item of a list, which must be there, is named by its number."""
    *path, last = key.split(".")
    node: dict[str, Any] | list[Any] = tree
    for depth, name in enumerate(path):
        child = node.setdefault(name, {}) if isinstance(node, dict) else node[_index(node, name, key, value)]
        if not isinstance(child, dict | list):
            msg = f"{key}={value!r}: {'.'.join(path[: depth + 1])} is a value, not a section"
            raise ConfigurationError(msg)
        node = child
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_index(node, last, key, value)] = value


def _index(items: Sequence[object], name: str, key: str, value: object) -> int:
    if not name.isdecimal() or int(name) >= len(items):
        there = f"0 to {len(items) - 1}" if items else "none"
        msg = f"{key}={value!r}: {name!r} is no item of the list; there is {there}"
        raise ConfigurationError(msg)
    return int(name)


def _leaves(node: object, prefix: str = "") -> list[str]:
    if isinstance(node, dict) and node:
        return [leaf for k, v in node.items() for leaf in _leaves(v, f"{prefix}.{k}" if prefix else str(k))]
    return [prefix]


def _describe(error: ValidationError) -> str:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            lines.append(f"{key}: unknown key (value {item['input']!r})")
        elif item["type"] == "missing":
            lines.append(f"{key}: required, not given")
        elif item["type"] == "value_error" and isinstance(item["input"], dict):
            # A section; the message names the values. The whole configuration has no key.
            lines.append(f"{key}: {item['ctx']['error']}" if key else str(item["ctx"]["error"]))
        else:
            lines.append(f"{key}: {item['msg']} (value {item['input']!r})")
    return "; ".join(lines)
