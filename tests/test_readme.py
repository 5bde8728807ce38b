"""Commands and settings shown in the README and the guides work."""

import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "docs/method.md", *sorted((ROOT / "docs/guides").glob("*.md"))]
TEXT = "\n".join(page.read_text() for page in PAGES)
SHELL = re.findall(r"^```sh\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
INLINE = re.findall(r"`((?:snakemake|python|make) [^`]+)`", TEXT)
COMMANDS = sorted(
    {
        " ".join(line.split(" #")[0].split())
        for line in [*"\n".join(SHELL).splitlines(), *INLINE]
        if line.startswith(("snakemake ", "python ", "make "))
        and "models/given/" not in line  # test_table_example runs these, on a model for them
    }
)
PYTHON = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
SETTINGS = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def user(project):
    """The tiny run of a user with their own points and settings."""
    np.savetxt(
        project.path / "points.csv",
        np.random.default_rng(0).normal(size=(200, 2)),
        delimiter=",",
        header="x,y",
        comments="",
    )
    (project.path / "my.yaml").write_text("run: {seeds: [0]}\n")
    shutil.copytree(ROOT / "examples", project.path / "examples")
    (project.path / "examples/fair.csv").write_text("age,work\n42,skilled\n")
    (project.path / "people.csv").write_text("zip,name,age\n12345,Ada,36\n")
    (project.path / "mine.npz").touch()
    return project


def is_dry(command):
    """Whether a command is only planned; `--report` runs on existing results."""
    return command.startswith("snakemake") and "--report" not in command


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_do_as_the_pages_say(user, command):
    for shown in ("/dino/", "/fair/", "/table/"):  # the tiny run has neither
        command = command.replace(shown, "/baseline/" if shown == "/table/" else "/line/")
    words = shlex.split(command)
    if words[0] == "make":
        assert f"\n{words[1]}:" in (ROOT / "Makefile").read_text()
        return
    if words[0] == "snakemake":
        words = [sys.executable, "-m", *words]
        words[3:3] = ["--dry-run"] if is_dry(command) else []
        words[3:3] = ["--cores", "1"] if "--cores" not in words else []
    else:
        words[0] = sys.executable
    done = subprocess.run(words, cwd=user.path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("code", PYTHON)
def test_python_runs_as_shown(user, code):
    shapes = "\nprint(points.shape, fewer.shape)"
    command = [sys.executable, "-c", code.replace("/dino/", "/line/") + shapes]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts")}
    done = subprocess.run(
        command, cwd=user.path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "(5000, 2) (5000, 2)\n", done.stderr


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda text: text.split()[0])
def test_settings_can_be_pasted(user, settings):
    assert yaml.safe_load(settings)
    (user.path / "my.yaml").write_text(settings)
    user.run("--dry-run", "--configfile", "my.yaml")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_to_files_and_headings_that_are_there(page):
    for target, heading in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text()):
        target = re.sub("^../../actions/(.*yml).*", r".github/\1", target)  # the host's page of it
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)$", file.read_text(), flags=re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles]
            assert heading in slugs
