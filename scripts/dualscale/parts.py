"""Kinds of each configurable part and their options, for code that loads no PyTorch."""

from typing import Any

LEARNED_DEFAULTS = {"gate": "softmax", "negative_slope": 0.2, "sees": "t"}
BETAS = {"beta_first": 1e-4, "beta_last": 0.02}
SIGMAS = {"sigma_first": 0.005, "sigma_last": 30.0}
OF_KIND: dict[str, dict[str, dict[str, Any]]] = {
    "schedule": {
        "linear": BETAS,
        "quadratic": BETAS,
        "zero_terminal_snr": BETAS,
        "cosine": {},
        "interpolation": {},
        "log_linear": SIGMAS,
        "karras": SIGMAS | {"rho": 7.0},
    },
    "loss": {
        "uniform": {},
        "min_snr": {"limit": 5.0},
        "log_normal": {"mean": -1.2, "deviation": 1.2},
    },
    "sampler": {
        "ancestral": {"variance": "posterior"},
        "ddim": {},
        "heun": {},
        "dpm_solver": {},
    },
}
"""Options of each kind of a part, beyond those of all kinds, with their defaults."""
REAL = "real"
"""Name of fresh real points in the study's tables, in the column of variants."""
