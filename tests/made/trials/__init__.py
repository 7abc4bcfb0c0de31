"""What the tests of faults are made of: cases, processes to be killed, and what is held against them."""
