// What all kernels share. This text stands before every .cu file when it is compiled (kernels.py), once
// with REAL = float and once with REAL = double.
//
// Words used in all files: a *grid* of blocks runs a kernel, a *block* is up to 1024 threads that share
// memory and can wait for each other, a *warp* 32 of them that go in step and can exchange registers.

typedef REAL real;
typedef long long wide;  // for sizes and places that may pass 2^31
#define INFINITE ((real)__int_as_float(0x7f800000))

// for (i = 0; i < n; i++), dealt out to all threads of the grid. n is below 2^31 for EACH_INT, whose i
// is quickly divided. A thread seldom has more than one element, and to unroll the loop it would have to
// divide first, to know how many.
#define ONE_AT_A_TIME _Pragma("unroll 1")
#define EACH(i, n)                                                                  \
    ONE_AT_A_TIME for (wide i = blockIdx.x * (wide)blockDim.x + threadIdx.x; i < (n);             \
         i += (wide)gridDim.x * blockDim.x)
#define EACH_INT(i, n)                                                              \
    ONE_AT_A_TIME for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x;          \
                       i < (unsigned)(n); i += gridDim.x * blockDim.x)

// The same for the rows of a matrix: threadIdx.y and the blocks deal with the rows, threadIdx.x is left
// for the columns, so that nobody has to divide.
#define EACH_ROW(row, rows)                                                         \
    ONE_AT_A_TIME for (wide row = blockIdx.x * (wide)blockDim.y + threadIdx.y;      \
                       row < (rows); row += (wide)gridDim.x * blockDim.y)

// The same for images: blockIdx.x is a row of pixels of one of them, whose columns are dealt out to
// threadIdx.y and blockIdx.y, and the channels of a pixel, V at a time, to threadIdx.x. Only the row has
// to be divided into image and row, and all threads of a block have the same.
#define EACH_COLUMN(q, columns)                                                     \
    ONE_AT_A_TIME for (int q = blockIdx.y * blockDim.y + threadIdx.y;               \
                       q < (columns); q += gridDim.y * blockDim.y)
#define EACH_CHANNEL(k, V, channels)                                                \
    ONE_AT_A_TIME for (int k = threadIdx.x * (V); k < (channels); k += blockDim.x * (V))

// A parameter that is a number in an ordinary step, and lives on the device in a recorded one, which
// could otherwise never change it (recording.py): the cell's content, if there is a cell.
template <class T>
__device__ T number(T value, const T* cell) {
    return cell ? *cell : value;
}

// -- V numbers that lie side by side, moved by one instruction (4 floats are 16 bytes) ------------

template <int V>
struct alignas(V * sizeof(real) < 16 ? V * sizeof(real) : 16) Pack {
    real at[V];
};

template <int V>
__device__ Pack<V> load(const real* p) {
    return *reinterpret_cast<const Pack<V>*>(p);
}

template <int V>
__device__ void store(real* p, const Pack<V>& pack) {
    *reinterpret_cast<Pack<V>*>(p) = pack;
}

// -- sums in an order that never changes, so that two runs are equal to the bit -------------------

// The sum over the 32 lanes of a warp, in every lane: five exchanges with the lane whose number
// differs in one bit.
template <class T>
__device__ T warp_sum(T value) {
    for (int bit = 16; bit > 0; bit /= 2) value += __shfl_xor_sync(0xffffffffu, value, bit);
    return value;
}

template <class T>
__device__ T warp_max(T value) {
    for (int bit = 16; bit > 0; bit /= 2) {
        T other = __shfl_xor_sync(0xffffffffu, value, bit);
        value = other > value ? other : value;
    }
    return value;
}

// Two sums at a time.
struct Two {
    double a, b;
    __device__ void operator+=(const Two& other) {
        a += other.a;
        b += other.b;
    }
};

// The sum over threadIdx.y of a block, whose size in y is a power of two, for each threadIdx.x, in
// every thread: the upper half is added to the lower half until one is left.
template <class T>
__device__ T block_sum(T mine) {
    __shared__ T part[256];
    int place = threadIdx.y * blockDim.x + threadIdx.x;
    __syncthreads();  // the block may have been here before
    part[place] = mine;
    __syncthreads();
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        if ((int)threadIdx.y < half) part[place] += part[place + half * blockDim.x];
        __syncthreads();
    }
    return part[threadIdx.x];
}

// The rows of a matrix that this block sums: blockIdx.y counts equal slabs of them.
struct Slab {
    wide first, end;
    __device__ Slab(wide rows) {
        wide size = (rows + gridDim.y - 1) / gridDim.y;
        first = min(blockIdx.y * size, rows);
        end = min(first + size, rows);
    }
};

// sum of term(row) over first <= row < end, by all threads of the block with one threadIdx.x. In
// double: a float32 sum of 50,000 numbers of one sign loses two of its seven digits. Eight terms at a
// time are fetched before they are added.
template <class T, class Term>
__device__ T sum_rows(const Term& term, wide first, wide end) {
    T mine = T();
#pragma unroll 8
    for (wide row = first + threadIdx.y; row < end; row += blockDim.y) mine += term(row);
    return block_sum(mine);
}
