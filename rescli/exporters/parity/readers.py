"""The other side: read an exported file back without rescli, in the runtime that it is meant for.

    python -P readers.py RUNTIME [ARGUMENT] FILE INPUTS.npz OUTPUTS.npz

A program of its own: it imports nothing of rescli, so what it computes is what a user's program computes.
INPUTS holds one array for each forward pass. OUTPUTS holds the logits under the same names, and ``facts``:
JSON with the runtime and its version, the description found in the file, and, where the runtime has a
network with weights, a hash of each of them.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

__all__ = ["RUNTIMES", "JsonObject", "ReaderFacts", "main", "tensor_hashes"]

Predict = Callable[[Any], Any]
JsonObject = dict[str, Any]
"""What JSON of any shape is read as."""


class ReaderFacts(TypedDict, total=False):
    """What a runtime says of the file that it read.

    ``description`` is the one found in the file, ``tensors`` a hash of each weight by name.
    """

    runtime: str
    imported_rescli: bool
    description: JsonObject
    input_shape: list[int | str]
    tensors: dict[str, str]


def onnxruntime_cpu(file: str) -> tuple[Predict, ReaderFacts]:
    """onnxruntime on the CPU; nothing else, torch least of all."""
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (images,) = session.get_inputs()
    described = session.get_modelmeta().custom_metadata_map
    facts: ReaderFacts = {
        "description": json.loads(described["rescli"]),
        "input_shape": images.shape,
    }
    return lambda array: session.run(None, {images.name: array})[0], facts


def torch_program(file: str) -> tuple[Predict, ReaderFacts]:
    """A program of torch.export."""
    import torch

    kept = {"rescli.json": ""}
    module = torch.export.load(file, extra_files=kept).module()
    return _torch(module), {"description": json.loads(kept["rescli.json"])}


def torchvision_net(name: str, num_classes: str, file: str) -> tuple[Predict, ReaderFacts]:
    """torchvision's network with these weights, strictly."""
    import torchvision  # type: ignore[import-untyped]

    net = torchvision.models.get_model(name, weights=None, num_classes=int(num_classes))
    return _with_weights(net, file)


def timm_net(name: str, num_classes: str, file: str) -> tuple[Predict, ReaderFacts]:
    """timm's network with these weights, strictly."""
    import timm

    return _with_weights(timm.create_model(name, pretrained=False, num_classes=int(num_classes)), file)


def timm_folder(folder: str) -> tuple[Predict, ReaderFacts]:
    """A Hugging Face folder through timm."""
    import timm

    net = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    return _torch(net), {"tensors": tensor_hashes(net.state_dict()), "description": _config(folder)}


def transformers_folder(folder: str) -> tuple[Predict, ReaderFacts]:
    """A Hugging Face folder through transformers' own network."""
    from transformers import AutoModelForImageClassification

    net = AutoModelForImageClassification.from_pretrained(folder, local_files_only=True).float().eval()
    facts: ReaderFacts = {"tensors": tensor_hashes(net.state_dict()), "description": _config(folder)}
    return _torch(lambda images: net(pixel_values=images).logits), facts


def standalone(module: str, file: str) -> tuple[Predict, ReaderFacts]:
    """Plain PyTorch: the file ``module`` builds the network from the config.json beside the weights."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("standalone_resnet", module)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    net, config = loaded.load(file)
    return _torch(net), {"tensors": tensor_hashes(net.state_dict()), "description": config}


def standalone_folder(module: str, folder: str) -> tuple[Predict, ReaderFacts]:
    """The same in a Hugging Face folder, whose own copy of ``module`` must be that file."""
    own = Path(folder) / Path(module).name
    assert own.read_bytes() == Path(module).read_bytes(), f"{own} is not {module}"
    return standalone(str(own), str(Path(folder) / "model.safetensors"))


RUNTIMES: dict[str, tuple[Callable[..., tuple[Predict, ReaderFacts]], str]] = {
    "onnxruntime": (onnxruntime_cpu, "onnxruntime"),
    "torch.export": (torch_program, "torch"),
    "torchvision": (torchvision_net, "torchvision"),
    "timm": (timm_net, "timm"),
    "timm-folder": (timm_folder, "timm"),
    "transformers-folder": (transformers_folder, "transformers"),
    "standalone": (standalone, "torch"),
    "standalone-folder": (standalone_folder, "torch"),
}
"""Name -> how a file is loaded, and the distribution whose version counts."""


def tensor_hashes(tensors: Mapping[str, Any]) -> dict[str, str]:
    """sha256 of each tensor as float32, or as int64 where it counts."""
    hashes = {}
    for name, tensor in tensors.items():
        array = (tensor.float() if tensor.is_floating_point() else tensor.long()).contiguous().numpy()
        hashes[name] = hashlib.sha256(array.tobytes()).hexdigest()
    return hashes


def _with_weights(net: Any, file: str) -> tuple[Predict, ReaderFacts]:
    import torch
    from safetensors.torch import load_file

    is_safetensors = file.endswith(".safetensors")
    state = load_file(file) if is_safetensors else torch.load(file, weights_only=True)
    net.load_state_dict(state, strict=True)
    return _torch(net.eval()), {"tensors": tensor_hashes(net.state_dict())}


def _torch(net: Callable[..., Any]) -> Predict:
    import torch

    def predict(array: Any) -> Any:
        with torch.inference_mode():
            return net(torch.from_numpy(array)).float().numpy()

    return predict


def _config(folder: str) -> Any:
    return json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))["rescli"]


def main(arguments: list[str]) -> None:
    runtime, *given, inputs, outputs = arguments
    load, distribution = RUNTIMES[runtime]
    predict, facts = load(*given)
    with np.load(inputs) as batches:
        logits = {name: predict(batches[name]) for name in batches.files}
    facts["runtime"] = f"{distribution} {importlib.metadata.version(distribution)}"
    facts["imported_rescli"] = "rescli" in sys.modules
    np.savez(outputs, **logits, facts=np.array(json.dumps(facts)))


if __name__ == "__main__":
    main(sys.argv[1:])
