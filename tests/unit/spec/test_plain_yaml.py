"""Plain YAML and JSON, and nothing more."""

from __future__ import annotations

import pytest

from edgewise.spec.plain_yaml import load_json, load_yaml


def test_what_yaml_says() -> None:
    content = b"a: 1\nb: [x, null, true]\nc: {d: 1e-5, e: 2001-02-03, f: .5}\n"
    assert load_yaml(content) == {"a": 1, "b": ["x", None, True], "c": {"d": 1e-5, "e": "2001-02-03", "f": 0.5}}
    assert load_yaml(b"") is None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a: 1\na: 2\n", "no plain YAML: key 'a' is given twice (line 2)"),
        (b"a: {b: 1, b: 1}\n", "no plain YAML: key 'b' is given twice (line 1)"),
        (b"a: &x [1]\nb: *x\n", "no plain YAML: aliases are not accepted (line 2)"),
        (b"a: !!python/object:os.system x\n", "no plain YAML: tags are not accepted (line 1)"),
        (b"? [1, 2]\n: 3\n", "no plain YAML: a key must be a word (line 1)"),
        (b"[" * 100_000, "no plain YAML: it is nested too deeply (line 1)"),
        (b"a: b: c\n", "no plain YAML: mapping values are not allowed in this context (line 1)"),
        (b"a: 1\n---\nb: 2\n", "no plain YAML: but found another document (line 2)"),
        (b"a: \xff\n", "not UTF-8 text (byte 0xff at 3)"),
        (b"a\0b", "no plain YAML: unacceptable character #x0000"),
    ],
)
def test_what_is_no_plain_yaml(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=r"^(no|not) ") as caught:
        load_yaml(content)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' is given twice"),
        (b"{", "no JSON: Expecting property name enclosed in double quotes (line 1)"),
        (b"[" * 100_000, "no plain JSON: it is nested too deeply"),
        (b'"\xff"', "not UTF-8 text (byte 0xff at 1)"),
    ],
)
def test_what_is_no_plain_json(content: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=r"^(no|not|key) ") as caught:
        load_json(content)
    assert str(caught.value) == says


def test_a_bomb_of_anchors_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    with pytest.raises(ValueError, match=r"aliases are not accepted \(line 2\)"):
        load_yaml("\n".join(lines).encode())
