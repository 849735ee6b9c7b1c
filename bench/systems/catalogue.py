"""All systems, in the order of the rows, and the choice among them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from bench.cases import DIRECT
from bench.faults import BenchError
from bench.options import Options
from bench.process import choose_cores
from bench.systems.base import System
from bench.systems.before import HalleyBefore
from bench.systems.halley import HalleySqlite
from bench.systems.litellm import LiteLlm
from bench.systems.nginx import Nginx
from bench.systems.portkey import Portkey
from bench.systems.postgres import HalleyPostgres
from bench.systems.tensorzero import TensorZero

Make = Callable[[Options, ExitStack], System]
_OURS: Mapping[str, Make] = {
    "nginx": lambda _, __: Nginx(),
    "halley-sqlite": lambda _, __: HalleySqlite(),
    "halley-postgres": lambda options, stack: HalleyPostgres(options.database_url, choose_cores().gateway, stack),
}
_PEERS: Mapping[str, Make] = {
    "litellm": lambda _, __: LiteLlm(),
    "portkey": lambda _, __: Portkey(),
    "tensorzero": lambda _, __: TensorZero(),
}
NAMES = (*_OURS, *_PEERS)
OWN = frozenset(("halley-sqlite", "halley-postgres"))


def choose(options: Options, stack: ExitStack) -> Sequence[System]:
    """The systems that are asked for; what nothing is put before is always measured too. Raises `BenchError`.

    What they start for the whole run ends with the stack.
    """
    unknown = [name for name in options.systems if name not in (*NAMES, DIRECT)]
    if unknown:
        raise BenchError(f"`{unknown[0]}` is not one of {', '.join(NAMES)}")
    makers = {**_OURS, **(_PEERS if options.peers or options.systems else {})}
    chosen = [make(options, stack) for name, make in makers.items() if not options.systems or name in options.systems]
    return chosen if options.against is None else [*chosen, HalleyBefore(options.against)]
