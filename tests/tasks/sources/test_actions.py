"""The closed list of actions."""

from pathlib import Path

from tasks.sources.actions import MEANINGS, Action

DOCUMENT = Path(__file__).parents[3] / "docs" / "dataset-format.md"


def test_every_action_has_its_meaning_and_stands_in_the_document():
    assert list(MEANINGS) == list(Action)
    table = DOCUMENT.read_text(encoding="utf-8").partition("<!-- actions -->")[2].partition("\n\n")[0]
    rows = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    assert rows == [[f"`{action}`", meaning] for action, meaning in MEANINGS.items()]
