// Kernels with one fault each, and their sound twins: does running them on the CPU tell them apart?

// y[t] = the neighbour's x, through shared memory. Without the barrier it depends on who comes first.
extern "C" __global__ void race(const float* x, float* y) {
    __shared__ float part[64];
    part[threadIdx.x] = x[threadIdx.x];
    y[threadIdx.x] = part[(threadIdx.x + 1) % blockDim.x];
}

extern "C" __global__ void no_race(const float* x, float* y) {
    __shared__ float part[64];
    part[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = part[(threadIdx.x + 1) % blockDim.x];
}

// Two blocks add to one number; the atomics that it would take are missing.
extern "C" __global__ void race_of_blocks(float* y) {
    y[0] = y[0] * 2 + blockIdx.x;
}

extern "C" __global__ void divergent(float* y) {
    if (threadIdx.x < 7) {
        __syncthreads();
        y[threadIdx.x] = 1;
    } else {
        __syncthreads();
    }
}

extern "C" __global__ void left_early(float* y) {
    if (threadIdx.x < 7) return;
    __syncthreads();
    y[threadIdx.x] = 1;
}

extern "C" __global__ void half_a_warp(float* y) {
    if (threadIdx.x < 16) y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, y[threadIdx.x], 1);
    __syncthreads();
}

extern "C" __global__ void unwritten(float* y) {
    __shared__ float part[32];
    if (threadIdx.x < 16) part[threadIdx.x] = 1;
    __syncthreads();
    y[threadIdx.x] = part[threadIdx.x];
}

// Sums of a warp's lanes: all 32 of them, and within both halves.
extern "C" __global__ void warp_sums(const float* x, float* all, float* halves, unsigned* votes) {
    float a = x[threadIdx.x], b = a;
    for (int bit = 16; bit > 0; bit /= 2) a += __shfl_xor_sync(0xffffffffu, a, bit);
    for (int bit = 8; bit > 0; bit /= 2) b += __shfl_xor_sync(threadIdx.x & 16 ? 0xffff0000u : 0xffffu, b, bit);
    all[threadIdx.x] = a;
    halves[threadIdx.x] = b;
    votes[threadIdx.x] = __ballot_sync(0xffffffffu, x[threadIdx.x] > 0);
}

extern "C" __global__ void where(int* block, int* thread) {
    int b = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    int t = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    int i = b * blockDim.x * blockDim.y * blockDim.z + t;
    block[i] = b;
    thread[i] = t;
}

// -- for the sanitizers -----------------------------------------------------------------------------

extern "C" __global__ void past_the_end(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) y[i] = x[i];
}

extern "C" __global__ void past_shared(float* y) {
    __shared__ float part[32];
    part[threadIdx.x + 1] = 1;
    __syncthreads();
    y[threadIdx.x] = part[threadIdx.x];
}

extern "C" __global__ void overflow(float* y, int n) {
    y[0] = (float)((int)(threadIdx.x + 2) * n);
}

struct alignas(16) Four {
    float at[4];
};

extern "C" __global__ void misaligned(const float* x, float* y) {
    y[0] = reinterpret_cast<const Four*>(x + 1)->at[0];
}
