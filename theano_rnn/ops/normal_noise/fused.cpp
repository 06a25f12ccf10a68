// Standard normal samples from Theano's generator MRG31k3p.
//
// As in Theano, uniform number i of a call comes from stream i modulo the number of streams. The streams advance
// together, in loops without branches, which the compiler vectorises.

namespace normal_noise {

using namespace theano_rnn;

// Streams whose states stay in the first-level cache during all their steps.
enum { BLOCK_STREAMS = 64 };

const npy_uint32 M1 = 2147483647u, M2 = 2147462579u;                           // 2^31 - 1, 2^31 - 21069

// x modulo M, for x < 2 M.
static inline npy_uint32 reduced(npy_uint32 x, npy_uint32 M) { return x - M < x ? x - M : x; }

// One step of MRG31k3p (L'Ecuyer, Touzin: Fast Combined Multiple Recursive Generators with Multipliers of the Form
// a = +-2^q +-2^r, WSC 2000): a number from 1 to M1.
static inline npy_int32 next(npy_uint32 (&x)[6]) {
    npy_uint32 y = ((x[1] & 511u) << 22) + (x[1] >> 9) + ((x[2] & 16777215u) << 7) + (x[2] >> 24);
    y = reduced(reduced(y, M1) + x[2], M1);
    x[2] = x[1];
    x[1] = x[0];
    x[0] = y;
    y = reduced(((x[3] & 65535u) << 15) + 21069u * (x[3] >> 16), M2);
    npy_uint32 z = reduced(((x[5] & 65535u) << 15) + 21069u * (x[5] >> 16), M2);
    z = reduced(reduced(z + x[5], M2) + y, M2);
    x[5] = x[4];
    x[4] = x[3];
    x[3] = z;
    return (npy_int32)(x[0] <= z ? x[0] - z + M1 : x[0] - z);
}

// A step of some streams: state is (6, BLOCK_STREAMS).
template <typename T>
static inline void step(npy_uint32 (*state)[BLOCK_STREAMS], long streams, T* __restrict uniform) {
    for (long j = 0; j < streams; j++) {
        npy_uint32 x[6];
        for (int i = 0; i < 6; i++) x[i] = state[i][j];
        uniform[j] = (T)next(x) * (T)4.656612873077392578125e-10;              // 1 / 2^31
        for (int i = 0; i < 6; i++) state[i][j] = x[i];
    }
}

// n uniform numbers in (0, 1] from the streams begin to end; `states` is (streams, 6).
template <typename T>
static void uniforms(npy_int32* states, long streams, long begin, long end, T* out, long n) {
    npy_uint32 state[6][BLOCK_STREAMS];
    for (long first = begin; first < end; first += BLOCK_STREAMS) {
        const long count = std::min<long>(BLOCK_STREAMS, end - first);
        for (long j = 0; j < count; j++)
            for (int i = 0; i < 6; i++) state[i][j] = states[6 * (first + j) + i];
        for (long at = first; at < n; at += streams) {
            if (count == BLOCK_STREAMS && at + count <= n) step<T>(state, BLOCK_STREAMS, out + at);
            else step<T>(state, std::min(count, n - at), out + at);
        }
        for (long j = 0; j < count; j++)
            for (int i = 0; i < 6; i++) states[6 * (first + j) + i] = (npy_int32)state[i][j];
    }
}

// Sine and cosine of 2 pi u for u in [0, 1], computed for the distance to the nearest multiple of 1/4 and then rotated.
static inline void sine_and_cosine(vector_of<float>::type u, vector_of<float>::type* sine,
                                   vector_of<float>::type* cosine) {
    typedef vector_of<float>::type V;
    typedef vector_of<float>::integer I;
    const V shift = V{} + 12582912.0f;
    const V shifted = u * 4.0f + shift;
    const I quarter = (I)shifted;
    const V x = (u - (shifted - shift) * 0.25f) * 6.28318530717958648f;        // the difference is exact
    const V s = x * x;
    V p = s * -1.9515295891e-4f + 8.3321608736e-3f;
    p = p * s + -1.6666654611e-1f;
    const V sine_of_x = p * (s * x) + x;
    V q = s * 2.443315711809948e-5f + -1.388731625493765e-3f;
    q = q * s + 4.166664568298827e-2f;
    const V cosine_of_x = q * (s * s) - 0.5f * s + 1.0f;
    const I odd = (quarter & 1) != 0;
    *sine = (V)(I)(odd ? (I)cosine_of_x : (I)sine_of_x);
    *cosine = (V)(I)(odd ? (I)sine_of_x : (I)cosine_of_x);
    *sine = (V)((I)*sine ^ ((quarter & 2) << 30));
    *cosine = (V)((I)*cosine ^ (((quarter + 1) & 2) << 30));
}

static inline void sine_and_cosine(vector_of<double>::type u, vector_of<double>::type* sine,
                                   vector_of<double>::type* cosine) {
    for (int j = 0; j < (int)lanes<double>::N; j++) {
        (*sine)[j] = std::sin(6.28318530717958648 * u[j]);
        (*cosine)[j] = std::cos(6.28318530717958648 * u[j]);
    }
}

template <typename V> static inline V square_root(V x) {
    for (unsigned j = 0; j < sizeof(V) / sizeof(x[0]); j++) x[j] = std::sqrt(x[j]);
    return x;
}

// Transforms pairs of uniform numbers to pairs of normal samples (Box, Muller:
// A Note on the Generation of Random Normal Deviates, 1958).
template <typename T>
static void box_muller(const T* u1, const T* u2, long pairs, T* normal1, T* normal2) {
    typedef typename vector_of<T>::type V;
    for (long j = 0; j < pairs; j += lanes<T>::N) {
        V sine, cosine;
        const V radius = square_root(T(-2) * logarithm(load(u1 + j, pairs - j)));
        sine_and_cosine(load(u2 + j, pairs - j), &sine, &cosine);
        store(normal1 + j, radius * cosine, pairs - j);
        store(normal2 + j, radius * sine, pairs - j);
    }
}

// 2 * pairs samples. The uniform numbers are transformed in place. `states` is (streams, 6).
template <typename T>
static void normals(npy_int32* states, long streams, T* numbers, long pairs) {
    const int threads = (int)std::max<double>(1, std::min<double>(available_threads(), pairs / 5e4));
    in_parallel(threads, [&](int thread) {
        uniforms(states, streams, part_begin(streams, BLOCK_STREAMS, thread, threads),
                 part_begin(streams, BLOCK_STREAMS, thread + 1, threads), numbers, 2 * pairs);
    });
    in_parallel(threads, [&](int thread) {
        const long begin = part_begin(pairs, lanes<T>::N, thread, threads);
        const long end = part_begin(pairs, lanes<T>::N, thread + 1, threads);
        box_muller(numbers + begin, numbers + pairs + begin, end - begin, numbers + begin, numbers + pairs + begin);
    });
}

// --------------------------------------------------------------------------------------------------- numpy arrays

// Returns false if a Python exception is set.
template <typename T>
static bool run(PyArrayObject* states, const std::vector<long>& shape, bool inplace, PyArrayObject** new_states,
                PyArrayObject** samples) {
    npy_intp count = 1;
    for (long length : shape) {
        if (length < 0) {
            PyErr_Format(PyExc_ValueError, "normal_noise: axis lengths must be at least 0, got %ld", length);
            return false;
        }
        count *= length;
    }
    const npy_intp streams = PyArray_DIM(states, 0);
    if (PyArray_DIM(states, 1) != 6 || streams == 0) {
        PyErr_SetString(PyExc_ValueError, "normal_noise: the state must have at least one row and exactly 6 columns");
        return false;
    }
    if (!prepare_like(new_states, NPY_INT32, states, inplace, true) ||
        !prepare(samples, numpy_type<T>::value, shape))
        return false;
    const long pairs = (count + 1) / 2;
    buffer<T> even(count % 2 ? 2 * pairs : 0);
    if (!even.p) {
        PyErr_NoMemory();
        return false;
    }
    T* out = (T*)PyArray_DATA(*samples);
    Py_BEGIN_ALLOW_THREADS
    normals<T>((npy_int32*)PyArray_DATA(*new_states), streams, count % 2 ? even.p : out, pairs);
    if (count % 2) memcpy(out, even.p, count * sizeof(T));
    Py_END_ALLOW_THREADS
    return true;
}

}  // namespace normal_noise
