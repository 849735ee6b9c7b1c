"""`python -m halley.cli` is `halley`."""

from halley.cli import main

main(prog_name="halley")
