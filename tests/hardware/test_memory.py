"""Which exceptions mean that memory ran out."""

import pytest
import torch

from rescli.hardware.memory import is_out_of_memory


def test_the_cpus_allocator_is_believed_at_its_word() -> None:
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(refused.value)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("CUDA error: out of memory\nCompile with TORCH_USE_CUDA_DSA"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.02 GB)"),
    ],
)
def test_out_of_memory(error: Exception) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: an illegal memory access was encountered"),
        RuntimeError("unsupported memory format option Contiguous"),
        RuntimeError("view size is not compatible: memory is not contiguous"),
        MemoryError("Unable to allocate 8.0 EiB"),  # the machine, whose memory no batch size frees
        ValueError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_another_word_of_memory_is_another_fault(error: Exception) -> None:
    assert not is_out_of_memory(error)
