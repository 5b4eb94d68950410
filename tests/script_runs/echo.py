"""A script that prints its arguments."""

from trmm_async.testing import Run, ScriptReply, Simulator


def echo(run: Run) -> ScriptReply:
    return ScriptReply(stdout=" ".join(run.args), retcode=len(run.args), seconds=0.02)


def echoing(server: Simulator) -> int:
    number = server.add_script("echo")
    server.script(number, handler=echo)
    return number
