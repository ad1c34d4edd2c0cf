"""The finished release: read by others' readers, whole, and the same however it came about."""

from __future__ import annotations

from tasks.canonical import sha256_hex


def test_the_manifest_names_every_file_with_its_digest(released):
    folder, manifest = released
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {"MANIFEST.json"}
    assert found == {item["name"] for item in manifest["files"]}
    for item in manifest["files"]:
        assert sha256_hex((folder / item["name"]).read_bytes()) == item["sha256"]
