"""Everything that asks Slurm, or reads what Slurm and its executor plugin write."""

import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

KILLED = re.compile(r"^slurmstepd\S*: error: (.*)", flags=re.MULTILINE)
"""Line in Slurm's own log of a job that it ends."""


def own_job() -> str | None:
    """Return the number of the Slurm job that this process belongs to; None outside Slurm."""
    return os.environ.get("SLURM_JOB_ID")


def has_job(number: str) -> bool | None:
    """Whether Slurm still has a job, waiting or running; None if Slurm does not answer."""
    command = ["squeue", "--noheader", "--jobs", number, "--format", "%T"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    if asked.returncode:
        return False if re.search("invalid job id", asked.stderr, re.IGNORECASE) else None
    return bool(asked.stdout.strip())


def label(number: str) -> str:
    """Return what messages call a job."""
    return f"Slurm job {number}"


def cancel_command(number: str) -> str:
    """Return the command that ends a job."""
    return f"scancel {number}"


def cause_of_end(message: str | None, logs: Iterable[Path]) -> str:
    """Return why Slurm ended a job; empty if the job ended by itself, or was not Slurm's.

    Args:
        message: the executor plugin's, with the state of the job.
        logs: Slurm's own, of the job.
    """
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs if log.is_file()]
    causes = dict.fromkeys(cause for text in texts for cause in KILLED.findall(text))
    if not message or "SLURM status" not in message or ("'FAILED'" in message and not causes):
        return ""
    return " ".join([message.partition(" Detailed failure reason")[0], *causes])


def keep_log_folders(folder: Path | None) -> None:
    """Keep the folders of logs that waiting jobs have yet to write.

    The executor plugin deletes the empty ones when it ends, and the jobs would fail as they start.

    Args:
        folder: of all logs; None, the plugin's default.
    """
    folder = Path(folder or ".snakemake/slurm_logs")
    for empty in [path for path in folder.rglob("*") if path.is_dir()]:
        (empty / ".keep").touch()
