import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys, torch
from rescli.models.resnet import cifar_resnet
from rescli.optim.sgd import sgd
from rescli.hardware.allocator import keep_freed_memory
from rescli.hardware.numerics import Numerics
from rescli.training.step import train_step
if sys.argv[1] == "keep":
    assert keep_freed_memory()
model = cifar_resnet(depth=8).train().to(memory_format=torch.channels_last)
optimizer = sgd(model, lr=0.1, momentum=0.9, nesterov=False, weight_decay=1e-4)
images = torch.randn(64, 3, 32, 32).to(memory_format=torch.channels_last)
labels = torch.arange(64) % 10
def steps(count):
    for _ in range(count):
        train_step(model, optimizer, images, labels, numerics=Numerics(torch.device("cpu"), "fp32"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = steps(4)
print(steps(4) - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator is Linux's")
def test_steps_use_freed_memory_again_without_page_faults():
    faults = {
        how: int(subprocess.check_output([sys.executable, "-c", PROGRAM, how], text=True))
        for how in ("default", "keep")
    }
    print(faults)
    assert faults["keep"] < faults["default"] / 4
