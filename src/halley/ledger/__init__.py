"""Money: accounts with debits and credits, pending and posted, and the transfers between them, which never change.

Operations are in `store`, the recomputation of everything in `verify`.
"""
