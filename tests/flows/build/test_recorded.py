"""The configuration of a recorded build, of this version and of an earlier one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from flows.build.recorded import recorded_config
from flows.build.request import BuildRequest, resolve
from tasks.records.records import SCHEMA_VERSION
from tasks.storage.protocol.builds import BuildRecord


def record(config, version):
    return BuildRecord(build="b", config=config, chain=(), first_plan="p", schema_version=version)


def recorded():
    config = resolve(BuildRequest(source=("photographs",), assignments=("sources.0.license=CC0",)))[0]
    return config, config.model_dump(mode="json", exclude={"execution", "out"})


def as_recorded(config):
    """Without how it was run, which is not recorded."""
    return config.model_dump(exclude={"execution"})


def test_a_build_of_this_version_is_read_as_it_was_recorded():
    config, tree = recorded()
    read = recorded_config(record(tree, SCHEMA_VERSION), config.out)
    assert as_recorded(read) == as_recorded(config)
    with pytest.raises(ValidationError, match="gone"):
        recorded_config(record({**tree, "gone": 1}, SCHEMA_VERSION), config.out)


def test_old_names_are_read_and_keys_that_are_gone_are_left_out():
    config, tree = recorded()
    tree["sources"][0]["licence"] = tree["sources"][0].pop("license")
    gates = tree["editing"]["gates"]
    gates["min_colour_share"] = gates.pop("min_color_share")
    tree["editing"]["gates"]["gone"] = 1
    assert as_recorded(recorded_config(record(tree, 1), config.out)) == as_recorded(config)
