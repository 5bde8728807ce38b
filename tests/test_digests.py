"""Digests of code cover what Python executes, directly or imported, and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from dualscale.runtime.digests import digest_code

SCRIPTS = ROOT / "scripts"
TREE = {
    "script.py": "import package.inner.deep\nfrom package import near\nfrom helper import total\n",
    "helper.py": "def total(a, b):\n    return a + b\n",
    "unused.py": "number = 1\n",
    "package/__init__.py": "",
    "package/near.py": "from . import beside\nfrom .inner import below\n",
    "package/beside.py": "number = 1\n",
    "package/unused.py": "number = 1\n",
    "package/inner/__init__.py": "",
    "package/inner/below.py": "def later():\n    from ..aside import number\n",
    "package/inner/deep.py": "number = 1\n",
    "package/aside.py": "number = 1\n",
}


@pytest.fixture
def tree(tmp_path):
    """Digests of a script in its own folder, with some files changed."""

    def digest(**changes):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, code in (TREE | changes).items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(code)
        return digest_code(folder / "script.py", folder)

    return digest


@pytest.mark.parametrize("name", [name for name in TREE if "unused" not in name])
def test_every_module_that_a_script_runs_counts(tree, name):
    assert tree(**{name: TREE[name] + "another = 2\n"}) != tree()


@pytest.mark.parametrize("name", [name for name in TREE if "unused" in name])
def test_other_modules_do_not_count(tree, name):
    assert tree(**{name: "number = 2\n"}) == tree()


@pytest.mark.parametrize(
    "same",
    [
        "# A remark.\n\n\ndef total(a, b):  # of two\n\n    return a + b\n",
        '"""A module."""\n\n\ndef total(a, b):\n    """The sum."""\n    return a + b\n',
        "def total(\n    a,\n    b,\n):\n    return (\n        a\n        + b\n    )\n",
    ],
    ids=["comments", "docstrings", "layout"],
)
def test_comments_docstrings_and_layout_do_not_count(tree, same):
    assert tree(**{"helper.py": same}) == tree()


@pytest.mark.parametrize(
    "other", ["def total(a, b):\n    return a - b\n", "def total(b, a):\n    return a + b\n"]
)
def test_another_operation_or_order_counts(tree, other):
    assert tree(**{"helper.py": other}) != tree()


def test_the_digest_is_the_same_with_every_python(tree):
    code = "def total(a, b, style='.3f'):\n    return f'{a + b:{style}}', 1e-3, None\n"
    assert tree(**{"helper.py": code}) == "d3e5a4b5f84d95d3"


def test_a_file_that_python_cannot_read_counts_by_its_bytes(tree):
    broken = {tree(**{"helper.py": code}) for code in ("def total(:\n", "def total(: \n")}
    assert len(broken) == 2


def test_formatting_the_scripts_anew_changes_no_digest(tmp_path):
    copy = shutil.copytree(SCRIPTS, tmp_path / "scripts")
    (tmp_path / "ruff.toml").write_text("line-length = 60\nformat.quote-style = 'single'\n")
    command = [sys.executable, "-m", "ruff", "format", "--config", tmp_path / "ruff.toml", copy]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout.split()[0]) > 40, "files are formatted anew"

    def digests(folder: Path):
        return {file.name: digest_code(file, folder) for file in folder.glob("*.py")}

    assert digests(copy) == digests(SCRIPTS)
