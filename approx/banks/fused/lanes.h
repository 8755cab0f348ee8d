// A row of samples as two vectors, the one matrix product, and the transposition of a panel.
//
// Plain members instead of arrays, and lists instead of loops over rows, so that the compiler keeps
// every running sum in a register.  NaN and infinity pass through every operation as in torch; that
// needs a compiler without -ffinite-math-only.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

namespace {

#if defined(__AVX__)
constexpr int VECTOR = 8;
#else
constexpr int VECTOR = 4;
#endif
constexpr int LANES = 2 * VECTOR;
constexpr int ROWS = 6;  // 12 sums, two vectors and one number: what 16 registers hold
#if defined(__AVX512VL__)
constexpr int ALONE = 8;  // 32 registers; but more than 8 rows are faster in sixes, as measured
#else
constexpr int ALONE = ROWS;
#endif

#define INLINED __attribute__((always_inline))
#define INLINE inline INLINED

using i64 = std::int64_t;
using Vec = float __attribute__((vector_size(VECTOR * 4)));
using Int = std::int32_t __attribute__((vector_size(VECTOR * 4)));
using Eight = float __attribute__((vector_size(32)));

// ---- arithmetic --------------------------------------------------------------------------------

struct Lanes {
    Vec a, b;
};

template <class V>
INLINE V load(const float *p) {
    V x;
    std::memcpy(&x, p, sizeof(x));
    return x;
}
template <>
INLINE Lanes load<Lanes>(const float *p) {
    return {load<Vec>(p), load<Vec>(p + VECTOR)};
}
INLINE Lanes load(const float *p) { return load<Lanes>(p); }
template <class V>
INLINE void store(float *p, V x) {
    std::memcpy(p, &x, sizeof(x));
}
template <>
INLINE void store(float *p, Lanes x) {
    store(p, x.a), store(p + VECTOR, x.b);
}
INLINE Lanes all(float x) { return {Vec{} + x, Vec{} + x}; }
INLINE Lanes operator+(Lanes x, Lanes y) { return {x.a + y.a, x.b + y.b}; }
INLINE Lanes operator-(Lanes x, Lanes y) { return {x.a - y.a, x.b - y.b}; }
INLINE Lanes operator*(Lanes x, Lanes y) { return {x.a * y.a, x.b * y.b}; }
INLINE Lanes operator/(Lanes x, Lanes y) { return {x.a / y.a, x.b / y.b}; }
INLINE Lanes operator*(Lanes x, float y) { return {x.a * y, x.b * y}; }

// NaN in x stays NaN in both.
INLINE Vec larger(Vec x, Vec y) { return x < y ? y : x; }
INLINE Vec smaller(Vec x, Vec y) { return x > y ? y : x; }
INLINE Lanes larger(Lanes x, Lanes y) { return {larger(x.a, y.a), larger(x.b, y.b)}; }
INLINE Lanes where_positive(Lanes s, Lanes x) {  // s > 0 ? x : 0
    return {s.a > 0.0f ? x.a : Vec{}, s.b > 0.0f ? x.b : Vec{}};
}

INLINE float sum(Lanes x) {
    const Vec both = x.a + x.b;
    float total = 0;
    for (int i = 0; i < VECTOR; ++i) total += both[i];
    return total;
}

INLINE Vec inverse_root(Vec x) {
    Vec root;
    for (int i = 0; i < VECTOR; ++i) root[i] = std::sqrt(x[i]);
    return 1.0f / root;
}
INLINE Lanes inverse_root(Lanes x) { return {inverse_root(x.a), inverse_root(x.b)}; }

// About 1e-7 relative (the polynomial of Cephes' expf); clamped where float32 ends.
INLINE Vec exp(Vec x) {
    x = smaller(larger(x, Vec{} - 87.3f), Vec{} + 88.3f);
    const Vec round = Vec{} + 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    const Vec n = (x * 1.44269504f + round) - round;
    const Vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Vec p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const Int bits = (__builtin_convertvector(n, Int) + 127) << 23;
    Vec power;
    std::memcpy(&power, &bits, sizeof(Vec));
    return p * power;
}
INLINE Lanes exp(Lanes x) { return {exp(x.a), exp(x.b)}; }

// 1.5e-7 absolute (Abramowitz & Stegun 7.1.26); grown = exp(-x^2).
INLINE Vec erf(Vec x, Vec grown) {
    const Vec size = larger(x, -x), t = 1.0f / (1.0f + size * 0.3275911f);
    Vec p = t * 1.061405429f - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    const Vec y = 1.0f - p * t * grown;
    return x < 0.0f ? -y : y;
}

enum Activation { RELU, GELU, SILU };

// act(s), with its derivative at *slope; relu is cheaper done by hand.
INLINE Lanes activate(Activation kind, Lanes s, Lanes *slope) {
    if (kind == SILU) {
        const Lanes sigmoid = all(1) / (all(1) + exp(s * -1.0f));
        *slope = sigmoid * (all(1) + s * (all(1) - sigmoid));
        return s * sigmoid;
    }
    const Lanes grown = exp(s * s * -0.5f), x = s * 0.70710678f;
    const Lanes odd = {erf(x.a, grown.a), erf(x.b, grown.b)};
    const Lanes cdf = (all(1) + odd) * 0.5f;
    *slope = cdf + s * grown * 0.39894228f;
    return s * cdf;
}

// ---- the product -------------------------------------------------------------------------------

struct Left {  // A(panel, row, k), a number each
    const float *at;
    i64 row, k, panel;
};
struct Right {  // B(panel, k), LANES or eight numbers each
    const float *at;
    i64 k, panel;
};

template <class V, int R>
struct Sums {
    V first{};
    Sums<V, R - 1> rest;
};
template <class V>
struct Sums<V, 0> {};

template <class V, int R>
INLINE void add(Sums<V, R> &sums, V column, const float *left, i64 row) {
    if constexpr (R > 0) {
        sums.first = sums.first + column * left[0];
        add(sums.rest, column, left + row, row);
    }
}
template <class V, int R, class Use>
INLINE void finish(const Sums<V, R> &sums, i64 row, const Use &use) {
    if constexpr (R > 0) {
        use(row, sums.first);
        finish(sums.rest, row + 1, use);
    }
}

template <class V, int R, class Use>
INLINE void product_rows(Left a, Right b, i64 first, i64 depth, i64 panels, const Use &use) {
    Sums<V, R> sums;
    for (i64 p = 0; p < panels; ++p) {
        const float *left = a.at + first * a.row + p * a.panel, *right = b.at + p * b.panel;
        for (i64 k = 0; k < depth; ++k, left += a.k, right += b.k)
            add(sums, load<V>(right), left, a.row);
    }
    finish(sums, first, use);
}

template <class V, int R, class Use>
INLINE void product_some(
    i64 rows, Left a, Right b, i64 first, i64 depth, i64 panels, const Use &use) {
    if (rows == R) return product_rows<V, R>(a, b, first, depth, panels, use);
    if constexpr (R > 1) product_some<V, R - 1>(rows, a, b, first, depth, panels, use);
}

// use(row, sum over panels and k < depth of A(row, k) * B(k)) for every row, in even blocks.
template <class V = Lanes, class Use>
INLINE void product(i64 rows, i64 depth, i64 panels, Left a, Right b, const Use &use) {
    constexpr i64 half = sizeof(Lanes) / sizeof(V), most = half * ALONE;
    const i64 size = rows <= most ? most : half * ROWS;
    const i64 blocks = (rows + size - 1) / size, fewer = rows / blocks, more = rows % blocks;
    for (i64 i = 0, first = 0; i < blocks; ++i) {
        const i64 some = fewer + (i < more);
        product_some<V, most>(some, a, b, first, depth, panels, use);
        first += some;
    }
}

// ---- transposition -----------------------------------------------------------------------------

#define SHUFFLE __builtin_shufflevector

// Four rows of eight, transposed by halves: columns 0 and 4, 1 and 5, 2 and 6, 3 and 7.
struct Quarters {
    Eight a, b, c, d;
};
INLINE Quarters quarters(Eight p, Eight q, Eight r, Eight s) {
    const Eight pq = SHUFFLE(p, q, 0, 8, 1, 9, 4, 12, 5, 13);
    const Eight rs = SHUFFLE(r, s, 0, 8, 1, 9, 4, 12, 5, 13);
    const Eight pq_high = SHUFFLE(p, q, 2, 10, 3, 11, 6, 14, 7, 15);
    const Eight rs_high = SHUFFLE(r, s, 2, 10, 3, 11, 6, 14, 7, 15);
    return {SHUFFLE(pq, rs, 0, 1, 8, 9, 4, 5, 12, 13), SHUFFLE(pq, rs, 2, 3, 10, 11, 6, 7, 14, 15),
            SHUFFLE(pq_high, rs_high, 0, 1, 8, 9, 4, 5, 12, 13),
            SHUFFLE(pq_high, rs_high, 2, 3, 10, 11, 6, 7, 14, 15)};
}
INLINE void store_halves(float *out, i64 stride, Eight x, Eight y) {
    store(out, SHUFFLE(x, y, 0, 1, 2, 3, 8, 9, 10, 11));
    store(out + 4 * stride, SHUFFLE(x, y, 4, 5, 6, 7, 12, 13, 14, 15));
}

// A panel (rows, LANES) to (LANES, padded), zeros in the padding; padded is a multiple of 8.
INLINE void transpose(const float *panel, i64 rows, i64 padded, float *out) {
    for (i64 r = 0; r < padded; r += 8)
        for (i64 half = 0; half < LANES; half += 8) {
            const auto row = [&](i64 i) {
                return r + i < rows ? load<Eight>(panel + (r + i) * LANES + half) : Eight{};
            };
            const Quarters x = quarters(row(0), row(1), row(2), row(3));
            const Quarters y = quarters(row(4), row(5), row(6), row(7));
            float *to = out + half * padded + r;
            store_halves(to, padded, x.a, y.a);
            store_halves(to + padded, padded, x.b, y.b);
            store_halves(to + 2 * padded, padded, x.c, y.c);
            store_halves(to + 3 * padded, padded, x.d, y.d);
        }
}

}  // namespace
