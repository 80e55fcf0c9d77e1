// The optimizers' formulas over flat vectors, each in one pass: weight, gradient and slots are read once
// and written once. The formulas and their sources stand in the textbook's updates.py; g is the gradient.
//
// The learning rate and the number of the step may live on the device, so that a recorded step can change
// them: ``number(lr, lr_cell)`` is the cell's content where there is a cell.
//
// Threads.  One for every weight.

typedef unsigned long long count64;

#define RATE real lr, const real* __restrict__ lr_cell
#define STEP count64 ahead, const count64* __restrict__ counter

// t, the number of the step, from 1.
__device__ inline double step_number(count64 ahead, const count64* counter) {
    return (double)(ahead + (counter ? *counter : 0));
}

// A thread of the block computes a factor for all: powers are dear.
#define FACTOR(name, value)                   \
    __shared__ double name;                   \
    if (threadIdx.x == 0) name = (value);     \
    __syncthreads();

extern "C" __global__ void __launch_bounds__(256, 3)
sgd(real* __restrict__ w, const real* __restrict__ g, wide n, RATE) {
    lr = number(lr, lr_cell);
    EACH(i, n) w[i] -= lr * g[i];
}

extern "C" __global__ void __launch_bounds__(256, 3) sgd_momentum(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ velocity, wide n, RATE,
    real momentum, int nesterov) {
    lr = number(lr, lr_cell);
    EACH(i, n) {
        real v = momentum * velocity[i] - lr * g[i];
        velocity[i] = v;
        w[i] += nesterov ? momentum * v - lr * g[i] : v;
    }
}

// ``average`` and ``step`` may be null: without centring, without momentum.
extern "C" __global__ void __launch_bounds__(256, 3) rmsprop(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ velocity,
    real* __restrict__ average, real* __restrict__ step, wide n, RATE, real rho, real momentum,
    real epsilon) {
    lr = number(lr, lr_cell);
    EACH(i, n) {
        real v = rho * velocity[i] + (1 - rho) * g[i] * g[i];
        velocity[i] = v;
        if (average) {
            real a = rho * average[i] + (1 - rho) * g[i];
            average[i] = a;
            v = v > a * a ? v - a * a : 0;
        }
        real d = lr * g[i] / sqrt(v + epsilon);
        if (step) d = step[i] = momentum * step[i] + d;
        w[i] -= d;
    }
}

// ``v_max`` may be null: without AMSGrad.
extern "C" __global__ void __launch_bounds__(256, 3) adam(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v,
    real* __restrict__ v_max, wide n, RATE, double beta_1, double beta_2, real epsilon, STEP) {
    double t = step_number(ahead, counter);
    FACTOR(alpha, number(lr, lr_cell) * sqrt(1 - pow(beta_2, t)) / (1 - pow(beta_1, t)))
    real factor = alpha, rest_1 = 1 - beta_1, rest_2 = 1 - beta_2;
    EACH(i, n) {
        real mean = m[i] + rest_1 * (g[i] - m[i]);
        real square = v[i] + rest_2 * (g[i] * g[i] - v[i]);
        m[i] = mean;
        v[i] = square;
        if (v_max) square = v_max[i] = square > v_max[i] ? square : v_max[i];
        w[i] -= factor * mean / (sqrt(square) + epsilon);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) adamax(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ u, wide n,
    RATE, double beta_1, double beta_2, real epsilon, STEP) {
    double t = step_number(ahead, counter);
    FACTOR(alpha, number(lr, lr_cell) / (1 - pow(beta_1, t)))
    real factor = alpha, rest_1 = 1 - beta_1, keep_2 = beta_2;
    EACH(i, n) {
        real mean = m[i] + rest_1 * (g[i] - m[i]), size = fabs(g[i]), old = keep_2 * u[i];
        m[i] = mean;
        u[i] = old > size ? old : size;
        w[i] -= factor * mean / (u[i] + epsilon);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) nadam(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v, wide n,
    RATE, double beta_1, double beta_2, real epsilon, STEP, double mu, double mu_next,
    double mu_product) {
    double t = step_number(ahead, counter);
    FACTOR(correction, 1 - pow(beta_2, t))
    real rate = number(lr, lr_cell), rest_1 = 1 - beta_1, rest_2 = 1 - beta_2;
    real of_mean = mu_next / (1 - mu_product * mu_next), of_gradient = (1 - mu) / (1 - mu_product);
    real of_square = correction;
    EACH(i, n) {
        real mean = m[i] + rest_1 * (g[i] - m[i]);
        real square = v[i] + rest_2 * (g[i] * g[i] - v[i]);
        m[i] = mean;
        v[i] = square;
        w[i] -= rate * (of_mean * mean + of_gradient * g[i]) / (sqrt(square / of_square) + epsilon);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) adagrad(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ accumulator, wide n, RATE,
    real epsilon) {
    lr = number(lr, lr_cell);
    EACH(i, n) {
        real a = accumulator[i] + g[i] * g[i];
        accumulator[i] = a;
        w[i] -= lr * g[i] / sqrt(a + epsilon);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) adadelta(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ squared_gradients,
    real* __restrict__ squared_steps, wide n, RATE, real rho, real epsilon) {
    lr = number(lr, lr_cell);
    EACH(i, n) {
        real a = rho * squared_gradients[i] + (1 - rho) * g[i] * g[i];
        real d = g[i] * sqrt(squared_steps[i] + epsilon) / sqrt(a + epsilon);
        squared_gradients[i] = a;
        squared_steps[i] = rho * squared_steps[i] + (1 - rho) * d * d;
        w[i] -= lr * d;
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) lion(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, wide n, RATE, real beta_1,
    real beta_2) {
    lr = number(lr, lr_cell);
    EACH(i, n) {
        real c = beta_1 * m[i] + (1 - beta_1) * g[i];
        w[i] -= c > 0 ? lr : (c < 0 ? -lr : 0);
        m[i] = beta_2 * m[i] + (1 - beta_2) * g[i];
    }
}

// -- before the update ----------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(256, 3) weight_decay(
    real* __restrict__ w, wide n, RATE, real rate) {
    lr = number(lr, lr_cell);
    EACH(i, n) w[i] -= lr * rate * w[i];
}

extern "C" __global__ void __launch_bounds__(256, 3) clip_by_value(real* __restrict__ g, wide n, real limit) {
    EACH(i, n) g[i] = g[i] > limit ? limit : (g[i] < -limit ? -limit : g[i]);
}

// norm = sqrt(sum g^2), then g <- g limit / max(norm, limit): every block (its threads in y) sums a part,
// and then the first warp of every block of the second kernel adds the few parts up, in the same order.
extern "C" __global__ void __launch_bounds__(256, 3)
sum_of_squares(const real* __restrict__ g, wide n, double* __restrict__ partial) {
    double sum = 0;
    EACH_ROW(i, n) sum += (double)g[i] * g[i];
    sum = block_sum(sum);
    if (threadIdx.y == 0) partial[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256, 3)
shorten(real* __restrict__ g, wide n, const double* __restrict__ partial, int parts, real limit) {
    __shared__ double norm;
    if (threadIdx.x < 32) {
        double sum = 0;
        for (int part = threadIdx.x; part < parts; part += 32) sum += partial[part];
        sum = warp_sum(sum);
        if (threadIdx.x == 0) norm = sqrt(sum);
    }
    __syncthreads();
    real factor = limit / (norm > limit ? norm : limit);
    EACH(i, n) g[i] *= factor;
}
