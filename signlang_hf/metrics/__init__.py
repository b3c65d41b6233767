"""Metrics as ``evaluate`` modules, one folder each, so that they load offline and can be pushed as Spaces of their own."""
