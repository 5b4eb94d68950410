from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import trmm_async.testing as package

FOLDER = Path(package.__file__ or "").parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py"))


def test_every_public_name_is_there_and_at_home() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert sorted(package.__all__) == sorted(name for names in package._HOMES.values() for name in names)


def test_the_public_names_are_listed_before_they_are_loaded() -> None:
    assert dir(package) == sorted(package.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
        _ = package.Nonsense  # type: ignore[attr-defined]


def test_loading_it_loads_neither_aiohttp_nor_the_sdk() -> None:
    code = (
        "import sys; before = set(sys.modules); import trmm_async.testing.plugin; "
        "print(sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", f"import pytest; {code}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    loaded = ast.literal_eval(found.stdout)
    assert "trmm_async" in loaded
    assert not {"aiohttp", "msgspec", "websockets", "aiolimiter"} & set(loaded)


@pytest.mark.parametrize("module", MODULES)
def test_it_imports_nothing_of_the_sdk(module: str) -> None:
    """Only the fixture `trmm` does, which is about the SDK, and by its public name."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    imported = {
        name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    } | {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 0}
    outward = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 1}
    ours = {str(name) for name in imported if str(name).partition(".")[0] == "trmm_async"}
    assert not outward
    assert ours == ({"trmm_async"} if module == "fixtures" else set())


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__main__"])
def test_every_module_says_what_it_is_and_what_is_public(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    assert ast.get_docstring(tree)
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "__all__" in names
