"""Metric ``gloss_wer``."""
