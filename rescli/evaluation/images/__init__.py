"""Which images a net is tested on, and how it sees them."""
