"""Fakes and the conformance suite that ship with the product, so that third parties can test what they add."""
