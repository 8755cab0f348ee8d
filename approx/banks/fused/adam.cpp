// Adam in one pass over memory; the formulas are those of approx/adam.py.

#include <cmath>
#include <cstdint>

// flat, mean, square, grad: (models, parameters); share, rate: (models).  A share of 0 freezes.
extern "C" void looprate_adam(
    std::int64_t models, std::int64_t parameters, float beta1, float beta2, float correction,
    float *__restrict flat, float *__restrict mean, float *__restrict square,
    const float *__restrict grad, const float *__restrict share, const float *__restrict rate) {
    const float root = 1 / correction;
    for (std::int64_t m = 0; m < models; ++m)
        for (std::int64_t i = m * parameters; i < (m + 1) * parameters; ++i) {
            const bool alive = share[m] > 0;
            const float g = alive ? grad[i] * share[m] : 0;  // whatever grad holds
            mean[i] += (1 - beta1) * (g - mean[i]);
            square[i] = beta2 * square[i] + (1 - beta2) * g * g;
            const float step = mean[i] / (std::sqrt(square[i]) * root + 1e-8f);
            flat[i] = alive ? flat[i] - rate[m] * step : flat[i];
        }
}
