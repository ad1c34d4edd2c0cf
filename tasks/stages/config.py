"""The one configuration object: a profile, then overrides, checked once at the edge and stored with the build.

    profile YAML (deploy/profiles/<name>.yaml)  <  arguments of the command  <  --set a.b=c

What is given as an argument can't be set as a whole, too; ``--set sources.0.license=…`` says more of it.

Unknown keys and bad values are `ConfigurationError` with the key and the value, before any work.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from tasks.publishing.settings import PublishSettings
from tasks.records.errors import ConfigurationError
from tasks.records.settings_base import Settings
from tasks.sources.settings import IngestSettings, SourceSettings
from tasks.stages.editing.settings import EditingSettings
from tasks.stages.grounding.settings import GroundingSettings
from tasks.stages.instruction.settings import InstructionSettings


class ExecutionSettings(Settings):
    """How the work is run; nothing here may change what comes out, so nothing here is hashed."""

    pool: Literal["ray", "in-process"] = Field(default="ray")
    workers: int = Field(default=0, ge=0, le=10_000, description="Ray actors; 0: one a core")
    threads_per_worker: int = Field(default=1, ge=1, description="threads a model may use")
    ray_address: str = Field(
        default="local", description="'local' starts one; else a cluster's address or 'auto'"
    )
    dashboard: bool = Field(default=False, description="start Ray's dashboard with a local Ray")
    prefect: bool = Field(default=True, description="run as a Prefect flow")
    partitions: int = Field(default=8, ge=1, le=50, description="Prefect task runs a stage, at most")
    units_ahead: int = Field(default=2, ge=1, description="units an actor holds, the running one included")
    max_environment_faults: int = Field(
        default=3, ge=1, description="faults of the surroundings that stop a stage"
    )
    max_failed_share: float = Field(default=0.5, gt=0, le=1, description="failed share that stops a stage")
    failed_share_after: int = Field(default=16, ge=1, description="inputs seen before the share counts")
    timeout_factor: float = Field(
        default=10.0, gt=1, description="a unit past this times the median is cut off"
    )
    timeout_floor_s: float = Field(
        default=300.0, gt=0, description="no unit is cut off before this many seconds"
    )
    min_free_bytes: int = Field(default=500_000_000, ge=0, description="free space a local output must have")


class BuildConfig(Settings):
    """Everything a build depends on."""

    profile: str
    name: str = Field(
        default="groundedit", pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,60}$", description="release name"
    )
    seed: int = Field(default=0, ge=0, lt=2**31)
    out: str = Field(
        default="out/demo", min_length=1, description="dataset URI: folder or s3://bucket/prefix"
    )
    sources: tuple[SourceSettings, ...] = Field(min_length=1)
    exclude: str = Field(default="", description="file of ids or locations to leave out")
    limit: int = Field(default=0, ge=0, description="first so many sources only; 0: all")
    ingest: IngestSettings = IngestSettings()
    grounding: GroundingSettings
    instruction: InstructionSettings
    editing: EditingSettings
    publish: PublishSettings = PublishSettings()
    execution: ExecutionSettings = ExecutionSettings()


def profile_names() -> list[str]:
    """Names of the profiles that exist."""
    folder = resources.files("deploy") / "profiles"
    return sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml"))


def load_config(
    profile: str, assignments: Sequence[str] = (), arguments: Mapping[str, object] | None = None
) -> BuildConfig:
    """The resolved configuration.

    Args:
        profile: a name of `profile_names`.
        assignments: ``a.b=value`` texts, values in YAML.
        arguments: dotted keys to values, from the command's own options; None values are skipped.

    Raises:
        ConfigurationError: an unknown profile or key, or a value out of range.
    """
    return load_with_origins(profile, assignments, arguments)[0]


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
    names = profile_names()
    if profile not in names:
        msg = f"profile: no profile is called {profile!r}; there is {', '.join(names)}"
        raise ConfigurationError(msg)
    text = (resources.files("deploy") / "profiles" / f"{profile}.yaml").read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    return {"profile": profile, **tree}


def _parse_assignment(text: str) -> tuple[str, object]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        msg = f"--set {text!r}: expected key=value"
        raise ConfigurationError(msg)
    try:
        return key.strip(), yaml.safe_load(value)
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
            lines.append(f"{key}: {item['ctx']['error']}")  # a section; the message names the values
        else:
            lines.append(f"{key}: {item['msg']} (value {item['input']!r})")
    return "; ".join(lines)
