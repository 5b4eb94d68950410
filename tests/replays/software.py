"""Software of all agents, installed and removed, and what can be installed."""

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import differs, has, op
from trmm_async.calls import Request


def _uninstall(told: Recording, agent: str) -> Request[None]:
    sent = has(told)
    made: Request[None] = request_of(
        NOUNS.agents.software.uninstall(
            agent,
            sent.get("name", "x"),
            command=sent.get("command", "y"),
            timeout=sent.get("timeout", 1800),
            run_as_user=sent.get("run_as_user", False),
        )
    )
    return made


OPERATIONS = [
    op(
        "agents.software.everywhere",
        "GET /software/",
        lambda _: request_of(NOUNS.agents.software.everywhere()),
        "Software",
        "software_all software_all_limited_403",
    ),
    op(
        "agents.software.packages",
        "GET /software/chocos/",
        lambda _: request_of(NOUNS.agents.software.packages()),
        str,
        "software_chocos software_chocos_norole software_chocos_no_key",
    ),
    op(
        "agents.software.install",
        "POST /software/<agent>/",
        lambda told, agent: request_of(
            NOUNS.agents.software.install(agent, has(told).get("name", "x"), unlisted=True)
        ),
        None,
        "software_install software_install_ok software_install_any_name software_install_404 "
        "software_install_agent_offline software_install_limited_403 software_install_linux "
        "software_install_offline software_install_no_name",
    ),
    op(
        "agents.software.uninstall",
        "POST /software/<agent>/uninstall/",
        _uninstall,
        None,
        "software_uninstall software_uninstall_404 software_uninstall_agent_offline software_uninstall_full "
        "software_uninstall_limited_403 software_uninstall_linux software_uninstall_trmm_refused "
        "software_uninstall_no_command software_uninstall_no_name software_uninstall_no_run_as_user "
        "software_uninstall_no_timeout",
    ),
]
DIFFERENT = {
    **differs("we send every key", {"name": "x"}, "software_install_no_name software_uninstall_no_name"),
    **differs("we send every key", {"command": "y"}, "software_uninstall_no_command"),
    **differs("we send every key", {"run_as_user": False}, "software_uninstall_no_run_as_user"),
    **differs("we send every key", {"timeout": 1800}, "software_uninstall_no_timeout"),
}
