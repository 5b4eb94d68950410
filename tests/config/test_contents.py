"""What `pull` would write, decided without a server and without a folder."""

from trmm_async.config import specs
from trmm_async.config.contents import folder_update, wanted_by
from trmm_async.config.folder import FileContent, FolderState, ObjectRecord
from trmm_async.config.present import Thing

HERE = "https://rmm.example"


def action(name: str, **settings: str) -> specs.UrlActionSpec:
    return specs.UrlActionSpec(name=name, pattern="https://x", **settings)  # type: ignore[arg-type]


def thing(number: int, spec: specs.UrlActionSpec) -> Thing:
    return Thing(kind="url_actions", id=number, name=spec.name, spec=spec)


def test_a_file_that_says_the_same_stays_and_one_that_does_not_is_written_in_its_place() -> None:
    files = [
        FileContent(kind="url_actions", handle="url_actions/mine.yaml", spec=action("a")),
        FileContent(kind="url_actions", handle="url_actions/b.yaml", spec=action("b")),
    ]
    things = [thing(1, action("a")), thing(2, action("b", description="new")), thing(3, action("B"))]
    update = folder_update(things, files, FolderState(server=HERE))
    assert update.unchanged == {"url_actions/mine.yaml"}
    assert [*update.texts] == ["url_actions/b.yaml", "url_actions/B-2.yaml"], "no name differs only by case"
    assert "description: new" in update.texts["url_actions/b.yaml"]
    assert update.records["url_actions/B-2.yaml"] == ObjectRecord(id=3, name="B")


def test_the_file_of_an_object_that_was_renamed_is_found_by_its_record() -> None:
    files = [FileContent(kind="url_actions", handle="url_actions/old.yaml", spec=action("old"))]
    state = FolderState(server=HERE, objects={"url_actions/old.yaml": ObjectRecord(id=1, name="old")})
    update = folder_update([thing(1, action("new"))], files, state)
    assert [*update.texts] == ["url_actions/old.yaml"]
    assert "name: new" in update.texts["url_actions/old.yaml"]


def test_the_parts_of_a_file_have_handles_with_their_labels() -> None:
    disk, ping = (specs.CheckSpec.__args__[number] for number in (0, 3))
    policy = specs.PolicyFile(name="p", checks=(disk(disk="C:"), disk(disk="C:"), ping(ip="1.1.1.1")))
    file = FileContent(kind="policies", handle="policies/p.yaml", spec=policy)
    wanted = wanted_by([file], FolderState(server=HERE), ["policies"])
    assert [one.handle for one in wanted.objects] == [
        "policies/p.yaml",
        "policies/p.yaml#checks/diskspace C:",
        "policies/p.yaml#checks/diskspace C: #2",
        "policies/p.yaml#checks/ping 1.1.1.1",
    ]
    assert wanted.kinds == ("policies", "patch_policies", "checks", "tasks")
