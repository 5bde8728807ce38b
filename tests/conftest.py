"""A copy of the project, run to completion on a tiny configuration, for the workflow's tests."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[1]
PARTS = ["Snakefile", "config.yaml", "profiles", "scripts", "workflow", "envs"]

TINY = {
    "run": {"variants": ["baseline", "adaptive"], "datasets": ["circle", "line"], "seeds": [0]},
    "datasets": {name: {"points": 300} for name in ("circle", "dino", "line", "moons")},
    "network": {"width": 8, "hidden_layers": 1, "embedding": 8},
    "training": {"steps": 20, "batch_size": 8},
    "sampling": {"points": 100},
    "device": "cpu",
}


@dataclass
class Project:
    """A copy of the project in a folder of its own."""

    path: Path

    def configure(self, **changes):
        """Merge changes into the config file; mappings are merged recursively."""
        file = self.path / "config.yaml"
        config = yaml.safe_load(file.read_text())

        def merge(base, change):
            for key, value in change.items():
                if isinstance(value, dict) and isinstance(base.get(key), dict):
                    merge(base[key], value)
                else:
                    base[key] = value

        merge(config, changes)
        file.write_text(yaml.safe_dump(config, sort_keys=False))

    def snakemake(self, *arguments):
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        environment = {**os.environ, "PYTHONPATH": "", "XDG_CACHE_HOME": str(self.path / ".cache")}
        return subprocess.run(
            command, cwd=self.path, env=environment, capture_output=True, text=True, check=False
        )

    def run(self, *arguments):
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def waiting(self, *arguments):
        """Messages of the jobs that a run would execute now."""
        dry = self.run("--dry-run", *arguments)
        return set(re.findall(r"^Job \d+: (.*)$", dry.stdout + dry.stderr, flags=re.MULTILINE))


def copy_project(source, target):
    """Copy with modification times, as `cp -a` does."""
    target.mkdir(parents=True)
    for part in PARTS:
        if (source / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            if (source / part).is_symlink():
                (target / part).symlink_to((source / part).readlink())
            else:
                shutil.copytree(source / part, target / part, ignore=ignored)
        else:
            shutil.copy2(source / part, target / part)
    return Project(target)


@pytest.fixture(autouse=True)
def seeded():
    """Seed every test, and use one thread: on a busy machine several stall each other."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    torch.set_flush_denormal(False)  # which a job of an earlier test may have changed


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id):
    """The finished tiny run, shared by all test processes; read-only."""
    shared = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        shared = shared.parent
    path, done = shared / "finished/project", shared / "finished/done"
    with FileLock(shared / "finished.lock"):
        if done.exists():
            return Project(path)
        project = copy_project(ROOT, path)
        project.configure(**TINY)
        project.run()
        done.touch()
    return project


def copy_run(project, target):
    """Copy a project with its results and Snakemake's records of them."""
    copy = copy_project(project.path, target)
    for part in ("results", ".snakemake"):
        shutil.copytree(project.path / part, copy.path / part, symlinks=True)
    return copy


@pytest.fixture(scope="module")
def browser():
    """A browser for which no host resolves, so that requests to the outside show as failed."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no browser (Debian: chromium chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless", "--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


def requests(browser):
    """Addresses that pages have requested since the last call."""
    return [
        word
        for entry in browser.get_log("performance")
        for word in entry["message"].split('"')
        if "Network.requestWillBeSent" in entry["message"] and word.startswith(("http", "ws:"))
    ]


@pytest.fixture
def project(finished, tmp_path):
    """A private copy of the finished run, which a test may change."""
    return copy_run(finished, tmp_path / "project")
