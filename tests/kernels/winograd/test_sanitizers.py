"""The C under AddressSanitizer and UBSan, on maps of every small size: nothing beyond them is touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from rescli.kernels import winograd

SOURCE = Path(winograd.__file__).with_name("native.c")

DRIVER = """
#include "native.c"
#include <stdio.h>
#include <stdlib.h>

static float *floats_of(int64_t count) { /* of their very size, on a line of 4 bytes only */
    float *from = malloc(count * sizeof *from);
    for (int64_t i = 0; i < count; i++)
        from[i] = (float)(i * 7919 % 1000) / 500 - 1;
    return from;
}

int main(void) {
    int tried = 0;
    double sum = 0;
    for (int64_t height = 1; height < 10; height++)
        for (int64_t width = 1; width < 10; width++)
            for (int64_t images = 1; images < 36; images += 34) {
                shape s = {images, height, width, 16 + 16 * (width % 2), 16 + 32 * (height % 2)};
                int64_t pixels = images * height * width, size = s.in * s.out * 9, threads = 1 + tried % 3;
                int64_t per_group = (images + 15) / 16, groups = (images + per_group - 1) / per_group;
                float *x = floats_of(pixels * s.in), *y = floats_of(pixels * s.out), *w = floats_of(size);
                float *points = floats_of(36 * s.in * s.out), *parts = floats_of(groups * size);
                float *scratch = floats_of(threads * scratch_floats(&s));
                float *more = floats_of(threads * gradient_scratch_floats(&s));
                float *zeros = calloc(6 * s.in, sizeof *zeros), *dw = floats_of(size);
                int64_t strides[4] = {9 * s.in, 1, 3 * s.in, s.in};
                convolve(x, w, strides, y, points, scratch, zeros, &s, threads);
                weight_gradient(x, y, dw, parts, more, zeros, &s, per_group, threads);
                for (int64_t i = 0; i < size; i++)
                    sum += dw[i];
                free(x), free(y), free(w), free(points), free(parts), free(scratch), free(more), free(zeros),
                    free(dw);
                tried++;
            }
    printf("%d\\n", tried);
    return sum != sum;
}
"""


@pytest.mark.parametrize("option", ["-mno-avx512f", "-march=native"])
def test_maps_of_every_small_size(option: str, tmp_path: Path) -> None:
    driver, program = tmp_path / "driver.c", tmp_path / "driver"
    driver.write_text(DRIVER)
    flags = ["-O1", "-g", "-march=native", option, "-std=gnu11", "-fopenmp", f"-I{SOURCE.parent}"]
    checks = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    built = subprocess.run(
        ["cc", *flags, *checks, str(driver), "-o", str(program), "-lm"], capture_output=True, text=True
    )
    if built.returncode:
        pytest.skip(f"cannot be built here: {built.stderr[:200]}")
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "162\n"
