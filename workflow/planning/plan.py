"""The planned configuration, passed to jobs so that later edits do not affect them.

A cluster job reads the workflow when it starts, perhaps hours after planning. The configuration as
planned travels in an environment variable that the workflow declares under `envvars:`, so there is
no file to share, lose or clean up.
"""

import base64
import json
import os
import zlib
from typing import Any

VARIABLE = "DUALSCALE_PLAN"
MOST_BYTES = 128 * 1024 - len(VARIABLE) - 2
"""Maximum size of the variable's value on Linux."""

_handed_on: dict[str, Any] = {}
"""Plans of this process by workflow module; a host workflow may use several."""


class PlanError(ValueError):
    """A plan cannot be passed on or read; the message is one line."""


def hand_on(module: str, plan: Any) -> None:
    """Pass a plan of JSON values to the jobs of this process.

    Args:
        module: name of the workflow module that it belongs to; empty for the main workflow.

    Raises:
        PlanError: the plan is too large.
    """
    _handed_on[module] = plan
    packed = base64.urlsafe_b64encode(zlib.compress(json.dumps(_handed_on).encode(), 9))
    if len(packed) > MOST_BYTES:
        raise PlanError(
            f"the configuration takes {len(packed):,} bytes compressed: at most {MOST_BYTES:,} "
            "can be handed to jobs; split it into several runs"
        )
    os.environ[VARIABLE] = packed.decode()


def received(module: str) -> Any:
    """Return a module's plan from the process that started this job.

    Raises:
        PlanError: the plan is missing or damaged.
    """
    try:
        packed = base64.urlsafe_b64decode(os.environ[VARIABLE])
        return json.loads(zlib.decompress(packed))[module]
    except KeyError as error:
        what = f"nothing about the module {module}" if VARIABLE in os.environ else "no value"
        raise PlanError(
            f"the environment variable {VARIABLE} of this job has {what}: the executor must hand "
            "on the variables that the workflow declares (envvars)"
        ) from error
    except (ValueError, zlib.error) as error:
        raise PlanError(
            f"the environment variable {VARIABLE} of this job is damaged: {error}"
        ) from error
