"""Regenerate the graphs of CONTRIBUTING.md: rules, and imports between modules.

python docs/graphs.py
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

from blocks import fill

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "CONTRIBUTING.md"
TARGETS = ["all", "study", "few_steps", "recommended", "systems", "pictures"]
PLAIN = ["--nolock", "--cores", "1", "--config", "device=cpu"]


def rule_graph() -> str:
    """Mermaid graph of the rules and their dependencies, from Snakemake."""
    command = [sys.executable, "-m", "snakemake", *PLAIN, "--rulegraph", "mermaid-js", "--"]
    done = subprocess.run(
        [*command, *TARGETS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]", done.stdout, flags=re.MULTILINE))
    edges = re.findall(r"^\s*(id\d+) --> (id\d+)", done.stdout, flags=re.MULTILINE)
    pairs = {(names[first], names[last]) for first, last in edges}
    return mermaid({(first, last) for first, last in pairs if last not in TARGETS})


def package_graph() -> str:
    """Mermaid graph of the imports between the packages of scripts/dualscale."""
    root, edges = ROOT / "scripts/dualscale", set()
    for file in root.rglob("*.py"):
        name = file.relative_to(root).with_suffix("").parts[0]
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dualscale."):
                edges.add((name, node.module.split(".")[1]))
    return mermaid({(name, other) for name, other in edges if name != other})


def mermaid(edges: set[tuple[str, str]]) -> str:
    lines = [f"    {first} --> {last}" for first, last in sorted(edges)]
    return "\n".join(["```mermaid", "flowchart LR", *lines, "```"])


def page() -> str:
    """Return CONTRIBUTING.md with regenerated graphs."""
    text = PAGE.read_text()
    for name, graph in (("rules", rule_graph()), ("packages", package_graph())):
        text = fill(text, name, graph)
    return text


if __name__ == "__main__":
    PAGE.write_text(page())
