"""One GPU for each job on this machine: Snakemake counts GPUs and does not hand them out."""

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

_held: list[TextIO] = []
"""Open while the process lives: however it ends, the system then frees what it locked."""


def installed_gpus() -> list[str]:
    """The UUIDs of the machine's GPUs, as nvidia-smi lists them."""
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return re.findall(r"^GPU \d+:.*UUID: ([\w-]+)", listed.stdout, flags=re.MULTILINE)


def visible_gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES names, or all of the machine's; by UUID where that is known."""
    uuids = installed_gpus()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return uuids
    names = [name.strip() for name in named.split(",") if name.strip()]
    shown = takewhile(lambda name: not name.startswith("-"), names)  # -1 hides all that follow
    return [
        uuids[int(name)] if name.isdigit() and int(name) < len(uuids) else name for name in shown
    ]


def built_for_gpus() -> bool:
    """Whether the installed PyTorch is a build for GPUs. Imports no PyTorch, which takes seconds.

    True where none is installed: jobs then run in an environment of their own.
    """
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return True
    version = runpy.run_path(str(Path(found.origin).with_name("version.py")))
    return version["cuda"] is not None


def lease_gpu() -> str | None:
    """Take a GPU that no other job of this user holds, waiting for one; None where there is none.

    From then on it is the only one that CUDA shows this process. Slurm hands out GPUs itself, and
    may call those of two allocations by one name: only jobs within one allocation share its GPUs.
    """
    gpus = visible_gpus()
    if not gpus:
        return None
    folder = Path(tempfile.gettempdir()) / f"dualscale-gpus-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    allocation = os.environ.get("SLURM_JOB_ID", "")
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
            # UUIDs and nvidia-smi's numbers, which count in the order of the bus.
            os.environ.update(CUDA_DEVICE_ORDER="PCI_BUS_ID", CUDA_VISIBLE_DEVICES=gpu)
            logging.info("holding GPU %s, one of %d", gpu, len(gpus))
            return gpu
        if not waited:
            logging.info("waiting for one of %d GPUs, all of them held", len(gpus))
            waited = True
        time.sleep(0.2)
