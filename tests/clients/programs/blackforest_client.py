"""What a user of the PyPI package `blackforest` would write. Runs in that package's own environment."""
# pyright: basic, reportMissingImports=false

import json
import sys
from pathlib import Path
from typing import Any

from blackforest import BFLClient
from blackforest.client import BFLError
from blackforest.types.general.client_config import ClientConfig

QUICK = {"sync": True, "polling_interval": 0.1, "max_retries": 200}


def client(given: Any):
    return BFLClient(api_key=given["key"], base_url=given["url"])


def save(used: Any, link: Any, path: str):
    response = used.session.get(link, timeout=30)
    response.raise_for_status()
    Path(path).write_bytes(response.content)


def generate(given: Any):
    used = client(given)
    done = used.generate(given["model"], given["inputs"], ClientConfig(**QUICK))
    save(used, done.result["sample"], given["path"])
    return {"seed": done.result["seed"], "prompt": done.result["prompt"]}


def poll(given: Any):
    used = client(given)
    taken = used.generate(given["model"], given["inputs"], ClientConfig(sync=False))
    result = used.get_polling_result(taken.id, ClientConfig(**QUICK))
    save(used, result["sample"], given["path"])
    return {"id": taken.id, "polling_url": taken.polling_url, "status": used.get_task_status(taken.id).status}


def fail(given: Any):
    try:
        client(given).generate(given["model"], given["inputs"], ClientConfig(**QUICK))
    except BFLError as error:
        return {"error": "BFLError", "message": str(error)}
    return {"error": None}


ACTIONS = {each.__name__: each for each in (generate, poll, fail)}

if __name__ == "__main__":
    print(json.dumps(ACTIONS[sys.argv[1]](json.loads(sys.argv[2]))))
