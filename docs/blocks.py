"""Generated blocks of a page, between `<!-- name -->` and `<!-- end of name -->`."""

import re

NUMBER = re.compile(r"<!-- (?!end of )([\w ]+) -->\n.*?<!-- end of \1 -->", flags=re.DOTALL)


def fill(text: str, name: str, content: str) -> str:
    """Return the page with the block's content replaced.

    Raises:
        ValueError: the page has no such block.
    """
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"the page has no block {name!r}: put {start.strip()} and {end.strip()}")
    return before + start + content + end + after


def without(text: str) -> str:
    """Return the page without its blocks."""
    return NUMBER.sub("", text)
