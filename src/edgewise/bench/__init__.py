"""Measuring latency: fresh pinned processes, blocks in turns, statistics, verdicts, a cache."""
