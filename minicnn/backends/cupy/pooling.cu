// Pooling: a window of pixels becomes one number, each channel for itself.
//
//   max_pool       y[n, r, q, c] = max of x[n, r s + i - top, q s + j - left, c] over the taps (i, j) on
//                  the image; argmax is the tap i kw + j of the first maximum
//   ..._backward   dx[n, p, o, c] = sum of dy over the windows whose argmax is this pixel; if it is the way
//                  back through a ReLU, too, over those whose y is above 0
//   average_pool   y = the sum of the window / m, m being how many of its taps are on the image
//   ..._backward   dx = the sum of dy / m over the windows that the pixel is in
//   global_...     the same with one window as large as the image
//
// Threads.  A block for a row of pixels of one image, y along the row (EACH_COLUMN), x with the channels of
// a pixel (four at a time, V = 4, where they are a multiple of 4). Forward, the pixels are those of y.
// Backward, those of dx: the windows over a pixel are known, r s - top <= p < r s - top + kh, so that a
// thread can *gather*, and the order of the sum is fixed. Where windows lie side by side, s = k, each pixel
// has only one: there a thread has a window, and writes its gradient to all its pixels. global_...: a block
// is bx channels times by threads of one image (blockIdx.y), which walk over its pixels and are then
// combined.

struct Images {  // where the windows stand
    int oh, ow, h, w, c, kh, kw, sh, sw, top, left;
};

// The usual windows, of K x K pixels and K apart, with constants for their sizes: so the compiler divides
// by none of them, and unrolls the loops, and all numbers are fetched before the first is used.
template <int K>
__device__ Images side_by_side(Images at) {
    at.kh = at.kw = at.sh = at.sw = K;
    return at;
}

__device__ inline bool are_side_by_side(const Images& at, int k) {
    return at.kh == k && at.kw == k && at.sh == k && at.sw == k;
}

#define EACH_KIND(usual, other, ...)                                        \
    if (packed && are_side_by_side(at, 2))                                  \
        usual<4>(__VA_ARGS__, side_by_side<2>(at));                         \
    else if (packed && are_side_by_side(at, 3))                             \
        usual<4>(__VA_ARGS__, side_by_side<3>(at));                         \
    else if (packed)                                                        \
        other<4>(__VA_ARGS__, at);                                          \
    else if (are_side_by_side(at, 2))                                       \
        usual<1>(__VA_ARGS__, side_by_side<2>(at));                         \
    else if (are_side_by_side(at, 3))                                       \
        usual<1>(__VA_ARGS__, side_by_side<3>(at));                         \
    else                                                                    \
        other<1>(__VA_ARGS__, at);

// The windows along one axis that pixel p can be in: ``count`` of them, the last one where p is its first
// pixel, or nearest to that.
struct Over {
    int first, count;
    __device__ Over(int p, int k, int s, int before) : count((k + s - 1) / s) {
        first = (p + before) / s - count + 1;
    }
};

// How many taps of the window at pixel ``start`` are on an axis of n pixels.
__device__ inline int taps(int start, int k, int n) { return min(k, n - start) - max(0, -start); }

template <int V, class Index>
struct alignas(V * sizeof(Index)) Indices {  // of V channels, moved by one instruction
    Index at[V];
};

template <int V>
__device__ Pack<V> all(real value) {
    Pack<V> pack;
    for (int v = 0; v < V; v++) pack.at[v] = value;
    return pack;
}

// Tap (i, j) of a window at (row, column), or ``otherwise`` where that is off the image.
template <int V>
__device__ Pack<V> tap_of(const real* image, int p, int o, int channel, real otherwise, const Images& at) {
    Pack<V> value = all<V>(otherwise);
    if (p >= 0 && p < at.h && o >= 0 && o < at.w)
        value = load<V>(image + ((wide)p * at.w + o) * at.c + channel);
    return value;
}

template <int V, class Index>
__device__ void maxima(
    const real* __restrict__ x, real* __restrict__ y, Index* __restrict__ argmax, const Images& at) {
    int row = blockIdx.x % at.oh * at.sh - at.top;
    const real* image = x + (wide)(blockIdx.x / at.oh) * at.h * at.w * at.c;
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(q, at.ow) {
            int column = q * at.sw - at.left;
            Pack<V> best = all<V>(-INFINITE);
            Indices<V, Index> tap = {};
            for (int i = 0; i < at.kh; i++)
                for (int j = 0; j < at.kw; j++) {
                    Pack<V> value = tap_of<V>(image, row + i, column + j, channel, -INFINITE, at);
                    for (int v = 0; v < V; v++) {
                        // Not >=: an equal one that comes later is not it.
                        bool greater = value.at[v] > best.at[v], is_nan = value.at[v] != value.at[v];
                        tap.at[v] = greater ? i * at.kw + j : tap.at[v];
                        best.at[v] = greater || is_nan ? value.at[v] : best.at[v];  // none is > NaN
                    }
                }
            wide place = ((wide)blockIdx.x * at.ow + q) * at.c + channel;
            store<V>(y + place, best);
            *reinterpret_cast<Indices<V, Index>*>(argmax + place) = tap;
        }
}

// dy; where there is a y and it is not above 0, 0.
template <int V>
__device__ Pack<V> through_relu(const real* dy, const real* y, wide place) {
    Pack<V> part = load<V>(dy + place);
    if (y) {
        Pack<V> cut = load<V>(y + place);
        for (int v = 0; v < V; v++) part.at[v] = cut.at[v] > 0 ? part.at[v] : 0;
    }
    return part;
}

template <int V, class Index>
__device__ void maxima_backward(
    const real* __restrict__ dy, const real* __restrict__ y, const Index* __restrict__ argmax,
    real* __restrict__ dx, const Images& at) {
    int p = blockIdx.x % at.h;
    wide image = (wide)(blockIdx.x / at.h) * at.oh * at.ow;
    Over rows(p, at.kh, at.sh, at.top);
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(o, at.w) {
            Over columns(o, at.kw, at.sw, at.left);
            Pack<V> sum = {};
            for (int r = rows.first; r < rows.first + rows.count; r++)
                for (int q = columns.first; q < columns.first + columns.count; q++) {
                    int i = p + at.top - r * at.sh, j = o + at.left - q * at.sw;
                    if (r < 0 || r >= at.oh || i >= at.kh || q < 0 || q >= at.ow || j >= at.kw) continue;
                    wide place = (image + (wide)r * at.ow + q) * at.c + channel;
                    Pack<V> part = through_relu<V>(dy, y, place);
                    auto first = *reinterpret_cast<const Indices<V, Index>*>(argmax + place);
                    for (int v = 0; v < V; v++)
                        if ((int)first.at[v] == i * at.kw + j) sum.at[v] += part.at[v];
                }
            store<V>(dx + ((wide)blockIdx.x * at.w + o) * at.c + channel, sum);
        }
}

// Backward where windows lie side by side. The pixels that are left over lie in windows which are not there,
// and get 0. ``Window`` knows what each of its taps gets.
template <int V, class Window>
__device__ void spread(Window window, real* __restrict__ dx, const Images& at) {
    int rows = (at.h + at.top + at.kh - 1) / at.kh, columns = (at.w + at.left + at.kw - 1) / at.kw;
    int r = blockIdx.x % rows, n = blockIdx.x / rows, row = r * at.sh - at.top;
    real* image = dx + (wide)n * at.h * at.w * at.c;
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(q, columns) {
            int column = q * at.sw - at.left;
            if (r < at.oh && q < at.ow)
                window.fetch((((wide)n * at.oh + r) * at.ow + q) * at.c + channel, row, column, at);
            else
                window.is_not_there();
            for (int i = 0; i < at.kh; i++)
                for (int j = 0; j < at.kw; j++) {
                    int p = row + i, o = column + j;
                    if (p >= 0 && p < at.h && o >= 0 && o < at.w)
                        store<V>(image + ((wide)p * at.w + o) * at.c + channel, window.of(i * at.kw + j));
                }
        }
}

template <int V, class Index>
struct WindowOfMaxima {
    const real* __restrict__ dy;
    const real* __restrict__ y;
    const Index* __restrict__ argmax;
    Pack<V> gradient;
    Indices<V, Index> first;
    __device__ void fetch(wide place, int, int, const Images&) {
        gradient = through_relu<V>(dy, y, place);
        first = *reinterpret_cast<const Indices<V, Index>*>(argmax + place);
    }
    __device__ void is_not_there() {
        gradient = all<V>(0);
        first = {};
    }
    __device__ Pack<V> of(int tap) const {
        Pack<V> part = {};
        for (int v = 0; v < V; v++) part.at[v] = (int)first.at[v] == tap ? gradient.at[v] : 0;
        return part;
    }
};

template <int V, class Index>
__device__ void spread_maxima(
    const real* __restrict__ dy, const real* __restrict__ y, const Index* __restrict__ argmax,
    real* __restrict__ dx, const Images& at) {
    spread<V>(WindowOfMaxima<V, Index>{dy, y, argmax, {}, {}}, dx, at);
}

template <int V>
__device__ void means(const real* __restrict__ x, real* __restrict__ y, const Images& at) {
    int row = blockIdx.x % at.oh * at.sh - at.top, down = taps(row, at.kh, at.h);
    const real* image = x + (wide)(blockIdx.x / at.oh) * at.h * at.w * at.c;
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(q, at.ow) {
            int column = q * at.sw - at.left;
            Pack<V> sum = {};
            for (int i = 0; i < at.kh; i++)
                for (int j = 0; j < at.kw; j++) {
                    Pack<V> value = tap_of<V>(image, row + i, column + j, channel, 0, at);
                    for (int v = 0; v < V; v++) sum.at[v] += value.at[v];
                }
            real m = down * taps(column, at.kw, at.w);
            for (int v = 0; v < V; v++) sum.at[v] /= m;
            store<V>(y + ((wide)blockIdx.x * at.ow + q) * at.c + channel, sum);
        }
}

template <int V>
__device__ void means_backward(const real* __restrict__ dy, real* __restrict__ dx, const Images& at) {
    int p = blockIdx.x % at.h;
    wide image = (wide)(blockIdx.x / at.h) * at.oh * at.ow;
    Over rows(p, at.kh, at.sh, at.top);
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(o, at.w) {
            Over columns(o, at.kw, at.sw, at.left);
            Pack<V> sum = {};
            for (int r = rows.first; r < rows.first + rows.count; r++)
#pragma unroll 1
                for (int q = columns.first; q < columns.first + columns.count; q++) {
                    int row = r * at.sh - at.top, column = q * at.sw - at.left;
                    if (r < 0 || r >= at.oh || p - row >= at.kh) continue;
                    if (q < 0 || q >= at.ow || o - column >= at.kw) continue;
                    real m = taps(row, at.kh, at.h) * taps(column, at.kw, at.w);
                    Pack<V> part = load<V>(dy + (image + (wide)r * at.ow + q) * at.c + channel);
                    for (int v = 0; v < V; v++) sum.at[v] += part.at[v] / m;
                }
            store<V>(dx + ((wide)blockIdx.x * at.w + o) * at.c + channel, sum);
        }
}

template <int V>
struct WindowOfMeans {
    const real* __restrict__ dy;
    Pack<V> gradient;
    __device__ void fetch(wide place, int row, int column, const Images& at) {
        real m = taps(row, at.kh, at.h) * taps(column, at.kw, at.w);
        gradient = load<V>(dy + place);
        for (int v = 0; v < V; v++) gradient.at[v] /= m;
    }
    __device__ void is_not_there() { gradient = all<V>(0); }
    __device__ Pack<V> of(int) const { return gradient; }
};

template <int V>
__device__ void spread_means(const real* __restrict__ dy, real* __restrict__ dx, const Images& at) {
    spread<V>(WindowOfMeans<V>{dy, {}}, dx, at);
}

#define WINDOWS                                                                                    \
    int oh, int ow, int h, int w, int c, int kh, int kw, int sh, int sw, int top, int left

// A window of up to 256 pixels has its argmax in a byte, a larger one in 32 bits.
#define MAX_POOL(suffix, Index)                                                                    \
    extern "C" __global__ void __launch_bounds__(256, 3) max_pool_##suffix(                        \
        const real* __restrict__ x, real* __restrict__ y, Index* __restrict__ argmax, WINDOWS,     \
        int packed) {                                                                              \
        Images at = {oh, ow, h, w, c, kh, kw, sh, sw, top, left};                                  \
        EACH_KIND(maxima, maxima, x, y, argmax)                                                    \
    }                                                                                              \
    extern "C" __global__ void __launch_bounds__(256, 3) max_pool_backward_##suffix(               \
        const real* __restrict__ dy, const real* __restrict__ y, const Index* __restrict__ argmax, \
        real* __restrict__ dx, WINDOWS, int packed) {                                              \
        Images at = {oh, ow, h, w, c, kh, kw, sh, sw, top, left};                                  \
        EACH_KIND(spread_maxima, maxima_backward, dy, y, argmax, dx)                               \
    }
MAX_POOL(uint8, unsigned char)
MAX_POOL(uint32, unsigned)

extern "C" __global__ void __launch_bounds__(256, 3)
average_pool(const real* __restrict__ x, real* __restrict__ y, WINDOWS, int packed) {
    Images at = {oh, ow, h, w, c, kh, kw, sh, sw, top, left};
    EACH_KIND(means, means, x, y)
}

extern "C" __global__ void __launch_bounds__(256, 3)
average_pool_backward(const real* __restrict__ dy, real* __restrict__ dx, WINDOWS, int packed) {
    Images at = {oh, ow, h, w, c, kh, kw, sh, sw, top, left};
    EACH_KIND(spread_means, means_backward, dy, dx)
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
