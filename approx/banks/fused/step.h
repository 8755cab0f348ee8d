// One training step of many looped Transformers on a CPU: loss and every gradient, cache-blocked.
//
// A panel is LANES samples of one token: element (row, sample) lies at row * LANES + sample, so
// every loop below runs along samples and a panel of the state is one short contiguous block.  A
// tile is a few groups of LANES samples with all their tokens.  All loops of a tile run forward,
// keeping what the gradient needs, then backward, before the next tile starts: what is kept stays
// in the cache.
//
// One product serves everything: result(row) = sum_k A(row, k) * B(k), LANES columns at once.
//   forward          A = W,          B = a panel
//   gradient of data A = W^T,        B = a panel of gradients
//   gradient of W    A = a panel,    B = the other panel transposed (samples x width)
// Scales and gates (eta) act on the panels going forward.  Their gradients are read off the raw
// gradient of the weights: sum over samples of g * (W z) = rowsum(W * (g z^T)).
//
// NaN and infinity pass through every operation as in torch: compile without -ffinite-math-only.
// The formulas are those of approx/banks/block.py.

#pragma once

#include "lanes.h"

namespace {

enum Place {  // order of the pointers; those of the gradients have the same order
    X, Y, RESULT, LOSS, SCRATCH,
    ETA, EMBED, EMBED_BIAS, READ, READ_BIAS, POSITION, QKV, OUT, UP, UP_BIAS, DOWN, DOWN_BIAS
};

struct Sizes {
    i64 models, batch, tokens, dim, width, heads, hidden, blocks, loops;
    i64 norm, activation, injection;
};

constexpr i64 CACHE = 96 * 1024;  // floats kept by a tile: most of a cache of 512 KiB
constexpr float EPS = 1e-6f;      // as in approx/models/parts.py

i64 whole(i64 count) { return (count + LANES - 1) / LANES * LANES; }  // vectors

struct Pieces {  // hands out consecutive pieces of memory
    float *at;
    float *take(i64 count) {
        float *piece = at;
        at += whole(count);
        return piece;
    }
};

struct Kept {  // what one loop keeps for its gradient, as panels
    float *x, *qkv, *attention, *mixed, *middle, *hidden, *inverse_x, *inverse_middle;
};

struct Block {  // one block's weights, width padded, and the sums of their gradients
    float *qkv, *out, *up, *down, *up_bias, *down_bias;  // (3D, D), (D, D)^T, (H, D), (D, H)^T
    float *qkv_turned, *up_turned;                       // (D, 3D), (D, H)
    const float *out_plain, *down_plain;                 // (D, D), (D, H), not padded
    float *sum_qkv, *sum_out, *sum_up, *sum_down, *sum_up_bias, *sum_down_bias;
};

// sums += scale * raw and dots += colsum(weights * raw), where raw (rows, width) is the product of
// the panels at `left` with the transposed panels at `turned`; of some columns from c on.
template <class V>
INLINE void columns_gradient(
    i64 c, i64 rows, i64 width, i64 panels, const float *left, const float *turned,
    const float *scale, const float *weights, float *sums, float *dots) {
    const V factor = load<V>(scale + c);
    V dot = load<V>(dots + c);
    const Left a = {left, LANES, 1, rows * LANES};
    const Right b = {turned + c, width, width * LANES};
    product<V>(rows, LANES, panels, a, b, [&](i64 row, V raw) INLINED {
        const i64 at = row * width + c;
        store(sums + at, load<V>(sums + at) + raw * factor);
        dot = dot + raw * load<V>(weights + at);
    });
    store(dots + c, dot);
}

__attribute__((noinline)) void weight_gradient(
    i64 rows, i64 width, i64 panels, const float *left, const float *turned,
    const float *scale, const float *weights, float *sums, float *dots) {
    i64 c = 0;
    for (; c + LANES <= width; c += LANES)
        columns_gradient<Lanes>(c, rows, width, panels, left, turned, scale, weights, sums, dots);
    if (c < width)
        columns_gradient<Eight>(c, rows, width, panels, left, turned, scale, weights, sums, dots);
}

// One model at a time: weights in, tiles forward and backward, gradients out.
struct Step {
    const Sizes s;
    const bool training;
    const float *const *in;
    float *const *out;  // gradients
    const i64 D = s.width, H = s.hidden, N = s.tokens, d = s.dim;
    const i64 W = (D + 7) / 8 * 8;  // padded width
    const i64 groups = groups_of_a_tile();
    i64 panels = groups * N;  // of this tile; the last one may have fewer
    i64 model = 0;
    float *kept_at, *blocks_at, *points, *start, *last, *y, *pulled, *values, *slopes, *turned;
    float *grad, *grad_start, *grad_middle, *grad_mixed, *grad_qkv, *grad_hidden, *grad_points;
    float *eta, *embed, *read, *grad_eta, *sum_embed, *sum_read, *sum_read_bias, *sum_position;
    float *ones, *unused, *scores;
    i64 size = 0;  // of the scratch memory, in floats

    Step(const Sizes &sizes, bool train, const float *const *inputs, float *const *gradients,
         float *memory)
        : s(sizes), training(train), in(inputs), out(gradients) {
        Pieces pieces{memory};
        lay_out(pieces);
        size = pieces.at - memory;
    }

    // ---- memory --------------------------------------------------------------------------------
    i64 kept_size(i64 panels) const { return panels * LANES * (6 * D + H + s.heads * N + 2); }
    i64 block_size() const {
        return 2 * (whole(3 * D * W) + whole(D * W) + 2 * whole(H * W) + H * LANES + whole(W)) +
               whole(3 * D * D) + whole(D * H);
    }
    i64 groups_of_a_tile() const {
        const i64 fit = CACHE / (kept_size(N) * (training ? s.loops : 1));
        const i64 most = (s.batch + LANES - 1) / LANES;
        return fit < 1 ? 1 : fit < most ? fit : most;
    }

    void lay_out(Pieces &m) {
        const i64 P = groups * N * LANES;
        kept_at = m.take(kept_size(groups * N) * (training ? s.loops : 1));
        blocks_at = m.take(block_size() * s.blocks);
        eta = m.take(s.loops * 4 * W), embed = m.take(d * W), read = m.take(d * W);
        points = m.take(P * d), start = m.take(P * D), last = m.take(P * D);
        y = m.take(LANES * D), values = m.take(P * H), ones = m.take(W);
        if (!training) return;
        pulled = m.take(LANES * D), slopes = m.take(P * H), turned = m.take(P * W);
        grad = m.take(P * D), grad_start = m.take(P * D), grad_middle = m.take(P * D);
        grad_mixed = m.take(P * D), grad_qkv = m.take(P * 3 * D), grad_hidden = m.take(P * H);
        grad_points = m.take(P * d), grad_eta = m.take(s.loops * 4 * W);
        sum_embed = m.take(d * W), sum_read = m.take(d * W), unused = m.take(W);
        sum_read_bias = m.take(d * LANES), sum_position = m.take(N * D * LANES);
        scores = m.take(N * LANES);
    }

    Kept kept(i64 t) const {
        const i64 P = groups * N * LANES;
        Pieces m{kept_at + (training ? t : 0) * kept_size(groups * N)};
        return {m.take(P * D), m.take(P * 3 * D), m.take(P * s.heads * N), m.take(P * D),
                m.take(P * D), m.take(P * H),     m.take(P),               m.take(P)};
    }

    Block block(i64 t) const {
        const i64 b = t < s.blocks ? t : s.blocks - 1;
        Pieces m{blocks_at + b * block_size()};
        return {m.take(3 * D * W), m.take(D * W),
                m.take(H * W),     m.take(H * W),
                m.take(H * LANES), m.take(W),
                m.take(3 * D * D), m.take(D * H),
                parameter(OUT, D * D, b), parameter(DOWN, D * H, b),
                m.take(3 * D * W), m.take(D * W),
                m.take(H * W),     m.take(H * W),
                m.take(H * LANES), m.take(W)};
    }

    // ---- one model's weights in, its gradients out ---------------------------------------------
    const float *parameter(Place p, i64 count, i64 index = 0) const {  // index: block or loop
        return in[p] + (index * s.models + model) * count;
    }
    float *gradient(Place p, i64 count, i64 index = 0) const {
        return out[p] + (index * s.models + model) * count;
    }
    void pad(const float *from, i64 rows, float *to) const {  // (rows, D) to (rows, W)
        for (i64 r = 0; r < rows; ++r) std::memcpy(to + r * W, from + r * D, D * sizeof(float));
    }
    static void turn(const float *from, i64 rows, i64 columns, float *to, i64 stride) {
        for (i64 r = 0; r < rows; ++r)
            for (i64 c = 0; c < columns; ++c) to[c * stride + r] = from[r * columns + c];
    }
    void turn_and_pad(const float *from, i64 columns, float *to) const {  // (D, columns)
        turn(from, D, columns, to, W);
    }
    void strip(const float *from, i64 rows, float *to) const {
        for (i64 r = 0; r < rows; ++r) std::memcpy(to + r * D, from + r * W, D * sizeof(float));
    }
    void turn_and_strip(const float *from, i64 columns, float *to) const {
        for (i64 r = 0; r < D; ++r)
            for (i64 c = 0; c < columns; ++c) to[r * columns + c] = from[c * W + r];
    }
    static void clear(float *at, i64 count) { std::memset(at, 0, count * sizeof(float)); }

    void load_model() {
        for (i64 b = 0; b < s.blocks; ++b) {
            const Block w = block(b);
            clear(w.qkv, block_size());
            pad(parameter(QKV, 3 * D * D, b), 3 * D, w.qkv);
            turn_and_pad(parameter(OUT, D * D, b), D, w.out);
            pad(parameter(UP, H * D, b), H, w.up);
            turn(parameter(QKV, 3 * D * D, b), 3 * D, D, w.qkv_turned, 3 * D);
            turn(parameter(UP, H * D, b), H, D, w.up_turned, H);
            turn_and_pad(parameter(DOWN, D * H, b), H, w.down);
            std::memcpy(w.up_bias, parameter(UP_BIAS, H, b), H * sizeof(float));
            pad(parameter(DOWN_BIAS, D, b), 1, w.down_bias);
        }
        clear(eta, s.loops * 4 * W), clear(embed, d * W), clear(read, d * W);
        for (i64 t = 0; t < s.loops; ++t) pad(parameter(ETA, 4 * D, t), 4, eta + t * 4 * W);
        turn_and_pad(parameter(EMBED, D * d), d, embed);
        pad(parameter(READ, d * D), d, read);
        for (i64 c = 0; c < W; ++c) ones[c] = 1;
        if (!training) return;
        clear(grad_eta, s.loops * 4 * W), clear(sum_embed, d * W), clear(sum_read, d * W);
        clear(sum_read_bias, d * LANES), clear(sum_position, N * D * LANES), clear(unused, W);
    }

    void store_model() {
        for (i64 b = 0; b < s.blocks; ++b) {
            const Block w = block(b);
            strip(w.sum_qkv, 3 * D, gradient(QKV, 3 * D * D, b));
            turn_and_strip(w.sum_out, D, gradient(OUT, D * D, b));
            strip(w.sum_up, H, gradient(UP, H * D, b));
            turn_and_strip(w.sum_down, H, gradient(DOWN, D * H, b));
            sum_rows(w.sum_up_bias, H, gradient(UP_BIAS, H, b));
            strip(w.sum_down_bias, 1, gradient(DOWN_BIAS, D, b));
        }
        for (i64 t = 0; t < s.loops; ++t) strip(grad_eta + t * 4 * W, 4, gradient(ETA, 4 * D, t));
        turn_and_strip(sum_embed, d, gradient(EMBED, D * d));
        strip(sum_read, d, gradient(READ, d * D));
        sum_rows(sum_read_bias, d, gradient(READ_BIAS, d));
        float *position = in[POSITION] ? gradient(POSITION, D * N) : nullptr;
        for (i64 i = 0; position && i < D * N; ++i)
            position[i] = sum(load(sum_position + (i % N * D + i / N) * LANES));
        for (i64 n = 1; n < N; ++n)
            for (i64 i = 0; i < D * LANES; ++i) sum_position[i] += sum_position[n * D * LANES + i];
        sum_rows(sum_position, D, gradient(EMBED_BIAS, D));
    }
    static void sum_rows(const float *panel, i64 rows, float *to) {
        for (i64 r = 0; r < rows; ++r) to[r] = sum(load(panel + r * LANES));
    }

    // ---- in and out of the loops ---------------------------------------------------------------
    i64 sample(i64 first, i64 p, i64 c) const {  // beyond the batch: its last sample once more
        const i64 b = first + p / N * LANES + c;
        return b < s.batch ? b : s.batch - 1;
    }

    void enter(i64 first) {  // inputs to the first state
        const float *x = in[X] + model * s.batch * N * d, *bias = parameter(EMBED_BIAS, D);
        const float *position = in[POSITION] ? parameter(POSITION, D * N) : nullptr;
        float *state = kept(0).x;
        for (i64 p = 0; p < panels; ++p) {
            float *point = points + p * d * LANES, *to = state + p * D * LANES;
            for (i64 j = 0; j < d; ++j)
                for (i64 c = 0; c < LANES; ++c)
                    point[j * LANES + c] = x[(sample(first, p, c) * N + p % N) * d + j];
            product(D, d, 1, {embed, 1, W, 0}, {point, LANES, 0}, [&](i64 k, Lanes z) {
                const float more = position ? position[k * N + p % N] : 0;
                store(to + k * LANES, z + all(bias[k] + more));
            });
        }
        if (s.injection) std::memcpy(start, state, panels * D * LANES * sizeof(float));
    }

    // Reads the last state out.  Training: starts the gradients and returns the loss.
    double leave(i64 first, double power) {
        const float *bias = parameter(READ_BIAS, d);
        double loss = 0;
        for (i64 p = 0; p < panels; ++p) {
            const float *state = last + p * D * LANES;
            float *found = (training ? grad_points : points) + p * d * LANES;
            product(d, D, 1, {read, W, 1, 0}, {state, LANES, 0}, [&](i64 j, Lanes z) {
                store(found + j * LANES, z + all(bias[j]));
            });
            if (!training) {
                write(first, p, found);
                continue;
            }
            loss += compare(first, p, found, power);
            product(D, d, 1, {read, 1, W, 0}, {found, LANES, 0}, [&](i64 k, Lanes z) {
                store(grad + (p * D + k) * LANES, z);
            });
            transpose(state, D, W, turned + p * W * LANES);
            for (i64 j = 0; j < d * LANES; ++j) sum_read_bias[j] += found[j];
        }
        if (!training) return 0;
        weight_gradient(d, W, panels, grad_points, turned, ones, read, sum_read, unused);
        clear(grad_start, panels * D * LANES);
        return loss;
    }

    void write(i64 first, i64 p, const float *found) const {
        float *to = const_cast<float *>(in[RESULT]) + model * s.batch * N * d;
        for (i64 c = 0; c < LANES && first + p / N * LANES + c < s.batch; ++c)
            for (i64 j = 0; j < d; ++j)
                to[(sample(first, p, c) * N + p % N) * d + j] = found[j * LANES + c];
    }

    // Turns one panel of results g into the gradient of mean |g - f|^power; returns its share.
    double compare(i64 first, i64 p, float *found, double power) const {
        const float *y = in[Y] + model * s.batch * N * d;
        const double share = 1.0 / static_cast<double>(s.batch * N * d);
        double loss = 0;
        for (i64 j = 0; j < d; ++j)
            for (i64 c = 0; c < LANES; ++c) {
                float &value = found[j * LANES + c];
                const double gap = double(value) - y[(sample(first, p, c) * N + p % N) * d + j];
                const double size = std::fabs(gap);
                const double less = power == 1 ? 1 : power == 2 ? size : std::pow(size, power - 1);
                const double slope = share * power * less;
                value = gap > 0 ? slope : gap < 0 ? -slope : gap;  // NaN stays NaN
                if (first + p / N * LANES + c < s.batch)
                    loss += share * less * size;
                else
                    value = 0;
            }
        return loss;
    }

    void enter_gradient() {  // of the embedding, from the gradient of the first state
        for (i64 p = 0; p < panels; ++p) {
            float *g = grad + p * D * LANES, *position = sum_position + p % N * D * LANES;
            const float *more = grad_start + p * D * LANES;
            for (i64 i = 0; i < D * LANES; ++i) position[i] += g[i] += more[i];
            transpose(g, D, W, turned + p * W * LANES);
        }
        weight_gradient(d, W, panels, points, turned, ones, embed, sum_embed, unused);
    }

    // ---- the block -----------------------------------------------------------------------------
    void normalise(const float *x, const float *scale, float *inverse, float *to) const {
        Lanes squares = all(0);
        for (i64 i = 0; i < D * LANES; i += LANES) squares = squares + load(x + i) * load(x + i);
        const Lanes one = s.norm ? inverse_root(squares * (1.0f / D) + all(EPS)) : all(1);
        store(inverse, one);
        for (i64 k = 0; k < D; ++k) store(to + k * LANES, load(x + k * LANES) * one * scale[k]);
    }

    void forward(i64 t) {
        const Kept k = kept(t);
        const Block w = block(t);
        const float *e = eta + t * 4 * W;
        float *next = t + 1 < s.loops ? kept(t + 1).x : last;
        for (i64 p = 0; p < panels; ++p) {
            float *qkv = k.qkv + p * 3 * D * LANES;
            normalise(k.x + p * D * LANES, e, k.inverse_x + p * LANES, y);
            product(3 * D, D, 1, {w.qkv_turned, 1, 3 * D, 0}, {y, LANES, 0}, [&](i64 j, Lanes z) {
                store(qkv + j * LANES, z);
            });
        }
        for (i64 g = 0; g < panels; g += N) attend(k, g);
        for (i64 p = 0; p < panels; ++p) forward_panel(k, w, e, p, next + p * D * LANES);
        if (s.injection && t + 1 < s.loops)
            for (i64 i = 0; i < panels * D * LANES; ++i) next[i] += start[i];
    }

    void forward_panel(const Kept &k, const Block &w, const float *e, i64 p, float *next) {
        const i64 at = p * D * LANES;
        const float *x = k.x + at, *mixed = k.mixed + at, *gate = e + W, *gate_ff = e + 3 * W;
        float *middle = k.middle + at, *hidden = k.hidden + p * H * LANES;
        const bool relu = s.activation == RELU;
        product(D, D, 1, {w.out, 1, W, 0}, {mixed, LANES, 0}, [&](i64 j, Lanes z) {
            store(middle + j * LANES, load(x + j * LANES) + z * gate[j]);
        });
        normalise(middle, e + 2 * W, k.inverse_middle + p * LANES, y);
        product(H, D, 1, {w.up_turned, 1, H, 0}, {y, LANES, 0}, [&](i64 j, Lanes z) {
            const Lanes biased = z + all(w.up_bias[j]);
            store(hidden + j * LANES, relu ? larger(biased, all(0)) : biased);
        });
        const float *z = relu ? hidden : activated(hidden);
        product(D, H, 1, {w.down, 1, W, 0}, {z, LANES, 0}, [&](i64 j, Lanes read) {
            const Lanes change = (read + all(w.down_bias[j])) * gate_ff[j];
            store(next + j * LANES, load(middle + j * LANES) + change);
        });
    }

    const float *activated(const float *hidden) const {  // one panel
        Lanes slope;
        for (i64 i = 0; i < H * LANES; i += LANES)
            store(values + i, activate(Activation(s.activation), load(hidden + i), &slope));
        return values;
    }

    void attend(const Kept &k, i64 first) const {  // the N panels of one group
        const i64 size = D / s.heads * LANES, step = 3 * D * LANES;
        const float scale = 1 / std::sqrt(float(D / s.heads)), *qkv = k.qkv + first * step;
        for (i64 h = 0; h < s.heads; ++h)
            for (i64 n = 0; n < N; ++n) {
                const float *q = qkv + n * step + h * size;
                const float *keys = qkv + D * LANES + h * size, *v = keys + D * LANES;
                float *weight = k.attention + ((first + n) * s.heads + h) * N * LANES;
                float *mixed = k.mixed + (first + n) * D * LANES + h * size;
                Lanes most = all(-INFINITY), total = all(0);
                for (i64 m = 0; m < N; ++m) {
                    Lanes score = all(0);
                    for (i64 i = 0; i < size; i += LANES)
                        score = score + load(q + i) * load(keys + m * step + i);
                    store(weight + m * LANES, score * scale);
                    most = larger(most, score * scale);
                }
                for (i64 m = 0; m < N; ++m) {
                    const Lanes grown = exp(load(weight + m * LANES) - most);
                    store(weight + m * LANES, grown);
                    total = total + grown;
                }
                const Lanes one = all(1) / total;
                for (i64 i = 0; i < N * LANES; i += LANES)
                    store(weight + i, load(weight + i) * one);
                for (i64 i = 0; i < size; i += LANES) {
                    Lanes mix = all(0);
                    for (i64 m = 0; m < N; ++m)
                        mix = mix + load(weight + m * LANES) * load(v + m * step + i);
                    store(mixed + i, mix);
                }
            }
    }

    // ---- its gradient --------------------------------------------------------------------------
    void backward(i64 t) {
        const Kept k = kept(t);
        const Block w = block(t);
        const float *e = eta + t * 4 * W;
        float *ge = grad_eta + t * 4 * W;
        backward_feed_forward(k, w, e, ge);
        for (i64 p = 0; p < panels; ++p) {
            float *to = grad_mixed + p * D * LANES;
            back(grad_middle + p * D * LANES, e + W, D, w.out_plain, p, [&](i64 j, Lanes z) {
                store(to + j * LANES, z);
            });
        }
        weight_gradient(D, W, panels, k.mixed, turned, e + W, w.out, w.sum_out, ge + W);
        for (i64 g = 0; g < panels; g += N) attend_backward(k, g);
        for (i64 p = 0; p < panels; ++p)
            pull(3 * D, w.qkv, e, grad_qkv, k.x, k.inverse_x, grad_middle, p, grad);
        weight_gradient(3 * D, W, panels, grad_qkv, turned, e, w.qkv, w.sum_qkv, ge);
        if (s.injection && t)
            for (i64 i = 0; i < panels * D * LANES; ++i) grad_start[i] += grad[i];
    }

    void backward_feed_forward(const Kept &k, const Block &w, const float *e, float *ge) {
        const bool relu = s.activation == RELU;
        const float *scale = e + 2 * W, *gate = e + 3 * W;
        if (!relu) activate_all(k.hidden);
        for (i64 p = 0; p < panels; ++p) {
            float *to = grad_hidden + p * H * LANES;
            const float *value = k.hidden + p * H * LANES, *slope = slopes + p * H * LANES;
            back(grad + p * D * LANES, gate, H, w.down_plain, p, [&](i64 j, Lanes z) {
                const i64 i = j * LANES;
                const Lanes g = relu ? where_positive(load(value + i), z) : z * load(slope + i);
                store(to + i, g);
                store(w.sum_up_bias + i, load(w.sum_up_bias + i) + g);
            });
        }
        const float *z = relu ? k.hidden : values;
        weight_gradient(H, W, panels, z, turned, gate, w.down, w.sum_down, ge + 3 * W);
        bias_gradient(gate, w.down_bias, w.sum_down_bias, ge + 3 * W);
        for (i64 p = 0; p < panels; ++p)
            pull(H, w.up, scale, grad_hidden, k.middle, k.inverse_middle, grad, p, grad_middle);
        weight_gradient(H, W, panels, grad_hidden, turned, scale, w.up, w.sum_up, ge + 2 * W);
    }

    void activate_all(const float *hidden) {
        for (i64 i = 0; i < panels * H * LANES; i += LANES) {
            Lanes slope;
            store(values + i, activate(Activation(s.activation), load(hidden + i), &slope));
            store(slopes + i, slope);
        }
    }

    // One panel g back through gate * (weights @ z): use(row, gradient of z); turned = g^T.
    template <class Use>
    INLINE void back(const float *g, const float *gate, i64 rows, const float *weights, i64 p,
                     const Use &use) {
        transpose(g, D, W, turned + p * W * LANES);
        for (i64 k = 0; k < D; ++k) store(y + k * LANES, load(g + k * LANES) * gate[k]);
        product(rows, D, 1, {weights, 1, rows, 0}, {y, LANES, 0}, use);
    }

    void bias_gradient(const float *gate, const float *bias, float *sums, float *dots) const {
        for (i64 c = 0; c < W; c += 8) {
            Eight raw{};
            for (i64 i = 0; i < panels * LANES; ++i) raw = raw + load<Eight>(turned + i * W + c);
            store(sums + c, load<Eight>(sums + c) + raw * load<Eight>(gate + c));
            store(dots + c, load<Eight>(dots + c) + raw * load<Eight>(bias + c));
        }
    }

    // Panel p of g back through weights @ (scale * x * inverse), plus `before`; turned = unit^T.
    void pull(i64 rows, const float *weights, const float *scale, const float *g, const float *x,
              const float *inverse, const float *before, i64 p, float *to) const {
        const i64 at = p * D * LANES;
        const Lanes one = load(inverse + p * LANES);
        for (i64 i = 0; i < D * LANES; i += LANES) store(y + i, load(x + at + i) * one);
        transpose(y, D, W, turned + p * W * LANES);
        Lanes dot = all(0);
        const Right panel = {g + p * rows * LANES, LANES, 0};
        product(D, rows, 1, {weights, 1, W, 0}, panel, [&](i64 j, Lanes z) {
            store(pulled + j * LANES, z * scale[j]);
            dot = dot + z * scale[j] * load(y + j * LANES);
        });
        const Lanes mean = s.norm ? dot * (1.0f / D) : all(0);
        for (i64 i = 0; i < D * LANES; i += LANES) {
            const Lanes change = (load(pulled + i) - load(y + i) * mean) * one;
            store(to + at + i, load(before + at + i) + change);
        }
    }

    void attend_backward(const Kept &k, i64 first) const {
        const i64 size = D / s.heads * LANES, step = 3 * D * LANES, far = D * LANES;
        const float scale = 1 / std::sqrt(float(D / s.heads));
        clear(grad_qkv + first * step, N * step);
        for (i64 h = 0; h < s.heads; ++h)
            for (i64 n = 0; n < N; ++n) {
                const float *keys = k.qkv + first * step + D * LANES + h * size;
                const float *q = k.qkv + (first + n) * step + h * size;
                const float *weight = k.attention + ((first + n) * s.heads + h) * N * LANES;
                const float *g = grad_mixed + (first + n) * D * LANES + h * size;
                float *grad_keys = grad_qkv + first * step + D * LANES + h * size;
                float *grad_q = grad_qkv + (first + n) * step + h * size;
                Lanes dot = all(0);
                for (i64 m = 0; m < N; ++m) {
                    Lanes one = all(0);
                    for (i64 i = 0; i < size; i += LANES)
                        one = one + load(g + i) * load(keys + far + m * step + i);
                    store(scores + m * LANES, one);
                    dot = dot + one * load(weight + m * LANES);
                }
                for (i64 m = 0; m < N; ++m) {
                    const Lanes a = load(weight + m * LANES);
                    const Lanes score = a * (load(scores + m * LANES) - dot) * scale;
                    for (i64 i = 0; i < size; i += LANES) {
                        float *to = grad_keys + m * step + i;
                        store(grad_q + i, load(grad_q + i) + score * load(keys + m * step + i));
                        store(to, load(to) + score * load(q + i));
                        store(to + far, load(to + far) + a * load(g + i));
                    }
                }
            }
    }

    // ---- everything ----------------------------------------------------------------------------
    double run(double power) {  // one model
        load_model();
        double loss = 0;
        for (i64 first = 0; first < s.batch; first += groups * LANES) {
            const i64 left = (s.batch - first + LANES - 1) / LANES;
            panels = (left < groups ? left : groups) * N;
            enter(first);
            for (i64 t = 0; t < s.loops; ++t) forward(t);
            loss += leave(first, power);
            if (!training) continue;
            for (i64 t = s.loops; t-- > 0;) backward(t);
            enter_gradient();
        }
        if (training) store_model();
        return loss;
    }
};

}  // namespace
