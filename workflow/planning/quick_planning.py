"""A cache for functions of Snakemake that it calls several times for every job of the graph."""

from functools import cache
from importlib import import_module

PURE = {
    "snakemake.common": ["get_function_params"],
    "snakemake.rules": ["get_function_params"],
    "snakemake.sourcecache": ["parse_uri"],
}
"""Functions by module, as the module knows them; they depend on their arguments alone."""


def cache_pure_functions() -> None:
    """Remember the results of `PURE`; functions that another Snakemake lacks are left out."""
    for name, functions in PURE.items():
        module = import_module(name)
        for function in functions:
            found = getattr(module, function, None)
            if found is not None and not hasattr(found, "cache_info"):
                setattr(module, function, cache(found))
