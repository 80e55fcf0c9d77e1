// What is said about a batch:
//
//   mean_loss    L = sum_i values[i] / count,   dL = gradients / count
//   matches      1 where the largest of a row of t stands where the largest of a row of p does, else 0;
//                or where the largest of p stands at the label
//   add_to_mean  total += each sum_i values[i],   count += each n
//
// Of equal numbers the first counts as the largest, and a NaN is larger than any number.
//
// Threads.  matches: one for each row, which has few numbers. Sums: those of one block, in y, so that they
// are added up in an order that never changes (sum_rows). mean_loss: the first block does that, and
// all of them have a thread for each gradient.

struct Value {
    const real* values;
    __device__ double operator()(wide i) const { return values[i]; }
};

extern "C" __global__ void __launch_bounds__(256, 3) mean_loss(
    const real* __restrict__ values, const real* __restrict__ gradients, real* __restrict__ total,
    real* __restrict__ scaled, wide rows, wide n, double count) {
    if (blockIdx.x == 0) {
        double sum = sum_rows<double>(Value{values}, 0, rows);
        if (threadIdx.y == 0) *total = sum / count;
    }
    real scale = 1 / count;
    wide threads = (wide)gridDim.x * blockDim.y;
    for (wide i = blockIdx.x * (wide)blockDim.y + threadIdx.y; i < n; i += threads)
        scaled[i] = gradients[i] * scale;
}

__device__ inline int largest(const real* row, int columns) {
    int place = 0;
    for (int k = 1; k < columns; k++)
        if (!(row[k] <= row[place]) && row[place] == row[place]) place = k;
    return place;
}

extern "C" __global__ void __launch_bounds__(256, 3) categorical_matches(
    const real* __restrict__ t, const real* __restrict__ p, float* __restrict__ matches, wide rows,
    int columns) {
    EACH(row, rows)
        matches[row] = largest(t + row * columns, columns) == largest(p + row * columns, columns);
}

extern "C" __global__ void __launch_bounds__(256, 3) sparse_matches(
    const int* __restrict__ labels, const real* __restrict__ p, float* __restrict__ matches, wide rows,
    int columns) {
    EACH(row, rows) matches[row] = labels[row] == largest(p + row * columns, columns);
}

extern "C" __global__ void __launch_bounds__(256, 3) add_to_mean(
    real* total, real* count, const real* __restrict__ values, wide n, double each) {
    double sum = sum_rows<double>(Value{values}, 0, n);
    if (threadIdx.y > 0) return;
    *total += (real)(each * sum);
    *count += (real)(each * n);
}
