"""Text of strangers: values of plain types or one short sentence, within moments."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from aaff.errors import AaffError, DataError, ModelError, OptionError, shown
from aaff.textfile import MAX_YAML, parse_json, parse_yaml, read_json, read_text, read_yaml, to_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "a: &a [*a]",
        "[" * 100_000,
        "{a: " * 500,
        "a: !!int ''",
        "a: !!python/object/apply:os.system [ls]",
        "a: !!timestamp 2024-99-99",
        "a: 1\na: 2",
        "? [a]\n: b",
        "---\na\n---\nb",
        "a: 1" + "0" * 10_000,
        "a: 1.0e+999999999",
        "a: \x07",
        "a: [",
    ],
)
def test_hostile_yaml_ends_in_a_short_sentence(text: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_yaml(text, "recipe.yaml", kind=OptionError)
    assert "recipe.yaml" in str(error.value)
    assert len(str(error.value)) < 500
    assert str(error.value).isprintable()


def test_yaml_gives_plain_values() -> None:
    text = "{a: 2024-01-01, b: 12:30:00, c: 0x1f, d: 1_000, e: no, f: ~, g: -3, h: 1.5, i: 'no', j: !!str 5}"
    values = ["2024-01-01", "12:30:00", "0x1f", "1_000", False, None, -3, 1.5, "no", "5"]
    assert list(parse_yaml(text, "it").values()) == values
    assert parse_yaml("", "it") is None


@given(st.recursive(st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(), st.lists, max_leaves=8))
@example("\x85\u2028\u2029")
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse_yaml(to_yaml({"key": value}), "it") == {"key": value}
    assert parse_yaml(yaml.safe_dump({"key": value}), "it") == {"key": value}


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "[" * 30 + "]" * 30, '{"a": 1, "a": 2}', "NaN", "1e999", "1" * 5000, '{"a": Infinity}'],
)
def test_hostile_json_ends_in_a_short_sentence(text: str) -> None:
    with pytest.raises(ModelError) as error:
        parse_json(text, "card.json", kind=ModelError)
    assert "card.json" in str(error.value)
    assert len(str(error.value)) < 500


def test_text_is_utf8_of_a_bounded_size(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffGräser".encode())
    assert read_text(path) == "Gräser"
    for content in ("Gräser".encode("latin-1"), "a".encode("utf-16"), b"a\0b", b" " * (MAX_YAML + 1)):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.txt"):
            read_text(path, limit=MAX_YAML)
    (tmp_path / "loop").symlink_to("loop")
    for name in ("x" * 300, "loop", "absent", "."):
        for read in (read_text, read_yaml, read_json):
            with pytest.raises(AaffError):
                read(tmp_path / name)


@given(st.recursive(st.text() | st.integers() | st.binary(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_a_quoted_value_is_short_and_printable(value: object) -> None:
    assert len(shown(value)) < 1000
    assert shown(value).isprintable()


def test_a_value_of_any_size_is_quoted_short() -> None:
    deep: object = "x"
    for _ in range(50):
        deep = [deep] * 9
    assert len(shown(deep)) < 200
    assert len(shown(10**10_000)) < 200


def test_a_file_name_that_is_not_utf8_survives_json(tmp_path: Path) -> None:
    from aaff.files import write_json

    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    write_json(tmp_path / "a.json", {"source": name})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"source": name}
