"""A part is one class in one file: added there, it is configured, run and tabulated."""

import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import yaml
from conftest import ROOT

from dualscale.config.check import check
from dualscale.errors import ConfigurationError
from dualscale.metrics.claims import read_claims
from dualscale.parts import Part

CONFIG = {
    "run": {"variants": ["mine"], "datasets": ["mine"], "seeds": [0]},
    "datasets": {"mine": {"distribution": "line"}},
    "variants": {"mine": {"branches": {"global": {}}, "weighting": "none"}},
    "network": {"width": 8, "hidden_layers": 1, "embedding": 8},
    "training": {"steps": 20, "batch_size": 8},
}


def code_in(page, start):
    """Return the Python block of a page that starts with these words."""
    return re.search(rf"```python\n({start}.*?)```", (ROOT / page).read_text(), re.DOTALL)[1]


ADDED = {
    "schedule": (
        "diffusion/schedules.py",
        "AnySchedule =",
        code_in("docs/guides/variants.md", "class Exponential"),
        {"schedule": {"kind": "exponential", "rate": 3.0}},
        "np.isclose(model.levels.alpha[-1] ** 2, np.exp(-3))",
    ),
    "sampler": (
        "diffusion/samplers.py",
        "AnySampler =",
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
        "AnyOptimiser =",
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
        "def outline_points(shape:",
        '''from pydantic import Field


class Dot(KnownDistribution):
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


def add(tmp_path, file, anchor, code):
    """Copy the scripts with a class more, before a line of a file; return their folder."""
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    source = scripts / "dualscale" / file
    before, found, after = source.read_text().partition(f"\n{anchor} ")
    assert found
    source.write_text(f"{before}\n{code}\n{found}{after}")
    return scripts


def output(scripts, program, *arguments):
    """What a program prints that imports from a folder of scripts."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=scripts, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("part", ADDED)
def test_a_part_is_added_in_one_file(part, tmp_path):
    file, anchor, code, change, sign = ADDED[part]
    scripts = add(tmp_path, file, anchor, code)
    config = CONFIG | change
    if part == "optimiser":
        config["training"] = CONFIG["training"] | change["training"]
    with pytest.raises(ConfigurationError, match=r"one of .* is allowed"):
        check(config)
    assert output(scripts, PROGRAM.replace("SIGN", sign), yaml.safe_dump(config)) == "True\n"


METRIC = '''class Shift(Metric):
    """Distance between the means, to a power."""

    kind: Literal["shift"] = "shift"
    power: float = Field(1.0, gt=0, description="Power of the distance.")

    def columns(self):
        return [Column("shift", "shift of the mean", digits=1)]

    def measure(self, samples):
        real, generated = samples.equal
        return [np.linalg.norm(real.mean(axis=0) - generated.mean(axis=0)) ** self.power]
'''
METRIC_PROGRAM = """if True:
    import sys
    from pathlib import Path

    import numpy as np
    import yaml

    from collect_records import main as collect
    from dualscale.config.check import check
    from dualscale.metrics.distances import METRICS
    from dualscale.metrics.table import study_columns
    from evaluate_distances import main as evaluate
    from find_neighbours import main as find
    from tabulate_measures import main as tabulate

    folder = Path(sys.argv[2])
    study = check(yaml.safe_load(sys.argv[1]))["study"]
    real = np.random.default_rng(0).normal(size=(100, 2))
    np.save(folder / "real.npy", real)
    np.save(folder / "generated.npy", real + [0.0, 3.0])
    find(folder / "real.npy", folder / "5.npz", settings={"real_points": None}, k="5", threads=1)
    record = folder / "distances/mine/mine/0.json"
    record.parent.mkdir(parents=True)
    settings = {"metrics": study["metrics"]}
    names = {"settings": settings, "dataset": "mine", "digest": "", "threads": 1}
    evaluate(folder / "real.npy", folder / "5.npz", folder / "generated.npy", record, **names)
    metrics = METRICS.validate_python(study["metrics"])
    collect([record], [folder / "metrics.csv"], columns=study_columns(metrics, 1, False))
    tables = [folder / "measures.csv", folder / "measures.md"]
    tabulate(folder / "metrics.csv", tables, settings={**settings, "labels": {"mine": "Mine"}})
"""


def test_a_metric_is_added_in_one_file_and_comes_into_every_table(tmp_path):
    scripts = add(tmp_path, "metrics/distances.py", "AnyMetric =", METRIC)
    config = CONFIG | {"study": {"metrics": ["coverage", {"kind": "shift", "power": 2.0}]}}
    with pytest.raises(ConfigurationError, match=r"study.metrics.1.kind is 'shift': one of kl, .*"):
        check(config)
    output(scripts, METRIC_PROGRAM, yaml.safe_dump(config), tmp_path)
    head, row = (tmp_path / "metrics.csv").read_text().splitlines()
    assert head == "variant,dataset,seed,coverage,shift"
    assert float(row.split(",")[-1]) == pytest.approx(9)
    head, row = (tmp_path / "measures.csv").read_text().splitlines()
    assert head == "dataset,variant,seeds,coverage,shift"
    head, _, row, *_ = (tmp_path / "measures.md").read_text().splitlines()
    assert [cell.strip() for cell in head.split("|")[-3:-1]] == ["coverage", "shift of the mean"]
    assert row.split("|")[-2].strip() == "9.0"


def test_a_new_kind_of_metric_is_among_those_that_a_study_measures_by_default(tmp_path):
    scripts = add(tmp_path, "metrics/distances.py", "AnyMetric =", METRIC)
    program = "from dualscale.config.tree import Study; print(Study().metrics[-1].kind)"
    assert output(scripts, program) == "shift\n"


QUANTITY = '''class Lowest(Quantity):
    """KL less a number of bits."""

    kind: Literal["lowest"] = "lowest"
    variant: str
    dataset: str
    bits: float

    def values(self, runs):
        kl = runs.column("kl_bits", self.variant, self.dataset)
        return {self.dataset: (kl - self.bits).tolist()}
'''
CLAIM = """
- id: low
  statement: The KL of the variant is low.
  section: "1"
  rule: every
  questions:
    - quantity: {kind: lowest, variant: mine, dataset: dino, bits: 2.0}
      below: 0
"""


def test_a_quantity_of_claims_is_added_in_one_file_and_judged(tmp_path):
    scripts = add(tmp_path, "metrics/quantities.py", "AnyQuantity =", QUANTITY)
    (tmp_path / "claims.yaml").write_text(CLAIM)
    kls = [f"mine,dino,{seed},{1 + seed / 10}" for seed in range(4)]
    (tmp_path / "metrics.csv").write_text("\n".join(["variant,dataset,seed,kl_bits", *kls]))
    with pytest.raises(ValueError, match=r"kind is 'lowest': one of relative, .* is allowed"):
        read_claims(tmp_path / "claims.yaml")
    program = """if True:
        import sys
        from pathlib import Path
        from judge_claims import main
        folder = Path(sys.argv[1])
        main(folder / "claims.yaml", folder / "metrics.csv", [], [folder / "judged.csv"])
    """
    output(scripts, program, tmp_path)
    judged = pd.read_csv(tmp_path / "judged.csv").iloc[0]
    assert judged["mean"] == pytest.approx(1.15 - 2)
    assert judged["verdict"] == "holds"


FORMAT = '''class Blanks(Format):
    """Numbers separated by blanks, without names."""

    kind: Literal["txt"] = "txt"

    def read(self, path, columns):
        import pandas as pd

        values = pd.DataFrame(np.loadtxt(path, ndmin=2)).rename(columns=str)
        chosen = choose(list(values), columns)
        return Table(values.iloc[:, chosen], ["number"] * len(chosen))

    def write(self, path, points):
        np.savetxt(path, points)
'''


def test_a_format_of_files_is_added_in_one_file_and_read_and_written(tmp_path):
    scripts = add(tmp_path, "data/typed.py", "def _cells(name:", FORMAT)
    config = CONFIG | {"datasets": {"mine": {"file": "points.txt", "columns": [2, 0]}}}
    with pytest.raises(ConfigurationError, match=r"\.tsv, \.npy or \.parquet is allowed"):
        check(config)
    program = """if True:
        import sys
        from pathlib import Path

        import numpy as np
        import yaml

        from dualscale.config.check import check
        from dualscale.config.jobs import import_settings
        from dualscale.data.files import format_of
        from draw import parse
        from import_dataset import main

        folder, points = Path(sys.argv[2]), np.random.default_rng(0).normal(size=(200, 3))
        source = parse(["model", str(folder / "points.txt")]).output
        format_of(source).write(source, points)
        filled = check(yaml.safe_load(sys.argv[1]), [folder])
        parts = [folder / "training.npy", folder / "held_out.npy"]
        settings = import_settings(filled, "mine")
        main(source, *parts, folder / "encoding.json", settings=settings, k=5)
        read = np.concatenate([np.load(path) for path in parts])
        print(np.allclose(np.sort(read, axis=0), np.sort(points[:, [2, 0]], axis=0), atol=1e-6))
    """
    assert output(scripts, program, yaml.safe_dump(config), tmp_path) == "True\n"


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
        and found.__module__ not in ("dualscale.metrics.claims", "dualscale.metrics.quantities")
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
