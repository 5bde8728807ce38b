"""Named random streams: every random number in the project is a function of (seed, purpose)."""

import hashlib


def stream_seed(seed: int | str, *purpose: str | int) -> int:
    """Seed of the stream for one purpose, an integer in [0, 2^63).

    Streams with different names are independent, and adding one changes no other. Variants that use
    the same (seed, purpose) share their random numbers.
    """
    name = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
