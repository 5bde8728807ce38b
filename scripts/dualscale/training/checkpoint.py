"""Checkpoints: everything that an interrupted training needs to resume bit for bit."""

import hashlib
import json
import math
from dataclasses import dataclass

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """State of a training between two optimiser steps.

    Args:
        origin: digest of everything that the training depends on.
        step: number of steps done.
        seconds: their wall time.
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
