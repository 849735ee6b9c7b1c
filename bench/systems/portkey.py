"""Portkey's gateway, on Node: no keys of its own, no books; where to is said in the headers of each call."""

from pathlib import Path

import msgspec

from bench.faults import Unavailable
from bench.fetch.environments import node_environment
from bench.process import free_port
from bench.systems.base import ANSWERS, Place, Running
from bench.systems.peer import Launch, Peer, folder_of, launch

START_S_MAX = 60.0
_PACKAGE = "node_modules/@portkey-ai/gateway"


class Portkey:
    """From npm."""

    name = "portkey"
    title = "Portkey gateway"
    kinds = ANSWERS
    health_path = "/"

    def __init__(self) -> None:
        self._folder = Path()

    def install(self, cache: Path) -> str:
        self._folder = node_environment(cache)
        manifest = self._folder / _PACKAGE / "package.json"
        if not manifest.exists():
            raise Unavailable("npm installed no `@portkey-ai/gateway`")
        return msgspec.json.decode(manifest.read_bytes())["version"]

    def start(self, place: Place) -> Running:
        folder_of(place)
        port = free_port()
        program = self._folder / _PACKAGE / "build" / "start-server.js"
        command = ["node", str(program), f"--port={port}", "--headless"]
        wanted = Launch(
            command=command,
            environ={"NODE_ENV": "production"},
            port=port,
            health_path=self.health_path,
            start_s_max=START_S_MAX,
        )
        headers = {
            "authorization": "Bearer sk-of-the-vendor",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"{place.vendor_url}/v1",
        }
        return Peer(launch(wanted, place), port, headers=headers)

    def settings(self) -> dict[str, str]:
        return {"processes": "1", "key": "none of its own", "books": "none"}
