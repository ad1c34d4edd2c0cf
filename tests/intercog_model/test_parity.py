"""The parity command passes the public folder and one of other sizes, and names whatever was changed."""

import copy
import itertools
import json
import shutil
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from intercog_model.parity import check_helpers, check_train_forward, count_names, norm_eps  # noqa: E402
from intercog_model.parity.__main__ import main  # noqa: E402
from intercog_model.parity.golden import Golden, read_config  # noqa: E402
from intercog_model.parity.report import Report  # noqa: E402
from intercog_model.parity.run import run_folder  # noqa: E402
from tests.intercog_model import golden_writer  # noqa: E402

FOLDER = Path(__file__).parents[1] / "golden" / "bagel"
OTHER_SIZES = golden_writer.change_sizes
pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without")


@pytest.fixture(scope="module")
def other_sizes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden") / "other"
    golden_writer.write(FOLDER, folder)
    return folder


@pytest.fixture(scope="module")
def deep_vit(tmp_path_factory):
    """A folder whose ViT ends in a large variance, and whose latents are not shifted."""

    def sizes(config, extra):
        OTHER_SIZES(config, extra)
        config["vit"] |= {"num_hidden_layers": 12, "hidden_size": 128, "num_attention_heads": 4}
        config["vae"]["shift_factor"] = 0.0

    folder = tmp_path_factory.mktemp("golden") / "deep"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(golden_writer, "change_sizes", sizes)
        golden_writer.write(FOLDER, folder)
    return folder


@pytest.fixture
def changed(tmp_path):
    """A copy of a folder (the public one) whose `cases.json` a function has edited."""

    def make(edit, source=FOLDER):
        folder = shutil.copytree(source, tmp_path / "changed")
        cases = json.loads((folder / "cases.json").read_text())
        edit(cases)
        (folder / "cases.json").write_text(json.dumps(cases))
        return folder

    return make


def _rows(folder):
    return {row.name: row for row in run_folder(folder).rows}


@pytest.mark.slow
def test_a_large_variance_leaves_the_vit_eps_undecided_and_a_zero_shift_is_no_miss(deep_vit, capsys):
    assert main([str(deep_vit)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("undecided cases.json: config.vit.layer_norm_eps") for line in lines)
    stated = [line for line in lines if line.startswith("undecided cases.json: config.")]
    assert len(stated) == 3
    assert "parity passed" in lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "key", "value"), [("vit", "layer_norm_eps", 1e-4), ("vae", "shift_factor", 0.001)]
)
def test_a_value_far_beyond_the_noise_is_named(part, key, value, changed, deep_vit):
    folder = changed(lambda cases: cases["config"][part].__setitem__(key, value), deep_vit)
    assert f"cases.json: config.{part}.{key}" in {row.name for row in run_folder(folder).misses}


def test_the_noise_of_an_eps_follows_the_variance_of_the_rows():
    torch.manual_seed(0)
    for variance in (0.01, 1.0, 100.0):
        decided = 0
        for _ in range(200):
            x = torch.randn(23, 48) * variance**0.5
            y = torch.nn.functional.layer_norm(x, (48,), eps=1e-6).double()
            centered = x.double() - x.double().mean(1, keepdim=True)
            implied = norm_eps.eps_of_rows(y, centered, centered.square().mean(1))
            assert abs(implied.value - 1e-6) <= implied.noise
            decided += implied.noise < 5e-7
        assert decided == (200 if variance < 2 else 0)


@pytest.mark.slow
def test_the_public_folder_passes_at_a_fifth_of_the_tolerances(capsys):
    assert main([str(FOLDER)]) == 0
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert last.startswith("parity passed")
    assert "400 of 400" in last
    assert max(row.ratio for row in run_folder(FOLDER).rows) < 0.2


@pytest.mark.slow
def test_a_folder_of_other_sizes_passes(other_sizes):
    assert run_folder(other_sizes).misses == []


def _bumped(value):
    flat = value.clone().flatten()
    place = int(flat.double().nan_to_num(posinf=0, neginf=0).abs().argmax())
    flat[place] = flat[place] + (2 if value.dtype == torch.uint8 and flat[place] < 250 else 1)
    if value.dtype == torch.uint8 and flat[place] >= 250:
        flat[place] = 3
    if value.is_floating_point():
        old = value.flatten()[place]
        flat[place] = old + (0.05 * old.abs() + 1e-3) * (1 if old >= 0 else -1)
    return flat.reshape(value.shape)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["public", "other"])
def test_every_changed_output_intermediate_gradient_and_packed_tensor_is_named(which, tmp_path, other_sizes):
    source = FOLDER if which == "public" else other_sizes
    folder = shutil.copytree(source, tmp_path / "changed")
    cases, expected = json.loads((folder / "cases.json").read_text()), set()
    for name, listed in cases["files"].items():
        tensors = load_file(folder / name)
        for key, case in listed.items():
            # an empty list has nothing to change; the drawn times are inputs in all but name
            if case["role"] != "input" and tensors[key].numel() and key != "packed.packed_timesteps":
                # a row of the resize table begins with the inputs of the rule, its last entry is a result
                table = torch.tensor([0] * 6 + [1]) if key == "resize.sizes" else None
                tensors[key] = _bumped(tensors[key]) if table is None else tensors[key] + table
                expected.add(f"{name}: {key}")
        save_file(tensors, folder / name)
    found = {row.name.split(" [")[0] for row in run_folder(folder).misses}
    # a changed time changes every velocity, so it can only be named when the velocities are as they were
    assert expected - found <= {"flow.safetensors: vel.timestep"}


@pytest.mark.slow
def test_a_changed_velocity_time_and_a_broken_noise_time_are_named(tmp_path):
    folder = shutil.copytree(FOLDER, tmp_path / "changed")
    for name, key in (("flow", "vel.timestep"), ("train_forward", "packed.packed_timesteps")):
        tensors = load_file(folder / f"{name}.safetensors")
        flat = tensors[key].flatten()
        flat[-1 if flat[-1] > 0 else 8] += 0.01
        tensors[key] = flat.reshape(tensors[key].shape)
        save_file(tensors, folder / f"{name}.safetensors")
    found = {row.name for row in run_folder(folder).misses}
    assert {"flow.safetensors: vel.timestep", "train_forward.safetensors: packed.packed_timesteps"} <= found


def _changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "2"
    if isinstance(value, list):
        return [*value[:-1], value[-1] + 1]
    return value * 2 if isinstance(value, int) else value * 1.5 if value < 100 else value / 2


UNDECIDED = {"llm.max_position_embeddings", "vae.resolution"}
CASES = json.loads((FOLDER / "cases.json").read_text())
VALUES = [
    (part, key) for part, values in CASES["config"].items() if isinstance(values, dict) for key in values
]


@pytest.mark.slow
@pytest.mark.parametrize(("part", "key"), [v for v in VALUES if ".".join(v) not in UNDECIDED])
def test_a_changed_configuration_value_is_named(part, key, tmp_path):
    folder, cases = shutil.copytree(FOLDER, tmp_path / "changed"), copy.deepcopy(CASES)
    value = cases["config"][part][key]
    cases["config"][part][key] = value - 5 if part == "special_token_ids" else _changed(value)
    (folder / "cases.json").write_text(json.dumps(cases))
    assert f"cases.json: config.{part}.{key}" in {row.name for row in run_folder(folder).misses}


def _as_floats(value):
    if isinstance(value, dict):
        return {key: _as_floats(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_floats(inner) for inner in value]
    return float(value) if type(value) is int else value


@pytest.mark.slow
def test_whole_numbers_written_as_64_point_0_are_accepted(changed):
    folder = changed(
        lambda cases: cases.update({part: _as_floats(cases[part]) for part in ("config", "extra")})
    )
    assert run_folder(folder).misses == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "key", "value"),
    [
        ("vit", "num_attention_heads", 0),
        ("vit", "num_attention_heads", 5),
        ("llm", "hidden_size", 65),
        ("llm", "rope_theta", "x"),
        ("vae", "scale_factor", 0),
        ("special_token_ids", "bos_token_id", 300),
        ("bagel", "interpolate_pos", 3),
    ],
)
def test_a_value_that_nothing_can_be_built_with_is_the_only_miss(part, key, value, changed):
    folder = changed(lambda cases: cases["config"][part].__setitem__(key, value))
    assert [row.name for row in run_folder(folder).misses] == [f"cases.json: config.{part}.{key}"]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["config", "weights", "tolerance", "extra", "files"])
def test_a_missing_part_is_named_and_the_last_line_sums_up(part, changed, capsys):
    assert main([str(changed(lambda cases: cases.pop(part)))]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("parity FAILED")
    assert any(line.startswith(f"missed: cases.json: {part}") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["cases.json", "vit.safetensors", "model_weights.safetensors"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_file_cut_short_or_missing_is_named_and_the_last_line_sums_up(name, cut, changed, capsys):
    folder = changed(lambda _: None)
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if cut:
        (folder / name).write_bytes(content[: len(content) // 2])
    assert main([str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].startswith("parity FAILED")
    assert any(line.startswith(f"missed: {name}: ") for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("item", "field", "value"),
    [
        (0, "type", "vit_image"),
        (1, "type", "vae_image"),
        (2, "type", "vit_image"),
        (2, "type", "video"),
        (4, "type", "text"),
        (0, "loss", 1),
        (0, "loss", 2),
        (1, "loss", 1),
        (2, "loss", 1),
        (4, "loss", 0),
        (3, "special_token_loss", 0),
        (3, "special_token_label", 299),
        (3, "special_token_label", None),
    ],
)
def test_a_changed_item_of_the_plan_is_named(item, field, value, changed):
    folder = changed(lambda cases: cases["extra"]["train_plan"][0][item].__setitem__(field, value))
    golden = Golden(folder)
    golden.config = read_config(golden.stored_config)
    check_train_forward._checked_plan(golden, golden.open(check_train_forward.FILE))
    assert [row.name for row in golden.report.misses] == [f"cases.json: extra.train_plan.0.{item}.{field}"]


@pytest.mark.slow
@pytest.mark.parametrize("item", range(5))
def test_a_loss_on_the_closing_token_of_any_item_is_named_where_none_is_stored(item, changed):
    label = {"special_token_loss": 1, "special_token_label": 297}
    folder = changed(lambda cases: cases["extra"]["train_plan"][0][item].update(label))
    found = {row.name for row in run_folder(folder).misses}
    assert found & {f"cases.json: extra.train_plan.0.{item}.{field}" for field in label}
    assert any(name.startswith("train_forward.safetensors: packed.") for name in found)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "key", "value"),
    [
        ("a", "cfg_renorm_type", "channel"),
        ("b", "cfg_renorm_type", "global"),
        ("c", "cfg_renorm_type", "local"),
        ("c", "cfg_renorm_min", 0.9),
        ("a", "num_timesteps", "x"),
    ],
)
def test_a_changed_setting_of_a_sampler_run_is_named(run, key, value, changed):
    folder = changed(lambda cases: cases["extra"]["generate_runs"][run].__setitem__(key, value))
    names = {row.name for row in run_folder(folder).misses}
    label = f"cases.json: extra.generate_runs.{run}"
    assert names & {label, f"{label}.{key}"}


def test_any_single_changed_entry_of_the_resize_table_is_noticed():
    table = load_file(FOLDER / "helpers.safetensors")["resize.sizes"].tolist()
    assert check_helpers.expected_sizes(table) == table
    for row, column, step in itertools.product(range(len(table)), range(7), (-1, 1, 50)):
        other = copy.deepcopy(table)
        other[row][column] += step
        assert check_helpers.expected_sizes(other) != other, (row, column, step)
    swapped = copy.deepcopy(table)
    swapped[10][0] = 518  # the rule of another block
    assert check_helpers.expected_sizes(swapped) != swapped


def test_resize_tables_of_other_forms_pass():
    table = load_file(FOLDER / "helpers.safetensors")["resize.sizes"].tolist()
    for rows in (table[:10], table[:7], table[::7], table[:20], table[:15], [table[0]], table[5:13]):
        assert check_helpers.expected_sizes(rows) == rows


def test_values_that_are_not_numbers_or_not_near_are_misses():
    report = Report()
    stored = torch.tensor([1.0, 2.0])
    report.compare("nan", torch.tensor([1.0, torch.nan]), stored, "output")
    report.compare("stored nan", stored, torch.tensor([1.0, torch.nan]), "output")
    report.compare("far", stored + 1e-3, stored, "output")
    report.compare("shape", stored[:1], stored, "output")
    report.compare("integer", torch.tensor([1, 2]), torch.tensor([1, 3]), "packed")
    report.compare(
        "picture", torch.tensor([9, 9], dtype=torch.uint8), torch.tensor([9, 8], dtype=torch.uint8), "output"
    )
    assert len(report.misses) == 6
    report.compare("near", stored + 1e-4, stored, "output")
    report.compare("infinite", torch.tensor([-torch.inf]), torch.tensor([-torch.inf]), "packed")
    assert len(report.misses) == 6


def test_full_size_counts_and_names_are_the_published_ones():
    assert count_names.count() == count_names.EXPECTED
    published = json.loads((FOLDER / "full_size_names.json").read_text())
    for part, ours in count_names.full_size_names().items():
        lines = {}
        for name, shape, count in published[part]["names"]:
            key = (count_names.without_numbers(name), tuple(shape))
            lines[key] = lines.get(key, 0) + count
        assert ours == lines


def test_sampler_settings_that_no_number_depends_on_are_undecided(changed, capsys):
    """Each may be changed within what is said, and no further."""

    def within(cases):
        runs = cases["extra"]["generate_runs"]
        runs["a"] |= {"cfg_renorm_min": 0.05, "cfg_interval": [0.5, 1.0]}
        runs["b"] |= {"cfg_renorm_type": "text_channel", "cfg_img_scale": 0.5}
        runs["c"] |= {"cfg_renorm_min": 0.31}
        runs["b"]["effective_img_scale_per_step"] = [1.0] * 4

    assert main([str(changed(within))]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = {line.split(": ")[1]: line.split(": ")[2] for line in lines if "undecided cases.json" in line}
    runs = "extra.generate_runs"
    assert said[f"{runs}.a.cfg_interval[0]"] == "the same numbers from 0 to just below 0.6"
    assert said[f"{runs}.b.cfg_renorm_type"] == "the same numbers by channel and text_channel"
    assert said[f"{runs}.b.cfg_img_scale"] == "any value up to 1 leaves the image term out"
    for run in "abc":
        low, high = map(float, said[f"{runs}.{run}.cfg_renorm_min"].split()[4::2])
        assert low == 0
        assert 0.31 < high < 1
    assert f"{runs}.a.cfg_renorm_type" not in said
    assert f"{runs}.c.cfg_renorm_type" not in said


def test_a_sampler_setting_beyond_what_is_undecided_is_a_miss(changed, capsys):
    def beyond(cases):
        cases["extra"]["generate_runs"]["a"]["cfg_renorm_min"] = 0.95

    assert main([str(changed(beyond))]) == 1
    out = capsys.readouterr().out
    assert "missed: cases.json: extra.generate_runs.a.cfg_renorm_min" in out
    assert "undecided cases.json: extra.generate_runs.a" not in out
    assert "undecided cases.json: extra.generate_runs.b" in out
