// What stands around a matrix product, where every row is a sample or a window:
//
//   add_bias      y[r, u] += b[u], and then, where asked for, y = max(y, 0)
//   column_sums   db[u] = sum_r dy[r, u]
//
// Threads.  add_bias: a block is bx columns times by rows, and a thread takes four columns at a time where
// they are a multiple of 4. column_sums: the threads of such a block walk down the rows of a slab
// (blockIdx.y) in steps of by and are then summed. More than one slab leave partial sums, whose rows
// add_slabs adds up in the same way.

template <int V>
__device__ void add_to_rows(
    real* __restrict__ y, const real* __restrict__ b, wide rows, int columns, int relu) {
    EACH_ROW(row, rows)
        for (int u = threadIdx.x * V; u < columns; u += blockDim.x * V) {
            Pack<V> sum = load<V>(y + row * columns + u), bias = load<V>(b + u);
            for (int v = 0; v < V; v++) {
                sum.at[v] += bias.at[v];
                if (relu && sum.at[v] <= 0) sum.at[v] = 0;  // a NaN stays
            }
            store<V>(y + row * columns + u, sum);
        }
}

extern "C" __global__ void __launch_bounds__(256, 3)
add_bias(real* __restrict__ y, const real* __restrict__ b, wide rows, int columns, int relu, int packed) {
    if (packed)
        add_to_rows<4>(y, b, rows, columns, relu);
    else
        add_to_rows<1>(y, b, rows, columns, relu);
}

template <class T>
struct Entry {
    const T* matrix;
    int columns, column;
    __device__ double operator()(wide row) const { return matrix[row * columns + column]; }
};

extern "C" __global__ void __launch_bounds__(256, 3) column_sums(
    const real* __restrict__ dy, wide rows, int columns, double* __restrict__ partial,
    real* __restrict__ db) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    Slab slab(exists ? rows : 0);
    double sum = sum_rows<double>(Entry<real>{dy, columns, column}, slab.first, slab.end);
    if (!exists || threadIdx.y > 0) return;
    if (gridDim.y == 1)
        db[column] = sum;
    else
        partial[(wide)blockIdx.y * columns + column] = sum;
}

// The columns from ``end`` on are those of another array.
extern "C" __global__ void __launch_bounds__(256, 3) add_slabs(
    const double* __restrict__ partial, int slabs, int columns, real* __restrict__ sums, int end,
    real* __restrict__ rest) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    double sum = sum_rows<double>(Entry<double>{partial, columns, column}, 0, exists ? slabs : 0);
    if (!exists || threadIdx.y > 0) return;
    if (column < end)
        sums[column] = sum;
    else
        rest[column - end] = sum;
}
