"""The columns of metrics.csv and of the study's metrics, and how they are shown."""

from collections.abc import Iterable

from dualscale.metrics.distances import every_metric
from dualscale.metrics.metric import Column, Metric
from dualscale.runtime.records import RUN

OF_RUNS = (
    Column("kl_bits", "KL (bits)", 3, published=True),
    Column("train_seconds", "training (s)", 2, published=True),
    Column("sample_seconds", "sampling (s)", 3, published=True),
    Column("eval_loss", "evaluation loss", 4),
    Column("parameters", "parameters", 0),
)
"""Metrics of metrics.csv."""
OF_MODELS = (
    Column("kl_of_pooled_draws_bits", "KL of all samples"),
    Column("ode_kl_bits", "KL, ODE likelihood", needs_density=True),
)
"""Metrics of the study that need the model."""
PUBLISHED = [column for column in OF_RUNS if column.published]
RUN_COLUMNS = [*RUN, *(column.name for column in OF_RUNS), "device", "models_trained_together"]
"""Columns of metrics.csv."""


def of_study(metrics: Iterable[Metric]) -> list[Column]:
    """Columns of the study's metrics beside the KL, in the order of tables."""
    return [*OF_MODELS, *(column for metric in metrics for column in metric.columns())]


COLUMNS = {column.name: column for column in (*OF_RUNS, *of_study(every_metric()))}


def study_columns(metrics: Iterable[Metric], draws: int, known: bool) -> list[str]:
    """Names of all columns of the study's metrics.

    Args:
        draws: number of further samples of each model.
        known: whether the density of any dataset is known.
    """
    shown = [column.name for column in of_study(metrics) if known or not column.needs_density]
    further = [f"kl_draw{number}_bits" for number in range(1, draws + 1)]
    return [*RUN, "kl_bits", *further, *shown]
