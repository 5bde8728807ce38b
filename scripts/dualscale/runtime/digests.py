"""Digests of files, settings and code, for tracking what jobs depend on; equal in every clone."""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np


def digest_file(path: Path) -> str:
    """SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_files(*files: str | Path) -> str:
    """Digest of the contents of files, in the given order."""
    return _digest(b"\0".join(Path(file).read_bytes() for file in files))


def digest_settings(*parts: object) -> str:
    """Digest of JSON values and arrays, 16 hexadecimal digits; independent of the order of keys."""
    return _digest(json.dumps(parts, sort_keys=True, default=_digest_array).encode())


def _digest_array(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


@cache  # called once per job
def digest_code(script: Path, root: Path) -> str:
    """Digest of a Python file and, recursively, of the modules below the root that it imports.

    Covers only what Python executes, not comments, blank lines, docstrings or layout.
    """
    digests, seen, waiting = [], set(), [script]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            code, imported = _read(file, root)
            digests.append(code)
            waiting += imported
    return _digest(" ".join(sorted(digests)).encode())


@cache
def _read(file: Path, root: Path) -> tuple[str, list[Path]]:
    """Digest of one file's code, and the files below the root that it imports."""
    source = file.read_bytes()
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):  # reported by the job that runs it
        return _digest(source), []
    imported = (part for node in ast.walk(tree) for part in _imported_files(node, file, root))
    return _digest(_canonical(tree).encode()), list(imported)


def _canonical(node: object) -> str:
    """Serialise a syntax tree without positions, docstrings and differences of Python versions."""
    if isinstance(node, list):
        return f"[{' '.join(_canonical(item) for item in node if not _is_docstring(item))}]"
    if not isinstance(node, ast.AST):
        return ascii(node)
    if isinstance(node, ast.JoinedStr):  # Python 3.12 adds an empty part to some f-strings
        node.values = [part for part in node.values if getattr(part, "value", None) != ""]
    fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
    return f"{type(node).__name__}({' '.join(f'{k}={_canonical(v)}' for k, v in fields)})"


def _is_docstring(node: object) -> bool:
    """Whether a node is a bare string, as the docstrings of functions and constants are."""
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _imported_files(node: ast.AST, file: Path, root: Path) -> Iterator[Path]:
    """Files below the root that an import statement executes; none for other nodes."""
    match node:
        case ast.Import(names=aliases):
            modules = [(root, alias.name.split(".")) for alias in aliases]
        case ast.ImportFrom(module=name, names=aliases, level=level):
            folder = file.parents[level - 1] if level else root
            package = name.split(".") if name else []
            modules = [(folder, [*package, alias.name]) for alias in aliases]
        case _:
            return
    for folder, parts in modules:
        for end in range(len(parts) + 1):  # packages execute before their modules
            path = folder.joinpath(*parts[:end])
            yield from filter(Path.is_file, (Path(f"{path}.py"), path / "__init__.py"))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
