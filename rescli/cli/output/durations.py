"""Durations, where the command line has always imported them from."""

from __future__ import annotations

from rescli.durations import format_seconds, parse_seconds

__all__ = ["format_seconds", "parse_seconds"]
