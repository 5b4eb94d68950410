"""Renames, which are seen by what is recorded: of objects, of files, of what belongs to a policy."""

from pathlib import Path

import pytest

from tests.config.folders import applied, write
from tests.servers import stock
from trmm_async import TRMM, ConfigError, config

KINDS = ["policies"]


def policy(*tasks: str, name: str = "Mine") -> str:
    """A policy with these tasks, each NAME or NAME:COMMAND."""
    lines = [f"name: {name}", "tasks:" if tasks else ""]
    for one in tasks:
        task, _, command = one.partition(":")
        lines += [
            f"- name: {task}",
            "  schedule: {task_type: manual}",
            f"  actions: [{{type: cmd, command: {command or 'whoami'}, shell: cmd}}]",
        ]
    return "\n".join(lines) + "\n"


async def tasks_of(trmm: TRMM, name: str = "Mine") -> dict[str, int]:
    (found,) = (one for one in await trmm.policies.list() if one.name == name)
    return {one.name: one.id for one in await trmm.policies.tasks(found)}


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        # All of them at once, and each does the same: by the places.
        (["A", "B", "C"], ["X", "Y", "Z"], {"A": "X", "B": "Y", "C": "Z"}),
        # One came in between.
        (["A", "B", "C"], ["X", "B", "New:x", "Z:z"], {"A": "X", "B": "B"}),
        (["A", "B", "C"], ["New:x", "A", "Y", "C"], {"A": "A", "B": "Y", "C": "C"}),
        # Each does another thing: by that, in any order.
        (["A:a", "B:b", "C:c"], ["Z:c", "X:a", "Y:b"], {"A": "X", "B": "Y", "C": "Z"}),
        # Renamed and changed at once.
        (["A:a", "B:b"], ["X:x", "Y:y"], {"A": "X", "B": "Y"}),
    ],
)
async def test_several_tasks_of_one_file_are_renamed_at_once(
    tmp_path: Path, before: list[str], after: list[str], same: dict[str, str]
) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "policies/a.yaml", policy(*before))
        await applied(trmm, tmp_path, kinds=KINDS)
        old = await tasks_of(trmm)
        write(tmp_path, "policies/a.yaml", policy(*after))
        await config.apply(trmm, await config.plan(trmm, tmp_path, kinds=KINDS), tmp_path)
        new = await tasks_of(trmm)
        assert {name: new[later] for name, later in same.items()} == {name: old[name] for name in same}


async def test_what_can_not_be_told_to_be_a_rename_is_said(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "policies/a.yaml", policy("A:a", "B:b"))
        await applied(trmm, tmp_path, kinds=KINDS)
        write(tmp_path, "policies/a.yaml", policy("X:x", "Y:y", "Z:z"))
        plan = await config.plan(trmm, tmp_path, kinds=KINDS)
        assert "task 'A', 'B' are gone. If these are renames" in str(plan).replace("tasks", "task")
        assert len(plan.would_delete) == 2


async def test_a_file_that_has_another_name_is_about_the_same(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "policies/a.yaml", policy("A", "B"))
        await applied(trmm, tmp_path, kinds=KINDS)
        old = await tasks_of(trmm)
        (tmp_path / "policies" / "a.yaml").unlink()
        write(tmp_path, "policies/b.yaml", policy("X", "Y"))
        assert await applied(trmm, tmp_path, kinds=KINDS) == ["~ task 'X' of 'Mine'", "~ task 'Y' of 'Mine'"]
        assert list((await tasks_of(trmm)).values()) == list(old.values())
        # That apply made them is not forgotten.
        (tmp_path / "policies" / "b.yaml").unlink()
        assert await applied(trmm, tmp_path, kinds=KINDS, delete=True) == ["- policy 'Mine'"]


async def test_names_move_along_a_row_of_objects(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        for file, name in (("a", "One"), ("b", "Two"), ("c", "Three")):
            write(tmp_path, f"policies/{file}.yaml", policy(name=name))
        await applied(trmm, tmp_path, kinds=KINDS)
        old = {one.name: one.id for one in await trmm.policies.list()}
        for file, name in (("a", "Two"), ("b", "Three"), ("c", "Four")):
            write(tmp_path, f"policies/{file}.yaml", policy(name=name))
        # A policy's name is unique on the server: it has to be free before another gets it.
        assert await applied(trmm, tmp_path, kinds=KINDS) == [
            "~ policy 'Four'",
            "~ policy 'Three'",
            "~ policy 'Two'",
        ]
        new = {one.name: one.id for one in await trmm.policies.list()}
        assert (new["Two"], new["Three"], new["Four"]) == (old["One"], old["Two"], old["Three"])
        for file, name in (("a", "Three"), ("b", "Two")):
            write(tmp_path, f"policies/{file}.yaml", policy(name=name))
        with pytest.raises(ConfigError, match="to have each other's names"):
            await config.plan(trmm, tmp_path, kinds=KINDS)


async def test_apply_notes_what_there_was_before(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        made = await trmm.scripts.create(name="Old", shell="python", code="1")
        write(tmp_path, "scripts/x.py", "# ---\n# name: Old\n# ---\n1")
        assert await applied(trmm, tmp_path, kinds=["scripts"]) == []
        write(tmp_path, "scripts/x.py", "# ---\n# name: New\n# ---\n1")
        assert await applied(trmm, tmp_path, kinds=["scripts"]) == ["~ script 'New'"]
        assert (await trmm.scripts.get(made)).name == "New"


async def test_what_has_another_name_than_apply_gave_it_is_not_deleted(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "snippets/x.py", "# ---\n# name: Mine\n# ---\n1")
        await applied(trmm, tmp_path, kinds=["snippets"])
        (tmp_path / "snippets" / "x.py").unlink()
        (found,) = (one for one in await trmm.scripts.snippets.list() if one.name == "Mine")
        # By hand, or since the server's database was put back and the number is another one's.
        await trmm.scripts.snippets.update(found, name="Somebody's")
        plan = await config.plan(trmm, tmp_path, kinds=["snippets"], delete=True)
        assert not plan
        assert "was made by apply as 'Mine': it is left alone" in str(plan)
