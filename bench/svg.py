"""The picture of a run: CPU time per call or chunk, for each case a group of bars, without a library. Pure."""

from collections.abc import Iterator
from html import escape
from math import ceil, floor, log10

from bench.record import Record
from bench.report import CALLS, HEADLINES, number

WIDTH, LEFT, RIGHT, TOP = 880, 190, 90, 64
BAR, GAP, GROUP_GAP, FOOT = 16, 3, 26, 40
COLORS = {
    "nginx": "#8c8c8c",
    "halley-sqlite": "#e8590c",
    "halley-postgres": "#f59f66",
    "litellm": "#4c6ef5",
    "portkey": "#7048e8",
    "tensorzero": "#0ca678",
}
_OTHER = "#adb5bd"
_STYLE = (
    "text{font-family:system-ui,sans-serif;font-size:12px;fill:#343a40}"
    ".title{font-size:16px;font-weight:600}.case{font-weight:600}.axis{fill:#868e96}.grid{stroke:#dee2e6}"
    "@media(prefers-color-scheme:dark){text{fill:#dee2e6}.axis{fill:#adb5bd}.grid{stroke:#495057}}"
)


class Scale:
    """Powers of ten over the width."""

    def __init__(self, values: list[float]) -> None:
        self.low = floor(log10(min(values))) if values else 0
        self.high = max(self.low + 1, ceil(log10(max(values)))) if values else 1

    def x(self, value: float) -> float:
        part = (log10(max(value, 10**self.low)) - self.low) / (self.high - self.low)
        return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def draw(record: Record) -> str:
    """The whole picture."""
    groups = list(_groups(record))
    scale = Scale([value for _, bars in groups for _, value in bars if value > 0])
    height = TOP + sum(len(bars) * (BAR + GAP) + GROUP_GAP for _, bars in groups) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_TITLE}">',
        f"<style>{_STYLE}</style>",
        f'<text class="title" x="16" y="26">{_TITLE}</text>',
        f'<text class="axis" x="16" y="46">{escape(_subtitle(record))}</text>',
        *_grid(scale, height),
        *_bars(record, groups, scale),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


_TITLE = "CPU time of a call, in microseconds: shorter is better, the scale is logarithmic"


def _subtitle(record: Record) -> str:
    machine = record.machine
    cpu = machine.get("cpu", "")
    return f"One core for the gateway, 64 connections. {record.date[:10]}, {cpu}, {machine.get('kernel', '')}"


def _groups(record: Record) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    for case in record.cases():
        name = "cpu_us_64" if HEADLINES[case] is CALLS else "cpu_us"
        found = [(each, record.figure(case, each, name)) for each in record.measured(case) if each != "direct"]
        bars = [(system, figure.median) for system, figure in found if figure is not None]
        if bars:
            yield case, bars


def _grid(scale: Scale, height: int) -> Iterator[str]:
    for power in range(scale.low, scale.high + 1):
        x = scale.x(10**power)
        yield f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{height - FOOT}"/>'
        yield f'<text class="axis" x="{x}" y="{height - FOOT + 18}" text-anchor="middle">{10**power:,g}</text>'


def _bars(record: Record, groups: list[tuple[str, list[tuple[str, float]]]], scale: Scale) -> Iterator[str]:
    y = TOP
    for case, bars in groups:
        per = " (a chunk)" if case == "sse" else ""
        yield f'<text class="case" x="16" y="{y + 14}">{escape(case)}{per}</text>'
        y += GROUP_GAP - 6
        for system, value in bars:
            width = round(scale.x(value) - LEFT, 1)
            title, color = escape(record.title(system).replace("`", "")), COLORS.get(system, _OTHER)
            yield f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{title}</text>'
            yield f'<rect x="{LEFT}" y="{y}" width="{width}" height="{BAR}" rx="2" fill="{color}"/>'
            yield f'<text x="{LEFT + width + 6}" y="{y + 12}">{number(value)}</text>'
            y += BAR + GAP
        y += 6
