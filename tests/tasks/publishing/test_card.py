"""The card: machine-readable front matter, and tables that no name can break."""

from __future__ import annotations

from dataclasses import replace

import yaml

from tasks.publishing.card import CardFacts, render_card
from tasks.publishing.shard_format import ModelShape
from tasks.storage.reports.tallies import StageTally, Tally

MODEL = ModelShape(role="editor", backend="b", model="m", revision="1", digest="none")


def render(drawn, types=(("Color", "train"), ("Remove", "train"), ("Color", "validation")), source="shots"):
    sources = [(source, "CC | BY\n4.0", f"sid{n}") for n in range(len(types))]
    return render_card(CardFacts(types=types, models=[MODEL], sources=sources), drawn.RELEASE)


def test_the_front_matter_names_the_files_of_each_split_that_exists(drawn):
    def files(text):
        return yaml.safe_load(text.split("---\n")[1])["configs"][0]["data_files"]

    assert files(render(drawn)) == [
        {"split": "train", "path": "train-*.tar"},
        {"split": "validation", "path": "validation-*.tar"},
    ]
    assert files(render(drawn, (("Color", "train"),))) == [{"split": "train", "path": "train-*.tar"}]


def test_counts_stand_by_edit_type_and_split(drawn):
    text = render(drawn)
    assert "| Color | 1 | 1 | 2 |" in text
    assert "| Remove | 1 | 0 | 1 |" in text
    assert "| all | 2 | 1 | 3 |" in text


def test_a_name_cannot_end_its_cell_or_add_markup(drawn):
    text = render(drawn, source="a | b\n# c <img src=x> [d](e)")
    line = next(line for line in text.splitlines() if line.startswith("| a \\"))
    assert line == r"| a \| b # c &lt;img src=x&gt; \[d\](e) | 3 | 3 | CC \| BY 4.0 |"


def test_licenses_attribution_and_citation_are_there(drawn):
    text = render(drawn)
    assert r"| A \| detector | model | 1.0 | Apache-2.0 | its &lt;authors&gt; |" in text
    assert "InterCoG" in text


def test_a_release_without_samples_still_has_a_card(drawn):
    assert "0 samples" in render(drawn, ())


def test_each_stage_has_a_line_for_inputs_and_one_for_outputs_with_reasons_in_words(drawn):
    tally = StageTally(
        stage="editing",
        inputs=Tally(count=4, kept=3, rejected=1, failed=0, reasons=(("region_too_large", 1),)),
        outputs=Tally(
            count=3, kept=1, rejected=2, failed=0, reasons=(("mask_not_precise", 1), ("wrong_color", 1))
        ),
    )
    quiet = Tally(count=1, kept=1, rejected=0, failed=0, reasons=())
    publish = StageTally(stage="publish", inputs=quiet, outputs=quiet)
    context = replace(drawn.RELEASE, funnel=(tally, publish))
    text = render_card(CardFacts(types=(), models=[MODEL], sources=[]), context)
    table = text.partition("## Outcomes of the inputs\n\n")[2].partition("\n\n")[0].splitlines()
    assert table == [
        "| stage | what | count | kept | rejected | failed | reasons |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
        "| editing | inputs | 4 | 3 | 1 | 0 | region too large 1 |",
        "|  | outputs | 3 | 1 | 2 | 0 | doubtful target 1, wrong color 1 |",
        "| publish | inputs | 1 | 1 | 0 | 0 |  |",
        "|  | outputs | 1 | 1 | 0 | 0 |  |",
    ]
    assert "the next stage's inputs. Each line adds up.\n\nNear-duplicate photographs" in text
