"""Triton kernels, each beside the plain-torch function it must equal. ``choice`` says whether they work."""
