"""Folders and servers that make trouble: odd names, line ends, values that can't be sent, two at once."""

import asyncio
import os
import unicodedata
from pathlib import Path

import pytest

from tests.config.folders import applied, changes, write
from tests.servers import stock
from trmm_async import ApplyStoppedError, ConfigError, InvalidRequestError, config

NAMES = (
    "a/b",
    "a:b",
    "a\\b",
    "..",
    "CON",
    "nul.txt",
    "COM¹",
    "Foo",
    "foo",
    "-rf",
    ".hid",
    "ß",
    "SS",
    "a#b",
    "#5",
)


async def test_odd_names_have_files_of_their_own(tmp_path: Path) -> None:
    accents = {form: unicodedata.normalize(form, "Überwachung") for form in ("NFC", "NFD")}
    async with stock() as (_, trmm):
        for name in (*NAMES, *accents.values(), " lead", "tab\tin it"):
            await trmm.request("POST", "/automation/policies/", json={"name": name, "active": True})
        await config.pull(trmm, tmp_path, kinds=["policies"])
        assert not await config.plan(trmm, tmp_path, kinds=["policies"])
        files = [path.name for path in (tmp_path / "policies").iterdir()]
        # As file systems see them that know no capitals and one form of accents.
        seen = {unicodedata.normalize("NFD", name).casefold() for name in files}
        assert len(seen) == len(files) == 2 + len(NAMES) + 4
        assert not {"CON.yaml", "COM¹.yaml", "nul.txt.yaml"} & {*files}
        assert not [name for name in files if name.startswith((".", " ")) or {*name} & {*'/\\:*?"<>|'}]


async def test_names_that_are_others_but_for_their_letters_are_told(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        await trmm.policies.create(name=unicodedata.normalize("NFC", "Größe"))
        write(tmp_path, "policies/a.yaml", f"name: {unicodedata.normalize('NFD', 'größe')}\n")
        plan = await config.plan(trmm, tmp_path, kinds=["policies"])
        assert [step.action for step in plan.steps] == ["create"]
        assert any("but for capitals or the way in which accents" in one for one in plan.findings)


async def test_line_ends_of_windows(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        for name, text in (
            ("policies/a.yaml", "name: W\r\nchecks:\r\n- {check_type: cpuload, error_threshold: 90}\r\n"),
            (
                "scripts/a.ps1",
                "# ---\r\n# name: A\r\n# args:\r\n# - one\r\n# ---\r\nWrite-Output 1\r\nexit\r\n",
            ),
            ("scripts/b.py", "#!/usr/bin/python3\r\n# ---\r\n# name: B\r\n# ---\r\nprint(1)\r\n"),
            ("scripts/c.bat", "\ufeff:: ---\r\n:: name: C\r\n:: ---\r\necho 1\r\n"),
        ):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(text.encode())
        await applied(trmm, tmp_path, kinds=["scripts", "policies"])
        scripts = {one.name: await trmm.scripts.get(one) for one in await trmm.scripts.list(community=False)}
        assert {name: scripts[name].code for name in "ABC"} == {
            "A": "Write-Output 1\r\nexit\r\n",
            "B": "#!/usr/bin/python3\r\nprint(1)\r\n",
            "C": "echo 1\r\n",
        }
        assert scripts["A"].args == ("one",)
        assert {"scripts/a.ps1", "scripts/b.py", "policies/a.yaml"} <= {
            *(await config.pull(trmm, tmp_path, kinds=["scripts", "policies"])).unchanged
        }


LABELS = """\
name: P
tasks:
- {name: 'a #2', schedule: {task_type: manual}, actions: [{type: cmd, command: x, shell: cmd}]}
- {name: a, schedule: {task_type: manual}, actions: [{type: cmd, command: y, shell: cmd}]}
- {name: a, schedule: {task_type: manual}, actions: [{type: cmd, command: z, shell: cmd}]}
"""


async def test_names_with_numbers_are_told_from_numbers_of_ours(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "policies/a#tasks.yaml", LABELS)
        assert len(await applied(trmm, tmp_path, kinds=["policies"])) == 4
        assert "policies/a#tasks.yaml" in (await config.pull(trmm, tmp_path, kinds=["policies"])).unchanged


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("scripts/b.py", "# ---\n# name: B\n# ---\n", "scripts/b.py: code must not be empty"),
        (
            "policies/b.yaml",
            "name: B\ndescription: |\n  two\n  lines\n",
            "must not contain control characters",
        ),
        ("policies/b.yaml", "name: ' B '\n", "has spaces around it"),
        ("policies/b.yaml", "name: B\nchecks:\n- {check_type: ping, ip: ''}\n", "ip must"),
        (
            "policies/b.yaml",
            "name: B\nchecks:\n- {check_type: cpuload, warning_threshold: 90, error_threshold: 80}\n",
            "threshold",
        ),
    ],
)
async def test_what_can_not_be_sent_is_refused_before_anything_is(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    async with stock() as (server, trmm):
        write(tmp_path, "scripts/a.py", "# ---\n# name: Fine\n# ---\n1")
        write(tmp_path, name, text)
        with pytest.raises(ConfigError, match=said):
            await config.plan(trmm, tmp_path, kinds=["scripts", "policies"])
        assert changes(server) == 0


async def test_two_that_apply_one_folder_at_once(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        write(tmp_path, "scripts/a.py", "# ---\n# name: Once\n# ---\n1")
        plan = await config.plan(trmm, tmp_path, kinds=["scripts"])
        both = (config.apply(trmm, plan, tmp_path) for _ in range(2))
        done, refused = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(done, config.Applied)
        assert "is under way" in str(refused)
        names = [one.name for one in await trmm.scripts.list(community=False)]
        assert names.count("Once") == 1
        # What held it holds it no more.
        await config.apply(trmm, await config.plan(trmm, tmp_path, kinds=["scripts"]), tmp_path)


async def test_a_number_refers_to_nothing_that_the_server_has_not_there(tmp_path: Path) -> None:
    """`pull` writes one of what is gone. On another server it would be somebody else's."""
    async with stock() as (server, trmm):
        other = await trmm.scripts.create(name="Other", shell="python", code="1")
        task = "{name: T, schedule: {task_type: manual}, actions: [{type: script, script: '#NUMBER'}]}"
        before = changes(server)
        for number in (other.id, 99_999):
            text = f"name: P\ntasks:\n- {task.replace('NUMBER', str(number))}\n"
            write(tmp_path, "policies/p.yaml", text)
            with pytest.raises(ConfigError, match=f"there is no script '#{number}'"):
                await config.plan(trmm, tmp_path, kinds=["policies"])
        assert changes(server) == before
        # What is gone here may stand as it is, beside what changes.
        write(tmp_path, "policies/p.yaml", f"name: P\ntasks:\n- {task.replace('#NUMBER', 'Other')}\n")
        await applied(trmm, tmp_path, kinds=["policies"])
        await trmm.scripts.delete(other, with_code=True, in_use=True)
        gone = task.replace("NUMBER", str(other.id)).replace("{name: T,", "{name: T, enabled: false,")
        write(tmp_path, "policies/p.yaml", f"name: P\ntasks:\n- {gone}\n")
        assert await applied(trmm, tmp_path, kinds=["policies"]) == ["~ task 'T' of 'P'"]


async def test_no_kinds_are_not_all(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        with pytest.raises(InvalidRequestError, match="kinds: give at least one"):
            await config.pull(trmm, tmp_path, kinds=[])


async def test_what_can_not_be_noted_stops_it_and_is_told(tmp_path: Path) -> None:
    async with stock() as (server, trmm):
        for name in "AB":
            write(tmp_path, f"scripts/{name}.py", f"# ---\n# name: {name}\n# ---\n1")
        plan = await config.plan(trmm, tmp_path, kinds=["scripts"])

        def lose_record(_: config.Step) -> None:
            record = next((tmp_path / ".trmm").glob("state-*.json"))
            record.unlink()
            record.mkdir()

        with pytest.raises(ApplyStoppedError, match=r"script 'B' is done, and could not be noted") as caught:
            await config.apply(trmm, plan, tmp_path, tell=lose_record)
        assert [step.name for step in caught.value.done] == ["A", "B"]
        before = changes(server)
        with pytest.raises(ConfigError):
            await config.apply(trmm, plan, tmp_path)
        assert changes(server) == before


async def test_variables_that_a_mapping_can_not_say_are_told(tmp_path: Path) -> None:
    async with stock() as (_, trmm):
        script = {"name": "E", "shell": "python", "script_body": "1", "script_type": "userdefined"}
        await trmm.request("POST", "/scripts/", json={**script, "env_vars": ["A=1", "A=2"]})
        pulled = await config.pull(trmm, tmp_path, kinds=["scripts"])
        assert any("variable 'A' stands there twice" in one for one in pulled.findings)


async def test_a_server_that_quotes_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOP_SECRET", "s3cr3t-value")
    async with stock(retries=0) as (server, trmm):
        write(tmp_path, "key_store/a.yaml", "name: K\nvalue_from: env:TOP_SECRET\n")
        plan = await config.plan(trmm, tmp_path, kinds=["key_store"])
        quoted = '{"value": ["s3cr3t-value is not liked"]}'
        server.fail("POST", "/core/keystore/", status=400, body=quoted)
        with pytest.raises(ApplyStoppedError, match=r"\*\*\* is not liked") as caught:
            await config.apply(trmm, plan, tmp_path)
        assert "s3cr3t" not in f"{caught.value}{caught.value.__cause__}{caught.value.__cause__!r}"
        await applied(trmm, tmp_path, kinds=["key_store"])
        monkeypatch.setenv("TOP_SECRET", "an0ther-value")
        server.fail("PUT", "/core/keystore/", status=400, body=quoted.replace("s3cr3t", "an0ther"))
        with pytest.raises(ApplyStoppedError, match=r"\*\*\* is not liked"):
            await config.apply(trmm, await config.plan(trmm, tmp_path, kinds=["key_store"]), tmp_path)


@pytest.mark.parametrize("name", [b"\xff.yaml", b"a\nb.yaml", b"\x1b[2J.yaml", b"\xe2\x80\xaelmay.yaml"])
async def test_a_file_whose_name_can_not_be_shown_is_refused(tmp_path: Path, name: bytes) -> None:
    async with stock() as (_, trmm):
        (tmp_path / "policies").mkdir()
        (tmp_path / "policies" / os.fsdecode(name)).write_text("name: Q\n")
        with pytest.raises(ConfigError, match="name can't be written down") as caught:
            await config.plan(trmm, tmp_path, kinds=["policies"])
        assert str(caught.value).isprintable()


async def test_what_the_folder_itself_refers_to_is_not_deleted(tmp_path: Path) -> None:
    kinds = ["policies", "clients"]
    async with stock() as (_, trmm):
        write(tmp_path, "policies/q.yaml", "name: Q\n")
        write(tmp_path, "clients/h.yaml", "name: Hermes Network Inc.\nserver_policy: Q\n")
        await applied(trmm, tmp_path, kinds=kinds)
        (tmp_path / "policies/q.yaml").unlink()
        plan = await config.plan(trmm, tmp_path, kinds=kinds, delete=True)
        assert not plan
        assert "'Q', has no file any more, and another file refers to it" in str(plan)
        write(tmp_path, "clients/h.yaml", "name: Hermes Network Inc.\n")
        steps = ["~ client 'Hermes Network Inc.'", "- policy 'Q'"]
        assert await applied(trmm, tmp_path, kinds=kinds, delete=True) == steps
