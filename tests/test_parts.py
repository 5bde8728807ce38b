"""A part is one class in one file: added there, it is configured, trained and drawn with."""

import shutil
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from dualscale.config.check import check
from dualscale.errors import ConfigurationError
from dualscale.parts import Part

CONFIG = {
    "run": {"variants": ["mine"], "datasets": ["mine"], "seeds": [0]},
    "datasets": {"mine": {"distribution": "line"}},
    "variants": {"mine": {"branches": {"global": {}}, "weighting": "none"}},
    "network": {"width": 8, "hidden_layers": 1, "embedding": 8},
    "training": {"steps": 20, "batch_size": 8},
}
ADDED = {
    "schedule": (
        "diffusion/schedules.py",
        "AnySchedule",
        '''class Exponential(Schedule):
    """Data whose variance decays at one rate."""

    kind: Literal["exponential"] = "exponential"
    rate: float = Field(5.0, gt=0, description="Decay over all timesteps.")

    def levels(self) -> NoiseLevels:
        time = np.arange(1, self.timesteps + 1) / self.timesteps
        return variance_preserving(np.exp(-self.rate * time))
''',
        {"schedule": {"kind": "exponential", "rate": 3.0}},
        "np.isclose(model.levels.alpha[-1] ** 2, np.exp(-3))",
    ),
    "sampler": (
        "diffusion/samplers.py",
        "AnySampler",
        '''class OneJump(Sampler):
    """Denoise once."""

    kind: Literal["one_jump"] = "one_jump"

    def run(self, denoise, levels, x, noise):
        return denoise(x, levels.t[0])
''',
        {"sampling": {"sampler": "one_jump"}},
        "asked == [99]",
    ),
    "optimiser": (
        "training/optimisers.py",
        "AnyOptimiser",
        '''class Descent(Optimiser):
    """Steepest descent."""

    kind: Literal["descent"] = "descent"

    def start(self, parameters):
        return {}

    def step(self, parameters, gradient, state, rate):
        parameters.sub_(rate * gradient)
''',
        {"training": {"optimiser": "descent"}},
        "not trainer.optimiser_state",
    ),
    "distribution": (
        "data/datasets.py",
        "AnyDistribution",
        '''class Dot(KnownDistribution):
    """One Gaussian."""

    kind: Literal["dot"] = "dot"
    width: float = Field(1.0, gt=0, description="Standard deviation.")

    def build(self) -> GaussianMixture:
        return GaussianMixture(np.zeros((1, 2)), np.ones(1), np.full(2, self.width))
''',
        {"datasets": {"mine": {"distribution": {"kind": "dot", "width": 0.1}}}},
        "0.05 < points.std().item() < 0.2",
    ),
}
PROGRAM = """if True:
    import sys
    from pathlib import Path

    import numpy as np
    import torch
    import yaml

    import dualscale
    from dualscale.config.check import check
    from dualscale.config.jobs import drawing_settings, model_settings
    from dualscale.data.sources import distribution_of
    from dualscale.data.moments import moments_of
    from dualscale.diffusion.denoiser import Denoiser
    from dualscale.model import SETTINGS, Model, load_model
    from dualscale.training.settings import Training
    from dualscale.training.trainer import Trainer

    assert Path(dualscale.__file__).is_relative_to(Path.cwd())
    asked, denoise = [], Denoiser.__call__
    Denoiser.__call__ = lambda self, x, t: asked.append(t) or denoise(self, x, t)

    filled = check(yaml.safe_load(sys.argv[1]))
    known = distribution_of(filled["datasets"]["mine"]).build()
    points = torch.from_numpy(known.sample(300, np.random.default_rng(0)).astype("f4"))
    chosen = model_settings(filled, "mine")
    training = Training.model_validate(chosen.pop("training"))
    chosen = SETTINGS.validate_python({**chosen, "sampling": drawing_settings(filled, "mine")})
    model = Model(chosen, moments_of(points))
    model.backbone.initialise(["0"])
    trainer = Trainer(model, points, training, ["0"])
    list(trainer.run())
    drawn = model.sampler(chosen.sampling, 50, ["0"]).draw()
    assert drawn.shape == (1, 50, 2)
    model.save(Path("0.model"), trainer.ema, 0)
    assert load_model(Path("0.model")).settings == chosen
    print(SIGN)
"""


@pytest.mark.parametrize("part", ADDED)
def test_a_part_is_added_in_one_file(part, tmp_path):
    file, union, code, change, sign = ADDED[part]
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    source = scripts / "dualscale" / file
    before, found, after = source.read_text().partition(f"\n{union} = ")
    assert found
    source.write_text(f"{before}\n{code}\n{found}{after}")

    config = CONFIG | change
    if part == "optimiser":
        config["training"] = CONFIG["training"] | change["training"]
    with pytest.raises(ConfigurationError, match=r"one of .* is allowed"):
        check(config)
    program = PROGRAM.replace("SIGN", sign)
    command = [sys.executable, "-c", program, yaml.safe_dump(config)]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


def below(part):
    for found in part.__subclasses__():
        yield found
        yield from below(found)


def test_every_part_has_a_docstring_and_every_setting_a_description():
    # Claims are parts of a file of the project's own, which no page describes key by key.
    parts = {
        found
        for found in below(Part)
        if found.__module__.startswith("dualscale.")
        and found.__module__ != "dualscale.metrics.claims"
    }
    assert "dualscale.training.optimisers" in {found.__module__ for found in parts}
    bare = [part.__name__ for part in parts if not (part.__doc__ or part.__name__[0] == "_")]
    bare += [
        f"{part.__name__}.{name}"
        for part in parts
        for name, field in part.model_fields.items()
        if name != "kind" and not field.description
    ]
    assert bare == []


def test_checking_a_configuration_loads_no_pytorch():
    code = """if True:
        import sys, yaml
        from dualscale.config.check import check
        check(yaml.safe_load(sys.stdin.read()))
        print("torch" in sys.modules)
    """
    command, given = [sys.executable, "-c", code], (ROOT / "config.yaml").read_text()
    done = subprocess.run(
        command, cwd=ROOT / "scripts", input=given, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
