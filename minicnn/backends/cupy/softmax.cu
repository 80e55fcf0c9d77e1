// Softmax and cross-entropy, row by row. With m = max_k z_k, one maximum for each row,
//
//   p_k = exp(z_k - m) / sum_j exp(z_j - m),      log p_k = z_k - m - log sum_j exp(z_j - m)
//
//   softmax backward       dz_k = y_k (dy_k - sum_j y_j dy_j)
//   log_softmax backward   dz_k = dy_k - exp(y_k) sum_j dy_j
//   cross-entropy          value = -sum_k t_k log p_k,   dz_k = p_k sum_j t_j - t_k
//   the same by label      value = -log p_label,         dz_k = p_k - [k = label];  0 if label is no class
//
// No exponent is positive, so nothing overflows; the sum is at least 1, so its logarithm is finite.
//
// Threads.  A warp for each row, blockDim.y rows a block; its 32 threads walk along the row and then
// exchange their sums (warp_sum).

#define LANES(k, columns) for (int k = threadIdx.x; k < (columns); k += 32)

__device__ inline real row_max(const real* z, int columns) {
    real m = -INFINITE;
    LANES(k, columns) m = z[k] > m ? z[k] : m;
    return warp_max(m);
}

__device__ inline real row_total(const real* z, int columns, real m) {
    real total = 0;
    LANES(k, columns) total += exp(z[k] - m);
    return warp_sum(total);
}

extern "C" __global__ void __launch_bounds__(128, 6)
softmax(const real* __restrict__ z, real* __restrict__ y, wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real* at = z + row * columns;
        real m = row_max(at, columns), total = row_total(at, columns, m);
        LANES(k, columns) y[row * columns + k] = exp(at[k] - m) / total;
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) softmax_backward(
    const real* __restrict__ dy, const real* __restrict__ y, real* __restrict__ dz, wide rows,
    int columns) {
    EACH_ROW(row, rows) {
        const real *d = dy + row * columns, *at = y + row * columns;
        real along = 0;
        LANES(k, columns) along += at[k] * d[k];
        along = warp_sum(along);
        LANES(k, columns) dz[row * columns + k] = at[k] * (d[k] - along);
    }
}

extern "C" __global__ void __launch_bounds__(128, 6)
log_softmax(const real* __restrict__ z, real* __restrict__ y, wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real* at = z + row * columns;
        real m = row_max(at, columns), logarithm = log(row_total(at, columns, m));
        LANES(k, columns) y[row * columns + k] = at[k] - m - logarithm;
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) log_softmax_backward(
    const real* __restrict__ dy, const real* __restrict__ y, real* __restrict__ dz, wide rows,
    int columns) {
    EACH_ROW(row, rows) {
        const real *d = dy + row * columns, *at = y + row * columns;
        real total = 0;
        LANES(k, columns) total += d[k];
        total = warp_sum(total);
        LANES(k, columns) dz[row * columns + k] = d[k] - exp(at[k]) * total;
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) cross_entropy(
    const real* __restrict__ z, const real* __restrict__ t, real* __restrict__ values,
    real* __restrict__ p, wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real *at = z + row * columns, *target = t + row * columns;
        real m = row_max(at, columns), total = row_total(at, columns, m), logarithm = log(total);
        real value = 0;
        LANES(k, columns) {
            value -= target[k] * (at[k] - m - logarithm);
            p[row * columns + k] = exp(at[k] - m) / total;
        }
        value = warp_sum(value);
        if (threadIdx.x == 0) values[row] = value;
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) cross_entropy_backward(
    const real* __restrict__ p, const real* __restrict__ t, real* __restrict__ dz, wide rows,
    int columns) {
    EACH_ROW(row, rows) {
        const real *at = p + row * columns, *target = t + row * columns;
        real total = 0;
        LANES(k, columns) total += target[k];
        total = warp_sum(total);
        LANES(k, columns) dz[row * columns + k] = at[k] * total - target[k];
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) sparse_cross_entropy(
    const real* __restrict__ z, const int* __restrict__ labels, real* __restrict__ values,
    real* __restrict__ p, wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real* at = z + row * columns;
        real m = row_max(at, columns), total = row_total(at, columns, m);
        int label = labels[row];
        bool is_class = label >= 0 && label < columns;
        LANES(k, columns) p[row * columns + k] = exp(at[k] - m) / total;
        if (threadIdx.x == 0) values[row] = is_class ? log(total) - (at[label] - m) : 0;
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) sparse_cross_entropy_backward(
    const real* __restrict__ p, const int* __restrict__ labels, real* __restrict__ dz, wide rows,
    int columns) {
    EACH_ROW(row, rows) {
        int label = labels[row];
        bool is_class = label >= 0 && label < columns;
        LANES(k, columns) {
            wide place = row * columns + k;
            dz[place] = is_class ? p[place] - (k == label) : 0;
        }
    }
}
