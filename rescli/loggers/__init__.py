"""Sinks that keep what a run tells: the plugin group ``rescli.loggers``."""
