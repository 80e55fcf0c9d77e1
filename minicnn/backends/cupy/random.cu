// Random numbers that are counted: Philox4x32-10, the very bits of the textbook (random.py).
//
// Word i of a page is lane i % 4 of the encryption of the counter (low(i / 4), high(i / 4), low(step),
// high(step)) under the key (low(seed), high(seed)). One round turns (c0, c1, c2, c3) into
//
//   (high(M1 c2) ^ c1 ^ k0,  low(M1 c2),  high(M0 c0) ^ c3 ^ k1,  low(M0 c0))
//
//   uniform  u = (bits >> 8) 2^-24           normal  sqrt(-2 log(1 - u)) (cos, sin)(2 pi v)
//   dropout  keep = (bits >> 8) >= threshold,   y = x scale where keep, else 0
//
// Threads.  One for every counter: four numbers. dropout_backward: one for every number, or for four.

struct Words {
    unsigned at[4];
};

__device__ inline Words encrypt(Words c, unsigned k0, unsigned k1) {
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, c.at[0]), low0 = 0xD2511F53u * c.at[0];
        unsigned high1 = __umulhi(0xCD9E8D57u, c.at[2]), low1 = 0xCD9E8D57u * c.at[2];
        c = {high1 ^ c.at[1] ^ k0, low1, high0 ^ c.at[3] ^ k1, low0};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

typedef unsigned long long word64;

__device__ inline Words words(wide counter, word64 seed, word64 step) {
    Words c = {(unsigned)counter, (unsigned)(counter >> 32), (unsigned)step, (unsigned)(step >> 32)};
    return encrypt(c, (unsigned)seed, (unsigned)(seed >> 32));
}

// The page that a step reads: ``ahead`` by itself, or counted from the device's counter.
__device__ inline word64 page(word64 ahead, const word64* counter) {
    return ahead + (counter ? *counter : 0);
}

extern "C" __global__ void __launch_bounds__(256, 3)
philox(const word64* __restrict__ counters, word64* __restrict__ result, wide n, unsigned k0, unsigned k1) {
    EACH(i, n) {
        Words c;
        for (int lane = 0; lane < 4; lane++) c.at[lane] = (unsigned)counters[lane * n + i];
        c = encrypt(c, k0, k1);
        for (int lane = 0; lane < 4; lane++) result[lane * n + i] = c.at[lane];
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) bits(
    unsigned* __restrict__ result, wide n, word64 seed, word64 ahead, const word64* __restrict__ counter) {
    word64 step = page(ahead, counter);
    EACH(i, (n + 3) / 4) {
        Words c = words(i, seed, step);
        for (int lane = 0; lane < 4 && i * 4 + lane < n; lane++) result[i * 4 + lane] = c.at[lane];
    }
}

__device__ inline real to_uniform(unsigned bits) { return (bits >> 8) * (real)(1.0 / (1 << 24)); }

extern "C" __global__ void __launch_bounds__(256, 3) uniform(
    real* __restrict__ result, wide n, word64 seed, word64 ahead, const word64* __restrict__ counter) {
    word64 step = page(ahead, counter);
    EACH(i, (n + 3) / 4) {
        Words c = words(i, seed, step);
        for (int lane = 0; lane < 4 && i * 4 + lane < n; lane++)
            result[i * 4 + lane] = to_uniform(c.at[lane]);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) normal(
    real* __restrict__ result, wide n, word64 seed, word64 ahead, const word64* __restrict__ counter) {
    word64 step = page(ahead, counter);
    EACH(i, (n + 3) / 4) {
        Words c = words(i, seed, step);
        for (int lane = 0; lane < 4; lane += 2) {
            real radius = sqrt(-2 * log(1 - to_uniform(c.at[lane])));
            real angle = (real)6.2831853071795865 * to_uniform(c.at[lane + 1]);
            if (i * 4 + lane < n) result[i * 4 + lane] = radius * cos(angle);
            if (i * 4 + lane + 1 < n) result[i * 4 + lane + 1] = radius * sin(angle);
        }
    }
}

struct alignas(4) Kept {  // four entries of a mask, moved by one instruction
    bool at[4];
};

// ``packed``: n is a multiple of 4, and the arrays start where four numbers may be moved at once.
extern "C" __global__ void __launch_bounds__(256, 3) dropout(
    const real* __restrict__ x, real* __restrict__ y, bool* __restrict__ mask, wide n, word64 seed,
    word64 ahead, const word64* __restrict__ counter, unsigned threshold, real scale, int packed) {
    word64 step = page(ahead, counter);
    EACH(i, (n + 3) / 4) {
        Words c = words(i, seed, step);
        if (packed) {
            Pack<4> pack = load<4>(x + i * 4);
            Kept kept;
            for (int lane = 0; lane < 4; lane++) {
                kept.at[lane] = c.at[lane] >> 8 >= threshold;
                pack.at[lane] = kept.at[lane] ? pack.at[lane] * scale : 0;
            }
            store<4>(y + i * 4, pack);
            *reinterpret_cast<Kept*>(mask + i * 4) = kept;
            continue;
        }
        for (int lane = 0; lane < 4 && i * 4 + lane < n; lane++) {
            wide place = i * 4 + lane;
            bool keep = c.at[lane] >> 8 >= threshold;
            mask[place] = keep;
            y[place] = keep ? x[place] * scale : 0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) dropout_backward(
    const real* __restrict__ dy, const bool* __restrict__ mask, real* __restrict__ dx, wide n, real scale,
    int packed) {
    if (!packed) {
        EACH(i, n) dx[i] = mask[i] ? dy[i] * scale : 0;
        return;
    }
    EACH(i, n / 4) {
        Pack<4> pack = load<4>(dy + i * 4);
        Kept kept = *reinterpret_cast<const Kept*>(mask + i * 4);
        for (int lane = 0; lane < 4; lane++) pack.at[lane] = kept.at[lane] ? pack.at[lane] * scale : 0;
        store<4>(dx + i * 4, pack);
    }
}

// The mask alone, for one that is smaller than x.
extern "C" __global__ void __launch_bounds__(256, 3) keep(
    bool* __restrict__ mask, wide n, word64 seed, word64 ahead, const word64* __restrict__ counter,
    unsigned threshold) {
    word64 step = page(ahead, counter);
    EACH(i, (n + 3) / 4) {
        Words c = words(i, seed, step);
        for (int lane = 0; lane < 4 && i * 4 + lane < n; lane++)
            mask[i * 4 + lane] = c.at[lane] >> 8 >= threshold;
    }
}
