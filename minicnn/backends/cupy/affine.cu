// Pictures seen through an affine map: y[n, r, q] = x[n] at the place (u, v) = A[n] (r, q, 1). Between
// pixels the nearest one, or bilinear; beyond the border as fill_mode says. Mathematics: the textbook's
// affine.py. Places are computed in double whatever x is, as there.
//
// Threads.  Forward: one for every number of y, channels side by side. Backward: one for every channel of
// an image, which goes over the pixels of dy in their order. That is slow, as a few hundred threads leave
// most of a GPU idle. But a pixel of x may be wanted from anywhere in y, and to add up atomically would
// make two runs differ; and such a layer stands before all weights, where nobody asks for dx.

enum { CONSTANT, NEAREST, REFLECT, WRAP };  // as in FILL_MODES

// The pixel of an axis of n that stands at p, which may lie beyond the border; -1 for none.
__device__ inline int filled(wide p, int n, int fill_mode) {
    if (p >= 0 && p < n) return (int)p;
    if (fill_mode == CONSTANT) return -1;
    if (fill_mode == NEAREST) return p < 0 ? 0 : n - 1;
    int period = fill_mode == WRAP ? n : 2 * n, i = (int)(p % period);
    i = i < 0 ? i + period : i;
    return i < n ? i : 2 * n - 1 - i;
}

// The two pixels of an axis of n around u, and the second one's weight.
struct Around {
    int pixel[2];
    double weight[2];
    __device__ Around(double u, int n, int bilinear, int fill_mode) {
        double below = bilinear ? floor(u) : trunc(u + copysign(0.5, u));
        weight[1] = bilinear ? u - below : 0;
        weight[0] = 1 - weight[1];
        for (int i = 0; i < 1 + bilinear; i++) pixel[i] = filled((wide)below + i, n, fill_mode);
    }
};

__device__ inline double place(const double* row, int r, int q) { return row[0] * r + row[1] * q + row[2]; }

extern "C" __global__ void __launch_bounds__(256, 3) affine(
    const real* __restrict__ x, const double* __restrict__ A, real* __restrict__ y, int images, int matrices,
    int oh, int ow, int h, int w, int c, int bilinear, int fill_mode, real fill_value) {
    EACH_INT(index, images * oh * ow * c) {
        int pixel = index / c, channel = index % c;
        int q = pixel % ow, r = pixel / ow % oh, n = pixel / ow / oh;
        const double* of_image = A + n % matrices * 6;
        Around u(place(of_image, r, q), h, bilinear, fill_mode);
        Around v(place(of_image + 3, r, q), w, bilinear, fill_mode);
        real sum = 0;
        for (int i = 0; i < 1 + bilinear; i++)
            for (int j = 0; j < 1 + bilinear; j++) {
                int p = u.pixel[i], o = v.pixel[j];
                real value = p < 0 || o < 0 ? fill_value : x[(((wide)n * h + p) * w + o) * c + channel];
                sum += (real)(u.weight[i] * v.weight[j]) * value;
            }
        y[index] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) affine_backward(
    const real* __restrict__ dy, const double* __restrict__ A, real* __restrict__ dx, int images, int matrices,
    int oh, int ow, int h, int w, int c, int bilinear, int fill_mode) {
    EACH_INT(index, images * c) {
        int n = index / c, channel = index % c;
        const double* of_image = A + n % matrices * 6;
        real* mine = dx + (wide)n * h * w * c + channel;
        for (int pixel = 0; pixel < h * w; pixel++) mine[(wide)pixel * c] = 0;
        for (int pixel = 0; pixel < oh * ow; pixel++) {
            int q = pixel % ow, r = pixel / ow;
            Around u(place(of_image, r, q), h, bilinear, fill_mode);
            Around v(place(of_image + 3, r, q), w, bilinear, fill_mode);
            real given = dy[((wide)n * oh * ow + pixel) * c + channel];
            for (int i = 0; i < 1 + bilinear; i++)
                for (int j = 0; j < 1 + bilinear; j++) {
                    int p = u.pixel[i], o = v.pixel[j];
                    if (p >= 0 && o >= 0)
                        mine[((wide)p * w + o) * c] += (real)(u.weight[i] * v.weight[j]) * given;
                }
        }
    }
}
