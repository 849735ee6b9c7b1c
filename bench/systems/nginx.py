"""nginx with `proxy_pass`: what moving the bytes costs and nothing else. The base of the ratios."""

import os
import re
import subprocess
from pathlib import Path

from bench.ask import answers
from bench.faults import Unavailable
from bench.fetch.debian import Program, fetch
from bench.load.model import Target
from bench.process import Child, free_port, spawn, wait_until
from bench.systems.base import ANSWERS, TASKS, Kind, Place, Running
from bench.systems.direct import vendor_target

START_S_MAX = 10.0
_CONFIG = """
{user}
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log stderr warn;
events {{ worker_connections 16000; }}
http {{
    access_log off;
    client_body_temp_path client; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    client_body_buffer_size 64k;
    keepalive_requests 1000000;
    keepalive_timeout 120s;
    upstream vendor {{ server 127.0.0.1:{vendor}; keepalive 256; keepalive_requests 1000000; }}
    server {{
        listen 127.0.0.1:{port} backlog=8192;
        location / {{
            proxy_pass http://vendor;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""


class Proxy(Running):
    """One master and one worker."""

    def target(self, kind: Kind) -> Target:
        return vendor_target(self.port, kind)


class Nginx:
    """The reference."""

    name = "nginx"
    title = "nginx `proxy_pass`"
    kinds = ANSWERS | TASKS
    health_path = "/health"

    def __init__(self) -> None:
        self._program: Program | None = None

    def install(self, cache: Path) -> str:
        self._program = fetch("nginx", cache)
        return self._version(self._program)

    def start(self, place: Place) -> Running:
        assert self._program is not None, "installed before it is started"
        folder = place.folder
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(_CONFIG.format(vendor=place.vendor_port, port=port, user=_user()))
        child = spawn(
            [str(self._program.path), "-p", f"{folder}/", "-c", str(config), "-e", "stderr"],
            core=place.cores.gateway,
            log=folder / "log",
            cwd=folder,
            environ={"LD_LIBRARY_PATH": self._program.library},
        )
        return ready(child, port, self.health_path)

    def settings(self) -> dict[str, str]:
        return {
            "processes": "1 worker",
            "buffering": "default; off for streams, as the vendor's header asks",
            "keys, prices, books": "none",
        }

    @staticmethod
    def _version(program: Program) -> str:
        told = subprocess.run(
            [str(program.path), "-v"],
            env={"LD_LIBRARY_PATH": program.library},
            capture_output=True,
            text=True,
            timeout=START_S_MAX,
            check=False,
        )
        found = re.search(r"nginx/([\d.]+)", told.stderr)
        if found is None:
            raise Unavailable(f"`nginx -v` failed: {told.stderr.strip()}")
        return found[1]


def _user() -> str:
    """As root its worker would become `nobody`, who may not enter our folders."""
    return "user root;" if os.geteuid() == 0 else ""


def ready(child: Child, port: int, path: str) -> Running:
    try:
        wait_until(lambda: answers(port, path), child=child, within_s=START_S_MAX)
    except BaseException:
        child.stop()
        raise
    return Proxy(child, port)
