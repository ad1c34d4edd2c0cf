"""Rows that each process reads are those that FSDP gives it; a file that does not fit is refused."""

import pytest

torch = pytest.importorskip("torch")

from intercog_model.backbone.bagel import Bagel  # noqa: E402
from intercog_model.checkpoint import MODEL_FILE, TABLES, CheckpointError  # noqa: E402
from intercog_model.config import debug_config  # noqa: E402
from intercog_model.saving import Weights, save_model  # noqa: E402
from intercog_model.training import sharded_loading  # noqa: E402
from intercog_model.training.build import random_debug_models  # noqa: E402


@pytest.mark.parametrize(("rows", "ranks"), [(8, 2), (7, 2), (5, 4), (3, 4), (1, 3)])
def test_rows_are_dealt_as_torch_chunks_them(rows, ranks):
    stored = torch.arange(rows * 2).reshape(rows, 2)
    chunks = list(stored.chunk(ranks)) + [stored[:0]] * ranks
    for rank in range(ranks):
        assert torch.equal(sharded_loading.own_rows(stored, rows, rank, ranks), chunks[rank])


def test_a_network_on_the_meta_device_gets_weights_and_tables(tmp_path):
    bagel = random_debug_models()[0]
    save_model(Weights.of(bagel.state_dict()), bagel.config, tmp_path)
    with torch.device("meta"):
        empty = Bagel(debug_config())
    sharded_loading.load_shards(empty, tmp_path / MODEL_FILE, "cpu")
    assert all(torch.equal(value, bagel.state_dict()[name]) for name, value in empty.state_dict().items())


def test_a_file_with_another_shape_or_table_is_refused(tmp_path):
    bagel = random_debug_models()[0]
    weights = bagel.state_dict()
    weights[TABLES[0]] = weights[TABLES[0]] + 1
    save_model(Weights.of(weights), bagel.config, tmp_path)
    with torch.device("meta"):
        empty = Bagel(debug_config())
    with pytest.raises(CheckpointError, match=TABLES[0]):
        sharded_loading.load_shards(empty, tmp_path / MODEL_FILE, "cpu")
