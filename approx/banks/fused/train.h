// Many training steps of many models: eta and its gradient, clipping and Adam around every step.
//
// One model after another makes all its steps, so that what it is stays in the cache.  The formulas
// are those of approx/banks/bank.py (bank_eta) and approx/fit/training.py.

#pragma once

#include "adam.h"
#include "step.h"

namespace {

enum More {  // where a model's parameters of eta lie, after those that Step reads
    ETA_ROW = DOWN_BIAS + 1, CLOCK_IN, CLOCK_BIAS, CLOCK_OUT, PARAMETERS_END
};

struct Plan {
    i64 models, steps, parameters;              // P numbers a model
    i64 rows, frequencies, clock, activation;   // of eta
    i64 places[PARAMETERS_END];                 // of each parameter in a model's numbers, or -1
};

struct Numbers {
    double power, beta1, beta2, clip, gate;
};

struct Bank {                      // memory of the caller
    float *flat, *mean, *square;   // (models, P)
    i64 *diverged_at;              // (models), -1 until then
    const float *x, *y;            // points and values: of model m's step k
    const i64 *x_rows, *y_rows;    // rows x_rows[m] + k and y_rows[m] + k
    const float *table;            // (steps, 4): share of the rate, two bias corrections, number
    const float *rates;            // (models)
    const float *wave;             // (frequencies, loops)
    float *memory;
};

// eta (loops, 4, D) of one model: learned rows, plus a network of the wave where there is one.
struct Eta {
    const Plan &plan;
    const float gate;
    const i64 loops, D, row = 4 * D, padded = whole(row), times = whole(loops);
    float *eta, *grad, *wave, *turned, *hidden, *slope, *pulled, *out, *grad_out;

    Eta(const Plan &p, float g, const Sizes &s, Pieces &m)
        : plan(p), gate(g), loops(s.loops), D(s.width) {
        eta = m.take(loops * row + LANES), grad = m.take(loops * row + LANES);
        wave = m.take(p.frequencies * times), turned = m.take(row * times);
        hidden = m.take(p.clock * times), slope = m.take(p.clock * times);
        pulled = m.take(p.clock * times);
        out = m.take(p.clock * padded), grad_out = m.take(p.clock * padded);
    }

    void set(const float *waves) {  // (frequencies, loops), once
        for (i64 f = 0; f < plan.frequencies; ++f)
            std::memcpy(wave + f * times, waves + f * loops, loops * sizeof(float));
    }
    float factor(i64 j) const { return j / D % 2 ? gate : 1; }

    void forward(const float *flat) {
        const float *rows = flat + plan.places[ETA_ROW];
        for (i64 t = 0; t < loops; ++t)
            std::memcpy(eta + t * row, rows + (t < plan.rows ? t : plan.rows - 1) * row,
                        row * sizeof(float));
        if (plan.clock) clock(flat);
        for (i64 t = 0; t < loops; ++t)
            for (i64 j = 0; j < row; ++j) eta[t * row + j] *= factor(j);
    }

    void clock(const float *flat) {
        const i64 C = plan.clock, F = plan.frequencies;
        const float *in = flat + plan.places[CLOCK_IN], *bias = flat + plan.places[CLOCK_BIAS];
        const float *weights = flat + plan.places[CLOCK_OUT];
        for (i64 t = 0; t < times; t += LANES)
            product(C, F, 1, {in, F, 1, 0}, {wave + t, times, 0}, [&](i64 c, Lanes z) {
                z = z + all(bias[c]);
                Lanes steep = where_positive(z, all(1));
                const bool relu = plan.activation == RELU;
                z = relu ? larger(z, all(0)) : activate(Activation(plan.activation), z, &steep);
                store(hidden + c * times + t, z), store(slope + c * times + t, steep);
            });
        std::memset(out, 0, C * padded * sizeof(float));
        for (i64 j = 0; j < row; ++j)
            for (i64 c = 0; c < C; ++c) out[c * padded + j] = weights[j * C + c];
        for (i64 t = 0; t < loops; ++t)  // what reaches into the next row adds zeros to it
            for (i64 j = 0; j < row; j += LANES) {
                Lanes sum = load(eta + t * row + j);
                for (i64 c = 0; c < C; ++c)
                    sum = sum + load(out + c * padded + j) * hidden[c * times + t];
                store(eta + t * row + j, sum);
            }
    }

    // From the gradient of eta to those of its parameters, at their places in `to`.
    void backward(float *to) {
        for (i64 t = 0; t < loops; ++t)
            for (i64 j = 0; j < row; ++j) grad[t * row + j] *= factor(j);
        float *rows = to + plan.places[ETA_ROW];
        std::memset(rows, 0, plan.rows * row * sizeof(float));
        for (i64 t = 0; t < loops; ++t)
            for (i64 j = 0; j < row; ++j)
                rows[(t < plan.rows ? t : plan.rows - 1) * row + j] += grad[t * row + j];
        if (plan.clock) clock_backward(to);
    }

    void clock_backward(float *to) {
        const i64 C = plan.clock, F = plan.frequencies;
        std::memset(turned, 0, row * times * sizeof(float));
        for (i64 t = 0; t < loops; ++t)
            for (i64 j = 0; j < row; ++j) turned[j * times + t] = grad[t * row + j];
        for (i64 t = 0; t < times; t += LANES)
            product(C, row, 1, {out, padded, 1, 0}, {turned + t, times, 0}, [&](i64 c, Lanes z) {
                store(pulled + c * times + t, z * load(slope + c * times + t));
            });
        for (i64 j = 0; j < row; j += LANES)
            product(C, loops, 1, {hidden, times, 1, 0}, {grad + j, row, 0}, [&](i64 c, Lanes z) {
                store(grad_out + c * padded + j, z);
            });
        float *in = to + plan.places[CLOCK_IN], *bias = to + plan.places[CLOCK_BIAS];
        float *weights = to + plan.places[CLOCK_OUT];
        for (i64 j = 0; j < row; ++j)
            for (i64 c = 0; c < C; ++c) weights[j * C + c] = grad_out[c * padded + j];
        for (i64 c = 0; c < C; ++c) {
            bias[c] = dot(pulled + c * times, nullptr);
            for (i64 f = 0; f < F; ++f) in[c * F + f] = dot(pulled + c * times, wave + f * times);
        }
    }

    float dot(const float *one, const float *other) const {  // over the loops; padding holds zeros
        Lanes total = all(0);
        for (i64 t = 0; t < times; t += LANES)
            total = total + (other ? load(one + t) * load(other + t) : load(one + t));
        return sum(total);
    }
};

struct Trainer {
    const Plan plan;
    const Numbers numbers;
    const Bank bank;
    Sizes s;
    const float *in[PARAMETERS_END] = {};
    float *out[PARAMETERS_END] = {};
    Pieces pieces;
    Eta eta;
    float *grad;
    Step step;
    i64 size;

    Trainer(const Sizes &sizes, const Plan &p, const Numbers &n, const Bank &b, float *memory)
        : plan(p), numbers(n), bank(b), s(sizes), pieces{memory},
          eta(plan, static_cast<float>(n.gate), s, pieces),
          grad(pieces.take(p.parameters)), step(s, true, in, out, pieces.at),
          size(pieces.at - memory + step.size) {}

    void run() {
        std::memset(eta.eta, 0, (pieces.at - eta.eta) * sizeof(float));
        eta.set(bank.wave);
        out[ETA] = eta.grad, in[ETA] = eta.eta;
        for (i64 m = 0; m < plan.models; ++m)
            for (i64 k = 0; k < plan.steps && bank.diverged_at[m] < 0; ++k) learn(m, k);
    }

    void learn(i64 m, i64 k) {
        const i64 P = plan.parameters, entries = s.batch * s.tokens * s.dim;
        float *flat = bank.flat + m * P;
        for (i64 p = EMBED; p <= DOWN_BIAS; ++p)
            if (plan.places[p] >= 0) in[p] = flat + plan.places[p], out[p] = grad + plan.places[p];
        in[X] = bank.x + (bank.x_rows[m] + k) * entries;
        in[Y] = bank.y + (bank.y_rows[m] + k) * entries;
        eta.forward(flat);
        const float loss = static_cast<float>(step.run(numbers.power));
        eta.backward(grad);
        const float size = norm(), *row = bank.table + 4 * k;
        if (!std::isfinite(size) || !std::isfinite(loss)) {
            bank.diverged_at[m] = static_cast<i64>(row[3]);
            return;
        }
        const float share = static_cast<float>(numbers.clip) / (size + 1e-12f);
        const Adam adam{float(numbers.beta1), float(numbers.beta2), std::sqrt(row[2])};
        adam.update(P, share < 1 ? share : 1, bank.rates[m] * (row[0] / row[1]), flat,
                    bank.mean + m * P, bank.square + m * P, grad);
    }

    float norm() const {  // what was taken is a multiple of LANES, with zeros at its end
        Lanes total = all(0);
        for (i64 i = 0; i < plan.parameters; i += LANES)
            total = total + load(grad + i) * load(grad + i);
        return std::sqrt(sum(total));
    }
};

}  // namespace
