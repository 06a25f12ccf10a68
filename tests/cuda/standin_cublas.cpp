// A stand-in for cuBLAS, beside standin_driver.cpp: everything succeeds and nothing is computed. If a program allows
// cuBLAS to add with atomics, it ends: NVIDIA then no longer guarantees that a repeated product has the same bits.
//
// STANDIN_PRODUCTS   a file that gets a line for each product or batch of products in single precision: the number of
//                    products, m, n and k, and for A, B and C the length of a column and the distance to the next one

#include <cstdio>
#include <cstdlib>
#include <fstream>

static void record(int count, int m, int n, int k, int row_A, long long distance_A, int row_B, long long distance_B,
                   int row_C, long long distance_C) {
    if (const char *path = getenv("STANDIN_PRODUCTS"))
        std::ofstream(path, std::ios::app) << count << " " << m << " " << n << " " << k << " " << row_A << " "
            << distance_A << " " << row_B << " " << distance_B << " " << row_C << " " << distance_C << "\n";
}

#define SUCCEEDS(name) int name() { return 0; }

extern "C" {

int cublasCreate_v2(void **handle) { static int object; *handle = &object; return 0; }
int cublasSetAtomicsMode(void *, int mode) {
    if (!mode) return 0;
    fputs("cuBLAS may add with atomics\n", stderr);
    exit(1);
}
int cublasSgemm_v2(void *, int, int, int m, int n, int k, const float *, const float *, int row_A, const float *,
                   int row_B, const float *, float *, int row_C) {
    record(1, m, n, k, row_A, 0, row_B, 0, row_C, 0);
    return 0;
}
int cublasSgemmStridedBatched(void *, int, int, int m, int n, int k, const float *, const float *, int row_A,
                              long long distance_A, const float *, int row_B, long long distance_B, const float *,
                              float *, int row_C, long long distance_C, int count) {
    record(count, m, n, k, row_A, distance_A, row_B, distance_B, row_C, distance_C);
    return 0;
}
int cublasGetPointerMode_v2(void *, int *mode) { *mode = 0; return 0; }
SUCCEEDS(cublasDestroy_v2)
SUCCEEDS(cublasSetStream_v2)
SUCCEEDS(cublasSetPointerMode_v2)
SUCCEEDS(cublasSdot_v2)
SUCCEEDS(cublasDdot_v2)
SUCCEEDS(cublasDgemm_v2)
SUCCEEDS(cublasSgemv_v2)
SUCCEEDS(cublasDgemv_v2)
SUCCEEDS(cublasSger_v2)
SUCCEEDS(cublasDger_v2)
SUCCEEDS(cublasSgemmEx)
SUCCEEDS(cublasGemmEx)
SUCCEEDS(cublasSgemmBatched)
SUCCEEDS(cublasDgemmBatched)
SUCCEEDS(cublasDgemmStridedBatched)
SUCCEEDS(cublasHgemmStridedBatched)

}  // extern "C"
