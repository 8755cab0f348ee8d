// Adam in one pass over memory; the formulas are those of approx/banks/adam.py.

#pragma once

#include <cmath>
#include <cstdint>

namespace {

struct Adam {
    float beta1, beta2, correction;  // the root of the second bias correction

    // One model: flat, mean, square, grad have `count` numbers.  A share of 0 freezes.
    void update(
        std::int64_t count, float share, float rate, float *__restrict flat, float *__restrict mean,
        float *__restrict square, const float *__restrict grad) const {
        const float root = 1 / correction;
        const bool alive = share > 0;
        for (std::int64_t i = 0; i < count; ++i) {
            const float g = alive ? grad[i] * share : 0;  // whatever grad holds
            mean[i] += (1 - beta1) * (g - mean[i]);
            square[i] = beta2 * square[i] + (1 - beta2) * g * g;
            const float step = mean[i] / (std::sqrt(square[i]) * root + 1e-8f);
            flat[i] = alive ? flat[i] - rate * step : flat[i];
        }
    }
};

}  // namespace
