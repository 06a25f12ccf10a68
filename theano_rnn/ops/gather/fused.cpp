// Look-up of scaled rows of a table, and the gradient. The formula is in gather/__init__.py.
//
// Memory transfers dominate the time. Each direction reads or writes the large array once. The order of every sum, and
// thus the result, is independent of the number of threads.

namespace gather {

using namespace theano_rnn;

// Columns whose sums fit into the first-level cache.
enum { CHUNK = 1024 };

template <typename T> struct problem {
    long rows, columns, places;                  // U, n and A * B
    const T *table, *scale;                      // scale: may be null
    const npy_int64* index;

    // Starting a thread takes about 50 microseconds.
    int threads() const {
        return (int)std::min<double>(available_threads(), std::max(1.0, (double)places * columns / 2e5));
    }
    T scale_at(long i) const { return scale ? scale[i] : T(1); }
};

template <typename T>
static void forward(const problem<T>& q, T* out) {
    const int threads = q.threads();
    in_parallel(threads, [&](int thread) {
        const range own = part_of(q.places, 1, thread, threads);
        for (long i = own.begin; i < own.end; i++) {
            const T *from = q.table + q.index[i] * q.columns, scale = q.scale_at(i);
            T* to = out + i * q.columns;
            for (long k = 0; k < q.columns; k += lanes<T>::N)
                store(to + k, load(from + k, q.columns - k) * scale, q.columns - k);
        }
    });
}

// The places of each row, in order: those of row u are order[first[u]] ... order[first[u + 1] - 1].
struct places_of_rows {
    std::vector<long> first, order;

    places_of_rows(const npy_int64* index, long places, long rows) : first(rows + 1), order(places) {
        for (long i = 0; i < places; i++) first[index[i] + 1]++;
        for (long u = 0; u < rows; u++) first[u + 1] += first[u];
        std::vector<long> next(first.begin(), first.end() - 1);
        for (long i = 0; i < places; i++) order[next[index[i]]++] = i;
    }
};

// Adds scale * from to `to`, and returns the sum of from * row.
template <typename T>
static inline T add_scaled(const T* from, T scale, const T* row, T* to, long columns) {
    typedef typename vector_of<T>::type V;
    V product = {};
    for (long k = 0; k < columns; k += lanes<T>::N) {
        const V v = load(from + k, columns - k);
        store(to + k, load(to + k, columns - k) + v * scale, columns - k);
        if (row) product += v * load(row + k, columns - k);
    }
    T sum = 0;
    for (int j = 0; j < (int)lanes<T>::N; j++) sum += product[j];
    return sum;
}

// d_scale: null if there is no scale. Returns false if memory allocation fails.
template <typename T>
static bool gradient(const problem<T>& q, const T* g, T* d_table, T* d_scale) {
    const long chunks = (q.columns + CHUNK - 1) / CHUNK;
    buffer<T> sums(d_scale ? chunks * q.places : 0);         // of each chunk, for d_scale
    if (!sums.p) return false;
    try {
        const places_of_rows places(q.index, q.places, q.rows);
        std::atomic<long> next(0);               // rows differ in frequency, so each thread takes the next one
        in_parallel(q.threads(), [&](int) {
            for (long item; (item = next++) < q.rows * chunks;) {
                const long u = item / chunks, chunk = item % chunks, begin = chunk * CHUNK;
                const long columns = std::min<long>(CHUNK, q.columns - begin);
                T* to = d_table + u * q.columns + begin;
                const T* row = d_scale ? q.table + u * q.columns + begin : 0;
                memset(to, 0, columns * sizeof(T));
                for (long j = places.first[u]; j < places.first[u + 1]; j++) {
                    const long i = places.order[j];
                    const T sum = add_scaled(g + i * q.columns + begin, q.scale_at(i), row, to, columns);
                    if (d_scale) sums.p[chunk * q.places + i] = sum;
                }
            }
        });
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (d_scale) memset(d_scale, 0, q.places * sizeof(T));
    for (long chunk = 0; d_scale && chunk < chunks; chunk++)
        for (long i = 0; i < q.places; i++) d_scale[i] += sums.p[chunk * q.places + i];
    return true;
}

// --------------------------------------------------------------------------------------------------- numpy arrays

struct arguments { PyArrayObject *rows, *index, *scale; };                     // scale may be null
struct taken { reference rows, index, scale; };

// Checks the shapes and the index. Returns false if a Python exception is set.
template <typename T>
static bool read_problem(problem<T>& q, taken& held, const arguments& in) {
    const npy_intp A = PyArray_DIM(in.index, 0), B = PyArray_DIM(in.index, 1);
    q.rows = PyArray_DIM(in.rows, 0);
    q.columns = PyArray_DIM(in.rows, 1);
    q.places = A * B;
    if (!take(held.rows, in.rows, "gather: rows", {q.rows, q.columns}) ||
        !take(held.index, in.index, "gather: index", {A, B}) ||
        !take(held.scale, in.scale, "gather: scale", {A, B}))
        return false;
    q.table = held.rows.data<T>();
    q.index = held.index.data<npy_int64>();
    q.scale = held.scale.data<T>();
    for (long i = 0; i < q.places; i++)
        if (q.index[i] < 0 || q.index[i] >= q.rows) {
            PyErr_Format(PyExc_IndexError,
                         "gather: index (%ld, %ld) must be in [0, %ld), got %ld",
                         i / (long)B, i % (long)B, q.rows, (long)q.index[i]);
            return false;
        }
    return true;
}

// The two entry points. They return false if a Python exception is set.
template <typename T>
static bool run_forward(const arguments& in, PyArrayObject** out) {
    problem<T> q;
    taken held;
    if (!read_problem(q, held, in) ||
        !prepare(out, numpy_type<T>::value, {PyArray_DIM(in.index, 0), PyArray_DIM(in.index, 1), q.columns}))
        return false;
    Py_BEGIN_ALLOW_THREADS
    forward(q, (T*)PyArray_DATA(*out));
    Py_END_ALLOW_THREADS
    return true;
}

template <typename T>
static bool run_gradient(const arguments& in, PyArrayObject* g, PyArrayObject** d_rows, PyArrayObject** d_scale) {
    problem<T> q;
    taken held;
    reference g_held;
    const npy_intp A = PyArray_DIM(in.index, 0), B = PyArray_DIM(in.index, 1);
    const int type = numpy_type<T>::value;
    if (!read_problem(q, held, in) || !take(g_held, g, "gather: the gradient of the output", {A, B, q.columns}) ||
        !prepare(d_rows, type, {q.rows, q.columns}) || (in.scale && !prepare(d_scale, type, {A, B})))
        return false;
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = gradient(q, g_held.data<T>(), (T*)PyArray_DATA(*d_rows), in.scale ? (T*)PyArray_DATA(*d_scale) : 0);
    Py_END_ALLOW_THREADS
    if (!done) PyErr_NoMemory();
    return done;
}

}  // namespace gather
