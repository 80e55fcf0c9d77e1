// Convolution by matrix product: every window of the image becomes a row of a matrix, and back.
//
//   im2col   cols[(n, r, q), (i, j, c)] = x[n, r s + i d - top, q s + j d - left, c],  0 off the image
//   col2im   dx[n, p, o, c] = sum of cols[(n, r, q), (i, j, c)] over all taps (i, j) of all windows
//            (r, q) that lie on the pixel:  r s + i d - top = p  and  q s + j d - left = o
//
// conv.py has the derivation: y = cols W, dW = cols^T dy, and dx is col2im of dy W^T.
//
// Threads.  A block for a row of pixels or windows of one image, y along the row (EACH_COLUMN). im2col: the
// threads in x walk along a window's row of the matrix, so that they write neighbouring numbers; where in
// the window theirs are, they find out once for all windows. col2im: those in x have the channels of a
// pixel. It *gathers*: seen from the pixel, the windows are known, so that no two threads add to one
// number, no atomics are needed, and the order of the sum never changes.
//
// V = 4 where the channels are a multiple of 4: a thread moves 4 channels at once. A group of a grouped
// convolution is the c channels from ``first`` on, of ``channels`` in all.

struct Images {  // where the windows stand
    int oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw, top, left;
};

// The usual windows, of 3x3 pixels that lie side by side, with constants for their sizes: so the compiler
// divides by none of them, and unrolls the loops, and all numbers are fetched before the first is added.
__device__ inline Images three_by_three(Images at) {
    at.kh = at.kw = 3;
    at.sh = at.sw = at.dh = at.dw = 1;
    return at;
}

__device__ inline bool are_three_by_three(const Images& at) {
    return at.kh == 3 && at.kw == 3 && at.sh == 1 && at.sw == 1 && at.dh == 1 && at.dw == 1;
}

template <int V>
__device__ void im2col_rows(const real* __restrict__ x, real* __restrict__ cols, const Images& at) {
    int r = blockIdx.x % at.oh, n = blockIdx.x / at.oh, size = at.kh * at.kw * at.c;
    const real* image = x + (wide)n * at.h * at.w * at.channels + at.first;
    real* rows = cols + (wide)blockIdx.x * at.ow * size;
    EACH_CHANNEL(k, V, size) {
        int tap = k / at.c, channel = k - tap * at.c, i = tap / at.kw, j = tap - i * at.kw;
        int p = r * at.sh + i * at.dh - at.top, start = j * at.dw - at.left;
        const real* row = image + (wide)p * at.w * at.channels + channel;
        bool exists = p >= 0 && p < at.h;
        EACH_COLUMN(q, at.ow) {
            int o = q * at.sw + start;
            Pack<V> pack = {};
            if (exists && o >= 0 && o < at.w) pack = load<V>(row + (wide)o * at.channels);
            store<V>(rows + (wide)q * size + k, pack);
        }
    }
}

template <int V>
__device__ void col2im_pixels(const real* __restrict__ cols, real* __restrict__ dx, const Images& at) {
    int p = blockIdx.x % at.h, n = blockIdx.x / at.h;
    const real* image = cols + (wide)n * at.oh * at.ow * at.kh * at.kw * at.c;
    EACH_CHANNEL(channel, V, at.c)
        EACH_COLUMN(o, at.w) {
            Pack<V> sum = {};
            for (int i = 0; i < at.kh; i++) {
                int row = p + at.top - i * at.dh, r = row / at.sh;  // the window with tap i on row p
                bool exists = row >= 0 && r < at.oh && r * at.sh == row;
                for (int j = 0; j < at.kw; j++) {
                    int column = o + at.left - j * at.dw, q = column / at.sw;
                    wide tap = (((wide)r * at.ow + q) * at.kh + i) * at.kw + j;
                    Pack<V> part = {};
                    if (exists && column >= 0 && q < at.ow && q * at.sw == column)
                        part = load<V>(image + tap * at.c + channel);
                    for (int v = 0; v < V; v++) sum.at[v] += part.at[v];
                }
            }
            wide pixel = (wide)blockIdx.x * at.w + o;
            store<V>(dx + pixel * at.channels + at.first + channel, sum);
        }
}

#define WINDOWS                                                                                    \
    int oh, int ow, int h, int w, int channels, int first, int c, int kh, int kw, int sh, int sw,  \
        int dh, int dw, int top, int left

extern "C" __global__ void __launch_bounds__(256, 3)
im2col(const real* __restrict__ x, real* __restrict__ cols, WINDOWS, int packed) {
    Images at = {oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw, top, left};
    if (packed)
        im2col_rows<4>(x, cols, at);
    else
        im2col_rows<1>(x, cols, at);
}

extern "C" __global__ void __launch_bounds__(256, 3)
col2im(const real* __restrict__ cols, real* __restrict__ dx, WINDOWS, int packed) {
    Images at = {oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw, top, left};
    if (packed && are_three_by_three(at))
        col2im_pixels<4>(cols, dx, three_by_three(at));
    else if (packed)
        col2im_pixels<4>(cols, dx, at);
    else if (are_three_by_three(at))
        col2im_pixels<1>(cols, dx, three_by_three(at));
    else
        col2im_pixels<1>(cols, dx, at);
}
