// Convolution as a product of matrices, of which one, that of all windows, is never in memory:
//
//   y[m, f]  = sum over k of cols[m, k] W[k, f],  plus b[f], and then max(y, 0), where asked for
//   dW[k, f] = sum over m of cols[m, k] dy[m, f],   db[f] = sum over m of dy[m, f]
//
//   cols[m, k] = x[n, r sh + i dh - top, q sw + j dw - left, c],  0 off the image,
//   with a window m = (n, r, q) and a number in it k = (i, j, c)
//
// Where windows are one pixel apart, dx is such a product, too: of the windows of dy, mirrored (dh, dw,
// top and left are negative), and of W with channels and filters exchanged. implicit_gemm.py says when.
//
// Threads.  A block makes a tile of the result, M rows times F columns, with M threads; each of them
// sums 8 rows times F / 8 columns, in registers. The sum goes on DEPTH numbers at a time: they are
// brought to shared memory by all threads, a piece each, and the next ones are already under way while
// these are multiplied. blockIdx.x and y count the tiles, blockIdx.z the slabs of windows for dW; these
// leave partial sums that add_slabs (dense.cu) adds up, in an order that never changes.
//
// V, U: how many numbers a thread brings at once of cols, and of dy: 4 where channels, or filters, are a
// multiple of 4. For y and dx V stands for both.

const int DEPTH = 8;
// So many blocks of a kernel a multiprocessor shall hold at once: a double takes two registers.
const int FOUR_OR_TWO = sizeof(real) == 4 ? 4 : 2, TWELVE_OR_EIGHT = sizeof(real) == 4 ? 12 : 8;

template <int M, int F>
struct Tiles {  // two of each: one is filled while the other is read. 4 more keep banks apart
    alignas(16) real a[2][DEPTH][M + 4];
    alignas(16) real b[2][DEPTH][F + 4];
};

struct Images {
    const real* x;
    int oh, ow, h, w, c, kh, kw, sh, sw, dh, dw, top, left;
};

// A number k in all windows: channel c of tap (i, j).
struct Tap {
    int i, j, channel;
    __device__ Tap(int k, const Images& s) {
        int tap = k / s.c;
        channel = k - tap * s.c;
        i = tap / s.kw;
        j = tap - i * s.kw;
    }
    __device__ void advance(int numbers, const Images& s) {
        for (channel += numbers; channel >= s.c; channel -= s.c)
            if (++j == s.kw) {
                j = 0;
                i++;
            }
    }
};

// A window: its image, and where its first tap lies, on a row that is NOWHERE if there is no window.
const int NOWHERE = -(1 << 30);
struct Window {
    wide image;
    int row, column;
};

template <int V>
__device__ Pack<V> pixel(const Images& s, const Window& of, const Tap& tap) {
    int p = of.row + tap.i * s.dh, o = of.column + tap.j * s.dw;
    if (tap.i < s.kh && p >= 0 && p < s.h && o >= 0 && o < s.w)
        return load<V>(s.x + (of.image + (wide)p * s.w + o) * s.c + tap.channel);
    return Pack<V>();
}

// -- what a thread brings to shared memory at each step -----------------------------------------------

// DEPTH columns of cols, for M windows: a thread always brings the same of them, for several windows.
template <int M, int V>
struct ColumnsOfWindows {
    static const int LANES = DEPTH / V;
    const Images& s;
    const Window* windows;
    Tap tap;
    Pack<V> mine[LANES];
    __device__ ColumnsOfWindows(const Images& s, const Window* windows)
        : s(s), windows(windows), tap(threadIdx.x % LANES * V, s) {}
    __device__ void fetch() {
#pragma unroll
        for (int i = 0; i < LANES; i++)
            mine[i] = pixel<V>(s, windows[threadIdx.x / LANES + i * (M / LANES)], tap);
        tap.advance(DEPTH, s);
    }
    __device__ void put(real (*tile)[M + 4]) {
#pragma unroll
        for (int i = 0; i < LANES; i++)
#pragma unroll
            for (int v = 0; v < V; v++)
                tile[threadIdx.x % LANES * V + v][threadIdx.x / LANES + i * (M / LANES)] = mine[i].at[v];
    }
};

// DEPTH rows of cols, M columns of it: a thread always brings the same columns, of several windows.
// Behind the last column is one of ones, which makes db the last row of dW.
template <int M, int V>
struct RowsOfWindows {
    static const int LANES = DEPTH / V;
    const Images& s;
    Tap tap;
    real one;
    int left, r, q;  // how many windows are left, and the next one: r, q, and
    wide image;      // its image
    Pack<V> mine[LANES];
    __device__ RowsOfWindows(const Images& s, int k, int first, int end)
        : s(s), tap(k + threadIdx.x % (M / V) * V, s) {
        one = tap.i == s.kh && tap.j == 0 && tap.channel == 0;
        first += threadIdx.x / (M / V);
        left = end - first;
        q = first % s.ow;
        r = first / s.ow % s.oh;
        image = (wide)(first / s.ow / s.oh) * s.h * s.w;
    }
    __device__ void fetch() {
#pragma unroll
        for (int i = 0; i < LANES; i++) {
            Window window{image, left > 0 ? r * s.sh - s.top : NOWHERE, q * s.sw - s.left};
            mine[i] = pixel<V>(s, window, tap);
            mine[i].at[0] += one;
            left -= V;
            for (q += V; q >= s.ow; q -= s.ow)
                if (++r == s.oh) {
                    r = 0;
                    image += s.h * s.w;
                }
        }
    }
    __device__ void put(real (*tile)[M + 4]) {
#pragma unroll
        for (int i = 0; i < LANES; i++)
            store<V>(&tile[threadIdx.x / (M / V) + i * V][threadIdx.x % (M / V) * V], mine[i]);
    }
};

// DEPTH rows of a matrix of f columns, F columns of it: of W, or of dy.
template <int M, int F, int V>
struct Rows {
    static const int TURNS = DEPTH * F / M / V;
    const real* matrix;
    wide next, end;
    int column, f;
    Pack<V> mine[TURNS];
    __device__ Rows(const real* matrix, wide first, wide end, int column, int f)
        : matrix(matrix), next(first), end(end), column(column), f(f) {}
    __device__ void fetch() {
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int place = (threadIdx.x + i * M) * V;
            wide row = next + place / F;
            int u = column + place % F;
            mine[i] = row < end && u < f ? load<V>(matrix + row * f + u) : Pack<V>();
        }
        next += DEPTH;
    }
    __device__ void put(real (*tile)[F + 4]) {
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int place = (threadIdx.x + i * M) * V;
            store<V>(&tile[place / F][place % F], mine[i]);
        }
    }
};

// The same of W with channels and filters exchanged: W[i, j, u, k] for a column u.
template <int M, int F, int V>
struct ExchangedRows {
    static const int LANES = DEPTH / V, TURNS = DEPTH * F / M / V;
    const Images& s;
    const real* W;
    Tap tap;
    int column, f;
    Pack<V> mine[TURNS];
    __device__ ExchangedRows(const Images& s, const real* W, int column, int f)
        : s(s), W(W), tap(threadIdx.x % LANES * V, s), column(column), f(f) {}
    __device__ void fetch() {
#pragma unroll
        for (int i = 0; i < TURNS; i++) {
            int u = column + threadIdx.x / LANES + i * (M / LANES);
            mine[i] = tap.i < s.kh && u < f
                          ? load<V>(W + ((wide)(tap.i * s.kw + tap.j) * f + u) * s.c + tap.channel)
                          : Pack<V>();
        }
        tap.advance(DEPTH, s);
    }
    __device__ void put(real (*tile)[F + 4]) {
#pragma unroll
        for (int i = 0; i < TURNS; i++)
#pragma unroll
            for (int v = 0; v < V; v++)
                tile[threadIdx.x % LANES * V + v][threadIdx.x / LANES + i * (M / LANES)] = mine[i].at[v];
    }
};

// -- the product of a tile --------------------------------------------------------------------------

// sum[r][4 g + v] is that of row 8 (t / 8) + r and column 32 g + 4 (t % 8) + v of the tile.
template <int M, int F, class A, class B>
__device__ void multiply(Tiles<M, F>& tiles, A& a, B& b, int steps, real (&sum)[8][F / 8]) {
    int row = threadIdx.x / 8 * 8, column = threadIdx.x % 8 * 4;
    if (steps > 0) {
        a.fetch();
        b.fetch();
    }
    for (int step = 0; step < steps; step++) {
        auto tile_a = tiles.a[step % 2];
        auto tile_b = tiles.b[step % 2];
        a.put(tile_a);
        b.put(tile_b);
        __syncthreads();  // whoever is here has left the step before: its tiles may be filled next
        if (step + 1 < steps) {
            a.fetch();
            b.fetch();
        }
#pragma unroll
        for (int d = 0; d < DEPTH; d++) {
            Pack<4> left[2] = {load<4>(&tile_a[d][row]), load<4>(&tile_a[d][row + 4])};
#pragma unroll
            for (int g = 0; g < F / 32; g++) {
                Pack<4> right = load<4>(&tile_b[d][32 * g + column]);
#pragma unroll
                for (int r = 0; r < 8; r++)
#pragma unroll
                    for (int v = 0; v < 4; v++)
                        sum[r][4 * g + v] += left[r / 4].at[r % 4] * right.at[v];
            }
        }
    }
}

// Hand the tile to take(row, column, numbers), four at a time that lie side by side.
template <int F, class Take>
__device__ void each_four(int first_row, int rows, int first_column, int columns,
                          const real (&sum)[8][F / 8], const Take& take) {
#pragma unroll
    for (int r = 0; r < 8; r++) {
        int row = first_row + threadIdx.x / 8 * 8 + r;
        if (row >= rows) return;
#pragma unroll
        for (int g = 0; g < F / 32; g++) {
            int column = first_column + 32 * g + threadIdx.x % 8 * 4;
            if (column < columns) take(row, column, &sum[r][4 * g]);
        }
    }
}

template <int M, int F, int V, bool EXCHANGED>
__device__ void product(
    Tiles<M, F>& tiles, Window* places, const Images& s, const real* W, const real* b, real* y,
    int windows, int f, int relu, int packed_f) {
    int first = blockIdx.x * M, column = blockIdx.y * F, inner = s.kh * s.kw * s.c;
    int m = first + threadIdx.x, q = m % s.ow, r = m / s.ow % s.oh, n = m / s.ow / s.oh;
    places[threadIdx.x] = {
        (wide)n * s.h * s.w, m < windows ? r * s.sh - s.top : NOWHERE, q * s.sw - s.left};
    __syncthreads();
    ColumnsOfWindows<M, V> left(s, places);
    real sum[8][F / 8] = {};
    int steps = (inner + DEPTH - 1) / DEPTH;
    if (EXCHANGED) {
        ExchangedRows<M, F, V> right(s, W, column, f);
        multiply<M, F>(tiles, left, right, steps, sum);
    } else {
        Rows<M, F, V> right(W, 0, inner, column, f);
        multiply<M, F>(tiles, left, right, steps, sum);
    }
    each_four<F>(first, windows, column, f, sum, [=](int m, int u, const real* four) {
        Pack<4> out;
        for (int v = 0; v < 4; v++) {
            out.at[v] = four[v] + (b && u + v < f ? b[u + v] : 0);
            if (relu && out.at[v] <= 0) out.at[v] = 0;  // a NaN stays
        }
        if (packed_f)
            store<4>(y + (wide)m * f + u, out);
        else
            for (int v = 0; v < 4 && u + v < f; v++) y[(wide)m * f + u + v] = out.at[v];
    });
}

template <int M, int F>
__device__ void product_of(
    Tiles<M, F>& tiles, Window* places, const Images& s, const real* W, const real* b, real* y,
    int windows, int f, int exchanged, int relu, int packed_c, int packed_f) {
    bool packed = packed_c && packed_f;
    if (packed && exchanged)
        product<M, F, 4, true>(tiles, places, s, W, b, y, windows, f, relu, packed_f);
    else if (packed)
        product<M, F, 4, false>(tiles, places, s, W, b, y, windows, f, relu, packed_f);
    else if (exchanged)
        product<M, F, 1, true>(tiles, places, s, W, b, y, windows, f, relu, packed_f);
    else
        product<M, F, 1, false>(tiles, places, s, W, b, y, windows, f, relu, packed_f);
}

template <int M, int F, int V, int U>
__device__ void gradient(
    Tiles<M, F>& tiles, const Images& s, const real* dy, double* partial, real* dW, real* db, int windows,
    int f) {
    int inner = s.kh * s.kw * s.c, first = blockIdx.x * M, column = blockIdx.y * F;
    int size = (windows + gridDim.z - 1) / gridDim.z;
    int begin = min((wide)blockIdx.z * size, (wide)windows), end = min(begin + (wide)size, (wide)windows);
    RowsOfWindows<M, V> left(s, first, begin, end);
    Rows<M, F, U> right(dy, begin, end, column, f);
    real sum[8][F / 8] = {};
    multiply<M, F>(tiles, left, right, (end - begin + DEPTH - 1) / DEPTH, sum);
    double* mine = partial + (wide)blockIdx.z * (inner + 1) * f;
    each_four<F>(first, inner + 1, column, f, sum, [=](int k, int u, const real* four) {
        for (int v = 0; v < 4 && u + v < f; v++) {
            if (gridDim.z > 1)
                mine[(wide)k * f + u + v] = four[v];
            else
                (k < inner ? dW + (wide)k * f : db)[u + v] = four[v];
        }
    });
}

template <int M, int F>
__device__ void gradient_of(
    Tiles<M, F>& tiles, const Images& s, const real* dy, double* partial, real* dW, real* db, int windows,
    int f, int packed_c, int packed_f) {
    if (packed_c && packed_f)
        gradient<M, F, 4, 4>(tiles, s, dy, partial, dW, db, windows, f);
    else if (packed_f)
        gradient<M, F, 1, 4>(tiles, s, dy, partial, dW, db, windows, f);
    else
        gradient<M, F, 1, 1>(tiles, s, dy, partial, dW, db, windows, f);
}

#define IMAGES                                                                                      \
    Images { x, oh, ow, h, w, c, kh, kw, sh, sw, dh, dw, top, left }
#define GEOMETRY                                                                                    \
    int oh, int ow, int h, int w, int c, int kh, int kw, int sh, int sw, int dh, int dw, int top,   \
        int left

extern "C" __global__ void __launch_bounds__(128, 2) product_large(
    const real* __restrict__ x, const real* __restrict__ W, const real* __restrict__ b,
    real* __restrict__ y, int windows, int f, int exchanged, int relu, int packed_c, int packed_f,
    GEOMETRY) {
    __shared__ Tiles<128, 64> tiles;
    __shared__ Window places[128];
    product_of(tiles, places, IMAGES, W, b, y, windows, f, exchanged, relu, packed_c, packed_f);
}

extern "C" __global__ void __launch_bounds__(64, 4) product_small(
    const real* __restrict__ x, const real* __restrict__ W, const real* __restrict__ b,
    real* __restrict__ y, int windows, int f, int exchanged, int relu, int packed_c, int packed_f,
    GEOMETRY) {
    __shared__ Tiles<64, 32> tiles;
    __shared__ Window places[64];
    product_of(tiles, places, IMAGES, W, b, y, windows, f, exchanged, relu, packed_c, packed_f);
}

extern "C" __global__ void __launch_bounds__(128, FOUR_OR_TWO) gradients_large(
    const real* __restrict__ x, const real* __restrict__ dy, double* __restrict__ partial,
    real* __restrict__ dW, real* __restrict__ db, int windows, int f, int packed_c, int packed_f,
    GEOMETRY) {
    __shared__ Tiles<128, 64> tiles;
    gradient_of(tiles, IMAGES, dy, partial, dW, db, windows, f, packed_c, packed_f);
}

extern "C" __global__ void __launch_bounds__(64, 4) gradients_small(
    const real* __restrict__ x, const real* __restrict__ dy, double* __restrict__ partial,
    real* __restrict__ dW, real* __restrict__ db, int windows, int f, int packed_c, int packed_f,
    GEOMETRY) {
    __shared__ Tiles<64, 32> tiles;
    gradient_of(tiles, IMAGES, dy, partial, dW, db, windows, f, packed_c, packed_f);
}

// For up to 32 rows, as the first layer of a network has: 9 taps of 1 or 3 channels.
extern "C" __global__ void __launch_bounds__(32, TWELVE_OR_EIGHT) gradients_flat(
    const real* __restrict__ x, const real* __restrict__ dy, double* __restrict__ partial,
    real* __restrict__ dW, real* __restrict__ db, int windows, int f, int packed_c, int packed_f,
    GEOMETRY) {
    __shared__ Tiles<32, 32> tiles;
    gradient_of(tiles, IMAGES, dy, partial, dW, db, windows, f, packed_c, packed_f);
}
