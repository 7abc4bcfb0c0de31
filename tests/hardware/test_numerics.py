import pytest
import torch

from rescli.errors import UsageError
from rescli.hardware import numerics as precision
from rescli.hardware.numerics import (
    Numerics,
    choose_device,
    choose_eval_precision,
    choose_precision,
    precision_as_trained,
    use_threads,
)


def test_auto_always_finds_a_device():
    assert choose_device("auto").type in ("cuda", "mps", "cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu0", "", "meta", "xla"])
def test_an_unknown_device_names_the_known_ones(name):
    with pytest.raises(UsageError, match="known: auto, cuda, mps, cpu"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_device_that_is_not_there_says_what_is():
    with pytest.raises(UsageError, match="there is: cpu"):
        choose_device("cuda")


def test_auto_precision_follows_the_probe(monkeypatch):
    cpu = torch.device("cpu")
    for pays_off, expected in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(precision, "bf16_pays_off", lambda pays_off=pays_off: pays_off)
        assert choose_precision("auto", cpu) == expected
    assert choose_precision("bf16", cpu) == "bf16"


def test_fp16_needs_cuda():
    with pytest.raises(UsageError, match="fp16 needs a CUDA device"):
        choose_precision("fp16", torch.device("cpu"))


@pytest.mark.parametrize("has_bf16", [True, False])
def test_weights_are_judged_in_the_precision_of_their_training_where_it_is_there(monkeypatch, has_bf16):
    monkeypatch.setattr(precision, "bf16_pays_off", lambda: has_bf16)
    cpu = torch.device("cpu")
    assert precision_as_trained("fp32", cpu) == "fp32"
    assert precision_as_trained("bf16", cpu) == ("bf16" if has_bf16 else "fp32")
    assert precision_as_trained("fp16", cpu) == "fp32"


@pytest.mark.parametrize(("quota", "asked", "threads"), [(2, None, 2), (9, None, 6), (2, "4", 6)])
def test_no_more_threads_than_a_quota_allows_unless_they_were_asked_for(monkeypatch, quota, asked, threads):
    """Torch counts the cores that it sees; of a quota it knows nothing."""
    used = [6]
    monkeypatch.setattr(torch, "get_num_threads", lambda: used[-1])
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    monkeypatch.setattr(precision, "usable_cores", lambda: quota)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    precision.heed_quota.cache_clear()
    Numerics(torch.device("cpu"), "fp32").configure_backend()
    assert used[-1] == threads
    use_threads(8)
    Numerics(torch.device("cpu"), "fp32").configure_backend()  # what was chosen stays
    assert used[-1] == 8
    precision.heed_quota.cache_clear()


@pytest.mark.parametrize(("pays_off", "says"), [(False, ["precision"]), (True, [])])
def test_bf16_that_is_slow_here_is_said(monkeypatch, caplog, pays_off, says):
    monkeypatch.setattr(precision, "bf16_pays_off", lambda: pays_off)
    assert choose_eval_precision("bf16", "fp32", torch.device("cpu")) == "bf16"
    assert [record.args[0].setting for record in caplog.records] == says
    caplog.clear()
    choose_eval_precision("auto", "bf16", torch.device("cpu"))
    assert not caplog.records
