"""The formats of files: YAML, and code with YAML in comments at its head. Pure. Only this module uses PyYAML.

YAML is read by the core schema of YAML 1.2, in which `no` and `12:30` are texts. Texts are written with such
quotes that readers of YAML 1.1 understand them in the same way.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec

from trmm_async.errors import ConfigError

try:
    import yaml
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'trmm_async.config needs a library: pip install "trmm-async[config]"'
    ) from error

__all__ = ["ENDINGS", "SourceText", "code_file", "parsed", "parsed_code", "yaml_text"]

T = TypeVar("T")

ENDINGS: Final[Mapping[str, str]] = {
    "powershell": ".ps1",
    "cmd": ".bat",
    "python": ".py",
    "shell": ".sh",
    "nushell": ".nu",
    "deno": ".ts",
}
"""The ending of a file of code, by its shell."""
_SHELLS: Final = {ending: shell for shell, ending in ENDINGS.items()}
_COMMENTS: Final[Mapping[str, str]] = {"cmd": "::", "deno": "//"}
_RULE: Final = "---"
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_BOM: Final = "\ufeff"
_UNUSUAL: Final = re.compile(r"[^\n\x20-\x7e\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd]")


class _Loader(yaml.SafeLoader):
    """A safe loader with the core schema of YAML 1.2.

    It refuses aliases, by which a small text can expand to gigabytes.
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="aliases (*name) are not read", problem_mark=event.start_mark)
        return super().compose_node(parent, index)


_INT: Final = r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"
_FLOAT: Final = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NUMBER: Final = re.compile(f"(?:{_INT}|{_FLOAT})\\Z")
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})\\Z"), list(_first))


def _integer(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node)
    bases = {"0o": 8, "0x": 16}
    return int(text, bases.get(text[:2], 10))


def _real(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    text = loader.construct_scalar(node).lower()
    return float(text.replace(".inf", "inf") if text.endswith(".inf") else "nan" if text == ".nan" else text)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
_Loader.add_constructor("tag:yaml.org,2002:float", _real)


class _Dumper(yaml.SafeDumper):
    """A dumper that writes texts of several lines as blocks where YAML allows it."""


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = None
    if _UNUSUAL.search(value):
        style = '"'  # PyYAML folds some of these characters in other styles
    elif "\n" in value and not re.search(r"^\s|\s$|[ \t]\n", value.rstrip("\n")):
        style = "|"
    elif _NUMBER.match(value):
        style = "'"  # PyYAML does not quote what is a text in YAML 1.1 but a number in 1.2: 0o17, 089, 1e5
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


@dataclass(frozen=True)
class SourceText:
    """The source of a text: the file's name in the folder, and the line at which the YAML begins."""

    file: str
    first_line: int = 1

    def error(self, why: str, line: int | None = None, key: str = "") -> ConfigError:
        """An error about this file, with the line and the key."""
        return ConfigError(why, file=self.file, line=line, key=key)


def yaml_text(data: object) -> str:
    """The data as YAML. The order of keys is kept."""
    return str(
        yaml.dump(
            data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=2**31
        )
    )


def parsed(text: str, kind: type[T], source: SourceText, more: Mapping[str, Any] | None = None) -> T:
    """Decode a YAML document to a Struct. `more` has fields that are not in the YAML.

    Raises:
        ConfigError: it is not YAML, or does not fit the Struct. The error has the line and the key.
    """
    node, data = _loaded(text, source)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise source.error("this is to be a mapping of names to values", source.first_line)
    if twice := sorted(data.keys() & (more or {}).keys()):
        line = _line_of(node, [twice[0]], source)
        raise source.error("this does not stand here: the file itself says it", line, twice[0])
    try:
        return msgspec.convert({**data, **(more or {})}, kind)
    except msgspec.ValidationError as error:
        raise _located(error, node, source) from None
    except RecursionError:
        raise source.error("it is nested too deeply", source.first_line) from None


def _loaded(text: str, source: SourceText) -> tuple[Any, Any]:
    try:
        loader = _Loader(text.removeprefix(_BOM))
        try:
            node: Any = loader.get_single_node()
            if node is None:
                return None, None
            _check_unique_keys(node, source)
            return node, loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = None if mark is None else mark.line + source.first_line
        raise source.error(f"this is no YAML: {error.problem or error.context}", line) from None
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error).split("\n")[0]
        raise source.error(f"this is no YAML: {said}") from None


def _check_unique_keys(node: Any, source: SourceText) -> None:
    """Refuse a duplicate key: PyYAML would silently use only the last one."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                raise source.error(
                    "this key stands here twice", key.start_mark.line + source.first_line, name
                )
            seen.add(name)
            _check_unique_keys(value, source)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            _check_unique_keys(one, source)


_PATH: Final = re.compile(r" - at `(?:key in )?\$?(.*)`$", re.DOTALL)
_STEP: Final = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]")
_NAMED: Final = re.compile(r"(?:unknown|required) field `(.*?)`")


def _located(error: msgspec.ValidationError, node: Any, source: SourceText) -> ConfigError:
    """Convert an error of msgspec, with the line of the value that it is about."""
    said = str(error)
    path = _PATH.search(said)
    steps: list[str | int] = []
    if path:
        steps = [int(found[2]) if found[2] else found[1] or "…" for found in _STEP.finditer(path[1])]
        said = said[: path.start()]
    if named := _NAMED.search(said):
        steps.append(named[1])
    key = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in steps).lstrip(".")
    return source.error(said, _line_of(node, steps, source), key)


def _line_of(node: Any, steps: list[str | int], source: SourceText) -> int | None:
    """The line of the deepest node of this path that exists."""
    if node is None:
        return source.first_line
    line = int(node.start_mark.line)
    for step in steps:
        inner = _inner(node, step)
        if inner is None:
            break
        line, node = inner
    return line + source.first_line


def _inner(node: Any, step: str | int) -> tuple[int, Any] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        found = node.value[step]
        return int(found.start_mark.line), found
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return int(key.start_mark.line), value
    return None


# -- code with front matter ----------------------------------------------------------------------------------


def code_file(shell: str, front: Mapping[str, Any], code: str) -> str:
    """The text of a file of code, with `front` as YAML in comments at its head, after a `#!` line."""
    mark = _COMMENTS.get(shell, "#")
    lines = [_RULE, *yaml_text(front).rstrip("\n").split("\n"), _RULE] if front else []
    head = "".join(f"{mark} {line}".rstrip() + "\n" for line in lines)
    first = _first_line(code)
    return first + head + code.removeprefix(first)


def _first_line(code: str) -> str:
    """The `#!` line, which must stay the first."""
    return code[: code.index("\n") + 1] if code.startswith("#!") and "\n" in code else ""


def parsed_code(text: str, ending: str, kind: type[T], source: SourceText) -> T:
    """Decode a file of code to a Struct: the front matter, `shell` from the file's ending, and `code`.

    Raises:
        ConfigError: the ending is not one of `ENDINGS`; or the front matter is not YAML, has no end, or does
            not fit the Struct.
    """
    shell = _SHELLS.get(ending)
    if shell is None:
        raise source.error(f"a file of code ends in one of {', '.join(ENDINGS.values())}")
    mark = _COMMENTS.get(shell, "#")
    first = _first_line(text.removeprefix(_BOM))
    body = text.removeprefix(_BOM).removeprefix(first) if first else text
    lines = _LINE.findall(body.removeprefix(_BOM)) if _opens(body, mark) else []
    if not lines:
        return parsed("", kind, source, {"shell": shell, "code": text})
    end = next(
        (place for place, line in enumerate(lines) if place and line.rstrip() == f"{mark} {_RULE}"), None
    )
    if end is None:
        raise source.error(f"the front matter has no end: a line {mark} {_RULE}", 1 + bool(first))
    front = []
    for place, line in enumerate(lines[1:end], 2 + bool(first)):
        if not line.startswith(mark):
            raise source.error(f"a line of the front matter begins with {mark}", place)
        front.append(line[len(mark) :].removeprefix(" ").rstrip("\r\n"))
    code = first + "".join(lines[end + 1 :])
    inner = SourceText(source.file, 2 + bool(first))
    return parsed("\n".join(front), kind, inner, {"shell": shell, "code": code})


def _opens(body: str, mark: str) -> bool:
    first = body.removeprefix(_BOM).split("\n", 1)[0]
    return first.rstrip() == f"{mark} {_RULE}"
