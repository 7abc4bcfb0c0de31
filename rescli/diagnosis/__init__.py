"""What a machine has, what of it rescli uses, and what is wrong with it: one file for each part of it."""
