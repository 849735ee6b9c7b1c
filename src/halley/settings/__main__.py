"""Prints the reference page: `python -m halley.settings > docs/reference/settings.md`."""

import sys

from halley.settings.reference import reference

sys.stdout.write(reference())
