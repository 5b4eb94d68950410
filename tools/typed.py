"""Fails if less than 99 % of the types that we export are alike to all checkers (pyright --verifytypes)."""

import json
import shutil
import subprocess
import sys

LEAST = 0.99

checker = shutil.which("basedpyright")
if checker is None:
    raise SystemExit("basedpyright is not here: run this by make check")
command = [checker, "--verifytypes", "trmm_async", "--ignoreexternal", "--outputjson"]
found = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)["typeCompleteness"]
print(f"types that all checkers see alike: {found['completenessScore']:.1%}")
if found["completenessScore"] < LEAST:
    unclear = [
        f"{said.get('file', '')}:{said.get('range', {}).get('start', {}).get('line', 0) + 1} {symbol['name']}"
        for symbol in found["symbols"]
        for said in symbol["diagnostics"]
        if "missing type annotation" in said["message"]
    ]
    sys.exit("\n".join(unclear))
