// The recurrence of an LSTM and its gradient; recurrence_op.py says what is computed and pastes this file into the
// modules that Theano compiles (Python.h and numpy/arrayobject.h come before it).
//
// The rows of a minibatch do not depend on each other: every thread takes some of them through all time steps. The
// products are our own: W_hid is packed once per call, not once per time step as a BLAS has to; the four
// preactivations of a unit are still in registers when the gates are applied; and masked rows are left out. A row's
// numbers do not depend on which rows are computed beside it, nor does the order of the sums over rows depend on the
// number of threads, so neither does the result.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#endif

namespace lstm {

// ------------------------------------------------------------------------------------------------------- vectors

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64, BLOCK_ROWS = 6 };      // 6 rows x 4 vectors of sums: 24 of the 32 registers
#elif defined(__AVX__)
enum { VECTOR_BYTES = 32, BLOCK_ROWS = 3 };      // 12 of 16
#else
enum { VECTOR_BYTES = 16, BLOCK_ROWS = 3 };
#endif

// Rows whose bias gradients are summed together: fixed, so that the order of the sum does not depend on the threads.
enum { GROUP_ROWS = 4 };

template <typename T> struct vector_of;
template <> struct vector_of<float> {
    typedef float type __attribute__((vector_size(VECTOR_BYTES)));
    typedef float unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    typedef int integer __attribute__((vector_size(VECTOR_BYTES)));
};
template <> struct vector_of<double> {
    typedef double type __attribute__((vector_size(VECTOR_BYTES)));
    typedef double unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
};

template <typename T> struct lanes { enum { N = VECTOR_BYTES / sizeof(T) }; };

// The first n lanes; the others are 0. n is less than a vector only in the last one of a row.
template <typename T>
static inline typename vector_of<T>::type load(const T* p, long n) {
    if (n >= (long)lanes<T>::N) return *(const typename vector_of<T>::unaligned*)p;
    typename vector_of<T>::type v = {};
    memcpy(&v, p, n * sizeof(T));
    return v;
}

template <typename T>
static inline void store(T* p, typename vector_of<T>::type v, long n) {
    if (n >= (long)lanes<T>::N) *(typename vector_of<T>::unaligned*)p = v;
    else memcpy(p, &v, n * sizeof(T));
}

// Clamps by comparison: NaN stays NaN.
template <typename V, typename S>
static inline V clamp(V x, S low, S high) {
    const V l = V{} + low, h = V{} + high;
    x = x < l ? l : x;
    return x > h ? h : x;
}

// -------------------------------------------------------------------------------------------- elementary functions

// exp in float32, within 2 ulp between -87 and 88 (Cephes: Cody-Waite reduction, polynomial of degree 5).
static inline vector_of<float>::type exponential(vector_of<float>::type x) {
    typedef vector_of<float>::type V;
    typedef vector_of<float>::integer I;
    x = clamp(x, -87.0f, 88.0f);
    const V shift = V{} + 12582912.0f;           // 1.5 * 2^23: adding it rounds to an integer, kept in the low bits
    const V shifted = x * 1.44269504088896341f + shift;
    const V n = shifted - shift;
    const V r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    V p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    return p * (V)(((I)shifted - 0x4B400000 + 127) << 23);
}

static inline vector_of<float>::type logistic(vector_of<float>::type x) {
    return 1.0f / (1.0f + exponential(-x));
}

// tanh in float32, within 4 ulp: the quotient of polynomials that Eigen uses, which is 1 from 7.9 on.
static inline vector_of<float>::type hyperbolic_tangent(vector_of<float>::type x) {
    typedef vector_of<float>::type V;
    x = clamp(x, -7.90531110763549805f, 7.90531110763549805f);
    const V s = x * x;
    V p = s * -2.76076847742355e-16f + 2.00018790482477e-13f;
    p = p * s + -8.60467152213735e-11f;
    p = p * s + 5.12229709037114e-08f;
    p = p * s + 1.48572235717979e-05f;
    p = p * s + 6.37261928875436e-04f;
    p = p * s + 4.89352455891786e-03f;
    V q = s * 1.19825839466702e-06f + 1.18534705686654e-04f;
    q = q * s + 2.26843463243900e-03f;
    q = q * s + 4.89352518554385e-03f;
    return x * p / q;
}

static inline vector_of<double>::type logistic(vector_of<double>::type x) {
    for (int j = 0; j < lanes<double>::N; j++) x[j] = 1 / (1 + std::exp(-x[j]));
    return x;
}

static inline vector_of<double>::type hyperbolic_tangent(vector_of<double>::type x) {
    for (int j = 0; j < lanes<double>::N; j++) x[j] = std::tanh(x[j]);
    return x;
}

template <typename T, bool HARD> struct gate {
    typedef typename vector_of<T>::type V;
    static inline V value(V a) {
        return HARD ? clamp(a * T(0.2) + T(0.5), T(0), T(1)) : logistic(a);
    }
    // The derivative where the gate has the value s: the clipped ends of the hard sigmoid have none.
    static inline V derivative(V s) {
        const V zero = {}, one = V{} + T(1), slope = V{} + T(0.2);
        if (!HARD) return s * (one - s);
        const V above = s > zero ? slope : zero;
        return s < one ? above : zero;
    }
};

// -------------------------------------------------------------------------------------------------------- threads

static int available_threads() {
    const char* wanted = getenv("OMP_NUM_THREADS");
    int n = wanted ? atoi(wanted) : 0;
#ifdef __linux__
    cpu_set_t set;
    if (n <= 0 && sched_getaffinity(0, sizeof(set), &set) == 0) n = CPU_COUNT(&set);
#endif
    if (n <= 0) n = (int)std::thread::hardware_concurrency();
    return std::max(1, n);
}

// part(0), ..., part(n - 1), each in its own thread. The threads end here: none is left waiting or spinning.
template <typename F>
static void in_parallel(int n, F part) {
    std::vector<std::thread> threads;
    int started = 1;
    try {
        threads.reserve(n);
        for (; started < n; started++) threads.emplace_back(part, started);
    } catch (const std::exception&) {            // no more threads to be had: this one does the rest
    }
    part(0);
    for (int i = started; i < n; i++) part(i);
    for (auto& thread : threads) thread.join();
}

// The i-th of n nearly equal parts of `total`, in multiples of `unit`.
static inline long part_begin(long total, long unit, int i, int n) {
    const long units = (total + unit - 1) / unit;
    return std::min(total, units * i / n * unit);
}

template <typename T> struct buffer {            // uninitialised, aligned to vectors
    T* p;
    explicit buffer(size_t n) : p(0) {
        void* q = 0;
        if (posix_memalign(&q, 64, std::max<size_t>(64, n * sizeof(T))) == 0) p = (T*)q;
    }
    ~buffer() { free(p); }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
};

// -------------------------------------------------------------------------------------------------------- product

// sums[r][v] = sum over k of rows[r][k * STRIDE] * panel[k][v]: ROWS x COLUMNS vectors, kept in registers.
template <typename T, int ROWS, int COLUMNS, int STRIDE = 1>
static inline __attribute__((always_inline)) void
product(const T* const* rows, const T* panel, long K, typename vector_of<T>::type (&sums)[ROWS][COLUMNS]) {
    typedef typename vector_of<T>::type V;
    const T* row[ROWS];
    V s[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; r++) {
        row[r] = rows[r];
        for (int v = 0; v < COLUMNS; v++) s[r][v] = V{};
    }
    for (long k = 0; k < K; k++) {
        V p[COLUMNS];
        for (int v = 0; v < COLUMNS; v++) p[v] = *(const V*)(panel + (k * COLUMNS + v) * lanes<T>::N);
        for (int r = 0; r < ROWS; r++) {
            const V a = row[r][k * STRIDE] - V{};      // the same number in all lanes
            for (int v = 0; v < COLUMNS; v++) s[r][v] += a * p[v];
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < COLUMNS; v++) sums[r][v] = s[r][v];
}

// Calls body.run<ROWS>(first) for blocks of at most BLOCK_ROWS of n rows, as even as can be: small blocks are slow.
template <typename Body>
static inline void in_blocks(long n, const Body& body) {
    const long blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (long i = 0; i < blocks; i++) {
        const long first = n * i / blocks;
        switch (n * (i + 1) / blocks - first) {
            case 1: body.template run<1>(first); break;
            case 2: body.template run<2>(first); break;
            case 3: body.template run<3>(first); break;
#if defined(__AVX512F__)
            case 4: body.template run<4>(first); break;
            case 5: body.template run<5>(first); break;
            case 6: body.template run<6>(first); break;
#endif
        }
    }
}

// ------------------------------------------------------------------------------------------------------- problem

template <typename T> struct problem {
    long steps, rows, units;                     // T, B, H
    bool backwards, mask_given;
    int threads;
    const T *W_hid, *b, *hid_init, *cell_init, *mask, *z_gates, *z_hid;
    long z_gates_stride, z_hid_stride;           // 0 where one row serves all
    long panels;                                 // vectors of units, the last one perhaps not full

    void set_up() {
        panels = (units + lanes<T>::N - 1) / lanes<T>::N;
        // A thread costs some 50 microseconds to start and needs a group of rows to work on.
        const double work = 8.0 * steps * rows * units * units;
        threads = (int)std::min<double>(available_threads(), std::max(1.0, work / 1e7));
        threads = (int)std::min<long>(threads, std::max<long>(1, (rows + GROUP_ROWS - 1) / GROUP_ROWS));
    }
    long time(long s) const { return backwards ? steps - 1 - s : s; }          // of the s-th step
    bool active(long t, long i) const { return !mask || mask[t * rows + i] != 0; }
    const T* before(const T* states, const T* init, long s, long i) const {    // the state that step s starts from
        return (s == 0 ? init : states + time(s - 1) * rows * units) + i * units;
    }
    long width(long panel) const { return std::min<long>(lanes<T>::N, units - panel * lanes<T>::N); }
};

// -------------------------------------------------------------------------------------------------------- forward

template <typename T, bool HARD> struct forward_step {
    typedef typename vector_of<T>::type V;
    const problem<T>& q;
    long s, panel;
    const T* weights;                            // (H, 4, lanes) of this panel
    const std::vector<long>& active_rows;
    const std::vector<const T*>& hid_before;
    const T* x;
    T *hid, *cell, *total;                       // of all time steps; total may be null

    template <int ROWS> void run(long first) const {
        const long H = q.units, n = q.width(panel), offset = panel * lanes<T>::N, t = q.time(s);
        V sums[ROWS][4];
        product<T, ROWS, 4>(&hid_before[first], weights, H, sums);
        for (int r = 0; r < ROWS; r++) {
            const long i = active_rows[first + r], row = t * q.rows + i;
            V a[4];
            for (int g = 0; g < 4; g++) {
                const long column = g * H + offset;
                a[g] = load(x + row * 4 * H + column, n) + sums[r][g];
                if (total) store(total + row * 4 * H + column, a[g], n);
                if (q.z_gates) a[g] *= load(q.z_gates + i * q.z_gates_stride + column, n);
                a[g] += load(q.b + column, n);
            }
            const V before = load(q.before(cell, q.cell_init, s, i) + offset, n);
            const V c = gate<T, HARD>::value(a[1]) * before + gate<T, HARD>::value(a[0]) * hyperbolic_tangent(a[2]);
            V h = gate<T, HARD>::value(a[3]) * hyperbolic_tangent(c);
            if (q.z_hid) h *= load(q.z_hid + i * q.z_hid_stride + offset, n);
            store(cell + row * H + offset, c, n);
            store(hid + row * H + offset, h, n);
        }
    }
};

template <typename T, bool HARD>
static bool forward(const problem<T>& q, const T* x, T* hid, T* cell, T* total) {
    const long H = q.units, N = lanes<T>::N, panel_size = H * 4 * N;
    buffer<T> packed(q.panels * panel_size);
    if (!packed.p) return false;
    in_parallel(q.threads, [&](int thread) {
        const long end = part_begin(q.panels, 1, thread + 1, q.threads);
        for (long panel = part_begin(q.panels, 1, thread, q.threads); panel < end; panel++)
            for (long k = 0; k < H; k++)
                for (int g = 0; g < 4; g++)
                    *(typename vector_of<T>::type*)(packed.p + panel * panel_size + (k * 4 + g) * N) =
                        load(q.W_hid + k * 4 * H + g * H + panel * N, q.width(panel));
    });
    in_parallel(q.threads, [&](int thread) {
        const long begin = part_begin(q.rows, GROUP_ROWS, thread, q.threads);
        const long end = part_begin(q.rows, GROUP_ROWS, thread + 1, q.threads);
        std::vector<long> active;
        std::vector<const T*> hid_before;
        for (long s = 0; s < q.steps; s++) {
            const long t = q.time(s);
            active.clear();
            hid_before.clear();
            for (long i = begin; i < end; i++) {
                const T* h = q.before(hid, q.hid_init, s, i);
                const long row = t * q.rows + i;
                if (q.active(t, i)) {
                    active.push_back(i);
                    hid_before.push_back(h);
                } else {
                    memcpy(hid + row * H, h, H * sizeof(T));
                    memcpy(cell + row * H, q.before(cell, q.cell_init, s, i), H * sizeof(T));
                    // The gradient does not read this, but an output should not depend on what was in memory.
                    if (total && total != x) memcpy(total + row * 4 * H, x + row * 4 * H, 4 * H * sizeof(T));
                }
            }
            for (long panel = 0; panel < q.panels; panel++)
                in_blocks((long)active.size(), forward_step<T, HARD>{
                    q, s, panel, packed.p + panel * panel_size, active, hid_before, x, hid, cell, total});
        }
    });
    return true;
}

// ------------------------------------------------------------------------------------------------------- gradient

template <typename T> struct gradient_arrays {
    const T *hid, *cell, *total, *g_hid, *g_cell;                              // g_*: may be null
    T *d_x, *d_W_hid, *d_b, *d_hid_init, *d_cell_init, *d_z_gates, *d_z_hid;   // d_z_*: (B, ...) or null
};

// The product d_x W_hid^T of one step, for COLUMNS vectors of units.
template <typename T, int COLUMNS> struct gradient_product {
    typedef typename vector_of<T>::type V;
    const problem<T>& q;
    long panel;
    const T* weights;                            // (4H, COLUMNS, lanes)
    const std::vector<long>& active_rows;
    const std::vector<const T*>& d_x_rows;
    T* d_hid;

    template <int ROWS> void run(long first) const {
        V sums[ROWS][COLUMNS];
        product<T, ROWS, COLUMNS>(&d_x_rows[first], weights, 4 * q.units, sums);
        for (int r = 0; r < ROWS; r++)
            for (int v = 0; v < COLUMNS; v++)
                store(d_hid + active_rows[first + r] * q.units + (panel + v) * lanes<T>::N, sums[r][v],
                      q.width(panel + v));
    }
};

// The elementwise part of step s for the rows begin..end of one group; sums the gradient of b into d_b.
template <typename T, bool HARD>
static inline void gradient_gates(const problem<T>& q, const gradient_arrays<T>& d, long s, long begin, long end,
                                  T* d_b) {
    typedef typename vector_of<T>::type V;
    const long H = q.units, t = q.time(s);
    for (long panel = 0; panel < q.panels; panel++) {
        const long offset = panel * lanes<T>::N, n = q.width(panel);
        V bias[4], d_bias[4];
        for (int g = 0; g < 4; g++) {
            bias[g] = load(q.b + g * H + offset, n);
            d_bias[g] = V{};
        }
        for (long i = begin; i < end; i++) {
            const long row = t * q.rows + i, unit = row * H + offset;
            // d_hid_init and d_cell_init hold the gradient of the current state on its way back to the initial one.
            V d_h = load(d.d_hid_init + i * H + offset, n), d_c = load(d.d_cell_init + i * H + offset, n);
            if (d.g_hid) d_h += load(d.g_hid + unit, n);
            if (d.g_cell) d_c += load(d.g_cell + unit, n);
            if (!q.active(t, i)) {
                store(d.d_hid_init + i * H + offset, d_h, n);
                store(d.d_cell_init + i * H + offset, d_c, n);
                for (int g = 0; g < 4; g++) store(d.d_x + row * 4 * H + g * H + offset, V{}, n);
                continue;
            }
            V total[4], z[4], a[4];
            for (int g = 0; g < 4; g++) {
                const long column = g * H + offset;
                total[g] = load(d.total + row * 4 * H + column, n);
                if (q.z_gates) {
                    z[g] = load(q.z_gates + i * q.z_gates_stride + column, n);
                    a[g] = total[g] * z[g] + bias[g];
                } else {
                    a[g] = total[g] + bias[g];
                }
            }
            // Computed again from the preactivations: cheaper than reading it all back from memory.
            const V in = gate<T, HARD>::value(a[0]), forget = gate<T, HARD>::value(a[1]);
            const V candidate = hyperbolic_tangent(a[2]), out = gate<T, HARD>::value(a[3]);
            const V tanh_cell = hyperbolic_tangent(load(d.cell + unit, n));
            const V before = load(q.before(d.cell, q.cell_init, s, i) + offset, n);
            if (q.z_hid) {
                if (d.d_z_hid) {
                    T* p = d.d_z_hid + i * H + offset;
                    store(p, load(p, n) + d_h * (out * tanh_cell), n);
                }
                d_h *= load(q.z_hid + i * q.z_hid_stride + offset, n);
            }
            d_c += d_h * out * (T(1) - tanh_cell * tanh_cell);
            V d_a[4];
            d_a[0] = d_c * candidate * gate<T, HARD>::derivative(in);
            d_a[1] = d_c * before * gate<T, HARD>::derivative(forget);
            d_a[2] = d_c * in * (T(1) - candidate * candidate);
            d_a[3] = d_h * tanh_cell * gate<T, HARD>::derivative(out);
            store(d.d_cell_init + i * H + offset, d_c * forget, n);
            for (int g = 0; g < 4; g++) {
                const long column = g * H + offset;
                d_bias[g] += d_a[g];
                if (q.z_gates) {
                    T* p = d.d_z_gates + i * 4 * H + column;
                    store(p, load(p, n) + d_a[g] * total[g], n);
                    d_a[g] *= z[g];
                }
                store(d.d_x + row * 4 * H + column, d_a[g], n);
            }
        }
        for (int g = 0; g < 4; g++) {
            T* p = d_b + g * H + offset;
            store(p, load(p, n) + d_bias[g], n);
        }
    }
}

// Some rows of one tile of the gradient of W_hid: the sum over K time steps and objects of hid_before * d_x.
template <typename T> struct weight_product {
    typedef typename vector_of<T>::type V;
    const T *hid_before, *d_x;                   // packed: (K, lanes) and (K, 4, lanes)
    long K;
    T* tile;                                     // of d_W_hid, where the tile begins
    long width;                                  // 4H
    long columns;                                // of the tile that are there

    template <int ROWS> void run(long first) const {
        const long N = lanes<T>::N;
        const T* rows[ROWS];
        for (int r = 0; r < ROWS; r++) rows[r] = hid_before + first + r;
        V sums[ROWS][4];
        product<T, ROWS, 4, lanes<T>::N>(rows, d_x, K, sums);
        for (int r = 0; r < ROWS; r++)
            for (long v = 0; v < 4 && v * N < columns; v++) {
                T* p = tile + (first + r) * width + v * N;
                store(p, load(p, columns - v * N) + sums[r][v], columns - v * N);
            }
    }
};

// d_W_hid = sum over all steps and the active rows of (the hidden state before the step) x (the gradient d_x).
template <typename T>
static bool gradient_weights(const problem<T>& q, const gradient_arrays<T>& d) {
    enum { DEPTH = 256 };                        // what is packed of one block stays in the second level cache
    const long H = q.units, N = lanes<T>::N, width = 4 * H, tiles = (width + 4 * N - 1) / (4 * N);
    std::vector<const T*> hid_before, d_x;
    for (long s = 0; s < q.steps; s++)
        for (long i = 0; i < q.rows; i++)
            if (q.active(q.time(s), i)) {
                hid_before.push_back(q.before(d.hid, q.hid_init, s, i));
                d_x.push_back(d.d_x + (q.time(s) * q.rows + i) * width);
            }
    const int threads = (int)std::max<long>(1, std::min<long>(q.threads, tiles));
    buffer<T> packed_hid(threads * q.panels * DEPTH * N), packed_d_x(threads * DEPTH * 4 * N);
    if (!packed_hid.p || !packed_d_x.p) return false;
    memset(d.d_W_hid, 0, H * width * sizeof(T));
    in_parallel(threads, [&](int thread) {
        const long begin = part_begin(tiles, 1, thread, threads), end = part_begin(tiles, 1, thread + 1, threads);
        T *to_hid = packed_hid.p + thread * q.panels * DEPTH * N, *to_d_x = packed_d_x.p + thread * DEPTH * 4 * N;
        for (size_t first = 0; first < d_x.size(); first += DEPTH) {
            const long K = std::min<long>(DEPTH, d_x.size() - first);
            for (long panel = 0; panel < q.panels; panel++)
                for (long k = 0; k < K; k++)
                    store(to_hid + (panel * DEPTH + k) * N,
                          load(hid_before[first + k] + panel * N, q.width(panel)), N);
            for (long tile = begin; tile < end; tile++) {
                const long column = tile * 4 * N, columns = std::min(4 * N, width - column);
                for (long k = 0; k < K; k++)
                    for (long v = 0; v < 4; v++)
                        store(to_d_x + (k * 4 + v) * N,
                              load(d_x[first + k] + column + v * N, std::max(0L, columns - v * N)), N);
                for (long panel = 0; panel < q.panels; panel++)
                    in_blocks(q.width(panel), weight_product<T>{
                        to_hid + panel * DEPTH * N, to_d_x, K, d.d_W_hid + panel * N * width + column, width, columns});
            }
        }
    });
    return true;
}

template <typename T, bool HARD>
static bool gradient(const problem<T>& q, const gradient_arrays<T>& d) {
    const long H = q.units, N = lanes<T>::N, groups = (q.rows + GROUP_ROWS - 1) / GROUP_ROWS;
    buffer<T> packed(q.panels * 4 * H * N), group_d_b(groups * 4 * H);
    if (!packed.p || !group_d_b.p) return false;
    memset(group_d_b.p, 0, groups * 4 * H * sizeof(T));
    memset(d.d_hid_init, 0, q.rows * H * sizeof(T));
    memset(d.d_cell_init, 0, q.rows * H * sizeof(T));
    if (d.d_z_gates) memset(d.d_z_gates, 0, q.rows * 4 * H * sizeof(T));
    if (d.d_z_hid) memset(d.d_z_hid, 0, q.rows * H * sizeof(T));

    // W_hid^T in panels of 4 vectors of units, then of 1.
    const long wide = q.panels / 4 * 4;
    in_parallel(q.threads, [&](int thread) {
        const long end = part_begin(q.panels, 1, thread + 1, q.threads);
        for (long panel = part_begin(q.panels, 1, thread, q.threads); panel < end; panel++) {
            const bool in_wide = panel < wide;
            const long columns = in_wide ? 4 : 1, first = in_wide ? panel / 4 * 4 : panel;
            T* to = packed.p + (first * 4 * H + (panel - first)) * N;
            for (long j = 0; j < N; j++)
                for (long k = 0; k < 4 * H; k++)
                    to[k * columns * N + j] = panel * N + j < H ? q.W_hid[(panel * N + j) * 4 * H + k] : T(0);
        }
    });
    in_parallel(q.threads, [&](int thread) {
        const long begin = part_begin(q.rows, GROUP_ROWS, thread, q.threads);
        const long end = part_begin(q.rows, GROUP_ROWS, thread + 1, q.threads);
        std::vector<long> active;
        std::vector<const T*> d_x_rows;
        for (long s = q.steps - 1; s >= 0; s--) {
            const long t = q.time(s);
            active.clear();
            d_x_rows.clear();
            for (long i = begin; i < end; i++)
                if (q.active(t, i)) {
                    active.push_back(i);
                    d_x_rows.push_back(d.d_x + (t * q.rows + i) * 4 * H);
                }
            for (long i = begin; i < end; i += GROUP_ROWS)
                gradient_gates<T, HARD>(q, d, s, i, std::min<long>(end, i + GROUP_ROWS),
                                        group_d_b.p + i / GROUP_ROWS * 4 * H);
            for (long panel = 0; panel < wide; panel += 4)
                in_blocks((long)active.size(), gradient_product<T, 4>{
                    q, panel, packed.p + panel * 4 * H * N, active, d_x_rows, d.d_hid_init});
            for (long panel = wide; panel < q.panels; panel++)
                in_blocks((long)active.size(), gradient_product<T, 1>{
                    q, panel, packed.p + panel * 4 * H * N, active, d_x_rows, d.d_hid_init});
        }
    });
    memset(d.d_b, 0, 4 * H * sizeof(T));
    for (long group = 0; group < groups; group++)
        for (long k = 0; k < 4 * H; k++) d.d_b[k] += group_d_b.p[group * 4 * H + k];

    return gradient_weights(q, d);
}

// --------------------------------------------------------------------------------------------------- numpy arrays

struct reference {                               // an owned reference, or null
    PyArrayObject* array;
    reference() : array(0) {}
    ~reference() { Py_XDECREF(array); }
    template <typename T> T* data() const { return array ? (T*)PyArray_DATA(array) : 0; }
    reference(const reference&) = delete;
    reference& operator=(const reference&) = delete;
};

// `array` in C order (null stays null), after checking its shape; in a dimension of size -1, 1 stands for `rows`.
static bool take(reference& to, PyArrayObject* array, const char* name, std::vector<npy_intp> shape,
                 bool one_row_allowed = false) {
    if (!array) return true;
    bool fits = PyArray_NDIM(array) == (int)shape.size();
    for (int k = 0; fits && k < (int)shape.size(); k++) {
        const npy_intp size = PyArray_DIM(array, k);
        fits = size == shape[k] || (k == 0 && one_row_allowed && size == 1);
    }
    if (!fits) {
        std::string wanted, got;
        for (npy_intp n : shape) wanted += (wanted.empty() ? "" : ", ") + std::to_string((long)n);
        for (int k = 0; k < PyArray_NDIM(array); k++)
            got += (k ? ", " : "") + std::to_string((long)PyArray_DIM(array, k));
        PyErr_Format(PyExc_ValueError, "lstm_recurrence: %s has shape (%s), but (%s) was expected", name, got.c_str(),
                     wanted.c_str());
        return false;
    }
    to.array = (PyArrayObject*)PyArray_FROM_OF((PyObject*)array, NPY_ARRAY_CARRAY_RO);
    return to.array != 0;
}

// The output with this shape: the array that is there already if it fits, else a new one.
static bool prepare(PyArrayObject** out, int type, std::vector<npy_intp> shape) {
    if (*out) {
        bool fits = PyArray_NDIM(*out) == (int)shape.size() && PyArray_TYPE(*out) == type && PyArray_ISCARRAY(*out);
        for (int k = 0; fits && k < (int)shape.size(); k++) fits = PyArray_DIM(*out, k) == shape[k];
        if (fits) return true;
        Py_DECREF(*out);
    }
    *out = (PyArrayObject*)PyArray_EMPTY((int)shape.size(), shape.data(), type, 0);
    return *out != 0;
}

template <typename T> struct numpy_type;
template <> struct numpy_type<float> { enum { value = NPY_FLOAT32 }; };
template <> struct numpy_type<double> { enum { value = NPY_FLOAT64 }; };

struct arguments {                               // of the problem; mask, z_gates and z_hid may be null
    PyArrayObject *W_hid, *b, *hid_init, *cell_init, *mask, *z_gates, *z_hid;
};

struct taken {
    reference W_hid, b, hid_init, cell_init, mask, z_gates, z_hid;
};

// Checks the shapes and fills in the problem. `x`: anything of shape (T, B, 4H).
template <typename T>
static bool read_problem(problem<T>& q, taken& held, PyArrayObject* x, const arguments& in, bool backwards) {
    const npy_intp steps = PyArray_DIM(x, 0), rows = PyArray_DIM(x, 1), units = PyArray_DIM(in.W_hid, 0);
    if (!take(held.W_hid, in.W_hid, "W_hid", {units, 4 * units}) || !take(held.b, in.b, "b", {4 * units}) ||
        !take(held.hid_init, in.hid_init, "hid_init", {rows, units}) ||
        !take(held.cell_init, in.cell_init, "cell_init", {rows, units}) ||
        !take(held.mask, in.mask, "mask", {steps, rows}) ||
        !take(held.z_gates, in.z_gates, "z_gates", {rows, 4 * units}, true) ||
        !take(held.z_hid, in.z_hid, "z_hid", {rows, units}, true))
        return false;
    q.steps = steps;
    q.rows = rows;
    q.units = units;
    q.backwards = backwards;
    q.W_hid = held.W_hid.data<T>();
    q.b = held.b.data<T>();
    q.hid_init = held.hid_init.data<T>();
    q.cell_init = held.cell_init.data<T>();
    q.mask = held.mask.data<T>();
    q.z_gates = held.z_gates.data<T>();
    q.z_hid = held.z_hid.data<T>();
    q.z_gates_stride = in.z_gates && PyArray_DIM(in.z_gates, 0) != 1 ? 4 * units : 0;
    q.z_hid_stride = in.z_hid && PyArray_DIM(in.z_hid, 0) != 1 ? units : 0;
    q.set_up();
    return true;
}

// The two entry points; false: a Python exception is set. keep: also compute `total`, what the gradient needs.
template <typename T, bool HARD>
static bool run_forward(PyArrayObject* x, const arguments& in, bool backwards, bool keep, bool inplace,
                        PyArrayObject** hid, PyArrayObject** cell, PyArrayObject** total) {
    const int type = numpy_type<T>::value;
    problem<T> q;
    taken held;
    reference x_held;
    if (!read_problem(q, held, x, in, backwards) ||
        !take(x_held, x, "preactivation", {q.steps, q.rows, 4 * q.units}) ||
        !prepare(hid, type, {q.steps, q.rows, q.units}) || !prepare(cell, type, {q.steps, q.rows, q.units}))
        return false;
    if (keep && inplace && PyArray_ISCARRAY(x_held.array)) {
        Py_XDECREF(*total);
        Py_INCREF(x_held.array);
        *total = x_held.array;
    } else if (!(keep ? prepare(total, type, {q.steps, q.rows, 4 * q.units}) : prepare(total, type, {0, 0, 0}))) {
        return false;
    }
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = forward<T, HARD>(q, x_held.data<T>(), (T*)PyArray_DATA(*hid), (T*)PyArray_DATA(*cell),
                            keep ? (T*)PyArray_DATA(*total) : 0);
    Py_END_ALLOW_THREADS
    if (!done) PyErr_NoMemory();
    return done;
}

struct gradient_outputs {
    PyArrayObject **x, **W_hid, **b, **hid_init, **cell_init, **z_gates, **z_hid;
};

// Where one row of z served all rows, its gradient is the sum of theirs.
template <typename T>
static void sum_rows(const buffer<T>& rows, long n, long width, T* to) {
    memset(to, 0, width * sizeof(T));
    for (long i = 0; i < n; i++)
        for (long k = 0; k < width; k++) to[k] += rows.p[i * width + k];
}

template <typename T, bool HARD>
static bool run_gradient(const arguments& in, bool backwards, PyArrayObject* hid, PyArrayObject* cell,
                         PyArrayObject* total, PyArrayObject* g_hid, PyArrayObject* g_cell, bool inplace,
                         const gradient_outputs& out) {
    const int type = numpy_type<T>::value;
    problem<T> q;
    taken held;
    reference hid_held, cell_held, total_held, g_hid_held, g_cell_held;
    if (!read_problem(q, held, total, in, backwards)) return false;
    const npy_intp steps = q.steps, rows = q.rows, H = q.units;
    if (!take(hid_held, hid, "hid", {steps, rows, H}) || !take(cell_held, cell, "cell", {steps, rows, H}) ||
        !take(total_held, total, "total", {steps, rows, 4 * H}) ||
        !take(g_hid_held, g_hid, "the gradient of hid", {steps, rows, H}) ||
        !take(g_cell_held, g_cell, "the gradient of cell", {steps, rows, H}) ||
        !prepare(out.W_hid, type, {H, 4 * H}) || !prepare(out.b, type, {4 * H}) ||
        !prepare(out.hid_init, type, {rows, H}) || !prepare(out.cell_init, type, {rows, H}))
        return false;
    const bool one_z_gates = in.z_gates && PyArray_DIM(in.z_gates, 0) == 1 && rows != 1;
    const bool one_z_hid = in.z_hid && PyArray_DIM(in.z_hid, 0) == 1 && rows != 1;
    if (in.z_gates && !prepare(out.z_gates, type, {one_z_gates ? 1 : rows, 4 * H})) return false;
    if (in.z_hid && !prepare(out.z_hid, type, {one_z_hid ? 1 : rows, H})) return false;
    if (inplace && PyArray_ISCARRAY(total_held.array)) {
        Py_XDECREF(*out.x);
        Py_INCREF(total_held.array);
        *out.x = total_held.array;
    } else if (!prepare(out.x, type, {steps, rows, 4 * H})) {
        return false;
    }
    buffer<T> z_gates_rows(one_z_gates ? rows * 4 * H : 0), z_hid_rows(one_z_hid ? rows * H : 0);
    T* z_gates = in.z_gates ? (T*)PyArray_DATA(*out.z_gates) : 0;
    T* z_hid = in.z_hid ? (T*)PyArray_DATA(*out.z_hid) : 0;
    bool done = z_gates_rows.p && z_hid_rows.p;
    if (done) {
        Py_BEGIN_ALLOW_THREADS
        done = gradient<T, HARD>(q, gradient_arrays<T>{
            hid_held.data<T>(), cell_held.data<T>(), total_held.data<T>(), g_hid_held.data<T>(),
            g_cell_held.data<T>(), (T*)PyArray_DATA(*out.x), (T*)PyArray_DATA(*out.W_hid), (T*)PyArray_DATA(*out.b),
            (T*)PyArray_DATA(*out.hid_init), (T*)PyArray_DATA(*out.cell_init),
            one_z_gates ? z_gates_rows.p : z_gates, one_z_hid ? z_hid_rows.p : z_hid});
        if (done && one_z_gates) sum_rows(z_gates_rows, rows, 4 * H, z_gates);
        if (done && one_z_hid) sum_rows(z_hid_rows, rows, H, z_hid);
        Py_END_ALLOW_THREADS
    }
    if (!done) PyErr_NoMemory();
    return done;
}

}  // namespace lstm
