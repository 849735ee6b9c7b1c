"""`halley tasks`: listed, shown, and resolved where nobody knows what became of one."""

import click

from halley.cli import output
from halley.cli.act import act
from halley.cli.options import DOLLARS, arguments, as_json, common_settings
from halley.console.commands.tasks import LIST_MAX, ListTasks, ShowTask, TaskDetails, TaskRow
from halley.settings import Settings
from halley.tasks.states import TaskState

WHAT_WAS_HELD = -1
"""`--post` without an amount."""


class _Posted(click.ParamType[int]):
    """An amount, or the mark for `--post` alone."""

    name = "USD"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        return WHAT_WAS_HELD if value == str(WHAT_WAS_HELD) else DOLLARS.convert(value, param, ctx)


@click.group()
def tasks() -> None:
    """List, show and resolve tasks."""


@tasks.command("list")
@click.option("--account", metavar="NAME", help="Only of this account.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in TaskState]),
    help="Repeat it for several.",
)
@click.option("--model", metavar="ID", help="Only of this model.")
@click.option("--live/--test", "livemode", default=None, help="Only of this mode.")
@click.option("--after", metavar="ID", help="Begin behind this task.")
@click.option("--limit", type=click.IntRange(1, LIST_MAX), default=20, show_default=True)
@as_json
@common_settings
def list_tasks(settings: Settings, *, as_json: bool, **given: object) -> None:
    """List tasks of all accounts, newest first."""
    rows = act(settings, "tasks.list", arguments(ListTasks, given), list[TaskRow])
    if as_json:
        output.print_json(rows)
        return
    output.print_table(
        ("id", "account", "mode", "model", "state", "vendor", "$ held", "$ cost", "made", "ended"),
        [_cells(row) for row in rows],
        empty="There are no such tasks",
    )


@tasks.command()
@click.argument("task_id", metavar="ID")
@as_json
@common_settings
def show(settings: Settings, *, task_id: str, as_json: bool) -> None:
    """Show task ID, in any of its spellings."""
    task = act(settings, "tasks.show", ShowTask(id=task_id), TaskDetails)
    output.print_json(task) if as_json else output.print_fields(task)


@tasks.command()
@click.argument("task_id", metavar="ID")
@click.option("--void", is_flag=True, help="It was not done: give the money back.")
@click.option(
    "--post",
    type=_Posted(),
    is_flag=False,
    flag_value=str(WHAT_WAS_HELD),
    help="It was done: charge this amount, by default what was held.",
)
@click.option("--attach", metavar="VENDOR_ID", help="It runs on: this is the vendor's id of it.")
@as_json
@common_settings
def resolve(
    settings: Settings, *, task_id: str, void: bool, post: int | None, attach: str | None, as_json: bool
) -> None:
    """Say what became of task ID whose outcome is unknown. Exactly one of the three options."""
    from halley.console.commands.world import ResolveTask

    if [void, post is not None, attach is not None].count(True) != 1:
        raise click.UsageError("Give exactly one of --void, --post [AMOUNT] and --attach VENDOR_ID")
    amount = None if post == WHAT_WAS_HELD else post
    args = ResolveTask(id=task_id, void=void, post=post is not None, amount_nanos=amount, attach=attach)
    task = act(settings, "tasks.resolve", args, TaskDetails)
    output.print_json(task) if as_json else click.echo(
        f"{task.id} is `{task.state}` now, cost {output.money(task.cost_nanos) or '-'}"
    )


def _cells(row: TaskRow) -> tuple[str | None, ...]:
    return (
        row.id,
        row.account,
        "live" if row.livemode else "test",
        row.model,
        row.state,
        row.vendor,
        output.money(row.held_nanos),
        output.money(row.cost_nanos),
        row.created_at,
        row.ended_at,
    )
