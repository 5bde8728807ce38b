"""Neither planning many runs nor the start of a remote job takes time that it need not."""

import json
import os
import subprocess
import sys
from functools import cache
from importlib import import_module
from types import SimpleNamespace

import pytest
from test_plan import keep_plan

from planning import plan, quick_planning

# A call of Snakemake that counts files of rules, answers from a cache, and files looked at.
OBSERVED = """
import json, os

import snakemake.cli, snakemake.rules, snakemake.sourcecache

looked_at, of_rules = set(), []

def observed(look):
    def looked(path, *arguments, **options):
        looked_at.add(str(path))
        return look(path, *arguments, **options)
    return looked

os.stat, os.lstat = observed(os.stat), observed(os.lstat)
add = snakemake.rules.Rule._set_inoutput_item
snakemake.rules.Rule._set_inoutput_item = lambda *a, **k: of_rules.append(a) or add(*a, **k)
try:
    snakemake.cli.main()
finally:
    cached = snakemake.rules.get_function_params, snakemake.sourcecache.parse_uri
    answers = [f.cache_info().hits if hasattr(f, "cache_info") else 0 for f in cached]
    with open("observed.json", "w") as file:
        json.dump([sorted(looked_at), len(of_rules), answers], file)
"""


def observe(project, *arguments, **environment):
    """Files that a call of Snakemake looked at, number of rules' files, answers from a cache."""
    done = subprocess.run(
        [sys.executable, "-c", OBSERVED, "--cores", "1", *arguments],
        cwd=project.path,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((project.path / "observed.json").read_text())


def start_of_a_remote_job(project):
    """What a job on another machine looks at before its work."""
    keep_plan(project)
    job = ["--target-jobs", "train:variant=adaptive,dataset=line,seed=0"]
    job += ["--mode", "remote", "--allowed-rules", "train", "--force", "--nolock", "--dry-run"]
    return observe(project, *job, **{plan.VARIABLE: (project.path / "plan").read_text()})


def test_a_remote_job_lists_no_files_of_other_runs(project):
    _, few, _ = start_of_a_remote_job(project)
    project.configure(run={"seeds": list(range(50))})
    looked_at, many, _ = start_of_a_remote_job(project)
    assert many == few
    assert any("adaptive/line/0." in file for file in looked_at)
    assert not [file for file in looked_at if "baseline/" in file or "circle/" in file]


def test_planning_asks_once_for_what_does_not_change(project):
    *_, answers = observe(project, "--dry-run", "--forceall")
    assert min(answers) > 50


@pytest.mark.parametrize("name", quick_planning.PURE)
def test_the_functions_are_those_of_the_installed_snakemake(name):
    module = import_module(name)
    assert all(callable(getattr(module, function)) for function in quick_planning.PURE[name])


def test_a_cached_function_is_not_cached_again_and_a_missing_one_left_out(monkeypatch):
    module = SimpleNamespace(known=cache(len))
    monkeypatch.setitem(sys.modules, "of_snakemake", module)
    monkeypatch.setattr(quick_planning, "PURE", {"of_snakemake": ["known", "unknown"]})
    before = module.known
    quick_planning.cache_pure_functions()
    assert vars(module) == {"known": before}
