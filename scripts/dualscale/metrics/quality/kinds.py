"""Every kind of metric of generated tables, each registered by its module's import."""

from typing import Annotated

from pydantic import AfterValidator, TypeAdapter

from dualscale.metrics.metric import each_column_once
from dualscale.metrics.quality import efficiency, fidelity, privacy  # noqa: F401
from dualscale.metrics.quality.metric import TableMetric
from dualscale.parts import OneOf, kinds

AnyTableMetric = Annotated[TableMetric, OneOf()]
TableMetrics = Annotated[list[AnyTableMetric], AfterValidator(each_column_once)]
TABLE_METRICS: TypeAdapter[list[TableMetric]] = TypeAdapter(TableMetrics)


def every_table_metric() -> list[TableMetric]:
    """Return every kind of metric with its defaults."""
    return TABLE_METRICS.validate_python(kinds(TableMetric))
