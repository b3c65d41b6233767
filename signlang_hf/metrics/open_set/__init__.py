"""Metric ``open_set``."""
