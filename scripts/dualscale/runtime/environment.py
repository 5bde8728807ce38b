"""Settings of a machine or a person, from environment variables; they change no result."""

import math
import os


def seconds(variable: str, default: float) -> float:
    """Return the seconds that an environment variable says, or the default if it is not set.

    Raises:
        ValueError: the variable holds no number of 0 or more.
    """
    text = os.environ.get(variable)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError(f"{variable} is {text!r}: a number of seconds, 0 or more, is allowed")
    return value
