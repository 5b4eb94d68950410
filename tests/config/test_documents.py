"""YAML and front matter: strict, told by line and key, and back again whatever a text holds."""

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.properties import many
from trmm_async import ConfigError
from trmm_async.config.documents import (
    ENDINGS,
    SourceText,
    _Loader,
    code_file,
    parsed,
    parsed_code,
    yaml_text,
)
from trmm_async.config.specs import PolicyFile, ScriptSpec, UrlActionSpec, plain, without_defaults

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
NAMES = TEXTS.filter(bool)


@given(NAMES, TEXTS, TEXTS, TEXTS)
@settings(max_examples=many(60))
def test_yaml_says_any_text(name: str, pattern: str, description: str, body: str) -> None:
    spec = UrlActionSpec(name=name, pattern=pattern, description=description, rest_body=body)
    assert parsed(yaml_text(without_defaults(spec)), UrlActionSpec, SourceText("x")) == spec


@given(
    st.sampled_from(sorted(ENDINGS)),
    st.sampled_from(["", "#!/bin/sh", "#!/bin/sh\n", "#!/bin/sh\r\n", "\ufeff", "# ---\n", "---\n"]),
    TEXTS,
    NAMES,
    st.lists(TEXTS, max_size=2),
)
@settings(max_examples=many(100))
def test_code_is_the_same_behind_its_front_matter(
    shell: str, first: str, rest: str, name: str, args: list[str]
) -> None:
    spec = ScriptSpec(name=name, shell=shell, code=first + rest, args=tuple(args))  # type: ignore[arg-type]
    front = {key: value for key, value in plain(spec).items() if key not in {"code", "shell"}}
    text = code_file(shell, front, spec.code)
    assert parsed_code(text, ENDINGS[shell], ScriptSpec, SourceText("x")) == spec
    if spec.code.startswith("#!/bin/sh\n"):
        assert text.startswith("#!/bin/sh\n")


def test_a_wrong_value_is_told_by_file_line_and_key() -> None:
    text = "name: Base\nchecks:\n- check_type: diskspace\n  disk: 'C:'\n  error_threshold: many\n"
    with pytest.raises(
        ConfigError, match=r"^policies/a\.yaml:5: checks\[0\]\.error_threshold: Expected `int`"
    ) as it:
        parsed(text, PolicyFile, SourceText("policies/a.yaml"))
    assert (it.value.file, it.value.line, it.value.key) == ("policies/a.yaml", 5, "checks[0].error_threshold")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("name: a\nactiv: true\n", 2, "unknown field `activ`"),
        ("name: a\nname: b\n", 2, "stands here twice"),
        ("name: a\nchecks:\n- check_type: disk\n", 3, "Invalid value 'disk'"),
        ("name: [a\n", 2, "this is no YAML"),
        ("- a\n", 1, "a mapping of names to values"),
        ("name: &x a\ndescription: *x\n", 2, "aliases"),
        ("description: x\n", 1, "required field `name`"),
        ("name: !!python/object/apply:os.system [id]\n", 1, "this is no YAML"),
        ("name: " + "[" * 1200, None, "nested too deeply"),
        ("name: a\nenforced: yes\n", 2, "Expected `bool`, got `str`"),
    ],
)
def test_what_is_no_such_file_is_told(text: str, line: int | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")) as caught:
        parsed(text, PolicyFile, SourceText("p.yaml"))
    assert caught.value.line == line


def test_words_of_yaml_1_1_are_texts() -> None:
    spec = parsed("name: no\npattern: 12:30\ndescription: 2026-11-28\n", UrlActionSpec, SourceText("x"))
    assert (spec.name, spec.pattern, spec.description) == ("no", "12:30", "2026-11-28")
    assert yaml_text({"name": "no", "at": "12:30"}) == "name: 'no'\nat: '12:30'\n"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("007", 7), ("089", 89), ("0o17", 15), ("0x1F", 31), ("-0", 0), ("9" * 30, int("9" * 30)),
        ("1e5", 1e5), ("+.5E-1", 0.05), ("-.inf", float("-inf")), ("1_000", "1_000"), ("0b1", "0b1"),
        ("190:20:30", "190:20:30"), ("1e5x", "1e5x"), ("0o8", "0o8"), ("=", "="), ("<<", "<<"),
    ],
)  # fmt: skip
def test_numbers_are_those_of_yaml_1_2(text: str, value: object) -> None:
    """And a text that looks like one, by either version, stands in quotes, for other readers."""
    assert yaml.load(f"a: {text}", _Loader) == {"a": value}
    assert yaml.load(yaml_text({"a": text}), _Loader) == {"a": text}
    if not isinstance(value, str):
        assert yaml_text({"a": text}) == f"a: '{text}'\n"


@pytest.mark.parametrize(
    ("text", "ending", "line", "said"),
    [
        ("# ---\n# name: x\necho\n# ---\n", ".ps1", 3, "begins with #"),
        ("#!/bin/sh\n# ---\n# name: x\n", ".sh", 2, "has no end"),
        ("#!/bin/sh\n# ---\n# name: x\n# args: 7\n# ---\n", ".sh", 4, "Expected `array`"),
        ("# ---\n# name: x\n# code: y\n# ---\n", ".py", 3, "does not stand here"),
        ("echo", ".txt", None, "ends in one of"),
        ("echo", ".bat", 1, "required field `name`"),
    ],
)
def test_front_matter_that_is_wrong_is_told_by_its_line(
    text: str, ending: str, line: int | None, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        parsed_code(text, ending, ScriptSpec, SourceText("scripts/x"))
    assert caught.value.line == line


def test_comments_are_those_of_the_shell() -> None:
    assert code_file("cmd", {"name": "x"}, "echo\r\n") == ":: ---\n:: name: x\n:: ---\necho\r\n"
    assert code_file("deno", {"name": "x"}, "1") == "// ---\n// name: x\n// ---\n1"
