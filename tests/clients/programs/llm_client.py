"""What a user of the command `llm` would type, with the gateway's models in `extra-openai-models.yaml`."""
# pyright: basic

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from steps import run

RUN_S_MAX = 60
MODELS = """
- model_id: lighthouse
  model_name: {model}
  api_base: {url}/v1
  api_key_name: lighthouse
  vision: true
  supports_schema: true
  supports_tools: true
- model_id: lighthouse-slow
  model_name: {model}
  api_base: {url}/v1
  api_key_name: lighthouse
  can_stream: false
- model_id: lighthouse-responses
  model_name: {model}
  api_base: {url}/v1
  api_key_name: lighthouse
  responses: true
"""
FUNCTION = '''
def weather(city: str, days: int) -> str:
    """Look up the weather of a city."""
    return "clear"
'''


def llm(folder: Path, *arguments: str):
    environ = {**os.environ, "LLM_USER_PATH": str(folder)}
    command = [str(Path(sys.executable).with_name("llm")), *arguments]
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=RUN_S_MAX, env=environ, stdin=subprocess.DEVNULL
    )
    return {"code": ran.returncode, "out": ran.stdout.strip(), "err": ran.stderr.strip()}


def used(given: Any, *arguments: str):
    """Run a command as somebody who has set it up in a folder of their own."""
    folder = Path(given["folder"])
    models = folder / "extra-openai-models.yaml"
    if not models.exists():
        models.write_text(MODELS.format(**given))
        llm(folder, "keys", "set", "lighthouse", "--value", given["key"])
    return llm(folder, *arguments)


def stream(given: Any):
    return used(given, "prompt", "-m", "lighthouse", "-s", "You are a lighthouse keeper.", "Say hello.")


def whole(given: Any):
    return used(given, "prompt", "-m", "lighthouse-slow", "Say hello.")


def responses(given: Any):
    return used(given, "prompt", "-m", "lighthouse-responses", "Say hello.")


def schema(given: Any):
    ran = used(given, "prompt", "-m", "lighthouse", "--schema", "title, minutes int", "A recipe, please.")
    return {**ran, "kinds": {name: type(value).__name__ for name, value in json.loads(ran["out"]).items()}}


def vision(given: Any):
    return used(given, "prompt", "-m", "lighthouse", "-a", given["source"], "What is this?")


def tools(given: Any):
    return used(given, "prompt", "-m", "lighthouse", "--functions", FUNCTION, "--td", "The weather in Brest?")


def fail(given: Any):
    return used(given, "prompt", "-m", "lighthouse", "--key", "sk-test-nobody-has-this", "Say hello.")


if __name__ == "__main__":
    run(stream, whole, responses, schema, vision, tools, fail)
