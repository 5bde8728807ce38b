"""CONTRIBUTING's graphs match the code."""

import importlib.util

from conftest import ROOT


def test_the_graphs_are_up_to_date():
    spec = importlib.util.spec_from_file_location("graphs", ROOT / "docs/graphs.py")
    graphs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(graphs)
    assert graphs.page() == (ROOT / "CONTRIBUTING.md").read_text()
