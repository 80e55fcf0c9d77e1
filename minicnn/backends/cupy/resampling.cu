// Images with a border of zeros, cropped, or made larger. All are linear, y = A x, and dx = A^T dy.
//
//   shift      y[n, r, q, c] = x[n, r + top, q + left, c], and 0 where that is off the image: a crop cuts
//              off top and left, a border has them negative; each is the other's backward
//   nearest    y[n, r, q, c] = x[n, r / fh, q / fw, c];    backward: the sum over the fh x fw copies
//   bilinear   y[r] = sum_p A[r, p] x[p] along both axes, with A[r, p] = max(0, 1 - |u_r - p|) and
//              u_r = (r + 1/2) / f - 1/2, kept within 0 and n - 1: the textbook's linear_weights
//
// Threads.  One for every number of the result; the backward kernels gather, too.


extern "C" __global__ void __launch_bounds__(256, 3) shift(
    const real* __restrict__ x, real* __restrict__ y, int images, int oh, int ow, int h, int w, int c,
    int top, int left) {
    EACH_INT(index, images * oh * ow * c) {
        int pixel = index / c, channel = index % c;
        int q = pixel % ow + left, r = pixel / ow % oh + top, n = pixel / ow / oh;
        bool inside = r >= 0 && r < h && q >= 0 && q < w;
        y[index] = inside ? x[(((wide)n * h + r) * w + q) * c + channel] : 0;
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) nearest(
    const real* __restrict__ x, real* __restrict__ y, int images, int h, int w, int c, int fh, int fw) {
    int oh = h * fh, ow = w * fw;
    EACH_INT(index, images * oh * ow * c) {
        int pixel = index / c, channel = index % c;
        int q = pixel % ow, r = pixel / ow % oh, n = pixel / ow / oh;
        y[index] = x[(((wide)n * h + r / fh) * w + q / fw) * c + channel];
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) nearest_backward(
    const real* __restrict__ dy, real* __restrict__ dx, int images, int h, int w, int c, int fh, int fw) {
    EACH_INT(index, images * h * w * c) {
        int pixel = index / c, channel = index % c;
        int o = pixel % w, p = pixel / w % h, n = pixel / w / h;
        real sum = 0;
        for (int r = p * fh; r < (p + 1) * fh; r++)
            for (int q = o * fw; q < (o + 1) * fw; q++)
                sum += dy[(((wide)n * h * fh + r) * w * fw + q) * c + channel];
        dx[index] = sum;
    }
}

// u_r: where the middle of the new pixel r lies, in old pixels.
__device__ inline double middle(int r, int factor, int n) {
    double u = (r + 0.5) / factor - 0.5;
    return u < 0 ? 0 : (u > n - 1 ? n - 1 : u);
}

__device__ inline double weight(int r, int p, int factor, int n) {
    double nearness = 1 - fabs(middle(r, factor, n) - p);
    return nearness > 0 ? nearness : 0;
}

extern "C" __global__ void __launch_bounds__(256, 3) bilinear(
    const real* __restrict__ x, real* __restrict__ y, int images, int h, int w, int c, int fh, int fw) {
    int oh = h * fh, ow = w * fw;
    EACH_INT(index, images * oh * ow * c) {
        int pixel = index / c, channel = index % c;
        int q = pixel % ow, r = pixel / ow % oh, n = pixel / ow / oh;
        int p = (int)middle(r, fh, h), o = (int)middle(q, fw, w);
        real sum = 0;
        for (int i = p; i < min(p + 2, h); i++)
            for (int j = o; j < min(o + 2, w); j++)
                sum += (real)(weight(r, i, fh, h) * weight(q, j, fw, w)) *
                       x[(((wide)n * h + i) * w + j) * c + channel];
        y[index] = sum;
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) bilinear_backward(
    const real* __restrict__ dy, real* __restrict__ dx, int images, int h, int w, int c, int fh, int fw) {
    EACH_INT(index, images * h * w * c) {
        int pixel = index / c, channel = index % c;
        int o = pixel % w, p = pixel / w % h, n = pixel / w / h;
        real sum = 0;
        // u_r is less than 1 from p for these r, and for the outermost p for those beyond it.
        for (int r = max(0, (p - 1) * fh); r < min(h * fh, (p + 2) * fh); r++) {
            double along_h = weight(r, p, fh, h);
            for (int q = max(0, (o - 1) * fw); q < min(w * fw, (o + 2) * fw); q++)
                sum += (real)(along_h * weight(q, o, fw, w)) *
                       dy[(((wide)n * h * fh + r) * w * fw + q) * c + channel];
        }
        dx[index] = sum;
    }
}
