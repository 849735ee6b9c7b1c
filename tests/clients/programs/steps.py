"""Runs the named steps of a program and prints a line of JSON for each, so that a step that fails is known by name."""
# pyright: basic

import json
import sys
import traceback
from collections.abc import Callable


def run(*steps: Callable):
    """`PROGRAM one,two '{"url": …, "key": …}'` runs two steps. Without arguments orders come as lines of input."""
    known = {step.__name__: step for step in steps}
    if len(sys.argv) > 1:
        for name in sys.argv[1].split(","):
            print(json.dumps({"step": name, "facts": made(known, name, json.loads(sys.argv[2]))}), flush=True)
        return
    for line in sys.stdin:
        order = json.loads(line)
        for name in order["steps"]:
            print(json.dumps(told(known, name, order["given"])), flush=True)


def made(known: dict, name: str, given: dict):
    """Make a step. What stands under its name in `own` is given to it alone; after a colon it may have a name more."""
    return known[name.partition(":")[0]]({**given, **given.get("own", {}).get(name, {})})


def told(known: dict, name: str, given: dict):
    try:
        return {"step": name, "facts": made(known, name, given)}
    except Exception:  # noqa: BLE001 - whatever it is, the test tells it
        return {"step": name, "failed": traceback.format_exc()}
