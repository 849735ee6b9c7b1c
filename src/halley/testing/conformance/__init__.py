"""The conformance suite: every operation of every vendor with every ending.

Each cell is driven through a whole gateway against the vendor's simulator.

Parametrise over `cells(vendor)`, run each with `drive(rig, cell)`, and print `Matrix`; see docs/dev/adding-a-vendor.md.
"""

from halley.testing.conformance.cells import Cell, Operation, cells
from halley.testing.conformance.drive import Sample, drive, sample_of
from halley.testing.conformance.matrix import Matrix

__all__ = ["Cell", "Matrix", "Operation", "Sample", "cells", "drive", "sample_of"]
