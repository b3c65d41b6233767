"""Metric ``gloss_accuracy``."""
