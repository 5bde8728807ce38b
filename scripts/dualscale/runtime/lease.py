"""Assignment of one GPU to each job on this machine; Snakemake only counts GPUs."""

import fcntl
import importlib.util
import logging
import os
import re
import runpy
import shutil
import subprocess
import tempfile
import time
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from dualscale.runtime import slurm

_held: list[TextIO] = []
"""Open while the process lives: however it ends, the system then frees what it locked."""


def installed_gpus() -> list[str]:
    """UUIDs of the machine's GPUs, from nvidia-smi."""
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return re.findall(r"^GPU \d+:.*UUID: ([\w-]+)", listed.stdout, flags=re.MULTILINE)


def visible_gpus() -> list[str]:
    """GPUs in CUDA_VISIBLE_DEVICES, or all of the machine's; as UUIDs where known."""
    uuids = installed_gpus()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return uuids
    names = [name.strip() for name in named.split(",") if name.strip()]
    shown = takewhile(lambda name: not name.startswith("-"), names)  # -1 hides the rest
    return [
        uuids[int(name)] if name.isdigit() and int(name) < len(uuids) else name for name in shown
    ]


def built_for_gpus() -> bool:
    """Whether the installed PyTorch is a GPU build, found without its slow import.

    True if none is installed: jobs then have an environment of their own.
    """
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return True
    version = runpy.run_path(str(Path(found.origin).with_name("version.py")))
    return version["cuda"] is not None


def lease_gpu() -> str | None:
    """Reserve a GPU that no other job of this user holds, or wait for one; None without GPUs.

    CUDA then shows this process only that GPU. Slurm assigns GPUs itself, and the GPUs of two
    allocations may have the same name, so under Slurm only jobs of one allocation share GPUs.
    """
    gpus = visible_gpus()
    if not gpus:
        return None
    folder = Path(tempfile.gettempdir()) / f"dualscale-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    allocation = slurm.own_job() or ""
    waited = False
    while True:
        for gpu in gpus:
            file = (folder / re.sub(r"[^\w-]", "_", f"{gpu}.{allocation}")).open("w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            _held.append(file)
            # UUIDs and nvidia-smi's indices, which follow the PCI bus order.
            os.environ.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES=gpu)
            logging.info("holding GPU %s, one of %d", gpu, len(gpus))
            return gpu
        if not waited:
            logging.info("waiting for one of %d GPUs, all of them held", len(gpus))
            waited = True
        time.sleep(0.2)
