// Normalization to mean 0 and variance 1. With s = sqrt(variance + epsilon) and m numbers behind each mean,
//
//   x^ = (x - mean) / s,   y = gamma x^ + beta
//   dgamma = sum dy x^,    dbeta = sum dy
//   dx = (dx^ - mean(dx^) - x^ mean(dx^ x^)) / s,    dx^ = gamma dy
//
// (the derivation stands in the textbook's normalization.py). x is a matrix: batch normalization takes its
// means down the columns, the channels; layer normalization along the rows, the samples.
//
// Sound sums: the variance is that of x - mean, never mean(x^2) - mean(x)^2, which cancels. A block finds
// the mean of its slab of rows first and then, the slab being still at hand in a cache, the sum M of
// (x - mean)^2. Two slabs a, b become one (Chan, Golub and LeVeque, 1979) with
//
//   d = mean_b - mean_a,  mean = mean_a + d m_b / m,  M = M_a + M_b + d^2 m_a m_b / m,  m = m_a + m_b.
//
// All sums are double and in a fixed order.
//
// Threads.  Sums down columns: a block is bx columns times by rows, blockIdx.y counts the slabs; what the
// slabs leave is merged by such a block, too. Along rows: a warp for each row. The rest: bx columns
// times by rows, four columns a thread where they are a multiple of 4.

struct Column {  // x - shift down one column
    const real* x;
    int columns, column;
    double shift;
    __device__ double operator()(wide row) const { return x[row * columns + column] - shift; }
};

struct SquaredColumn {
    Column column;
    __device__ double operator()(wide row) const {
        double d = column(row);
        return d * d;
    }
};

// -- batch normalization --------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(256, 3) slab_moments(
    const real* __restrict__ x, wide rows, int columns, double* __restrict__ means,
    double* __restrict__ squares) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    Slab slab(exists ? rows : 0);
    double count = slab.end - slab.first;
    Column term = {x, columns, column, 0};
    double mean = sum_rows<double>(term, slab.first, slab.end) / (count > 0 ? count : 1);
    term.shift = mean;
    double square = sum_rows<double>(SquaredColumn{term}, slab.first, slab.end);
    if (!exists || threadIdx.y > 0) return;
    means[(wide)blockIdx.y * columns + column] = mean;
    squares[(wide)blockIdx.y * columns + column] = square;
}

// Numbers, summed up; "+=" for sum_rows.
struct Moments {
    double count, mean, squares;
    __device__ void operator+=(const Moments& other) {
        double d = other.mean - mean, sum = count + other.count;
        if (other.count == 0) return;
        mean += d * other.count / sum;
        squares += other.squares + d * d * count * other.count / sum;
        count = sum;
    }
};

struct MomentsOfSlab {
    const double *means, *squares;
    wide rows, size;
    int columns, column;
    __device__ Moments operator()(wide slab) const {
        double count = max((wide)0, min(size, rows - slab * size));
        return {count, means[slab * columns + column], squares[slab * columns + column]};
    }
};

extern "C" __global__ void __launch_bounds__(256, 3) merge_moments(
    const double* __restrict__ means, const double* __restrict__ squares, wide rows, int slabs,
    int columns, real* __restrict__ mean, real* __restrict__ variance) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    MomentsOfSlab term = {means, squares, rows, (rows + slabs - 1) / slabs, columns, column};
    Moments all = sum_rows<Moments>(term, 0, exists ? slabs : 0);
    if (!exists || threadIdx.y > 0) return;
    mean[column] = all.mean;
    variance[column] = all.squares / rows;
}

template <int V>
__device__ void normalized_columns(
    const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ variance,
    const real* __restrict__ gamma, const real* __restrict__ beta, real epsilon, real* __restrict__ y,
    wide rows, int columns) {
    EACH_ROW(row, rows)
        for (int k = threadIdx.x * V; k < columns; k += blockDim.x * V) {
            Pack<V> pack = load<V>(x + row * columns + k);
            for (int v = 0; v < V; v++) {
                real x_hat = (pack.at[v] - mean[k + v]) / sqrt(variance[k + v] + epsilon);
                pack.at[v] = (gamma ? gamma[k + v] * x_hat : x_hat) + (beta ? beta[k + v] : 0);
            }
            store<V>(y + row * columns + k, pack);
        }
}

extern "C" __global__ void __launch_bounds__(256, 3) normalize_columns(
    const real* __restrict__ x, const real* __restrict__ mean, const real* __restrict__ variance,
    const real* __restrict__ gamma, const real* __restrict__ beta, real epsilon, real* __restrict__ y,
    wide rows, int columns, int packed) {
    if (packed)
        normalized_columns<4>(x, mean, variance, gamma, beta, epsilon, y, rows, columns);
    else
        normalized_columns<1>(x, mean, variance, gamma, beta, epsilon, y, rows, columns);
}

struct GradientColumn {  // (dy, dy x^) down one column
    const real *dy, *x;
    int columns, column;
    real mean, deviation;
    __device__ Two operator()(wide row) const {
        wide place = row * columns + column;
        return {dy[place], (double)dy[place] * ((x[place] - mean) / deviation)};
    }
};

extern "C" __global__ void __launch_bounds__(256, 3) slab_gradients(
    const real* __restrict__ dy, const real* __restrict__ x, const real* __restrict__ mean,
    const real* __restrict__ variance, real epsilon, wide rows, int columns,
    double* __restrict__ partial) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    Slab slab(exists ? rows : 0);
    GradientColumn term = {dy, x, columns, column, 0, 1};
    if (exists) {
        term.mean = mean[column];
        term.deviation = sqrt(variance[column] + epsilon);
    }
    Two sum = sum_rows<Two>(term, slab.first, slab.end);
    if (!exists || threadIdx.y > 0) return;
    wide place = ((wide)blockIdx.y * columns + column) * 2;
    partial[place] = sum.a;
    partial[place + 1] = sum.b;
}

struct GradientsOfSlab {
    const double* partial;
    int columns, column;
    __device__ Two operator()(wide slab) const {
        wide place = (slab * columns + column) * 2;
        return {partial[place], partial[place + 1]};
    }
};

extern "C" __global__ void __launch_bounds__(256, 3) merge_gradients(
    const double* __restrict__ partial, int slabs, int columns, real* __restrict__ dbeta,
    real* __restrict__ dgamma) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    Two sum = sum_rows<Two>(GradientsOfSlab{partial, columns, column}, 0, exists ? slabs : 0);
    if (!exists || threadIdx.y > 0) return;
    dbeta[column] = sum.a;
    dgamma[column] = sum.b;
}

// With the statistics as constants (m = 0, for inference) the two means are left out: dx = dx^ / s.
template <int V>
__device__ void column_gradients(
    const real* __restrict__ dy, const real* __restrict__ x, const real* __restrict__ mean,
    const real* __restrict__ variance, const real* __restrict__ gamma, real epsilon,
    const real* __restrict__ dbeta, const real* __restrict__ dgamma, real* __restrict__ dx, wide rows,
    int columns, real m) {
    EACH_ROW(row, rows)
        for (int k = threadIdx.x * V; k < columns; k += blockDim.x * V) {
            Pack<V> pack = load<V>(dy + row * columns + k), value = load<V>(x + row * columns + k);
            for (int v = 0; v < V; v++) {
                real s = sqrt(variance[k + v] + epsilon), x_hat = (value.at[v] - mean[k + v]) / s;
                real d = pack.at[v];
                if (m > 0) d -= (dbeta[k + v] + x_hat * dgamma[k + v]) / m;
                pack.at[v] = (gamma ? gamma[k + v] * d : d) / s;
            }
            store<V>(dx + row * columns + k, pack);
        }
}

extern "C" __global__ void __launch_bounds__(256, 3) normalize_columns_backward(
    const real* __restrict__ dy, const real* __restrict__ x, const real* __restrict__ mean,
    const real* __restrict__ variance, const real* __restrict__ gamma, real epsilon,
    const real* __restrict__ dbeta, const real* __restrict__ dgamma, real* __restrict__ dx, wide rows,
    int columns, real m, int packed) {
    if (packed)
        column_gradients<4>(dy, x, mean, variance, gamma, epsilon, dbeta, dgamma, dx, rows, columns, m);
    else
        column_gradients<1>(dy, x, mean, variance, gamma, epsilon, dbeta, dgamma, dx, rows, columns, m);
}

// -- layer normalization --------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(128, 6) normalize_rows(
    const real* __restrict__ x, const real* __restrict__ gamma, const real* __restrict__ beta,
    real epsilon, real* __restrict__ y, real* __restrict__ means, real* __restrict__ variances,
    wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real* at = x + row * columns;
        double sum = 0, squares = 0;
        for (int k = threadIdx.x; k < columns; k += 32) sum += at[k];
        real mean = warp_sum(sum) / columns;
        for (int k = threadIdx.x; k < columns; k += 32) {
            double d = at[k] - mean;
            squares += d * d;
        }
        real variance = warp_sum(squares) / columns, s = sqrt(variance + epsilon);
        for (int k = threadIdx.x; k < columns; k += 32) {
            real x_hat = (at[k] - mean) / s;
            y[row * columns + k] = (gamma ? gamma[k] * x_hat : x_hat) + (beta ? beta[k] : 0);
        }
        if (threadIdx.x == 0) {
            means[row] = mean;
            variances[row] = variance;
        }
    }
}

extern "C" __global__ void __launch_bounds__(128, 6) normalize_rows_backward(
    const real* __restrict__ dy, const real* __restrict__ x, const real* __restrict__ means,
    const real* __restrict__ variances, const real* __restrict__ gamma, real epsilon,
    real* __restrict__ dx, wide rows, int columns) {
    EACH_ROW(row, rows) {
        const real *at = x + row * columns, *d = dy + row * columns;
        real mean = means[row], s = sqrt(variances[row] + epsilon);
        double sum = 0, along = 0;
        for (int k = threadIdx.x; k < columns; k += 32) {
            double dx_hat = gamma ? gamma[k] * d[k] : d[k];
            sum += dx_hat;
            along += dx_hat * ((at[k] - mean) / s);
        }
        real mean_dx_hat = warp_sum(sum) / columns, mean_along = warp_sum(along) / columns;
        for (int k = threadIdx.x; k < columns; k += 32) {
            real dx_hat = gamma ? gamma[k] * d[k] : d[k], x_hat = (at[k] - mean) / s;
            dx[row * columns + k] = (dx_hat - mean_dx_hat - x_hat * mean_along) / s;
        }
    }
}

struct GradientOfRow {  // (dy, dy x^) down one column, each row with its own statistics
    const real *dy, *x, *means, *variances;
    int columns, column;
    real epsilon;
    __device__ Two operator()(wide row) const {
        wide place = row * columns + column;
        real x_hat = (x[place] - means[row]) / sqrt(variances[row] + epsilon);
        return {dy[place], (double)dy[place] * x_hat};
    }
};

extern "C" __global__ void __launch_bounds__(256, 3) slab_gradients_of_rows(
    const real* __restrict__ dy, const real* __restrict__ x, const real* __restrict__ means,
    const real* __restrict__ variances, real epsilon, wide rows, int columns,
    double* __restrict__ partial) {
    int column = blockIdx.x * blockDim.x + threadIdx.x;
    bool exists = column < columns;
    Slab slab(exists ? rows : 0);
    GradientOfRow term = {dy, x, means, variances, columns, column, epsilon};
    Two sum = sum_rows<Two>(term, slab.first, slab.end);
    if (!exists || threadIdx.y > 0) return;
    wide place = ((wide)blockIdx.y * columns + column) * 2;
    partial[place] = sum.a;
    partial[place + 1] = sum.b;
}
