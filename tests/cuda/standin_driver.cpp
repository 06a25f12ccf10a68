// A stand-in for NVIDIA's driver, for a machine without a GPU: what libgpuarray 0.7.6 calls succeeds, and each kernel
// that it loads is assembled by the real ptxas first. The device's memory is the host's; nothing is computed.
//
// STANDIN_CAPABILITY   compute capability of the one GPU: 80, 90, 100 or 120
// STANDIN_PTXAS        path of ptxas; without it nothing is assembled
// STANDIN_FOLDER       where kernels are kept, NAME.ptx, and what ptxas says of them, NAME.ok or NAME.failed
// STANDIN_LAUNCHES     a file to which the name of each kernel and the number of its launches are written when the
//                      process ends; also copies on the device and memsets, which take about as long as a launch

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <unistd.h>

typedef int CUresult;
typedef unsigned long long CUdeviceptr;

namespace {

struct Report {
    std::map<std::string, long> launches;       // by name of the kernel; the keys are the functions of the driver

    ~Report() {
        const char *path = getenv("STANDIN_LAUNCHES");
        if (!path) return;
        std::ofstream file(path);
        for (const auto &kernel : launches)
            if (kernel.second) file << kernel.first << " " << kernel.second << "\n";
    }
} report;

int capability() {
    const char *text = getenv("STANDIN_CAPABILITY");
    return text ? atoi(text) : 80;
}

bool exists(const std::string &path) { return access(path.c_str(), F_OK) == 0; }

bool assembles(const char *ptx, size_t size) {
    const char *ptxas = getenv("STANDIN_PTXAS"), *folder = getenv("STANDIN_FOLDER");
    if (!ptxas || !folder) return true;
    std::string text(ptx, strnlen(ptx, size)), sm = "sm_" + std::to_string(capability());
    // Networks share most kernels: each is assembled once.
    std::string stem = std::string(folder) + "/" + sm + "_" + std::to_string(std::hash<std::string>()(text));
    if (exists(stem + ".ok")) return true;
    std::ofstream(stem + ".ptx") << text;
    std::string command = "'" + std::string(ptxas) + "' -arch=" + sm + " '" + stem + ".ptx' -o /dev/null >'" + stem
        + ".said' 2>&1";
    bool done = system(command.c_str()) == 0;
    rename((stem + ".said").c_str(), (stem + (done ? ".ok" : ".failed")).c_str());
    return done;
}

// What cuLinkComplete hands out: libgpuarray keeps a copy and gives it to cuModuleLoadData.
char binary[] = "stand-in";
int object;                                     // contexts, streams, events and modules: never looked into

}  // namespace

extern "C" {

CUresult cuInit(unsigned) { return 0; }
CUresult cuDriverGetVersion(int *version) { *version = 12010; return 0; }
CUresult cuGetErrorName(CUresult, const char **text) { *text = "CUDA_ERROR_OF_THE_STANDIN"; return 0; }
CUresult cuGetErrorString(CUresult, const char **text) { *text = "refused by ptxas"; return 0; }

CUresult cuDeviceGetCount(int *count) { *count = 1; return 0; }
CUresult cuDeviceGet(int *device, int number) { *device = number; return number ? 101 : 0; }
CUresult cuDeviceGetName(char *name, int size, int) { snprintf(name, size, "stand-in"); return 0; }
CUresult cuDeviceGetPCIBusId(char *name, int size, int) { snprintf(name, size, "0000:00:00.0"); return 0; }

CUresult cuDeviceGetAttribute(int *value, int attribute, int) {
    switch (attribute) {                        // the numbers of cuda.h's CU_DEVICE_ATTRIBUTE_...
        case 1: case 2: case 3: *value = 1024; break;                   // block
        case 5: *value = 2147483647; break;                             // grid, x
        case 6: case 7: *value = 65535; break;
        case 8: *value = 48 * 1024; break;                              // shared memory per block
        case 10: *value = 32; break;                                    // warp
        case 16: *value = 108; break;                                   // multiprocessors
        case 75: *value = capability() / 10; break;
        case 76: *value = capability() % 10; break;
        default: *value = 1;
    }
    return 0;
}

CUresult cuDevicePrimaryCtxGetState(int, unsigned *flags, int *active) { *flags = 0; *active = 0; return 0; }
CUresult cuDevicePrimaryCtxSetFlags(int, unsigned) { return 0; }
CUresult cuDevicePrimaryCtxRetain(void **context, int) { *context = &object; return 0; }
CUresult cuDevicePrimaryCtxRelease(int) { return 0; }
CUresult cuCtxGetDevice(int *device) { *device = 0; return 0; }
CUresult cuCtxPushCurrent_v2(void *) { return 0; }
CUresult cuCtxPopCurrent_v2(void **context) { if (context) *context = &object; return 0; }

CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) { *unused = *total = size_t(1) << 36; return 0; }
CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size) {
    // Zeros, so that a program that uses an array as indices stays within bounds.
    return (*pointer = (CUdeviceptr)calloc(size ? size : 1, 1)) ? 0 : 2;
}
CUresult cuMemFree_v2(CUdeviceptr pointer) { free((void *)pointer); return 0; }
CUresult cuMemAllocHost_v2(void **pointer, size_t size) { return (*pointer = malloc(size)) ? 0 : 2; }
CUresult cuMemFreeHost(void *pointer) { free(pointer); return 0; }
CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t n) { memcpy((void *)to, from, n); return 0; }
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t n, void *) {
    return cuMemcpyHtoD_v2(to, from, n);
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t n, void *) { memcpy(to, (void *)from, n); return 0; }
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t n, void *) {
    ++report.launches["cuMemcpyDtoDAsync"];
    memmove((void *)to, (void *)from, n);
    return 0;
}
CUresult cuMemcpyPeerAsync(CUdeviceptr to, void *, CUdeviceptr from, void *, size_t n, void *stream) {
    return cuMemcpyDtoDAsync_v2(to, from, n, stream);
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t n, void *) {
    ++report.launches["cuMemsetD8Async"];
    memset((void *)to, value, n);
    return 0;
}

CUresult cuStreamCreate(void **stream, unsigned) { *stream = &object; return 0; }
CUresult cuStreamWaitEvent(void *, void *, unsigned) { return 0; }
CUresult cuStreamSynchronize(void *) { return 0; }
CUresult cuStreamDestroy_v2(void *) { return 0; }
CUresult cuEventCreate(void **event, unsigned) { *event = &object; return 0; }
CUresult cuEventRecord(void *, void *) { return 0; }
CUresult cuEventSynchronize(void *) { return 0; }
CUresult cuEventDestroy_v2(void *) { return 0; }
CUresult cuIpcGetMemHandle(void *, CUdeviceptr) { return 801; }
CUresult cuIpcOpenMemHandle(CUdeviceptr *, void *, unsigned) { return 801; }
CUresult cuIpcCloseMemHandle(CUdeviceptr) { return 801; }

CUresult cuLinkCreate_v2(unsigned, int *, void **, void **state) { *state = &object; return 0; }
CUresult cuLinkCreate(unsigned n, int *options, void **values, void **state) {
    return cuLinkCreate_v2(n, options, values, state);
}
CUresult cuLinkAddData_v2(void *, int, void *data, size_t size, const char *, unsigned, int *, void **) {
    return assembles((const char *)data, size) ? 0 : 218;               // CUDA_ERROR_INVALID_PTX
}
CUresult cuLinkAddData(void *state, int type, void *data, size_t size, const char *name, unsigned n, int *options,
                       void **values) {
    return cuLinkAddData_v2(state, type, data, size, name, n, options, values);
}
CUresult cuLinkComplete(void *, void **data, size_t *size) {
    *data = binary;
    *size = sizeof binary;
    return 0;
}
CUresult cuLinkDestroy(void *) { return 0; }
CUresult cuModuleLoadData(void **module, const void *data) {
    if (strstr((const char *)data, ".target") && !assembles((const char *)data, (size_t)-1 >> 1)) return 218;
    *module = &object;
    return 0;
}
CUresult cuModuleLoadDataEx(void **module, const void *data, unsigned, int *, void **) {
    return cuModuleLoadData(module, data);
}
CUresult cuModuleUnload(void *) { return 0; }
CUresult cuModuleGetFunction(void **function, void *, const char *name) {
    *function = &*report.launches.emplace(name, 0).first;       // the elements of a map stay where they are
    return 0;
}
CUresult cuFuncGetAttribute(int *value, int, void *) { *value = 1024; return 0; }
CUresult cuLaunchKernel(void *function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                        void **, void **) {
    ++((std::pair<const std::string, long> *)function)->second;
    return 0;
}

}  // extern "C"
