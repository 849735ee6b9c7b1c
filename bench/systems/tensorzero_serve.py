"""Serves TensorZero's gateway until it is ended. Run by the Python of its own environment; prints the base URL."""

import sys
import threading
from importlib import import_module
from typing import Any


def main() -> None:
    package = import_module("tensorzero.tensorzero")
    gateway: Any = package._start_http_gateway(  # noqa: SLF001 - the package has no other door to its server
        config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    sys.stdout.write(f"serves {gateway.base_url}\n")
    sys.stdout.flush()
    threading.Event().wait()


if __name__ == "__main__":
    main()
