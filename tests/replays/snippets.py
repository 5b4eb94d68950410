"""Snippets, scripts as files, the flags of the list of scripts, and scripts on the server itself."""

from typing import Any

from tests.asked import NOUNS, request_of
from tests.recorded import Recording
from tests.replays.operation import But, differs, has, never, op, texts
from trmm_async.calls import Request
from trmm_async.resources import scripts
from trmm_async.resources.stock import snippets


def _snippet(told: Recording) -> dict[str, Any]:
    sent = {key: value for key, value in has(told).items() if key in {"name", "desc", "code", "shell"}}
    if "desc" in sent:
        sent["description"] = sent.pop("desc")
    return sent


def _new_snippet(told: Recording) -> Request[Any]:
    if told.status == 400:  # we don't let it through
        return snippets.CREATE.call(body=told.sent)
    made: Request[Any] = request_of(
        NOUNS.scripts.snippets.create(**{"name": "x", "code": "y"} | _snippet(told))
    )
    return made


def _change(told: Recording, number: str) -> Request[None]:
    if told.status == 400:
        return snippets.UPDATE.call(int(number), body=told.sent)
    made: Request[None] = request_of(NOUNS.scripts.snippets.update(int(number), **_snippet(told)))
    return made


def _listed(told: Recording) -> Request[Any]:
    made: Request[Any] = request_of(
        NOUNS.scripts.list(
            hidden=told.query.get("showHiddenScripts") == "true",
            community=told.query.get("showCommunityScripts") not in {"", "false"},
        )
    )
    return made


def _server_script(told: Recording) -> Request[Any]:
    sent = has(told)
    if told.name == "serverscript_test_no_shebang":
        return scripts.TEST_ON_SERVER.call(body=told.sent)
    made: Request[Any] = request_of(
        NOUNS.scripts.test_on_server(
            shell=sent.get("shell", "shell"),
            code=sent.get("code", "#!/bin/sh\n"),
            args=texts(sent.get("args")),
            env_vars=dict(one.partition("=")[::2] for one in texts(sent.get("env_vars"))),
            timeout=int(sent.get("timeout", 30)),
        )
    )
    return made


OPERATIONS = [
    op(
        "scripts.list",
        "GET /scripts/",
        _listed,
        "Script",
        "scripts_list_hidden scripts_list_no_community scripts_list_user_only scripts_list_user_and_hidden "
        "scripts_list_with_hidden "
        "scripts_list_flag_False_capital scripts_list_flag_True_capital scripts_list_flag_empty "
        "scripts_list_all_flags",
    ),
    op(
        "scripts.download",
        "GET /scripts/<id>/download/",
        lambda told, number: request_of(
            NOUNS.scripts.download(int(number), snippets=told.query.get("with_snippets") != "false")
        ),
        "ScriptFile",
        "script_download script_download_404 script_download_cmd script_download_deno "
        "script_download_no_snippets script_download_norole_403 script_download_nushell "
        "script_download_python script_download_shell script_download_snippet_gone "
        "script_download_with_snippets script_download_without_snippets "
        "script_download_without_snippets_capital",
    ),
    op(
        "scripts.test_on_server",
        "POST /core/serverscript/test/",
        _server_script,
        "ScriptResult",
        "serverscript_test_ok serverscript_test_timeout serverscript_test_disabled "
        "serverscript_test_limited_403 serverscript_test_env_without_equals serverscript_test_timeout_text "
        "serverscript_test_no_args serverscript_test_no_code serverscript_test_no_env_vars "
        "serverscript_test_no_shebang serverscript_test_no_shell serverscript_test_no_timeout",
    ),
    op(
        "scripts.snippets.list",
        "GET /scripts/snippets/",
        lambda _: request_of(NOUNS.scripts.snippets.list()),
        "Snippet",
        "script_snippets snippets_list snippets_list_norole_403",
    ),
    op(
        "scripts.snippets.get",
        "GET /scripts/snippets/<id>/",
        lambda _, number: request_of(NOUNS.scripts.snippets.get(int(number))),
        "Snippet",
        "snippet_get snippet_get_404 snippet_get_after_update",
    ),
    op(
        "scripts.snippets.create",
        "POST /scripts/snippets/",
        _new_snippet,
        None,
        "snippet_create_full snippet_create_minimal snippet_create_name_code snippet_create_name_code_shell "
        "snippet_create_dup snippet_create_bad_shell snippet_create_empty_code snippet_create_limited_403 "
        "snippet_create_long_name snippet_create_no_name",
    ),
    op(
        "scripts.snippets.update",
        "PUT /scripts/snippets/<id>/",
        _change,
        None,
        "snippet_update_full snippet_update_one_field snippet_update_404 snippet_update_bad "
        "snippet_update_limited_403",
    ),
    op(
        "scripts.snippets.delete",
        "DELETE /scripts/snippets/<id>/",
        lambda _, number: request_of(NOUNS.scripts.snippets.delete(int(number), with_code=True)),
        None,
        "snippet_delete snippet_delete_404 snippet_delete_limited_403",
    ),
]
_SAYS_ALL = "we always say what it is for and of which scripts it is"
DIFFERENT = {
    **differs(_SAYS_ALL, {"desc": "", "shell": "powershell", "code": "y"}, "snippet_create_minimal"),
    **differs(_SAYS_ALL, {"desc": "", "shell": "powershell"}, "snippet_create_name_code"),
    **differs(_SAYS_ALL, {"desc": ""}, "snippet_create_name_code_shell snippet_create_limited_403"),
    "snippet_update_full": But("the id stands in the path", without=("id",)),
    **never(
        "the server takes only the lower-case words, and we send no others",
        "scripts_list_flag_False_capital scripts_list_flag_True_capital scripts_list_flag_empty "
        "script_download_without_snippets_capital scripts_list_all_flags",
    ),
    **differs("we send every key", {"args": []}, "serverscript_test_no_args"),
    **differs("we send every key", {"code": "#!/bin/sh\n"}, "serverscript_test_no_code"),
    **differs("we send every key", {"env_vars": []}, "serverscript_test_no_env_vars"),
    **differs("we send every key", {"shell": "shell"}, "serverscript_test_no_shell"),
    **differs("we send every key", {"timeout": 30}, "serverscript_test_no_timeout"),
    **differs("we send numbers as numbers", {"timeout": 30}, "serverscript_test_timeout_text"),
    **differs(
        "we write names with a value", {"env_vars": ["GREETING="]}, "serverscript_test_env_without_equals"
    ),
}
