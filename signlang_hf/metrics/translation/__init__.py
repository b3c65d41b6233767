"""Metric ``translation``."""
