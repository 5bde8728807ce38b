"""Every script runs with the packages of its rule's conda environment alone."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires

import pytest
import yaml
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RULE = re.compile(r'conda:\s+"\.\./\.\./envs/(\w+)\.yaml".*?script_path\("(\w+)"\)', re.DOTALL)
# Import every script and its modules' deferred imports, with all other packages blocked.
IMPORT = """
import ast, importlib, json, sys
from pathlib import Path

blocked, scripts = map(set, json.load(sys.stdin))


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Absent())
failed = []
for script in sorted(scripts):
    try:
        importlib.import_module(script)
    except ImportError as error:
        failed.append(f"{script}: {error}")
ours = {m.__file__ for m in sys.modules.values() if m and getattr(m, "__file__", None)}
for file in sorted(file for file in ours if Path(file).is_relative_to(Path.cwd())):
    for node in ast.walk(ast.parse(Path(file).read_text())):
        names = [a.name for a in getattr(node, "names", [])] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        failed += [f"{file}: {name}" for name in names if name.partition(".")[0] in blocked]
print(json.dumps(failed))
"""


def scripts_of_environments():
    found = {}
    for file in sorted((ROOT / "workflow/rules").glob("*.smk")):
        for environment, script in RULE.findall(file.read_text()):
            found.setdefault(environment, set()).add(script)
    return found


SCRIPTS = scripts_of_environments()


def installed(environment):
    """Distributions that an environment installs, with their dependencies."""
    listed = yaml.safe_load((ROOT / f"envs/{environment}.yaml").read_text())["dependencies"]
    waiting, found = [Requirement(line) for line in listed[-1]["pip"]], set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate()):
            continue
        found.add(name)
        try:
            waiting += [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
    return found


def test_every_script_of_a_rule_has_an_environment():
    rules = "".join(file.read_text() for file in (ROOT / "workflow/rules").glob("*.smk"))
    named = set(re.findall(r'script_path\("(\w+)"\)', rules))
    assert set.union(*SCRIPTS.values()) == named


@pytest.mark.parametrize("environment", sorted(SCRIPTS))
def test_scripts_import_only_what_their_environment_lists(environment):
    present = installed(environment)
    blocked = [
        module
        for module, owners in packages_distributions().items()
        if present.isdisjoint(map(canonicalize_name, owners))
    ]
    assert "snakemake" in blocked
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=ROOT / "scripts",
        input=json.dumps([blocked, sorted(SCRIPTS[environment])]),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_dockerfile_is_that_of_the_environments(tmp_path):
    conda = tmp_path / "conda"  # Snakemake only asks it who it is
    conda.write_text("""#!/bin/sh
case "$1" in
    info) echo '{"conda_version": "25.9.1", "conda_prefix": "/", "platform": "linux-64"}' ;;
    --version) echo 'conda 25.9.1' ;;
    *) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
""")
    conda.chmod(0o755)
    written = subprocess.run(
        [sys.executable, "-m", "snakemake", "--containerize"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert written.returncode == 0, written.stderr
    _, _, kept = (ROOT / "envs/Dockerfile").read_text().partition("\n")
    assert written.stdout == kept, "snakemake --containerize > envs/Dockerfile"
