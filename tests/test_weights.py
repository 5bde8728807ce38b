"""What the branch weights do: others in place of the learned ones, and the best in hindsight."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_backbone import VARIANTS

from dualscale.data.moments import moments_of
from dualscale.metrics.scales import SCALES, by_scale
from dualscale.model import Model
from dualscale.networks.settings import Branch
from evaluate_weights import best_weights, branch_noise, choices
from tabulate_hindsight import compared
from tabulate_upscales import correlation, singular_values

DATA = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    made = Model(VARIANTS["learned"], moments_of(DATA))
    made.backbone.initialise(["0"])
    return made


@torch.no_grad()
def test_the_branches_noise_with_the_learned_weights_is_the_models(model):
    weights = model.backbone.branch_weights()[0]
    for t in (0, 7):
        alone = branch_noise(model, DATA, t)
        weighted = torch.einsum("k,knd->nd", weights[t], alone)
        exact = model.denoiser.noise(DATA[None], t)[0]
        torch.testing.assert_close(weighted, exact, atol=1e-3, rtol=0)  # divided by sigma


def test_the_best_weights_have_sum_1_and_no_weights_do_better():
    predicted = torch.randn(3, 200, 2, generator=torch.Generator().manual_seed(1))
    noise = torch.tensor([0.2, 0.5, 0.3])[:, None, None].mul(predicted).sum(0)
    torch.testing.assert_close(best_weights(predicted, noise), torch.tensor([0.2, 0.5, 0.3]))
    noise = noise + torch.randn(200, 2, generator=torch.Generator().manual_seed(2))
    best = best_weights(predicted, noise)
    assert best.sum() == pytest.approx(1)

    def error(weights):
        return float((torch.einsum("k,knd->nd", weights, predicted) - noise).square().sum())

    for change in ([0.01, -0.01, 0], [0, 0.01, -0.01], [-0.01, 0, 0.01]):
        assert error(best) < error(best + torch.tensor(change))


@torch.no_grad()
def test_frozen_weights_are_constant_and_shuffled_ones_a_permutation(model):
    timesteps = model.levels.timesteps
    predicted = torch.stack([branch_noise(model, DATA[:20], t) for t in range(timesteps)])
    found = choices(model, predicted, torch.zeros(timesteps, 20, 2), "0/mine")
    learned, mean, shuffled = (found[name] for name in ("learned", "mean", "shuffled"))
    assert (mean == mean[0]).all()
    torch.testing.assert_close(mean[0], learned.mean(dim=0))
    assert not torch.equal(shuffled, learned)
    torch.testing.assert_close(shuffled.sort(dim=0).values, learned.sort(dim=0).values)
    assert {"only global", "only local"} <= set(found)


def test_other_weights_are_compared_seed_by_seed():
    runs = [
        {"variant": "adaptive", "dataset": "dino", "seed": seed, "weights": choice, "kl_bits": bits}
        for seed, kl in enumerate([1.0, 3.0])
        for choice, bits in zip(
            ("learned", "best", "mean", "shuffled"), kl + np.array([0, -0.5, 0.25, 1]), strict=True
        )
    ]
    table = compared(pd.DataFrame(runs)).set_index("weights")
    assert table["mean_bits"].to_dict() == {
        "learned": 2.0,
        "best": -0.5,
        "mean": 0.25,
        "shuffled": 1.0,
    }
    assert table.loc["best", "low_bits"] == pytest.approx(-0.5)


def test_the_target_makes_figure_and_table(project):
    project.configure(run={"variants": ["baseline", "adaptive"]}, study={"points": 20})
    project.run("weights")
    folder = project.path / "results/weights"
    assert pd.read_csv(folder / "hindsight.csv")["weights"].nunique() == 4
    assert (folder / "figure7.png").stat().st_size > 5000
    assert (folder / "figure9.png").stat().st_size > 5000
    run = "adaptive/line/0.csv"
    scales = pd.read_csv(project.path / "results/weight_scales" / run)
    errors = pd.read_csv(project.path / "results/weight_errors" / run)
    both = scales.merge(errors, on=["weights", "timestep"])
    assert set(both["weights"]) == {"learned", "only global", "only local"}
    np.testing.assert_allclose(both[list(SCALES)].sum(axis=1), both["squared_error"], rtol=1e-3)


def test_parts_of_an_error_belong_to_the_scales_on_which_it_varies():
    rng = np.random.default_rng(0)
    x = rng.uniform(-8, 8, (40_000, 2))
    cells = {size: np.floor(x / size).sum(axis=1) % 2 * 2 - 1 for size in (4, 1, 0.25)}
    patterns = [0.5 * np.ones(len(x)), *cells.values(), rng.choice([-1, 1], len(x))]
    parts = by_scale(x, np.stack([np.stack([each] * 2, axis=-1) for each in patterns]))
    expected = [[0.25, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_allclose(parts, expected, atol=0.02)


def test_singular_values_are_those_of_each_branchs_up_projection(tmp_path, model):
    path = tmp_path / "models/mine/dino/3.safetensors"
    path.parent.mkdir(parents=True)
    model.save(path, model.backbone.flat, 0)
    (row,) = singular_values(path)
    weight = model.backbone.views["upscale.local.weight"].detach()
    largest, smallest = torch.linalg.svdvals(weight.squeeze()).tolist()
    assert row == {
        "variant": "mine",
        "dataset": "dino",
        "seed": 3,
        "branch": "local",
        "largest": pytest.approx(largest),
        "smallest": pytest.approx(smallest),
    }


def test_a_kl_that_falls_with_the_smallest_singular_value_correlates():
    smallest = np.array([0.1, 0.2, 0.4, 0.5, 0.8])
    runs = pd.DataFrame({"smallest": smallest, "kl_bits": 1 / smallest})
    assert correlation(runs)[0] == pytest.approx(-1)
    assert np.isnan(correlation(runs.head(3))).all()


def test_orthogonal_up_projections_have_equal_singular_values_and_leave_all_else_as_it_was():
    drawn, values = {}, {}
    for kind in ("uniform", "orthogonal"):
        local = Branch(upscaled_dimensions=4, upscale_initialisation=kind)
        branches = {"global": Branch(), "local": local}
        settings = VARIANTS["learned"].model_copy(update={"branches": branches})
        made = Model(settings, moments_of(DATA), 200)
        made.backbone.initialise([str(seed) for seed in range(200)])
        drawn[kind] = {name: view.detach() for name, view in made.backbone.views.items()}
        values[kind] = torch.linalg.svdvals(drawn[kind].pop("upscale.local.weight"))
    spread = values["orthogonal"].std(dim=1)
    torch.testing.assert_close(spread, torch.zeros(200), atol=1e-5, rtol=0)
    size = values["uniform"].square().mean().sqrt()
    assert values["orthogonal"].mean() == pytest.approx(float(size), rel=0.05)
    for name, view in drawn["uniform"].items():
        assert torch.equal(view, drawn["orthogonal"][name])


def test_the_target_shows_the_up_projections(project):
    project.configure(run={"variants": ["baseline", "adaptive"]})
    project.run("upscales")
    folder = project.path / "results/weights"
    assert set(pd.read_csv(folder / "upscales.csv")["variant"]) == {"adaptive"}
    assert (folder / "figure8.png").stat().st_size > 5000
