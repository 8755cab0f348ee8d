// What Python calls: a plain C interface, no torch headers, no global state.

#include "train.h"

// Floats of scratch memory that looprate_run needs.
extern "C" std::int64_t looprate_scratch(const std::int64_t *sizes, int training) {
    Sizes s;
    std::memcpy(&s, sizes, sizeof(s));
    return Step(s, training, nullptr, nullptr, reinterpret_cast<float *>(64)).size;
}

// Runs every model.  Without gradients (null) it writes RESULT, else LOSS and the gradients.
extern "C" void looprate_run(
    const std::int64_t *sizes, double power, float *const *places, float *const *gradients) {
    Sizes s;
    std::memcpy(&s, sizes, sizeof(s));
    Step step(s, gradients != nullptr, places, gradients, places[SCRATCH]);
    for (step.model = 0; step.model < s.models; ++step.model) {
        const double loss = step.run(power);
        if (gradients) places[LOSS][step.model] = static_cast<float>(loss);
    }
}

// flat, mean, square, grad: (models, parameters); share, rate: (models).
extern "C" void looprate_adam(
    std::int64_t models, std::int64_t parameters, float beta1, float beta2, float correction,
    float *flat, float *mean, float *square, const float *grad, const float *share,
    const float *rate) {
    const Adam adam{beta1, beta2, correction};
    for (i64 m = 0, at = 0; m < models; ++m, at += parameters)
        adam.update(parameters, share[m], rate[m], flat + at, mean + at, square + at, grad + at);
}

// Trains every model; of one model in `sizes`.  Without a bank (null): floats of scratch memory.
extern "C" std::int64_t looprate_train(
    const std::int64_t *sizes, const std::int64_t *plan, const double *numbers, void *const *bank) {
    Sizes s;
    Plan p;
    Numbers n;
    Bank b{};
    std::memcpy(&s, sizes, sizeof(s));
    std::memcpy(&p, plan, sizeof(p));
    std::memcpy(&n, numbers, sizeof(n));
    if (bank) std::memcpy(&b, bank, sizeof(b));
    Trainer trainer(s, p, n, b, bank ? b.memory : reinterpret_cast<float *>(64));
    if (bank) trainer.run();
    return trainer.size;
}
