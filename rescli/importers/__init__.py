"""Weights from elsewhere into checkpoints: one file per layout that state dicts are published in."""
