// Arrays on a GPU, and calls of kernels. Needs libgpuarray, Python.h and Theano's gpuarray_helper.h.

#ifndef THEANO_RNN_GPU_HPP
#define THEANO_RNN_GPU_HPP

#include <deque>
#include <vector>

namespace theano_rnn {

typedef PyGpuArrayObject gpu_array;

struct owned_gpu_array {                         // an owned reference, or null
    gpu_array* a;
    explicit owned_gpu_array(gpu_array* p = 0) : a(p) {}
    ~owned_gpu_array() { Py_XDECREF(a); }
    owned_gpu_array(owned_gpu_array&& other) : a(other.a) { other.a = 0; }
    owned_gpu_array(const owned_gpu_array&) = delete;
    owned_gpu_array& operator=(const owned_gpu_array&) = delete;
};

static std::vector<long> shape_of(const gpu_array* array) {
    return std::vector<long>(array->ga.dimensions, array->ga.dimensions + array->ga.nd);
}

static size_t size_of(const gpu_array* array) {
    size_t size = 1;
    for (unsigned axis = 0; axis < array->ga.nd; axis++) size *= array->ga.dimensions[axis];
    return size;
}

static bool is_in_c_order(const gpu_array* array) { return GpuArray_CHKFLAGS(&array->ga, GA_CARRAY); }

class gpu_call {                                 // a call of a kernel, with its arguments in order
    std::vector<void*> pointers;
    std::deque<unsigned> numbers;                // deques: pointers stay valid when they grow
    std::deque<size_t> sizes;

public:
    void give(gpu_array* a) {
        pointers.push_back(a->ga.data);
        pointers.push_back(&a->ga.offset);
    }
    void give(gpudata* data) { pointers.push_back(data); }          // without an offset
    unsigned* give(unsigned number) {            // the caller may change it before the next run
        numbers.push_back(number);
        pointers.push_back(&numbers.back());
        return &numbers.back();
    }
    void give(size_t size) {
        sizes.push_back(size);
        pointers.push_back(&sizes.back());
    }
    // Returns false if a Python exception is set.
    bool run(GpuKernel* kernel, size_t blocks, size_t threads_of_block, const char* name) {
        if (!blocks || !threads_of_block) return true;
        const int error = GpuKernel_call(kernel, 1, &blocks, &threads_of_block, 0, pointers.data());
        if (error != GA_NO_ERROR)
            PyErr_Format(PyExc_RuntimeError, "%s on the GPU: a kernel failed: %s", name, GpuKernel_error(kernel, error));
        return error == GA_NO_ERROR;
    }
    // Runs it with at least this number of threads, for kernels that need no particular size of a block.
    bool run_threads(GpuKernel* kernel, size_t threads, const char* name) {
        const size_t threads_of_block = 256;
        return run(kernel, (threads + threads_of_block - 1) / threads_of_block, threads_of_block, name);
    }
};

}  // namespace theano_rnn

#endif
