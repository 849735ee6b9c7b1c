from pathlib import Path

from halley.settings import SETTINGS
from halley.settings.reference import reference

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"


def test_the_reference_page_is_what_the_table_says():
    assert PAGE.read_text() == reference(), "run `python -m halley.settings > docs/reference/settings.md`"


def test_every_setting_is_on_the_page():
    page = reference()
    for setting in SETTINGS:
        assert all(f"`{name}`" in page for name in (setting.env, *setting.aliases))
