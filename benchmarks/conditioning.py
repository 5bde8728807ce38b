"""Compare draws given a word or a number with the exact conditional of a labelled mixture.

    python benchmarks/conditioning.py [--seeds 0 1 2] [--steps 2500]

The table has a word and two numbers: one Gaussian in the plane for each of three words, 20,000
rows. It is trained on by two models of the recommended recipe, of a smaller width and with fewer
steps: `conditional` with every column given at times, `plain` without. Writes
docs/beyond/conditioning/kl.csv: one row per (drawn, given, value, seed) with the KL in bits of the
columns that are not given, of 2,000 draws from the exact conditional. `drawn` is conditional; or
unconditional, whose draws ignore what is given; or plain; or real, fresh points from the exact
conditional: the floor.
"""

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import multivariate_normal

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from dualscale.conditional import condition_of
from dualscale.config.check import check_files
from dualscale.config.jobs import model_settings
from dualscale.config.overrides import patch
from dualscale.data.encoding import Encoding
from dualscale.data.moments import moments_of
from dualscale.data.table import Table
from dualscale.data.units import standard_units
from dualscale.metrics.kl import knn_kl
from dualscale.model import SETTINGS, Model
from dualscale.runtime.streams import stream_seed
from dualscale.sampling import drawing_with
from dualscale.training.settings import Training
from dualscale.training.trainer import Trainer

WORDS, SHARES = ["a", "b", "c"], np.array([0.5, 0.3, 0.2])
MEANS = np.array([[-1.0, 0.0], [0.5, 1.0], [1.0, -1.0]])
COVARIANCES = np.array(
    [[[0.30, 0.20], [0.20, 0.30]], [[0.30, -0.15], [-0.15, 0.20]], [[0.10, 0.00], [0.00, 0.40]]]
)
ROWS, DRAWN, K = 20_000, 2000, 5
SMALLER = {
    "network": {"width": 96, "embedding": 32, "highest_frequency": 50.0},
    "training": {"ema": {"decay": 0.98}, "target": {"kind": "drawn"}},
}
EVALUATIONS, LEVELS = 50, {"spacing": {"kind": "geometric", "sigma_max": 10.0, "sigma_min": 0.006}}
GIVEN = [{}, *({"word": word} for word in WORDS), *({"x": x} for x in (-1.0, 0.0, 1.0))]


def rows_given(where: dict, count: int, rng: np.random.Generator) -> pd.DataFrame:
    """Draw rows from the mixture's exact distribution given a word, a value of x, or nothing."""
    chances, means, covariances = SHARES, MEANS, COVARIANCES
    if "word" in where:
        chances = np.array([float(word == where["word"]) for word in WORDS])
    if "x" in where:
        slopes = covariances[:, 0, 1] / covariances[:, 0, 0]
        densities = [
            multivariate_normal.pdf(where["x"], mean[0], covariance[0, 0])
            for mean, covariance in zip(means, covariances, strict=True)
        ]
        chances = SHARES * densities / (SHARES @ densities)
        means = np.stack(
            [np.full(3, where["x"]), means[:, 1] + slopes * (where["x"] - means[:, 0])], axis=1
        )
        covariances = covariances.copy()
        covariances[:, 1, 1] -= slopes * covariances[:, 0, 1]
        covariances[:, 0] = covariances[:, :, 0] = 0
    which = rng.choice(3, count, p=chances)
    noise = rng.standard_normal((count, 2))
    roots = np.stack([root_of(covariance) for covariance in covariances])
    points = means[which] + np.einsum("nij,nj->ni", roots[which], noise)
    return pd.DataFrame({"word": np.array(WORDS)[which], "x": points[:, 0], "y": points[:, 1]})


def root_of(covariance: np.ndarray) -> np.ndarray:
    """Return a matrix whose square is a covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(values.clip(min=0))) @ vectors.T


def trained(rows: pd.DataFrame, seeds: Sequence[int], steps: int, changes: dict) -> Model:
    """Return a stack of models of the recommended recipe, one per seed, with its EMA's weights."""
    settings = patch(model_settings(check_files([]), "recommended"), SMALLER)
    training = Training.model_validate({**settings.pop("training"), "steps": steps})
    settings |= changes
    encoding = Encoding.fit(Table(rows, ["text"] * 3))
    points = encoding.encode(rows, np.random.default_rng(0)).astype(np.float32)
    units = standard_units(points)
    data = torch.from_numpy(units.into_model(points))
    streams = [f"{seed}/conditioning" for seed in seeds]
    chosen, moments = SETTINGS.validate_python(settings), moments_of(data)
    model = Model(chosen, moments, len(seeds), units=units, encoding=encoding)
    model.backbone.initialise(streams)
    trainer = Trainer(model, data, training, streams)
    for progress in trainer.run():
        logging.info("step %d of %d, %s", progress.step, steps, progress.losses.mean(dim=0))
    with torch.no_grad():
        model.backbone.flat.copy_(trainer.ema)
    return model


def drawn(model: Model, where: dict, seeds: Sequence[int]) -> list[pd.DataFrame]:
    """Draw rows from every model of a stack."""
    streams = [f"{seed}/{where}" for seed in seeds]
    condition = condition_of(model, where, DRAWN, str(where)) if where else None
    drawing = drawing_with(model, EVALUATIONS, LEVELS)
    sampler = model.sampler(drawing, DRAWN, streams, condition)
    assert model.encoding is not None
    return [model.encoding.decode(points) for points in sampler.draw()]


def kl(real: pd.DataFrame, generated: pd.DataFrame, given: dict, seed: int) -> float:
    """Return the KL in bits of the columns that are not given; words spread by uniform noise."""
    rng = np.random.default_rng(stream_seed(f"{seed}/{given}", "spread"))
    return knn_kl(*(spread(each, given, rng) for each in (real, generated)), k=K)


def spread(rows: pd.DataFrame, given: dict, rng: np.random.Generator) -> np.ndarray:
    """Return the columns that are not given as numbers, (n, 1 or more)."""
    columns = rows.assign(word=rows["word"].map(WORDS.index) + rng.random(len(rows)))
    return columns.drop(columns=list(given)).to_numpy(np.float64)


def records(seeds: Sequence[int], steps: int) -> Iterator[dict]:
    """Train both models and iterate over the table's rows."""
    rows = rows_given({}, ROWS, np.random.default_rng(0))
    conditional = trained(rows, seeds, steps, {"conditioning": {"columns": "all"}})
    plain = trained(rows, seeds, steps, {})
    usual, without = drawn(conditional, {}, seeds), drawn(plain, {}, seeds)
    for where in GIVEN:
        exact = partial(rows_given, where, DRAWN)
        own = drawn(conditional, where, seeds) if where else usual
        for index, seed in enumerate(seeds):
            rng = np.random.default_rng(stream_seed(f"{seed}/{where}", "real"))
            real, fresh = exact(rng), exact(rng)
            found = {"real": fresh, "conditional": own[index]}
            found |= {"unconditional": usual[index]} if where else {"plain": without[index]}
            for kind, each in found.items():
                [(given, value)] = where.items() or [("nothing", "")]
                bits = kl(real, each, where, seed)
                yield {"drawn": kind, "given": given, "value": value, "seed": seed, "kl_bits": bits}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--output", type=Path, default=ROOT / "docs/beyond/conditioning/kl.csv")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(1)
    table = pd.DataFrame(records(options.seeds, options.steps))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(options.output, index=False, lineterminator="\n", float_format="%.6g")


if __name__ == "__main__":
    main()
