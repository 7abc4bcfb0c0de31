/* The weight's gradient of a 3x3 convolution of bf16 maps on the CPU, in fp32.
 *
 * Compiled by rescli.kernels.native, called by rescli.kernels.conv_native. Maps are channels-last, with a
 * multiple of 16 channels; dw is (channels out, 3, 3, channels in). A gradient is a sum over all pixels of all
 * images, and AVX-512 has an instruction that adds two products of bf16 to a sum in fp32: pixels are taken in
 * pairs, laid side by side. Images are summed in groups that the shape alone decides, and the groups in
 * order, so that the number of threads changes no bit.
 */
#include <stdint.h>
#include <string.h>
#ifndef __AVX512BF16__
#error the processor has no avx512_bf16
#elif defined __AMX_BF16__
#error the processor has AMX, and torch is faster then
#else
#include <immintrin.h>
#include <omp.h>
#endif

#define LANES 16
#define OUT 8 /* channels at once: with three taps 24 of the 32 registers */

typedef uint16_t bf16;
typedef uint32_t pair;

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* 16 channels of two pixels, side by side. */
static inline void store_pairs(pair *to, const bf16 *first, const bf16 *second) {
    const __m512i order = _mm512_set_epi16(
        47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8, 39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2,
        33, 1, 32, 0);
    __m512i low = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)first));
    __m512i high = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)second));
    _mm512_store_si512(to, _mm512_permutex2var_epi16(low, order, high));
}

typedef struct {
    int64_t height, width, in;        /* of x */
    int64_t out_height, out_width, out; /* of dy */
    int64_t stride;
} shape;

/* Of one image. Taps of column 0, 1, 2: pixels of x that meet two neighbours of dy. With stride 1 those of
 * column 2 are those of column 0, one pair on. */
typedef struct {
    pair *tap[3];
    int64_t per_row[3]; /* pairs of pixels */
    pair *dy;
} pairs;

static pairs place(const shape *s, pair *scratch) {
    int64_t half = (s->out_width + 1) / 2, rows = s->height + 2;
    pairs p = {.per_row = {half + 1, half, s->stride == 1 ? half + 1 : half}};
    p.tap[0] = scratch;
    p.tap[1] = p.tap[0] + rows * p.per_row[0] * s->in;
    pair *end = p.tap[1] + rows * p.per_row[1] * s->in;
    p.tap[2] = s->stride == 1 ? p.tap[0] + s->in : end;
    p.dy = s->stride == 1 ? end : end + rows * p.per_row[2] * s->in;
    return p;
}

/* How many pairs a thread needs for one image, at most. */
int64_t scratch_pairs(const shape *s) {
    int64_t half = (s->out_width + 1) / 2;
    return 3 * (s->height + 2) * (half + 1) * s->in + s->out_height * half * s->out;
}

/* Pixels beyond the edge are 0: `none`, or what no image writes to. */
static void lay_out(const bf16 *x, const bf16 *dy, const shape *s, const pairs *p) {
    static const bf16 none[LANES];
    for (int tap = 0; tap < (s->stride == 1 ? 2 : 3); tap++)
        for (int64_t h = 0; h < s->height; h++)
            for (int64_t j = 0; j < p->per_row[tap]; j++) {
                int64_t w = 2 * j * s->stride + tap - 1, next = w + s->stride;
                pair *to = p->tap[tap] + ((h + 1) * p->per_row[tap] + j) * s->in;
                const bf16 *first = x + (h * s->width + w) * s->in, *second = first + s->stride * s->in;
                if (w >= 0 && next < s->width)
                    for (int64_t c = 0; c < s->in; c += LANES)
                        store_pairs(to + c, first + c, second + c);
                else if (w < s->width)
                    for (int64_t c = 0; c < s->in; c += LANES)
                        store_pairs(
                            to + c, w >= 0 ? first + c : none, next < s->width ? second + c : none);
            }
    int64_t half = (s->out_width + 1) / 2;
    for (int64_t h = 0; h < s->out_height; h++)
        for (int64_t j = 0; j < half; j++)
            for (int64_t c = 0; c < s->out; c += LANES) {
                const bf16 *at = dy + (h * s->out_width + 2 * j) * s->out + c;
                store_pairs(
                    p->dy + (h * half + j) * s->out + c, at, 2 * j + 1 < s->out_width ? at + s->out : none);
            }
}

/* Adds one image's to dw. */
static void add_image(float *dw, const shape *s, const pairs *p) {
    int64_t half = (s->out_width + 1) / 2;
    for (int64_t in = 0; in < s->in; in += LANES)
        for (int64_t row = 0; row < 3; row++)
            for (int64_t out = 0; out < s->out; out += OUT) {
                float *at = dw + (out * 9 + row * 3) * s->in + in;
                __m512 sum[OUT][3];
                for (int c = 0; c < OUT; c++)
                    for (int tap = 0; tap < 3; tap++)
                        sum[c][tap] = _mm512_loadu_ps(at + (c * 9 + tap) * s->in);
                for (int64_t h = 0; h < s->out_height; h++) {
                    const pair *x[3], *dy = p->dy + h * half * s->out + out;
                    for (int tap = 0; tap < 3; tap++)
                        x[tap] = p->tap[tap] + (h * s->stride + row) * p->per_row[tap] * s->in + in;
                    for (int64_t j = 0; j < half; j++, dy += s->out) {
                        __m512bh x0 = (__m512bh)_mm512_load_si512(x[0] + j * s->in);
                        __m512bh x1 = (__m512bh)_mm512_load_si512(x[1] + j * s->in);
                        __m512bh x2 = (__m512bh)_mm512_load_si512(x[2] + j * s->in);
#pragma GCC unroll 8
                        for (int c = 0; c < OUT; c++) {
                            __m512bh g = (__m512bh)_mm512_set1_epi32((int)dy[c]);
                            sum[c][0] = _mm512_dpbf16_ps(sum[c][0], x0, g);
                            sum[c][1] = _mm512_dpbf16_ps(sum[c][1], x1, g);
                            sum[c][2] = _mm512_dpbf16_ps(sum[c][2], x2, g);
                        }
                    }
                }
                for (int c = 0; c < OUT; c++)
                    for (int tap = 0; tap < 3; tap++)
                        _mm512_storeu_ps(at + (c * 9 + tap) * s->in, sum[c][tap]);
            }
}

/* x (images, height, width, in), dy (images, out height, out width, out) -> dw (out, 3, 3, in).
 * Scratch: sums (groups, out, 3, 3, in) with groups = ceil(images / per_group), and scratch_pairs for each
 * thread, on lines of 64 bytes. */
void weight_gradient(
    const bf16 *x, const bf16 *dy, float *dw, float *sums, pair *scratch, const shape *s, int64_t images,
    int64_t per_group, int32_t threads) {
    int64_t groups = (images + per_group - 1) / per_group, size = s->out * 9 * s->in;
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t group = 0; group < groups; group++) {
        pair *own = scratch + omp_get_thread_num() * scratch_pairs(s);
        memset(own, 0, scratch_pairs(s) * sizeof *own);
        pairs p = place(s, own);
        float *sum = sums + group * size;
        memset(sum, 0, size * sizeof *sum);
        for (int64_t n = group * per_group; n < least((group + 1) * per_group, images); n++) {
            lay_out(
                x + n * s->height * s->width * s->in, dy + n * s->out_height * s->out_width * s->out, s, &p);
            add_image(sum, s, &p);
        }
    }
#pragma omp parallel for schedule(static) num_threads(threads)
    for (int64_t i = 0; i < size; i += LANES) {
        __m512 total = _mm512_setzero_ps();
        for (int64_t group = 0; group < groups; group++)
            total = _mm512_add_ps(total, _mm512_loadu_ps(sums + group * size + i));
        _mm512_storeu_ps(dw + i, total);
    }
}
