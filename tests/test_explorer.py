"""The explorer: one file that shows the reverse process without a network."""

import base64
import re

import numpy as np
import pytest
from conftest import copy_run, requests
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from build_explorer import LIMIT, fitting, packed
from dualscale.data.datasets import Line
from dualscale.reporting.grids import lattice

PATIENCE = 60  # seconds, on a busy machine


def test_packed_values_come_back_within_half_a_step():
    values = np.random.default_rng(0).normal([0, 50], [1, 900], size=(4, 30, 2))
    found = packed(values)
    integers = np.frombuffer(base64.b64decode(found["data"]), "<u2").reshape(found["shape"])
    step = np.array(found["step"])
    assert (np.abs(found["low"] + step * integers - values) <= 0.51 * step).all()
    assert (step < np.ptp(values, axis=(0, 1)) / 65000).all()


def test_equal_values_can_be_packed():
    found = packed(np.full((3, 2), 7.0))
    assert found["low"] == [7.0, 7.0]
    assert set(base64.b64decode(found["data"])) == {0}


def test_many_runs_show_fewer_points_and_too_many_are_refused():
    states = {str(i): {"points": np.empty((24, 1500, 2), np.float32)} for i in range(100)}
    few = dict(list(states.items())[:2])
    assert fitting(LIMIT, few) == 1500
    assert 1000 < fitting(LIMIT, states) < 1500
    with pytest.raises(ValueError, match=r"100 runs do not fit into an explorer of 15 MB: shorten"):
        fitting(LIMIT // 20, states)


def test_a_lattice_goes_row_by_row_from_corner_to_corner():
    places = lattice(np.array([0, 5]), np.array([1, 9]), 2)
    assert places.tolist() == [[0, 5], [1, 5], [0, 9], [1, 9]]


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The explorer of the tiny run."""
    project = copy_run(finished, tmp_path_factory.mktemp("explorer") / "project")
    project.run("explorer")
    return project.path / "results/explorer/explorer.html"


@pytest.fixture
def opened(browser, page):
    """The page in the browser, just loaded."""
    browser.set_window_size(1200, 1400)
    browser.get(f"file://{page}")
    until(browser, "document.querySelectorAll('#clouds .xaxislayer-above').length")
    return browser


def asked(browser, expression):
    return browser.execute_script(f"const clouds = document.getElementById('clouds'); {expression}")


def until(browser, condition):
    WebDriverWait(browser, PATIENCE).until(lambda page: asked(page, f"return {condition}"))


def generated(browser):
    """First coordinates of each panel's points."""
    shown = "clouds.data.filter(trace => trace.mode === 'markers' && trace.marker.opacity > .6)"
    return asked(browser, f"return {shown}.map(trace => trace.x)")


def press(browser, name, key, times=1):
    browser.find_element(By.ID, name).send_keys(key * times)
    asked(browser, "return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def toggle(browser, text):
    find = f'//label[normalize-space(.)="{text}"]/input'
    browser.find_element(By.XPATH, find).click()
    asked(browser, "return new Promise(done => requestAnimationFrame(() => setTimeout(done)))")


def cursor(browser):
    return asked(browser, "return document.getElementById('weights').layout.shapes[0].x0")


def test_the_page_is_one_small_file(page):
    assert page.stat().st_size < LIMIT
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text.split("<script>")[0])


@pytest.mark.system
def test_the_slider_moves_points_and_cursor_together(opened):
    press(opened, "slider", Keys.HOME)
    noise, at_start = generated(opened), cursor(opened)
    assert len(noise) == 2
    assert noise[0] == pytest.approx(noise[1], abs=1e-3)  # the same noise for every model
    press(opened, "slider", Keys.ARROW_RIGHT, 3)
    assert generated(opened) != noise
    assert (at_start, cursor(opened)) == (99, 86)
    press(opened, "slider", Keys.END)
    assert cursor(opened) == 0
    titles = asked(opened, "return clouds.layout.annotations.map(note => note.text)")
    assert ["samples" in title for title in titles] == [True, True]


@pytest.mark.system
def test_play_goes_through_all_levels_and_stops(opened):
    opened.find_element(By.ID, "play").click()
    until(
        opened, "document.getElementById('slider').value === document.getElementById('slider').max"
    )
    until(opened, "document.getElementById('play').getAttribute('aria-label') === 'Play'")


@pytest.mark.system
def test_another_dataset_and_other_models_change_the_panels(opened):
    before = generated(opened)
    Select(opened.find_element(By.ID, "dataset")).select_by_visible_text("line")
    until(opened, "clouds.layout.xaxis.range[1] > 4")
    assert generated(opened) != before
    toggle(opened, "Baseline")
    assert len(generated(opened)) == 1
    toggle(opened, "Adaptive weighting")  # one remains
    assert len(generated(opened)) == 1


@pytest.mark.system
@pytest.mark.parametrize(
    ("layer", "mode"),
    [("model's score", "lines"), ("exact score", "lines"), ("real points", "markers")],
)
def test_layers_are_shown_on_request(opened, layer, mode):
    count = f"return clouds.data.filter(trace => trace.mode === '{mode}').length"
    before = asked(opened, count)
    toggle(opened, layer)
    assert abs(asked(opened, count) - before) == 2
    toggle(opened, layer)
    assert asked(opened, count) == before


@pytest.mark.system
def test_a_zoom_into_one_panel_zooms_all(opened):
    panel = opened.find_elements(By.CSS_SELECTOR, "#clouds .nsewdrag")[0]
    mouse = ActionChains(opened).move_to_element_with_offset(panel, -80, -80).click_and_hold()
    mouse.move_by_offset(60, 60).move_by_offset(60, 60).release().perform()
    until(opened, "clouds.layout.xaxis.range[1] < 2")
    ranges = asked(opened, "return [clouds.layout.xaxis.range, clouds.layout.xaxis2.range]")
    assert ranges[0] == pytest.approx(ranges[1])
    toggle(opened, "exact density")
    assert asked(opened, "return clouds.layout.xaxis.range") == pytest.approx(ranges[0])


@pytest.mark.system
def test_the_exact_density_is_under_the_mouse(opened):
    Select(opened.find_element(By.ID, "dataset")).select_by_visible_text("line")
    press(opened, "slider", Keys.END)
    panel = opened.find_elements(By.CSS_SELECTOR, "#clouds .nsewdrag")[0]
    ActionChains(opened).move_to_element_with_offset(panel, 10, 5).perform()
    until(opened, "document.getElementById('hint').hidden === false")
    said = opened.find_element(By.ID, "hint").text
    x, y, density = map(float, re.findall(r"-?\d[\d.e-]*", said))
    exact = np.exp(Line().build().log_density(np.array([[x, y]])))[0]
    assert density == pytest.approx(exact, rel=0.02)


@pytest.mark.system
def test_the_parts_of_the_kl_sum_to_it(opened):
    bars, kl = asked(
        opened,
        """const traces = document.getElementById('kl').data;
        return [traces.filter(trace => trace.type === 'bar').map(trace => trace.x),
                traces.at(-1).x]""",
    )
    assert np.sum(bars, axis=0) == pytest.approx(kl, abs=1e-3)  # one seed: its mean


@pytest.mark.system
def test_a_narrow_window_shows_everything_in_its_width(opened):
    opened.set_window_size(500, 1400)
    until(opened, "clouds.layout.width < 500")
    assert asked(opened, "return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.system
def test_the_page_asks_nobody_for_anything_and_raises_no_error(opened):
    errors = [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]
    assert errors == []
    assert requests(opened) == []
