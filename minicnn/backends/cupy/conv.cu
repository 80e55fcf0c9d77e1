// Convolution by matrix product: every window of the image becomes a row of a matrix, and back.
//
//   im2col   cols[(n, r, q), (i, j, c)] = x[n, r s + i d - top, q s + j d - left, c],  0 off the image
//   col2im   dx[n, p, o, c] = sum of cols[(n, r, q), (i, j, c)] over all taps (i, j) of all windows
//            (r, q) that lie on the pixel:  r s + i d - top = p  and  q s + j d - left = o
//
// conv.py has the derivation: y = cols W, dW = cols^T dy, and dx is col2im of dy W^T.
//
// Threads.  im2col: a block is 8 windows (y) times 32 (x); the 32 threads of a window walk along its row
// of the matrix, so that they write neighbouring numbers. col2im: a thread for every number of dx. It
// *gathers*: seen from the pixel, the windows are known, so that no two threads add to one number, no
// atomics are needed, and the order of the sum never changes.
//
// V = 4 where the channels are a multiple of 4: a thread moves 4 channels at once. A group of a grouped
// convolution is the c channels from ``first`` on, of ``channels`` in all.

template <int V>
__device__ void im2col_rows(
    const real* __restrict__ x, real* __restrict__ cols, int windows, int oh, int ow, int h, int w,
    int channels, int first, int c, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left) {
    int window = blockIdx.x * blockDim.y + threadIdx.y;
    if (window >= windows) return;
    int q = window % ow, r = window / ow % oh, n = window / ow / oh;
    const real* image = x + (wide)n * h * w * channels + first;
    real* row = cols + (wide)window * kh * kw * c;
    int run = c / V;
    for (int k = threadIdx.x; k < kh * kw * run; k += blockDim.x) {
        int tap = k / run, channel = (k - tap * run) * V;
        int i = tap / kw, j = tap - i * kw;
        int p = r * sh + i * dh - top, o = q * sw + j * dw - left;
        Pack<V> pack = {};
        if (p >= 0 && p < h && o >= 0 && o < w)
            pack = load<V>(image + ((wide)p * w + o) * channels + channel);
        store<V>(row + (wide)k * V, pack);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) im2col(
    const real* __restrict__ x, real* __restrict__ cols, int windows, int oh, int ow, int h, int w,
    int channels, int first, int c, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left,
    int packed) {
    if (packed)
        im2col_rows<4>(x, cols, windows, oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw,
                       top, left);
    else
        im2col_rows<1>(x, cols, windows, oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw,
                       top, left);
}

template <int V>
__device__ void col2im_pixels(
    const real* __restrict__ cols, real* __restrict__ dx, int images, int oh, int ow, int h, int w,
    int channels, int first, int c, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left) {
    int run = c / V;
    EACH_INT(index, images * h * w * run) {
        int pixel = index / run, channel = index % run * V;
        int o = pixel % w, p = pixel / w % h, n = pixel / w / h;
        Pack<V> sum = {};
        for (int i = 0; i < kh; i++) {
            int row = p + top - i * dh, r = row / sh;  // the window with tap i on row p, if any
            if (row < 0 || r >= oh || r * sh != row) continue;
            for (int j = 0; j < kw; j++) {
                int column = o + left - j * dw, q = column / sw;
                if (column < 0 || q >= ow || q * sw != column) continue;
                wide window = ((wide)n * oh + r) * ow + q;
                Pack<V> part = load<V>(cols + ((window * kh + i) * kw + j) * c + channel);
                for (int v = 0; v < V; v++) sum.at[v] += part.at[v];
            }
        }
        store<V>(dx + (wide)pixel * channels + first + channel, sum);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) col2im(
    const real* __restrict__ cols, real* __restrict__ dx, int images, int oh, int ow, int h, int w,
    int channels, int first, int c, int kh, int kw, int sh, int sw, int dh, int dw, int top, int left,
    int packed) {
    if (packed)
        col2im_pixels<4>(cols, dx, images, oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw,
                         top, left);
    else
        col2im_pixels<1>(cols, dx, images, oh, ow, h, w, channels, first, c, kh, kw, sh, sw, dh, dw,
                         top, left);
}
