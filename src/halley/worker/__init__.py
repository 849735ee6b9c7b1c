"""What goes on when no call is running: poll tasks, deliver webhooks, sweep up."""

from halley.worker.worker import Worker

__all__ = ["Worker"]
