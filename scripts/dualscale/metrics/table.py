"""The metrics: columns of the tables, and how they are shown."""

from typing import NamedTuple

from dualscale.runtime.records import RUN

NEIGHBOURS = (1, 5, 20)
"""Numbers of neighbours k of the KL estimates in the study, beside the paper's KL."""


class Metric(NamedTuple):
    """A column of metrics.csv or of the study's metrics.

    Args:
        label: heading in tables for reading.
        digits: decimals there.
        published: whether the paper's Table 1 has it.
        needs_density: whether it needs a dataset of known density.
    """

    column: str
    label: str
    digits: int = 3
    published: bool = False
    needs_density: bool = False


OF_RUNS = (
    Metric("kl_bits", "KL (bits)", 3, published=True),
    Metric("train_seconds", "training (s)", 2, published=True),
    Metric("sample_seconds", "sampling (s)", 3, published=True),
    Metric("eval_loss", "evaluation loss", 4),
    Metric("parameters", "parameters", 0),
)
"""Metrics of metrics.csv."""
OF_STUDY = (
    *(Metric(f"kl_k{k}_bits", f"KL, k = {k}") for k in NEIGHBOURS),
    *(Metric(f"reverse_kl_k{k}_bits", f"reverse KL, k = {k}") for k in NEIGHBOURS),
    Metric("ode_kl_bits", "KL, ODE likelihood", needs_density=True),
    Metric("classifier_accuracy", "C2ST accuracy"),
    Metric("classifier_p", "C2ST p"),
    Metric("coverage", "coverage"),
    Metric("off_support_share", "share off support", needs_density=True),
    Metric("energy_distance", "energy distance"),
    Metric("sliced_wasserstein", "sliced Wasserstein"),
    Metric("kl_of_pooled_draws_bits", "KL of all samples"),
)
"""Metrics of the study beside the KL."""
METRICS = {metric.column: metric for metric in (*OF_RUNS, *OF_STUDY)}
PUBLISHED = [metric for metric in OF_RUNS if metric.published]
RUN_COLUMNS = [*RUN, *(metric.column for metric in OF_RUNS), "device", "models_trained_together"]
"""Columns of metrics.csv."""


def study_columns(draws: int, known: bool) -> list[str]:
    """Columns of the study's metrics.

    Args:
        draws: number of further samples of each model.
        known: whether the density of any dataset is known.
    """
    shown = [metric.column for metric in OF_STUDY if known or not metric.needs_density]
    further = [f"kl_draw{number}_bits" for number in range(1, draws + 1)]
    return [*RUN, "kl_bits", *further, *shown]
