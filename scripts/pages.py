"""Pages of results: the workflow's targets, and what its report and messages say of them."""

from typing import NamedTuple

FIGURE = ("png", "svg", "pdf")
TABLE = ("csv", "md", "html")


class Page(NamedTuple):
    """A table or figure in several formats.

    Args:
        stem: path below results/, without extension.
        target: of Snakemake, which makes it.
        category: of the report.
        caption: file in workflow/report/, without extension.
        needs_density: whether it shows datasets of known density only.
    """

    stem: str
    formats: tuple[str, ...]
    target: str
    title: str
    category: str
    caption: str
    needs_density: bool = False

    @property
    def files(self) -> list[str]:
        return [f"results/{self.stem}.{extension}" for extension in self.formats]

    def shown(self, *preferred: str) -> str:
        """Return the file in the first of the preferred formats that the page has, or its first."""
        files = dict(zip(self.formats, self.files, strict=True))
        return next((files[name] for name in preferred if name in files), self.files[0])


def _pages(target: str, category: str, caption: str, *pages: tuple) -> list[Page]:
    """Pages of one target and category: stem, formats and title, and True if it needs a density."""
    return [Page(*about[:2], target, about[2], category, caption, *about[3:]) for about in pages]


PAGES = {
    page.stem: page
    for page in (
        *_pages("all", "7 Runs", "metrics", ("metrics", ("csv",), "Metrics of all runs")),
        *_pages("all", "1 Table", "table1", ("paper/table1", (*TABLE, "tex"), "Table 1")),
        *_pages("all", "2 Figures", "figure1", ("paper/figure1", FIGURE, "Figure 1: samples")),
        *_pages("all", "2 Figures", "figure2", ("paper/figure2", FIGURE, "Figure 2: weights")),
        *_pages(
            "study",
            "3 Study",
            "study",
            ("study/metrics", ("csv",), "All metrics of the study"),
            ("study/comparisons", TABLE, "Comparisons of the variants"),
            ("study/claims", TABLE, "The paper's claims, judged"),
            ("study/decomposition", ("csv",), "Parts of the KL", True),
            ("study/figure3", FIGURE, "Figure 3: parts of the KL", True),
            ("study/figure4", FIGURE, "Figure 4: error of the score", True),
        ),
        *_pages(
            "recommended",
            "4 Recommended",
            "recommended",
            ("recommended/excess", TABLE, "KL above the floor"),
            ("recommended/samples", FIGURE, "Samples beside real points"),
        ),
        *_pages(
            "few_steps",
            "5 Few steps",
            "steps",
            ("steps/steps", ("csv",), "KL at few steps"),
            ("steps/fewest", ("csv",), "Fewest evaluations"),
            ("steps/figure5", FIGURE, "Figure 5: KL against NFE"),
        ),
    )
}
