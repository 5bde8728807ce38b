"""Figure 4: error of the networks' score by noise level, one panel per dataset."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from dualscale.reporting.figures import COLOURS, DASHES, save_figure, use_style
from dualscale.reporting.tables import read_table
from job import job, whole_group


def main(scores: Sequence[str | Path], outputs: Sequence[str | Path], settings: Mapping) -> None:
    """Draw the score errors and save the figure.

    Args:
        scores: one file per (variant, dataset, seed), the seeds varying fastest.
        outputs: one path per format.
    """
    use_style()
    labels, datasets, seeds = settings["labels"], settings["datasets"], len(settings["seeds"])
    tables = iter([read_table(path) for path in scores])
    figure, axes = plt.subplots(
        1, len(datasets), figsize=(2.3 * len(datasets) + 0.5, 2.8), squeeze=False, sharey=True
    )
    for index, label in enumerate(labels.values()):
        style = {
            "color": COLOURS[index % len(COLOURS)],
            "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
        }
        for axis in axes[0]:
            runs = pd.concat([next(tables) for _ in range(seeds)])
            # Where alpha is 0 the noise can be read off: there is nothing to predict.
            runs = runs[np.isfinite(runs["sigma"])]
            mean = runs.groupby("sigma")["squared_error"].mean()
            axis.loglog(mean.index, mean, label=label, linewidth=1, **style)
    for axis, dataset in zip(axes[0], datasets, strict=True):
        axis.set_title(dataset, parse_math=False)
        axis.set_xlabel("noise level sigma")
    axes[0, 0].set_ylabel("squared error of the predicted noise\nagainst the optimal denoiser's")
    handles, texts = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower center", ncols=min(len(labels), 3))
    with whole_group(outputs) as parts:
        save_figure(figure, parts)
    plt.close(figure)


if snakemake := globals().get("snakemake"):
    with job(snakemake):
        main(snakemake.input, snakemake.output, snakemake.params.settings)
