"""What is measured beside ourselves, brought in without being installed: each below `.cache/bench`."""
