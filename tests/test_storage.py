"""Results in an object store: the S3 plugin against a local server."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pytest
from conftest import ROOT, TINY, copy_project

PLUGIN = ROOT / ".venv/storage"
RCLONE = shutil.which("rclone", path=PLUGIN / "bin")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        RCLONE is None, reason="no object store: requirements-storage.txt is not in .venv/storage"
    ),
]


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@pytest.fixture
def bucket(tmp_path):
    """Folder of a bucket and the address of its server."""
    (tmp_path / "store/bucket").mkdir(parents=True)
    port = free_port()
    command = [RCLONE, "serve", "s3", "--addr", f"127.0.0.1:{port}", str(tmp_path / "store")]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while server.poll() is None:
        with closing(socket.socket()) as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.1)
    yield tmp_path / "store/bucket", f"http://127.0.0.1:{port}"
    server.terminate()
    server.wait()


def run(project, address, *arguments, fails=False):
    access = {"ENDPOINT_URL": address, "ACCESS_KEY": "any", "SECRET_KEY": "any"}
    stored = {f"SNAKEMAKE_STORAGE_S3_{key}": value for key, value in access.items()}
    place = ["--default-storage-provider", "s3", "--default-storage-prefix", "s3://bucket/tiny"]
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "2", *place, *arguments],
        cwd=project.path,
        env={**os.environ, **stored, "PYTHONPATH": str(PLUGIN)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_results_in_an_object_store_are_those_of_a_local_run(finished, bucket, tmp_path):
    folder, address = bucket
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    run(project, address)
    local, stored = finished.path / "results", folder / "tiny/results"
    for pattern in ("models/*/*/0.safetensors", "samples/*/*/0.npy", "paper/*.svg"):
        files = [file.relative_to(local) for file in local.glob(pattern)]
        assert files
        for file in files:
            assert (stored / file).read_bytes() == (local / file).read_bytes(), file
    assert not list(project.path.glob("results/**/*.safetensors")), "only in the store"
    assert "Nothing to be done" in run(project, address)


def test_data_and_stacks_that_lie_only_in_the_store_are_known(bucket, tmp_path):
    folder, address = bucket
    (folder / "tiny").mkdir()
    points = np.random.default_rng(0).normal(size=(300, 2))
    np.savetxt(folder / "tiny/points.csv", points, delimiter=",", header="x,y", comments="")
    first, second = (copy_project(ROOT, tmp_path / name) for name in ("first", "second"))
    samples = [f"results/samples/baseline/mine/{seed}.npy" for seed in (0, 1)]
    runs = {"variants": ["baseline"], "datasets": ["mine"]}
    first.configure(**TINY)
    first.configure(datasets={"mine": {"file": "points.csv"}})
    first.configure(run=runs | {"seeds": [0, 1, 2], "seeds_per_job": 3})
    run(first, address, "--", *samples)
    second.configure(**TINY)
    second.configure(datasets={"mine": {"file": "points.csv"}})
    second.configure(run=runs | {"seeds": [0, 1], "seeds_per_job": 1})
    assert not (second.path / "results").exists()
    assert "Nothing to be done" in run(second, address, "--", *samples)
    assert "seeds 0, 1, 2" in run(second, address, "--forceall", "--dry-run", "--", *samples)


def test_data_that_the_store_lacks_are_refused_in_a_line(bucket, tmp_path):
    project = copy_project(ROOT, tmp_path / "project")
    project.configure(**TINY)
    project.configure(run={"datasets": ["mine"]}, datasets={"mine": {"file": "points.csv"}})
    (project.path / "points.csv").write_text("here only")
    done = run(project, bucket[1], fails=True)
    assert "points.csv': there is no such file in the object store" in done
