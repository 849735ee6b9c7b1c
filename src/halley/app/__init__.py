"""Composition: settings become a world, the world becomes a running gateway."""

from halley.app.build import open_world
from halley.app.gateway import Gateway, run_worker, serve
from halley.app.welcome import Welcome

__all__ = ["Gateway", "Welcome", "open_world", "run_worker", "serve"]
