"""torch.compile as an opt-in: the whole network where it is small, block by block where it is deep."""

from __future__ import annotations

import logging
from typing import cast

import torch
from torch import nn

from rescli.models.blocks import BasicBlock, BottleneckBlock

__all__ = ["compiled"]

MOST_WHOLE_CONVS = 64
"""Convolutions up to which a network is compiled whole; the time that takes grows with every one of them."""

_VARIANTS = 64
"""Graphs of one piece of code before torch would silently run it eagerly; its own limit of 8 is too small for
the blocks of one network in training and in evaluation."""


def compiled(model: nn.Module) -> nn.Module:
    """What to call in place of ``model``; it shares the parameters, and nothing is compiled before it runs.

    A deep network is compiled block by block and in place, so that equal blocks share their code.
    """
    logging.getLogger("torch.utils.cpp_extension").addFilter(_is_news)
    from torch import _dynamo  # two seconds, that only those wait who ask for it

    _dynamo.config.recompile_limit = _VARIANTS
    convs = sum(isinstance(module, nn.Conv2d) for module in model.modules())
    blocks = [module for module in model.modules() if isinstance(module, BasicBlock | BottleneckBlock)]
    if convs <= MOST_WHOLE_CONVS or not blocks:
        return cast(nn.Module, torch.compile(model, dynamic=False))
    for block in blocks:
        block.compile(dynamic=False)
    return model


def _is_news(record: logging.LogRecord) -> bool:
    """Not that a machine with CUDA's compiler has no GPU: code for the CPU is what was asked for."""
    return not str(record.msg).startswith("No CUDA runtime is found")
