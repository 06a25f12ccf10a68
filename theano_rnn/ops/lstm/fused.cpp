// The recurrence of an LSTM and its gradient. The formulas are in lstm/__init__.py.
//
// The rows of a minibatch are independent of each other, so each thread computes some of the rows for all time steps.
// If W_hid is too large for the cache of one core, or if there are too few rows, each thread computes some units of all
// rows instead. Then each thread reads only its part of W_hid, and the threads wait for each other once per time step.
//
// The matrix products do not use a BLAS: W_hid is packed once per call instead of once per time step, and masked rows
// are skipped. The order of every sum, and thus the result, is independent of the number of threads.

namespace lstm {

using namespace theano_rnn;

// The sums of a product stay in registers: BLOCK_ROWS x 2 vectors, or TILE_ROWS x 3 for the gradient of W_hid.
#if defined(__AVX512F__)
enum { BLOCK_ROWS = 12, TILE_ROWS = 8 };         // 24 of the 32 registers
#elif defined(__AVX__)
enum { BLOCK_ROWS = 6, TILE_ROWS = 4 };          // 12 of 16
#else
enum { BLOCK_ROWS = 5, TILE_ROWS = 2 };
#endif

// Rows whose bias gradients are summed together: fixed, so that the order is independent of the number of threads.
enum { GROUP_ROWS = 4 };

// -------------------------------------------------------------------------------------------- elementary functions

static inline vector_of<float>::type logistic(vector_of<float>::type x) {
    return 1.0f / (1.0f + exponential(-x));
}

// tanh in float32, accurate to 4 ulp: the rational approximation of Eigen, which is 1 for x > 7.9.
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
    // The derivative at the value s of the gate; 0 where the hard sigmoid is clipped.
    static inline V derivative(V s) {
        const V zero = {}, one = V{} + T(1), slope = V{} + T(0.2);
        if (!HARD) return s * (one - s);
        const V above = s > zero ? slope : zero;
        return s < one ? above : zero;
    }
};

// -------------------------------------------------------------------------------------------------------- product

// sums[r * WIDTH + v] = sum over k of rows[r][k * STRIDE] * panel[k][v], for ROWS x COLUMNS vectors. Each sum is in the
// order of k for every block size: the result is independent of the division of the work.
template <typename T, int ROWS, int COLUMNS, int STRIDE, int WIDTH>
static __attribute__((noinline)) void
product(const T* const* rows, const T* panel, long K, typename vector_of<T>::type* sums) {
    typedef typename vector_of<T>::type V;
    enum { N = lanes<T>::N, AHEAD = 16 };        // the panel is not in the cache, and is read once per block
    const T* row[ROWS];
    V s[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; r++) {
        row[r] = rows[r];
        for (int v = 0; v < COLUMNS; v++) s[r][v] = V{};
    }
    for (long k = 0; k < K; k++) {
        V p[COLUMNS];
        for (int v = 0; v < COLUMNS; v++) {
            p[v] = *(const V*)(panel + (k * COLUMNS + v) * N);
            __builtin_prefetch(panel + ((k + AHEAD) * COLUMNS + v) * N);
        }
        for (int r = 0; r < ROWS; r++) {
            const V a = row[r][k * STRIDE] - V{};      // the same number in all lanes
            for (int v = 0; v < COLUMNS; v++) s[r][v] += a * p[v];
        }
    }
    for (int r = 0; r < ROWS; r++)
        for (int v = 0; v < COLUMNS; v++) sums[r * WIDTH + v] = s[r][v];
}

// The product for n rows, 1 <= n <= BLOCK_ROWS.
template <typename T, int COLUMNS, int WIDTH, int ROWS = BLOCK_ROWS> struct block_product {
    static inline void run(long n, const T* const* rows, const T* panel, long K, typename vector_of<T>::type* sums) {
        if (n == ROWS) product<T, ROWS, COLUMNS, 1, WIDTH>(rows, panel, K, sums);
        else block_product<T, COLUMNS, WIDTH, ROWS - 1>::run(n, rows, panel, K, sums);
    }
};
template <typename T, int COLUMNS, int WIDTH> struct block_product<T, COLUMNS, WIDTH, 0> {
    static inline void run(long, const T* const*, const T*, long, typename vector_of<T>::type*) {}
};

// Calls body(first, count) for blocks of at most BLOCK_ROWS of n rows, as even as possible: small blocks are slow.
template <typename Body>
static inline void in_blocks(long n, const Body& body) {
    const long blocks = (n + BLOCK_ROWS - 1) / BLOCK_ROWS;
    for (long i = 0; i < blocks; i++) body(n * i / blocks, n * (i + 1) / blocks - n * i / blocks);
}

// The i-th panel of a range in step s. The order alternates, so that a step begins with panels that are in the cache.
static inline long alternating(const range& panels, long s, long i, long size = 1) {
    const long count = (panels.end - panels.begin + size - 1) / size;
    return panels.begin + (s % 2 ? count - 1 - i : i) * size;
}

// ------------------------------------------------------------------------------------------------------- problem

// `p` moved to a column (null stays null).
template <typename T> static inline T* column(T* p, long begin) { return p ? p + begin : p; }

// One component. Its pointers begin at its own columns of the arrays that all components share, whose rows have
// `all_units` or 4 * `all_units` elements. x, total and d_x belong to the component; their rows have 4 * `units`.
template <typename T> struct problem {
    long steps, rows;                            // T, B
    long begin, units, all_units;                // first unit and H of this component; H of all
    bool backwards;
    int threads;
    const T *x, *W_hid, *b, *hid_init, *cell_init, *mask, *z_gates, *z_hid;    // x: in the gradient, total
    long z_gates_stride, z_hid_stride;           // 0 where one row serves all
    long panels;                                 // vectors of units; the last one may be incomplete
    bool by_units;                               // a thread takes some units of all rows, not some rows

    void set_up() {
        panels = (units + lanes<T>::N - 1) / lanes<T>::N;
        // Starting a thread takes about 50 microseconds, and a barrier a few microseconds. A thread needs at least one
        // group of rows.
        const double step_work = 8.0 * rows * units * units;
        const double useful = std::min<double>(available_threads(), std::max(1.0, steps * step_work / 1e7));
        const long threads_by_rows = std::min<long>(useful, std::max<long>(1, (rows + GROUP_ROWS - 1) / GROUP_ROWS));
        const long threads_by_units = std::min<long>(std::min(useful, std::max(1.0, step_work / 5e5)), panels);
        const bool fits_in_cache = 4 * units * units * sizeof(T) <= 1 << 20;
        by_units = threads_by_units > threads_by_rows || (threads_by_units == threads_by_rows && !fits_in_cache);
        threads = (int)std::max<long>(1, by_units ? threads_by_units : threads_by_rows);
    }
    range own_rows(int i, int n) const { return by_units ? range{0, rows} : part_of(rows, GROUP_ROWS, i, n); }
    // In pairs, whatever the number of threads: the compiler may round the product of a single panel differently (GCC
    // for AMD processors).
    range own_panels(int i, int n) const { return by_units ? part_of(panels, 2, i, n) : range{0, panels}; }
    long time(long s) const { return backwards ? steps - 1 - s : s; }          // of the s-th step
    bool active(long t, long i) const { return !mask || mask[t * rows + i] != 0; }
    const T* before(const T* states, const T* init, long s, long i) const {    // the state before step s
        return (s == 0 ? init : states + time(s - 1) * rows * all_units) + i * all_units;
    }
    long width(long panel) const { return std::min<long>(lanes<T>::N, units - panel * lanes<T>::N); }
};

// -------------------------------------------------------------------------------------------------------- forward

// One panel of step s for `count` rows: their indices, and their hidden states before the step.
template <typename T, bool HARD>
static inline void forward_block(const problem<T>& q, long s, long panel, const T* weights, const long* active_rows,
                                 const T* const* hid_before, long count, T* hid, T* cell, T* total) {
    typedef typename vector_of<T>::type V;
    const long H = q.units, all = q.all_units, n = q.width(panel), offset = panel * lanes<T>::N, t = q.time(s);
    for (long r = 0; r < count; r++)             // loaded during the product
        for (long g = 0; g < 4; g++) __builtin_prefetch(q.x + ((t * q.rows + active_rows[r]) * 4 + g) * H + offset);
    V sums[BLOCK_ROWS][4];
    for (int pair = 0; pair < 2; pair++)
        block_product<T, 2, 4>::run(count, hid_before, weights + pair * 2 * H * lanes<T>::N, H, &sums[0][2 * pair]);
    for (long r = 0; r < count; r++) {
        const long i = active_rows[r], row = t * q.rows + i;
        V a[4];
        for (int g = 0; g < 4; g++) {
            const long column = g * H + offset;
            a[g] = load(q.x + row * 4 * H + column, n) + sums[r][g];
            if (total) store(total + row * 4 * H + column, a[g], n);
            if (q.z_gates) a[g] *= load(q.z_gates + i * q.z_gates_stride + column, n);
            a[g] += load(q.b + column, n);
        }
        const V before = load(q.before(cell, q.cell_init, s, i) + offset, n);
        const V c = gate<T, HARD>::value(a[1]) * before + gate<T, HARD>::value(a[0]) * hyperbolic_tangent(a[2]);
        V h = gate<T, HARD>::value(a[3]) * hyperbolic_tangent(c);
        if (q.z_hid) h *= load(q.z_hid + i * q.z_hid_stride + offset, n);
        store(cell + row * all + offset, c, n);
        store(hid + row * all + offset, h, n);
    }
}

// W_hid in panels of a vector of units: (2, H, 2, lanes), the gates two by two.
template <typename T>
static void pack_forward(const problem<T>& q, const range& panels, T* packed) {
    const long H = q.units, N = lanes<T>::N;
    for (long first = 0; first < H; first += 32)             // blocks of rows: each panel has a part of each row
        for (long panel = panels.begin; panel < panels.end; panel++)
            for (long k = first; k < std::min(H, first + 32); k++)
                for (long g = 0; g < 4; g++)
                    store(packed + panel * 4 * H * N + ((g / 2 * H + k) * 2 + g % 2) * N,
                          load(q.W_hid + k * 4 * H + g * H + panel * N, q.width(panel)), N);
}

template <typename T, bool HARD>
static bool forward(const problem<T>& q, T* hid, T* cell, T* total) {
    const long H = q.units, all = q.all_units, N = lanes<T>::N;
    buffer<T> packed(q.panels * 4 * H * N);
    if (!packed.p) return false;
    in_team(q.threads, [&](int thread, team& others) {
        const range rows = q.own_rows(thread, others.size), panels = q.own_panels(thread, others.size);
        pack_forward(q, q.by_units ? panels : part_of(q.panels, 1, thread, others.size), packed.p);
        if (!q.by_units) others.barrier();
        const long begin = panels.begin * N, units = std::min(H, panels.end * N) - begin;
        std::vector<long> active;
        std::vector<const T*> hid_before;
        for (long s = 0; s < q.steps; s++) {
            const long t = q.time(s);
            active.clear();
            hid_before.clear();
            for (long i = rows.begin; i < rows.end; i++) {
                const T* h = q.before(hid, q.hid_init, s, i);
                const long row = t * q.rows + i;
                if (q.active(t, i)) {
                    active.push_back(i);
                    hid_before.push_back(h);
                    continue;
                }
                memcpy(hid + row * all + begin, h + begin, units * sizeof(T));
                memcpy(cell + row * all + begin, q.before(cell, q.cell_init, s, i) + begin, units * sizeof(T));
                // The gradient does not read these elements, but an output must not contain uninitialised memory.
                for (long g = 0; g < 4 && total && total != q.x; g++)
                    memcpy(total + (row * 4 + g) * H + begin, q.x + (row * 4 + g) * H + begin, units * sizeof(T));
            }
            for (long i = 0; i < panels.end - panels.begin; i++) {
                const long panel = alternating(panels, s, i);
                in_blocks((long)active.size(), [&](long first, long count) {
                    forward_block<T, HARD>(q, s, panel, packed.p + panel * 4 * H * N, &active[first],
                                           &hid_before[first], count, hid, cell, total);
                });
            }
            if (q.by_units) others.barrier();
        }
    });
    return true;
}

// ------------------------------------------------------------------------------------------------------- gradient

template <typename T> struct gradient_arrays {
    const T *hid, *cell, *g_hid, *g_cell;                              // g_*: may be null
    T *d_b, *d_hid_init, *d_cell_init, *d_z_gates, *d_z_hid;           // d_z_*: (B, ...) or null
    T *d_x, *d_W_hid;                                                  // of one component

    // The arrays of the component whose first unit is `begin`.
    gradient_arrays columns(long begin, T* component_d_x, T* component_d_W_hid) const {
        return {hid + begin, cell + begin, column(g_hid, begin), column(g_cell, begin), d_b + 4 * begin,
                d_hid_init + begin, d_cell_init + begin, column(d_z_gates, 4 * begin), column(d_z_hid, begin),
                component_d_x, component_d_W_hid};
    }
};

// The elementwise part of step s for the rows begin..end of one group; sums the gradient of b into d_b.
template <typename T, bool HARD>
static inline void gradient_gates(const problem<T>& q, const gradient_arrays<T>& d, long s, long begin, long end,
                                  const range& panels, T* d_b) {
    typedef typename vector_of<T>::type V;
    const long H = q.units, all = q.all_units, t = q.time(s);
    for (long panel = panels.begin; panel < panels.end; panel++) {
        const long offset = panel * lanes<T>::N, n = q.width(panel);
        V bias[4], d_bias[4];
        for (int g = 0; g < 4; g++) {
            bias[g] = load(q.b + g * H + offset, n);
            d_bias[g] = V{};
        }
        for (long i = begin; i < end; i++) {
            const long row = t * q.rows + i, unit = row * all + offset;
            // d_hid_init and d_cell_init hold the gradient of the current state, on the way back to the initial state.
            V d_h = load(d.d_hid_init + i * all + offset, n), d_c = load(d.d_cell_init + i * all + offset, n);
            if (d.g_hid) d_h += load(d.g_hid + unit, n);
            if (d.g_cell) d_c += load(d.g_cell + unit, n);
            if (!q.active(t, i)) {
                store(d.d_hid_init + i * all + offset, d_h, n);
                store(d.d_cell_init + i * all + offset, d_c, n);
                for (int g = 0; g < 4; g++) store(d.d_x + (row * 4 + g) * H + offset, V{}, n);
                continue;
            }
            V total[4], z[4], a[4];
            for (int g = 0; g < 4; g++) {
                const long column = g * H + offset;
                total[g] = load(q.x + row * 4 * H + column, n);
                if (q.z_gates) {
                    z[g] = load(q.z_gates + i * q.z_gates_stride + column, n);
                    a[g] = total[g] * z[g] + bias[g];
                } else {
                    a[g] = total[g] + bias[g];
                }
            }
            // Recomputing the gates takes less time than reading them from memory.
            const V in = gate<T, HARD>::value(a[0]), forget = gate<T, HARD>::value(a[1]);
            const V candidate = hyperbolic_tangent(a[2]), out = gate<T, HARD>::value(a[3]);
            const V tanh_cell = hyperbolic_tangent(load(d.cell + unit, n));
            const V before = load(q.before(d.cell, q.cell_init, s, i) + offset, n);
            if (q.z_hid) {
                if (d.d_z_hid) {
                    T* p = d.d_z_hid + i * all + offset;
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
            store(d.d_cell_init + i * all + offset, d_c * forget, n);
            for (int g = 0; g < 4; g++) {
                const long column = g * H + offset;
                d_bias[g] += d_a[g];
                if (q.z_gates) {
                    T* p = d.d_z_gates + i * 4 * all + column;
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

// A tile of the gradient of W_hid: a panel of units x COLUMNS vectors, of which the first `width` lanes are used. The
// sum is over K pairs of time step and example; hid_before (K, lanes) and d_x (K, COLUMNS, lanes) are packed.
template <typename T, int COLUMNS>
static void weight_tile(const T* hid_before, const T* d_x, long K, bool add, T* tile, long stride, long units,
                        long width) {
    typedef typename vector_of<T>::type V;
    enum { N = lanes<T>::N, ROWS = (int)TILE_ROWS < (int)N ? (int)TILE_ROWS : (int)N };
    for (long first = 0; first < units; first += ROWS) {
        const T* rows[ROWS];
        for (int r = 0; r < ROWS; r++) rows[r] = hid_before + first + r;
        for (long r = 0; r < std::min<long>(ROWS, units - first); r++)
            for (long v = 0; v <= COLUMNS; v++) __builtin_prefetch(tile + (first + r) * stride + v * N, 1);
        V sums[ROWS][COLUMNS];
        product<T, ROWS, COLUMNS, N, COLUMNS>(rows, d_x, K, &sums[0][0]);
        for (long r = 0; r < std::min<long>(ROWS, units - first); r++)
            for (long v = 0; v < COLUMNS; v++) {
                T* p = tile + (first + r) * stride + v * N;
                store(p, add ? load(p, width - v * N) + sums[r][v] : sums[r][v], width - v * N);
            }
    }
}

// d_W_hid = sum over all steps and the active rows of (the hidden state before the step) x (the gradient d_x).
template <typename T>
static bool gradient_weights(const problem<T>& q, const gradient_arrays<T>& d) {
    enum { DEPTH = 1024, COLUMNS = 3 };          // the packed part of d_x stays in the second-level cache
    const long N = lanes<T>::N, width = 4 * q.units, tiles = (width + COLUMNS * N - 1) / (COLUMNS * N);
    std::vector<const T*> hid_before, d_x;
    for (long s = 0; s < q.steps; s++)
        for (long i = 0; i < q.rows; i++)
            if (q.active(q.time(s), i)) {
                hid_before.push_back(q.before(d.hid, q.hid_init, s, i));
                d_x.push_back(d.d_x + (q.time(s) * q.rows + i) * width);
            }
    const long total = (long)d_x.size(), deepest = std::min<long>(DEPTH, total);
    buffer<T> packed_hid(q.panels * deepest * N), packed_d_x(q.threads * deepest * COLUMNS * N);
    if (!packed_hid.p || !packed_d_x.p) return false;
    in_team(q.threads, [&](int thread, team& others) {
        const range panels = part_of(q.panels, 1, thread, others.size);
        const range own = part_of(tiles * q.panels, 1, thread, others.size);
        T* to_d_x = packed_d_x.p + thread * deepest * COLUMNS * N;
        long first = 0;
        do {                                     // at least once: without terms, the gradient is 0
            const long K = std::min<long>(DEPTH, total - first);
            for (long panel = panels.begin; panel < panels.end; panel++)
                for (long k = 0; k < K; k++)
                    store(packed_hid.p + (panel * K + k) * N,
                          load(hid_before[first + k] + panel * N, q.width(panel)), N);
            others.barrier();
            for (long i = own.begin; i < own.end; i++) {
                const long column = i / q.panels * COLUMNS * N, panel = i % q.panels;
                const long columns = std::min(COLUMNS * N, width - column), vectors = (columns + N - 1) / N;
                if (i == own.begin || panel == 0)
                    for (long k = 0; k < K; k++)
                        for (long v = 0; v < vectors; v++)
                            store(to_d_x + (k * vectors + v) * N,
                                  load(d_x[first + k] + column + v * N, columns - v * N), N);
                const auto tile_of = vectors == 3 ? weight_tile<T, 3>
                                   : vectors == 2 ? weight_tile<T, 2> : weight_tile<T, 1>;
                tile_of(packed_hid.p + panel * K * N, to_d_x, K, first > 0, d.d_W_hid + panel * N * width + column,
                        width, q.width(panel), columns);
            }
            others.barrier();
            first += DEPTH;
        } while (first < total);
    });
    return true;
}

// W_hid^T in panels of two vectors of units, (4H, 2, lanes); the last of `panels` may have one.
template <typename T>
static void pack_gradient(const problem<T>& q, const range& panels, T* packed) {
    const long H = q.units, N = lanes<T>::N;
    for (long panel = panels.begin; panel < panels.end; panel += 2) {
        const long columns = std::min(2L, panels.end - panel);
        T* to = packed + panel * 4 * H * N;
        for (long first = 0; first < 4 * H; first += 64)     // a part that stays in the first-level cache
            for (long j = 0; j < columns * N; j++)
                for (long k = first; k < std::min(4 * H, first + 64); k++)
                    to[k * columns * N + j] = panel * N + j < H ? q.W_hid[(panel * N + j) * 4 * H + k] : T(0);
    }
}

// The gradient of one component. The shared arrays to which sums are added must be initialised to 0.
template <typename T, bool HARD>
static bool gradient(const problem<T>& q, const gradient_arrays<T>& d) {
    const long H = q.units, N = lanes<T>::N, groups = (q.rows + GROUP_ROWS - 1) / GROUP_ROWS;
    buffer<T> packed(q.panels * 4 * H * N), group_d_b(groups * 4 * H);
    if (!packed.p || !group_d_b.p) return false;
    memset(group_d_b.p, 0, groups * 4 * H * sizeof(T));
    in_team(q.threads, [&](int thread, team& others) {
        typedef typename vector_of<T>::type V;
        const range rows = q.own_rows(thread, others.size), panels = q.own_panels(thread, others.size);
        pack_gradient(q, q.by_units ? panels : part_of(q.panels, 2, thread, others.size), packed.p);
        if (!q.by_units) others.barrier();
        std::vector<long> active;
        std::vector<const T*> d_x_rows;
        for (long s = q.steps - 1; s >= 0; s--) {
            const long t = q.time(s);
            active.clear();
            d_x_rows.clear();
            for (long i = rows.begin; i < rows.end; i++)
                if (q.active(t, i)) {
                    active.push_back(i);
                    d_x_rows.push_back(d.d_x + (t * q.rows + i) * 4 * H);
                }
            for (long i = rows.begin; i < rows.end; i += GROUP_ROWS)
                gradient_gates<T, HARD>(q, d, s, i, std::min<long>(rows.end, i + GROUP_ROWS), panels,
                                        group_d_b.p + i / GROUP_ROWS * 4 * H);
            if (q.by_units) others.barrier();
            // The gradient of the preceding state, d_x W_hid^T. In the next step, each thread reads only its own part.
            for (long i = 0; i < panels.end - panels.begin; i += 2) {
                const long panel = alternating(panels, s, i / 2, 2), columns = std::min(2L, panels.end - panel);
                const T* weights = packed.p + panel * 4 * H * N;
                in_blocks((long)active.size(), [&](long first, long count) {
                    V sums[BLOCK_ROWS][2];
                    if (columns == 2) block_product<T, 2, 2>::run(count, &d_x_rows[first], weights, 4 * H, sums[0]);
                    else block_product<T, 1, 2>::run(count, &d_x_rows[first], weights, 4 * H, sums[0]);
                    for (long r = 0; r < count; r++)
                        for (long v = 0; v < columns; v++)
                            store(d.d_hid_init + active[first + r] * q.all_units + (panel + v) * N, sums[r][v],
                                  q.width(panel + v));
                });
            }
        }
    });
    memset(d.d_b, 0, 4 * H * sizeof(T));
    for (long group = 0; group < groups; group++)
        for (long k = 0; k < 4 * H; k++) d.d_b[k] += group_d_b.p[group * 4 * H + k];

    return gradient_weights(q, d);
}

// --------------------------------------------------------------------------------------------------- numpy arrays

struct arguments {                               // x (preactivation or total) and W_hid: one per component
    std::vector<PyArrayObject*> x, W_hid;
    PyArrayObject *b, *hid_init, *cell_init, *mask, *z_gates, *z_hid;          // the last three may be null
};

struct taken {
    std::vector<reference> x, W_hid;
    reference b, hid_init, cell_init, mask, z_gates, z_hid;
};

// Checks the shapes and fills in the problem of each component. `x_name`: the name of `in.x` in messages.
template <typename T>
static bool read_problems(std::vector<problem<T>>& components, taken& held, const char* x_name, const arguments& in,
                          bool backwards) {
    const size_t count = in.W_hid.size();
    const npy_intp steps = PyArray_DIM(in.x[0], 0), rows = PyArray_DIM(in.x[0], 1);
    npy_intp all = 0;
    held.x = std::vector<reference>(count);
    held.W_hid = std::vector<reference>(count);
    for (size_t c = 0; c < count; c++) {
        const npy_intp units = PyArray_DIM(in.W_hid[c], 0);
        const std::string number = count == 1 ? "" : "_" + std::to_string((long)c);
        if (!take(held.W_hid[c], in.W_hid[c], "lstm_recurrence: W_hid" + number, {units, 4 * units}) ||
            !take(held.x[c], in.x[c], "lstm_recurrence: " + (x_name + number), {steps, rows, 4 * units}))
            return false;
        all += units;
    }
    if (!take(held.b, in.b, "lstm_recurrence: b", {4 * all}) ||
        !take(held.hid_init, in.hid_init, "lstm_recurrence: hid_init", {rows, all}) ||
        !take(held.cell_init, in.cell_init, "lstm_recurrence: cell_init", {rows, all}) ||
        !take(held.mask, in.mask, "lstm_recurrence: mask", {steps, rows}) ||
        !take(held.z_gates, in.z_gates, "lstm_recurrence: z_gates", {rows, 4 * all}, true) ||
        !take(held.z_hid, in.z_hid, "lstm_recurrence: z_hid", {rows, all}, true))
        return false;
    for (size_t c = 0; c < count; c++) {
        const long begin = components.empty() ? 0 : components.back().begin + components.back().units;
        problem<T> q;
        q.steps = steps;
        q.rows = rows;
        q.begin = begin;
        q.units = PyArray_DIM(in.W_hid[c], 0);
        q.all_units = all;
        q.backwards = backwards;
        q.x = held.x[c].data<T>();
        q.W_hid = held.W_hid[c].data<T>();
        q.b = held.b.data<T>() + 4 * begin;
        q.hid_init = held.hid_init.data<T>() + begin;
        q.cell_init = held.cell_init.data<T>() + begin;
        q.mask = held.mask.data<T>();
        q.z_gates = column(held.z_gates.data<T>(), 4 * begin);
        q.z_hid = column(held.z_hid.data<T>(), begin);
        q.z_gates_stride = in.z_gates && PyArray_DIM(in.z_gates, 0) != 1 ? 4 * all : 0;
        q.z_hid_stride = in.z_hid && PyArray_DIM(in.z_hid, 0) != 1 ? all : 0;
        q.set_up();
        components.push_back(q);
    }
    return true;
}

// The two entry points. They return false if a Python exception is set. keep: also compute `total`, for the gradient.
template <typename T, bool HARD>
static bool run_forward(const arguments& in, bool backwards, bool keep, bool inplace, PyArrayObject** hid,
                        PyArrayObject** cell, const std::vector<PyArrayObject**>& total) {
    const int type = numpy_type<T>::value;
    std::vector<problem<T>> components;
    taken held;
    if (!read_problems(components, held, "preactivation", in, backwards)) return false;
    const npy_intp steps = components[0].steps, rows = components[0].rows, H = components[0].all_units;
    if (!prepare(hid, type, {steps, rows, H}) || !prepare(cell, type, {steps, rows, H})) return false;
    for (size_t c = 0; c < components.size(); c++)
        if (!(keep ? prepare_like(total[c], type, held.x[c].array, inplace) : prepare(total[c], type, {0, 0, 0})))
            return false;
    bool done = true;
    Py_BEGIN_ALLOW_THREADS
    for (size_t c = 0; c < components.size(); c++)
        done = done && forward<T, HARD>(components[c], (T*)PyArray_DATA(*hid) + components[c].begin,
                                        (T*)PyArray_DATA(*cell) + components[c].begin,
                                        keep ? (T*)PyArray_DATA(*total[c]) : 0);
    Py_END_ALLOW_THREADS
    if (!done) PyErr_NoMemory();
    return done;
}

struct gradient_outputs {                        // x and W_hid: one per component; z_gates and z_hid may be null
    std::vector<PyArrayObject**> x, W_hid;
    PyArrayObject **b, **hid_init, **cell_init, **z_gates, **z_hid;
};

// If one row of z is used for all rows, its gradient is the sum of theirs.
template <typename T>
static void sum_rows(const buffer<T>& rows, long n, long width, T* to) {
    memset(to, 0, width * sizeof(T));
    for (long i = 0; i < n; i++)
        for (long k = 0; k < width; k++) to[k] += rows.p[i * width + k];
}

template <typename T, bool HARD>
static bool run_gradient(const arguments& in, bool backwards, PyArrayObject* hid, PyArrayObject* cell,
                         PyArrayObject* g_hid, PyArrayObject* g_cell, bool inplace, const gradient_outputs& out) {
    const int type = numpy_type<T>::value;
    std::vector<problem<T>> components;
    taken held;
    reference hid_held, cell_held, g_hid_held, g_cell_held;
    if (!read_problems(components, held, "total", in, backwards)) return false;
    const npy_intp steps = components[0].steps, rows = components[0].rows, H = components[0].all_units;
    if (!take(hid_held, hid, "lstm_recurrence: hid", {steps, rows, H}) ||
        !take(cell_held, cell, "lstm_recurrence: cell", {steps, rows, H}) ||
        !take(g_hid_held, g_hid, "lstm_recurrence: the gradient of hid", {steps, rows, H}) ||
        !take(g_cell_held, g_cell, "lstm_recurrence: the gradient of cell", {steps, rows, H}) ||
        !prepare(out.b, type, {4 * H}) || !prepare(out.hid_init, type, {rows, H}) ||
        !prepare(out.cell_init, type, {rows, H}))
        return false;
    for (size_t c = 0; c < components.size(); c++)
        if (!prepare(out.W_hid[c], type, {components[c].units, 4 * components[c].units}) ||
            !prepare_like(out.x[c], type, held.x[c].array, inplace))
            return false;
    const bool one_z_gates = in.z_gates && PyArray_DIM(in.z_gates, 0) == 1 && rows != 1;
    const bool one_z_hid = in.z_hid && PyArray_DIM(in.z_hid, 0) == 1 && rows != 1;
    if (in.z_gates && !prepare(out.z_gates, type, {one_z_gates ? 1 : rows, 4 * H})) return false;
    if (in.z_hid && !prepare(out.z_hid, type, {one_z_hid ? 1 : rows, H})) return false;
    buffer<T> z_gates_rows(one_z_gates ? rows * 4 * H : 0), z_hid_rows(one_z_hid ? rows * H : 0);
    T* z_gates = in.z_gates ? (T*)PyArray_DATA(*out.z_gates) : 0;
    T* z_hid = in.z_hid ? (T*)PyArray_DATA(*out.z_hid) : 0;
    bool done = z_gates_rows.p && z_hid_rows.p;
    if (done) {
        Py_BEGIN_ALLOW_THREADS
        const gradient_arrays<T> d = {
            hid_held.data<T>(), cell_held.data<T>(), g_hid_held.data<T>(), g_cell_held.data<T>(),
            (T*)PyArray_DATA(*out.b), (T*)PyArray_DATA(*out.hid_init), (T*)PyArray_DATA(*out.cell_init),
            one_z_gates ? z_gates_rows.p : z_gates, one_z_hid ? z_hid_rows.p : z_hid, 0, 0};
        memset(d.d_hid_init, 0, rows * H * sizeof(T));
        memset(d.d_cell_init, 0, rows * H * sizeof(T));
        if (d.d_z_gates) memset(d.d_z_gates, 0, rows * 4 * H * sizeof(T));
        if (d.d_z_hid) memset(d.d_z_hid, 0, rows * H * sizeof(T));
        for (size_t c = 0; c < components.size(); c++)
            done = done && gradient<T, HARD>(components[c], d.columns(components[c].begin,
                                                                      (T*)PyArray_DATA(*out.x[c]),
                                                                      (T*)PyArray_DATA(*out.W_hid[c])));
        if (done && one_z_gates) sum_rows(z_gates_rows, rows, 4 * H, z_gates);
        if (done && one_z_hid) sum_rows(z_hid_rows, rows, H, z_hid);
        Py_END_ALLOW_THREADS
    }
    if (!done) PyErr_NoMemory();
    return done;
}

}  // namespace lstm
