"""`make bench`: what a call through the gateway costs, measured in one run beside a plain proxy and the peers."""
