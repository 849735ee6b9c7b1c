"""A run of the bench as the tests want it: two rounds of a chat, with a plain proxy, ours and a peer."""

from bench.record import BooksRead, Problem, Record, Sample, SystemRow

CHAT = {
    "direct": (60_000.0, 20.0),
    "nginx": (40_000.0, 200.0),
    "halley-sqlite": (10_000.0, 500.0),
    "tensorzero": (5_000.0, 700.0),
}


def sample(system: str, number: int, *, case: str = "chat", **figures: float) -> Sample:
    return Sample(case=case, system=system, round=number, figures=figures)


def chat_samples() -> tuple[Sample, ...]:
    """The second round is a tenth slower for everybody."""
    return tuple(
        sample(
            system,
            number,
            per_second_64=rate * factor,
            cpu_us_64=1e6 / rate / factor,
            p50_us_1=latency / factor,
            p99_us_1=2 * latency / factor,
            errors=0,
        )
        for number, factor in ((1, 1.0), (2, 0.9))
        for system, (rate, latency) in CHAT.items()
    )


def record(*extra: Sample, books: tuple[BooksRead, ...] = (), problems: tuple[Problem, ...] = ()) -> Record:
    names = ("direct", "nginx", "halley-sqlite", "halley-postgres", "litellm", "portkey", "tensorzero")
    return Record(
        date="2026-11-23T10:00Z",
        commit="abcdef0123",
        machine={"cpu": "A <fast> one", "kernel": "Linux 6.1", "python": "3.11.2"},
        options={"rounds": 2, "seconds": 5.0},
        systems=tuple(SystemRow(name=name, title=f"the {name}", version="1.0", settings={}) for name in names),
        samples=(*chat_samples(), *extra),
        books=books,
        problems=problems,
    )


def books(**changed: object) -> BooksRead:
    values: dict[str, object] = {
        "case": "chat",
        "system": "halley-sqlite",
        "sound": True,
        "words": "The books are sound",
        "rows": 100,
        "answered": 100,
        "cut": 0,
        **changed,
    }
    return BooksRead(**values)  # pyright: ignore[reportArgumentType] the values are those above
