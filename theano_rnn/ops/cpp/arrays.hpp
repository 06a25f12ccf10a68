// NumPy arrays as inputs and outputs, and uninitialised buffers. Needs Python.h, numpy/arrayobject.h and shapes.hpp.

#ifndef THEANO_RNN_ARRAYS_HPP
#define THEANO_RNN_ARRAYS_HPP

#include <algorithm>
#include <cstdlib>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace theano_rnn {

struct reference {                               // an owned reference, or null
    PyArrayObject* array;
    reference() : array(0) {}
    ~reference() { Py_XDECREF(array); }
    template <typename T> T* data() const { return array ? (T*)PyArray_DATA(array) : 0; }
    reference(reference&& other) : array(other.array) { other.array = 0; }
    reference(const reference&) = delete;
    reference& operator=(const reference&) = delete;
};

static std::vector<long> shape_of(PyArrayObject* array) {
    return std::vector<long>(PyArray_DIMS(array), PyArray_DIMS(array) + PyArray_NDIM(array));
}

// Sets `to` to `array` in C order (null stays null), after a check of its shape.
static bool take(reference& to, PyArrayObject* array, const std::string& name, const std::vector<long>& shape,
                 bool one_row_allowed = false) {
    if (!array) return true;
    if (!check_shape(name, shape_of(array), shape, one_row_allowed)) return false;
    to.array = (PyArrayObject*)PyArray_FROM_OF((PyObject*)array, NPY_ARRAY_CARRAY_RO);
    return to.array != 0;
}

// Prepares an output of this shape: reuses the existing array if it fits, otherwise allocates one.
static bool prepare(PyArrayObject** out, int type, const std::vector<long>& shape) {
    if (*out) {
        if (PyArray_TYPE(*out) == type && PyArray_ISCARRAY(*out) && shape_of(*out) == shape) return true;
        Py_DECREF(*out);
    }
    std::vector<npy_intp> dimensions(shape.begin(), shape.end());
    *out = (PyArrayObject*)PyArray_EMPTY((int)dimensions.size(), dimensions.data(), type, 0);
    return *out != 0;
}

// Prepares an output of the shape of an input: the input itself if `inplace` is set and its memory layout allows it,
// otherwise an array from `prepare`, into which the values of the input are copied if `copy` is set.
static bool prepare_like(PyArrayObject** out, int type, PyArrayObject* input, bool inplace, bool copy = false) {
    if (inplace && PyArray_ISCARRAY(input)) {
        Py_INCREF(input);
        Py_XDECREF(*out);
        *out = input;
        return true;
    }
    return prepare(out, type, shape_of(input)) && (!copy || PyArray_CopyInto(*out, input) == 0);
}

template <typename T> struct numpy_type;
template <> struct numpy_type<float> { enum { value = NPY_FLOAT32 }; };
template <> struct numpy_type<double> { enum { value = NPY_FLOAT64 }; };

template <typename T> struct buffer {            // uninitialised, aligned to vectors; p is null if allocation fails
    T* p;
    explicit buffer(size_t n) : p(0) {
        const size_t huge_page = 2 << 20, bytes = std::max<size_t>(64, n * sizeof(T));
        void* q = 0;
        if (posix_memalign(&q, bytes < 2 * huge_page ? 64 : huge_page, bytes) == 0) p = (T*)q;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (p && bytes >= 2 * huge_page) madvise(p, bytes, MADV_HUGEPAGE);     // fewer TLB misses
#endif
    }
    ~buffer() { free(p); }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
};

}  // namespace theano_rnn

#endif
