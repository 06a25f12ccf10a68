// Additions to rows of a matrix on a GPU, with the kernels of gpu_kernels.c. Needs gpu.hpp.

namespace gather_gpu {

using namespace theano_rnn;

struct kernels { GpuKernel *sort, *add, *join; };

enum { THREADS = 256, PIECE = 32 };              // as in gpu_kernels.c

static const char NAME[] = "additions to rows";

// Sorts the index into `lists`, two lists after each other. Returns the begin of the sorted one, or -1 if a Python
// exception is set.
static long sort_index(const kernels& k, gpu_array* index, size_t all_rows, size_t padded, gpu_array* lists) {
    size_t from = 0, to = 0;
    for (unsigned shift = 0; shift == 0 || (shift < 32 && all_rows >> shift); shift += 8) {
        const bool is_last = shift + 8 >= 32 || !(all_rows >> (shift + 8));
        to = shift && !from ? 2 * padded : 0;
        gpu_call sort;
        sort.give(index);
        sort.give(lists->ga.data);
        for (size_t number : {from, to, (size_t)PyGpuArray_DIM(index, 0), padded, all_rows, (size_t)shift,
                              (size_t)is_last})
            sort.give((unsigned)number);
        if (!sort.run(k.sort, std::min<size_t>((all_rows >> shift) + 1, 256), THREADS, NAME)) return -1;
        from = to;
    }
    return to;
}

static bool check_arguments(gpu_array* x, gpu_array* y, gpu_array* index) {
    const size_t rows = PyGpuArray_DIM(y, 0), columns = PyGpuArray_DIM(y, 1), count = PyGpuArray_DIM(index, 0);
    const size_t all_rows = PyGpuArray_DIM(x, 0), all_columns = PyGpuArray_DIM(x, 1), limit = 0xffffff00;
    if ((rows != count && rows != 1) || (columns != all_columns && columns != 1)) {
        PyErr_Format(PyExc_ValueError, "additions to rows: y has shape (%zu, %zu), but (%zu, %zu) was expected",
                     rows, columns, count, all_columns);
        return false;
    }
    if (all_rows >= limit || all_columns >= limit || count >= limit) {
        PyErr_Format(PyExc_ValueError, "additions to rows: x has shape (%zu, %zu) and the index %zu elements, but less "
                     "than 2^32 - 256 were expected", all_rows, all_columns, count);
        return false;
    }
    if (!is_in_c_order(y) || !is_in_c_order(index)) {
        PyErr_SetString(PyExc_ValueError, "additions to rows: y and the index must be in C order");
        return false;
    }
    return true;
}

// Adds with kernels, of which the last one is needed only if there are several pieces. `error` gets 1 if an element of
// the index is outside.
static bool add_sorted(const kernels& k, PyGpuContextObject* context, gpu_array* x, gpu_array* y, gpu_array* lists,
                       size_t from, size_t count, size_t padded, gpudata* error) {
    const size_t all_rows = PyGpuArray_DIM(x, 0), columns = PyGpuArray_DIM(x, 1), pieces = (count + PIECE - 1) / PIECE;
    const size_t y_row = PyGpuArray_DIM(y, 0) == 1 ? 0 : PyGpuArray_DIM(y, 1), y_column = PyGpuArray_DIM(y, 1) != 1;
    const size_t sizes[2] = {pieces, columns};
    owned_gpu_array sums(pygpu_empty(2, sizes, GA_FLOAT, GA_C_ORDER, context, Py_None));
    if (!sums.a) return false;
    gpu_call add, join;
    add.give(x);
    add.give(y);
    add.give(lists->ga.data);
    add.give((unsigned)from);
    add.give(sums.a->ga.data);
    for (size_t number : {count, padded, columns, all_rows, y_row, y_column}) add.give((unsigned)number);
    add.give(error);
    join.give(x);
    join.give(lists->ga.data);
    join.give((unsigned)from);
    join.give(sums.a->ga.data);
    for (size_t number : {count, columns, all_rows}) join.give((unsigned)number);
    const size_t threads = pieces * columns;
    return add.run_threads(k.add, threads, NAME) && (pieces == 1 || join.run_threads(k.join, threads, NAME));
}

// Sets a Python exception and returns false if the kernels found an element of the index outside of the matrix.
static bool all_inside(PyGpuContextObject* context, gpudata* error, size_t all_rows) {
    int is_outside = 0;
    const int status = gpudata_read(&is_outside, error, 0, sizeof is_outside);
    if (status != GA_NO_ERROR) {
        PyErr_Format(PyExc_RuntimeError, "%s on the GPU: %s", NAME, gpucontext_error(context->ctx, status));
    } else if (is_outside) {
        is_outside = 0;
        gpudata_write(error, 0, &is_outside, sizeof is_outside);
        PyErr_Format(PyExc_IndexError, "additions to rows: the index has an element outside [-%zu, %zu)", all_rows,
                     all_rows);
    } else {
        return true;
    }
    return false;
}

// The entry point. Returns false if a Python exception is set.
static bool run(PyGpuContextObject* context, const kernels& k, bool inplace, gpu_array* x, gpu_array* y,
                gpu_array* index, gpu_array** out) {
    if (!check_arguments(x, y, index)) return false;
    if (inplace && is_in_c_order(x)) {
        Py_INCREF(x);
        Py_XDECREF(*out);
        *out = x;
    } else {
        *out = theano_try_copy(*out, x);
        if (!*out) return false;
    }
    const size_t all_rows = PyGpuArray_DIM(x, 0), count = PyGpuArray_DIM(index, 0);
    const size_t padded = (count + THREADS - 1) / THREADS * THREADS, size = 4 * padded;
    if (!count || !PyGpuArray_DIM(x, 1)) return true;
    owned_gpu_array lists(pygpu_empty(1, &size, GA_UINT, GA_C_ORDER, context, Py_None));
    gpudata* error;
    if (!lists.a) return false;
    const int status = gpudata_property(x->ga.data, GA_CTX_PROP_ERRBUF, &error);
    if (status != GA_NO_ERROR) {
        PyErr_Format(PyExc_RuntimeError, "%s on the GPU: %s", NAME, gpucontext_error(context->ctx, status));
        return false;
    }
    const long from = sort_index(k, index, all_rows, padded, lists.a);
    return from >= 0 && add_sorted(k, context, *out, y, lists.a, from, count, padded, error) &&
        all_inside(context, error, all_rows);
}

}  // namespace gather_gpu
