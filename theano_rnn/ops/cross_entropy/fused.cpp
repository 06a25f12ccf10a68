// The cross-entropy of a softmax and its gradient. The formulas are in cross_entropy/__init__.py.
//
// The scores take about 50 MB, so memory transfers dominate the time. Each pass reads the scores from memory once, row
// by row; a row then stays in the cache. Each row is computed by one thread, and the gradient of the bias is summed in
// a fixed order, so that no result depends on the number of threads.

namespace cross_entropy {

using namespace theano_rnn;

// Columns that are summed together: short sums are accurate, and the tile of a row stays in the first-level cache.
enum { TILE = 1024 };

// Rows whose gradients are summed together for the bias; then the sums of these blocks are added.
enum { BLOCK_ROWS = 16 };

template <typename T> struct row_of_scores {
    typedef typename vector_of<T>::type V;
    const T *scores, *bias;                      // bias may be null
    long columns;

    T operator[](long k) const { return scores[k] + (bias ? bias[k] : T(0)); }
    // Calls body(k, n, the scores k to k + n) for the columns from begin to end, one vector at a time. Unused lanes of
    // the last vector are -infinity, which is never the maximum and adds nothing to a sum.
    template <typename F>
    inline __attribute__((always_inline)) void in_vectors(long begin, long end, F body) const {
        const long N = lanes<T>::N;
        long k = begin;
        if (bias) for (; k + N <= end; k += N) body(k, N, load(scores + k, N) + load(bias + k, N));
        else for (; k + N <= end; k += N) body(k, N, load(scores + k, N));
        if (k < end) {
            V last = V{} - std::numeric_limits<T>::infinity();
            memcpy(&last, scores + k, (end - k) * sizeof(T));
            body(k, end - k, bias ? last + load(bias + k, end - k) : last);
        }
    }
    long tile_end(long begin) const { return std::min<long>(columns, begin + TILE); }
};

template <typename T> struct problem {
    long rows, columns;
    const T *scores, *bias;                      // bias may be null
    const npy_int64* targets;

    // Starting a thread takes about 50 microseconds.
    int threads(long parts) const {
        const double useful = std::min(1.0 * rows * columns / 2e5, (double)parts);
        return (int)std::max(1.0, std::min<double>(available_threads(), useful));
    }
    row_of_scores<T> row(long i) const { return {scores + i * columns, bias, columns}; }
};

// exp(x) for x <= 0, also below -87, which is the limit of `exponential` for float32.
static inline vector_of<float>::type exponential_down_to_zero(vector_of<float>::type x) {
    const vector_of<float>::type zero = {}, lowest = zero - 87.0f;
    return x < lowest ? zero : exponential(x);
}

static inline vector_of<double>::type exponential_down_to_zero(vector_of<double>::type x) { return exponential(x); }

// The largest score and its column, the first one if there are several. NaN is ignored.
template <typename T>
static T maximum(const row_of_scores<T> row, npy_int64* column) {
    typedef typename vector_of<T>::type V;
    const T lowest = -std::numeric_limits<T>::infinity();
    T largest = lowest;
    long tile = 0;
    for (long begin = 0; begin < row.columns; begin += TILE) {
        V m = V{} + lowest;
        row.in_vectors(begin, row.tile_end(begin), [&](long, long, V v) { m = v > m ? v : m; });
        T of_tile = lowest;
        for (int j = 0; j < (int)lanes<T>::N; j++) of_tile = m[j] > of_tile ? m[j] : of_tile;
        if (of_tile > largest) {
            largest = of_tile;
            tile = begin;
        }
    }
    *column = tile;
    for (long k = tile; k < row.tile_end(tile); k++)
        if (row[k] == largest) {
            *column = k;
            break;
        }
    return largest;
}

template <typename T>
static double sum_of_exponentials(const row_of_scores<T> row, T largest) {
    typedef typename vector_of<T>::type V;
    double sum = 0;
    for (long begin = 0; begin < row.columns; begin += TILE) {
        V s = {};
        row.in_vectors(begin, row.tile_end(begin),
                       [&](long, long, V v) { s += exponential_down_to_zero(v - largest); });
        for (int j = 0; j < (int)lanes<T>::N; j++) sum += s[j];
    }
    return sum;
}

// normaliser: (rows, 2), the largest score and the sum of the exponentials of the differences to it. A single number,
// the logarithm of the sum of exponentials, would be too inaccurate for large scores.
template <typename T>
static void forward(const problem<T>& q, T* nll, npy_int64* most_probable, T* normaliser) {
    const int threads = q.threads(q.rows);
    in_parallel(threads, [&](int thread) {
        const long end = part_begin(q.rows, 1, thread + 1, threads);
        for (long i = part_begin(q.rows, 1, thread, threads); i < end; i++) {
            const row_of_scores<T> row = q.row(i);
            const T largest = maximum(row, most_probable + i);
            const double sum = sum_of_exponentials(row, largest);
            normaliser[2 * i] = largest;
            normaliser[2 * i + 1] = (T)sum;
            nll[i] = (T)(std::log(sum) - (row[q.targets[i]] - largest));
            if (sum != sum)                      // like numpy.argmax, return the first NaN
                for (long k = 0; k < q.columns; k++)
                    if (row[k] != row[k]) {
                        most_probable[i] = k;
                        break;
                    }
        }
    });
}

template <typename T>
static inline void add(const T* from, T* to, long n) {
    for (long k = 0; k < n; k++) to[k] += from[k];
}

// d_scores may be q.scores. d_bias: null if there is no bias. Returns false if memory allocation fails.
template <typename T>
static bool gradient(const problem<T>& q, const T* normaliser, const T* g, T* d_scores, T* d_bias) {
    typedef typename vector_of<T>::type V;
    const long blocks = (q.rows + BLOCK_ROWS - 1) / BLOCK_ROWS;
    buffer<T> sums(d_bias ? blocks * q.columns : 0);
    if (!sums.p) return false;
    const int threads = q.threads(blocks);
    in_parallel(threads, [&](int thread) {
        const long end = part_begin(q.rows, BLOCK_ROWS, thread + 1, threads);
        for (long i = part_begin(q.rows, BLOCK_ROWS, thread, threads); i < end; i++) {
            const row_of_scores<T> row = q.row(i);
            const T largest = normaliser[2 * i], scale = g[i] / normaliser[2 * i + 1];
            const long target = q.targets[i];
            T* to = d_scores + i * q.columns;
            T* sum = sums.p + i / BLOCK_ROWS * q.columns;
            if (d_bias && i % BLOCK_ROWS == 0) memset(sum, 0, q.columns * sizeof(T));
            for (long begin = 0; begin < q.columns; begin += TILE) {
                const long tile_end = row.tile_end(begin);
                row.in_vectors(begin, tile_end, [=](long k, long n, V v) {
                    store(to + k, exponential_down_to_zero(v - largest) * scale, n);
                });
                if (begin <= target && target < tile_end) to[target] -= g[i];
                if (d_bias) add(to + begin, sum + begin, tile_end - begin);
            }
        }
    });
    if (d_bias)
        in_parallel(threads, [&](int thread) {
            const long begin = part_begin(q.columns, lanes<T>::N, thread, threads);
            const long end = part_begin(q.columns, lanes<T>::N, thread + 1, threads);
            memset(d_bias + begin, 0, (end - begin) * sizeof(T));
            for (long block = 0; block < blocks; block++)
                add(sums.p + block * q.columns + begin, d_bias + begin, end - begin);
        });
    return true;
}

// --------------------------------------------------------------------------------------------------- numpy arrays

struct arguments { PyArrayObject *scores, *bias, *targets; };                  // bias may be null
struct taken { reference scores, bias, targets; };

// Checks the shapes and the targets. Returns false if a Python exception is set.
template <typename T>
static bool read_problem(problem<T>& q, taken& held, const arguments& in) {
    const npy_intp rows = PyArray_DIM(in.scores, 0), columns = PyArray_DIM(in.scores, 1);
    if (!take(held.scores, in.scores, "softmax_cross_entropy: scores", {rows, columns}) ||
        !take(held.bias, in.bias, "softmax_cross_entropy: bias", {columns}) ||
        !take(held.targets, in.targets, "softmax_cross_entropy: targets", {rows}))
        return false;
    q.rows = rows;
    q.columns = columns;
    q.scores = held.scores.data<T>();
    q.bias = held.bias.data<T>();
    q.targets = held.targets.data<npy_int64>();
    for (long i = 0; i < q.rows; i++)
        if (q.targets[i] < 0 || q.targets[i] >= q.columns) {
            PyErr_Format(PyExc_IndexError,
                         "softmax_cross_entropy: target %ld must be in [0, %ld), the columns of the scores, got %ld", i,
                         q.columns, (long)q.targets[i]);
            return false;
        }
    return true;
}

// The two entry points. They return false if a Python exception is set.
template <typename T>
static bool run_forward(const arguments& in, PyArrayObject** nll, PyArrayObject** most_probable,
                        PyArrayObject** normaliser) {
    problem<T> q;
    taken held;
    const int type = numpy_type<T>::value;
    if (!read_problem(q, held, in) || !prepare(nll, type, {q.rows}) ||
        !prepare(most_probable, NPY_INT64, {q.rows}) || !prepare(normaliser, type, {q.rows, 2}))
        return false;
    Py_BEGIN_ALLOW_THREADS
    forward(q, (T*)PyArray_DATA(*nll), (npy_int64*)PyArray_DATA(*most_probable), (T*)PyArray_DATA(*normaliser));
    Py_END_ALLOW_THREADS
    return true;
}

template <typename T>
static bool run_gradient(const arguments& in, PyArrayObject* normaliser, PyArrayObject* g, bool inplace,
                         PyArrayObject** d_scores, PyArrayObject** d_bias) {
    problem<T> q;
    taken held;
    reference normaliser_held, g_held;
    const int type = numpy_type<T>::value;
    if (!read_problem(q, held, in) ||
        !take(normaliser_held, normaliser, "softmax_cross_entropy: normaliser", {q.rows, 2}) ||
        !take(g_held, g, "softmax_cross_entropy: the gradient of nll", {q.rows}) ||
        (in.bias && !prepare(d_bias, type, {q.columns})) ||
        !prepare_like(d_scores, type, held.scores.array, inplace))
        return false;
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = gradient(q, normaliser_held.data<T>(), g_held.data<T>(), (T*)PyArray_DATA(*d_scores),
                    in.bias ? (T*)PyArray_DATA(*d_bias) : 0);
    Py_END_ALLOW_THREADS
    if (!done) PyErr_NoMemory();
    return done;
}

}  // namespace cross_entropy
