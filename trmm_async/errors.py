"""Every error that this package raises, in one tree.

Imports nothing of the package but how texts are cleaned, everything may import it.

```
TRMMError
├── InvalidRequestError          the request is wrong; found here, nothing was sent (also a ValueError)
│   ├── BadRequestError          the same, said by the server (400; also an APIError)
│   ├── AmbiguousNameError       several things have this name
│   ├── ConfigError              a file of a server's configuration is wrong; says which, the line and the key
│   └── UnknownNameError         nothing has this name; says which names are alike
├── UnsupportedError             this server can't do that; says what to use instead
├── ClosedError                  the client or the subscription is closed
├── LimiterUnavailableError      what keeps the shared limits could not be asked; certainly nothing was sent
├── KeySourceError               what was to give the API key could not: the keyring, or your callable
├── StillInMaintenanceError      agents that `maintenance` could not switch off again
├── JournalError                 a run's journal can't be made, read, written, or had
├── IncompleteError              some of many agents could not be asked; holds what the others said
├── HalfDoneError                a part of it was done, the rest was refused; holds what exists now
├── ApplyStoppedError            a plan for a server's configuration was carried out in part
├── RecordedError                an error of an earlier process, as a journal has it
├── ConnectionFailedError        no answer came, and nothing that changes something was sent
├── TimeoutError                 the same, because time ran out (also the built-in TimeoutError)
├── OutcomeUnknownError          a call that changes something was sent, its answer is lost or proves nothing
│   ├── ServerFaultError         the same: the server, or a proxy, answered 5xx (also a ServerError)
│   ├── AgentSilentError         a script was sent, and the agent has not reported its end
│   ├── UnidentifiedError        it took effect; which of the server's objects it is can't be told
│   └── AgentLostError           the agent did not answer a call that changes something (also the next)
└── APIError                     the server answered: status, detail, method, path, body
    ├── AuthenticationError      401; or a login for sockets is missing or has ended
    ├── PermissionDeniedError    403
    ├── NotFoundError            404
    ├── AgentUnreachableError    the server could not reach the agent
    ├── RateLimitedError         429, after waiting as long as we may
    ├── ServerError              5xx
    ├── RedirectedError          3xx: the URL of the client is not the server's
    └── DecodeError              2xx with an answer that can't be read
```

`except TRMMError` catches all of it. No error holds the API key, or the password, code or token of a login.
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
"""How many characters of an answer's body stand in an error's text. `APIError.body` holds more."""


class TRMMError(Exception):
    """The root of all errors of this package. Nothing in their texts acts on a terminal.

    A traceback of one names the page that tells what happened, and what to do now: `trmm explain NAME`.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        ours = next(kind for kind in type(self).__mro__ if kind.__module__ == __name__)
        self.add_note(f"What happened, what now: trmm explain {ours.__name__}")

    def __str__(self) -> str:
        return clean(super().__str__())


class InvalidRequestError(TRMMError, ValueError):
    """An argument is wrong. Raised before anything is sent, unless it is a `BadRequestError`."""


class AmbiguousNameError(InvalidRequestError):
    """Several things have the name that was meant to name one.

    Attributes:
        name: the name.
        ids: which things have it: agents' ids, or the numbers of others.
        kind: what they are: "agent", "script", "client" or "site".
        about: by what each can be told from the others, where that is known.
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
        kind: what was looked for: "agent", "script", "client" or "site".
        near: names that are alike, three at most.
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
    """A folder of `trmm_async.config` can't be used as it is. Nothing was changed on the server.

    Attributes:
        why: what is wrong.
        file: the file's name in the folder; None where it is no single file's fault.
        line: the line in it, from 1; None where it is the whole file's.
        key: the value's name, as `checks[0].disk`; empty where it is none's.
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
    """The server in use can't do this. The text names what to use instead."""


class ClosedError(TRMMError, RuntimeError):
    """The client or the subscription was used after it was closed. Nothing was sent."""


class KeySourceError(TRMMError):
    """What was to give the API key could not; `__cause__` is why. Nothing was sent with another."""


class LimiterUnavailableError(TRMMError):
    """Whether the shared limits (`shared_limits`) leave room can't be known. Nothing was sent: certainly not.

    Their server could not be reached for `limiter_timeout` seconds, or it refuses; the text says which, and
    what to do. On a fleet the target is `Failed`.
    """


class StillInMaintenanceError(TRMMError):
    """Agents that were switched to maintenance mode could not be switched back: they raise no alerts.

    Attributes:
        failed: why not, by agent_id.
    """

    def __init__(self, failed: Mapping[str, TRMMError]) -> None:
        super().__init__(failed)
        self.failed: Mapping[str, TRMMError] = dict(failed)

    def __str__(self) -> str:
        shown = "; ".join(f"{agent_id} ({error})" for agent_id, error in list(self.failed.items())[:_NAMED])
        more = f" and {len(self.failed) - _NAMED} more" if len(self.failed) > _NAMED else ""
        return clean(
            f"still in maintenance mode: {shown}{more}; agents.set_maintenance(False, agent=…) ends it"
        )


class JournalError(TRMMError):
    """A run's journal can't be made, read or written, or another process works on it."""


class IncompleteError(TRMMError):
    """Many agents were asked, and some could not be. Nothing is lost of the others.

    Attributes:
        failed: the error of each agent that could not be asked, by its id.
        found: what the others said, where it was gathered (`checks.list`); empty where it was given out as
            it came (`checks.iter`).
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
    """What takes several steps on the server was begun, and one of them failed: its `__cause__` says how.

    Attributes:
        made: what exists now all the same, to be kept, finished or deleted.
    """

    def __init__(self, why: str, made: Sequence[Any]) -> None:
        super().__init__(why, made)
        self.why = why
        self.made: tuple[Any, ...] = tuple(made)

    def __str__(self) -> str:
        return clean(f"half done: {self.why}. What exists now: {', '.join(map(repr, self.made))}")


class ApplyStoppedError(TRMMError):
    """`config.apply` stopped at a step; what stands before it is done. Plan anew: it goes by what is.

    Attributes:
        why: what happened, and what is known of the step now.
        done: the steps that were carried out, in order.
        step: the one at which it stopped.
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
    """What went wrong in an earlier process, as a journal has it.

    Attributes:
        kind: the name of the error's class.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(kind, text)
        self.kind = kind
        self.text = text

    def __str__(self) -> str:
        return clean(self.text or self.kind)


class CallError(TRMMError):
    """A call failed without a readable answer. `method` and `path` say which."""

    def __init__(self, message: str, *, method: str = "", path: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return clean(f"{self.method} {self.path}: {self.message}" if self.method else self.message)


class ConnectionFailedError(CallError):
    """No connection, or it was lost before the answer was whole.

    The call either only reads, or certainly never reached the application.
    """


class TimeoutError(CallError, builtins.TimeoutError):  # noqa: A001 - USAGE names it; it is the built-in too
    """The answer to a call that only reads did not come in time."""


class OutcomeUnknownError(CallError):
    """A call that changes something was sent, and its answer was lost, cut short, unreadable or no proof.

    It may have taken effect, and was not sent again. `__cause__` holds what went wrong, where that
    can be shown safely.
    """


class AgentSilentError(OutcomeUnknownError):
    """A script or command was sent, and its agent reported no end in time. It may have run, or run still.

    Attributes:
        agent_id: the agent.
        reason: "offline" if the server says so of the agent, else "silent".
        waited: seconds from the sending on.
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
    """It took effect, and the server does not say which object came of it; several could be it, or none.

    Attributes:
        candidates: what could be it, as the server listed it.
    """

    candidates: tuple[object, ...] = ()


class APIError(TRMMError):
    """The server answered, and not with what was asked for.

    Attributes:
        status: the HTTP status.
        detail: the server's own words, shortened; empty if it had none.
        method: the call's HTTP method.
        path: the call's path, without host and query.
        body: the beginning of the answer's body, as text.
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
    """400: the server found the request wrong.

    Attributes:
        fields: what it said of single fields, by their names on the wire; empty where it named none.
    """

    fields: Mapping[str, str] = _NO_FIELDS


class AuthenticationError(APIError):
    """401: the API key is wrong, has expired or was revoked; or a login is missing, refused or has ended."""


class PermissionDeniedError(APIError):
    """403: the key's user lacks the permission."""


class NotFoundError(APIError):
    """404: there is no such thing, or no such path on this server."""


class AgentUnreachableError(APIError):
    """The server could not reach the agent: it is offline, or it does not answer."""


class RateLimitedError(APIError):
    """429, still, after all the waiting that the client's settings allow.

    Attributes:
        retry_after: seconds the server last asked to wait; None if it did not say.
        attempts: how many times the call was sent.
        waited: seconds spent waiting between those.
    """

    retry_after: float | None = None
    attempts: int = 1
    waited: float = 0.0

    def __str__(self) -> str:
        asked = "" if self.retry_after is None else f", asked to wait {self.retry_after:.0f} s more"
        return f"{super().__str__()} (sent {self.attempts} times, waited {self.waited:.0f} s{asked})"


class ServerError(APIError):
    """5xx: the server failed, or a proxy in front of it did."""


class RedirectedError(APIError):
    """3xx to a read: the server sends callers elsewhere. Not followed, so that the key goes nowhere else.

    To a call that changes something, a redirect is an `OutcomeUnknownError` with this as its `__cause__`: it
    may stand in front of the application, or behind it.

    Attributes:
        location: where to, without its query (which may hold secrets).
    """

    location: str = ""


class DecodeError(APIError):
    """The server answered with success and a body that can't be read. `body` holds its beginning."""

    def __str__(self) -> str:
        begins = f"the body begins {self.body[:BODY_SHOWN]!r}" if self.body else "the body is empty"
        return f"{super().__str__()}; {begins}"


class ServerFaultError(OutcomeUnknownError, ServerError):
    """5xx to a call that changes something: it may have taken effect, and was not sent again."""

    def __init__(self, status: int, detail: str, *, method: str = "", path: str = "", body: str = "") -> None:
        ServerError.__init__(self, status, detail, method=method, path=path, body=body)
        self.message: str = f"{status}: {detail}"

    def __str__(self) -> str:
        return ServerError.__str__(self)


class AgentLostError(OutcomeUnknownError, AgentUnreachableError):
    """The agent did not answer a call that changes something: it may have got it, and have done it."""

    def __init__(self, status: int, detail: str, *, method: str = "", path: str = "", body: str = "") -> None:
        AgentUnreachableError.__init__(self, status, detail, method=method, path=path, body=body)
        self.message: str = f"{status}: {detail}"

    def __str__(self) -> str:
        return AgentUnreachableError.__str__(self)
