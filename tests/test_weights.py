"""What the branch weights do: others in place of the learned ones, and the best in hindsight."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_backbone import VARIANTS

from dualscale.data.moments import moments_of
from dualscale.model import Model
from evaluate_weights import best_weights, branch_noise, choices
from tabulate_hindsight import compared

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
