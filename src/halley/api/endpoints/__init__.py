"""What answers: one small function per operation. Nothing here knows a vendor."""
