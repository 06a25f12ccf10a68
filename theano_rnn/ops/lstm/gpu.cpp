// The recurrence of an LSTM and its gradient on the GPU, with the kernels of gpu_kernels.c: one kernel for all time steps
// if each component is small; otherwise one cuBLAS product per component and one kernel for each time step. All arrays
// are float32 in C order. Needs shapes.hpp.

namespace lstm_gpu {

typedef PyGpuArrayObject array;

// The bits of `options`, as in gpu_kernels.c.
enum { HARD = 1, MASK = 2, Z_GATES = 4, Z_HID = 8, G_HID = 16, G_CELL = 32, KEEP = 64 };

enum { MOST_UNITS = 128, WARP = 32 };            // MOST_UNITS: as in gpu_kernels.c

struct owned {                                   // an owned reference
    array* a;
    explicit owned(array* p = 0) : a(p) {}
    ~owned() { Py_XDECREF(a); }
    owned(const owned&) = delete;
    owned& operator=(const owned&) = delete;
};

static bool succeeded(PyGpuContextObject* context, int error, const char* what) {
    if (error == GA_NO_ERROR) return true;
    PyErr_Format(PyExc_RuntimeError, "lstm_recurrence on the GPU: %s: %s", what, gpucontext_error(context->ctx, error));
    return false;
}

// -------------------------------------------------------------------------------------------------------- arrays

// Checks the shape of an array; null is valid.
static bool fits(array* a, const std::string& name, const std::vector<size_t>& shape, bool one_row_allowed = false) {
    return !a || theano_rnn::check_shape("lstm_recurrence: " + name,
                                         std::vector<long>(a->ga.dimensions, a->ga.dimensions + a->ga.nd),
                                         std::vector<long>(shape.begin(), shape.end()), one_row_allowed);
}

static bool prepare(array** out, std::vector<size_t> shape, PyGpuContextObject* context) {
    if (*out && !GpuArray_CHKFLAGS(&(*out)->ga, GA_CARRAY)) Py_CLEAR(*out);
    return theano_prep_output(out, shape.size(), shape.data(), GA_FLOAT, GA_C_ORDER, context) == 0;
}

static bool prepare_zeros(array** out, std::vector<size_t> shape, PyGpuContextObject* context) {
    return prepare(out, shape, context) &&
           succeeded(context, GpuArray_memset(&(*out)->ga, 0), "an array cannot be set to zero");
}

// Prepares an output with the values of x: x itself if `inplace` is set, otherwise a copy.
static bool prepare_copy(array** out, array* x, bool inplace) {
    Py_XDECREF(*out);
    if (inplace) Py_INCREF(x);
    *out = inplace ? x : pygpu_copy(x, GA_C_ORDER);
    return *out != 0;
}

// ------------------------------------------------------------------------------------------------------- problem

struct arguments {                               // x (preactivation or total) and W_hid: one per component
    std::vector<array*> x, W_hid;
    array *b, *hid_init, *cell_init, *mask, *z_gates, *z_hid;           // the last three may be null
};

struct problem {
    PyGpuContextObject* context;
    arguments in;
    size_t steps, rows, all_units, most_units;   // most_units: of one component
    std::vector<size_t> begins, units;           // of each component
    bool backwards;
    unsigned options;

    // Checks the shapes. `x_name`: the name of `in.x` in messages.
    bool read(const char* x_name, bool hard) {
        const size_t count = in.W_hid.size();
        steps = in.x[0]->ga.dimensions[0];
        rows = in.x[0]->ga.dimensions[1];
        all_units = most_units = 0;
        for (size_t c = 0; c < count; c++) {
            const size_t H = in.W_hid[c]->ga.dimensions[0];
            const std::string number = count == 1 ? "" : "_" + std::to_string(c);
            if (!fits(in.W_hid[c], "W_hid" + number, {H, 4 * H}) ||
                !fits(in.x[c], x_name + number, {steps, rows, 4 * H}))
                return false;
            begins.push_back(all_units);
            units.push_back(H);
            all_units += H;
            most_units = std::max(most_units, H);
        }
        options = (hard ? HARD : 0) | (in.mask ? MASK : 0) | (in.z_gates ? Z_GATES : 0) | (in.z_hid ? Z_HID : 0);
        return fits(in.b, "b", {4 * all_units}) && fits(in.hid_init, "hid_init", {rows, all_units}) &&
               fits(in.cell_init, "cell_init", {rows, all_units}) && fits(in.mask, "mask", {steps, rows}) &&
               fits(in.z_gates, "z_gates", {rows, 4 * all_units}, true) &&
               fits(in.z_hid, "z_hid", {rows, all_units}, true) &&
               succeeded(context, gpublas_setup(context->ctx), "the BLAS cannot be initialised");
    }
    // Whether one kernel computes all time steps.
    bool is_small() const { return most_units <= MOST_UNITS; }
    int time(size_t s) const { return backwards ? steps - 1 - s : s; }          // of the s-th step
    int time_before(size_t s) const { return s == 0 ? -1 : time(s - 1); }
    bool one_row(array* z) const { return z && z->ga.dimensions[0] == 1 && rows != 1; }

    // C = op(A) op(B), or C += if `add` is set, for matrices within arrays. at_*: first element; row_*: row length.
    bool product(bool transpose_A, bool transpose_B, size_t M, size_t N, size_t K, array* A, size_t at_A, size_t row_A,
                 array* B, size_t at_B, size_t row_B, bool add, array* C, size_t at_C, size_t row_C) const {
        if (!M || !N || !K) return true;
        const size_t size = sizeof(float);
        return succeeded(context, gpublas_sgemm(
            cb_c, transpose_A ? cb_trans : cb_no_trans, transpose_B ? cb_trans : cb_no_trans, M, N, K, 1,
            A->ga.data, A->ga.offset / size + at_A, row_A, B->ga.data, B->ga.offset / size + at_B, row_B, add,
            C->ga.data, C->ga.offset / size + at_C, row_C), "a matrix product failed");
    }
};

// ------------------------------------------------------------------------------------------------------- kernels

// Of a time step, of all time steps, of the matrix of all W_hid, and of the sum over rows in the gradient.
struct kernels { GpuKernel *step, *whole, *pack, *sum; };

class launch {                                   // a call of a kernel, with its arguments in order
    enum { THREADS = 256 };
    std::vector<void*> pointers;
    std::deque<unsigned> numbers;                // a deque: pointers stay valid when it grows

public:
    void give(array* a) {
        pointers.push_back(a->ga.data);
        pointers.push_back(&a->ga.offset);
    }
    unsigned* give(unsigned number) {            // the caller may change it before the next run
        numbers.push_back(number);
        pointers.push_back(&numbers.back());
        return &numbers.back();
    }
    bool run(PyGpuContextObject* context, GpuKernel* kernel, size_t threads) {
        return run_blocks(context, kernel, (threads + THREADS - 1) / THREADS, THREADS);
    }
    bool run_blocks(PyGpuContextObject* context, GpuKernel* kernel, size_t blocks, size_t threads_of_block) {
        return !blocks || !threads_of_block || succeeded(
            context, GpuKernel_call(kernel, 1, &blocks, &threads_of_block, 0, pointers.data()), "a kernel failed");
    }
};

static void give_components(launch& kernel, const std::vector<array*>& totals, const problem& q) {
    for (size_t c = 0; c < totals.size(); c++) {
        kernel.give(totals[c]);
        kernel.give((unsigned)q.begins[c]);
    }
}

struct times { unsigned *here, *before; };

// The two numbers before the others are those of a kernel for all time steps; the caller changes them for a single one.
static times give_numbers(launch& kernel, const problem& q, unsigned options) {
    times t = {kernel.give((unsigned)q.steps), kernel.give((unsigned)q.backwards)};
    kernel.give((unsigned)q.rows);
    kernel.give((unsigned)q.all_units);
    kernel.give((unsigned)q.one_row(q.in.z_gates));
    kernel.give((unsigned)q.one_row(q.in.z_hid));
    kernel.give(options);
    return t;
}

// The matrix of the W_hid of all components: (most_units, 4 all_units) or, transposed, (4 most_units, all_units).
static array* pack(const problem& q, GpuKernel* kernel, bool transposed) {
    if (q.in.W_hid.size() == 1 && !transposed) {
        Py_INCREF(q.in.W_hid[0]);
        return q.in.W_hid[0];
    }
    owned all;
    if (!prepare(&all.a, {q.most_units * (transposed ? 4 : 1), q.all_units * (transposed ? 1 : 4)}, q.context)) return 0;
    for (size_t c = 0; c < q.in.W_hid.size(); c++) {
        launch copy;
        copy.give(q.in.W_hid[c]);
        copy.give(all.a);
        for (size_t number : {q.units[c], q.begins[c], q.all_units, (size_t)transposed}) copy.give((unsigned)number);
        if (!copy.run(q.context, kernel, 4 * q.units[c] * q.units[c])) return 0;
    }
    array* result = all.a;
    all.a = 0;
    return result;
}

// Runs a kernel for all time steps: one block for each row of each component, one thread for each of its gates.
static bool run_whole(launch& kernel, GpuKernel* code, const problem& q) {
    return kernel.run_blocks(q.context, code, q.rows * q.in.W_hid.size(), (4 * q.most_units + WARP - 1) / WARP * WARP);
}

// ------------------------------------------------------------------------------------------------ the entry points

// The two entry points. They return false if a Python exception is set. keep: whether the gradient needs `total`.
static bool run_forward(PyGpuContextObject* context, const kernels& code, bool hard, const arguments& in,
                        bool backwards, bool keep, bool inplace, array** hid, array** cell,
                        const std::vector<array**>& total) {
    problem q;
    q.context = context;
    q.in = in;
    q.backwards = backwards;
    if (!q.read("preactivation", hard) || !prepare(hid, {q.steps, q.rows, q.all_units}, context) ||
        !prepare(cell, {q.steps, q.rows, q.all_units}, context))
        return false;
    const size_t H = q.all_units;
    std::vector<array*> sums;
    for (size_t c = 0; c < total.size(); c++) {
        // The kernel for all time steps writes sums only for the gradient.
        if ((keep || !q.is_small()) && !prepare_copy(total[c], in.x[c], inplace)) return false;
        sums.push_back(keep || !q.is_small() ? *total[c] : in.x[c]);
    }
    launch gates;
    give_components(gates, sums, q);
    for (array* a : {in.b, in.hid_init, in.cell_init, in.mask ? in.mask : in.b, in.z_gates ? in.z_gates : in.b,
                     in.z_hid ? in.z_hid : in.b, *hid, *cell})
        gates.give(a);
    owned W;
    if (q.is_small()) {
        W.a = pack(q, code.pack, false);
        if (!W.a) return false;
        gates.give(W.a);
    }
    const times t = give_numbers(gates, q, q.options | (keep ? KEEP : 0));
    if (q.is_small() && !run_whole(gates, code.whole, q)) return false;
    for (size_t s = 0; s < q.steps && !q.is_small(); s++) {
        *t.here = q.time(s);
        *t.before = q.time_before(s);
        array* before = s ? *hid : in.hid_init;
        for (size_t c = 0; c < sums.size(); c++)
            if (!q.product(false, false, q.rows, 4 * q.units[c], q.units[c],
                           before, (s ? q.time(s - 1) * q.rows * H : 0) + q.begins[c], H,
                           in.W_hid[c], 0, 4 * q.units[c],
                           true, sums[c], q.time(s) * q.rows * 4 * q.units[c], 4 * q.units[c]))
                return false;
        if (!gates.run(context, code.step, q.rows * H)) return false;
    }
    for (size_t c = 0; c < total.size() && !keep; c++)
        if (!prepare(total[c], {0, 0, 0}, context)) return false;
    return true;
}

struct gradient_outputs {                        // x and W_hid: one per component; z_gates and z_hid may be null
    std::vector<array**> x, W_hid;
    array **b, **hid_init, **cell_init, **z_gates, **z_hid;
};

static bool sum_rows(const problem& q, GpuKernel* kernel, array* rows, size_t width, array* to) {
    launch sum;
    sum.give(rows);
    sum.give(to);
    sum.give((unsigned)q.rows);
    sum.give((unsigned)width);
    return sum.run(q.context, kernel, width);
}

static bool run_gradient(PyGpuContextObject* context, const kernels& code, bool hard, const arguments& in,
                         bool backwards, array* hid, array* cell, array* g_hid, array* g_cell, bool inplace,
                         const gradient_outputs& out) {
    problem q;
    q.context = context;
    q.in = in;
    q.backwards = backwards;
    if (!q.read("total", hard)) return false;
    const size_t H = q.all_units, rows = q.rows;
    if (!fits(hid, "hid", {q.steps, rows, H}) || !fits(cell, "cell", {q.steps, rows, H}) ||
        !fits(g_hid, "the gradient of hid", {q.steps, rows, H}) ||
        !fits(g_cell, "the gradient of cell", {q.steps, rows, H}) ||
        !prepare(out.b, {4 * H}, context) || !prepare_zeros(out.hid_init, {rows, H}, context) ||
        !prepare_zeros(out.cell_init, {rows, H}, context))
        return false;
    // Each row has its own sums. If one row of z is used for all rows, and for b, the rows are summed at the end.
    owned d_a, z_gates_rows, z_hid_rows;
    const bool one_z_gates = q.one_row(in.z_gates), one_z_hid = q.one_row(in.z_hid);
    array **z_gates = one_z_gates ? &z_gates_rows.a : out.z_gates, **z_hid = one_z_hid ? &z_hid_rows.a : out.z_hid;
    if (!prepare_zeros(&d_a.a, {rows, 4 * H}, context) ||
        (in.z_gates && !prepare_zeros(z_gates, {rows, 4 * H}, context)) ||
        (in.z_hid && !prepare_zeros(z_hid, {rows, H}, context)) ||
        (one_z_gates && !prepare(out.z_gates, {1, 4 * H}, context)) ||
        (one_z_hid && !prepare(out.z_hid, {1, H}, context)))
        return false;
    std::vector<array*> d_x;
    for (size_t c = 0; c < in.x.size(); c++) {
        if (!prepare_copy(out.x[c], in.x[c], inplace) ||
            !prepare(out.W_hid[c], {q.units[c], 4 * q.units[c]}, context))
            return false;
        d_x.push_back(*out.x[c]);
    }

    launch gates;
    give_components(gates, d_x, q);
    for (array* a : {in.b, in.cell_init, in.mask ? in.mask : in.b, in.z_gates ? in.z_gates : in.b,
                     in.z_hid ? in.z_hid : in.b, cell, g_hid ? g_hid : in.b, g_cell ? g_cell : in.b, *out.hid_init,
                     *out.cell_init, d_a.a, in.z_gates ? *z_gates : d_a.a, in.z_hid ? *z_hid : d_a.a})
        gates.give(a);
    owned W;
    if (q.is_small()) {
        W.a = pack(q, code.pack, true);
        if (!W.a) return false;
        gates.give(W.a);
    }
    const times t = give_numbers(gates, q, q.options | (g_hid ? G_HID : 0) | (g_cell ? G_CELL : 0));
    if (q.is_small() && !run_whole(gates, code.whole, q)) return false;
    for (size_t s = q.is_small() ? 0 : q.steps; s-- > 0;) {
        *t.here = q.time(s);
        *t.before = q.time_before(s);
        if (!gates.run(context, code.step, rows * H)) return false;
        for (size_t c = 0; c < d_x.size(); c++)
            if (!q.product(false, true, rows, q.units[c], 4 * q.units[c],
                           d_x[c], q.time(s) * rows * 4 * q.units[c], 4 * q.units[c],
                           in.W_hid[c], 0, 4 * q.units[c], true, *out.hid_init, q.begins[c], H))
                return false;
    }
    if (!sum_rows(q, code.sum, d_a.a, 4 * H, *out.b) ||
        (one_z_gates && !sum_rows(q, code.sum, *z_gates, 4 * H, *out.z_gates)) ||
        (one_z_hid && !sum_rows(q, code.sum, *z_hid, H, *out.z_hid)))
        return false;

    // The gradient of W_hid: the states before each step except the first are consecutive in memory.
    for (size_t c = 0; c < d_x.size(); c++) {
        const size_t units = q.units[c], later = q.steps ? (q.steps - 1) * rows : 0;
        if (!q.steps || !rows) {
            if (!prepare_zeros(out.W_hid[c], {units, 4 * units}, context)) return false;
            continue;
        }
        if (!q.product(true, false, units, 4 * units, rows, in.hid_init, q.begins[c], H,
                       d_x[c], q.time(0) * rows * 4 * units, 4 * units, false, *out.W_hid[c], 0, 4 * units) ||
            !q.product(true, false, units, 4 * units, later, hid, (backwards ? rows * H : 0) + q.begins[c], H,
                       d_x[c], backwards ? 0 : rows * 4 * units, 4 * units, true, *out.W_hid[c], 0, 4 * units))
            return false;
    }
    return true;
}

}  // namespace lstm_gpu
