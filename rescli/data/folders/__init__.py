"""Folders of labelled photographs as people have them: how they are laid out, and what is odd about them."""
