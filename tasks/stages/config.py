"""The configuration: a profile, then overrides, validated once and stored with the build.

    profile YAML (deploy/profiles/<name>.yaml, or your own file)  <  arguments of the command  <  --set a.b=c

A key set by a command-line option (such as ``--source``) cannot also be set with ``--set``; its items can
(``--set sources.0.license=…``).

Unknown keys and bad values raise `ConfigurationError` with the key and the value, before any work.
"""

from __future__ import annotations

import re
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
from tasks.records.user_path import user_path
from tasks.roles.placement import HERE, PoolSettings, ServerSettings
from tasks.roles.questions import ROLES
from tasks.roles.rates import RateSettings
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.instruction.settings import InstructionSettings
from tasks.storage.objects.uris import DATASET_URIS

INSTEAD = {"urls": "serve", "serve": "urls"}
"""Settings of a server of which each replaces the other."""

PROFILES = resources.files("deploy") / "profiles"
"""Folder of the profiles shipped with the project."""


class ExecutionSettings(Settings):
    """How the work runs. Nothing here may change results, so nothing here is hashed."""

    pool: Literal["ray", "in-process"] = Field(default="ray")
    workers: int = Field(default=0, ge=0, le=10_000, description="worker processes; 0: one per core")
    threads_per_worker: int = Field(default=1, ge=1, description="threads that a model may use")
    ray_address: str = Field(
        default="local", description="'local' starts a Ray; else a cluster's address, or 'auto'"
    )
    dashboard: bool = Field(default=False, description="start Ray's dashboard with a local Ray")
    prefect: bool = Field(default=True, description="run as a Prefect flow")
    partitions: int = Field(default=8, ge=1, le=50, description="maximum Prefect task runs per stage")
    units_in_flight: int = Field(default=2, ge=1, description="units that a worker runs at the same time")
    samples_in_flight: int = Field(default=16, ge=1, description="maximum samples in flight per worker")
    megapixels_in_flight: float = Field(
        default=48.0,
        gt=0,
        description="maximum megapixels in flight per worker; a larger photograph runs alone",
    )
    card_gb: float = Field(
        default=80.0, gt=0, description="memory of a GPU, GB; pools' gpu_gb is divided by it"
    )
    local_gpus: int | None = Field(
        default=None, ge=0, description="GPUs of a local Ray; null: those that Ray detects"
    )
    wait_for_resources_s: float = Field(
        default=600.0, ge=0, description="seconds to wait for GPUs and CPUs that may still be added"
    )
    max_environment_faults: int = Field(default=3, ge=1, description="environment faults that stop a stage")
    max_failed_share: float = Field(
        default=0.5, gt=0, le=1, description="share of failed inputs that stops a stage"
    )
    failed_share_after: int = Field(
        default=16, ge=1, description="inputs processed before that share is checked"
    )
    step_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="time limit of a computing step, in seconds; waiting for a model does not count",
    )
    first_look: int = Field(
        default=0,
        ge=0,
        le=100,
        description="photographs that go through all stages before the others, for something to look at; 0: none",
    )
    preview: bool = Field(
        default=True,
        description="keep a page of the first accepted samples up to date while a local build runs",
    )
    pause_after: Literal["", "ingest", "grounding", "instruction", "editing"] = Field(
        default="", description="stop after this stage, to check its results before the expensive ones"
    )
    min_free_bytes: int = Field(default=500_000_000, ge=0, description="minimum free space of a local output")


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
    limit: int = Field(default=0, ge=0, description="use only the first so many photographs; 0: all")
    ingest: IngestSettings = IngestSettings()
    grounding: GroundingSettings
    instruction: InstructionSettings
    editing: EditingSettings
    publish: PublishSettings = PublishSettings()
    pools: dict[str, PoolSettings] = Field(
        default={}, description="actors that hold models, by name; not part of any digest"
    )
    servers: dict[str, ServerSettings] = Field(
        default={}, description="endpoints by name; only their model is part of digests"
    )
    execution: ExecutionSettings = ExecutionSettings()
    rates: RateSettings = Field(
        default=RateSettings(), description="what plan counts with; not part of any digest"
    )

    @model_validator(mode="after")
    def _one_placement_per_name(self) -> BuildConfig:
        """Names of pools and servers must differ, since a role refers to both by ``run: <name>``."""
        both = sorted({HERE} & {*self.pools, *self.servers} | set(self.pools) & set(self.servers))
        if both:
            msg = f"{both[0]!r}: used in both pools and servers; rename one"
            raise ValueError(msg)
        for name, pool in self.pools.items():
            unknown = [role for role in pool.holds if role not in ROLES]
            if unknown:
                msg = f"pools.{name}.holds: unknown role {unknown[0]!r} (available: {', '.join(ROLES)})"
                raise ValueError(msg)
            if pool.python and self.execution.pool != "ray":
                msg = f"pools.{name}.python={pool.python!r}: needs execution.pool=ray"
                raise ValueError(msg)
        strange = sorted(set(self.rates.cards) - set(self.servers))
        if strange:
            msg = (
                f"rates.cards: unknown server {strange[0]!r} (available: {', '.join(self.servers) or 'none'})"
            )
            raise ValueError(msg)
        return self


def profile_names() -> list[str]:
    """Names of the shipped profiles."""
    return sorted(p.name.removesuffix(".yaml") for p in PROFILES.iterdir() if p.name.endswith(".yaml"))


def load_config(
    profile: str, assignments: Sequence[str] = (), arguments: Mapping[str, object] | None = None
) -> BuildConfig:
    """Resolves the configuration.

    Args:
        profile: one of `profile_names`, or the path of a YAML file.
        assignments: ``a.b=value`` texts, with values in YAML.
        arguments: dotted key -> value, from the command's own options; None values are skipped.

    Raises:
        ConfigurationError: an unknown profile or key, or a value out of range.
    """
    return load_with_origins(profile, assignments, arguments)[0]


def config_of(tree: Mapping[str, Any], assignments: Sequence[str] = ()) -> BuildConfig:
    """The configuration from the JSON in a build's record, with some values replaced.

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
    """The resolved configuration and, for each leaf's dotted key, the origin of its value."""
    tree = _read_profile(profile)
    origins = dict.fromkeys(_leaves(tree), f"profile {profile}")
    given = {key: value for key, value in (arguments or {}).items() if value is not None}
    changes = [(key, deepcopy(value), f"argument {key}") for key, value in given.items()]
    for key, value in map(_parse_assignment, assignments):
        if key in given:
            msg = f"--set {key}={value!r}: {key} is also given as an argument; use only one of them"
            raise ConfigurationError(msg)
        changes.append((key, value, f"--set {key}"))
    for key, value, origin in changes:
        _assign(tree, key, value)
        origins = {k: v for k, v in origins.items() if k != key and not k.startswith(key + ".")}
        origins.update(dict.fromkeys(_leaves(value, key), origin))
        # Items of a list are reported with the list.
        origins.update({k: f"{v}, {origin}" for k, v in origins.items() if key.startswith(k + ".")})
    try:
        config = BuildConfig.model_validate(tree)
    except ValidationError as error:
        raise ConfigurationError(_describe(error)) from error
    everything = _leaves(config.model_dump(mode="json"))
    return config, {key: origins.get(key, "default") for key in everything}


def leaf_values(config: BuildConfig) -> dict[str, object]:
    """Dotted key -> value, for printing."""
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
    """Reads a named profile, or a file: a value with a slash, or ending in ``.yaml`` or ``.yml``, is a path.

    A file's profile name is its stem, since the configuration is stored with the dataset.
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
    """A deep copy without shared sections: YAML aliases refer to one object, and setting a value would change all."""
    if isinstance(node, dict):
        return {key: _unshared(child) for key, child in node.items()}
    return [_unshared(child) for child in node] if isinstance(node, list) else node


def _read_file(path: str) -> str:
    try:
        return user_path(path).read_text(encoding="utf-8")
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
        # No value is an empty text, as a shell passes `key=''`; `null` means None.
        return key.strip(), yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError as error:
        msg = f"--set {key}: {value!r} is not a YAML value"
        raise ConfigurationError(msg) from error


def _assign(tree: dict[str, Any], key: str, value: object) -> None:
    """Sets a leaf; an item of a list is addressed by its index, which must exist.

    Of two ways to reach a server, the one that is set replaces the other: the servers that a profile starts may run
    already (``--set servers.vlm.urls=…``).
    """
    *path, last = key.split(".")
    node: dict[str, Any] | list[Any] = tree
    for depth, name in enumerate(path):
        child = node.setdefault(name, {}) if isinstance(node, dict) else node[_index(node, name, key, value)]
        if not isinstance(child, dict | list):
            msg = f"{key}={value!r}: {'.'.join(path[: depth + 1])} is a value, not a section"
            raise ConfigurationError(msg)
        node = child
    if not isinstance(node, dict):
        node[_index(node, last, key, value)] = value
        return
    node[last] = value
    if path[:1] == ["servers"] and len(path) == 2 and last in INSTEAD and value:
        node.pop(INSTEAD[last], None)


def _index(items: Sequence[object], name: str, key: str, value: object) -> int:
    if not name.isdecimal() or int(name) >= len(items):
        allowed = f"0-{len(items) - 1}" if items else "the list is empty"
        msg = f"{key}={value!r}: index {name} is out of range ({allowed})"
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
            lines.append(f"{key}: required, but not given")
        elif item["type"] == "value_error" and isinstance(item["input"], dict):
            # A section; the message names its values. The whole configuration has no key.
            lines.append(f"{key}: {item['ctx']['error']}" if key else str(item["ctx"]["error"]))
        else:
            # A URL may hold a password, which its refusal must not repeat.
            value = re.sub(r"://[^/@\s]+@", "://***@", repr(item["input"]))
            lines.append(f"{key}: {item['msg']} (value {value})")
    return "; ".join(lines)
