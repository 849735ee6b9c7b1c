"""What the running process is made of, handed to `api`, `console`, `worker` and `pipeline`; domains never see it."""

from halley.world.access import AccessLog
from halley.world.callers import Callers
from halley.world.config import Config, load_config
from halley.world.metrics import Metrics
from halley.world.world import World

__all__ = ["AccessLog", "Callers", "Config", "Metrics", "World", "load_config"]
