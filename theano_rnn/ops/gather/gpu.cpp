// Members of the struct that Theano generates for GpuAddRows: they launch the kernels of gpu_kernels.c. Theano generates
// sort_rows_call, add_pieces_call and join_pieces_call.

enum { THREADS = 256, PIECE = 32 };              // as in gpu_kernels.c

static bool succeeded(PyGpuContextObject* context, int error) {
    if (error == GA_NO_ERROR) return true;
    PyErr_Format(PyExc_RuntimeError, "additions to rows on the GPU: %s", gpucontext_error(context->ctx, error));
    return false;
}

static size_t blocks_of(size_t threads) { return (threads + THREADS - 1) / THREADS; }

// Sorts the index into `lists`, two lists after each other. Returns the begin of the sorted one, or -1 if a Python
// exception is set.
long sort_index(PyGpuContextObject* context, PyGpuArrayObject* index, size_t all_rows, size_t padded,
                PyGpuArrayObject* lists) {
    size_t threads = THREADS, from = 0, to = 0;
    for (unsigned shift = 0; shift == 0 || (shift < 32 && all_rows >> shift); shift += 8) {
        size_t digits = std::min<size_t>((all_rows >> shift) + 1, 256);
        const bool is_last = shift + 8 >= 32 || !(all_rows >> (shift + 8));
        to = shift && !from ? 2 * padded : 0;
        if (!succeeded(context, sort_rows_call(1, &digits, &threads, 0, index->ga.data, index->ga.offset,
                                               lists->ga.data, from, to, PyGpuArray_DIM(index, 0), padded, all_rows,
                                               shift, is_last)))
            return -1;
        from = to;
    }
    return to;
}

bool check_arguments(PyGpuArrayObject* x, PyGpuArrayObject* y, PyGpuArrayObject* index) {
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
    if (!GpuArray_CHKFLAGS(&y->ga, GA_CARRAY) || !GpuArray_CHKFLAGS(&index->ga, GA_CARRAY)) {
        PyErr_SetString(PyExc_ValueError, "additions to rows: y and the index must be in C order");
        return false;
    }
    return true;
}

// Adds with kernels, of which the last one is needed only if there are several pieces.
bool add_sorted(PyGpuContextObject* context, PyGpuArrayObject* x, PyGpuArrayObject* y, PyGpuArrayObject* lists,
                size_t from, size_t count, size_t padded) {
    const size_t columns = PyGpuArray_DIM(x, 1), pieces = (count + PIECE - 1) / PIECE;
    size_t threads = THREADS, blocks = blocks_of(pieces * columns), sizes[2] = {pieces, columns};
    const unsigned y_row = PyGpuArray_DIM(y, 0) == 1 ? 0 : PyGpuArray_DIM(y, 1), y_column = PyGpuArray_DIM(y, 1) != 1;
    gpudata* error;
    int is_outside = 0;
    PyGpuArrayObject* sums = pygpu_empty(2, sizes, GA_FLOAT, GA_C_ORDER, context, Py_None);
    if (!sums) return false;
    bool done = succeeded(context, gpudata_property(x->ga.data, GA_CTX_PROP_ERRBUF, &error)) &&
        succeeded(context, add_pieces_call(1, &blocks, &threads, 0, x->ga.data, x->ga.offset, y->ga.data, y->ga.offset,
                                           lists->ga.data, from, sums->ga.data, count, padded, columns,
                                           PyGpuArray_DIM(x, 0), y_row, y_column, error)) &&
        (pieces == 1 ||
         succeeded(context, join_pieces_call(1, &blocks, &threads, 0, x->ga.data, x->ga.offset, lists->ga.data, from,
                                             sums->ga.data, count, columns, PyGpuArray_DIM(x, 0)))) &&
        succeeded(context, gpudata_read(&is_outside, error, 0, sizeof is_outside));
    Py_DECREF(sums);
    if (done && is_outside) {
        is_outside = 0;
        gpudata_write(error, 0, &is_outside, sizeof is_outside);
        PyErr_Format(PyExc_IndexError, "additions to rows: the index has an element outside [-%zu, %zu)",
                     PyGpuArray_DIM(x, 0), PyGpuArray_DIM(x, 0));
        return false;
    }
    return done;
}

// The entry point. Returns false if a Python exception is set.
bool add_rows(PyGpuContextObject* context, bool inplace, PyGpuArrayObject* x, PyGpuArrayObject* y,
              PyGpuArrayObject* index, PyGpuArrayObject** out) {
    if (!check_arguments(x, y, index)) return false;
    if (inplace && GpuArray_CHKFLAGS(&x->ga, GA_CARRAY)) {
        Py_INCREF(x);
        Py_XDECREF(*out);
        *out = x;
    } else {
        *out = theano_try_copy(*out, x);
        if (!*out) return false;
    }
    const size_t count = PyGpuArray_DIM(index, 0), each = blocks_of(count);
    size_t size = 4 * each * THREADS;
    if (!count || !PyGpuArray_DIM(x, 1)) return true;
    PyGpuArrayObject* lists = pygpu_empty(1, &size, GA_UINT, GA_C_ORDER, context, Py_None);
    if (!lists) return false;
    const long from = sort_index(context, index, PyGpuArray_DIM(x, 0), each * THREADS, lists);
    const bool done = from >= 0 && add_sorted(context, *out, y, lists, from, count, each * THREADS);
    Py_DECREF(lists);
    return done;
}
