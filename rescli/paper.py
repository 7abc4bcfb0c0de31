"""The facts of the paper that rescli computes with, each with its section or table, and nothing else.

He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, arXiv:1512.03385v1.
"""

__all__ = [
    "BOTTLENECK_FROM_DEPTH",
    "CIFAR_BATCH_SIZE",
    "CIFAR_DEPTHS",
    "CIFAR_ITERATIONS",
    "CIFAR_MILESTONES",
    "CIFAR_NORM_BATCH_SIZE",
    "CIFAR_PLAIN_DEPTHS",
    "CIFAR_SPLIT",
    "CIFAR_WIDTH",
    "COLOR_DEVIATION",
    "CROP",
    "GAMMA",
    "IMAGENET_BATCH_SIZE",
    "IMAGENET_DEPTHS",
    "IMAGENET_ITERATIONS",
    "IMAGENET_PLAIN_DEPTHS",
    "IMAGENET_WIDTH",
    "LR",
    "MOMENTUM",
    "PAD",
    "SHORTER_SIDES",
    "TABLE_1_BLOCKS",
    "TEST_SCALES",
    "WARMUP_FACTOR",
    "WARMUP_FROM_DEPTH",
    "WARMUP_UNTIL_TRAIN_ERROR",
    "WEIGHT_DECAY",
    "imagenet_block",
    "imagenet_shortcut",
    "warms_up",
]

# Networks.

CIFAR_DEPTHS = (20, 32, 44, 56, 110, 1202)
"""Residual nets of section 4.2 and Table 6; every other depth 6n+2 can be built too."""

CIFAR_PLAIN_DEPTHS = (20, 32, 44, 56, 110)
"""Plain nets of section 4.2 and figure 6."""

CIFAR_WIDTH = 16
"""Channels of the first stage (section 4.2)."""

IMAGENET_DEPTHS = (18, 34, 50, 101, 152)
"""Residual nets of Table 1."""

IMAGENET_PLAIN_DEPTHS = (18, 34)
"""Plain nets of section 4.1 and Table 2."""

IMAGENET_WIDTH = 64
"""Channels of the first stage (Table 1)."""

TABLE_1_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Depth to the number of blocks in conv2_x to conv5_x (Table 1)."""

BOTTLENECK_FROM_DEPTH = 50
"""ImageNet nets from this depth on have bottlenecks and option B (section 4.1)."""

# Training.

LR = 0.1
"""The learning rate at the start (sections 3.4 and 4.2)."""

GAMMA = 0.1
"""The factor of each decrease of the learning rate (sections 3.4 and 4.2)."""

MOMENTUM = 0.9
"""Sections 3.4 and 4.2."""

WEIGHT_DECAY = 1e-4
"""Sections 3.4 and 4.2."""

CIFAR_SPLIT = (45_000, 5_000)
"""Training and validation images (section 4.2)."""

CIFAR_BATCH_SIZE = 128
"""On two GPUs (section 4.2)."""

CIFAR_NORM_BATCH_SIZE = 64
"""Images that a batch normalisation saw: each of the two GPUs normalises its own half (section 4.2)."""

CIFAR_ITERATIONS = 64_000
"""Section 4.2."""

CIFAR_MILESTONES = (32_000, 48_000)
"""Iterations at which the learning rate falls (section 4.2)."""

PAD = 4
"""Zero pixels on each side before the random 32x32 crop (section 4.2)."""

WARMUP_FROM_DEPTH = 110
"""CIFAR nets from this depth on begin with a smaller learning rate (section 4.2)."""

WARMUP_FACTOR = 0.1
"""0.01 in place of 0.1 (section 4.2)."""

WARMUP_UNTIL_TRAIN_ERROR = 80.0
"""Percent below which the training error has to fall before the learning rate is 0.1 (section 4.2)."""

IMAGENET_BATCH_SIZE = 256
"""Section 3.4."""

IMAGENET_ITERATIONS = 600_000
"""At most (section 3.4)."""

CROP = 224
"""Side in pixels of training and test crops of photographs (section 3.4)."""

SHORTER_SIDES = (256, 480)
"""The range of the shorter side in training (section 3.4)."""

COLOR_DEVIATION = 0.1
"""Standard deviation of AlexNet's colour shift, reference [21] (section 3.4)."""

TEST_SCALES = (224, 256, 384, 480, 640)
"""Shorter sides of the fully convolutional test (section 3.4)."""


def imagenet_block(depth: int) -> str:
    """The kind of block of an ImageNet net: ``basic``, or ``bottleneck`` from 50 layers on (section 4.1)."""
    return "bottleneck" if depth >= BOTTLENECK_FROM_DEPTH else "basic"


def imagenet_shortcut(depth: int) -> str:
    """The option of an ImageNet net: A, or B from 50 layers on (section 4.1)."""
    return "B" if depth >= BOTTLENECK_FROM_DEPTH else "A"


def warms_up(depth: int) -> bool:
    """Whether a CIFAR net of this depth begins with a smaller learning rate (section 4.2)."""
    return depth >= WARMUP_FROM_DEPTH
