"""Two processes on the CPU against one: the same gradients, the same counts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rescli.data.shapes.images import make_shapes
from rescli.errors import Interrupted, RescliError, UsageError
from rescli.hardware import ranks as ranks_module
from rescli.hardware.launcher import JOINING
from rescli.hardware.ranks import ALONE, Ranks, join_ranks
from rescli.models.resnet import cifar_resnet
from rescli.remedy import Remedy
from rescli.workflows.running.stopping import stop_requested

CHECKOUT = Path(__file__).resolve().parent.parent.parent

SCRIPT = """
import os
import sys
import torch
import torch.nn.functional as F
from rescli.hardware.launcher import JOINING
from rescli.hardware.ranks import join_ranks, leave_ranks
sys.path.insert(0, sys.argv[1])
from net_and_batch import frozen_net, batch

ranks = join_ranks(torch.device("cpu"))
net = frozen_net(frozen=sys.argv[3] == "frozen")
images, labels = batch()
own = ranks.share(128)
wrapped = ranks.wrap(net)
logits = wrapped(images[own])
F.cross_entropy(logits, labels[own]).backward()
correct = (logits.argmax(1) == labels[own]).sum().float()
figures = ranks.total(torch.stack([F.cross_entropy(logits, labels[own]).detach(), correct]))
rows = ranks.together(torch.arange(ranks.rank, 7, ranks.size), 7)
stopped = [ranks.any(False), ranks.any(ranks.rank == 1)]
ranks.same_buffers(net)
if ranks.is_first:
    found = {"grads": [p.grad for p in net.parameters()], "figures": figures, "rows": rows}
    torch.save({**found, "stopped": stopped}, sys.argv[2])
leave_ranks()
os._exit(0)  # as `rescli train` ends: tearing down a connection to a rank that is gone may abort
"""


def frozen_net(*, frozen: bool) -> nn.Module:
    net = cifar_resnet(depth=8, seed=0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d) and frozen:
            module.eval()
    return net


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    images = make_shapes(seed=0, num_train=128, num_val=1, num_test=1, splits=("train",))["train"]
    return images.images_NHWC.permute(0, 3, 1, 2).float() / 255 - 0.5, images.labels_N


def of_two(tmp_path: Path, how: str) -> dict[str, object]:
    import inspect

    helpers = "\n".join(inspect.getsource(function) for function in (frozen_net, batch))
    head = "import torch\nfrom torch import nn\nfrom rescli.models.resnet import cifar_resnet\n"
    head += "from rescli.data.shapes.images import make_shapes\n"
    (tmp_path / "net_and_batch.py").write_text(f"from __future__ import annotations\n{head}\n{helpers}")
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(str(tmp_path / "script.py"), str(tmp_path), str(tmp_path / "out.pt"), how),
        ],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(torch.load(tmp_path / "out.pt", weights_only=True))


@pytest.mark.parametrize("how", ["frozen", "training"])
def test_two_ranks_of_64_give_the_gradients_of_one_of_128(tmp_path: Path, how: str) -> None:
    """To rounding where batch normalisation is frozen; each rank normalises its own half where it is not."""
    two = of_two(tmp_path, how)
    net = frozen_net(frozen=how == "frozen")
    images, labels = batch()
    logits = net(images)
    loss = F.cross_entropy(logits, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    pairs = zip(two["grads"], net.parameters(), strict=True)  # type: ignore[call-overload]
    for theirs, parameter in pairs:
        ours = parameter.grad
        largest = float(ours.abs().max())
        if how == "frozen":
            torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=2e-6 * max(1.0, largest))
        elif ours.ndim > 1:
            cosine = F.cosine_similarity(theirs.flatten(), ours.flatten(), dim=0)
            assert 0.8 < float(cosine) < 1 - 1e-7
    if how == "frozen":
        correct = (logits.argmax(1) == labels).sum().float()
        torch.testing.assert_close(two["figures"], torch.stack([loss.detach(), correct]))
    assert two["rows"].tolist() == list(range(7))  # type: ignore[attr-defined]
    assert two["stopped"] == [False, True]


def test_shares_are_the_batch() -> None:
    parts = [Ranks(rank, 4).share(128) for rank in range(4)]
    assert [index for part in parts for index in range(128)[part]] == list(range(128))
    with pytest.raises(UsageError, match="cannot be shared evenly by 3") as caught:
        Ranks(0, 3).share(128)
    assert caught.value.remedies == (Remedy("data.batch_size", 126),)


def test_alone_nothing_is_asked() -> None:
    net = nn.Linear(2, 2)
    figures = torch.tensor([1.5, 3.0])
    assert ALONE.wrap(net) is net
    assert ALONE.total(figures).tolist() == [1.5, 3.0]
    assert ALONE.together(figures, 2) is figures
    assert (ALONE.any(True), ALONE.any(False)) == (True, False)


@pytest.fixture
def one_of_two(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Left over in the shell: the other never comes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name, value in found.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    yield
    # What is left waiting in C++: a join that a signal interrupted takes it for ended (CPython issue 45274).
    while any(thread.name == JOINING for thread in threading.enumerate()):
        time.sleep(0.05)


@pytest.mark.usefixtures("one_of_two")
def test_a_wait_for_others_is_announced_and_ends(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert ranks_module._PATIENCE_SECONDS <= 120
    monkeypatch.setattr(ranks_module, "_PATIENCE_SECONDS", 1)
    with pytest.raises(RescliError, match="the 2 processes cannot reach each other") as caught:
        join_ranks(torch.device("cpu"))
    assert "unset WORLD_SIZE RANK" in str(caught.value.hint)
    (record,) = caplog.records
    assert "waiting up to 1 s for the other 1 of 2 processes" in record.getMessage()
    assert "unset WORLD_SIZE RANK" in record.getMessage()


@pytest.mark.usefixtures("one_of_two")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_wait_for_others_answers_signals(number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks_module, "_PATIENCE_SECONDS", 3)
    began = time.monotonic()
    with stop_requested() as stop:
        threading.Timer(0.3, os.kill, (os.getpid(), number)).start()
        with pytest.raises(Interrupted, match=number.name), stop.interrupting():
            join_ranks(torch.device("cpu"))
    assert time.monotonic() - began < 2.5


@pytest.mark.usefixtures("one_of_two")
def test_a_port_that_another_program_has_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        monkeypatch.setenv("MASTER_PORT", str(port))
        with pytest.raises(UsageError, match=f"MASTER_PORT={port} of this machine is in use") as caught:
            join_ranks(torch.device("cpu"))
    assert caught.value.exit_code == 2
    assert "set MASTER_PORT to another port" in str(caught.value.hint)
