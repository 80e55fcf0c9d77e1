// A batch out of a data set that lies on the device: the samples that an order names.
//
//   batch[b, :] = source[order[first + b], :],   bytes become real numbers
//
// Threads.  One for every number of the batch.

template <class From, class To>
__device__ void rows(
    const From* __restrict__ source, const int* __restrict__ order, To* __restrict__ batch, int first,
    int samples, int size) {
    EACH_INT(index, samples * size) {
        int sample = index / size;
        batch[index] = (To)source[(wide)order[first + sample] * size + index % size];
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_bytes(
    const unsigned char* __restrict__ source, const int* __restrict__ order, real* __restrict__ batch,
    int first, int samples, int size) {
    rows(source, order, batch, first, samples, size);
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_reals(
    const real* __restrict__ source, const int* __restrict__ order, real* __restrict__ batch, int first,
    int samples, int size) {
    rows(source, order, batch, first, samples, size);
}

extern "C" __global__ void __launch_bounds__(256, 3) gather_labels(
    const int* __restrict__ source, const int* __restrict__ order, int* __restrict__ batch, int first,
    int samples, int size) {
    rows(source, order, batch, first, samples, size);
}
