"""DualScale diffusion: low-dimensional generative models with several weighted branches.

It offers `load_model`, `sample`, `fill` and `log_density`.
"""

from importlib import import_module
from typing import Any

PLACES = {
    "fill": "dualscale.filling",
    "load_model": "dualscale.model",
    "log_density": "dualscale.density",
    "sample": "dualscale.sampling",
}
__all__ = list(PLACES)


def __getattr__(name: str) -> Any:
    """Return what the package offers, by an import that is not a dependency of every script.

    PyTorch loads only then, so that planning a workflow is fast.
    """
    if name not in PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)
