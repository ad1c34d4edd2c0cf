"""What several tests of the edit command need; torch is imported where a test asks for it."""

import pytest


@pytest.fixture(scope="module")
def pipeline():
    from intercog_model.inference.pipeline import debug_pipeline  # noqa: PLC0415
    from tests.intercog_model import toys  # noqa: PLC0415

    model, vae = toys.models()
    return debug_pipeline(model.bagel, vae)


@pytest.fixture
def picture(tmp_path):
    from tests.intercog_model import toys  # noqa: PLC0415

    path = tmp_path / "in" / "scene.png"
    path.parent.mkdir()
    toys.example(size=(70, 50)).source.save(path)
    return path
