"""A published file of SAM becomes one of safetensors, and what is none is named."""

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402

from intercog_model.convert_sam import main  # noqa: E402

WEIGHTS = {
    "image_encoder.a": torch.ones(2, 3).T,
    "mask_decoder.b": torch.zeros(1),
    "prompt_encoder.c": torch.ones(2),
}


def test_tensors_keep_their_names_and_values(tmp_path, capsys):
    torch.save(WEIGHTS, tmp_path / "sam.pth")
    assert main([str(tmp_path / "sam.pth"), "--out", str(tmp_path / "sam.safetensors")]) == 0
    assert capsys.readouterr().out == f"3 tensors written to {tmp_path / 'sam.safetensors'}\n"
    found = load_file(tmp_path / "sam.safetensors")
    assert found.keys() == WEIGHTS.keys()
    assert all(torch.equal(found[name], value) for name, value in WEIGHTS.items())


def test_what_is_no_file_of_sam_is_one_line(tmp_path, capsys):
    torch.save({"other.a": torch.ones(1)}, tmp_path / "other.pth")
    torch.save([1], tmp_path / "list.pth")
    torch.save(WEIGHTS, tmp_path / "good.pth")
    (tmp_path / "junk.pth").write_bytes(b"junk")
    (tmp_path / "there").touch()
    for name, out, told in (
        ("nowhere.pth", "new", f"error: {tmp_path / 'nowhere.pth'}: "),
        ("junk.pth", "new", f"error: {tmp_path / 'junk.pth'}: "),
        ("list.pth", "new", f"error: {tmp_path / 'list.pth'}: should be names and tensors"),
        ("other.pth", "new", f"error: {tmp_path / 'other.pth'}: no tensors image_encoder.*"),
        ("good.pth", "there", f"error: --out {tmp_path / 'there'}: should not be there yet"),
        ("good.pth", "no/new", f"error: --out {tmp_path / 'no/new'}: its folder is not there"),
    ):
        assert main([str(tmp_path / name), "--out", str(tmp_path / out)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(told)
        assert not (tmp_path / "new").exists()
