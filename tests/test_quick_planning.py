"""Planning many runs, and the start of a job among them, take no time that they need not."""

import os
import subprocess
import sys
from importlib import import_module
from types import SimpleNamespace

import pytest
from conftest import ROOT, copy_run

import quick_planning

# Reports on a call of Snakemake: questions to a cached function, and the files that were looked at.
OBSERVED = """
import json, os, sys

asked = set()

def observed(look):
    def looked(path, *arguments, **options):
        asked.add(os.fsdecode(path) if not isinstance(path, int) else "")
        return look(path, *arguments, **options)
    return looked

os.stat, os.lstat, os.open = map(observed, (os.stat, os.lstat, os.open))

import snakemake.cli, snakemake.rules, snakemake.sourcecache

try:
    snakemake.cli.main()
finally:
    answers = [snakemake.rules.get_function_params, snakemake.sourcecache.parse_uri]
    hits = [found.cache_info().hits if hasattr(found, "cache_info") else 0 for found in answers]
    with open("observed.json", "w") as file:
        json.dump({"files": sorted(asked), "hits": hits}, file)
"""
