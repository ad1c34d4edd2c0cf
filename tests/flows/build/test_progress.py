"""What a stage's line of progress says."""

from __future__ import annotations

from flows.build.progress import StageProgress


def test_a_line_tells_inputs_from_the_outputs_that_were_kept() -> None:
    stage = StageProgress(
        stage="grounding", units=4, units_done=2, inputs=40, inputs_done=12, fresh=12, kept=21
    )
    words = " ".join(stage.line(now=4.0).split())
    assert words == "grounding 12/40 inputs 21 outputs kept 3.0/s 9 s left"
