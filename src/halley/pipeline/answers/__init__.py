"""The way of a call that is answered at once: choose, reserve, send, relay, settle; read in the order of `call.py`."""
