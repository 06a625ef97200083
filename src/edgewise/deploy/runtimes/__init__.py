"""Runtimes: each a small adapter behind the protocol of `protocol.py`."""
