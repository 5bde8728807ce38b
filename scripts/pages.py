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
        needs_density: whether it is of datasets with a known density alone.
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


PAPER, STUDY, RECOMMENDED, STEPS = "2 Figures", "3 Study", "4 Recommended", "5 Few steps"
PAGES = {
    page.stem: page
    for page in (
        Page("metrics", ("csv",), "all", "Metrics of all runs", "7 Runs", "metrics"),
        Page("paper/table1", ("csv", "md", "tex", "html"), "all", "Table 1", "1 Table", "table1"),
        Page("paper/figure1", FIGURE, "all", "Figure 1: samples", PAPER, "figure1"),
        Page("paper/figure2", FIGURE, "all", "Figure 2: weights", PAPER, "figure2"),
        Page("study/metrics", ("csv",), "study", "All metrics of the study", STUDY, "study"),
        Page("study/comparisons", TABLE, "study", "Comparisons of the variants", STUDY, "study"),
        Page("study/claims", TABLE, "study", "The paper's claims, judged", STUDY, "study"),
        Page("study/decomposition", ("csv",), "study", "Parts of the KL", STUDY, "study", True),
        Page("study/figure3", FIGURE, "study", "Figure 3: parts of the KL", STUDY, "study", True),
        Page("study/figure4", FIGURE, "study", "Figure 4: score errors", STUDY, "study", True),
        Page(
            "recommended/excess",
            TABLE,
            "recommended",
            "KL above the floor",
            RECOMMENDED,
            "recommended",
        ),
        Page(
            "recommended/samples",
            FIGURE,
            "recommended",
            "Samples beside real points",
            RECOMMENDED,
            "recommended",
        ),
        Page("steps/steps", ("csv",), "few_steps", "KL at few steps", STEPS, "steps"),
        Page("steps/fewest", ("csv",), "few_steps", "Fewest evaluations", STEPS, "steps"),
        Page("steps/figure5", FIGURE, "few_steps", "Figure 5: KL against NFE", STEPS, "steps"),
    )
}
