"""The conformance suite: every operation of every vendor with every ending.

Each cell is driven through a whole gateway against the vendor's simulator.

Tasks: parametrise over `cells(vendor)` and run each with `drive(rig, cell, sample)`. Calls that are answered at once:
over `answer_cells(vendor)`, with `drive_answer(rig, cell)`. `matrix_of` is printed; see docs/dev/adding-a-vendor.md.
"""

from halley.testing.conformance.answer_cells import AnswerCell, answer_cells, owns_simulator
from halley.testing.conformance.answers import drive_answer
from halley.testing.conformance.cells import Cell, Operation, cells
from halley.testing.conformance.drive import Sample, drive, sample_of
from halley.testing.conformance.matrix import Matrix, matrix_of

__all__ = [
    "AnswerCell",
    "Cell",
    "Matrix",
    "Operation",
    "Sample",
    "answer_cells",
    "cells",
    "drive",
    "drive_answer",
    "matrix_of",
    "owns_simulator",
    "sample_of",
]
