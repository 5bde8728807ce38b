"""Write a table of words and numbers: the survey of marriages that statsmodels ships.

    python examples/fair.py

It makes fair.csv beside this file, 6,366 rows (Fair 1978; `statsmodels.datasets.fair`), with words
in place of the codes of its questionnaire.
"""

from pathlib import Path

from statsmodels.datasets import fair

WORK = ["student", "unskilled", "white-collar", "skilled", "manager", "professional"]
WORDS = {
    "rate_marriage": ["very poor", "poor", "fair", "good", "very good"],
    "religious": ["not", "mildly", "fairly", "strongly"],
    "occupation": WORK,
    "occupation_husb": WORK,
}
"""Words for the codes 1, 2, …, by column."""


def main(path: Path) -> None:
    """Write the table as CSV."""
    table = fair.load_pandas().data
    for column, words in WORDS.items():
        table[column] = table[column].map(dict(enumerate(words, 1)))
    table.to_csv(path, index=False)


if __name__ == "__main__":
    main(Path(__file__).with_suffix(".csv"))
