"""Tables: reading the project's records and CSV files; writing CSV, Markdown, LaTeX and HTML."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from dualscale.runtime.files import atomic_write
from dualscale.runtime.records import RUN, read_record, require_in_place

NAMES = ("variant", "candidate", "against", "dataset", "sampler", "device")


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a CSV of this project; names stay text ("NA", "1e3"), empty cells are missing."""
    return pd.read_csv(
        path,
        dtype=dict.fromkeys(NAMES, str),
        keep_default_na=False,
        na_values=[""],
    )


def read_records(paths: Iterable[Path], names: Sequence[str] = RUN) -> pd.DataFrame:
    """Read records into one table: a JSON record is a row, a CSV several.

    Args:
        names: columns whose values the last parts of each path must repeat.

    Raises:
        ValueError: a file says that it is of another run than its path.
    """
    tables = []
    for path in paths:
        if path.suffix == ".json":
            table = pd.DataFrame([read_record(path)])
        else:
            table = read_table(path)
            for said in table.reindex(columns=list(names)).drop_duplicates().to_dict("records"):
                require_in_place(path, said, names)
        tables.append(table)
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(names))


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, sans-serif; width: fit-content;
  margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100% }}
th, td {{ padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left }}
thead th {{ border-bottom: 2px solid #333; cursor: pointer }}
caption, p {{ text-align: left; margin: .8rem 0; max-width: 62rem }}
</style></head><body>
<h1>{title}</h1>
<p>{caption}</p>
{table}
{notes}
<script>
// A click on a head sorts by its column; another, the other way round.
document.querySelectorAll("th").forEach((head, column) => head.onclick = () => {{
  const key = row => {{
    const text = row.cells[column].textContent.trim(), number = parseFloat(text);
    return isNaN(number) ? text : number;
  }};
  const turn = head.dataset.turn = head.dataset.turn === "1" ? "-1" : "1";
  const body = head.closest("table").tBodies[0];
  const compare = (a, b) => turn * (key(a) > key(b) ? 1 : key(a) < key(b) ? -1 : 0);
  body.append(...[...body.rows].sort(compare));
}});
</script>
</body></html>
"""


LATEX = r"""% \usepackage{{booktabs, graphicx}}
\begin{{table}}
\centering
\resizebox{{\ifdim\width>\textwidth\textwidth\else\width\fi}}{{!}}{{%
{body}}}
\caption{{{caption}}}
\end{{table}}
"""


@dataclass(frozen=True)
class Table:
    """Rows of text under a header, with a caption and notes below.

    Args:
        text_columns: number of leading columns of words, left-aligned; numbers are right-aligned.
    """

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str
    notes: Sequence[str] = field(default_factory=list)
    text_columns: int = 1

    def _set(self, style: str, rows: Sequence[Sequence[str]] | None = None) -> str:
        left, right = self.text_columns, len(self.header) - self.text_columns
        alignment = ["left"] * left + ["right"] * right
        rows = self.rows if rows is None else rows
        return tabulate(rows, self.header, style, disable_numparse=True, colalign=alignment)

    def md(self) -> str:
        return "\n\n".join([self._set("pipe"), self.caption, *self.notes]) + "\n"

    def tex(self) -> str:
        """Table float with the special characters of the text escaped."""
        special: dict[str, str | int | None] = {char: f"\\{char}" for char in "%_&#{}$"}
        special |= {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}", "‖": r"$\|$"}
        text = " ".join([self.caption, *self.notes]).translate(str.maketrans(special))
        body = self._set("latex_booktabs")
        return LATEX.format(body=body, caption=text)

    def html(self) -> str:
        """Page with sortable columns; every row repeats its names, so that sorting loses none."""
        rows, last = [], [""] * self.text_columns
        for row in self.rows:
            last = [text or above for text, above in zip(row, last, strict=False)]
            rows.append([*last, *row[self.text_columns :]])
        return PAGE.format(
            title=html.escape(self.title),
            caption=html.escape(self.caption),
            table=self._set("html", rows),
            notes="\n".join(f"<p>{html.escape(note)}</p>" for note in self.notes),
        )


def write_table(
    paths: Iterable[Path],
    data: pd.DataFrame,
    texts: Table | None = None,
    float_format: str | None = "%.6g",
) -> None:
    """Write a table in the format of each path's extension.

    Args:
        data: written as CSV.
        texts: written as Markdown, LaTeX or HTML.
        float_format: of the CSV; None: all digits.
    """
    for path in paths:
        with atomic_write(path) as part:
            if path.suffix == ".csv":
                data.to_csv(part, index=False, lineterminator="\n", float_format=float_format)
            else:
                part.write_text(getattr(texts, path.suffix[1:])(), encoding="utf-8")
