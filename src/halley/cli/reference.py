"""The reference page of the command line, made from the commands themselves; `docs/reference/cli.md` is this text."""

import inspect
import sys
from collections.abc import Iterator

import click

from halley.cli import main
from halley.cli.options import SETTING_PREFIX

_HEAD = """# Command line

<!-- Made by `python -m halley.cli.reference > docs/reference/cli.md`; a test compares. -->

Commands that change something run in the gateway that serves the data folder, through its local socket
(`halley.sock`, for the same user only). When none serves, they do it themselves: on SQLite under the folder's lock, on
PostgreSQL directly. Results go to stdout, remarks to stderr; `--json` gives amounts in nano-dollars, as text. The exit
code is 0, 1 for what failed, 2 for what was asked wrongly. [Settings](settings.md) may be given to every command by
environment and file; flags for them are named below and explained there.
"""


def reference() -> str:
    """Write the page."""
    root = click.Context(main, info_name="halley")
    return _HEAD + "".join(_sections(main, root))


def _sections(group: click.Group, parent: click.Context) -> Iterator[str]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        assert command is not None
        context = click.Context(command, info_name=name, parent=parent)
        if isinstance(command, click.Group):
            yield from _sections(command, context)
        else:
            yield _section(command, context)


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join((context.command_path, *command.collect_usage_pieces(context)))
    text = inspect.cleandoc(command.help or "")
    parts = [f"\n## {context.command_path}\n", f"```\n{usage}\n```\n", f"{text}\n"]
    own = [param for param in command.params if isinstance(param, click.Option) and not _is_setting(param)]
    if own:
        rows = "".join(_row(param, context) for param in own)
        parts.append(f"| option | what it does |\n|---|---|\n{rows}")
    flags = [f"`{'/'.join((*param.opts, *param.secondary_opts))}`" for param in command.params if _is_setting(param)]
    if flags:
        parts.append(f"Settings: {', '.join(flags)}\n")
    return "\n".join(parts)


def _is_setting(param: click.Parameter) -> bool:
    return (param.name or "").startswith(SETTING_PREFIX)


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None, "no option is hidden"
    names, text = (each.replace("|", "\\|") for each in record)
    return f"| `{names}` | {text} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
