"""Real photographs through the backends of the paper's models, with tiny random weights and a scripted server."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import webdataset
import yaml

pytest.importorskip("torch")

from flows.build.plans import open_build
from flows.build.progress import Progress
from flows.build.request import BuildRequest, resolve
from flows.build.session import open_session
from tasks.storage.objects.store import open_store
from tasks.storage.protocol.answer_files import answer_name
from tests.flows.tiny_models import tiny_profile, write_checkpoints
from tests.photographs import lay_out_photographs
from tests.serving.chat_server import ChatServer
from tests.serving.scripts import Answer, Asked

pytestmark = [pytest.mark.slow, pytest.mark.assets]

PHOTOGRAPHS = 4


def agreeable(asked: Asked) -> Answer:
    """Says yes to everything, in the form that is asked for."""
    properties = asked.schema.get("properties") or {}
    if asked.role == "instructor":
        reply: dict[str, object] = {}
        for name, form in properties.items():
            reply[name] = form["enum"][0] if "enum" in form else "Change the thing on the left to blue."
        reply |= dict.fromkeys({"Refusal", "Editing_Argument"} & properties.keys(), "")
        reply["CoT"] = {
            part: f"Part {number} speaks of the thing on the left."
            for number, part in enumerate(properties["CoT"]["properties"], start=1)
        }
        return Answer(text=json.dumps(reply))
    if asked.role == "referrer":
        return Answer(text='{"matches": [1]}')
    if asked.role == "edit_judge":
        return Answer(text=json.dumps(dict.fromkeys(properties, 4.5)))
    if asked.role == "rewriter":
        return Answer(text="Please turn the thing on the left blue.")
    return Answer(text="1", probabilities={"1": 0.9, "0": 0.1})


def test_every_role_of_the_paper_answers_and_every_input_is_accounted_for(tmp_path: Path) -> None:
    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for path in sorted(lay_out_photographs("demo", tmp_path / "all"))[:PHOTOGRAPHS]:
        shutil.copy(path, photographs)
    model = {"max_pixels": 250_000, "context_length": 4096}
    with ChatServer(agreeable, model="tiny") as server:
        servers = {name: {"model": {"id": "tiny", **model}, "urls": [server.url]} for name in ("vlm", "text")}
        tree = tiny_profile(write_checkpoints(tmp_path / "weights"), servers, pool="in-process")
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(tree), encoding="utf-8")
        request = BuildRequest(profile=str(path), source=(str(photographs),), out=str(tmp_path / "out"))
        build = open_build(resolve(request)[0])
        with open_session(build, progress=Progress(quiet=True)) as session:
            session.run_plainly()
            release = session.finish()
    kept = Counter(
        name.role
        for item in open_store(str(tmp_path / "out")).list("answers")
        if (name := answer_name(item.path)) is not None
    )
    assert kept.keys() == {
        "tagger", "detector", "segmenter", "target_judge", "instructor", "rewriter", "referrer", "text_judge",
        "editor", "inpainter", "edit_judge",
    }, kept  # fmt: skip
    shards = sorted(map(str, (tmp_path / "out" / release.folder).glob("*.tar")))
    samples = list(webdataset.WebDataset(shards, shardshuffle=False))
    assert samples
    facts = [json.loads(sample["json"]) for sample in samples]
    assert {one["edit_type"] for one in facts} > {"Remove"}, "both LaMa and BAGEL made some"
    models = {m["role"]: m["backend"] for one in facts for m in one["provenance"]["models"]}
    assert models | {"tagger": "ram-plus", "detector": "grounding-dino", "segmenter": "sam", "editor": "bagel",
                     "inpainter": "lama", "instructor": "chat"} == models  # fmt: skip
