"""The target `pictures`: animations and fields."""

import numpy as np
from PIL import Image


def test_pictures_show_the_reverse_process_and_the_fields(project):
    project.run("pictures")
    results = project.path / "results"
    with Image.open(results / "animations/all.variants/circle/0.gif") as animation:
        assert animation.n_frames > 30
        first = np.asarray(animation.convert("L"), dtype=float)
        animation.seek(animation.n_frames - 1)
        assert np.abs(np.asarray(animation.convert("L"), dtype=float) - first).mean() > 0.1
    with Image.open(results / "fields/adaptive/line/0.png") as fields:
        assert np.asarray(fields.convert("L")).std() > 10
