"""Snakemake's report of a run, opened in a browser."""

import zipfile

import pytest
from conftest import requests
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE = 60  # seconds, for a page on a busy machine

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory):
    """Folder of the tiny run's unpacked report."""
    folder = tmp_path_factory.mktemp("report")
    finished.run("--report", str(folder / "report.zip"))
    with zipfile.ZipFile(folder / "report.zip") as packed:
        packed.extractall(folder)
    return folder / "report"


def click(browser, text):
    """Click by script: the mouse can miss a menu while the page is still laid out."""
    find = f"//a[normalize-space(.)='{text}']"
    links = WebDriverWait(browser, PATIENCE).until(lambda page: page.find_elements(By.XPATH, find))
    browser.execute_script("arguments[0].click()", links[0])


def listed(browser):
    cells = browser.find_elements(By.TAG_NAME, "td")
    return [cell.text for cell in cells if cell.text.startswith("results/")]


def test_the_report_tells_the_story_in_order_and_asks_the_network_for_nothing(browser, report):
    browser.get(f"file://{report}/report.html")
    WebDriverWait(browser, PATIENCE).until(lambda page: "Does a second branch" in page.page_source)
    found = {}
    for category in ("1 Table", "2 Figures", "9 Runs"):
        click(browser, category)
        WebDriverWait(browser, PATIENCE).until(listed)
        found[category] = listed(browser)
        browser.get(f"file://{report}/report.html")
    assert found == {
        "1 Table": ["results/paper/table1.html"],
        "2 Figures": ["results/paper/figure1.svg", "results/paper/figure2.svg"],
        "9 Runs": ["results/metrics.csv"],
    }
    assert requests(browser) == []


def test_every_page_and_figure_of_the_report_loads(browser, report):
    files = [path for path in report.rglob("*") if path.suffix in (".html", ".svg")]
    assert len(files) == 4  # the report, the table, two figures
    for path in files:
        browser.get(f"file://{path}")
        root = browser.find_element(By.CSS_SELECTOR, ":root")
        assert root.tag_name == path.suffix[1:]
        assert root.size["width"] > 100
        if path.suffix == ".svg":
            assert len(browser.find_elements(By.CSS_SELECTOR, "path, use, image")) > 10
        errors = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert errors == []
    assert requests(browser) == []


def test_a_click_on_a_head_sorts_the_table(browser, report):
    (page,) = report.rglob("table1.html")
    browser.get(f"file://{page}")
    head = browser.find_elements(By.TAG_NAME, "th")[2]

    def column():
        return [
            float(cell.text)
            for cell in browser.find_elements(By.CSS_SELECTOR, "tbody td:nth-child(3)")
        ]

    before = column()
    head.click()
    assert column() == sorted(before)
    head.click()
    assert column() == sorted(before, reverse=True)
