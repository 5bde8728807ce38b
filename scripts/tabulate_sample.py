"""Write a generated sample as a table with the columns of its dataset's file."""

from pathlib import Path

import numpy as np

from dualscale.data.encoding import Encoding
from dualscale.data.files import format_of
from dualscale.runtime.files import atomic_write
from execution.job import run


def main(samples: Path, encoding: Path, table: Path) -> None:
    """Write the rows, with the columns' names, order and types; numbers in the data's range."""
    columns = Encoding.read(encoding)
    points = np.load(samples, allow_pickle=False)
    with atomic_write(table) as part:
        format_of(table).write(part, columns.decode(points))


run(main, globals())
