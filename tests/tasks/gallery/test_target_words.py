"""A target that is a part is shown with the thing that it belongs to."""

from __future__ import annotations

from dataclasses import replace

from tasks.gallery.target_words import grounded_target, released_target
from tasks.publishing.describe_sample import describe_sample
from tasks.records.records import EditType


def test_a_garment_is_named_with_its_wearer(drawn):
    target = drawn.target(drawn.source_image("shots/a.jpg"))
    objects = list(target.scene.objects)
    objects[0] = replace(objects[0], label="person")
    objects[1] = replace(objects[1], label="shirt", part_of=0)
    worn = replace(target, scene=replace(target.scene, objects=tuple(objects)))
    meta = describe_sample(
        drawn.edited_sample(drawn.edit_plan(worn, EditType.COLOR)), "train", drawn.CONTEXT, drawn.LIBRARIES
    )
    assert [o.part_of for o in meta.objects] == [-1, 0, 3, -1]
    assert released_target(meta) == grounded_target(worn) == "shirt (of person 0)"
    assert grounded_target(target) == "disc"
