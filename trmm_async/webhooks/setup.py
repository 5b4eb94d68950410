"""Makes a stock server post its alerts to a `WebhookReceiver`, and removes that again.

`receiver` calls it with its secret. All objects are found by their names, so a second call changes only what
differs. It uses only the public methods of the client.
"""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trmm_async.errors import InvalidRequestError, TRMMError
from trmm_async.webhooks.delivery import TEMPLATE

if TYPE_CHECKING:
    from trmm_async.client import TRMM

__all__ = ["WebhookSetup", "install", "uninstall"]

_KEY_MOST: Final = 25


@dataclass(frozen=True, slots=True)
class WebhookSetup:
    """What `WebhookReceiver.install` or `uninstall` did; with `dry_run`, what it would do.

    Attributes:
        steps: what was done, or would be done, as texts. Empty if there was nothing to do.
        url_action: the id of the URL action; None if it doesn't exist.
        alert_template: the id of the alert template; None if it doesn't exist.
    """

    steps: tuple[str, ...] = ()
    url_action: int | None = None
    alert_template: int | None = None


class _Steps:
    """Records the steps that were done, and adds them as a note to an error of a later step."""

    def __init__(self, *, dry_run: bool) -> None:
        self.dry_run = dry_run
        self.done: list[str] = []

    async def take(self, words: str, doing: Any) -> Any:
        """Do a step. With `dry_run`, only record it, and close the coroutine."""
        if self.dry_run:
            doing.close()
            self.done.append(words)
            return None
        try:
            found = await doing
        except TRMMError as error:
            there = f"done so far: {'; '.join(self.done)}" if self.done else "nothing was done before"
            error.add_note(f"webhooks: this failed: {words}; {there}. Call it again to continue from there")
            raise
        self.done.append(words)
        return found


async def install(
    trmm: "TRMM", url: str, secret: str, *, name: str, places: dict[str, Any], dry_run: bool
) -> WebhookSetup:
    """Do what `WebhookReceiver.install` says. `places` are the objects to which the template is assigned."""
    # With a client it is loaded; who only receives does without it.
    from trmm_async.dialects.stock.dialect import check_age  # noqa: PLC0415

    key = _key_of(name)
    steps = _Steps(dry_run=dry_run)
    known = {"policy": trmm.policies.get, "client": trmm.clients.get, "site": trmm.sites.get}
    for place, which in places.items():
        if place in known:
            await known[place](which)  # fails before anything is made that could not be assigned
    entry = _one(await trmm.key_store.list(), key, "entries of the key store")
    check_age(
        await trmm.core.version(), "install of a webhook", "0.19.0", "it has no URL actions that call one"
    )
    if entry is None:
        await steps.take(f"create the key store entry {key}", trmm.key_store.create(name=key, value=secret))
    elif entry.value != secret:
        await steps.take(f"write the secret to {key}", trmm.key_store.update(entry, value=secret))

    wanted = {
        "pattern": url,
        "action_type": "rest",
        "rest_method": "post",
        "rest_body": json.dumps(dict(TEMPLATE)),
        "rest_headers": json.dumps(
            {"Content-Type": "application/json", "X-TRMM-Secret": f"{{{{global.{key}}}}}"}
        ),
    }
    action = _one(await trmm.url_actions.list(), name, "URL actions")
    action_id = None if action is None else action.id
    if action is None:
        doing = trmm.url_actions.create(name=name, **wanted)  # type: ignore[arg-type]
        made = await steps.take(f"create the URL action {name} for {url}", doing)
        action_id = None if made is None else made.id
    elif changes := {field: value for field, value in wanted.items() if getattr(action, field) != value}:
        await steps.take(
            f"change {', '.join(changes)} of the URL action {name}",
            trmm.url_actions.update(action, **changes),  # type: ignore[arg-type]
        )

    on = {f"{when}_{what}" for when in ("action", "resolved_action") for what in ("type", "rest")}
    calls: Any = {field: "rest" if field.endswith("type") else action_id for field in on}
    calls["is_active"] = True
    template = _one(await trmm.alert_templates.list(), name, "alert templates")
    template_id = None if template is None else template.id
    if template is None:
        doing_template: Any = trmm.alert_templates.create(name=name, **calls)
        made = await steps.take(f"create the alert template {name}", doing_template)
        template_id = None if made is None else made.id
    elif any(getattr(template, field) != value for field, value in calls.items()):
        doing_template = trmm.alert_templates.update(template, **calls)
        await steps.take(f"have the alert template {name} call the URL action", doing_template)

    for place, which in places.items():
        where = "all agents that have no other" if place == "everywhere" else f"{place} {which}"
        doing_assign: Any = trmm.alert_templates.assign(template_id, **{place: which})
        await steps.take(f"assign the alert template to {where}", doing_assign)
    return WebhookSetup(tuple(steps.done), action_id, template_id)


async def uninstall(trmm: "TRMM", *, name: str, dry_run: bool) -> WebhookSetup:
    """Do what `WebhookReceiver.uninstall` says. An object is deleted before those that it uses."""
    key = _key_of(name)
    steps = _Steps(dry_run=dry_run)
    template = _one(await trmm.alert_templates.list(), name, "alert templates")
    if template is not None:
        doing: Any = trmm.alert_templates.delete(template, in_use=True)
        await steps.take(f"delete the alert template {name}, wherever it is assigned", doing)
    action = _one(await trmm.url_actions.list(), name, "URL actions")
    if action is not None:
        await steps.take(f"delete the URL action {name}", trmm.url_actions.delete(action, in_use=True))
    entry = _one(await trmm.key_store.list(), key, "entries of the key store")
    if entry is not None:
        await steps.take(f"delete the key store entry {key}", trmm.key_store.delete(entry, with_value=True))
    return WebhookSetup(tuple(steps.done))


def _key_of(name: object) -> str:
    if not isinstance(name, str) or not name.isidentifier() or len(f"{name}_secret") > _KEY_MOST:
        raise InvalidRequestError(
            f"name must have at most {_KEY_MOST - len('_secret')} letters, digits and _, "
            f"not {name!r}, since the entry of the key store is called NAME_secret"
        )
    return f"{name}_secret"


def _one(things: list[Any], name: str, what: str) -> Any:
    """The object of this name; None if there is none. Several are refused, since ours can't be identified."""
    found = [thing for thing in things if thing.name == name]
    if len(found) > 1:
        raise InvalidRequestError(
            f"there are {len(found)} {what} called {name!r}, the ids {[one.id for one in found]}: "
            "remove all but one, or give another name="
        )
    return found[0] if found else None
