"""Pages of results: the workflow's targets, and what its report and messages say of them."""

from typing import NamedTuple

FIGURE = ("png", "svg", "pdf")
TABLE = ("csv", "md", "html")


class Page(NamedTuple):
    """A table or figure in several formats.

    Args:
        stem: path below results/, without extension; {dataset} in it stands for a file's.
        target: of Snakemake, which makes it.
        category: of the report.
        caption: file in workflow/report/, without extension.
        needs_density: whether it shows datasets of known density only.
    """

    stem: str
    formats: tuple[str, ...]
    title: str
    target: str
    category: str
    caption: str
    needs_density: bool = False

    @property
    def of_a_table(self) -> bool:
        """Whether every dataset from a file has such a page of its own."""
        return "{dataset}" in self.stem

    @property
    def files(self) -> list[str]:
        return [f"results/{self.stem}.{extension}" for extension in self.formats]

    def shown(self, *preferred: str) -> str:
        """Return the file in the first of the preferred formats that the page has, or its first."""
        files = dict(zip(self.formats, self.files, strict=True))
        return next((files[name] for name in preferred if name in files), self.files[0])


# Target, category and caption.
STUDY, RECOMMENDED = ("study", "3 Study", "study"), ("recommended", "4 Recommended", "recommended")
STEPS, SYSTEMS = ("few_steps", "5 Few steps", "steps"), ("systems", "6 Systems", "systems")
SWEEP = ("sweep", "4 Recommended", "sweep")
WEIGHTS = ("weights", "7 Weights", "weights")
UPSCALES = ("upscales", "7 Weights", "weights")
PAGES = {
    page.stem: page
    for page in (
        Page("metrics", ("csv",), "Metrics of all runs", "all", "9 Runs", "metrics"),
        Page("paper/table1", (*TABLE, "tex"), "Table 1", "all", "1 Table", "table1"),
        Page("paper/figure1", FIGURE, "Figure 1: samples", "all", "2 Figures", "figure1"),
        Page("paper/figure2", FIGURE, "Figure 2: weights", "all", "2 Figures", "figure2"),
        Page("quality/{dataset}/quality", TABLE, "Quality of a table", "all", "1 Table", "quality"),
        Page(
            "quality/{dataset}/columns", FIGURE, "Columns of a table", "all", "2 Figures", "quality"
        ),
        Page("study/metrics", ("csv",), "All metrics of the study", *STUDY),
        Page("study/measures", TABLE, "Means of all metrics", *STUDY),
        Page("study/comparisons", TABLE, "Comparisons of the variants", *STUDY),
        Page("study/claims", TABLE, "The paper's claims, judged", *STUDY),
        Page("study/decomposition", ("csv",), "Parts of the KL", *STUDY, True),
        Page("study/figure3", FIGURE, "Figure 3: parts of the KL", *STUDY, True),
        Page("study/figure4", FIGURE, "Figure 4: error of the score", *STUDY, True),
        Page("recommended/excess", TABLE, "KL above the floor", *RECOMMENDED),
        Page("recommended/samples", FIGURE, "Samples beside real points", *RECOMMENDED),
        Page("steps/steps", ("csv",), "KL at few steps", *STEPS),
        Page("steps/fewest", ("csv",), "Fewest evaluations", *STEPS),
        Page("steps/figure5", FIGURE, "Figure 5: KL against NFE", *STEPS),
        Page("sweep/sweep", TABLE, "Settings that were tried", *SWEEP),
        Page("sweep/figure10", FIGURE, "Figure 10: settings that were tried", *SWEEP),
        Page("systems/measures", ("csv",), "All metrics of the systems", *SYSTEMS),
        Page("systems/systems", TABLE, "Systems side by side", *SYSTEMS),
        Page("systems/claims", TABLE, "The sibling experiments, judged", *SYSTEMS),
        Page("systems/figure6", FIGURE, "Figure 6: KL against cost", *SYSTEMS),
        Page("weights/hindsight", TABLE, "KL with other weights", *WEIGHTS, True),
        Page("weights/figure7", FIGURE, "Figure 7: weights in hindsight", *WEIGHTS, True),
        Page("weights/figure9", FIGURE, "Figure 9: errors by scale", *WEIGHTS, True),
        Page("weights/upscales", TABLE, "Up-projections and KL", *UPSCALES),
        Page("weights/figure8", FIGURE, "Figure 8: KL against the up-projection", *UPSCALES),
        Page("images/metrics", ("csv",), "Metrics of images", "images", "9 Runs", "images"),
        Page("images/measures", TABLE, "Means for images", "images", "1 Table", "images"),
        Page("images/samples", FIGURE, "Images beside real ones", "images", "2 Figures", "images"),
        Page("images/classes", FIGURE, "Images by class", "images", "2 Figures", "images"),
        Page("explorer/explorer", ("html",), "Explorer", "explorer", "2 Figures", "explorer"),
    )
}
