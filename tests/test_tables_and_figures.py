"""Result pages, metrics and files of rules: each is listed in one place."""

import re

from conftest import ROOT, TINY, copy_project

from dualscale.metrics.distances import every_metric
from dualscale.metrics.table import COLUMNS, OF_RUNS, RUN_COLUMNS, study_columns
from planning.tables_and_figures import PAGES


def test_every_page_has_its_caption_and_a_title_of_its_own():
    assert len({page.title for page in PAGES.values()}) == len(PAGES)
    for page in PAGES.values():
        assert (ROOT / f"workflow/report/{page.caption}.rst").is_file()


def test_targets_make_their_pages_in_whatever_order_the_rules_are_included(tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    project.configure(
        sweep={"choices": {"network.width": [9]}, "halving": {"rounds": 1}},
        datasets={"digits": {"images": "digits"}, "mine": {"file": "mine.csv"}},
        run={"datasets": ["circle", "digits", "mine"]},
    )
    (project.path / "mine.csv").touch()
    snakefile = project.path / "Snakefile"
    lines = snakefile.read_text().splitlines()
    of_rules = r'include: "(?!.*(?:common|digests|stacks)\.smk)'  # those hold no rules
    places = [i for i, line in enumerate(lines) if re.match(of_rules, line)]
    turned = dict(zip(places, [lines[i] for i in reversed(places)], strict=True))
    snakefile.write_text("\n".join(turned.get(i, line) for i, line in enumerate(lines)) + "\n")
    assert len(places) == 15
    done = project.run("--dry-run", *{page.target for page in PAGES.values()})
    files = (file.format(dataset="mine") for page in PAGES.values() for file in page.files)
    assert [file for file in files if file not in done.stdout] == []


def test_metrics_csv_and_the_study_take_their_columns_from_the_table():
    assert [name for name in RUN_COLUMNS if name in COLUMNS] == [column.name for column in OF_RUNS]
    known, unknown = (set(study_columns(every_metric(), 2, known)) for known in (True, False))
    assert known - unknown == {column.name for column in COLUMNS.values() if column.needs_density}
    assert {"kl_draw1_bits", "kl_draw2_bits"} <= unknown


def test_every_script_is_a_rules_but_for_those_run_by_hand():
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    scripts = set(re.findall(r'script_path\("(\w+)"\)', rules))
    by_hand = {"describe", "draw", "estimate", "score"}
    assert {file.stem for file in (ROOT / "scripts").glob("*.py")} - scripts == by_hand
