"""One table of edit types: complete, in order, and the only place that distinguishes types."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.records.edit_types import EDIT_TYPES, Maker, Region, spec_of
from tasks.records.records import EditType
from tasks.stages.editing.settings import GateSettings

ROOT = Path(__file__).resolve().parents[3]

OWN_WORDS = {
    "tasks/records/edit_types.py": "the table",
    "tasks/backends/embedded/painting/offer.py": "what the embedded editor paints",
    "tasks/backends/embedded/painting/copies/placements.py": "where the embedded editor puts copies",
    "tasks/backends/embedded/painting/removal_offer.py": "what the embedded inpainters remove",
    "tasks/backends/embedded/painting/editor.py": "how the embedded editor paints it",
    "tasks/backends/embedded/painting/edit_judge.py": "by what the embedded judge scores it",
    "tasks/backends/embedded/language/arguments.py": "how the embedded writers choose what it becomes",
    "tasks/backends/embedded/language/descriptions.py": "how the embedded writers say it",
    "tasks/backends/embedded/language/instructor.py": "what the embedded instructor has words for",
}
"""Modules that may name single types: each knows only the few types that it makes."""

READS_SENTENCES = "tasks/stages/instruction/words/"
"""Word gates know what sentences about the paper's types look like; other types pass the general gates."""


def _names_a_type(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    members = set(EditType.__members__)
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "EditType"
        and node.attr in members
        for node in ast.walk(tree)
    )


def test_the_table_has_one_row_for_each_of_the_eight_types_in_their_order():
    assert [row.edit_type for row in EDIT_TYPES] == list(EditType)
    assert all(spec_of(row.edit_type) is row for row in EDIT_TYPES)


def test_no_other_module_asks_which_type_an_edit_is_of():
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("tasks", "flows", "prompts", "intercog_model")
        for path in (ROOT / package).rglob("*.py")
        if _names_a_type(path)
    }
    found = {name for name in found if not name.startswith(READS_SENTENCES)}
    assert found == set(OWN_WORDS)


def test_the_bounds_of_the_gates_are_settings():
    keys = {
        key for row in EDIT_TYPES for gate in row.gates for key in (gate.bound, gate.bound_of_part) if key
    }
    assert keys <= set(GateSettings.model_fields)


def test_what_the_editor_makes_is_measured_and_a_removal_measures_itself():
    for row in EDIT_TYPES:
        assert bool(row.gates) is (row.maker is Maker.EDITOR)


def test_each_pattern_names_the_argument_and_only_types_with_one_have_any():
    for row in EDIT_TYPES:
        assert bool(row.reads) is bool(row.argument)
        assert all("argument" in re.compile(pattern).groupindex for pattern in row.reads)


def test_the_default_weights_are_the_samples_of_the_paper():
    assert sum(row.weight for row in EDIT_TYPES) == 12973 + 18131 + 7558 + 3844 + 1095 + 417 + 775 + 82


@pytest.mark.parametrize(
    ("edit_type", "region"),
    [(EditType.COLOR, Region.OUTLINE), (EditType.REPLACE, Region.CHANGED), (EditType.ADD, Region.CROP)],
)
def test_an_edit_takes_no_more_of_the_crop_than_it_needs(edit_type, region):
    assert spec_of(edit_type).region is region


MEMBER = '    TEXT = "Text"\n'
ROW = """    EditTypeSpec(
        edit_type=EditType.STYLE,
        maker=Maker.EDITOR,
        weight=50.0,
        argument="style",
        verbs=frozenset({"restyle"}),
        reads=(r"\\bin the style of (?P<argument>.+)$",),
        crop_factor=1.4,
        region=Region.OUTLINE,
        gates=(SUBTLE_CHANGE, SEAM),
    ),
)
\"\"\"One row per type"""
LINES = "Style:\n  means: the target is drawn in another style\n  becomes: your choice, a style\n"

USE = """
import numpy as np
from tasks.backends.generative_offer import GenerativeEditorOffer, GenerativeInpainterOffer
from tasks.records.records import Box, EditType
from tasks.records.settings_base import RoleSettings, Settings
from tasks.records.edit_types import spec_of
from tasks.backends.served.instructor import ChatInstructor, InstructorOptions
from tests.tasks.backends.served.asked import SERVED, questions
from tasks.roles.offers import Offers
from tasks.stages.editing.compositing import alpha_for
from tasks.stages.editing.crop import crop_box
from tasks.stages.editing.settings import CompositeSettings, CropSettings
from tasks.stages.instruction.arguments import settled_argument
from tasks.stages.instruction.choose import choose_edit_type
from tasks.stages.instruction.settings import InstructionSettings
from tests.tasks.stages.instruction.example_scenes import street, target
role = RoleSettings(backend="b")
weights = InstructionSettings(instructor=role, rewriter=role, referrer=role).weights
assert weights[EditType.STYLE] == 50.0
offers = Offers(editor=GenerativeEditorOffer(Settings()), inpainter=GenerativeInpainterOffer(Settings()))
drawn = choose_edit_type(target(street(), 1), offers, {EditType.STYLE: 1.0}, 0, "p")
assert (drawn.edit_type, drawn.argument) == (EditType.STYLE, "")
assert drawn.choices[-1].name == "allows_style"
question = questions(edit_type=EditType.STYLE, argument="")["instructor"]
asked = ChatInstructor(InstructorOptions(served=SERVED)).request(question).parts[2]
assert "the target is drawn in another style" in asked and "your choice, a style" in asked
words = "Paint the man in the style of Van Gogh."
assert settled_argument(EditType.STYLE, "", "", words) == "Van Gogh"
box = crop_box(Box(x0=400, y0=400, x1=600, y1=600), EditType.STYLE, 1000, 1000, CropSettings(min_side_px=64))
assert box.width == 280
mask = np.zeros((50, 50), bool)
mask[20:30, 20:30] = True
assert alpha_for(mask, mask, spec_of(EditType.STYLE).region, CompositeSettings())[0, 0] == 0
print("all of it")
"""


def test_a_ninth_type_is_a_member_a_row_and_its_prompt_lines(tmp_path):
    for package in ("tasks", "prompts", "tests/tasks/stages/instruction", "tests/tasks/backends/served"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    _insert(tmp_path / "tasks/records/records.py", MEMBER, f'{MEMBER}    STYLE = "Style"\n')
    _insert(tmp_path / "tasks/records/edit_types.py", ')\n"""One row per type', ROW)
    with (tmp_path / "prompts/edit_types.yaml").open("a", encoding="utf-8") as file:
        file.write(LINES)
    result = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.stdout, result.stderr) == ("all of it\n", "")


def _insert(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), encoding="utf-8")
