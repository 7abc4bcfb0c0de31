"""How a caller drives runs: who watches them, who stops them, and several of them together."""
