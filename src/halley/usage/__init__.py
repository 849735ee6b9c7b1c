"""What each order used, cost and took: one row per order that ended, for the owner's accounts and the operator's."""
