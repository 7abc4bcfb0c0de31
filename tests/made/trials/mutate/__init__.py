"""Makes malformed files: each function takes what is sound and the case's dice, and says what it did."""
