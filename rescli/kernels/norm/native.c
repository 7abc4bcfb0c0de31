/* norm_act on the CPU: batch normalisation, the shortcut's addition and ReLU, forward and backward.
 *
 * Compiled by rescli.kernels.native for the machine it runs on, once for each type of map (-DMAP_BF16 or
 * fp32); called by rescli.kernels.norm_native, which says what it takes. Maps are channels-last: `rows`
 * pixels of `channels` values, a multiple of 16. All sums are formed in fp32 over rows_per_partial rows
 * and in double over the partials, in an order that depends on the shape alone, so that neither the
 * number of threads nor the width of the processor's vectors changes a bit of the result.
 */
#include <stdint.h>
#include <string.h>
#include <math.h>
#ifndef __AVX2__
#error the processor has no AVX2, and torch is faster then
#else
#include <immintrin.h>
#endif

/* As wide as the processor's vectors: the compiler would take wider ones to pieces in memory. Every lane is a
 * channel of its own, so that no result depends on it. */
#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef uint32_t words __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

static inline floats load(const float *from) {
    floats v;
    memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(float *to, floats v) { memcpy(to, &v, sizeof v); }

#ifdef MAP_BF16
typedef uint16_t map;

/* gcc 12 makes six instructions of a conversion that x86 has one for. */
#ifdef __AVX512F__
static inline words widen(halves h) { return (words)_mm512_cvtepu16_epi32((__m256i)h); }
static inline halves narrow(words w) { return (halves)_mm512_cvtepi32_epi16((__m512i)w); }
#else
static inline words widen(halves h) { return (words)_mm256_cvtepu16_epi32((__m128i)h); }
static inline halves narrow(words w) {
    __m256i v = (__m256i)w;
    return (halves)_mm_packus_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
}
#endif

static inline floats load_map(const map *from) {
    halves h;
    memcpy(&h, from, sizeof h);
    return (floats)(widen(h) << 16);
}

/* Rounds to nearest, ties to even, as torch does; what is no number stays none. */
static inline void store_map(map *to, floats v) {
    words bits = (words)v, no_number = (words)(v != v);
    words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    halves h = narrow((rounded & ~no_number) | (no_number & 0x7fc0));
    memcpy(to, &h, sizeof h);
}
#else
typedef float map;
#define load_map load
#define store_map store
#endif

/* One after another, of maps that are walked in tiles, and have the next tile's brought from memory: the
 * processor's own prefetching does not see through the strides. */
static inline floats next(const map *from, int64_t ahead) {
    __builtin_prefetch(from + ahead);
    return load_map(from);
}

static inline void set_next(map *to, int64_t ahead, floats v) {
    __builtin_prefetch(to + ahead, 1);
    store_map(to, v);
}

/* v where the condition holds (all ones), else 0. */
static inline floats only(floats v, ints condition) { return (floats)((words)v & (words)condition); }

/* A ReLU lets through all but what is <= 0: what is no number, too. */
static inline ints passes(floats v) { return ~(v <= 0); }

/* The residual's shape: every stride-th pixel of it is added to the first `channels` channels. */
typedef struct {
    int64_t height, width;             /* of the map */
    int64_t residual_height, residual_width, channels, stride;
} shortcut;

static inline int64_t residual_row(const shortcut *s, int64_t row) {
    int64_t w = row % s->width, h = row / s->width % s->height, n = row / (s->width * s->height);
    return (n * s->residual_height + h * s->stride) * s->residual_width + w * s->stride;
}

enum { NONE, SAME, PADDED };      /* residual */
enum { ALL, BY_Y, BY_Z };         /* what the ReLU let through: all, or where y normalised, or z, is > 0 */

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* The rows of partial k. */
#define EACH_PARTIAL(k)                                                                                  \
    _Pragma("omp parallel for schedule(static) num_threads(threads)") for (int64_t k = 0; k < partials;  \
                                                                           k++)

/* Of these, a few at a time, so that a tile lies in the cache for all of its channels: 16 channels are half a
 * line of it. */
#define EACH_TILE(k, first, last)                                                                        \
    for (int64_t first = k * rows_per_partial, end = least(first + rows_per_partial, rows), last;        \
         last = least(first + rows_per_tile, end), first < end; first = last)                            \
        for (int64_t c = 0; c < channels; c += LANES)

/* About which a partial sum is formed, since a difference of large sums would lose the variance: the mean of its
 * first rows, as a single one might be an outlier. */
static inline floats origin_of(const map *rows, int64_t channels, int64_t count) {
    floats sum = {0};
    int64_t used = least(count, 8);
    for (int64_t row = 0; row < used; row++)
        sum += load_map(rows + row * channels) / (float)used;
    return sum;
}

/* y -> z, and the statistics of the batch.
 * Scratch: means, m2s (partials, channels), of each partial sum: its mean, and the squares about it.
 * Out: z, mean, rstd; and the running statistics, brought up to date. */
void norm_forward(
    const map *y, const map *residual, map *z, const float *weight, const float *bias,
    float *running_mean, float *running_var, int64_t *num_batches_tracked, float *mean, float *rstd,
    float *means, float *m2s, const shortcut *s, int64_t rows, int64_t channels, int64_t rows_per_partial,
    int64_t rows_per_tile, int32_t kind, int32_t relu, double eps, double momentum, int32_t threads) {
    int64_t partials = (rows + rows_per_partial - 1) / rows_per_partial, ahead = rows_per_tile * channels;
    EACH_PARTIAL(k) {
        int64_t begin = k * rows_per_partial, count = least(rows - begin, rows_per_partial);
        const map *own = y + begin * channels;
        float *sums = means + k * channels, *squares = m2s + k * channels;
        memset(sums, 0, channels * sizeof *sums);
        memset(squares, 0, channels * sizeof *squares);
        EACH_TILE(k, first, last) {
            floats origin = origin_of(own + c, channels, count);
            floats sum = load(sums + c), square = load(squares + c);
            /* Two rows at a time: an addition takes longer than the processor needs to begin the next. */
            floats sum2 = {0}, square2 = {0};
            int64_t i = first * channels + c, stop = last * channels;
            for (; i + channels < stop; i += 2 * channels) {
                floats v = next(y + i, ahead) - origin, v2 = next(y + i + channels, ahead) - origin;
                sum += v, square += v * v;
                sum2 += v2, square2 += v2 * v2;
            }
            if (i < stop) {
                floats v = next(y + i, ahead) - origin;
                sum += v, square += v * v;
            }
            store(sums + c, sum + sum2);
            store(squares + c, square + square2);
        }
        for (int64_t c = 0; c < channels; c += LANES) {
            floats sum = load(sums + c), off = sum / (float)count;
            store(squares + c, load(squares + c) - sum * off);
            store(sums + c, origin_of(own + c, channels, count) + off);
        }
    }

    _Pragma("omp parallel for schedule(static) num_threads(threads)") for (int64_t c = 0; c < channels;
                                                                           c++) {
        double sum = 0, m2 = 0;
        for (int64_t k = 0; k < partials; k++) {
            int64_t count = k + 1 < partials ? rows_per_partial : rows - k * rows_per_partial;
            sum += count * (double)means[k * channels + c];
        }
        double center = sum / rows;
        for (int64_t k = 0; k < partials; k++) {
            int64_t count = k + 1 < partials ? rows_per_partial : rows - k * rows_per_partial;
            double off = means[k * channels + c] - center;
            m2 += m2s[k * channels + c] + count * off * off;
        }
        mean[c] = (float)center;
        rstd[c] = (float)(1 / sqrt(m2 / rows + eps));
        running_mean[c] = (float)((1 - momentum) * running_mean[c] + momentum * center);
        running_var[c] = (float)((1 - momentum) * running_var[c] + momentum * m2 / (rows - 1));
    }
    ++*num_batches_tracked;

    EACH_PARTIAL(k) EACH_TILE(k, first, last) {
        floats m = load(mean + c), scale = load(weight + c) * load(rstd + c), shift = load(bias + c);
        int here = kind == PADDED && c >= s->channels ? NONE : kind;
        for (int64_t row = first; row < last; row++) {
            int64_t i = row * channels + c;
            floats v = (next(y + i, ahead) - m) * scale + shift;
            if (here == SAME)
                v += next(residual + i, ahead);
            else if (here == PADDED)
                v += load_map(residual + residual_row(s, row) * s->channels + c);
            set_next(z + i, ahead, relu ? only(v, passes(v)) : v);
        }
    }
}

/* dz -> dy, the residual's gradient, and those of weight and bias.
 * Scratch: sums, products (partials, channels), of dz and of dz with y's deviation from the mean; by_gradient,
 * by_deviation, constant (channels), what dy is made of. */
void norm_backward(
    const map *dz, const map *y, const map *z, const float *weight, const float *bias, const float *mean,
    const float *rstd, map *dy, map *dresidual, float *dweight, float *dbias, float *sums, float *products,
    float *by_gradient, float *by_deviation, float *constant, const shortcut *s, int64_t images,
    int64_t rows, int64_t channels, int64_t rows_per_partial, int64_t rows_per_tile, int32_t kind,
    int32_t passing, int32_t threads) {
    int64_t partials = (rows + rows_per_partial - 1) / rows_per_partial, ahead = rows_per_tile * channels;

/* Deviation v of y, and g, what the ReLU lets of dz through, at i. */
#define GRADIENT(v, g, i)                                                                                \
    floats v = next(y + (i), ahead) - m, g = next(dz + (i), ahead);                                      \
    if (passing == BY_Y)                                                                                 \
        g = only(g, passes(v * scale + shift));                                                          \
    else if (passing == BY_Z)                                                                            \
        g = only(g, passes(next(z + (i), ahead)));

    EACH_PARTIAL(k) {
        memset(sums + k * channels, 0, channels * sizeof *sums);
        memset(products + k * channels, 0, channels * sizeof *products);
        EACH_TILE(k, first, last) {
            floats m = load(mean + c), scale = load(weight + c) * load(rstd + c), shift = load(bias + c);
            floats sum = load(sums + k * channels + c), product = load(products + k * channels + c);
            floats sum2 = {0}, product2 = {0};
            int64_t i = first * channels + c, stop = last * channels;
            for (; i + channels < stop; i += 2 * channels) {
                GRADIENT(v, g, i)
                GRADIENT(v2, g2, i + channels)
                if (kind == SAME) {
                    set_next(dresidual + i, ahead, g);
                    set_next(dresidual + i + channels, ahead, g2);
                }
                sum += g, product += g * v;
                sum2 += g2, product2 += g2 * v2;
            }
            if (i < stop) {
                GRADIENT(v, g, i)
                if (kind == SAME)
                    set_next(dresidual + i, ahead, g);
                sum += g, product += g * v;
            }
            store(sums + k * channels + c, sum + sum2);
            store(products + k * channels + c, product + product2);
        }
    }

    _Pragma("omp parallel for schedule(static) num_threads(threads)") for (int64_t c = 0; c < channels;
                                                                           c++) {
        double sum = 0, product = 0, inverse = rstd[c], scale = weight[c] * inverse;
        for (int64_t k = 0; k < partials; k++)
            sum += sums[k * channels + c], product += products[k * channels + c];
        dbias[c] = (float)sum;
        dweight[c] = (float)(product * inverse);
        by_gradient[c] = (float)scale;
        by_deviation[c] = (float)(-scale * inverse * inverse * product / rows);
        constant[c] = (float)(-scale * sum / rows);
    }

    EACH_PARTIAL(k) EACH_TILE(k, first, last) {
        floats m = load(mean + c), scale = load(weight + c) * load(rstd + c), shift = load(bias + c);
        floats a = load(by_gradient + c), b = load(by_deviation + c), d = load(constant + c);
        int64_t stop = last * channels;
        if (kind == SAME) /* masked already */
            for (int64_t i = first * channels + c; i < stop; i += channels) {
                floats v = next(y + i, ahead) - m, g = next(dresidual + i, ahead);
                set_next(dy + i, ahead, a * g + b * v + d);
            }
        else
            for (int64_t i = first * channels + c; i < stop; i += channels) {
                GRADIENT(v, g, i)
                set_next(dy + i, ahead, a * g + b * v + d);
            }
    }

    if (kind != PADDED)
        return;
    floats m = {0}, scale = {0}, shift = {0}; /* a sum's gradient has no need of them */
    _Pragma("omp parallel for schedule(static) num_threads(threads)") for (
        int64_t line = 0; line < images * s->residual_height; line++) {
        int64_t n = line / s->residual_height, h = line % s->residual_height;
        map *to = dresidual + line * s->residual_width * s->channels;
        memset(to, 0, s->residual_width * s->channels * sizeof *to);
        if (h % s->stride)
            continue;
        for (int64_t w = 0; w < s->width; w++) {
            int64_t row = (n * s->height + h / s->stride) * s->width + w;
            for (int64_t c = 0; c < s->channels; c += LANES) {
                GRADIENT(v, g, row * channels + c)
                (void)v;
                store_map(to + w * s->stride * s->channels + c, g);
            }
        }
    }
}
