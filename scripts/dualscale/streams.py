"""Named random streams: every random number of the project is a function of (seed, purpose)."""

import hashlib


def stream_seed(seed: int | str, *purpose: str | int) -> int:
    """The seed of the stream that serves one purpose, an integer in [0, 2^63).

    Streams of different names are independent, and none moves when another is added. Two
    variants that name the same (seed, purpose) share their random numbers.
    """
    name = "/".join(str(part) for part in (seed, *purpose))
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
