/* A 3x3 convolution of fp32 maps on the CPU, stride 1, padding 1, and its two gradients, by the minimal filtering
 * of Winograd and of Lavin & Gray (2015, arXiv:1509.09308): F(4x4, 3x3).
 *
 * Compiled by rescli.kernels.c_compiler, called by rescli.kernels.winograd.native. Maps are channels-last, with a
 * multiple of 16 channels. A tile of 4x4 pixels out is made of 6x6 in. Both tile and weight become polynomials
 * known by their values at 6x6 points, where a convolution is a product: 36 products for each pair of channels
 * instead of 144. The points are 0, +-3/4, +-3/2 and infinity: at the usual 0, +-1, +-2 rounding is twice as large.
 * Every lane is a channel of its own, every tile is computed alone, and the weight's gradient is summed over
 * groups of images that the shape alone decides: the number of threads changes no bit.
 */
#include "points.h"

/* Where a tile begins in a map. */
typedef struct {
    int64_t image, row, column;
} place;

static inline int64_t tiles_of(int64_t size) { return (size + 3) / 4; }

static inline place place_of(const shape *s, int64_t tile) {
    int64_t across = tiles_of(s->width), down = tiles_of(s->height);
    return (place){tile / (across * down), tile / across % down * 4, tile % across * 4};
}

/* From one point to the next of what is made of `tiles` tiles: 16 more than there are, since strides of a power of
 * 2 would meet in the same lines of the cache. */
static inline int64_t per_point(int64_t tiles, int64_t channels) { return tiles * channels + 16; }


/* Six rows, of which columns first to last are in the map, at the points: 16 or fewer channels of a tile. */
INLINE void tile_at_points(
    const float *const *row, int64_t first, int64_t last, int64_t channels, float *to, int64_t step) {
    floats d[6], half[6 * 6];
    EACH(i, 6) {
        EACH(j, 6) d[j] = j >= first && j < last ? load(row[i] + j * channels) : (floats){0};
        input_at_points(d, 1, half + i * 6);
    }
    EACH(j, 6) {
        input_at_points(half + j, 6, d);
        EACH(i, 6) store(to + (i * 6 + j) * step, d[i]);
    }
}

/* Tiles of a map of so many channels -> to (36, tiles, channels); zeros: six pixels. */
static void map_at_points(
    const float *map, const float *zeros, const shape *s, int64_t channels, int64_t first_tile, int64_t count,
    float *to, int64_t step) {
    for (int64_t t = 0; t < count; t++, to += channels) {
        place p = place_of(s, first_tile + t);
        const float *row[6];
        EACH(i, 6) {
            int64_t h = p.row - 1 + i;
            row[i] = h < 0 || h >= s->height
                ? zeros
                : map + ((p.image * s->height + h) * s->width + p.column - 1) * channels;
        }
        int64_t first = p.column == 0, last = least(6, s->width - p.column + 1);
        for (int64_t c = 0; c < channels; c += LANES) {
            if (first == 0 && last == 6) /* and the compiler drops the conditions */
                tile_at_points(row, 0, 6, channels, to + c, step);
            else
                tile_at_points(row, first, last, channels, to + c, step);
            EACH(i, 6) row[i] += LANES;
        }
    }
}

/* Brings what is needed soon nearer while there are products to compute: between the products, a few lines at a time,
 * since many at once would wait for each other. Part i of parts of so many bytes. */
INLINE void fetch(const void *from, int64_t bytes, int64_t i, int64_t parts, const int write) {
    for (int64_t at = bytes / 64 * i / parts; at < bytes / 64 * (i + 1) / parts; at++)
        if (write) /* clang takes a literal only */
            __builtin_prefetch((const char *)from + at * 64, 1);
        else
            __builtin_prefetch((const char *)from + at * 64, 0);
}

/* TILES tiles at the points (36, tiles, in) times a weight (36, in, 16) -> (36, TILES, 16). */
static void multiply(
    const float *tiles, int64_t step, const float *weight, int64_t in, float *to, const float *soon,
    const float *target, int64_t bytes) {
    for (int64_t p = 0; p < POINTS; p++, tiles += step) {
        fetch(soon, bytes, p, POINTS, 0);
        fetch(target, bytes, p, POINTS, 1);
        floats sum[TILES][VECTORS];
        EACH(t, TILES) EACH(v, VECTORS) sum[t][v] = (floats){0};
        for (int64_t k = 0; k < in; k++, weight += BLOCK) {
            floats w[VECTORS];
            EACH(v, VECTORS) w[v] = load(weight + v * LANES);
            EACH(t, TILES) {
                floats x = all(tiles[t * in + k]);
                EACH(v, VECTORS) sum[t][v] = fused(x, w[v], sum[t][v]);
            }
        }
        EACH(t, TILES) EACH(v, VECTORS) store(to + (p * TILES + t) * BLOCK + v * LANES, sum[t][v]);
    }
}

/* Tiles (36, TILES, 16) -> 16 channels of the map, from `channel` on. */
static void store_tiles(
    const float *tiles, const shape *s, int64_t first_tile, int64_t count, int64_t channel, float *map) {
    for (int64_t t = 0; t < count; t++) {
        place p = place_of(s, first_tile + t);
        float *to = map + ((p.image * s->height + p.row) * s->width + p.column) * s->out + channel;
        int64_t rows = least(4, s->height - p.row), columns = least(4, s->width - p.column);
        for (int64_t v = 0; v < VECTORS; v++) {
            const float *from = tiles + t * BLOCK + v * LANES;
            floats m[6], half[6 * 4], pixels[4];
            EACH(i, 6) {
                EACH(j, 6) m[j] = load(from + (i * 6 + j) * TILES * BLOCK);
                output_of_points(m, 1, half + i * 4);
            }
            EACH(j, 4) {
                output_of_points(half + j, 4, pixels);
                if (j < columns)
                    for (int64_t i = 0; i < rows; i++)
                        store(to + (i * s->width + j) * s->out + v * LANES, pixels[i]);
            }
        }
    }
}

/* The weights of channel `in` to 16 channels out -> (out / 16, 36, in, 16). Strides of w: out, in, row, column. */
static void weights_at_points(
    const float *w, const int64_t *stride, const shape *s, int64_t block, int64_t in, float *to) {
    for (int64_t v = 0; v < VECTORS; v++) {
        doubles g[9], half[3 * 6], points[6];
        for (int64_t i = 0; i < 9; i++)
            for (int64_t lane = 0; lane < LANES; lane++)
                g[i][lane] = w[(block * BLOCK + v * LANES + lane) * stride[0] + in * stride[1] + i / 3 * stride[2] +
                               i % 3 * stride[3]];
        EACH(i, 3) weight_at_points(g + i * 3, 1, half + i * 6);
        EACH(j, 6) {
            weight_at_points(half + j, 6, points);
            EACH(i, 6) store(
                to + ((block * POINTS + i * 6 + j) * s->in + in) * BLOCK + v * LANES,
                __builtin_convertvector(points[i], floats));
        }
    }
}

/* What a thread needs to convolve. */
int64_t scratch_floats(const shape *s) { return POINTS * (per_point(GROUP, s->in) + TILES * BLOCK); }

/* x (images, height, width, in), w (out, in, 3, 3) by its strides -> y (images, height, width, out). For the input's
 * gradient x is that of the output, and w mirrored, its channels exchanged: by strides alone.
 * Scratch: points (out / 16, 36, in, 16), and scratch_floats for each thread; zeros: 6 * in of them. */
void convolve(
    const float *x, const float *w, const int64_t *stride, float *y, float *points, float *scratch,
    const float *zeros, const shape *s, int32_t threads) {
    int64_t tiles = s->images * tiles_of(s->height) * tiles_of(s->width), step = per_point(GROUP, s->in);
    int64_t groups = (tiles + GROUP - 1) / GROUP, bytes = TILES * 16 * BLOCK * sizeof *x;
#pragma omp parallel num_threads(threads)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->out / BLOCK * s->in; i++)
            weights_at_points(w, stride, s, i / s->in, i % s->in, points);
        float *own = scratch + omp_get_thread_num() * scratch_floats(s), *result = own + POINTS * step;
#pragma omp for schedule(static)
        for (int64_t group = 0; group < groups; group++) {
            int64_t first = group * GROUP, count = least(GROUP, tiles - first);
            /* A row of tiles lies in one piece: about where those of the next group are. */
            const float *soon = x + (first + GROUP) * 16 * s->in, *target = y + (first + TILES) * 16 * s->out;
            map_at_points(x, zeros, s, s->in, first, count, own, step);
            for (int64_t c = 0; c < s->out; c += BLOCK)
                for (int64_t t = 0; t < count; t += TILES) {
                    multiply(
                        own + t * s->in, step, points + c * POINTS * s->in, s->in, result, soon, target,
                        bytes);
                    store_tiles(result, s, first + t, least(TILES, count - t), c, y);
                    soon += bytes / sizeof *x, target += bytes / sizeof *y;
                }
        }
    }
}

/* Tiles of the output's gradient -> to (36, tiles, out). */
static void gradients_at_points(
    const float *dy, const shape *s, int64_t first_tile, int64_t count, float *to, int64_t step) {
    for (int64_t t = 0; t < count; t++, to += s->out) {
        place p = place_of(s, first_tile + t);
        const float *from = dy + ((p.image * s->height + p.row) * s->width + p.column) * s->out;
        int64_t rows = least(4, s->height - p.row), columns = least(4, s->width - p.column);
        for (int64_t c = 0; c < s->out; c += LANES) {
            floats d[6], half[4 * 6];
            EACH(i, 4) {
                EACH(j, 4) d[j] = i < rows && j < columns ? load(from + (i * s->width + j) * s->out + c)
                                                          : (floats){0};
                gradient_at_points(d, 1, half + i * 6);
            }
            EACH(j, 6) {
                gradient_at_points(half + j, 6, d);
                EACH(i, 6) store(to + (i * 6 + j) * step + c, d[i]);
            }
        }
    }
}

/* Adds products of tiles to sums of `rows` channels out and 16 in, or begins these. */
INLINE void add_products(
    const float *x, const float *dy, float *sums, const shape *s, int64_t count, int begin, const int rows) {
    floats sum[BLOCK][VECTORS];
    EACH(r, rows) EACH(v, VECTORS) sum[r][v] = begin ? (floats){0} : load(sums + r * s->in + v * LANES);
    for (int64_t t = 0; t < count; t++, x += s->in, dy += s->out) {
        floats pixels[VECTORS];
        EACH(v, VECTORS) pixels[v] = load(x + v * LANES);
        EACH(r, rows) {
            floats g = all(dy[r]);
            EACH(v, VECTORS) sum[r][v] = fused(g, pixels[v], sum[r][v]);
        }
    }
    EACH(r, rows) EACH(v, VECTORS) store(sums + r * s->in + v * LANES, sum[r][v]);
}

/* Sums (36, out, in) of one group of images -> dw (out, 3, 3, in). */
static void weights_of_points(const float *sums, const shape *s, int64_t step, float *dw) {
    for (int64_t out = 0; out < s->out; out++)
        for (int64_t c = 0; c < s->in; c += LANES) {
            floats m[6], half[6 * 3], weights[3];
            EACH(i, 6) {
                EACH(j, 6) m[j] = load(sums + (i * 6 + j) * step + out * s->in + c);
                weight_of_points(m, 1, half + i * 3);
            }
            EACH(j, 3) {
                weight_of_points(half + j, 3, weights);
                EACH(i, 3) store(dw + (out * 9 + i * 3 + j) * s->in + c, weights[i]);
            }
        }
}

/* What a thread needs for the weight's gradient. */
int64_t gradient_scratch_floats(const shape *s) {
    return POINTS * (per_point(DEPTH, s->in) + per_point(DEPTH, s->out) + per_point(s->out, s->in));
}

/* x (images, height, width, in), dy (images, height, width, out) -> dw (out, 3, 3, in).
 * Scratch: parts (groups, out, 3, 3, in) with groups = ceil(images / per_group), and gradient_scratch_floats for
 * each thread; zeros: 6 * in of them. */
void weight_gradient(
    const float *x, const float *dy, float *dw, float *parts, float *scratch, const float *zeros,
    const shape *s, int64_t per_group, int32_t threads) {
    int64_t tiles = tiles_of(s->height) * tiles_of(s->width), groups = (s->images + per_group - 1) / per_group;
    int64_t size = s->out * 9 * s->in, step = per_point(s->out, s->in);
    int64_t x_step = per_point(DEPTH, s->in), dy_step = per_point(DEPTH, s->out);
#pragma omp parallel num_threads(threads)
    {
        float *own_x = scratch + omp_get_thread_num() * gradient_scratch_floats(s);
        float *own_dy = own_x + POINTS * x_step, *sums = own_dy + POINTS * dy_step;
#pragma omp for schedule(static)
        for (int64_t group = 0; group < groups; group++) {
            int64_t first = group * per_group * tiles, end = least((group + 1) * per_group, s->images) * tiles;
            for (int64_t tile = first; tile < end; tile += DEPTH) {
                int64_t count = least(DEPTH, end - tile), next = (tile + DEPTH) * 16;
                map_at_points(x, zeros, s, s->in, tile, count, own_x, x_step);
                gradients_at_points(dy, s, tile, count, own_dy, dy_step);
                for (int64_t p = 0; p < POINTS; p++) {
                    fetch(x + next * s->in, DEPTH * 16 * s->in * sizeof *x, p, POINTS, 0);
                    fetch(dy + next * s->out, DEPTH * 16 * s->out * sizeof *dy, p, POINTS, 0);
                    for (int64_t in = 0; in < s->in; in += BLOCK)
                        for (int64_t out = 0; out < s->out; out += BLOCK) {
                            const float *from = own_x + p * x_step + in, *by = own_dy + p * dy_step + out;
                            float *to = sums + p * step + out * s->in + in;
#define ADD(at, rows) add_products(from, by + at, to + at * s->in, s, count, tile == first, rows)
#ifdef __AVX512F__
                            ADD(0, 16);
#else
                            ADD(0, 6), ADD(6, 5), ADD(11, 5); /* 12 sums at most are registers */
#endif
                        }
                }
            }
            weights_of_points(sums, s, step, parts + group * size);
        }
#pragma omp for schedule(static)
        for (int64_t i = 0; i < size; i += LANES) {
            floats total = load(parts + i);
            for (int64_t group = 1; group < groups; group++)
                total += load(parts + group * size + i);
            store(dw + i, total);
        }
    }
}
