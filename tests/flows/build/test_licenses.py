"""Which packaged files a release must name: those whose digest a configured role states, and no other."""

from __future__ import annotations

from dataclasses import replace

from flows.build import licenses
from flows.build.request import BuildRequest, resolve
from tasks.backends.assets import asset_table
from tasks.roles import backends


def config():
    return resolve(BuildRequest(source=("photographs",)))[0]


def test_every_model_file_of_the_embedded_profile_is_named_once():
    names = [asset.name for asset in licenses.used_models(config())]
    assert names == sorted(set(names))
    assert "migan" in " ".join(names)
    assert not any("photographs" in name for name in names)


def test_an_asset_with_the_same_package_and_a_longer_version_is_not_taken_for_the_used_one(monkeypatch):
    used = licenses.used_models(config())
    table = dict(asset_table())
    asset = used[0]
    # Its revision stands within that of the used one, as foo@1.1 does within foo@1.10.
    table["other"] = replace(asset, name="other", version=asset.version[:-1], members={"x": "0" * 64})
    monkeypatch.setattr(licenses, "asset_table", lambda: table)
    assert licenses.used_models(config()) == used


def test_a_backend_that_is_gone_leaves_the_others_named(monkeypatch):
    before = licenses.used_models(config())
    told = backends.describe_role

    def describe(role, settings):
        from tasks.records.errors import ConfigurationError

        if role == "inpainter":
            raise ConfigurationError("gone")
        return told(role, settings)

    monkeypatch.setattr(licenses, "describe_role", describe)
    assert 0 < len(licenses.used_models(config())) < len(before)
