"""The conformance suite: every vendor × operation × ending, driven through a whole gateway against its simulator.

Parametrise over `cells(vendor)`, run each with `drive(rig, cell)`, and print `Matrix`; see docs/dev/adding-a-vendor.md.
"""

from halley.testing.conformance.cells import Cell, Operation, cells
from halley.testing.conformance.drive import Sample, drive, sample_of
from halley.testing.conformance.matrix import Matrix

__all__ = ["Cell", "Matrix", "Operation", "Sample", "cells", "drive", "sample_of"]
