"""Progress output, on a terminal and without one."""

from __future__ import annotations

import io

from flows.build.progress import Progress, StageProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_words_tell_inputs_from_the_outputs_that_were_kept() -> None:
    stage = StageProgress(
        stage="grounding", units=4, units_done=2, inputs=40, inputs_done=12, fresh=12, kept=21
    )
    words = " ".join(stage.words(now=4.0).split())
    assert words == "12/40 inputs 21 outputs kept 3.0/s 9 s left"


def test_without_a_terminal_lines_are_whole_and_plain() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.note("a note [with brackets] of " + "many words " * 30)
    progress.begin("grounding", units=1, done=0, inputs=3, open_inputs=3)
    progress.end("grounding")
    note, line = stream.getvalue().splitlines()
    assert note.startswith("a note [with brackets] of many")
    assert line.split() == ["grounding", "3/3", "inputs", "done", "before"]
    assert "\x1b" not in stream.getvalue()


def test_a_terminal_gets_one_line_per_stage_and_its_cursor_back() -> None:
    stream = Terminal()
    progress = Progress(stream)
    for stage in ("ingest", "grounding"):
        progress.begin(stage, units=1, done=0, inputs=3, open_inputs=3)
        progress.end(stage)
    progress.close()
    shown = stream.getvalue()
    assert shown.count("3/3 inputs done before") == 2
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_quiet_one_says_nothing_and_counts_all_the_same() -> None:
    stream = io.StringIO()
    progress = Progress(stream, quiet=True)
    progress.note("a note")
    progress.begin("ingest", units=1, done=1, inputs=3, open_inputs=0)
    progress.end("ingest")
    assert stream.getvalue() == ""
    assert progress.stages["ingest"].inputs_done == 3
