// CUDA on one CPU thread, for tests: what a .cu file needs so that g++ can build it.
//
// The kernels run as they are; only the names that CUDA supplies come from here. One block runs after
// the other, and the threads of a block run one after the other, each as far as it gets:
//
//   - A thread that reaches a barrier is a *fibre*: it is set aside with its stack, and the next thread
//     runs. When all threads of the block wait at the same barrier, they go on. As long as no thread
//     waits, one fibre runs them all, so that a kernel without barriers costs no more than a loop.
//   - Shuffles and votes of a warp are barriers of its 32 threads, at which values change hands.
//
// What goes wrong on a GPU now and then goes wrong here always, or is reported:
//
//   - Shared memory is filled with 0xFF, a NaN, before each block: reading what nobody wrote shows.
//   - Blocks and threads run forwards, backwards or shuffled (cpu_order): results that depend on the
//     order are a race.
//   - Threads that wait at different __syncthreads(), or that never come, end the launch with an error.
//
// Not covered: inline PTX, tensor cores, cooperative groups, how memory is ordered between threads
// (there is one), and speed. The arithmetic is that of the CPU: without contraction to fma, and with
// the exp and log of its C library, a few units in the last place away from a GPU's.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <type_traits>
#include <utility>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

// -- names of the language ----------------------------------------------------------------------

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("cpu_shared")))

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

using namespace std;  // exp, log, sqrt, ... for float and double, as CUDA overloads them

static inline unsigned __umulhi(unsigned a, unsigned b) {
    return (unsigned)(((unsigned long long)a * b) >> 32);
}
static inline float __int_as_float(int bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// -- fibres -------------------------------------------------------------------------------------

namespace cpu {

enum State : uint8_t { IDLE, READY, AT_BLOCK_BARRIER, AT_WARP_BARRIER };
struct Fibre {
    void *stack_pointer;
    char *stack;
    int thread;                   // which thread of the block it runs
    int barrier;                  // AT_BLOCK_BARRIER: which __syncthreads() in the source
    int source;                   // AT_WARP_BARRIER: the lane whose value it wants
    unsigned mask, votes;         // the lanes that take part; the votes of all of them
    bool vote;
    uint64_t value, received;
    State state;
};

const size_t STACK = 64 * 1024;
const int MAX_THREADS = 1024;
static Fibre *fibres;
static int fibre_count, current = -1;
static void *scheduler;                           // where the scheduler's own stack stands
static int threads, next_thread, finished, order; // of the block that runs
static int sequence[MAX_THREADS], fibre_of[MAX_THREADS];
static const char *error;
static void (*body)(void *);
static void *arguments;
static unsigned random_state = 1;

// Leave one stack and go on with another. x86-64 (System V) keeps six registers over a call;
// elsewhere the C library does it, ten times slower.
#if defined(__x86_64__)
extern "C" void cpu_switch(void **leave, void *enter);
__asm__(
    ".text\n.local cpu_switch\n.type cpu_switch,@function\ncpu_switch:\n"
    "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
    "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
    "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
    ".size cpu_switch,.-cpu_switch\n");
static void prepare(Fibre &f, void (*entry)()) {
    void **top = (void **)(f.stack + STACK - 16);
    *--top = nullptr;
    *--top = (void *)entry;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    f.stack_pointer = top;
}
#else
static void cpu_switch(void **leave, void *enter) {
    if (!*leave) *leave = new ucontext_t;
    swapcontext((ucontext_t *)*leave, (ucontext_t *)enter);
}
static void prepare(Fibre &f, void (*entry)()) {
    ucontext_t *context = new ucontext_t;
    getcontext(context);
    context->uc_stack.ss_sp = f.stack;
    context->uc_stack.ss_size = STACK;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    f.stack_pointer = context;
}
#endif

static void be_thread(int t) {
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

// What every fibre does: run threads that nobody has begun, until there are none.
static void run_threads() {
    for (;;) {
        while (next_thread < threads) {
            int t = sequence[next_thread++];
            fibres[current].thread = t;
            fibre_of[t] = current;
            be_thread(t);
            body(arguments);
            fibre_of[t] = -1;
            finished++;
        }
        fibres[current].state = IDLE;
        cpu_switch(&fibres[current].stack_pointer, scheduler);
    }
}

static void make_fibres(int count) {
    fibres = (Fibre *)realloc(fibres, count * sizeof(Fibre));
    for (int i = fibre_count; i < count; i++) {
        fibres[i] = Fibre();
        fibres[i].stack = (char *)aligned_alloc(4096, STACK);
        prepare(fibres[i], run_threads);
    }
    fibre_count = count;
}

static void resume(int i) {
    current = i;
    if (fibres[i].state != IDLE) be_thread(fibres[i].thread);
    fibres[i].state = READY;
    cpu_switch(&scheduler, fibres[i].stack_pointer);
    current = -1;
}

static void wait(State state) {
    fibres[current].state = state;
    cpu_switch(&fibres[current].stack_pointer, scheduler);
}

static void block_barrier(int barrier) {
    fibres[current].barrier = barrier;
    wait(AT_BLOCK_BARRIER);
}

// If all lanes that take part with thread t are there, hand the values over and let them go on.
// Lanes that have left the kernel are not waited for.
static bool pass_warp_barrier(int t) {
    int first = t & ~31, lanes = std::min(32, threads - first);
    unsigned mask = fibres[fibre_of[t]].mask, votes = 0;
    auto fibre = [&](int lane) -> Fibre * {
        bool takes_part = lane >= 0 && lane < lanes && (mask >> lane & 1);
        int owner = takes_part ? fibre_of[first + lane] : -1;
        return owner < 0 ? nullptr : &fibres[owner];
    };
    for (int lane = 0; lane < lanes; lane++) {
        Fibre *f = fibre(lane);
        if (!f && (mask >> lane & 1) && next_thread < threads) return false;  // not begun yet
        if (f && (f->state != AT_WARP_BARRIER || f->mask != mask)) return false;
        if (f && f->vote) votes |= 1u << lane;
    }
    for (int lane = 0; lane < lanes; lane++)
        if (Fibre *f = fibre(lane)) {
            Fibre *giver = fibre(f->source);
            f->received = giver ? giver->value : f->value;
            f->votes = votes;
        }
    for (int lane = 0; lane < lanes; lane++)
        if (Fibre *f = fibre(lane)) f->state = READY;
    return true;
}

extern "C" char __start_cpu_shared[] __attribute__((visibility("hidden")));
extern "C" char __stop_cpu_shared[] __attribute__((visibility("hidden")));
static char something[16] __attribute__((section("cpu_shared"), used));  // the section must exist

static bool run_block() {
    for (int i = 0; i < threads; i++) {
        sequence[i] = order == 1 ? threads - 1 - i : i;
        fibre_of[i] = -1;
    }
    if (order == 2)
        for (int i = threads - 1; i > 0; i--) {
            random_state = random_state * 1664525u + 1013904223u;
            std::swap(sequence[i], sequence[(random_state >> 8) % (i + 1)]);
        }
    memset(__start_cpu_shared, 0xFF, __stop_cpu_shared - __start_cpu_shared);
    next_thread = finished = 0;
    int used = 0;
    while (finished < threads) {
        if (next_thread < threads) {
            if (used == fibre_count) make_fibres(std::max(2 * fibre_count, 64));
            resume(used);
            if (fibres[used].state != IDLE) used++;
            continue;
        }
        bool progress = false, diverged = false;
        int waiting = 0, barrier = 0;
        for (int k = 0; k < threads; k++) {
            int t = sequence[k], i = fibre_of[t];
            if (i < 0) continue;
            if (fibres[i].state == AT_WARP_BARRIER && pass_warp_barrier(t)) progress = true;
            if (fibres[i].state == READY) {
                resume(i);
                progress = true;
            } else if (fibres[i].state == AT_BLOCK_BARRIER) {
                if (waiting++ && barrier != fibres[i].barrier) diverged = true;
                barrier = fibres[i].barrier;
            }
        }
        if (progress) continue;
        if (diverged) {
            error = "threads of a block wait at different __syncthreads()";
        } else if (waiting + finished != threads) {
            error = "a warp's barrier that not all lanes of its mask reach";
        } else if (finished) {
            error = "a __syncthreads() that threads which have returned never reach";
        }
        if (error) return false;
        for (int i = 0; i < used; i++)
            if (fibres[i].state == AT_BLOCK_BARRIER) fibres[i].state = READY;
    }
    return true;
}

// -- launching ----------------------------------------------------------------------------------

template <class... A>
struct Call {
    void (*kernel)(A...);
    void **pointers;
    template <size_t... I>
    void spread(std::index_sequence<I...>) {
        kernel(*(typename std::remove_const<A>::type *)pointers[I]...);
    }
    static void run(void *self) { ((Call *)self)->spread(std::index_sequence_for<A...>()); }
};

template <class... A>
static const char *launch(
    void (*kernel)(A...), const unsigned *grid, const unsigned *block, void **pointers, int how) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    threads = block[0] * block[1] * block[2];
    if (threads < 1 || threads > MAX_THREADS || block[2] > 64) return "a block of impossible size";
    if (!grid[0] || grid[0] > 0x7fffffff || !grid[1] || grid[1] > 65535 || !grid[2] ||
        grid[2] > 65535)
        return "a grid of impossible size";
    order = how;
    error = nullptr;
    Call<A...> call{kernel, pointers};
    body = Call<A...>::run;
    arguments = &call;
    unsigned long long blocks = (unsigned long long)grid[0] * grid[1] * grid[2];
    for (unsigned long long i = 0; i < blocks; i++) {
        unsigned long long b = order == 1 ? blocks - 1 - i : i;
        blockIdx = {unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]),
                    unsigned(b / grid[0] / grid[1])};
        if (!run_block()) {
            fibres = nullptr;  // those that are stuck are given up
            fibre_count = 0;
            return error;
        }
    }
    return nullptr;
}

// The arguments that a kernel takes, such as "*f4,*u1,i4,": the loader compares them with those given.
template <class T>
static void describe(char *&out) {
    typedef typename std::remove_cv<typename std::remove_pointer<T>::type>::type U;
    char kind = std::is_floating_point<U>::value ? 'f' : std::is_signed<U>::value ? 'i' : 'u';
    if (std::is_same<U, bool>::value) kind = 'b';
    out += sprintf(out, "%s%c%d,", std::is_pointer<T>::value ? "*" : "", kind, (int)sizeof(U));
}
template <class... A>
static const char *signature(void (*)(A...)) {
    static char text[1024];
    char *out = text;
    int each[] = {0, (describe<A>(out), 0)...};
    (void)each;
    *out = 0;
    return text;
}

#define CPU_EXPORT(kernel)                                                                     \
    extern "C" __attribute__((visibility("default"))) const char *signature_of_##kernel() {    \
        return cpu::signature(kernel);                                                         \
    }                                                                                          \
    extern "C" __attribute__((visibility("default"))) const char *launch_##kernel(             \
        const unsigned *grid, const unsigned *block, void **pointers, int how) {               \
        return cpu::launch(kernel, grid, block, pointers, how);                                \
    }

static inline int lane() { return fibres[current].thread & 31; }

template <class T>
static T exchange(unsigned mask, T value, int source, bool vote = false) {
    static_assert(sizeof(T) <= 8, "a value of at most 8 bytes");
    Fibre &f = fibres[current];
    f.mask = mask;
    f.source = source;
    f.vote = vote;
    f.value = 0;
    memcpy(&f.value, &value, sizeof value);
    wait(AT_WARP_BARRIER);
    T result;
    memcpy(&result, &fibres[current].received, sizeof result);
    return result;
}

}  // namespace cpu

// -- barriers and warps -------------------------------------------------------------------------

#define __syncthreads() cpu::block_barrier(__COUNTER__ + 1)
static inline unsigned __ballot_sync(unsigned mask, int vote) {
    cpu::exchange(mask, 0, -1, vote != 0);
    return cpu::fibres[cpu::current].votes;
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int distance) {
    return cpu::exchange(mask, value, cpu::lane() ^ distance);
}
