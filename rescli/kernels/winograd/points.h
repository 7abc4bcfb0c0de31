/* What native.c computes with: vectors, and how pixels and weights become values at the six points of one dimension,
 * and values pixels and weights again. */
#pragma once
#include <stdint.h>
#include <string.h>
#if !defined __AVX2__ || !defined __FMA__
#error the processor has no AVX2
#else
#include <immintrin.h>
#include <omp.h>
#endif

#ifdef __AVX512F__
#define LANES 16
#define TILES 12 /* at once: with BLOCK channels as many sums as registers hold */
#else
#define LANES 8
#define TILES 6
#endif
#define BLOCK 16 /* channels at once */
#define VECTORS (BLOCK / LANES)
#define POINTS 36
#define GROUP 24 /* tiles of a group: what is made of them fits the L2 cache; a multiple of TILES */
#define DEPTH 32 /* the same for the weight's gradient */
#define A 0.75f
#define B 1.5f

#define INLINE static inline __attribute__((always_inline))
#define EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef double doubles __attribute__((vector_size(8 * LANES)));

typedef struct {
    int64_t images, height, width, in, out;
} shape;

INLINE floats load(const float *from) {
    floats v;
    memcpy(&v, from, sizeof v);
    return v;
}

INLINE void store(float *to, floats v) { memcpy(to, &v, sizeof v); }

/* a * b + c in one rounding. */
#ifdef __AVX512F__
INLINE floats all(float x) { return (floats)_mm512_set1_ps(x); }
INLINE floats fused(floats a, floats b, floats c) {
    return (floats)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
#else
INLINE floats all(float x) { return (floats)_mm256_set1_ps(x); }
INLINE floats fused(floats a, floats b, floats c) {
    return (floats)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
#endif

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* Of one dimension: six pixels of the input, step apart, at the six points. */
INLINE void input_at_points(const floats *d, int step, floats *to) {
    floats d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step], d5 = d[5 * step];
    floats even_a = fused(all(-B * B), d2, d4), odd_a = all(A) * fused(all(-B * B), d1, d3);
    floats even_b = fused(all(-A * A), d2, d4), odd_b = all(B) * fused(all(-A * A), d1, d3);
    to[0] = fused(all(A * A * B * B), d0, fused(all(-A * A - B * B), d2, d4));
    to[1] = even_a + odd_a;
    to[2] = even_a - odd_a;
    to[3] = even_b + odd_b;
    to[4] = even_b - odd_b;
    to[5] = fused(all(A * A * B * B), d1, fused(all(-A * A - B * B), d3, d5));
}

/* Six points to four pixels of the output. */
INLINE void output_of_points(const floats *m, int step, floats *to) {
    floats m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    floats even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
    to[0] = m[0] + (even_a + even_b);
    to[1] = fused(all(A), odd_a, all(B) * odd_b);
    to[2] = fused(all(A * A), even_a, all(B * B) * even_b);
    to[3] = fused(all(A * A * A), odd_a, fused(all(B * B * B), odd_b, m[5 * step]));
}

/* Three weights at the six points. */
INLINE void weight_at_points(const doubles *g, int step, doubles *to) {
    const double a = A, b = B, zero = 1 / (a * a * b * b);
    const double at_a = 1 / (2 * a * a * (a * a - b * b)), at_b = 1 / (2 * b * b * (b * b - a * a));
    doubles g1 = g[step], g2 = g[2 * step], even_a = g[0] + a * a * g2, even_b = g[0] + b * b * g2;
    to[0] = zero * g[0];
    to[1] = at_a * (even_a + a * g1);
    to[2] = at_a * (even_a - a * g1);
    to[3] = at_b * (even_b + b * g1);
    to[4] = at_b * (even_b - b * g1);
    to[5] = g2;
}

/* Four pixels of the output's gradient at the six points, but for the divisions: weight_of_points has them. */
INLINE void gradient_at_points(const floats *g, int step, floats *to) {
    floats g0 = g[0], g1 = g[step], g2 = g[2 * step], g3 = g[3 * step];
    floats even_a = fused(all(A * A), g2, g0), odd_a = all(A) * fused(all(A * A), g3, g1);
    floats even_b = fused(all(B * B), g2, g0), odd_b = all(B) * fused(all(B * B), g3, g1);
    to[0] = g0;
    to[1] = even_a + odd_a;
    to[2] = even_a - odd_a;
    to[3] = even_b + odd_b;
    to[4] = even_b - odd_b;
    to[5] = g3;
}

/* Six points to the gradient of three weights. */
INLINE void weight_of_points(const floats *m, int step, floats *to) {
    const float zero = 1 / (A * A * B * B);
    const float at_a = 1 / (2 * A * A * (A * A - B * B)), at_b = 1 / (2 * B * B * (B * B - A * A));
    floats m1 = m[step], m2 = m[2 * step], m3 = m[3 * step], m4 = m[4 * step];
    floats even_a = m1 + m2, odd_a = m1 - m2, even_b = m3 + m4, odd_b = m3 - m4;
    to[0] = fused(all(zero), m[0], fused(all(at_a), even_a, all(at_b) * even_b));
    to[1] = fused(all(at_a * A), odd_a, all(at_b * B) * odd_b);
    to[2] = fused(all(at_a * A * A), even_a, fused(all(at_b * B * B), even_b, m[5 * step]));
}
