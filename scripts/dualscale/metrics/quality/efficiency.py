"""Efficiency: prediction of real rows by a model that is trained on generated ones."""

from typing import Any, Literal

import numpy as np

from dualscale.metrics.metric import Column
from dualscale.metrics.quality.metric import Rows, TableMetric, Tables

MISSING = -1.0  # class of a missing category
MOST_BINS = 255  # of the trees, and so categories that they can tell apart


class Efficiency(TableMetric):
    """Macro F1 or R² of boosted trees that predict the target of held-out real rows.

    Trained on the generated rows (Esteban et al. 2017: train on synthetic, test on real); the floor
    is trained on as many real ones. F1, averaged over the classes, for a category, whose missing
    cells are a class; R² for numbers and dates, without rows that lack it.
    """

    kind: Literal["efficiency"] = "efficiency"

    def columns(self) -> list[Column]:
        return [
            Column("efficiency_f1", "macro F1"),
            Column("efficiency_r2", "R²"),
        ]

    def measure(self, tables: Tables) -> list[float | None]:
        from sklearn.metrics import f1_score, r2_score

        if tables.target is None:
            return [None, None]
        categorical = bool(tables.categorical[tables.target])
        train, test = (split(rows, tables) for rows in (tables.generated, tables.held_out))
        if not train[0].size or not test[0].size:
            return [None, None]
        predicted = fitted(*train, tables).predict(test[0])
        if categorical:
            return [float(f1_score(test[1], predicted, average="macro")), None]
        return [None, float(r2_score(test[1], predicted))]


def split(rows: Rows, tables: Tables) -> tuple[Rows, Rows]:
    """Return what is known and what is to be predicted, of the rows that have it."""
    assert tables.target is not None
    target = rows[:, tables.target]
    if tables.categorical[tables.target]:
        target = np.nan_to_num(target, nan=MISSING)
    there = ~np.isnan(target)
    return np.delete(rows, tables.target, axis=1)[there], target[there]


def fitted(known: Rows, target: Rows, tables: Tables) -> Any:
    """Return a model that predicts the target; a constant one for a constant target."""
    from sklearn.dummy import DummyClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    assert tables.target is not None
    few = [getattr(column, "categories", ()) for column in tables.columns]
    told_apart = tables.categorical & [len(values) <= MOST_BINS for values in few]
    settings: Any = {
        "categorical_features": np.delete(told_apart, tables.target),
        "random_state": tables.seed,
    }
    if not tables.categorical[tables.target]:
        return HistGradientBoostingRegressor(**settings).fit(known, target)
    if np.ptp(target) == 0:
        return DummyClassifier().fit(known, target)
    if np.unique(target, return_counts=True)[1].min() == 1:
        settings["early_stopping"] = False  # which asks for two rows of every class
    return HistGradientBoostingClassifier(**settings).fit(known, target)
