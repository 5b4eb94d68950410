"""A plan is a value: nothing runs before it is carried out, and all of it runs anew each time."""

from typing import Any

from trmm_async.calls import Call, Steps, plan

ASK = Call(method="GET", path="/a/", decode=bytes.decode)


class TestAPlan:
    @staticmethod
    def test_does_nothing_until_it_is_carried_out_and_then_all_of_it_each_time() -> None:
        begun: list[str] = []

        @plan
        def greeting(name: str, *, mark: str) -> Steps[str]:
            begun.append(name)
            return f"{(yield from ASK)} {name}{mark}"

        one = greeting("Ada", mark="!")
        assert begun == []
        for answer in ("hello", "goodbye"):
            assert carried_out(one.steps(), answer) == f"{answer} Ada!"
        assert begun == ["Ada", "Ada"]

    @staticmethod
    def test_can_be_a_part_of_another() -> None:
        @plan
        def inner() -> Steps[int]:
            return len((yield from ASK))

        @plan
        def outer() -> Steps[int]:
            return 10 * (yield from inner())

        assert carried_out(outer().steps(), "four") == 40

    @staticmethod
    def test_keeps_the_name_and_the_docstring_of_its_function() -> None:
        @plan
        def documented() -> Steps[str]:
            """Ask."""
            return (yield from ASK)

        assert (documented.__name__, documented.__doc__) == ("documented", "Ask.")


def carried_out(steps: Steps[Any], answer: str) -> Any:
    """What the steps return if each of their calls has this answer."""
    try:
        call = next(steps)
        while True:
            assert call is ASK
            call = steps.send(answer)
    except StopIteration as end:
        return end.value
