"""Which packaged files a release must name: exactly those whose digest a configured role states."""

from __future__ import annotations

from dataclasses import replace

from flows.build import licenses
from flows.build.request import BuildRequest, resolve
from tasks.backends.assets import asset_table


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


def test_a_backend_that_is_gone_leaves_the_others_named():
    before = {asset.name for asset in licenses.used_models(config())}
    old = config()
    gone = old.editing.editor.model_copy(update={"backend": "gone"})
    old = old.model_copy(update={"editing": old.editing.model_copy(update={"editor": gone})})
    after = {asset.name for asset in licenses.used_models(old)}
    assert after < before
    assert len(after) > 2
