"""What an administrator sets up: the server's settings, custom fields, the key store, URL actions.

Below: `database.py`. Above: `dialect.py`. Secrets of the real server's settings are made up.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from trmm_async.testing.forms import Field, Form, no_match
from trmm_async.testing.routing import Route

from .models import SETTINGS
from .setup_rows import DASHBOARD
from .view import Fields, crash, invalid, refuse, said
from .visibility import Visibility

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trmm_async.testing.backend import Backend
    from trmm_async.testing.nouns import Agent, Client, CustomField, Site
    from trmm_async.testing.replies import Asked, HTTPReply

    from .table import Row

__all__ = ["SetupView"]

FIELDS, FIELDS_MANAGED = "can_view_customfields", "can_manage_customfields"
KEYS, KEYS_MANAGED = "can_view_global_keystore", "can_edit_global_keystore"
CORE, CORE_MANAGED = "can_view_core_settings", "can_edit_core_settings"
NAMED = ("name", "model", "type", "options", "required")
PLACEHOLDER = re.compile(r"\{\{\s*agent\.(\w+)\s*\}\}")


class SetupView:
    """`/core/…`."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._world = backend.world
        self._database = backend.database
        self._settings = backend.database.settings
        self._visibility = Visibility(backend)

    def routes(self) -> Sequence[Route]:
        """Return its calls."""
        field, key, action = "/core/customfields/", "/core/keystore/", "/core/urlaction/"
        one = "{id:int}/"
        return (
            Route("GET", "/core/settings/", self.settings, CORE),
            Route("PUT", "/core/settings/", self.change_settings, CORE_MANAGED),
            Route("GET", "/core/dashinfo/", self.dashboard),
            Route("GET", "/core/codesign/", self.code_sign, "can_code_sign"),
            Route("GET", "/core/clearcache/", self.clear_cache, "can_do_server_maint"),
            Route("GET", field, self.fields, FIELDS),
            Route("PATCH", field, self.fields_of, FIELDS),
            Route("POST", field, self.create_field, FIELDS_MANAGED),
            Route("GET", field + one, self.field, FIELDS),
            Route("PUT", field + one, self.update_field, FIELDS_MANAGED),
            Route("DELETE", field + one, self.delete_field, FIELDS_MANAGED),
            Route("GET", key, self.keys, KEYS),
            Route("POST", key, self.create_key, KEYS_MANAGED),
            Route("PUT", key + one, self.update_key, KEYS_MANAGED),
            Route("DELETE", key + one, self.delete_key, KEYS_MANAGED),
            Route("GET", action, self.actions, "can_run_urlactions"),
            Route("POST", action, self.create_action, CORE_MANAGED),
            Route("PUT", action + one, self.update_action, CORE_MANAGED),
            Route("DELETE", action + one, self.delete_action, CORE_MANAGED),
            Route("PATCH", action + "run/", self.run_action, "can_run_urlactions"),
        )

    # -- the server ------------------------------------------------------------------------------------------

    def settings(self, _asked: Asked) -> HTTPReply:
        """`GET /core/settings/`."""
        return said(self._settings)

    def change_settings(self, asked: Asked) -> HTTPReply:
        """`PUT /core/settings/`: what was given; `block_local_user_logon` alone has no effect."""
        body = Fields.of(asked)
        if body.get("sso_enabled"):
            crash()
        policy = Field.key(self._backend.database.policies.__contains__)
        template = Field.key(self._backend.database.alert_templates.__contains__)
        pointing = {"server_policy": policy, "workstation_policy": policy, "alert_template": template}
        Form({**SETTINGS.fields, **pointing}).read(body, partial=True)
        for plat in ("windows", "linux", "darwin"):
            name = f"default_shell_{plat}"
            if body.get(name) == "custom" and not body.get(f"{name}_custom"):
                invalid(**{f"{name}_custom": "Custom shell path is required."})
        before = dict(self._settings)
        self._settings.update({name: body[name] for name in body if name in self._settings})
        for kind in ("workstation", "server"):
            if self._settings[f"{kind}_policy"] != before[f"{kind}_policy"]:
                self._database.policy_cache.forget(f"site_{kind}_*", "agent_*")
        self._settings["block_local_user_logon"] = False
        return said("ok")

    def dashboard(self, _asked: Asked) -> HTTPReply:
        """`GET /core/dashinfo/`: with any valid key."""
        return said(DASHBOARD | {"trmm_version": self._backend.version})

    def code_sign(self, _asked: Asked) -> HTTPReply:
        """`GET /core/codesign/`: no token is set."""
        return said({"token": ""})

    def clear_cache(self, _asked: Asked) -> HTTPReply:
        """`GET /core/clearcache/`: forgets what policies give, and what the throttles have counted."""
        self._database.policy_cache.forget_all()
        self._backend.gate.limits.reset()
        return said("Cache was cleared!")

    # -- custom fields ---------------------------------------------------------------------------------------

    def fields(self, asked: Asked) -> HTTPReply:
        """`GET /core/customfields/`: all, or those of a `model`."""
        wanted = asked.row.query.get("model")
        return said([row for row in self._database.all_custom_fields() if wanted in {None, row["model"]}])

    def fields_of(self, asked: Asked) -> HTTPReply:
        """`PATCH /core/customfields/`: those of the `model` in the body."""
        body = Fields.of(asked)
        if "model" not in body:
            refuse("The request was invalid")
        return said([row for row in self._database.all_custom_fields() if row["model"] == body["model"]])

    def create_field(self, asked: Asked) -> HTTPReply:
        """`POST /core/customfields/`: a name only once for each model."""
        body = Fields.of(asked)
        values = self._database.custom_fields.form.read(body, partial=True)
        if "model" not in body:
            invalid(model="This field is required.")
        name, model = str(values.get("name", "")), str(values.get("model", ""))
        if any(field.name == name and field.model == model for field in self._world.custom_fields.values()):
            invalid(non_field_errors="The fields model, name must make a unique set.")
        made = self._world.add_custom_field(name, model=model, type=str(values.get("type", "text")))
        self._apply(made, values)
        return said("ok")

    def field(self, asked: Asked) -> HTTPReply:
        """`GET /core/customfields/{id}/`."""
        return said(self._database.custom_field(self._field(asked)))

    def update_field(self, asked: Asked) -> HTTPReply:
        """`PUT /core/customfields/{id}/`."""
        field = self._field(asked)
        self._apply(field, self._database.custom_fields.form.read(Fields.of(asked), partial=True))
        return said("ok")

    def delete_field(self, asked: Asked) -> HTTPReply:
        """`DELETE /core/customfields/{id}/`: with its values."""
        number, world = self._field(asked).id, self._world
        del world.custom_fields[number]
        holders: list[Agent | Client | Site] = [*world.agents.values(), *world.clients.values()]
        holders += world.sites.values()
        for holder in holders:
            holder.custom_fields[:] = [each for each in holder.custom_fields if each.field != number]
        return said("ok")

    def _field(self, asked: Asked) -> CustomField:
        field = self._world.custom_fields.get(int(asked.params["id"]))
        if field is None:
            raise no_match("CustomField")
        return field

    def _apply(self, field: CustomField, values: Row) -> None:
        for name in NAMED:
            if name in values:
                setattr(field, name, values[name])
        self._database.custom_field(field).update(values)

    # -- the key store and URL actions -----------------------------------------------------------------------

    def keys(self, _asked: Asked) -> HTTPReply:
        """`GET /core/keystore/`: with the values, however secret."""
        return said(list(self._database.keys))

    def create_key(self, asked: Asked) -> HTTPReply:
        """`POST /core/keystore/`."""
        self._database.keys.create(Fields.of(asked), asked.user)
        return said("ok")

    def update_key(self, asked: Asked) -> HTTPReply:
        """`PUT /core/keystore/{id}/`."""
        self._database.keys.update(asked.params["id"], Fields.of(asked), asked.user)
        return said("ok")

    def delete_key(self, asked: Asked) -> HTTPReply:
        """`DELETE /core/keystore/{id}/`."""
        self._database.keys.remove(asked.params["id"])
        return said("ok")

    def actions(self, _asked: Asked) -> HTTPReply:
        """`GET /core/urlaction/`."""
        return said(list(self._database.url_actions))

    def create_action(self, asked: Asked) -> HTTPReply:
        """`POST /core/urlaction/`."""
        self._database.url_actions.create(Fields.of(asked), asked.user)
        return said("ok")

    def update_action(self, asked: Asked) -> HTTPReply:
        """`PUT /core/urlaction/{id}/`."""
        self._database.url_actions.update(asked.params["id"], Fields.of(asked), asked.user)
        return said("ok")

    def delete_action(self, asked: Asked) -> HTTPReply:
        """`DELETE /core/urlaction/{id}/`."""
        self._database.url_actions.remove(asked.params["id"])
        return said("ok")

    def run_action(self, asked: Asked) -> HTTPReply:
        """`PATCH /core/urlaction/run/`: the address of an action for an agent; nothing is fetched.

        Only what is the agent's own (`{{agent.hostname}}`) is filled in here; the rest stays as it is.
        """
        body = Fields.of(asked)
        if "agent_id" not in body:
            refuse("received an incorrect request")
        self._visibility.check_agent_id(asked, str(body["agent_id"]))
        agent = self._world.agent(str(body["agent_id"]))
        pattern = str(self._database.url_actions.get(body.whole("action"))["pattern"])
        return said(PLACEHOLDER.sub(lambda found: _of(agent, found), pattern))


def _of(agent: Agent, found: re.Match[str]) -> str:
    return str(getattr(agent, found[1], found[0]))
