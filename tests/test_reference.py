"""The generated schema and page of keys are those of the classes."""

import json
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs"))

from reference import GUIDE, PAGE, SCHEMA, choices, page, schema  # noqa: E402


def test_the_schema_is_that_of_the_classes():
    assert json.loads(SCHEMA.read_text()) == schema(), "run python docs/reference.py"


def test_the_page_of_keys_is_that_of_the_classes():
    assert PAGE.read_text() == page(), "run python docs/reference.py"


def keys_of(rule):
    """Names of all keys that a schema allows, at any depth, by path."""
    if "anyOf" in rule:
        return {key: value for each in rule["anyOf"] for key, value in keys_of(each).items()}
    found = {key: keys_of(value) for key, value in rule.get("properties", {}).items()}
    return found or (
        {"*": keys_of(rule["additionalProperties"])} if rule.get("additionalProperties") else {}
    )


def unknown(settings, keys, at=""):
    if not isinstance(settings, dict) or not keys:
        return
    for key, value in settings.items():
        if key not in keys and "*" not in keys:
            yield f"{at}.{key}"
        else:
            yield from unknown(value, keys.get(key, keys.get("*")), f"{at}.{key}")


FILES = [ROOT / "config.yaml", *sorted((ROOT / "workflow/protocols").glob("*.yaml"))]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_editor_knows_every_key_of_the_shipped_files(file):
    assert list(unknown(yaml.safe_load(file.read_text()), keys_of(schema()))) == []


def test_the_guides_list_of_parts_is_that_of_the_classes():
    assert choices() in GUIDE.read_text(), "run python docs/reference.py"
