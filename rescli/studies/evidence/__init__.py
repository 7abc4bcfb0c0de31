"""The runs behind a table or figure of the paper: which it needs, how far they are, others' taken in."""
