"""Drawings of blocks and whole networks as SVG, made from spec rows; no torch."""
