"""Metric ``sign_recognition``."""
