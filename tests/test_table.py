import math

import numpy as np
import pandas as pd

from collect_records import main as collect
from dualscale.reporting.tables import Table, read_table
from dualscale.runtime.records import write_record
from plot_decomposition import main as plot_decomposition
from tabulate_paper import main as tabulate_paper

METRICS = """variant,dataset,seed,kl_bits,train_seconds,sample_seconds,eval_loss,parameters,device,\
models_trained_together
NA,01,0,1.0,2.0,3.0,4.0,5,A,1
NA,01,1,2.0,2.0,3.0,4.0,5,A,1
"""
PUBLISHED = "variant,dataset,kl_bits,train_seconds,sample_seconds\nbaseline,dino,1,2,3\n"


def make(tmp_path, label="My variant", note=None, floor=False):
    (tmp_path / "metrics.csv").write_text(METRICS)
    (tmp_path / "published.csv").write_text(PUBLISHED)
    outputs = {name: tmp_path / f"table1.{name}" for name in ("csv", "md", "tex", "html")}
    settings = {
        "labels": {"NA": label},
        "notes": {"NA": note},
        "points": 100,
        "steps": {"NA": 20},
    }
    (tmp_path / "01").mkdir(exist_ok=True)
    np.savez(tmp_path / "01/5.npz", distances=np.ones(3000))
    (tmp_path / "01.csv").write_text("dataset,seed,kl_bits\n01,0,-0.5\n01,1,-0.25\n")
    floors = [tmp_path / "01.csv"] if floor else []
    neighbours = [tmp_path / "01/5.npz"]
    paths = tmp_path / "metrics.csv", tmp_path / "published.csv", neighbours, floors
    tabulate_paper(*paths, list(outputs.values()), settings=settings)
    return {name: path.read_text("utf-8") for name, path in outputs.items()}


def test_names_that_look_like_numbers_or_gaps_stay_names(tmp_path):
    make(tmp_path)
    table = pd.read_csv(tmp_path / "table1.csv", dtype=str, keep_default_na=False)
    assert table[["variant", "dataset", "seeds"]].to_numpy().tolist() == [["NA", "01", "2"]]


def test_several_seeds_show_mean_and_interval(tmp_path):
    assert "1.500 [-4.853, 7.853]" in make(tmp_path)["md"]


def test_a_floor_stands_beside_the_kl_where_it_was_estimated(tmp_path):
    assert "| 1.500 [-4.853, 7.853] |  -0.375 |" in make(tmp_path, floor=True)["md"]
    assert "floor" not in make(tmp_path)["md"]


def test_the_table_says_how_many_real_points_its_kl_takes(tmp_path):
    assert "real points: 3,000" in make(tmp_path)["md"]
    assert pd.read_csv(tmp_path / "table1.csv")["kl_real_points"].tolist() == [3000]


def test_every_row_of_a_page_says_its_names_so_that_it_can_be_sorted():
    table = Table("T", ["variant", "dataset", "KL"], [["A", "x", "1"], ["", "y", "2"]], "", (), 2)
    assert table.html().count("<td>A") == 2
    assert table.md().count("| A ") == 1


def test_a_variant_that_was_not_published_has_no_published_figure(tmp_path):
    make(tmp_path)
    table = pd.read_csv(tmp_path / "table1.csv")
    assert table["kl_bits_published"].isna().all()


def test_special_characters_of_users_do_not_break_the_formats(tmp_path):
    texts = make(tmp_path, label="a|b <i>", note="50 % of $x_1$ & <b>more</b>")
    assert "<b>" not in texts["html"]
    assert "<i>" not in texts["html"]
    assert r"50 \% of \$x\_1\$ \& " in texts["tex"]
    rows = [line for line in texts["md"].splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1


def test_a_sampling_on_another_device_is_named(tmp_path):
    for name, record in {
        "training": {"train_seconds": 1.0, "eval_loss": 2.0, "parameters": 3, "device": "A"}
        | {"seeds": [0]},
        "sampling": {"sample_seconds": 4.0, "device": "B"},
        "divergence": {"kl_bits": 5.0},
    }.items():
        path = tmp_path / name / "v/d/0.json"
        path.parent.mkdir(parents=True)
        write_record(path, record | {"settings_digest": name})
    collect(sorted(tmp_path.glob("*/v/d/0.json")), [tmp_path / "v.csv"])
    row = pd.read_csv(tmp_path / "v.csv").iloc[0]
    assert "sampling_settings" not in row
    assert row["device"] == "B (sampling), A (training)"
    assert row["kl_bits"] == 5


def test_a_table_keeps_its_names_and_misses_only_empty_cells(tmp_path):
    (tmp_path / "a.csv").write_text("variant,dataset,kl_bits,level\nNA,01,,inf\nnull,1e3,0.5,2\n")
    table = read_table(tmp_path / "a.csv")
    assert table[["variant", "dataset"]].to_numpy().tolist() == [["NA", "01"], ["null", "1e3"]]
    assert table["kl_bits"].isna().tolist() == [True, False]
    assert table["level"].tolist() == [math.inf, 2]


def test_figure_3_shows_a_variant_and_a_dataset_whatever_they_are_called(tmp_path):
    parts = ["floor_bits", "start_bits", "steps_bits", "network_bits", "kl_bits"]
    (tmp_path / "a.csv").write_text(f"variant,dataset,{','.join(parts)}\nNA,null,1,2,3,4,10\n")
    plot_decomposition(tmp_path / "a.csv", [tmp_path / "a.svg"], labels={"NA": "My label"})
    assert "My label" in (tmp_path / "a.svg").read_text()
