// The Kullback-Leibler divergence of a random variable, its gradient, and Adam, in two passes over the parameters. The
// formulas are in variational_adam/__init__.py and reference.py.
//
// The parameters of an embedding take tens of megabytes, so memory transfers dominate the time. Computing the gradient
// of the divergence twice takes less time than storing it. The parameters are processed in tiles that stay in the
// first-level cache. Sums of blocks of tiles are added in order, so that no result depends on the number of threads.

namespace variational_adam {

using namespace theano_rnn;

enum { TILE = 512, BLOCK = 64 * TILE };

// -------------------------------------------------------------------------------------- divergences from the priors

// Each prior computes, for a vector of posteriors, the gradient of the divergence with respect to mean and log sigma
// and, if VALUE, the divergence itself.
template <typename V> struct divergence { V by_mean, by_log_sigma, value; };

struct no_prior {                                // deterministic: there is no log sigma
    enum { PARAMETERS = 1 };
    template <typename T, bool VALUE, typename V> static inline divergence<V> of(V, V) { return {V{}, V{}, V{}}; }
};

struct normal {
    enum { PARAMETERS = 2 };
    template <typename T, bool VALUE, typename V> static inline divergence<V> of(V mean, V log_sigma) {
        const V variance = exponential(log_sigma * T(2));
        return {mean, variance - T(1), (variance + mean * mean - T(1)) * T(0.5) - log_sigma};
    }
};

// Let q = |mean| / sigma and a = log alpha = -2 log(q). Clipping q to [exp(-4), exp(4)] clips a to [-8, 8]. Then
// exp(-a) = q^2 and exp(-1.5 (a + 1.3)) = q^3 exp(-1.95), so that the gradient needs no logarithm.
struct log_uniform {
    enum { PARAMETERS = 2 };
    template <typename T, bool VALUE, typename V> static inline divergence<V> of(V mean, V log_sigma) {
        const V zero = {};
        const T smallest = (T)0.018315638888734179, largest = (T)54.598150033144236;     // exp(-4), exp(4)
        // The exponent is clipped, so that 0 * infinity does not occur. Comparisons preserve NaN.
        V quotient = mean * exponential(clamp(-log_sigma, T(-87), T(87)));
        quotient = quotient < zero ? -quotient : quotient;
        const V ratio = clamp(quotient, smallest, largest);
        const V r = ratio * ratio, e = r * ratio * (T)0.14227407158651357, r1 = r + T(1), e1 = e + T(1);
        // -0.5 r / (1 + r) - 0.96 e / (1 + e)^2
        V slope = (r * (e1 * e1) * T(-0.5) - e * r1 * T(0.96)) / (r1 * (e1 * e1));
        slope = ratio <= smallest ? zero : slope;
        slope = ratio >= largest ? zero : slope;
        divergence<V> result = {slope == zero ? zero : slope * T(-2) / mean, slope * T(2), zero};
        if (VALUE) result.value = logarithm(r1) * T(0.5) - T(0.03) - T(0.64) / e1;
        return result;
    }
};

// ----------------------------------------------------------------------------------------------- gradient of the data

// Layout of the gradient of the data loss with respect to one parameter: an array of the parameter's shape, or only the
// rows, of `columns` elements, that are not zero.
struct touched_rows {
    const npy_int32* place;                      // of each row among the given ones, or -1; null if all are given
    long columns;
};

template <typename T>
static const T* gradient_tile(const T* gradient, const touched_rows& rows, long begin, long n, T* tile) {
    if (!rows.place) return gradient + begin;
    std::fill(tile, tile + n, T(0));
    for (long row = begin / rows.columns; row * rows.columns < begin + n; row++) {
        if (rows.place[row] < 0) continue;
        const long from = std::max(begin, row * rows.columns), to = std::min(begin + n, (row + 1) * rows.columns);
        memcpy(tile + from - begin, gradient + rows.place[row] * rows.columns + from - row * rows.columns,
               (to - from) * sizeof(T));
    }
    return tile;
}

// The gradient of the objective: that of the data loss plus kl_weight times that of the divergence.
template <typename T, typename PRIOR> struct objective {
    const T* values[PRIOR::PARAMETERS];          // mean and, unless there is no prior, log sigma
    const T* gradients[PRIOR::PARAMETERS];       // of the data loss
    touched_rows rows;
    T kl_weight;

    // For the n elements from `begin` on. Writes the divergence to `kl` if VALUE.
    template <bool VALUE> void gradient(long begin, long n, T (*g)[TILE], T* kl) const {
        typedef typename vector_of<T>::type V;
        const int last = PRIOR::PARAMETERS - 1;
        T buffer[PRIOR::PARAMETERS][TILE];
        const T* of_data[PRIOR::PARAMETERS];
        for (int p = 0; p <= last; p++) of_data[p] = gradient_tile(gradients[p], rows, begin, n, buffer[p]);
        for (long k = 0; k < n; k += lanes<T>::N) {
            const divergence<V> d = PRIOR::template of<T, VALUE>(load(values[0] + begin + k, n - k),
                                                                 load(values[last] + begin + k, n - k));
            store(g[last] + k, load(of_data[last] + k, n - k) + kl_weight * d.by_log_sigma, n - k);
            store(g[0] + k, load(of_data[0] + k, n - k) + kl_weight * d.by_mean, n - k);
            if (VALUE) store(kl + k, d.value, n - k);
        }
    }
};

template <typename F>
static void in_tiles(long begin, long end, F body) {
    for (long k = begin; k < end; k += TILE) body(k, std::min<long>(TILE, end - k));
}

// Calls body(block) for all blocks of n elements. Starting a thread takes about 50 microseconds.
template <typename F>
static void in_parallel_blocks(long n, F body) {
    const long blocks = (n + BLOCK - 1) / BLOCK;
    const int threads = (int)std::max<double>(1, std::min<double>(available_threads(), n / 1e5));
    in_parallel(threads, [&](int thread) {
        const long end = part_begin(blocks, 1, thread + 1, threads);
        for (long block = part_begin(blocks, 1, thread, threads); block < end; block++) body(block);
    });
}

template <typename T, typename F>
static double sum(long n, F vector_at) {
    typename vector_of<T>::type s = {};
    for (long k = 0; k < n; k += lanes<T>::N) s += vector_at(k);
    double total = 0;
    for (int j = 0; j < (int)lanes<T>::N; j++) total += s[j];
    return total;
}

// The divergence, and the squared norm of the gradient of each parameter.
template <typename T, typename PRIOR>
static void norms(const objective<T, PRIOR>& q, long n, double* kl, double* squares) {
    struct sums { double kl, squares[PRIOR::PARAMETERS]; };
    std::vector<sums> of_block((n + BLOCK - 1) / BLOCK);
    in_parallel_blocks(n, [&](long block) {
        sums total = {};
        in_tiles(block * BLOCK, std::min<long>(n, (block + 1) * BLOCK), [&](long begin, long length) {
            T g[PRIOR::PARAMETERS][TILE], value[TILE];
            q.template gradient<true>(begin, length, g, value);
            total.kl += sum<T>(length, [&](long k) { return load(value + k, length - k); });
            for (int p = 0; p < PRIOR::PARAMETERS; p++)
                total.squares[p] += sum<T>(length, [&](long k) {
                    return load(g[p] + k, length - k) * load(g[p] + k, length - k);
                });
        });
        of_block[block] = total;
    });
    *kl = 0;
    std::fill(squares, squares + PRIOR::PARAMETERS, 0.);
    for (const sums& part : of_block) {
        *kl += part.kl;
        for (int p = 0; p < PRIOR::PARAMETERS; p++) squares[p] += part.squares[p];
    }
}

// ------------------------------------------------------------------------------------------------------------- Adam

template <typename T> struct adam_state { T *value, *mean, *square; };          // a parameter and its moments
template <typename T> struct adam_step {
    T factor, step_size;
    T old1, new1, old2, new2, epsilon;           // beta and 1 - beta, for each moment
};

template <typename T>
static inline void adam(const T* __restrict g, const adam_step<T> a, long n, T* __restrict value, T* __restrict mean,
                        T* __restrict square) {
    for (long k = 0; k < n; k++) {
        const T scaled = a.factor * g[k];
        mean[k] = a.old1 * mean[k] + a.new1 * scaled;
        square[k] = a.old2 * square[k] + a.new2 * (scaled * scaled);
        value[k] -= a.step_size * mean[k] / (std::sqrt(square[k]) + a.epsilon);
    }
}

template <typename T, typename PRIOR>
static void update(const objective<T, PRIOR>& q, const adam_state<T>* states, const adam_step<T>* steps, long n) {
    in_parallel_blocks(n, [&](long block) {
        in_tiles(block * BLOCK, std::min<long>(n, (block + 1) * BLOCK), [&](long begin, long length) {
            T g[PRIOR::PARAMETERS][TILE];
            q.template gradient<false>(begin, length, g, 0);
            for (int p = 0; p < PRIOR::PARAMETERS; p++)
                adam(g[p], steps[p], length, states[p].value + begin, states[p].mean + begin, states[p].square + begin);
        });
    });
}

// --------------------------------------------------------------------------------------------------- numpy arrays

template <typename T> static T scalar(PyArrayObject* array) { return *(const T*)PyArray_DATA(array); }

template <typename PRIOR> struct arguments {
    PyArrayObject *values[PRIOR::PARAMETERS], *gradients[PRIOR::PARAMETERS];
    PyArrayObject *rows, *kl_weight;             // rows: the indices of the given rows, or null
};

template <typename PRIOR> struct taken {
    reference values[PRIOR::PARAMETERS], gradients[PRIOR::PARAMETERS];
    std::vector<npy_int32> place;
};

// Fills in the objective except `values`. Returns false if a Python exception is set.
template <typename T, typename PRIOR>
static bool read_gradients(objective<T, PRIOR>& q, taken<PRIOR>& held, const arguments<PRIOR>& in) {
    std::vector<long> shape = shape_of(in.values[0]);
    q.kl_weight = scalar<T>(in.kl_weight);
    q.rows = touched_rows{0, 1};
    if (in.rows) {
        const npy_intp count = PyArray_DIM(in.rows, 0), all = shape[0];
        for (size_t axis = 1; axis < shape.size(); axis++) q.rows.columns *= shape[axis];
        held.place.assign(std::max<npy_intp>(all, 1), -1);
        for (npy_intp i = 0; i < count; i++) {
            const npy_int64 row = *(const npy_int64*)PyArray_GETPTR1(in.rows, i);
            if (row < 0 || row >= all || held.place[row] >= 0) {
                PyErr_Format(PyExc_IndexError, "variational_adam: row indices must be distinct and in [0, %ld), got "
                             "%ld; check the ids", (long)all, (long)row);
                return false;
            }
            held.place[row] = (npy_int32)i;
        }
        q.rows.place = held.place.data();
        shape[0] = count;
    }
    for (int p = 0; p < PRIOR::PARAMETERS; p++) {
        if (!take(held.gradients[p], in.gradients[p], "variational_adam: a gradient", shape)) return false;
        q.gradients[p] = held.gradients[p].template data<T>();
    }
    return true;
}

// The two entry points. They return false if a Python exception is set.

template <typename T, typename PRIOR>
static bool run_norms(const arguments<PRIOR>& in, PyArrayObject** kl, PyArrayObject** squares) {
    objective<T, PRIOR> q;
    taken<PRIOR> held;
    const std::vector<long> shape = shape_of(in.values[0]);
    const int type = numpy_type<T>::value;
    if (!read_gradients(q, held, in)) return false;
    for (int p = 0; p < PRIOR::PARAMETERS; p++) {
        if (!take(held.values[p], in.values[p], "variational_adam: a parameter", shape)) return false;
        q.values[p] = held.values[p].template data<T>();
    }
    if (!prepare(kl, type, {}) || !prepare(squares, type, {PRIOR::PARAMETERS})) return false;
    double sum, sums[PRIOR::PARAMETERS];
    Py_BEGIN_ALLOW_THREADS
    norms(q, PyArray_SIZE(in.values[0]), &sum, sums);
    Py_END_ALLOW_THREADS
    *(T*)PyArray_DATA(*kl) = (T)sum;
    for (int p = 0; p < PRIOR::PARAMETERS; p++) ((T*)PyArray_DATA(*squares))[p] = (T)sums[p];
    return true;
}

// moments: the means, then the squares. outputs: the values, the means, the squares. If `finite` is 0, the outputs
// equal the inputs.
template <typename T, typename PRIOR>
static bool run_update(const arguments<PRIOR>& in, std::vector<PyArrayObject*> moments, PyArrayObject* factor,
                       PyArrayObject* step_size, PyArrayObject* finite, double beta1, double beta2,
                       double epsilon, double log_sigma_rate, bool inplace, std::vector<PyArrayObject**> outputs) {
    const int P = PRIOR::PARAMETERS;
    const std::vector<long> shape = shape_of(in.values[0]);
    objective<T, PRIOR> q;
    taken<PRIOR> held;
    if (!read_gradients(q, held, in)) return false;
    std::vector<PyArrayObject*> inputs(in.values, in.values + P);
    inputs.insert(inputs.end(), moments.begin(), moments.end());
    for (int i = 0; i < 3 * P; i++) {
        reference checked;
        if (!take(checked, inputs[i], "variational_adam: a parameter or a moment", shape)) return false;
        if (!prepare_like(outputs[i], numpy_type<T>::value, inputs[i], inplace, true)) return false;
    }
    if (!scalar<npy_int8>(finite)) return true;
    adam_state<T> states[P];
    for (int p = 0; p < P; p++) {
        states[p] = {(T*)PyArray_DATA(*outputs[p]), (T*)PyArray_DATA(*outputs[P + p]),
                     (T*)PyArray_DATA(*outputs[2 * P + p])};
        q.values[p] = states[p].value;
    }
    const adam_step<T> step = {scalar<T>(factor), scalar<T>(step_size), (T)beta1, (T)(1 - beta1), (T)beta2,
                               (T)(1 - beta2), (T)epsilon};
    adam_step<T> steps[2] = {step, step};        // of mean and log sigma
    steps[1].step_size *= (T)log_sigma_rate;
    Py_BEGIN_ALLOW_THREADS
    update(q, states, steps, PyArray_SIZE(in.values[0]));
    Py_END_ALLOW_THREADS
    return true;
}

}  // namespace variational_adam
