"""Edgewise: from a folder of images and a latency budget to a verified, measured mobile vision model."""
