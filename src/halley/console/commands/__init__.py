"""What an operator can order, by name: the same functions in the running server and in a command of its own."""

from halley.console.commands.registry import COMMANDS, Command, run_command

__all__ = ["COMMANDS", "Command", "run_command"]
