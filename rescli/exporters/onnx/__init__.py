"""ONNX files that runtimes of several years read: operator sets, names, and the program beside the file."""
