// Activation functions, element by element: y = f(z), dz = f'(z) dy.
//
// Each is a struct of two functions, y above dz. dz reads what the textbook's backward reads (the formulas
// and their sources stand there, in activation.py): ``s`` is the output y or the pre-activation z. Up to
// three parameters a, b, c.
//
// Threads.  One for four neighbouring numbers, or for one where their count is no multiple of 4.

#define PARAMETERS real a, real b, real c
#define UNUSED (void)a, (void)b, (void)c

struct relu {  // a = negative_slope, b = max_value, c = threshold
    static __device__ real y(real z, PARAMETERS) {
        real y = z > c ? z : (a == 0 && z == z ? 0 : a * (z - c));
        return y > b ? b : y;
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return y > 0 ? (y < b ? dy : 0) : a * dy;
    }
};

struct elu {  // a = alpha
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return z > 0 ? z : a * expm1(z);
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return y > 0 ? dy : (y + a) * dy;
    }
};

struct selu {  // a = alpha, b = scale
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return b * (z > 0 ? z : a * expm1(z));
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return y > 0 ? b * dy : (y + b * a) * dy;
    }
};

struct sigmoid {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        real e = exp(-fabs(z));
        return (z >= 0 ? 1 : e) / (1 + e);
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return dy * y * (1 - y);
    }
};

struct tanh_ {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return tanh(z);
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return dy * (1 - y * y);
    }
};

struct softplus {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return (z > 0 ? z : (real)0) + log1p(exp(-fabs(z)));
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return -dy * expm1(-y);
    }
};

struct softsign {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return z / (1 + fabs(z));
    }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        UNUSED;
        real u = 1 + fabs(z);
        return dy / (u * u);
    }
};

struct exponential {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return exp(z);
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return dy * y;
    }
};

struct hard_sigmoid {
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        real y = z / 6 + (real)0.5;
        return y < 0 ? 0 : (y > 1 ? 1 : y);
    }
    static __device__ real dz(real dy, real y, PARAMETERS) {
        UNUSED;
        return y > 0 && y < 1 ? dy / 6 : 0;
    }
};

struct hard_silu {
    static __device__ real y(real z, PARAMETERS) { return z * hard_sigmoid::y(z, a, b, c); }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        real h = hard_sigmoid::y(z, a, b, c);
        return dy * h + hard_sigmoid::dz(dy * z, h, a, b, c);
    }
};

struct silu {
    static __device__ real y(real z, PARAMETERS) { return z * sigmoid::y(z, a, b, c); }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        real s = sigmoid::y(z, a, b, c);
        return dy * s * (1 + z * (1 - s));
    }
};

struct mish {
    static __device__ real y(real z, PARAMETERS) { return z * tanh(softplus::y(z, a, b, c)); }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        real t = tanh(softplus::y(z, a, b, c));
        return dy * (t + z * (1 - t * t) * sigmoid::y(z, a, b, c));
    }
};

struct gelu {  // with the normal distribution function P(z) = erfc(-z / sqrt(2)) / 2
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return z * (real)0.5 * erfc(z * (real)-0.70710678118654752);
    }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        UNUSED;
        real P = (real)0.5 * erfc(z * (real)-0.70710678118654752);
        real p = exp((real)-0.5 * z * z) * (real)0.39894228040143268;  // 1 / sqrt(2 pi)
        return dy * (P + z * p);
    }
};

struct gelu_tanh {
    static __device__ real t(real z) {
        return tanh((real)0.79788456080286536 * z * (1 + (real)0.044715 * z * z));  // sqrt(2 / pi)
    }
    static __device__ real y(real z, PARAMETERS) {
        UNUSED;
        return (real)0.5 * z * (1 + t(z));
    }
    static __device__ real dz(real dy, real z, PARAMETERS) {
        UNUSED;
        real u = t(z), du = (real)0.79788456080286536 * (1 + 3 * (real)0.044715 * z * z);
        return (real)0.5 * dy * (1 + u + z * (1 - u * u) * du);
    }
};

template <class F, int V>
__device__ void all(const real* __restrict__ z, real* __restrict__ y, wide n, PARAMETERS) {
    EACH(index, n / V) {
        Pack<V> pack = load<V>(z + index * V);
        for (int v = 0; v < V; v++) pack.at[v] = F::y(pack.at[v], a, b, c);
        store<V>(y + index * V, pack);
    }
}

template <class F, int V>
__device__ void all_backward(
    const real* __restrict__ dy, const real* __restrict__ s, real* __restrict__ dz, wide n,
    PARAMETERS) {
    EACH(index, n / V) {
        Pack<V> pack = load<V>(dy + index * V), saved = load<V>(s + index * V);
        for (int v = 0; v < V; v++) pack.at[v] = F::dz(pack.at[v], saved.at[v], a, b, c);
        store<V>(dz + index * V, pack);
    }
}

#define KERNELS(name, F)                                                                           \
    extern "C" __global__ void __launch_bounds__(256, 3) activate_##name(                             \
        const real* __restrict__ z, real* __restrict__ y, wide n, PARAMETERS, int packed) {        \
        if (packed)                                                                                \
            all<F, 4>(z, y, n, a, b, c);                                                           \
        else                                                                                       \
            all<F, 1>(z, y, n, a, b, c);                                                           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(256, 3) activate_##name##_backward(                  \
        const real* __restrict__ dy, const real* __restrict__ s, real* __restrict__ dz, wide n,    \
        PARAMETERS, int packed) {                                                                  \
        if (packed)                                                                                \
            all_backward<F, 4>(dy, s, dz, n, a, b, c);                                             \
        else                                                                                       \
            all_backward<F, 1>(dy, s, dz, n, a, b, c);                                             \
    }

KERNELS(relu, relu)
KERNELS(elu, elu)
KERNELS(selu, selu)
KERNELS(sigmoid, sigmoid)
KERNELS(tanh, tanh_)
KERNELS(softplus, softplus)
KERNELS(softsign, softsign)
KERNELS(exponential, exponential)
KERNELS(hard_sigmoid, hard_sigmoid)
KERNELS(hard_silu, hard_silu)
KERNELS(silu, silu)
KERNELS(mish, mish)
KERNELS(gelu, gelu)
KERNELS(gelu_tanh, gelu_tanh)
