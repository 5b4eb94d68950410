"""The methods of the client by their names, and how typed texts become their arguments.

Methods and parameters are found by introspection, and a text is converted by the annotation of its parameter:
no method has an entry of its own here.

Below: `selection`, `values`. Above: `commands.call`.
"""

import inspect
import json
import re
import typing
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, Literal, TypeAlias

import trmm_async as sdk
from trmm_async.calls import Replay
from trmm_async.cli.exits import usage
from trmm_async.cli.rows import members_of
from trmm_async.cli.selection import agents_named
from trmm_async.cli.text import BY_NAME, alike, bare_name
from trmm_async.cli.values import length
from trmm_async.client import TRMM
from trmm_async.codec import DecodeFailure, exact
from trmm_async.dialects.stock.endpoint import EVERY
from trmm_async.resources.resource import LOSSES

__all__ = ["Method", "given", "method_named", "methods", "told", "typed"]

Texts: TypeAlias = Mapping[str, list[str]]

_LOOKS: Final = ("checks", "find", "get", "history", "list", "related", "sites", "tasks")
"""Last parts of the names of methods that only read, for methods without a declaration."""
_NULL: Final = "null"
_SECRET: Final = re.compile("password|token|secret|headers|^value$")
_HEX: Final = "hex:"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method. It is given as `--name`, or by its place if it is positional."""

    name: str
    hint: Any
    is_required: bool
    is_positional: bool

    @property
    def option(self) -> str:
        """The option that gives it."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True)
class Method:
    """A method of the client, such as "policies.get"."""

    name: str
    function: Callable[..., Any]
    parameters: tuple[Parameter, ...]

    @property
    def help(self) -> str:
        """Its docstring."""
        return inspect.getdoc(self.function) or ""

    @property
    def changes(self) -> bool:
        """Whether it may change something: by the declaration of its call, or else by its name."""
        declared = EVERY.get(self.name)
        if declared and self.name.rpartition(".")[2] not in _LOOKS:
            return any(endpoint.replay is not Replay.SAFE for endpoint in declared)
        return self.name.rpartition(".")[2] not in _LOOKS

    @property
    def losses(self) -> dict[str, str]:
        """The arguments that allow a loss of data, and what would be lost."""
        return {one.name: LOSSES[one.name] for one in self.parameters if one.name in LOSSES}

    @property
    def answer(self) -> type | None:
        """The type of what it returns, or of the members of its list; None if that is no Struct of ours."""
        hint = typing.get_type_hints(self.function).get("return")
        inner = typing.get_args(hint)[0] if self.is_list else hint
        found = [one for one in members_of(inner) if hasattr(one, "__struct_fields__")]
        return found[0] if len(found) == 1 else None

    @property
    def is_list(self) -> bool:
        """Whether it returns a list."""
        return typing.get_origin(typing.get_type_hints(self.function).get("return")) is list

    def of(self, trmm: TRMM) -> Callable[..., Coroutine[Any, Any, Any]]:
        """The bound method of this client."""
        found: Any = trmm
        for word in self.name.split("."):
            found = getattr(found, word)
        return typing.cast("Callable[..., Coroutine[Any, Any, Any]]", found)


def methods() -> dict[str, Method]:
    """All asynchronous methods, by their names."""
    return dict(_of(TRMM, ""))


def _of(kind: type, noun: str) -> Iterator[tuple[str, Method]]:
    for name, inner in typing.get_type_hints(kind).items():
        if name.startswith("_") or not isinstance(inner, type):
            continue
        for word, function in inspect.getmembers(inner, inspect.iscoroutinefunction):
            if not word.startswith("_"):
                yield f"{noun}{name}.{word}", Method(f"{noun}{name}.{word}", function, _parameters(function))
            elif word == "__call__":
                yield noun + name, Method(noun + name, function, _parameters(function))
        yield from _of(inner, f"{noun}{name}.")


def _parameters(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    hints = typing.get_type_hints(function, include_extras=True)
    found: list[Parameter] = []
    for one in list(inspect.signature(function).parameters.values())[1:]:
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            changes = typing.get_args(hints[one.name])[0]
            found += [
                Parameter(name, hint, is_required=False, is_positional=False)
                for name, hint in typing.get_type_hints(changes).items()
            ]
        elif one.kind is not inspect.Parameter.VAR_POSITIONAL:
            positional = one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            required = one.default is inspect.Parameter.empty
            found.append(Parameter(one.name, hints[one.name], is_required=required, is_positional=positional))
    return tuple(found)


def method_named(name: str) -> Method:
    """The method of this name. Raises a `CommandError` that names similar ones if there is none."""
    every = methods()
    found = every.get(name.removeprefix("trmm."))
    if found is None:
        raise usage(f"there is no method {name!r}{alike(name, list(every))}; `trmm call` lists all")
    return found


async def given(trmm: TRMM, method: Method, texts: Texts) -> dict[str, Any]:
    """The arguments of the call, from what was typed. Where a parameter takes ids, names become ids."""
    return {
        parameter.name: await _value(trmm, parameter, texts[parameter.name])
        for parameter in method.parameters
        if parameter.name in texts
    }


def typed(method: Method, words: Sequence[str]) -> Texts:
    """The texts of each parameter. Raises a `CommandError` if a required one is missing."""
    texts = _texts(method, words)
    for parameter in method.parameters:
        if parameter.is_required and parameter.name not in texts:
            shown = parameter.name.upper() if parameter.is_positional else parameter.option
            raise usage(f"{method.name} needs {shown}; `trmm call {method.name} --help` says more")
    return texts


def told(method: Method, texts: Texts) -> str:
    """The call in one line, for the question. Values that may be secrets are left out."""
    words = [method.name]
    for name, several in texts.items():
        words += [f"{name}={'…' if _SECRET.search(name) else text}" for text in several]
    return " ".join(words)


def _texts(method: Method, words: Sequence[str]) -> dict[str, list[str]]:
    """The texts of each parameter. An option that is given several times has several."""
    by_option = {parameter.option: parameter for parameter in method.parameters}
    places = [parameter for parameter in method.parameters if parameter.is_positional]
    texts: dict[str, list[str]] = {}
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("--"):
            while places and places[0].name in texts:
                places.pop(0)
            if not places:
                raise usage(
                    f"{method.name} takes no {word!r} more; `trmm call {method.name} --help` says what"
                )
            texts[places.pop(0).name] = [word]
            continue
        option, equals, text = word.partition("=")
        parameter, is_no = by_option.get(option), False
        if parameter is None and option.startswith("--no-"):
            parameter, is_no = by_option.get("--" + option[5:]), True
        if parameter is None:
            raise usage(f"{method.name} has no {option}{alike(option, list(by_option))}")
        if _is_flag(parameter.hint) and not equals:
            text = "false" if is_no else "true"
        elif not equals:
            if not left:
                raise usage(f"{option} needs a value")
            text = left.pop(0)
        texts.setdefault(parameter.name, []).append(text)
    return texts


def _is_flag(hint: Any) -> bool:
    return bool in members_of(hint) and not {str, int} & set(members_of(hint))


async def _value(trmm: TRMM, parameter: Parameter, texts: list[str]) -> Any:
    members = members_of(parameter.hint)
    if texts == [_NULL] and type(None) in members:
        return None
    words = [word for one in members if typing.get_origin(one) is Literal for word in typing.get_args(one)]
    several = next((one for one in members if _is_many(one)), None)
    if kinds := _tagged(members if several is None else members_of(typing.get_args(several)[0])):
        built = [_built(parameter, kinds, row) for text in texts for row in _rows(_parsed(text))]
        return built[0] if several is None and len(built) == 1 else built
    if several is not None and bytes in members and len(texts) == 1:
        return _data(parameter, texts[0])
    if several is not None and not (len(texts) == 1 and texts[0] in words):
        # One text may have several values, with commas between; of an option given several times each is one.
        each = texts if len(texts) > 1 else [text for text in texts[0].split(",") if text]
        inner = members_of((typing.get_args(several) or (str,))[0])
        return [await _single(trmm, parameter, inner, text) for text in each]
    if len(texts) > 1:
        raise usage(f"{parameter.option} is given {len(texts)} times, and takes one value")
    return await _single(trmm, parameter, members, texts[0])


def _is_many(hint: Any) -> bool:
    origin = typing.get_origin(hint)
    return (
        isinstance(origin, type) and issubclass(origin, typing.Iterable) and not issubclass(origin, Mapping)
    )


async def _single(trmm: TRMM, parameter: Parameter, members: tuple[Any, ...], text: str) -> Any:
    nouns = [one for one in members if hasattr(one, "__struct_fields__")]
    if sdk.Agent in nouns:
        (agent,) = await agents_named(trmm, [text])
        return agent.agent_id
    if nouns and str not in members:
        return int(text) if text.isdecimal() else await _named(trmm, parameter, nouns[0], bare_name(text))
    if nouns and text.startswith(BY_NAME):
        return bare_name(text)
    words = [word for one in members if typing.get_origin(one) is Literal for word in typing.get_args(one)]
    if words:
        return _word(parameter, words, text)
    for kind, read in _READERS.items():
        if kind in members:
            try:
                return read(text)
            except (ValueError, OverflowError) as error:
                if str in members:
                    break
                raise usage(f"{parameter.option}: {text!r} is no {_WORDS[kind]}") from error
    return text if str in members or bytes in members else _json(parameter, members, text)


def _data(parameter: Parameter, text: str) -> Any:
    """A text, bytes, or several texts. A comma belongs to a text; "hex:" stands before bytes."""
    if text.startswith(_HEX):
        try:
            return bytes.fromhex(text.removeprefix(_HEX))
        except ValueError:
            raise usage(f"{parameter.option}: {text!r} are no bytes, as {_HEX}00ff") from None
    return _parsed(text) if text.startswith("[") else text


def _parsed(text: str) -> Any:
    """JSON, or the text where it is none."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _rows(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _tagged(members: tuple[Any, ...]) -> dict[str, Any]:
    """The Structs of a tagged union, such as the types of checks, by their tags."""
    structs = [one for one in members if hasattr(one, "__struct_config__") and one.__struct_config__.tag]
    return {str(one.__struct_config__.tag): one for one in structs}


def _built(parameter: Parameter, kinds: Mapping[str, Any], row: Any) -> Any:
    """A Struct of settings from JSON. An unknown field is an error: it would be lost in silence."""
    says = next(iter(kinds.values())).__struct_config__.tag_field
    if not isinstance(row, dict) or row.get(says) not in kinds:
        shown = '", "'.join(kinds)
        raise usage(f'{parameter.option} takes JSON with "{says}", which is one of "{shown}"')
    kind = kinds[row[says]]
    names = [says, *kind.__struct_fields__]
    if strange := next((name for name in row if name not in names), None):
        raise usage(f"{parameter.option}: {kind.__name__} has no {strange!r}{alike(strange, names)}")
    try:
        return exact(kind, json.dumps(row))
    except DecodeFailure as error:
        raise usage(f"{parameter.option}: {kind.__name__}: {error}") from None


def _word(parameter: Parameter, words: list[Any], text: str) -> Any:
    for word in words:
        if str(word) == text:
            return word
    told = ", ".join(map(str, words))
    raise usage(f"{parameter.option} is one of {told}; not {text!r}{alike(text, list(map(str, words)))}")


def _json(parameter: Parameter, members: tuple[Any, ...], text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        raise usage(f'{parameter.option} takes JSON, as \'{{"1": "x"}}\'; not {text!r}') from None
    if isinstance(found, dict) and any(
        int in members_of((typing.get_args(one) or (one,))[0]) for one in members
    ):
        return {int(key) if key.isdecimal() else key: value for key, value in found.items()}
    return found


def _boolean(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.astimezone(UTC)


_READERS: Final[dict[Any, Callable[[str], Any]]] = {
    bool: _boolean,
    int: int,
    float: float,
    datetime: _moment,
    date: date.fromisoformat,
    time: time.fromisoformat,
    timedelta: lambda text: length(text, "it"),
}
_WORDS: Final = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    datetime: "time, as 2030-01-31T18:00",
    date: "day, as 2030-01-31",
    time: "time of day, as 02:30",
    timedelta: "length of time, as 12h",
}


async def _named(trmm: TRMM, parameter: Parameter, kind: type, text: str) -> int:
    """The id of the thing with this name, if the client has a method that lists such things."""
    for method in methods().values():
        hints = typing.get_type_hints(method.function)
        is_list = method.name.endswith(".list") and not any(one.is_required for one in method.parameters)
        if is_list and hints.get("return") == list[kind]:  # type: ignore[valid-type]
            things = await method.of(trmm)()
            names = {str(_name_of(thing)): thing for thing in things}
            found = [thing for thing in things if str(_name_of(thing)).casefold() == text.casefold()]
            if len(found) == 1:
                return int(found[0].id)
            if found:
                told = ", ".join(str(one.id) for one in found)
                raise usage(f"{parameter.option}: several are called {text!r}, with the ids {told}")
            raise usage(f"{parameter.option}: there is no {text!r}{alike(text, list(names))}")
    raise usage(f"{parameter.option} is an id, a number; not {text!r}")


def _name_of(thing: Any) -> object:
    return getattr(thing, "name", None) or getattr(thing, "username", None) or ""
