"""Checkpoints: everything that an interrupted training needs to resume bit for bit."""

import hashlib
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dualscale.runtime.environment import seconds
from dualscale.runtime.files import atomic_write
from dualscale.training.trainer import Trainer

LEAST_SECONDS = 10.0  # between checkpoints
MOST_SHARE = 0.01  # of the training time
WRITING_RATE = 2e8  # bytes per second, assumed for the first checkpoint; later ones are timed
VARIABLE = "DUALSCALE_CHECKPOINT_SECONDS"
"""Environment variable with the interval between checkpoints, whatever they cost."""


@dataclass(frozen=True)
class Checkpoint:
    """State of a training between two optimiser steps.

    Args:
        origin: digest of everything that the training depends on.
        step: number of steps done.
        seconds: wall time of these steps.
        state: from `Trainer.state`.
    """

    origin: str
    step: int
    seconds: float
    state: dict[str, Tensor]

    def to_bytes(self) -> bytes:
        """Serialise to a SHA-256 digest, one line of JSON, and the state as safetensors."""
        about = {"origin": self.origin, "step": self.step, "seconds": self.seconds}
        tensors = {name: value.cpu().contiguous() for name, value in self.state.items()}
        content = json.dumps(about).encode() + b"\n" + save(tensors)
        return hashlib.sha256(content).digest() + content

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        """Deserialise a checkpoint, without running code from it.

        Raises:
            ValueError: the bytes are damaged, or not a checkpoint of this format.
        """
        digest, content = data[:32], data[32:]
        if hashlib.sha256(content).digest() != digest:
            raise ValueError("not a whole checkpoint")
        about, _, tensors = content.partition(b"\n")
        try:
            checkpoint = cls(**json.loads(about), state=load(tensors))
        except (RecursionError, SafetensorError, TypeError, ValueError) as error:
            raise ValueError(f"a checkpoint of another format ({error})") from error
        step, seconds = checkpoint.step, checkpoint.seconds
        if type(step) is not int or step < 0:
            raise ValueError(f"a checkpoint of another format (step is {step!r})")
        if type(seconds) is not float or not 0 <= seconds < math.inf:
            raise ValueError(f"a checkpoint of another format (seconds is {seconds!r})")
        return checkpoint


class CheckpointFile:
    """File of a training's last checkpoint, and the interval after which it is written anew.

    The interval is 100 times the last write time, at least 10 s, unless the environment variable
    `DUALSCALE_CHECKPOINT_SECONDS` sets it.

    Args:
        origin: digest of everything that the training depends on.
        size: bytes of the training's state.
    """

    def __init__(self, path: Path, origin: str, size: int):
        self.path, self.origin = path, origin
        self.pause = self._interval(size / WRITING_RATE)
        self.written = time.perf_counter()

    def _interval(self, cost: float) -> float:
        """Return the seconds until the next checkpoint, given those that writing one takes."""
        return seconds(VARIABLE, max(LEAST_SECONDS, cost / MOST_SHARE))

    def due(self) -> bool:
        """Whether the interval has passed since the last checkpoint."""
        return time.perf_counter() - self.written > self.pause

    def write(self, step: int, seconds: float, state: Mapping[str, Tensor]) -> float:
        """Write a checkpoint and return the seconds that this took.

        Failures to write are logged and ignored, since training does not depend on it.
        """
        start = time.perf_counter()
        try:
            with atomic_write(self.path, checksum=False) as part:  # it has a digest of its own
                part.write_bytes(Checkpoint(self.origin, step, seconds, dict(state)).to_bytes())
        except OSError as error:
            logging.warning("no checkpoint at step %d: %s", step, error)
        self.written = time.perf_counter()
        cost = self.written - start
        logging.info("checkpoint at step %d, in %.3f s", step, cost)
        self.pause = self._interval(cost)
        return cost

    def resume(self, trainer: Trainer) -> tuple[int, float]:
        """Restore the checkpoint; return the steps done and the seconds they took."""
        if not self.path.is_file():
            return 0, 0.0
        try:
            checkpoint = Checkpoint.from_bytes(self.path.read_bytes())
            if checkpoint.origin != self.origin:
                logging.info(
                    "%s is ignored: it was made with another config, data, code or device; "
                    "training starts anew",
                    self.path,
                )
                return 0, 0.0
            if not trainer.stops_at(checkpoint.step):
                raise ValueError(f"this training never stops at step {checkpoint.step}")
            trainer.restore(checkpoint.state)
        except (OSError, ValueError) as error:
            logging.info("%s is discarded: %s; training starts anew", self.path, error)
            return 0, 0.0
        logging.info("going on from step %d, after %.1f s", checkpoint.step, checkpoint.seconds)
        return checkpoint.step, checkpoint.seconds
