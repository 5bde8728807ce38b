"""Distillation: consistency models, which learn where a teacher's ODE ends."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from test_reverse_process import exact_denoiser
from test_training import make_model, paper, run

import dualscale
import train
from dualscale.config.variants import AnyVariant
from dualscale.diffusion.samplers import Consistency
from dualscale.diffusion.schedules import Geometric
from dualscale.diffusion.spacings import Listed
from dualscale.model import SETTINGS
from dualscale.training.distillation import Ends, end_of_ode, steps_below, teach
from dualscale.training.examples import examples, training_coefficients
from dualscale.training.loss import distillation_loss, weighted_loss
from dualscale.training.targets import Distilled
from dualscale.training.trainer import Trainer

VARIANT = TypeAdapter(AnyVariant)
LEVELS = Geometric(timesteps=100, sigma_min=0.002, sigma_max=10.0).levels()
LISTED = Listed(sigmas=[2.0, 0.3, 0.05])
TIMESTEPS = LISTED.visited(LEVELS, None).t
TARGET = Distilled(teacher="theirs", points=300, steps=100)
DATA = torch.from_numpy(np.random.default_rng(0).normal(0.3, 0.5, (500, 2))).float()
STUDENT = {
    "branches": {"global": {}},
    "weighting": {"kind": "none"},
    "network": {"width": 16, "hidden_layers": 1, "embedding": 8},
    "schedule": {"kind": "geometric", "sigma_min": 0.002, "sigma_max": 10.0},
    "prediction": "edm",
    "training": {"target": TARGET.model_dump()},
    "sampling": {
        "prior": "moment_matched",
        "sampler": "consistency",
        "spacing": LISTED.model_dump(),
    },
}


def teacher_of_a_normal_distribution(mean=0.3, std=0.5):
    return SimpleNamespace(levels=LEVELS, denoiser=exact_denoiser(mean, std, LEVELS))


def some_ends(models=2, points=50):
    ends, noise = torch.randn(2, models, len(TIMESTEPS), points, 2)
    return Ends(torch.tensor(TIMESTEPS), ends, noise)


def student(streams=("0",)):
    return make_model(VARIANT.validate_python(STUDENT), DATA, streams)


def test_every_evaluation_starts_from_the_last_end_with_new_noise():
    visited, seen = LISTED.visited(LEVELS, None), []

    def denoise(x, t):
        seen.append((x, t))
        return x.sign()

    x, *noise = torch.randn(3, 1, 5, 2)
    end = Consistency().run(denoise, visited, x, iter(noise))
    assert [t for _, t in seen] == TIMESTEPS
    for i in (1, 2):
        expected = seen[i - 1][0].sign() + visited.ratio[i] * noise[i - 1]
        torch.testing.assert_close(seen[i][0], expected)
    assert torch.equal(end, seen[-1][0].sign())


@pytest.mark.parametrize("t", [99, 60, 30, 5])
def test_the_ode_leads_a_normal_distributions_points_to_their_quantiles(t):
    sigma = LEVELS.sigma[t]
    x = 0.3 + (0.25 + sigma**2) ** 0.5 * torch.linspace(-2, 2, 7)[:, None].expand(7, 2).float()
    end = end_of_ode(teacher_of_a_normal_distribution(), x, t, steps=100)
    expected = 0.3 + 0.5 * torch.linspace(-2, 2, 7)[:, None].expand(7, 2)
    torch.testing.assert_close(end, expected, rtol=0, atol=0.01)


def test_lower_levels_take_the_share_of_steps_that_lies_below():
    assert steps_below(LEVELS, 99, 50) == 50
    assert steps_below(LEVELS, 49, 50) == 25
    assert steps_below(LEVELS, 0, 50) == 1
    assert steps_below(LEVELS, 1, 50) == 2


def test_an_end_with_its_noise_is_the_perturbed_training_point():
    teachers = [teacher_of_a_normal_distribution(), teacher_of_a_normal_distribution(std=0.1)]
    ends = teach(teachers, DATA, TIMESTEPS, TARGET, ["a", "a"])
    assert ends.points.shape == ends.noise.shape == (2, 3, 300, 2)
    for i, t in enumerate(TIMESTEPS):
        x = ends.points[:, i] + LEVELS.sigma[t] * ends.noise[:, i]
        torch.testing.assert_close(x[0].double(), x[1].double(), rtol=1e-4, atol=1e-5)
        spread = (0.25 + LEVELS.sigma[t] ** 2) ** 0.5
        assert x.std().item() == pytest.approx(spread, rel=0.1)
    assert not torch.equal(ends.points[0], ends.points[1])


def test_teachers_of_other_seeds_are_asked_about_other_points():
    teachers = [teacher_of_a_normal_distribution()] * 2
    ends = teach(teachers, DATA, TIMESTEPS, TARGET, ["a", "b"])
    assert not torch.equal(ends.points[0], ends.points[1])
    again = teach(teachers, DATA, TIMESTEPS, TARGET, ["a", "b"])
    assert torch.equal(ends.points, again.points)


def test_training_sees_the_ends_of_each_model_at_the_levels_alone():
    ends, settings = some_ends(), paper(target=TARGET)
    trainer = Trainer(student(("a", "b")), DATA, settings, ["a", "b"], ends)
    places, rows = trainer._draw(0)[1::-1]
    trainer._load(0, trainer._draw(0))
    assert set(trainer.times.unique().tolist()) == set(TIMESTEPS)
    for step, model, i in np.ndindex(3, 2, 5):
        place, row = places[step, model, i], rows[step, model, i]
        t = TIMESTEPS[place]
        x = ends.points[model, place, row] + LEVELS.sigma[t] * ends.noise[model, place, row]
        seen = trainer.seen[step, model, i]
        torch.testing.assert_close(seen.double(), trainer.table[t, 0].double() * x.double())


def test_the_loss_is_that_of_all_ends():
    ends, settings = some_ends(), paper(target=TARGET)
    model = student(("a", "b"))
    table = training_coefficients(model, settings.loss, DATA.device)
    t = ends.timesteps[:, None].expand(2, -1, 50).flatten(1)
    made = examples(ends.points.flatten(1, 2), t, ends.noise.flatten(1, 2), table)
    expected = weighted_loss(model.backbone, made[0], t, *made[1:])
    torch.testing.assert_close(distillation_loss(model, settings, ends), expected)


def test_one_evaluation_of_a_trained_student_is_the_end_of_the_ode():
    """Of a normal distribution, where that is linear in x_t."""
    settings = paper(target=TARGET, steps=1500, batch_size=128, learning_rate=5e-3)
    teacher, model = teacher_of_a_normal_distribution(), student()
    ends = teach([teacher], DATA, TIMESTEPS, TARGET, ["0"])
    trainer = Trainer(model, DATA, settings, ["0"], ends)
    run(trainer)
    model.backbone.flat.copy_(trainer.ema)
    for place, t in enumerate(TIMESTEPS):
        x = ends.points[:, place] + LEVELS.sigma[t] * ends.noise[:, place]
        error = model.denoiser(x.float(), t) - ends.points[:, place]
        assert error.square().mean().sqrt() < 0.05


def test_a_student_is_sampled_at_its_levels_alone():
    model = student()
    assert dualscale.sample(model, 20).shape == (20, 2)
    fewer = dualscale.sample(model, 20, evaluations=2)
    assert not np.array_equal(fewer, dualscale.sample(model, 20))
    assert np.array_equal(fewer, dualscale.sample(model, 20, steps=2))
    with pytest.raises(ValueError, match="sampler is 'ddim': the model is distilled"):
        dualscale.sample(model, 20, sampler="ddim")
    with pytest.raises(ValueError, match=r"distilled at sigma 1.95, 0.294, 0.0482: others"):
        dualscale.sample(model, 20, spacing="geometric", steps=5)
    with pytest.raises(ValueError, match="steps is 4: at most the timesteps within spacing, 3"):
        dualscale.sample(model, 20, evaluations=4)


def test_a_model_that_is_not_distilled_is_not_sampled_as_if_it_were():
    settings = {"training": {}, "sampling": {}}
    model = make_model(VARIANT.validate_python(STUDENT | settings), DATA)
    with pytest.raises(ValueError, match="sampler is 'consistency': the model is not distilled"):
        dualscale.sample(model, 20, sampler="consistency")


def test_a_distilled_variant_is_trained_after_its_teacher_and_again_when_that_changes(project):
    distilled = {
        "like": "baseline",
        "training": {"target": {"kind": "distilled", "teacher": "baseline", "points": 50}},
        "sampling": {"sampler": "consistency", "spacing": {"kind": "listed", "sigmas": [1.0, 0.2]}},
    }
    project.configure(
        run={"variants": ["quick"], "datasets": ["line"], "seeds": [0, 1], "seeds_per_job": 2},
        variants={"quick": distilled},
        steps={"variants": ["quick"], "counts": [1, 2, 3]},
    )
    project.run("results/metrics.csv", "results/steps/steps.csv")
    results = project.path / "results"
    record = json.loads((results / "training/quick/line/1.json").read_text())
    assert record["models_trained_together"] == 2
    steps = (results / "steps/quick/line/0.csv").read_text().splitlines()
    assert [line.split(",")[3:6] for line in steps[1:]] == [
        ["consistency", "1", "1"],
        ["consistency", "2", "2"],
    ]
    assert not project.waiting("results/metrics.csv")
    project.configure(variants={"baseline": {"training": {"learning_rate": 2e-4}}})
    waiting = project.waiting("results/metrics.csv")
    assert "Train baseline on line, seed 0" in waiting
    assert "Train quick on line, seeds 0, 1" in waiting
    project.configure(variants={"quick": {"sampling": {"steps": 1}}})
    assert "Train quick on line, seeds 0, 1" in project.waiting("results/metrics.csv")


def test_every_model_of_a_stack_starts_from_its_own_teacher(tmp_path):
    settings = SETTINGS.validate_python({k: STUDENT[k] for k in STUDENT if k != "training"})
    teachers = [make_model(settings, DATA, (name,)) for name in "ab"]
    stack = student(("c", "d"))
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path, teacher in zip(paths, teachers, strict=True):
        teacher.save(path, teacher.backbone.flat, 0)
    visited = {"spacing": LISTED.model_dump(), "steps": None}
    train.learn_from(paths, stack, DATA, TARGET, visited, ["a", "b"])
    x = torch.randn(1, 20, 2)
    together = stack.denoiser(x.expand(2, -1, -1), 40)
    for own, teacher in zip(together, teachers, strict=True):
        torch.testing.assert_close(own, teacher.denoiser(x, 40)[0])
