"""Writes `trmm_async/sync/__init__.pyi`: what type checkers and editors see of the synchronous client.

    python -m tools.sync_stub

It is read off the sources of the asynchronous one, with their annotations and docstrings; a test holds what
stands in the file against it. What is there when a program runs is made by `trmm_async/sync/facade.py`.
"""

import ast
import builtins
import copy
import functools
import importlib
import inspect
import re
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trmm_async.client import TRMM
from trmm_async.sync.client import TRMM as SYNC
from trmm_async.sync.facade import LEFT_OUT, is_live, plain_name

PLACE = Path(__file__).parents[1] / "trmm_async" / "sync" / "__init__.pyi"

HEAD = '''"""The client for threads that wait: scripts, notebooks, other people's frameworks.

Written by `python -m tools.sync_stub`; see `trmm_async.sync.facade`.
"""

# mypy: disable-error-code="overload-overlap"
'''
RENAMED = {
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "__await__": "wait",
}
KEPT = {"__getitem__", "__iter__", "__len__", "__contains__", "__enter__", "__exit__", "__call__", *RENAMED}
PLAIN = {
    "AsyncIterator": "Iterator",
    "AsyncGenerator": "Iterator",
    "AsyncIterable": "Iterable",
}
SAID = {
    r"\basync (with|for)\b": r"\1",
    r"\bawait (?=\w+\.\w)": "",
    "Either `await` it,": "Either `wait()`,",
    "Awaited instead": "By `wait()` instead",
    "It changes only while you await something.": "It may change at any time; `values()` and such are of one moment.",
    r"Belongs to one event loop, (?:and )?is": "Is",
    "an asynchronous function; it gets": "a function, which may use the client; it gets",
}
# A subscription of another kind of source has a type of its own, and ours has a facade here.
BESIDES = {("TRMM", "mirror", "source"): "Subscription"}


class Stub:
    """The classes that were found so far, and what has to be imported for them."""

    def __init__(self) -> None:
        self.imports: dict[str, str] = {}
        self._found: dict[str, type] = {}
        self._taken: set[str] = set()
        self._left: deque[type] = deque()

    def name_of(self, kind: type) -> str:
        """What it is called here; it is to be written, too."""
        if kind.__name__ not in self._found:
            self._found[kind.__name__] = kind
            self._left.append(kind)
        return kind.__name__

    def imported_as(self, name: str, module: str, original: str) -> str:
        """What is to be imported, and is called so, or by its module's name too, where that is taken."""
        for one in (name, module.rpartition(".")[2].title().replace("_", "") + name):
            line = f"from {module} import {original}" + (f" as {one}" if one != original else "")
            if one not in self._taken and self.imports.setdefault(one, line) == line:
                return one
        raise SystemExit(f"two things are called {name}: {module}.{original} is one of them")

    def text(self) -> str:
        """All of it."""
        self._classes()
        # Once more, now that it is known which names are those of our own classes.
        self._taken, self._found, self.imports = {*self._found}, {}, {}
        classes = self._classes()
        imports = sorted({*self.imports.values()})
        everything = '__all__ = ["TRMM"]'
        return "\n\n".join([HEAD + "\n" + "\n".join(imports), everything, *classes]) + "\n"

    def _classes(self) -> list[str]:
        self.name_of(TRMM)
        classes: list[str] = []
        while self._left:
            classes.append(ast.unparse(ast.fix_missing_locations(self._class(self._left.popleft()))))
        return classes

    def _class(self, kind: type) -> ast.ClassDef:
        module, own = source_of(kind)
        writer = Writer(self, module, kind.__name__)
        bases = [writer.annotation(base) for base in own.bases if keeps_base(base)]
        doc = ast.get_docstring(source_of(SYNC)[1] if kind is TRMM else own, clean=False)
        members: dict[str, list[ast.stmt]] = {}
        for base in kind.__mro__:
            if base.__module__.startswith("trmm_async."):
                where, node = source_of(base)
                for name, made in Writer(self, where, kind.__name__).members(node):
                    members.setdefault(name, made)
        body: list[ast.stmt] = [ast.Expr(ast.Constant(plain_words(doc)))] if doc else []
        # What a class has that is called as a builtin is, such as `list`, stands last: the others mean that.
        for _, made in sorted(members.items(), key=lambda one: hasattr(builtins, one[0])):
            body += made
        return ast.ClassDef(
            name=kind.__name__, bases=bases, keywords=[], body=body or [ast.Expr(ast.Constant(...))],
            decorator_list=[],
        )  # fmt: skip


class Writer:
    """Writes what stands in one module of the asynchronous client."""

    def __init__(self, stub: Stub, module: str, owner: str) -> None:
        self._stub = stub
        self._module = module
        self._owner = owner

    def members(self, node: ast.ClassDef) -> Iterator[tuple[str, list[ast.stmt]]]:
        """What users see of a class, by name; an overloaded method as often as it is."""
        methods: dict[str, list[ast.FunctionDef | ast.AsyncFunctionDef]] = {}
        for one in node.body:
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
                if not one.target.id.startswith("_"):
                    yield one.target.id, [self._attribute(one.target.id, one.annotation)]
            elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef):
                methods.setdefault(one.name, []).append(one)
        for name, found in methods.items():
            if name == "__init__":
                yield from self._attributes(found[0])
                if self._owner == TRMM.__name__:
                    yield name, [self._method(found[0])]
            elif name in KEPT or not name.startswith("_"):
                overloads = [one for one in found if "overload" in decorators(one)]
                yield plain_name(RENAMED.get(name, name)), self._methods(overloads or found, found[-1])

    def _attributes(self, init: ast.AST) -> Iterator[tuple[str, list[ast.stmt]]]:
        for one in ast.walk(init):
            if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Attribute):
                name = one.target.attr
                if isinstance(one.target.value, ast.Name) and not name.startswith("_"):
                    yield name, [self._attribute(name, one.annotation)]

    def _attribute(self, name: str, annotation: ast.expr) -> ast.stmt:
        return ast.AnnAssign(ast.Name(name), self.annotation(annotation), None, simple=1)

    def _methods(self, found: list[Any], told: Any) -> list[ast.stmt]:
        made = [self._method(one) for one in found]
        if len(made) > 1 and not ast.get_docstring(found[0]):
            # Editors show the docstring of an overload, and ours stands at what they overload.
            made[0].body = self._body(told)
        return [*made]

    def _method(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef:
        name = RENAMED.get(node.name, node.name)
        given = copy.deepcopy(node.args)
        for arguments, defaults in ((given.args, given.defaults), (given.kwonlyargs, given.kw_defaults)):
            offset = len(arguments) - len(defaults)
            for place in reversed(range(len(arguments))):
                one = arguments[place]
                if one.arg in LEFT_OUT.get((self._owner, node.name), ()):
                    del arguments[place], defaults[place - offset]
                elif one.annotation is not None:
                    one.annotation = self._with(node.name, one.arg, self.annotation(one.annotation))
        for starred in (given.vararg, given.kwarg):
            if starred is not None and starred.annotation is not None:
                starred.annotation = self.annotation(starred.annotation)
        given.defaults = [shown(one) for one in given.defaults]
        given.kw_defaults = [None if one is None else shown(one) for one in given.kw_defaults]
        returns = None if node.returns is None else self.annotation(node.returns)
        if node.name == "__await__" and isinstance(returns, ast.Subscript):
            returns = ast.parse(ast.unparse(returns.slice), mode="eval").body.elts[-1]  # type: ignore[attr-defined]
        kept = {"overload", "property", "classmethod", "staticmethod"} & {*decorators(node)}
        return ast.FunctionDef(
            name=plain_name(name), args=given, body=self._body(node), returns=returns,
            decorator_list=[self.annotation(ast.Name(one)) for one in sorted(kept)],
        )  # fmt: skip

    def _with(self, method: str, argument: str, annotation: ast.expr) -> ast.expr:
        besides = BESIDES.get((self._owner, method, argument))
        return annotation if besides is None else ast.BinOp(ast.Name(besides), ast.BitOr(), annotation)

    def _body(self, node: Any) -> list[ast.stmt]:
        doc = ast.get_docstring(node, clean=False)
        if doc is None:
            doc = "Wait for it: what `await` gives." if node.name == "__await__" else None
        return [ast.Expr(ast.Constant(... if doc is None else plain_words(doc)))]

    def annotation(self, node: ast.expr, *, inside: bool = False) -> ast.expr:  # noqa: C901, PLR0911
        """It, with names that are imported here; `inside` of what a function of the user's is given."""
        match node:
            case ast.Constant(value=str(text)):
                return self.annotation(ast.parse(text, mode="eval").body, inside=inside)
            case ast.Name(id=name):
                return self._name(name, inside=inside)
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                return ast.Attribute(self._name(name, inside=inside), attribute)
            case ast.Subscript(value=ast.Name(id="Awaitable"), slice=what):
                return self.annotation(what, inside=inside)
            case ast.Subscript(value=ast.Name(id="Literal")):
                self._name("Literal", inside=False)
                return node
            case ast.Subscript(
                value=ast.Name(id="Callable"), slice=ast.Tuple(elts=[ast.List(elts=given), back])
            ):
                self._name("Callable", inside=False)
                what = ast.List([self.annotation(one, inside=True) for one in given])
                return ast.Subscript(ast.Name("Callable"), ast.Tuple([what, self.annotation(back)]))
            case ast.Subscript(value=what, slice=of):
                return ast.Subscript(self.annotation(what, inside=inside), self.annotation(of, inside=inside))
            case ast.Tuple(elts=parts):
                return ast.Tuple([self.annotation(one, inside=inside) for one in parts])
            case ast.List(elts=parts):
                return ast.List([self.annotation(one, inside=inside) for one in parts])
            case ast.BinOp(op=ast.BitOr()):
                return union([self.annotation(one, inside=inside) for one in parts_of(node)])
            case _:
                return node

    def _name(self, name: str, *, inside: bool) -> ast.expr:
        if name in PLAIN:
            self._stub.imports[PLAIN[name]] = f"from collections.abc import {PLAIN[name]}"
            return ast.Name(PLAIN[name])
        place = imported(self._module).get(name)
        if place is None and hasattr(builtins, name) and not hasattr(sys.modules[self._module], name):
            return ast.Name(name)
        module, original = place or (self._module, name)
        if original is None:
            self._stub.imports[name] = f"import {module}" + (f" as {name}" if name != module else "")
            return ast.Name(name)
        module, original = home(module, original)
        value = getattr(importlib.import_module(module), original, None)
        if inspect.isclass(value) and is_live(value):
            if not inside:
                return ast.Name(self._stub.name_of(value))
            name = f"Async{original}"
        return ast.Name(self._stub.imported_as(name, module, original))


@functools.cache
def tree(module: str) -> ast.Module:
    """The source of a module."""
    return ast.parse(inspect.getsource(importlib.import_module(module)))


def source_of(kind: type) -> tuple[str, ast.ClassDef]:
    """The module of a class, and where it stands there."""
    for node in ast.walk(tree(kind.__module__)):
        if isinstance(node, ast.ClassDef) and node.name == kind.__name__:
            return kind.__module__, node
    raise SystemExit(f"{kind} does not stand in the source of its module")


@functools.cache
def imported(module: str) -> dict[str, tuple[str, str | None]]:
    """What a module imports: the name there, and of what module which name it is."""
    found: dict[str, tuple[str, str | None]] = {}
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            found |= {one.asname or one.name: (node.module, one.name) for one in node.names}
        elif isinstance(node, ast.Import):
            found |= {one.asname or one.name: (one.name, None) for one in node.names}
    # A submodule that is imported from its package is a module.
    return {
        name: (f"{place}.{original}", None)
        if original is not None and f"{place}.{original}" in sys.modules
        else (place, original)
        for name, (place, original) in found.items()
    }


def home(module: str, name: str) -> tuple[str, str]:
    """Where it is defined, and not where somebody else has imported it from."""
    while module.startswith("trmm_async") and name in imported(module):
        place, original = imported(module)[name]
        if original is None:
            break
        module, name = place, original
    return module, name


def decorators(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Their names."""
    return [ast.unparse(one) for one in node.decorator_list]


def keeps_base(base: ast.expr) -> bool:
    """`Generic[T]` and `Mapping[…]` say something to users; what else a class builds on is written out."""
    return isinstance(base, ast.Subscript) and ast.unparse(base.value) in {"Generic", "Mapping"}


def parts_of(node: ast.expr) -> list[ast.expr]:
    """Those of a union."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*parts_of(node.left), *parts_of(node.right)]
    return [node]


def union(parts: list[ast.expr]) -> ast.expr:
    """Of these, each once."""
    once = [*{ast.unparse(one): one for one in parts}.values()]
    return functools.reduce(lambda left, right: ast.BinOp(left, ast.BitOr(), right), once)


def shown(default: ast.expr) -> ast.expr:
    """A default, if it can be read; else `...`."""
    try:
        ast.literal_eval(default)
    except ValueError:
        return ast.Constant(...)
    return default


def plain_words(doc: str) -> str:
    """A docstring of the asynchronous client, as it holds for this one."""
    for said, holds in SAID.items():
        doc = re.sub(said, holds, doc)
    return doc


if __name__ == "__main__":
    PLACE.write_text(Stub().text())
