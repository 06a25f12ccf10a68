// The recurrence of an LSTM and its gradient on the GPU, with the kernels of gpu_kernels.c: one kernel for all time
// steps if each component is small; otherwise, for each time step, one kernel and one cuBLAS product for all components
// of equal size. All arrays are float32 in C order. Needs shapes.hpp and gpu.hpp.

namespace lstm_gpu {

using namespace theano_rnn;

typedef gpu_array array;
typedef owned_gpu_array owned;

static const char NAME[] = "lstm_recurrence";

// The bits of `options`, as in gpu_kernels.c.
enum { HARD = 1, MASK = 2, Z_GATES = 4, Z_HID = 8, G_HID = 16, G_CELL = 32, KEEP = 64 };

enum { MOST_UNITS = 128, WARP = 32 };            // MOST_UNITS: as in gpu_kernels.c

static bool succeeded(PyGpuContextObject* context, int error, const char* what) {
    if (error == GA_NO_ERROR) return true;
    PyErr_Format(PyExc_RuntimeError, "lstm_recurrence on the GPU: %s: %s", what, gpucontext_error(context->ctx, error));
    return false;
}

// -------------------------------------------------------------------------------------------------------- arrays

// Checks the shape of an array; null is valid.
static bool fits(array* a, const std::string& name, const std::vector<size_t>& shape, bool one_row_allowed = false) {
    return !a || check_shape("lstm_recurrence: " + name, shape_of(a), std::vector<long>(shape.begin(), shape.end()),
                             one_row_allowed);
}

static bool prepare(array** out, std::vector<size_t> shape, PyGpuContextObject* context) {
    if (*out && !is_in_c_order(*out)) Py_CLEAR(*out);
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

// Matrices of one shape within an array, one after the other or overlapping: each begins `distance` elements after the
// preceding one. at: the first element of the first matrix; row: the length of a row of the array.
struct matrices {
    array* a;
    size_t at, row, distance;
};

// Components of equal size, in which the first unit of each is `distance` units after that of the preceding one.
struct group { size_t begin, units, distance, count; };

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

    // Divides the components into groups, in each of which one call computes all products.
    std::vector<group> groups() const {
        std::map<size_t, size_t> waiting;        // first unit to number of units
        for (size_t c = 0; c < units.size(); c++)
            if (units[c]) waiting[begins[c]] = units[c];
        std::vector<group> result;
        while (!waiting.empty()) {
            const auto first = waiting.begin();
            group longest = {first->first, first->second, 0, 1};
            for (auto second = std::next(first); second != waiting.end(); ++second) {
                group g = {first->first, first->second, second->first - first->first, 1};
                for (auto next = second; next != waiting.end() && next->second == g.units;
                     next = waiting.find(g.begin + g.count * g.distance))
                    g.count++;
                if (g.count > longest.count) longest = g;
            }
            for (size_t c = 0; c < longest.count; c++) waiting.erase(longest.begin + c * longest.distance);
            result.push_back(longest);
        }
        return result;
    }

    // C = op(A) op(B), or C += if `add` is set, for `count` matrices. op(A) is (M, K), op(B) is (K, N).
    bool product(bool transpose_A, bool transpose_B, size_t M, size_t N, size_t K, matrices A, matrices B, bool add,
                 matrices C, size_t count = 1) const {
        if (!M || !N || !K) return true;
        const cb_transpose op_A = transpose_A ? cb_trans : cb_no_trans, op_B = transpose_B ? cb_trans : cb_no_trans;
        for (matrices* m : {&A, &B, &C}) m->at += m->a->ga.offset / sizeof(float);
        if (count > 1) {
            const int error = gpublas_sgemm3D(cb_c, op_A, op_B, M, N, K, 1, A.a->ga.data, A.at, A.row, A.distance,
                                              B.a->ga.data, B.at, B.row, B.distance, add,
                                              C.a->ga.data, C.at, C.row, C.distance, count, 0);
            // libgpuarray has no such function for OpenCL.
            if (error != GA_DEVSUP_ERROR) return succeeded(context, error, "matrix products failed");
        }
        for (size_t i = 0; i < count; i++) {
            const int error = gpublas_sgemm(cb_c, op_A, op_B, M, N, K, 1, A.a->ga.data, A.at, A.row,
                                            B.a->ga.data, B.at, B.row, add, C.a->ga.data, C.at, C.row);
            if (!succeeded(context, error, "a matrix product failed")) return false;
            for (matrices* m : {&A, &B, &C}) m->at += m->distance;
        }
        return true;
    }
};

// ------------------------------------------------------------------------------------------------------- kernels

// Of a time step, of all time steps, of the matrix of all W_hid, and of the sum over rows in the gradient. slots: the
// number of components for which all but the last have arguments.
struct kernels { size_t slots; GpuKernel *step, *whole, *pack, *sum; };

// The calls of a kernel for all components: each is for as many as the kernel has arguments for.
class launches {
    struct part {
        gpu_call call;
        size_t units;
        std::vector<unsigned*> numbers;
    };
    const problem& q;
    const size_t slots;
    std::deque<part> parts;

public:
    // of_component: an array of each component. The last argument of all kernels, `end`, is added here.
    launches(const problem& q, size_t slots, const std::vector<array*>& of_component, const std::vector<array*>& arrays,
             const std::vector<unsigned>& numbers) : q(q), slots(slots) {
        const size_t count = of_component.size();
        for (size_t first = 0; first < count; first += slots) {
            const size_t last = std::min(first + slots, count), end = last < count ? q.begins[last] : q.all_units;
            parts.emplace_back();
            part& p = parts.back();
            p.units = end - q.begins[first];
            for (size_t c = first; c < first + slots; c++) {
                p.call.give(of_component[std::min(c, last - 1)]);
                p.call.give((unsigned)(c < last ? q.begins[c] : end));
            }
            for (array* a : arrays) p.call.give(a);
            for (unsigned number : numbers) p.numbers.push_back(p.call.give(number));
            p.call.give((unsigned)end);
        }
    }
    bool run_step(GpuKernel* kernel, int t, int t_before) {          // one thread for each row and unit
        for (part& p : parts) {
            *p.numbers[0] = t;
            *p.numbers[1] = t_before;
            if (!p.call.run_threads(kernel, q.rows * p.units, NAME)) return false;
        }
        return true;
    }
    // One block for each row of each component, one thread for each of its gates.
    bool run_whole(GpuKernel* kernel) {
        const size_t threads = (4 * q.most_units + WARP - 1) / WARP * WARP;
        for (part& p : parts)
            if (!p.call.run(kernel, q.rows * slots, threads, NAME)) return false;
        return true;
    }
    // For each component, one thread for each weight of the largest one.
    bool run_pack(GpuKernel* kernel) {
        const size_t threads = 256, blocks = (4 * q.most_units * q.most_units + threads - 1) / threads;
        for (part& p : parts)
            if (!p.call.run(kernel, blocks * slots, threads, NAME)) return false;
        return true;
    }
};

// The matrix of the W_hid of all components: (most_units, 4 all_units) or, transposed, (4 most_units, all_units).
static array* pack(const problem& q, const kernels& code, bool transposed) {
    if (q.in.W_hid.size() == 1 && !transposed) {
        Py_INCREF(q.in.W_hid[0]);
        return q.in.W_hid[0];
    }
    owned all;
    const size_t height = q.most_units * (transposed ? 4 : 1), width = q.all_units * (transposed ? 1 : 4);
    if (!prepare(&all.a, {height, width}, q.context)) return 0;
    launches copies(q, code.slots, q.in.W_hid, {all.a}, {(unsigned)q.all_units, transposed});
    if (!copies.run_pack(code.pack)) return 0;
    array* result = all.a;
    all.a = 0;
    return result;
}

// The calls of the kernel of a time step or, if the components are small, of all time steps. last: the array of the
// products or all W_hid.
static launches gates_of(const problem& q, const kernels& code, const std::vector<array*>& of_component,
                         std::vector<array*> arrays, array* last, unsigned options) {
    arrays.push_back(last);
    return launches(q, code.slots, of_component, arrays, {
        (unsigned)q.steps, (unsigned)q.backwards, (unsigned)q.rows, (unsigned)q.all_units,
        q.one_row(q.in.z_gates), q.one_row(q.in.z_hid), options});
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
    std::vector<array*> parts;
    for (size_t c = 0; c < total.size(); c++) {
        // The kernels write the sums only for the gradient.
        if (keep && !prepare_copy(total[c], in.x[c], inplace)) return false;
        parts.push_back(keep ? *total[c] : in.x[c]);
    }
    const size_t H = q.all_units;
    owned W(pack(q, code, false)), products;
    if (!W.a || (!q.is_small() && !prepare(&products.a, {q.rows, 4 * H}, context))) return false;
    launches gates = gates_of(q, code, parts, {
        in.b, in.hid_init, in.cell_init, in.mask ? in.mask : in.b, in.z_gates ? in.z_gates : in.b,
        in.z_hid ? in.z_hid : in.b, *hid, *cell}, q.is_small() ? W.a : products.a, q.options | (keep ? KEEP : 0));
    if (q.is_small() && !gates.run_whole(code.whole)) return false;
    const std::vector<group> groups = q.groups();
    for (size_t s = q.is_small() ? q.steps : 0; s < q.steps; s++) {
        const size_t before = s ? q.time(s - 1) * q.rows * H : 0;
        for (const group& g : groups)
            if (!q.product(false, false, q.rows, 4 * g.units, g.units,
                           {s ? *hid : in.hid_init, before + g.begin, H, g.distance},
                           {W.a, 4 * g.begin, 4 * H, 4 * g.distance}, false,
                           {products.a, 4 * g.begin, 4 * H, 4 * g.distance}, g.count))
                return false;
        if (!gates.run_step(code.step, q.time(s), q.time_before(s))) return false;
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
    gpu_call sum;
    sum.give(rows);
    sum.give(to);
    sum.give((unsigned)q.rows);
    sum.give((unsigned)width);
    return sum.run_threads(kernel, width, NAME);
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

    owned W(pack(q, code, q.is_small())), d_x_now;
    if (!W.a || (!q.is_small() && !prepare(&d_x_now.a, {rows, 4 * H}, context))) return false;
    launches gates = gates_of(q, code, d_x, {
        in.b, in.cell_init, in.mask ? in.mask : in.b, in.z_gates ? in.z_gates : in.b, in.z_hid ? in.z_hid : in.b, cell,
        g_hid ? g_hid : in.b, g_cell ? g_cell : in.b, *out.hid_init, *out.cell_init, d_a.a,
        in.z_gates ? *z_gates : d_a.a, in.z_hid ? *z_hid : d_a.a}, q.is_small() ? W.a : d_x_now.a,
        q.options | (g_hid ? G_HID : 0) | (g_cell ? G_CELL : 0));
    if (q.is_small() && !gates.run_whole(code.whole)) return false;
    const std::vector<group> groups = q.groups();
    for (size_t s = q.is_small() ? 0 : q.steps; s-- > 0;) {
        if (!gates.run_step(code.step, q.time(s), q.time_before(s))) return false;
        for (const group& g : groups)
            if (!q.product(false, true, rows, g.units, 4 * g.units, {d_x_now.a, 4 * g.begin, 4 * H, 4 * g.distance},
                           {W.a, 4 * g.begin, 4 * H, 4 * g.distance}, true,
                           {*out.hid_init, g.begin, H, g.distance}, g.count))
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
        const matrices d_W = {*out.W_hid[c], 0, 4 * units, 0};
        if (!q.product(true, false, units, 4 * units, rows, {in.hid_init, q.begins[c], H, 0},
                       {d_x[c], q.time(0) * rows * 4 * units, 4 * units, 0}, false, d_W) ||
            !q.product(true, false, units, 4 * units, later, {hid, (backwards ? rows * H : 0) + q.begins[c], H, 0},
                       {d_x[c], backwards ? 0 : rows * 4 * units, 4 * units, 0}, true, d_W))
            return false;
    }
    return true;
}

}  // namespace lstm_gpu
