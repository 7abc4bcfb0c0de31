"""One block of the shapes set: many images of one class, drawn from one random generator.

A scene is painted back to front: textured background, distractors, the textured shape, a thin occluder,
a gradient of light, noise. Occluders are too small to hide what tells two classes apart. The shape is always
the brighter part, by ``MIN_CONTRAST`` or more: none is invisible, and a net of eight layers learns the set
within a minute on two cores (with both signs of contrast it is near chance then).

Suffixes: B images, Y rows, X columns, C colour channels. Colours are float32 in [0, 255]; lengths are pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rescli.data.shapes.geometry import SILHOUETTES, Floats

__all__ = ["IMAGE_SIZE", "MIN_CONTRAST", "paint_block"]

IMAGE_SIZE = 32

MIN_CONTRAST = 36.0
"""How much brighter, in grey levels, the shape's darkest colour is than the background's brightest.

Light (0.62 of full in the darkest corner) and a lowered contrast (``_LOWEST_GAIN``) leave at least 12 levels
of it before noise.
"""

# Changing any number in this file changes every image, and with it the golden fingerprint of the tests.
_NUM_COLOUR_TRIES = 12
_NUM_DISTRACTORS = 3
_LOWEST_GAIN = 0.55
_MAX_NOISE = 16.0

_CENTRES = np.arange(IMAGE_SIZE, dtype=np.float32) - np.float32((IMAGE_SIZE - 1) / 2)
_X_11X = _CENTRES.reshape(1, 1, -1)
_Y_1Y1 = _CENTRES.reshape(1, -1, 1)


class _Dice:
    """Random per-image values of one block, as columns that broadcast over rows and columns of pixels."""

    def __init__(self, rng: np.random.Generator, num_images: int) -> None:
        self.rng = rng
        self.num_images = num_images

    def uniform(self, low: float, high: float) -> Floats:
        values = low + (high - low) * self.rng.random(self.num_images)
        return values.astype(np.float32).reshape(-1, 1, 1)

    def chance(self, probability: float) -> Floats:
        """1.0 with the given probability, else 0.0."""
        return (self.rng.random(self.num_images) < probability).astype(np.float32).reshape(-1, 1, 1)

    def direction(self) -> tuple[Floats, Floats]:
        """Cosine and sine of a random angle.

        Rounded to 20 bits: maths libraries differ in the last bit of a cosine, and the bytes must not.
        """
        angle = 2 * np.pi * self.rng.random(self.num_images)
        grid = 2.0**20
        cosine, sine = (np.rint(f(angle) * grid) / grid for f in (np.cos, np.sin))
        return cosine.astype(np.float32).reshape(-1, 1, 1), sine.astype(np.float32).reshape(-1, 1, 1)

    def colours(self, *leading: int) -> Floats:
        """Uniform colours (*leading, B, 3), away from black and white so that noise is not clipped."""
        return (20 + 215 * self.rng.random((*leading, self.num_images, 3))).astype(np.float32)


def _turned(cosine_B11: Floats, sine_B11: Floats, x_B11: Floats, y_B11: Floats) -> tuple[Floats, Floats]:
    """Pixel centres in a frame turned by an angle, with its origin at (x, y) from the image's centre."""
    x_B1X, y_BY1 = _X_11X - x_B11, _Y_1Y1 - y_B11
    along_BYX = cosine_B11 * x_B1X + sine_B11 * y_BY1
    across_BYX = cosine_B11 * y_BY1 - sine_B11 * x_B1X
    return along_BYX, across_BYX


def _coverage(distance_BYX: Floats) -> Floats:
    """The part of each pixel inside an outline: 1 from half a pixel within, 0 from half a pixel without."""
    np.subtract(0.5, distance_BYX, out=distance_BYX)
    return np.clip(distance_BYX, 0, 1, out=distance_BYX)


def _shape(dice: _Dice, class_name: str) -> Floats:
    radius = dice.uniform(8.0, 12.5)
    # Large shapes stay near the centre: at most 1.5 pixels of a bounding circle leave the frame.
    reach = IMAGE_SIZE / 2 + 1.5 - radius
    x, y = dice.uniform(-1, 1) * reach, dice.uniform(-1, 1) * reach
    stretch = dice.uniform(0.88, 1.12)
    u, v = _turned(*dice.direction(), x, y)
    u /= radius * stretch
    v *= stretch / radius
    distance = SILHOUETTES[class_name](u, v, dice.uniform(0, 1))
    distance *= radius
    return _coverage(distance)


def _bar_or_blob(dice: _Dice, *, longest: float, widest: float, reach: float, probability: float) -> Floats:
    """A rectangle or an ellipse anywhere in the frame, times ``probability`` that there is one."""
    along, across = _turned(*dice.direction(), dice.uniform(-reach, reach), dice.uniform(-reach, reach))
    half_length, half_width = dice.uniform(1.5, longest), dice.uniform(0.7, widest)
    along /= half_length
    across /= half_width
    np.abs(along, out=along)
    np.abs(across, out=across)
    bar = np.maximum((along - 1) * half_length, (across - 1) * half_width)
    blob = (np.sqrt(along * along + across * across) - 1) * np.minimum(half_length, half_width)
    is_bar = dice.chance(0.5)
    return _coverage(blob + (bar - blob) * is_bar) * dice.chance(probability)


def _wave(phase_BYX: Floats) -> Floats:
    """A triangle wave of period 1 between -1 and 1."""
    phase_BYX -= np.rint(phase_BYX)
    return np.abs(phase_BYX, out=phase_BYX) * 4 - 1


def _texture(dice: _Dice) -> Floats:
    """The share of a region's second colour at each pixel: stripes, checks, a soft gradient or plain."""
    is_gradient, is_check = dice.chance(0.3), dice.chance(0.35)
    period = dice.uniform(3.5, 9.0) * (1 - is_gradient) + dice.uniform(40, 80) * is_gradient
    along, across = _turned(*dice.direction(), dice.uniform(-20, 20), dice.uniform(-20, 20))
    stripes = _wave(along / period)
    stripes *= 1 + is_check * (_wave(across / period) - 1)
    stripes *= dice.uniform(0.6, 3.0)
    stripes += 0.5
    return np.clip(stripes, 0, 1, out=stripes) * dice.chance(0.7)


def _least_rise(shape_TPBC: Floats, background_TPBC: Floats) -> Floats:
    """How much brighter (T, B) the darkest shape colour of a try is than its brightest background colour."""
    rise: Floats = _brightness(shape_TPBC).min(axis=1) - _brightness(background_TPBC).max(axis=1)
    return rise


def _brightness(colour_C: Floats) -> Floats:
    # A plain mean; written out, because the order in which numpy sums an axis is not promised.
    return (colour_C[..., 0] + colour_C[..., 1] + colour_C[..., 2]) / 3


def _palette(dice: _Dice) -> tuple[Floats, Floats]:
    """Two shape colours and two background colours (2, B, 3) each, ``MIN_CONTRAST`` apart.

    The first of ``_NUM_COLOUR_TRIES`` draws that is far enough; where none is, the farthest, pushed apart.
    """
    pairs = []
    for _ in range(2):
        first = dice.colours(_NUM_COLOUR_TRIES)
        second = first + (dice.colours(_NUM_COLOUR_TRIES) - first) * dice.uniform(0.15, 0.5)[:, 0]
        pairs.append(np.stack([first, second], axis=1))
    rise_TB = _least_rise(pairs[0], pairs[1])
    best_B = np.minimum(rise_TB, MIN_CONTRAST).argmax(axis=0)
    images_B = np.arange(dice.num_images)
    shape, background = (pair[best_B, :, images_B].transpose(1, 0, 2) for pair in pairs)
    half_missing_B1 = np.maximum(MIN_CONTRAST - rise_TB[best_B, images_B], 0)[:, None] / 2
    return shape + half_missing_B1, background - half_missing_B1


def _planes(colour_BC: Floats) -> Floats:
    return np.ascontiguousarray(colour_BC.T)[:, :, None, None]


def _paint(canvas_CBYX: Floats, coverage_BYX: Floats, colour_CBYX: Floats) -> None:
    canvas_CBYX += coverage_BYX * (colour_CBYX - canvas_CBYX)


def _mixed(first_BC: Floats, second_BC: Floats, share_BYX: Floats) -> Floats:
    return _planes(first_BC) + share_BYX * _planes(second_BC - first_BC)


def _add_light_and_noise(dice: _Dice, canvas_CBYX: Floats) -> None:
    tilt_x, tilt_y = dice.uniform(-0.012, 0.012), dice.uniform(-0.012, 0.012)
    canvas_CBYX *= (1 + tilt_x * _X_11X) + tilt_y * _Y_1Y1
    contrast = dice.uniform(_LOWEST_GAIN, 1.0)
    # Two random bytes summed: nearly normal, and ten times cheaper than a normal draw per pixel.
    num_words = canvas_CBYX.size // 4
    words = dice.rng.integers(0, 2**64, size=num_words, dtype=np.uint64).astype("<u8", copy=False)
    bytes_2CBYX = words.view(np.uint8).reshape(2, *canvas_CBYX.shape)
    noise_CBYX = np.add(bytes_2CBYX[0], bytes_2CBYX[1], dtype=np.float32)
    noise_CBYX -= 255
    # The standard deviation of the sum of two uniform bytes is 104.5.
    noise_CBYX *= dice.uniform(1.0, _MAX_NOISE) / 104.5
    canvas_CBYX -= 127.5
    canvas_CBYX *= contrast
    canvas_CBYX += noise_CBYX
    canvas_CBYX += 127.5 + dice.uniform(-1, 1) * (1 - contrast) * 100


def paint_block(rng: np.random.Generator, *, class_name: str, num_images: int) -> NDArray[np.uint8]:
    """Images (B, 32, 32, 3) of one class; a pure function of the generator's state."""
    dice = _Dice(rng, num_images)
    shape_2BC, background_2BC = _palette(dice)
    canvas_CBYX = _mixed(background_2BC[0], background_2BC[1], _texture(dice))
    for _ in range(_NUM_DISTRACTORS):
        spot = _bar_or_blob(dice, longest=8, widest=3, reach=15, probability=0.5)
        # Mixed with the background, so that a distractor is never the strongest thing in the image.
        colour = background_2BC[0] + 0.4 * (dice.colours() - background_2BC[0])
        _paint(canvas_CBYX, spot, _planes(colour))
    shape = _shape(dice, class_name)
    _paint(canvas_CBYX, shape, _mixed(shape_2BC[0], shape_2BC[1], _texture(dice)))
    occluder = _bar_or_blob(dice, longest=9, widest=1.6, reach=9, probability=0.4)
    _paint(canvas_CBYX, occluder, _planes(dice.colours()))
    _add_light_and_noise(dice, canvas_CBYX)
    np.clip(canvas_CBYX, 0, 255, out=canvas_CBYX)
    canvas_CBYX += 0.5
    return np.moveaxis(canvas_CBYX.astype(np.uint8), 0, -1)
