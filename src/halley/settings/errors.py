"""What is wrong with the settings, all of it at once, and the spelling that was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class SettingsError(Exception):
    """Settings that cannot be used; each problem names its source, the value and the remedy."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        assert self.problems, "an error without a problem"
        super().__init__("\n".join(self.problems))


def meant(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant: ` did you mean …?`, or nothing."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean `{close[0]}`?" if close else ""
