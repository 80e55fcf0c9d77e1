// The optimizers' formulas over flat vectors, each in one pass: weight, gradient and slots are read once
// and written once. The formulas and their sources stand in the textbook's updates.py; g is the gradient.
//
// The learning rate and the number of the step may live on the device, so that a recorded step can change
// them: ``number(lr, lr_cell)`` is the cell's content where there is a cell.
//
// Threads.  One for the neighbouring weights that take 16 bytes, four floats or two doubles, or one for each
// weight where the vectors do not start where 16 bytes may be moved at once.

typedef unsigned long long count64;

#define RATE real lr, const real* __restrict__ lr_cell
#define STEP count64 ahead, const count64* __restrict__ counter

// t, the number of the step, from 1.
__device__ inline double step_number(count64 ahead, const count64* counter) {
    return (double)(ahead + (counter ? *counter : 0));
}

// rests[0] = 1 - beta_1^t and rests[1] = 1 - beta_2^t. Powers are dear: two threads work them out for all
// of the block.
#define RESTS(beta_1, beta_2)                                                                   \
    __shared__ double rests[2];                                                                 \
    if (threadIdx.x < 2) {                                                                      \
        double beta = threadIdx.x == 0 ? beta_1 : beta_2;                                       \
        rests[threadIdx.x] = 1 - pow(beta, step_number(ahead, counter));                        \
    }                                                                                           \
    __syncthreads();

struct MayBeNull {  // a vector that may be missing: zeros that nobody keeps
    real* vector;
};

// V numbers of a vector, from the i-th on.
template <int V>
struct Part {
    bool exists;
    real* place;
    Pack<V> pack = {};
    __device__ Part(real* vector, wide i) : exists(true), place(vector + i), pack(load<V>(place)) {}
    __device__ Part(MayBeNull given, wide i) : exists(given.vector), place(given.vector + i) {
        if (exists) pack = load<V>(place);
    }
    __device__ void put_back() const {
        if (exists) store<V>(place, pack);
    }
};

// Calls formula(g, w, ...) for each of V weights, and keeps what that changes.
template <int V, class Formula, class... Parts>
__device__ void change(const Formula& formula, const real* g, Parts... parts) {
    Pack<V> gradient = load<V>(g);
    for (int v = 0; v < V; v++) formula(gradient.at[v], parts.pack.at[v]...);
    (parts.put_back(), ...);
}

// All n weights. Where ``packed``, the first threads also have the few that are left over.
template <class Formula, class... Vectors>
__device__ void update(wide n, int packed, const Formula& formula, const real* g, Vectors... vectors) {
    constexpr int V = 16 / sizeof(real);
    wide packs = packed ? n / V : 0, done = packs * V;
    EACH(i, packs) change<V>(formula, g + i * V, Part<V>(vectors, i * V)...);
    EACH(i, n - done) change<1>(formula, g + done + i, Part<1>(vectors, done + i)...);
}

extern "C" __global__ void __launch_bounds__(256, 3)
sgd(real* __restrict__ w, const real* __restrict__ g, wide n, RATE, int packed) {
    lr = number(lr, lr_cell);
    update(n, packed, [=](real g, real& w) { w -= lr * g; }, g, w);
}

extern "C" __global__ void __launch_bounds__(256, 3) sgd_momentum(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ velocity, wide n, RATE,
    real momentum, int nesterov, int packed) {
    lr = number(lr, lr_cell);
    auto formula = [=](real g, real& w, real& v) {
        v = momentum * v - lr * g;
        w += nesterov ? momentum * v - lr * g : v;
    };
    update(n, packed, formula, g, w, velocity);
}

// ``average`` and ``step`` may be null: without centring, without momentum.
extern "C" __global__ void __launch_bounds__(256, 3) rmsprop(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ velocity,
    real* __restrict__ average, real* __restrict__ step, wide n, RATE, real rho, real momentum,
    real epsilon, int packed) {
    lr = number(lr, lr_cell);
    auto formula = [=](real g, real& w, real& v, real& a, real& last) {
        v = rho * v + (1 - rho) * g * g;
        a = rho * a + (1 - rho) * g;
        real square = average ? (v > a * a ? v - a * a : 0) : v;
        real d = lr * g / sqrt(square + epsilon);
        if (step) d = last = momentum * last + d;
        w -= d;
    };
    update(n, packed, formula, g, w, velocity, MayBeNull{average}, MayBeNull{step});
}

// ``v_max`` may be null: without AMSGrad.
extern "C" __global__ void __launch_bounds__(256, 3) adam(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v,
    real* __restrict__ v_max, wide n, RATE, double beta_1, double beta_2, real epsilon, STEP,
    int packed) {
    RESTS(beta_1, beta_2)
    real rest_1 = rests[0], rest_2 = rests[1], new_1 = 1 - beta_1, new_2 = 1 - beta_2;
    real alpha = number(lr, lr_cell) * sqrt(rest_2) / rest_1;
    auto formula = [=](real g, real& w, real& m, real& v, real& largest) {
        m += new_1 * (g - m);
        v += new_2 * (g * g - v);
        largest = v > largest ? v : largest;
        w -= alpha * m / (sqrt(v_max ? largest : v) + epsilon);
    };
    update(n, packed, formula, g, w, m, v, MayBeNull{v_max});
}

extern "C" __global__ void __launch_bounds__(256, 3) adamax(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ u, wide n,
    RATE, double beta_1, double beta_2, real epsilon, STEP, int packed) {
    RESTS(beta_1, beta_2)
    real alpha = number(lr, lr_cell) / (real)rests[0], new_1 = 1 - beta_1, keep_2 = beta_2;
    auto formula = [=](real g, real& w, real& m, real& u) {
        m += new_1 * (g - m);
        real size = fabs(g), old = keep_2 * u;
        u = old > size ? old : size;
        w -= alpha * m / (u + epsilon);
    };
    update(n, packed, formula, g, w, m, u);
}

extern "C" __global__ void __launch_bounds__(256, 3) nadam(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, real* __restrict__ v, wide n,
    RATE, double beta_1, double beta_2, real epsilon, STEP, double mu, double mu_next,
    double mu_product, int packed) {
    RESTS(beta_1, beta_2)
    real rate = number(lr, lr_cell), rest_2 = rests[1], new_1 = 1 - beta_1, new_2 = 1 - beta_2;
    real of_mean = mu_next / (1 - mu_product * mu_next), of_gradient = (1 - mu) / (1 - mu_product);
    auto formula = [=](real g, real& w, real& m, real& v) {
        m += new_1 * (g - m);
        v += new_2 * (g * g - v);
        w -= rate * (of_mean * m + of_gradient * g) / (sqrt(v / rest_2) + epsilon);
    };
    update(n, packed, formula, g, w, m, v);
}

extern "C" __global__ void __launch_bounds__(256, 3) adagrad(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ accumulator, wide n, RATE,
    real epsilon, int packed) {
    lr = number(lr, lr_cell);
    auto formula = [=](real g, real& w, real& a) {
        a += g * g;
        w -= lr * g / sqrt(a + epsilon);
    };
    update(n, packed, formula, g, w, accumulator);
}

extern "C" __global__ void __launch_bounds__(256, 3) adadelta(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ squared_gradients,
    real* __restrict__ squared_steps, wide n, RATE, real rho, real epsilon, int packed) {
    lr = number(lr, lr_cell);
    auto formula = [=](real g, real& w, real& a, real& b) {
        a = rho * a + (1 - rho) * g * g;
        real d = g * sqrt(b + epsilon) / sqrt(a + epsilon);
        b = rho * b + (1 - rho) * d * d;
        w -= lr * d;
    };
    update(n, packed, formula, g, w, squared_gradients, squared_steps);
}

extern "C" __global__ void __launch_bounds__(256, 3) lion(
    real* __restrict__ w, const real* __restrict__ g, real* __restrict__ m, wide n, RATE, real beta_1,
    real beta_2, int packed) {
    lr = number(lr, lr_cell);
    auto formula = [=](real g, real& w, real& m) {
        real c = beta_1 * m + (1 - beta_1) * g;
        w -= c > 0 ? lr : (c < 0 ? -lr : 0);
        m = beta_2 * m + (1 - beta_2) * g;
    };
    update(n, packed, formula, g, w, m);
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

// norm = sqrt(sum g^2), then g <- g limit / max(norm, limit): every block (its threads in y) sums a slab,
// and then the first warp of every block of the second kernel adds the few slabs up, in the same order.
extern "C" __global__ void __launch_bounds__(256, 3)
sum_of_squares(const real* __restrict__ g, wide n, double* __restrict__ partial) {
    Slab slab(n);
    auto square = [=](wide i) { return (double)g[i] * g[i]; };
    double sum = sum_rows<double>(square, slab.first, slab.end);
    if (threadIdx.y == 0) partial[blockIdx.y] = sum;
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
