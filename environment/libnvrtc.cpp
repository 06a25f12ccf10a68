// Part of the library libnvrtc.so that cuda.sh makes: libgpuarray finds this function before that of NVRTC.
//
// libgpuarray 0.7.6 asks for the architecture of the GPU, but keeps two digits of its compute capability: compute_10 for
// 10.0 and compute_12 for 12.0, which NVRTC refuses. These GPUs get PTX for 9.0, which the driver compiles for them.
// cuBLAS 12.1 also contains PTX for 9.0 and no code for later GPUs.

#include <dlfcn.h>
#include <string.h>

#include <vector>

extern "C" int nvrtcCompileProgram(void* program, int count, const char* const* options) {
    typedef int (*function)(void*, int, const char* const*);
    const function compile = (function)dlsym(RTLD_NEXT, "nvrtcCompileProgram");
    if (!compile) return 11;                     // NVRTC_ERROR_INTERNAL_ERROR
    std::vector<const char*> changed(options, options + count);
    for (const char*& option : changed)
        if (!strncmp(option, "compute_1", 9) && strlen(option) == 10) option = "compute_90";
    return compile(program, count, changed.data());
}
