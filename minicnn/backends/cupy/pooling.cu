// Pooling: a window of pixels becomes one number, each channel for itself.
//
//   max_pool       y[n, r, q, c] = max of x[n, r s + i - top, q s + j - left, c] over the taps (i, j) on
//                  the image; argmax is the tap i kw + j of the first maximum
//   ..._backward   dx[n, p, o, c] = sum of dy over the windows whose argmax is this pixel
//   average_pool   y = the sum of the window / m, m being how many of its taps are on the image
//   ..._backward   dx = the sum of dy / m over the windows that the pixel is in
//   global_...     the same with one window as large as the image
//
// Threads.  One for every number of the result (for four channels, V = 4, where they are a multiple of
// 4). The backward kernels gather: the windows over a pixel are known, r s - top <= p < r s - top + kh, so
// that the order of the sum is fixed. global_...: a block is bx channels times by threads of one image
// (blockIdx.y), which walk over its pixels and are then combined.

struct Images {  // where the windows stand
    int images, oh, ow, h, w, c, kh, kw, sh, sw, top, left;
};

// The windows along one axis that pixel p is in: first <= r < end.
struct Over {
    int first, end;
    __device__ Over(int p, int count, int k, int s, int before) {
        int last = (p + before) / s;
        first = p + before < k ? 0 : (p + before - k) / s + 1;
        end = min(last + 1, count);
    }
};

// The taps of the window at pixel ``start`` that are on an axis of n pixels: first <= i < end.
struct Taps {
    int first, end;
    __device__ Taps(int start, int k, int n) : first(max(0, -start)), end(min(k, n - start)) {}
};

template <int V, class Index>
struct alignas(V * sizeof(Index)) Indices {  // of V channels, moved by one instruction
    Index at[V];
};

template <int V, class Index>
__device__ void maxima(
    const real* __restrict__ x, real* __restrict__ y, Index* __restrict__ argmax, const Images& at) {
    int run = at.c / V;
    EACH_INT(index, at.images * at.oh * at.ow * run) {
        int window = index / run, channel = index % run * V;
        int q = window % at.ow, r = window / at.ow % at.oh, n = window / at.ow / at.oh;
        int row = r * at.sh - at.top, column = q * at.sw - at.left;
        Taps down(row, at.kh, at.h), across(column, at.kw, at.w);
        Pack<V> best;
        Indices<V, Index> tap = {};
        for (int v = 0; v < V; v++) best.at[v] = -INFINITE;
        for (int i = down.first; i < down.end; i++)
            for (int j = across.first; j < across.end; j++) {
                wide pixel = ((wide)n * at.h + row + i) * at.w + column + j;
                Pack<V> value = load<V>(x + pixel * at.c + channel);
                for (int v = 0; v < V; v++) {
                    if (value.at[v] > best.at[v]) {  // not >=: an equal one that comes later is not it
                        best.at[v] = value.at[v];
                        tap.at[v] = i * at.kw + j;
                    } else if (value.at[v] != value.at[v]) {
                        best.at[v] = value.at[v];  // NaN, which no other is greater than
                    }
                }
            }
        wide place = (wide)window * at.c + channel;
        store<V>(y + place, best);
        *reinterpret_cast<Indices<V, Index>*>(argmax + place) = tap;
    }
}

template <int V, class Index>
__device__ void maxima_backward(
    const real* __restrict__ dy, const Index* __restrict__ argmax, real* __restrict__ dx,
    const Images& at) {
    int run = at.c / V;
    EACH_INT(index, at.images * at.h * at.w * run) {
        int pixel = index / run, channel = index % run * V;
        int o = pixel % at.w, p = pixel / at.w % at.h, n = pixel / at.w / at.h;
        Over rows(p, at.oh, at.kh, at.sh, at.top), columns(o, at.ow, at.kw, at.sw, at.left);
        Pack<V> sum = {};
        for (int r = rows.first; r < rows.end; r++)
            for (int q = columns.first; q < columns.end; q++) {
                int tap = (p + at.top - r * at.sh) * at.kw + o + at.left - q * at.sw;
                wide place = (((wide)n * at.oh + r) * at.ow + q) * at.c + channel;
                Pack<V> part = load<V>(dy + place);
                auto first = *reinterpret_cast<const Indices<V, Index>*>(argmax + place);
                for (int v = 0; v < V; v++)
                    if ((int)first.at[v] == tap) sum.at[v] += part.at[v];
            }
        store<V>(dx + (wide)pixel * at.c + channel, sum);
    }
}

template <int V>
__device__ void means(const real* __restrict__ x, real* __restrict__ y, const Images& at) {
    int run = at.c / V;
    EACH_INT(index, at.images * at.oh * at.ow * run) {
        int window = index / run, channel = index % run * V;
        int q = window % at.ow, r = window / at.ow % at.oh, n = window / at.ow / at.oh;
        int row = r * at.sh - at.top, column = q * at.sw - at.left;
        Taps down(row, at.kh, at.h), across(column, at.kw, at.w);
        Pack<V> sum = {};
        for (int i = down.first; i < down.end; i++)
#pragma unroll 2
            for (int j = across.first; j < across.end; j++) {
                wide pixel = ((wide)n * at.h + row + i) * at.w + column + j;
                Pack<V> value = load<V>(x + pixel * at.c + channel);
                for (int v = 0; v < V; v++) sum.at[v] += value.at[v];
            }
        real m = (down.end - down.first) * (across.end - across.first);
        for (int v = 0; v < V; v++) sum.at[v] /= m;
        store<V>(y + (wide)window * at.c + channel, sum);
    }
}

template <int V>
__device__ void means_backward(const real* __restrict__ dy, real* __restrict__ dx, const Images& at) {
    int run = at.c / V;
    EACH_INT(index, at.images * at.h * at.w * run) {
        int pixel = index / run, channel = index % run * V;
        int o = pixel % at.w, p = pixel / at.w % at.h, n = pixel / at.w / at.h;
        Over rows(p, at.oh, at.kh, at.sh, at.top), columns(o, at.ow, at.kw, at.sw, at.left);
        Pack<V> sum = {};
        for (int r = rows.first; r < rows.end; r++)
            for (int q = columns.first; q < columns.end; q++) {
                Taps down(r * at.sh - at.top, at.kh, at.h), across(q * at.sw - at.left, at.kw, at.w);
                real m = (down.end - down.first) * (across.end - across.first);
                wide place = (((wide)n * at.oh + r) * at.ow + q) * at.c + channel;
                Pack<V> part = load<V>(dy + place);
                for (int v = 0; v < V; v++) sum.at[v] += part.at[v] / m;
            }
        store<V>(dx + (wide)pixel * at.c + channel, sum);
    }
}

// A window of up to 256 pixels has its argmax in a byte, a larger one in 32 bits.
#define MAX_POOL(suffix, Index)                                                                    \
    extern "C" __global__ void __launch_bounds__(256, 3) max_pool_##suffix(                           \
        const real* __restrict__ x, real* __restrict__ y, Index* __restrict__ argmax, int images,  \
        int oh, int ow, int h, int w, int c, int kh, int kw, int sh, int sw, int top, int left,    \
        int packed) {                                                                              \
        Images at = {images, oh, ow, h, w, c, kh, kw, sh, sw, top, left};                          \
        if (packed)                                                                                \
            maxima<4>(x, y, argmax, at);                                                           \
        else                                                                                       \
            maxima<1>(x, y, argmax, at);                                                           \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(256, 3) max_pool_backward_##suffix(                  \
        const real* __restrict__ dy, const Index* __restrict__ argmax, real* __restrict__ dx,      \
        int images, int oh, int ow, int h, int w, int c, int kh, int kw, int sh, int sw, int top,  \
        int left, int packed) {                                                                    \
        Images at = {images, oh, ow, h, w, c, kh, kw, sh, sw, top, left};                          \
        if (packed)                                                                                \
            maxima_backward<4>(dy, argmax, dx, at);                                                \
        else                                                                                       \
            maxima_backward<1>(dy, argmax, dx, at);                                                \
    }
MAX_POOL(uint8, unsigned char)
MAX_POOL(uint32, unsigned)

extern "C" __global__ void __launch_bounds__(256, 3) average_pool(
    const real* __restrict__ x, real* __restrict__ y, int images, int oh, int ow, int h, int w, int c,
    int kh, int kw, int sh, int sw, int top, int left, int packed) {
    Images at = {images, oh, ow, h, w, c, kh, kw, sh, sw, top, left};
    if (packed)
        means<4>(x, y, at);
    else
        means<1>(x, y, at);
}

extern "C" __global__ void __launch_bounds__(256, 3) average_pool_backward(
    const real* __restrict__ dy, real* __restrict__ dx, int images, int oh, int ow, int h, int w, int c,
    int kh, int kw, int sh, int sw, int top, int left, int packed) {
    Images at = {images, oh, ow, h, w, c, kh, kw, sh, sw, top, left};
    if (packed)
        means_backward<4>(dy, dx, at);
    else
        means_backward<1>(dy, dx, at);
}

// -- whole images ---------------------------------------------------------------------------------

struct Pixel {
    const real* image;
    int c, channel;
    __device__ double operator()(wide pixel) const { return image[pixel * c + channel]; }
};

extern "C" __global__ void __launch_bounds__(256, 3)
global_average(const real* __restrict__ x, real* __restrict__ y, int pixels, int c) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    Pixel term = {x + (wide)blockIdx.y * pixels * c, c, channel};
    double sum = sum_rows<double>(term, 0, channel < c ? pixels : 0);
    if (channel < c && threadIdx.y == 0) y[(wide)blockIdx.y * c + channel] = sum / pixels;
}

extern "C" __global__ void __launch_bounds__(256, 3)
global_average_backward(const real* __restrict__ dy, real* __restrict__ dx, int pixels, int c) {
    const real* row = dy + (wide)blockIdx.y * c;
    real* image = dx + (wide)blockIdx.y * pixels * c;
    EACH_ROW(pixel, pixels)
        for (int k = threadIdx.x; k < c; k += blockDim.x) image[pixel * c + k] = row[k] / pixels;
}

// The better one of two pixels: the larger, and of equals the earlier. "+=" so that block_sum can do it.
struct Best {
    real value;
    int left;  // pixels from here to the end of the image; 0 is no pixel
    __device__ void operator+=(const Best& other) {
        bool mine_is_nan = value != value, other_is_nan = other.value != other.value;
        bool earlier = other.left > left, greater = other.value > value || left == 0;
        if (mine_is_nan || other_is_nan)  // as NumPy has it: NaN is the maximum, the first of them
            greater = other_is_nan && (!mine_is_nan || earlier);
        else if (other.value == value)
            greater = earlier;
        if (other.left > 0 && greater) *this = other;
    }
};

struct BestPixel {
    const real* image;
    int pixels, c, channel;
    __device__ Best operator()(wide pixel) const {
        return {image[pixel * c + channel], pixels - (int)pixel};
    }
};

extern "C" __global__ void __launch_bounds__(256, 3)
global_max(const real* __restrict__ x, real* __restrict__ y, int* __restrict__ argmax, int pixels, int c) {
    int channel = blockIdx.x * blockDim.x + threadIdx.x;
    BestPixel term = {x + (wide)blockIdx.y * pixels * c, pixels, c, channel};
    Best best = sum_rows<Best>(term, 0, channel < c ? pixels : 0);
    if (channel >= c || threadIdx.y > 0) return;
    y[(wide)blockIdx.y * c + channel] = best.value;
    argmax[(wide)blockIdx.y * c + channel] = pixels - best.left;
}

extern "C" __global__ void __launch_bounds__(256, 3) global_max_backward(
    const real* __restrict__ dy, const int* __restrict__ argmax, real* __restrict__ dx, int pixels,
    int c) {
    wide row = (wide)blockIdx.y * c;
    real* image = dx + row * pixels;
    EACH_ROW(pixel, pixels)
        for (int k = threadIdx.x; k < c; k += blockDim.x)
            image[pixel * c + k] = argmax[row + k] == pixel ? dy[row + k] : 0;
}
