"""LiteLLM's proxy, one worker, with a master key and no database: it keeps no books."""

from pathlib import Path

from bench import bodies
from bench.fetch.environments import python_environment, version_of
from bench.process import free_port
from bench.systems.base import ANSWERS, Place, Running
from bench.systems.peer import Launch, Peer, folder_of, launch

START_S_MAX = 120.0
# Its own advice for production; the map of prices is the one in the package, which is not fetched.
_ENVIRON = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOG": "ERROR"}
_KEY = "sk-master-key-of-the-bench"
_MODEL = """
  - model_name: {name}
    litellm_params:
      model: openai/{name}
      api_base: {url}/v1
      api_key: sk-of-the-vendor
"""


class LiteLlm:
    """The widest known of the peers."""

    name = "litellm"
    title = "LiteLLM proxy"
    kinds = ANSWERS
    health_path = "/health/liveliness"

    def __init__(self) -> None:
        self._programs = Path()

    def install(self, cache: Path) -> str:
        self._programs = python_environment("litellm", cache)
        return version_of("litellm", "litellm")

    def start(self, place: Place) -> Running:
        config = folder_of(place) / "config.yaml"
        models = (bodies.CHAT_MODEL, bodies.EMBEDDING_MODEL)
        rows = "".join(_MODEL.format(name=name, url=place.vendor_url) for name in models)
        config.write_text(f"model_list:{rows}general_settings:\n  master_key: {_KEY}\n")
        port = free_port()
        command = [str(self._programs / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
        wanted = Launch(
            command=[*command, "--num_workers", "1"],
            environ={**_ENVIRON, "PATH": f"{self._programs}:/usr/local/bin:/usr/bin:/bin"},
            port=port,
            health_path=self.health_path,
            start_s_max=START_S_MAX,
        )
        return Peer(launch(wanted, place), port, headers={"authorization": f"Bearer {_KEY}"})

    def settings(self) -> dict[str, str]:
        return {"processes": "1 worker", "key": "master key", "books": "none (no database)", "log": "errors only"}
