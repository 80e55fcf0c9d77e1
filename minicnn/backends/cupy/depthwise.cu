// Depthwise convolution: every channel has m kernels of its own and sees no other channel.
//
//   y[n, r, q, c m + k] = sum_{i, j} x[n, r s + i d - top, q s + j d - left, c] W[i, j, c, k] + b[c m + k]
//   dx[n, p, o, c]      = sum of dy[n, r, q, c m + k] W[i, j, c, k] over k and all taps on the pixel
//   dW[i, j, c, k]      = sum_{n, r, q} x[n, r s + i d - top, q s + j d - left, c] dy[n, r, q, c m + k]
//
// Threads.  forward, backward_input: one for every number of y or dx (for four channels, V = 4, where m
// is 1 and the channels are a multiple of 4); a thread gathers, so that the order of its sum is fixed.
// backward_kernel: sums down the columns (i, j, c, k) of a matrix whose rows are the windows, as
// column_sums does it in dense.cu; add_slabs, there, adds the slabs' sums up.

struct Images {  // where the windows stand
    int images, oh, ow, h, w, c, m, kh, kw, sh, sw, dh, dw, top, left;
};

template <int V>
__device__ void outputs(
    const real* __restrict__ x, const real* __restrict__ W, const real* __restrict__ b,
    real* __restrict__ y, const Images& at) {
    int f = at.c * at.m, run = f / V;
    EACH_INT(index, at.images * at.oh * at.ow * run) {
        int window = index / run, filter = index % run * V;
        int q = window % at.ow, r = window / at.ow % at.oh, n = window / at.ow / at.oh;
        Pack<V> sum = {};
        if (b) sum = load<V>(b + filter);
        for (int i = 0; i < at.kh; i++) {
            int p = r * at.sh + i * at.dh - at.top;
            if (p < 0 || p >= at.h) continue;
            for (int j = 0; j < at.kw; j++) {
                int o = q * at.sw + j * at.dw - at.left;
                if (o < 0 || o >= at.w) continue;
                wide pixel = ((wide)n * at.h + p) * at.w + o;
                Pack<V> value = load<V>(x + pixel * at.c + filter / at.m);
                Pack<V> weight = load<V>(W + (i * at.kw + j) * f + filter);
                for (int v = 0; v < V; v++) sum.at[v] += value.at[v] * weight.at[v];
            }
        }
        store<V>(y + (wide)window * f + filter, sum);
    }
}

template <int V>
__device__ void input_gradients(
    const real* __restrict__ dy, const real* __restrict__ W, real* __restrict__ dx,
    const Images& at) {
    int f = at.c * at.m, run = at.c / V;
    EACH_INT(index, at.images * at.h * at.w * run) {
        int pixel = index / run, channel = index % run * V;
        int o = pixel % at.w, p = pixel / at.w % at.h, n = pixel / at.w / at.h;
        Pack<V> sum = {};
        for (int i = 0; i < at.kh; i++) {
            int row = p + at.top - i * at.dh, r = row / at.sh;
            if (row < 0 || r >= at.oh || r * at.sh != row) continue;
            for (int j = 0; j < at.kw; j++) {
                int column = o + at.left - j * at.dw, q = column / at.sw;
                if (column < 0 || q >= at.ow || q * at.sw != column) continue;
                wide window = ((wide)n * at.oh + r) * at.ow + q;
#pragma unroll 1
                for (int k = 0; k < at.m; k++) {
                    int filter = channel * at.m + k;
                    Pack<V> part = load<V>(dy + window * f + filter);
                    Pack<V> weight = load<V>(W + (i * at.kw + j) * f + filter);
                    for (int v = 0; v < V; v++) sum.at[v] += part.at[v] * weight.at[v];
                }
            }
        }
        store<V>(dx + (wide)pixel * at.c + channel, sum);
    }
}

struct KernelTerm {  // x dy of one window, for one weight (i, j, filter)
    const real *x, *dy;
    const Images& at;
    int i, j, filter;
    __device__ double operator()(wide window) const {
        int q = window % at.ow, r = window / at.ow % at.oh, n = window / at.ow / at.oh;
        int p = r * at.sh + i * at.dh - at.top, o = q * at.sw + j * at.dw - at.left;
        if (p < 0 || p >= at.h || o < 0 || o >= at.w) return 0;
        wide pixel = ((wide)n * at.h + p) * at.w + o;
        return (double)x[pixel * at.c + filter / at.m] * dy[window * at.c * at.m + filter];
    }
};

extern "C" __global__ void __launch_bounds__(256, 3) depthwise_forward(
    const real* __restrict__ x, const real* __restrict__ W, const real* __restrict__ b,
    real* __restrict__ y, int images, int oh, int ow, int h, int w, int c, int m, int kh, int kw,
    int sh, int sw, int dh, int dw, int top, int left, int packed) {
    Images at = {images, oh, ow, h, w, c, m, kh, kw, sh, sw, dh, dw, top, left};
    if (packed)
        outputs<4>(x, W, b, y, at);
    else
        outputs<1>(x, W, b, y, at);
}

extern "C" __global__ void __launch_bounds__(256, 3) depthwise_backward_input(
    const real* __restrict__ dy, const real* __restrict__ W, real* __restrict__ dx, int images, int oh,
    int ow, int h, int w, int c, int m, int kh, int kw, int sh, int sw, int dh, int dw, int top,
    int left, int packed) {
    Images at = {images, oh, ow, h, w, c, m, kh, kw, sh, sw, dh, dw, top, left};
    if (packed)
        input_gradients<4>(dy, W, dx, at);
    else
        input_gradients<1>(dy, W, dx, at);
}

extern "C" __global__ void __launch_bounds__(256, 3) depthwise_backward_kernel(
    const real* __restrict__ dy, const real* __restrict__ x, double* __restrict__ partial, int images,
    int oh, int ow, int h, int w, int c, int m, int kh, int kw, int sh, int sw, int dh, int dw, int top,
    int left) {
    Images at = {images, oh, ow, h, w, c, m, kh, kw, sh, sw, dh, dw, top, left};
    int column = blockIdx.x * blockDim.x + threadIdx.x, tap = column / (c * m);
    bool exists = tap < kh * kw;
    Slab slab(exists ? (wide)images * oh * ow : 0);
    KernelTerm term = {x, dy, at, tap / kw, tap % kw, column % (c * m)};
    double sum = sum_rows<double>(term, slab.first, slab.end);
    if (exists && threadIdx.y == 0) partial[(wide)blockIdx.y * kh * kw * c * m + column] = sum;
}
