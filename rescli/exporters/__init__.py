"""Checkpoints as files that others read, each checked in its reader's own runtime before it exists."""
