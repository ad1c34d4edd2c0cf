"""What a profile needs before it can run: files, digests, endpoints and GPU memory, role by role.

Downloads and loads nothing. A missing file or digest is listed and the next role is looked at; so is a setting that is
wrong, since whoever writes a profile wants all of its faults at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from flows.build.server_check import check_server
from flows.build.stage_memory import StageMemory, gpu_gb_of, stage_memory
from tasks.backends.known_models import known_model
from tasks.backends.model_files import (
    ModelFile,
    StatedDigest,
    files_of,
    is_folder,
    model_file,
    packaged_files,
    stated_digest,
)
from tasks.records.errors import ConfigurationError
from tasks.records.settings_base import RoleSettings
from tasks.records.user_path import user_path
from tasks.roles.backends import BackendChoice, choose
from tasks.roles.placement import ServerSettings, ServeSettings
from tasks.stages.choices import served_by
from tasks.stages.config import BuildConfig
from tasks.stages.registry import SPECS, check_placement, check_roles


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedRole:
    """One configured role.

    Attributes:
        setting: its key (``grounding.detector``).
        run: ``here``, or the pool or server that answers.
        model: what answers, or the id at the server.
        revision, digest: of the weights, ``""`` where not stated; ``origin`` says where: ``option``, ``lock``,
            ``package``, ``code`` (no weights) or ``server``.
        license: as the publisher states it, ``""`` if the model is not among the known ones.
        source: repository, address or package.
        files: paths that its options name, or its packaged files.
        gpu_gb: of one actor of its pool or of its server; 0: no GPU, or not known.
        missing: what is not there; ``wrong``: settings that cannot be right.
    """

    setting: str
    role: str
    backend: str
    run: str
    model: str = ""
    revision: str = ""
    digest: str = ""
    origin: str = ""
    license: str = ""
    source: str = ""
    files: tuple[ModelFile, ...] = ()
    gpu_gb: float = 0.0
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedServer:
    """One configured server that some role uses.

    Attributes:
        model: id that the roles ask for.
        urls: of a server that runs already; none of one that the build starts.
        files: of one that the build starts: interpreter, weights, chat template.
        missing, wrong: as of `CheckedRole`.
    """

    name: str
    model: str
    license: str = ""
    source: str = ""
    urls: tuple[str, ...] = ()
    files: tuple[ModelFile, ...] = ()
    gpu_gb: float = 0.0
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsCheck:
    """The whole profile.

    Attributes:
        cards, card_gb: of the machine that is meant.
        stages: GPU memory by stage, for stages that need a GPU.
        general: wrong settings that belong to no single role.
    """

    roles: tuple[CheckedRole, ...]
    servers: tuple[CheckedServer, ...]
    stages: tuple[StageMemory, ...]
    cards: int
    card_gb: float
    general: tuple[str, ...] = field(default=())

    @property
    def parts(self) -> tuple[CheckedRole | CheckedServer, ...]:
        """All roles, then all servers."""
        return (*self.roles, *self.servers)

    @property
    def missing(self) -> tuple[str, ...]:
        """All that is not there, each once."""
        return _once(text for one in self.parts for text in one.missing)

    @property
    def wrong(self) -> tuple[str, ...]:
        """All settings that cannot be right, each once."""
        return _once((*(text for one in self.parts for text in one.wrong), *self.general))

    @property
    def not_fitting(self) -> tuple[str, ...]:
        """Why stages do not fit the machine."""
        return _once(stage.problem for stage in self.stages if stage.problem)


def check_models(config: BuildConfig, *, cards: int, card_gb: float, ask_servers: bool = True) -> ModelsCheck:
    """Looks at every role of a configuration.

    Args:
        config: of a build.
        cards: GPUs of the machine that is meant.
        card_gb: memory of one, GB.
        ask_servers: whether the URLs of servers are asked for their models.
    """
    roles = tuple(
        _role(config, spec.roles[setting], f"{spec.name}.{setting}", role)
        for spec in SPECS.values()
        for setting, role in spec.role_settings(config).items()
    )
    used = {one.run for one in roles}
    servers = tuple(
        _server(name, server, config, ask=ask_servers)
        for name, server in config.servers.items()
        if name in used
    )
    checked = ModelsCheck(
        roles=roles,
        servers=servers,
        stages=stage_memory(config, cards=cards, card_gb=card_gb),
        cards=cards,
        card_gb=card_gb,
    )
    return checked if checked.wrong else replace(checked, general=_general(config))


def _general(config: BuildConfig) -> tuple[str, ...]:
    """What only shows when the roles are looked at together."""
    try:
        check_roles(config)
    except ConfigurationError as error:
        return (str(error),)
    return ()


def _role(config: BuildConfig, role: str, key: str, settings: RoleSettings) -> CheckedRole:
    checked = CheckedRole(
        setting=key,
        role=role,
        backend=settings.backend,
        run=settings.run,
        gpu_gb=gpu_gb_of(config, settings.run),
    )
    pool = config.pools.get(settings.run)
    if pool and pool.python and not Path(pool.python).is_file():
        checked = replace(checked, missing=(f"pools.{settings.run}.python: {pool.python} is not there",))
    try:
        choice = choose(role, settings, key, served_by(config, settings.run))
        check_placement(config, f"{key}.run", settings.run, choice)
        if stated := stated_digest(choice.options):
            return _with_weights(checked, choice, stated)
        server = config.servers.get(settings.run)
        return _at_server(checked, server) if server else _packaged(checked, choice)
    except ConfigurationError as error:
        return replace(checked, wrong=(str(error),))


def _with_weights(checked: CheckedRole, choice: BackendChoice, stated: StatedDigest) -> CheckedRole:
    """A role with weights of its own.

    Raises:
        ConfigurationError: option and lock file state different digests.
    """
    files, known = files_of(choice.options), known_model(stated.weights)
    missing = [f"{checked.setting}: {f.option} {f.path} {_state(f)}" for f in files if not f.present]
    # Who answers may depend on files beside the weights, so that it is asked when all are there.
    named = bool(stated.digest) and not missing
    if not stated.digest:
        how = f"groundedit models lock {stated.weights}"
        missing.append(f"{checked.setting}: no digest is stated for {stated.weights} ({how})")
    return replace(
        checked,
        model=choice.identity.model if named else known.what if known else Path(stated.weights).name,
        revision=stated.revision,
        digest=stated.digest,
        origin=stated.origin,
        license=known.license if known else "",
        source=known.source if known else "",
        files=files,
        missing=(*checked.missing, *missing),
    )


def _at_server(checked: CheckedRole, server: ServerSettings) -> CheckedRole:
    known = known_model(server.model.id)
    return replace(
        checked,
        model=server.model.id,
        revision=server.model.revision,
        origin="server",
        license=known.license if known else "",
        source=known.source if known else "",
    )


def _packaged(checked: CheckedRole, choice: BackendChoice) -> CheckedRole:
    """A role whose models, if any, come in packages that are pinned."""
    identity = choice.identity
    found = packaged_files(identity.digest)
    missing = [
        f"{checked.setting}: {f.path} is not there (groundedit fetch)" for _, f in found if not f.present
    ]
    return replace(
        checked,
        model=identity.model,
        revision=identity.revision,
        digest=identity.digest,
        origin="package" if found else "code",
        license=", ".join(_once(asset.license for asset, _ in found)),
        source=", ".join(_once(asset.revision for asset, _ in found)),
        files=tuple(f for _, f in found),
        missing=(*checked.missing, *missing),
    )


def _server(name: str, server: ServerSettings, config: BuildConfig, *, ask: bool) -> CheckedServer:
    known = known_model(server.model.id)
    checked = CheckedServer(
        name=name,
        model=server.model.id,
        license=known.license if known else "",
        source=known.source if known else "",
        urls=server.urls,
        gpu_gb=gpu_gb_of(config, name),
    )
    if server.serve is not None:
        files = _of_own_server(server.serve, server.model.id)
        there = (f"servers.{name}.serve.{f.option}: {f.path} {_state(f)}" for f in files if not f.present)
        return replace(checked, files=files, missing=tuple(there))
    try:
        note = asyncio.run(check_server(name, server)) if ask else ""
    except ConfigurationError as error:
        return replace(checked, wrong=(str(error),))
    return replace(checked, missing=(note,) if note else ())


def _of_own_server(serve: ServeSettings, model_id: str) -> tuple[ModelFile, ...]:
    """Interpreter, template and weights of a server that the build starts; weights out of the hub's cache are not
    looked for.
    """
    named = [("python", serve.python), ("template", serve.template)]
    if is_folder(serve.path, model_id):
        named.append(("path", serve.path))
    return tuple(model_file(option, user_path(text)) for option, text in named if text)


def _state(file: ModelFile) -> str:
    """What is wrong with a file that cannot be loaded, and how it can be had if it is known."""
    if file.instead:
        return f"is {file.instead}"
    return "is not there" + (" (groundedit models fetch)" if known_model(str(file.path)) else "")


def _once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
