"""All files that pin versions agree."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def pins(name):
    lines = (ROOT / name).read_text().splitlines()
    return dict(line.split("==") for line in lines if "==" in line)


@pytest.mark.parametrize(
    "environment", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda p: p.name
)
def test_conda_environments_say_the_pinned_versions(environment):
    listed = yaml.safe_load(environment.read_text())["dependencies"][-1]["pip"]
    pinned = pins("requirements.txt")
    assert listed
    for line in listed:
        name, version = line.split("==")
        assert pinned[name] == version


def test_pinned_versions_lie_in_the_declared_ranges():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = [line for lines in lists for line in lines if "dualscale" not in line]
    pinned = {}
    for extra in ("", "-slurm", "-sge", "-test"):
        pinned |= pins(f"requirements{extra}.txt")
    pinned = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pinned.items()}
    for line in declared:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pinned[requirement.name]), line


def test_torch_is_pinned_exactly():
    assert pins("requirements.txt")["torch"] == "2.13.0"


def test_badges_say_what_the_project_declares():
    badges = re.findall(r"^\[!\[(\w+):? (?:≥ )?([\w.]+)\]", (ROOT / "README.md").read_text(), re.M)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (snakemake,) = (line for line in project["dependencies"] if line.startswith("snakemake>"))
    assert dict(badges) == {
        "Snakemake": re.search(r">=([\d.]+)", snakemake)[1],
        "Python": project["requires-python"].removeprefix(">="),
        "License": project["license"],
    }
