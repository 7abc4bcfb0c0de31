"""rescli: train, evaluate, compare and export the networks of arXiv:1512.03385."""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
