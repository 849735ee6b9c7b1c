"""Two gateways on one core at once: the ratio, and a short run with our own loop."""

import pytest

from bench import pair


def test_a_ratio_is_told_with_its_error():
    words = pair.told([(200.0, 180.0), (300.0, 285.0)])
    assert words.startswith("now / before: 0.925 ± 0.025, the mean of 2")
    assert "± nan" in pair.told([(200.0, 180.0)])


@pytest.mark.slow
def test_a_short_run_compares_the_tree_with_a_commit(capsys: pytest.CaptureFixture[str]):
    arguments = ["HEAD", "--rounds", "1", "--seconds", "1", "--load", "python", "--connections", "4"]
    assert pair.main(arguments) == 0
    assert "now / before: " in capsys.readouterr().out


def test_a_commit_that_is_not_there_is_said(capsys: pytest.CaptureFixture[str]):
    assert pair.main(["no-such-commit", "--load", "python"]) == 1
    assert "error: " in capsys.readouterr().err
