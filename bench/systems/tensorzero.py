"""TensorZero's gateway (Rust). No registry has its program; its package for Python holds the same server.

It is started in a process of its own by `tensorzero_serve.py`; without a database it keeps no books and knows no key.
"""

import re
from pathlib import Path

from bench import bodies
from bench.fetch.environments import python_environment, version_of
from bench.process import spawn, wait_until
from bench.systems.base import ANSWERS, Place, Running
from bench.systems.peer import Peer, folder_of

START_S_MAX = 60.0
_SERVE = Path(__file__).with_name("tensorzero_serve.py")
_SERVES = re.compile(r"^serves http://127\.0\.0\.1:(\d+)(\S*)/v1$", re.MULTILINE)
_CHAT_NAME, _EMBEDDING_NAME = "chat", "embedding"
_CONFIG = """
[gateway]
observability.enabled = false
disable_pseudonymous_usage_analytics = true

[models.{chat}]
routing = ["vendor"]
[models.{chat}.providers.vendor]
type = "openai"
model_name = "{chat_model}"
api_base = "{url}/v1/"
api_key_location = "none"

[embedding_models.{embedding}]
routing = ["vendor"]
[embedding_models.{embedding}.providers.vendor]
type = "openai"
model_name = "{embedding_model}"
api_base = "{url}/v1/"
api_key_location = "none"
"""


class TensorZero:
    """Its server as the package for Python has it."""

    name = "tensorzero"
    title = "TensorZero gateway"
    kinds = ANSWERS

    def __init__(self) -> None:
        self._programs = Path()

    def install(self, cache: Path) -> str:
        self._programs = python_environment("tensorzero", cache)
        return version_of("tensorzero", "tensorzero")

    def start(self, place: Place) -> Running:
        config = folder_of(place) / "tensorzero.toml"
        names = {"chat": _CHAT_NAME, "embedding": _EMBEDDING_NAME}
        models = {"chat_model": bodies.CHAT_MODEL, "embedding_model": bodies.EMBEDDING_MODEL}
        config.write_text(_CONFIG.format(url=place.vendor_url, **names, **models))
        log = place.folder / "log"
        log.unlink(missing_ok=True)  # a second start finds another port
        command = [str(self._programs / "python"), "-P", str(_SERVE), str(config)]
        child = spawn(command, core=place.cores.gateway, log=log, cwd=place.folder, environ={"RUST_LOG": "error"})
        try:
            wait_until(lambda: bool(_SERVES.search(log.read_text())), child=child, within_s=START_S_MAX)
        except BaseException:
            child.stop()
            raise
        found = _SERVES.search(log.read_text())
        assert found is not None, "it was just there"
        return Peer(child, int(found[1]), prefix=found[2], models=_MODELS)

    def settings(self) -> dict[str, str]:
        return {
            "processes": "1, inside the package for Python, as no registry has the program",
            "key": "none of its own",
            "books": "none (observability off)",
        }


_MODELS = {
    bodies.CHAT_MODEL: f"tensorzero::model_name::{_CHAT_NAME}",
    bodies.EMBEDDING_MODEL: f"tensorzero::embedding_model_name::{_EMBEDDING_NAME}",
}
