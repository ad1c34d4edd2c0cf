"""The released sample: one shape, and a reader that rejects unknown input."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tasks.publishing.describe_sample import describe_sample
from tasks.publishing.shard_format import MEMBERS, parse_meta, read_sample
from tasks.records.errors import DataFault
from tasks.records.records import SCHEMA_VERSION, EditType


@pytest.fixture
def meta(drawn):
    plan = drawn.edit_plan(drawn.target(drawn.source_image("shots/a.jpg")), EditType.COLOR)
    return describe_sample(drawn.edited_sample(plan), "train", drawn.CONTEXT, drawn.LIBRARIES)


def members(meta):
    return {**dict.fromkeys(MEMBERS, b"x"), "json": meta.to_json()}


def test_what_is_written_reads_back_equal(meta):
    assert read_sample(meta.key, members(meta)).meta == meta


def test_the_papers_keys_are_spelled_exactly(meta):
    tree = json.loads(meta.to_json())
    assert list(tree["CoT"]) == [
        "1_Scene_Description",
        "2_Target_Localization",
        "3_Editing_Description",
        "4_Post_Edit_Description",
    ]


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, None, str(SCHEMA_VERSION)])
def test_another_schema_version_is_refused_by_name(meta, version):
    tree = {**json.loads(meta.to_json()), "schema_version": version}
    with pytest.raises(DataFault, match="schema_version"):
        parse_meta(json.dumps(tree).encode(), meta.key)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member_is_named(meta, name):
    incomplete = members(meta)
    del incomplete[name]
    with pytest.raises(DataFault, match=name):
        read_sample(meta.key, incomplete)


def test_an_empty_list_or_text_has_another_shape_and_is_refused(meta):
    for key, value in (("gates", []), ("license", ""), ("instruction", None), ("surprise", 1)):
        tree = {**json.loads(meta.to_json()), key: value}
        with pytest.raises(DataFault, match=key):
            parse_meta(json.dumps(tree).encode(), meta.key)


def test_the_json_of_another_sample_is_refused(meta):
    with pytest.raises(DataFault, match="holds the key"):
        parse_meta(meta.to_json(), "other-t0-p0")


def test_the_reader_needs_no_pictures_store_or_flow_library():
    code = (
        "import sys, tasks.publishing.shard_format;"
        "print([m for m in ('cv2', 'pyarrow', 'obstore', 'prefect', 'ray', 'torch', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
