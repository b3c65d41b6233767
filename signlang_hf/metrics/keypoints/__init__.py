"""Metric ``keypoints``."""
