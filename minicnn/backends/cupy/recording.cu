// What a recorded step does at its end: its counts move on.
//
//   cells[i] <- cells[i] + by[i]
//
// Threads.  One for each.

extern "C" __global__ void __launch_bounds__(256)
move_on(unsigned long long* __restrict__ cells, const unsigned long long* __restrict__ by, int n) {
    EACH_INT(i, n) cells[i] += by[i];
}
