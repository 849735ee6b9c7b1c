from tests.app.rigs import folder, journal_may_block, rig

__all__ = ["folder", "journal_may_block", "rig"]
