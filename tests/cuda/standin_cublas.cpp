// A stand-in for cuBLAS, beside standin_driver.cpp: everything succeeds and nothing is computed. If a program allows
// cuBLAS to add with atomics, it ends: NVIDIA then no longer guarantees that a repeated product has the same bits.

#include <cstdio>
#include <cstdlib>

#define SUCCEEDS(name) int name() { return 0; }

extern "C" {

int cublasCreate_v2(void **handle) { static int object; *handle = &object; return 0; }
int cublasSetAtomicsMode(void *, int mode) {
    if (!mode) return 0;
    fputs("cuBLAS may add with atomics\n", stderr);
    exit(1);
}
int cublasGetPointerMode_v2(void *, int *mode) { *mode = 0; return 0; }
SUCCEEDS(cublasDestroy_v2)
SUCCEEDS(cublasSetStream_v2)
SUCCEEDS(cublasSetPointerMode_v2)
SUCCEEDS(cublasSdot_v2)
SUCCEEDS(cublasDdot_v2)
SUCCEEDS(cublasSgemm_v2)
SUCCEEDS(cublasDgemm_v2)
SUCCEEDS(cublasSgemv_v2)
SUCCEEDS(cublasDgemv_v2)
SUCCEEDS(cublasSger_v2)
SUCCEEDS(cublasDger_v2)
SUCCEEDS(cublasSgemmEx)
SUCCEEDS(cublasGemmEx)
SUCCEEDS(cublasSgemmBatched)
SUCCEEDS(cublasDgemmBatched)
SUCCEEDS(cublasSgemmStridedBatched)
SUCCEEDS(cublasDgemmStridedBatched)
SUCCEEDS(cublasHgemmStridedBatched)

}  // extern "C"
