// The functions of cuBLAS that the floor calls, on the CPU: three loops for matrices stored by columns.
// Everything that the floor always passes alike is checked, so that a call with arguments in the wrong
// order fails.

#include <cstddef>

namespace {

enum { SUCCESS = 0, INVALID_VALUE = 7 };
const size_t HANDLE = 0x1234;
size_t stream_of_handle = 0, workspace_of_handle = 0;

template <class T>
void gemm(
    int transa, int transb, int m, int n, int k, const void* alpha, const void* A, int lda,
    const void* B, int ldb, const void* beta, void* C, int ldc) {
    const T *a = (const T*)A, *b = (const T*)B;
    T* c = (T*)C;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            T sum = 0;
            for (int p = 0; p < k; p++)
                sum += (transa ? a[p + (size_t)i * lda] : a[i + (size_t)p * lda]) *
                       (transb ? b[j + (size_t)p * ldb] : b[p + (size_t)j * ldb]);
            T& out = c[i + (size_t)j * ldc];
            out = *(const T*)alpha * sum + (*(const T*)beta != 0 ? *(const T*)beta * out : 0);
        }
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) int

EXPORT cublasCreate_v2(size_t* handle) {
    *handle = HANDLE;
    return SUCCESS;
}

EXPORT cublasSetStream_v2(size_t handle, size_t stream) {
    if (handle != HANDLE) return INVALID_VALUE;
    stream_of_handle = stream;
    workspace_of_handle = 0;
    return SUCCESS;
}

EXPORT cublasSetWorkspace_v2(size_t handle, size_t workspace, size_t bytes) {
    if (handle != HANDLE || bytes < (4u << 20)) return INVALID_VALUE;
    workspace_of_handle = workspace;
    return SUCCESS;
}

EXPORT cublasGemmEx(
    size_t handle, int transa, int transb, int m, int n, int k, const void* alpha, const void* A,
    int Atype, int lda, const void* B, int Btype, int ldb, const void* beta, void* C, int Ctype,
    int ldc, int compute, int algorithm) {
    const int FLOAT = 0, DOUBLE = 1, COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_TF32 = 77;
    if (handle != HANDLE || !stream_of_handle || !workspace_of_handle) return INVALID_VALUE;
    if (Atype != Btype || Atype != Ctype || algorithm != -1) return INVALID_VALUE;
    if (m < 1 || n < 1 || k < 1 || lda < (transa ? k : m) || ldb < (transb ? n : k) || ldc < m)
        return INVALID_VALUE;
    if (Atype == FLOAT && (compute == COMPUTE_32F || compute == COMPUTE_TF32))
        gemm<float>(transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
    else if (Atype == DOUBLE && compute == COMPUTE_64F)
        gemm<double>(transa, transb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
    else
        return INVALID_VALUE;
    return SUCCESS;
}
