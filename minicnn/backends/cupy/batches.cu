// A batch out of a data set that lies on the device: the samples that an order names.
//
//   batch[b, :] = source[order[first + b], :],   bytes become real numbers
//
// A recorded step gathers another batch at each replay: where there are ``cells``, they hold the
// addresses of source and order, and what comes on top of ``first``.
//
// Threads.  One for every number of the batch.

#define PLACE const int *__restrict__ order, int first, const unsigned long long *__restrict__ cells

template <class From, class To>
__device__ void rows(
    const From* __restrict__ source, PLACE, To* __restrict__ batch, int samples, int size) {
    if (cells) {
        source = (const From*)cells[0];
        order = (const int*)cells[1];
        first += (int)cells[2];
    }
    EACH_INT(index, samples * size) {
        int sample = index / size;
        batch[index] = (To)source[(wide)order[first + sample] * size + index % size];
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_bytes(
    const unsigned char* __restrict__ source, PLACE, real* __restrict__ batch, int samples, int size) {
    rows(source, order, first, cells, batch, samples, size);
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_reals(
    const real* __restrict__ source, PLACE, real* __restrict__ batch, int samples, int size) {
    rows(source, order, first, cells, batch, samples, size);
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_labels(
    const int* __restrict__ source, PLACE, int* __restrict__ batch, int samples, int size) {
    rows(source, order, first, cells, batch, samples, size);
}
