"""A job with a wrong setting: each of its attempts would end in the same way."""

from pathlib import Path

from execution.job import job

with job(snakemake), Path("wrong_attempts").open("a") as file:  # noqa: F821
    print("attempt", file=file)
    raise ValueError("a wrong setting")
