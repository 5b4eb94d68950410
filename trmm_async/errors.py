"""All errors of this package, in one tree.

```
TRMMError
├── InvalidRequestError          an argument is invalid, and nothing was sent (also a ValueError)
│   ├── BadRequestError          the server refused the request as invalid (400; also an APIError)
│   ├── AmbiguousNameError       several objects have this name
│   ├── ConfigError              a file of a server's configuration is invalid; has the file, line and key
│   └── UnknownNameError         nothing has this name; has similar names
├── UnsupportedError             this kind of server can't do that; says what to use instead
├── ClosedError                  the client or the subscription is closed
├── LimiterUnavailableError      the server of the shared limits can't be reached; nothing was sent
├── KeySourceError               the source of the API key failed: the keyring, or your function
├── StillInMaintenanceError      agents whose maintenance mode could not be switched off again
├── JournalError                 a run's journal can't be made, read or written, or is in use
├── IncompleteError              some of many agents could not be asked; has what the others returned
├── HalfDoneError                a part was done, and the rest failed; has what exists now
├── ApplyStoppedError            a plan for a server's configuration was carried out in part
├── RecordedError                an error of an earlier process, read from a journal
├── ConnectionFailedError        no answer came, and the call certainly changed nothing
├── TimeoutError                 a call that only reads was not answered in time (also the built-in one)
├── OutcomeUnknownError          a call that changes something was sent, and may have taken effect
│   ├── ServerFaultError         the server, or a proxy, answered it with 5xx (also a ServerError)
│   ├── AgentSilentError         a script was sent, and the agent has not reported its end
│   ├── UnidentifiedError        it took effect, but the new object can't be identified
│   └── AgentLostError           the agent did not answer it (also an AgentUnreachableError)
└── APIError                     the server answered: status, detail, method, path, body
    ├── AuthenticationError      401; or a login for WebSockets is missing or has ended
    ├── PermissionDeniedError    403
    ├── NotFoundError            404
    ├── AgentUnreachableError    the server could not reach the agent
    ├── RateLimitedError         429, after waiting as long as the settings allow
    ├── ServerError              5xx
    ├── RedirectedError          3xx: the client's URL is not the server's address
    └── DecodeError              2xx with an answer that can't be read
```

`except TRMMError` catches all of them. No error holds the API key, or the password, code or token of a login.

Every module may import this one, so it imports nothing of the package but `plaintext`.
"""

import builtins
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal

from trmm_async.plaintext import clean

__all__ = [
    "APIError",
    "AgentLostError",
    "AgentSilentError",
    "AgentUnreachableError",
    "AmbiguousNameError",
    "ApplyStoppedError",
    "AuthenticationError",
    "BadRequestError",
    "ClosedError",
    "ConfigError",
    "ConnectionFailedError",
    "DecodeError",
    "HalfDoneError",
    "IncompleteError",
    "InvalidRequestError",
    "JournalError",
    "KeySourceError",
    "LimiterUnavailableError",
    "StillInMaintenanceError",
    "NotFoundError",
    "OutcomeUnknownError",
    "PermissionDeniedError",
    "RateLimitedError",
    "RecordedError",
    "RedirectedError",
    "ServerError",
    "ServerFaultError",
    "TRMMError",
    "TimeoutError",
    "UnidentifiedError",
    "UnknownNameError",
    "UnsupportedError",
]

_AGENTS_NAMED: Final = 3
_NAMED: Final = 6

BODY_SHOWN = 200
"""How many characters of an answer's body an error's text shows. `APIError.body` holds more."""


class TRMMError(Exception):
    """The base class of all errors of this package.

    Control characters are removed from their texts, so that a server's text can't affect a terminal. The
    traceback names the command that explains the error and says what to do: `trmm explain NAME`.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        ours = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        self.add_note(f"What happened, what now: trmm explain {ours.__name__}")

    def __str__(self) -> str:
        return clean(super().__str__())


class InvalidRequestError(TRMMError, ValueError):
    """An argument is invalid. Nothing was sent, unless it is a `BadRequestError`."""


class AmbiguousNameError(InvalidRequestError):
    """Several objects have the name that was given. Nothing else was sent. Give the id instead.

    Attributes:
        name: the name.
        ids: the ids of the objects that have it.
        kind: what was looked up: "agent", "script", "client" or "site".
        about: for each of them, a text that distinguishes it from the others; empty if there is none.
    """

    def __init__(
        self, name: str, ids: Sequence[str | int], kind: str = "agent", about: Sequence[str] = ()
    ) -> None:
        super().__init__(name, tuple(ids), kind, tuple(about))
        self.name = name
        self.ids: tuple[str | int, ...] = tuple(ids)
        self.kind = kind
        self.about: tuple[str, ...] = tuple(about)

    def __str__(self) -> str:
        told = [f"{one} ({about})" for one, about in zip(self.ids, self.about, strict=False)]
        shown = (told or [str(one) for one in self.ids])[:_NAMED]
        more = len(self.ids) - len(shown)
        rest = f" and {more} more" if more > 0 else ""
        head = f"{len(self.ids)} {self.kind}s are named {self.name!r}"
        return clean(f"{head}, give the id: {', '.join(shown)}{rest}")


class UnknownNameError(InvalidRequestError):
    """Nothing that the key may see has the name that was given. Nothing else was sent.

    Attributes:
        name: the name.
        kind: what was looked up: "agent", "script", "client" or "site".
        near: similar names, three at most.
    """

    def __init__(self, name: str, kind: str, near: Sequence[str] = ()) -> None:
        super().__init__(name, kind, tuple(near))
        self.name = name
        self.kind = kind
        self.near: tuple[str, ...] = tuple(near)

    def __str__(self) -> str:
        hint = ""
        if self.near:
            hint = f"; did you mean {' or '.join(map(repr, self.near))}?"
        elif self.name.isdecimal():
            hint = f"; a text is a name: for the id, give the number {self.name}"
        return clean(f"there is no {self.kind} {self.name!r}{hint}")


class ConfigError(InvalidRequestError):
    """A folder of `trmm_async.config` is invalid. Nothing was changed on the server.

    Attributes:
        why: what is wrong.
        file: the file's name in the folder; None if the error is not in a single file.
        line: the line in the file, from 1; None if the error is not in a single line.
        key: the name of the value, such as `checks[0].disk`; empty if the error is not in a single value.
    """

    def __init__(self, why: str, *, file: str | None = None, line: int | None = None, key: str = "") -> None:
        super().__init__(why, file, line, key)
        self.why = why
        self.file = file
        self.line = line
        self.key = key

    def __reduce__(self) -> tuple[Any, ...]:
        return _config_error, (self.why, self.file, self.line, self.key)

    def __str__(self) -> str:
        place = ":".join(str(one) for one in (self.file, self.line) if one is not None)
        return clean(": ".join(part for part in (place, self.key, self.why) if part))


def _config_error(why: str, file: str | None, line: int | None, key: str) -> ConfigError:
    return ConfigError(why, file=file, line=line, key=key)


class UnsupportedError(TRMMError):
    """This kind of server can't do this. The text names what to use instead."""


class ClosedError(TRMMError, RuntimeError):
    """The client or the subscription was used after it was closed. Nothing was sent."""


class KeySourceError(TRMMError):
    """The source of the API key failed: the keyring, or the function given as `api_key`.

    `__cause__` is the error of the source. Nothing was sent with another key.
    """


class LimiterUnavailableError(TRMMError):
    """The Redis server of the shared limits (`shared_limits`) can't be used. Certainly nothing was sent.

    It could not be reached for `limiter_timeout` seconds, or it refused; the text says which, and what to do.
    In a fleet run, the target is `Failed`.
    """


class StillInMaintenanceError(TRMMError):
    """The maintenance mode of some agents could not be switched off again. Until it is, they raise no alerts.

    Attributes:
        failed: the error of each such agent, by agent_id.
    """

    def __init__(self, failed: Mapping[str, TRMMError]) -> None:
        super().__init__(failed)
        self.failed: Mapping[str, TRMMError] = dict(failed)

    def __str__(self) -> str:
        shown = "; ".join(f"{agent_id} ({error})" for agent_id, error in list(self.failed.items())[:_NAMED])
        more = f" and {len(self.failed) - _NAMED} more" if len(self.failed) > _NAMED else ""
        return clean(
            f"still in maintenance mode: {shown}{more}; end it with agents.set_maintenance(False, agent=…)"
        )


class JournalError(TRMMError):
    """A run's journal can't be made, read or written, is damaged, or is in use by another process."""


class IncompleteError(TRMMError):
    """Some of many agents could not be asked. The results of the others are not lost.

    Attributes:
        failed: the error of each agent that could not be asked, by agent_id.
        found: the results of the others, if the method returns a list (`checks.list`). Empty if it has
            already yielded them (`checks.iter`).
    """

    def __init__(self, failed: Mapping[str, TRMMError], found: Sequence[Any] = ()) -> None:
        super().__init__(failed, found)
        self.failed = failed
        self.found = found

    def __str__(self) -> str:
        named = [f"{agent_id} ({error})" for agent_id, error in list(self.failed.items())[:_AGENTS_NAMED]]
        more = len(self.failed) - len(named)
        rest = f" and {more} more" if more else ""
        return clean(f"{len(self.failed)} agents could not be asked: {', '.join(named)}{rest}")


class HalfDoneError(TRMMError):
    """A method that takes several steps on the server did some of them, and then one failed.

    `__cause__` is the error of the step that failed.

    Attributes:
        why: what happened.
        made: the objects that exist now. Keep them, finish them or delete them.
    """

    def __init__(self, why: str, made: Sequence[Any]) -> None:
        super().__init__(why, made)
        self.why = why
        self.made: tuple[Any, ...] = tuple(made)

    def __str__(self) -> str:
        return clean(f"half done: {self.why}. What exists now: {', '.join(map(repr, self.made))}")


class ApplyStoppedError(TRMMError):
    """`config.apply` stopped at a step. The steps before it were carried out.

    Make a new plan to continue: it starts from what the server has now.

    Attributes:
        why: what happened, and what is known about the step at which it stopped.
        done: the steps that were carried out, in order.
        step: the step at which it stopped.
    """

    def __init__(self, why: str, done: Sequence[Any] = (), step: Any = None) -> None:
        super().__init__(why, tuple(done), step)
        self.why = why
        self.done: tuple[Any, ...] = tuple(done)
        self.step = step

    def __str__(self) -> str:
        done = "nothing was changed before it"
        if self.done:
            done = f"done before it: {', '.join(one.title for one in self.done)}"
        return clean(f"stopped: {self.why}; {done}. Plan again to see what is left")


class RecordedError(TRMMError):
    """An error of an earlier process, read from a journal.

    Attributes:
        kind: the name of the error's class.
        text: its text.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return clean(self.text or self.kind)


class CallError(TRMMError):
    """A call got no answer that can be used. `method` and `path` say which call."""

    def __init__(self, message: str, *, method: str = "", path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return clean(f"{self.method} {self.path}: {self.message}" if self.method else self.message)


class ConnectionFailedError(CallError):
    """There was no connection, or it was lost before the answer was complete.

    The call only reads, or it certainly never reached the application; so it is safe to make it again.
    """


class TimeoutError(CallError, builtins.TimeoutError):  # noqa: A001 - USAGE names it; it is the built-in too
    """A call that only reads was not answered in time. It is also the built-in `TimeoutError`."""


class OutcomeUnknownError(CallError):
    """A call that changes something was sent, and it is not known whether it took effect.

    Its answer was lost, cut short or unreadable, or doesn't prove anything. The call was not sent again;
    before you make it again, look at the server. `__cause__` is the underlying error, unless it could show a
    secret.
    """


class AgentSilentError(OutcomeUnknownError):
    """A script or command was sent, and the agent did not report its end in time.

    It may have run, or may still be running.

    Attributes:
        agent_id: the agent.
        reason: "offline" if the agent is offline according to the server, otherwise "silent".
        waited: seconds since it was sent.
    """

    def __init__(self, agent_id: str, reason: Literal["offline", "silent"], waited: float) -> None:
        then = (
            "; it may still run when it returns" if reason == "offline" else ": it may have run, or run still"
        )
        super().__init__(f"agent {agent_id} is {reason}: no result {waited:.0f} s after the sending{then}")
        self.agent_id = agent_id
        self.reason = reason
        self.waited = waited

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.agent_id, self.reason, self.waited)


class UnidentifiedError(OutcomeUnknownError):
    """A call took effect, but the server doesn't say which object it made: several could be it, or none.

    Attributes:
        candidates: the objects that could be it, as the server listed them.
    """

    candidates: tuple[object, ...] = ()


class APIError(TRMMError):
    """The server answered with an error.

    Attributes:
        status: the HTTP status.
        detail: the server's message, shortened; empty if it sent none.
        method: the call's HTTP method.
        path: the call's path, without host and query.
        body: the beginning of the answer's body, as a text.
    """

    def __init__(self, status: int, detail: str, *, method: str = "", path: str = "", body: str = "") -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.method = method
        self.path = path
        self.body = body

    def __str__(self) -> str:
        said = self.detail or self.body[:BODY_SHOWN] or "no details"
        where = f"{self.method} {self.path}: " if self.method else ""
        return clean(f"{where}{self.status}: {said}")


_NO_FIELDS: Final[Mapping[str, str]] = MappingProxyType({})


class BadRequestError(InvalidRequestError, APIError):
    """400: the server refused the request as invalid.

    Attributes:
        fields: the server's message for each field, by the server's field names; empty if it named none.
    """

    fields: Mapping[str, str] = _NO_FIELDS


class AuthenticationError(APIError):
    """401: the API key is wrong, expired or revoked; or a login is missing, was refused or has ended."""


class PermissionDeniedError(APIError):
    """403: the user of the API key lacks the permission."""


class NotFoundError(APIError):
    """404: the object doesn't exist, or this server has no such path."""


class AgentUnreachableError(APIError):
    """The server could not reach the agent: the agent is offline, or does not answer."""


class RateLimitedError(APIError):
    """429: the server's rate limit is exceeded, also after all the retries that the settings allow.

    Attributes:
        retry_after: seconds that the server last asked to wait; None if it did not say.
        attempts: how often the call was sent.
        waited: seconds that were spent waiting between these attempts.
    """

    retry_after: float | None = None
    attempts: int = 1
    waited: float = 0.0

    def __str__(self) -> str:
        asked = "" if self.retry_after is None else f", asked to wait {self.retry_after:.0f} s more"
        return f"{super().__str__()} (sent {self.attempts} times, waited {self.waited:.0f} s{asked})"


class ServerError(APIError):
    """5xx: the server failed, or a proxy in front of it failed."""


class RedirectedError(APIError):
    """3xx in answer to a read. Redirects are not followed, so that the key is not sent to another server.

    If a call that changes something is redirected, that is an `OutcomeUnknownError` with this error as its
    `__cause__`, since the call may have reached the application before it was redirected.

    Attributes:
        location: the address of the redirect, without its query, which may hold secrets.
    """

    location: str = ""


class DecodeError(APIError):
    """The server reported success, but the body of its answer can't be read. `body` has its beginning."""

    def __str__(self) -> str:
        begins = f"the body begins {self.body[:BODY_SHOWN]!r}" if self.body else "the body is empty"
        return f"{super().__str__()}; {begins}"


class ServerFaultError(OutcomeUnknownError, ServerError):
    """5xx in answer to a call that changes something. It may have taken effect, and was not sent again."""

    def __init__(self, status: int, detail: str, *, method: str = "", path: str = "", body: str = "") -> None:
        ServerError.__init__(self, status, detail, method=method, path=path, body=body)
        self.message: str = f"{status}: {detail}"

    def __str__(self) -> str:
        return ServerError.__str__(self)


class AgentLostError(OutcomeUnknownError, AgentUnreachableError):
    """The agent did not answer a call that changes something. It may have received it and carried it out."""

    def __init__(self, status: int, detail: str, *, method: str = "", path: str = "", body: str = "") -> None:
        AgentUnreachableError.__init__(self, status, detail, method=method, path=path, body=body)
        self.message: str = f"{status}: {detail}"

    def __str__(self) -> str:
        return AgentUnreachableError.__str__(self)
