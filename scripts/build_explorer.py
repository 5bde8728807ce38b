"""Build the explorer: one HTML file that shows every run's reverse process, without a network."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from dualscale.data.encoding import Encoding, read_encoding
from dualscale.reporting.figures import COLOURS, planar
from dualscale.reporting.grids import ARROWS, CELLS, panel
from dualscale.reporting.tables import read_records, read_table
from dualscale.runtime.files import atomic_write
from dualscale.runtime.records import RUN, run_of
from execution.job import run

LIMIT = 15_000_000  # bytes of the page
REAL_POINTS, FEWEST = 1500, 100
LOWEST = 40  # nats below the highest density that count as none
PARTS = ("floor_bits", "steps_bits", "start_bits", "network_bits")

Found = dict[str, Any]


def main(
    page: Path,
    style: Path,
    script: Path,
    trajectories: list[Path],
    fields: list[Path],
    real: list[Path],
    encodings: list[Path],
    weights: list[Path],
    metrics: Path,
    decomposition: list[Path],
    explorer: Path,
    *,
    settings: Mapping,
) -> None:
    """Write the page; as many points of each trajectory as fit into LIMIT are in it.

    Args:
        page: template of the page, into which style, script, library and data go.
        trajectories: of every run, from draw_trajectory.
        fields: of known distributions in the plane, from compute_fields, by variant and dataset.
        real: training points, one file per dataset.
        encodings: of the datasets from files.
        weights: branch weights of every run.
        metrics: KL of every run.
        decomposition: parts of the KL of every (variant, dataset); none without known densities.
        settings: labels by variant; weighted, the variants with learned weights; processes, the
            variant whose fields each variant shares.

    Raises:
        ValueError: the runs do not fit.
    """
    states = {run_name(path): load(path) for path in trajectories}
    columns = {path.stem: read_encoding(path) for path in encodings}
    labels = settings["labels"]
    data = {
        "grid": {"arrows": ARROWS, "cells": CELLS},
        "variants": [
            {"name": name, "label": label, "colour": COLOURS[i % len(COLOURS)]}
            for i, (name, label) in enumerate(labels.items())
        ],
        "seeds": list(dict.fromkeys(int(name.split("/")[2]) for name in states)),
        "datasets": {path.stem: shown_points(path, columns.get(path.stem)) for path in real},
        "processes": settings["processes"],
        "fields": {"/".join(path.with_suffix("").parts[-2:]): exact(path) for path in fields},
        "weights": learned_weights(weights, settings["weighted"]),
        "kl": kl(metrics, states),
        "parts": parts(decomposition),
        "runs": {name: about(found) for name, found in states.items()},
    }
    template = Template(page.read_text(encoding="utf-8"))
    texts = {"style": style.read_text(encoding="utf-8"), "code": script.read_text(encoding="utf-8")}

    def filled() -> bytes:
        inlined = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
        return template.substitute(texts, library=get_plotlyjs(), data=inlined).encode()

    points = fitting(LIMIT - len(filled()), states)
    for name, found in states.items():
        data["runs"][name]["points"] = packed(found["points"][:, :points])
    with atomic_write(explorer) as part:
        part.write_bytes(filled())


def run_name(path: Path) -> str:
    return "/".join(map(str, run_of(path).values()))


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def fitting(room: int, states: Mapping[str, Mapping[str, np.ndarray]]) -> int:
    """Return how many points of each trajectory fit into a number of bytes."""
    shapes = [found["points"].shape for found in states.values()]
    each = sum(levels * columns * 2 * 4 / 3 for levels, _, columns in shapes)
    fit = int((room - 300 * len(shapes)) / each)
    if fit < FEWEST:
        raise ValueError(
            f"{len(shapes)} runs do not fit into an explorer of {LIMIT // 10**6} MB: "
            "shorten run.variants or run.datasets"
        )
    return min(fit, max(points for _, points, _ in shapes))


def packed(values: np.ndarray) -> Found:
    """Return values (…, columns) as 16-bit integers in base64: value = low + step integer."""
    low, high = (edge(values, axis=tuple(range(values.ndim - 1))) for edge in (np.min, np.max))
    step = np.maximum((high - low) / 65535, 1e-12)
    integers = ((values - low) / step).round().astype("<u2")
    return {
        "low": low.tolist(),
        "step": step.tolist(),
        "shape": list(values.shape),
        "data": base64.b64encode(integers.tobytes()).decode(),
    }


def about(found: Mapping[str, np.ndarray]) -> Found:
    """Return what the page needs of a trajectory besides its points."""
    ratios = [ratio if np.isfinite(ratio) else None for ratio in found["ratios"].tolist()]
    about: Found = {"timesteps": found["timesteps"].tolist(), "ratios": ratios}
    if "scores" in found:
        about["scores"] = packed(found["scores"])
    return about


def shown_points(path: Path, columns: Encoding | None) -> Found:
    """Return some of the real points, evenly spaced in the file, and the panel that frames all."""
    points = np.load(path, allow_pickle=False)
    points = planar(points if columns is None else columns.numbers_first(points))
    low, high = panel(points)
    some = np.linspace(0, len(points) - 1, min(REAL_POINTS, len(points))).astype(int)
    return {"low": low.tolist(), "high": high.tolist(), "points": packed(points[some])}


def exact(path: Path) -> Found:
    """Return the exact fields of a distribution along a process."""
    found = load(path)
    density = found["log_density"]
    density = np.maximum(density, density.max() - LOWEST)
    return {"log_density": packed(density[..., None]), "scores": packed(found["scores"])}


def learned_weights(paths: Sequence[Path], weighted: Sequence[str]) -> Found:
    """Return the weights of every run by branch, a number for each timestep."""
    found = {}
    for path in paths:
        if run_of(path)["variant"] in weighted:
            table = read_records([path]).drop(columns=[*RUN, "timestep"])
            found[run_name(path)] = table.round(4).to_dict("list")
    return found


def kl(metrics: Path, names: Iterable[str]) -> dict[str, float]:
    """Return the KL in bits of every run that is shown."""
    bits = read_table(metrics).set_index(list(RUN))["kl_bits"].round(4)
    every = {"/".join(map(str, name)): value for name, value in bits.items()}
    return {name: every[name] for name in names}


def parts(decomposition: Sequence[Path]) -> dict[str, list[float]]:
    """Return the parts of the KL by variant and dataset, in bits and in the order of PARTS."""
    table = pd.concat([pd.DataFrame(), *map(read_table, decomposition)])
    return {
        f"{row['variant']}/{row['dataset']}": [round(row[part], 4) for part in PARTS]
        for row in table.to_dict("records")
    }


run(main, globals())
