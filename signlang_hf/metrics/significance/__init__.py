"""Metric ``significance``."""
