// The elementwise part of the LSTM recurrence on a GPU, and the whole recurrence of small components, in the dialect of
// libgpuarray, which compiles as CUDA and as OpenCL. gpu.py creates kernels from this file, and gpu.cpp launches them.
// The formulas are in lstm/__init__.py.
//
// Arrays are (rows, all_units), (rows, 4 all_units) or, with the time step as first axis, (steps, rows, ...). Only
// `part`, the array of one component, has only the columns of that component. A kernel takes as many of these arrays as
// its arguments can hold, with `begin`, the first unit of each; the units of a call end at `end`. In a call for fewer
// components, the last ones have no units.
//
// There are two ways to compute the recurrence. If each component has at most MOST_UNITS units, one kernel computes all
// time steps: a block (a work group) computes one row of one component, so that blocks need not wait for each other.
// Otherwise, each time step takes one product for all components of equal size, by the BLAS, and one kernel, in which
// each thread computes one unit of one row.

// The bits of `options`, as in gpu.cpp.
#define HARD 1
#define MASK 2
#define Z_GATES 4
#define Z_HID 8
#define G_HID 16
#define G_CELL 32
#define KEEP 64

WITHIN_KERNEL ga_float gate(ga_float a, ga_uint options);
WITHIN_KERNEL ga_float gate(ga_float a, ga_uint options) {
    if (!(options & HARD)) return 1.f / (1.f + exp(-a));
    const ga_float x = 0.2f * a + 0.5f;
    return x < 0.f ? 0.f : x > 1.f ? 1.f : x;
}

// The derivative at the value s of the gate; 0 where the hard sigmoid is clipped.
WITHIN_KERNEL ga_float gate_slope(ga_float s, ga_uint options);
WITHIN_KERNEL ga_float gate_slope(ga_float s, ga_uint options) {
    if (!(options & HARD)) return s * (1.f - s);
    return s > 0.f && s < 1.f ? 0.2f : 0.f;
}

// One time step of one unit. The states before it become those after it. a: preactivations of the input, forget, cell
// and output gates. z_hid: 1 if there is none.
WITHIN_KERNEL void step_unit(const ga_float *a, ga_float z_hid, ga_uint options, ga_float *h, ga_float *c);
WITHIN_KERNEL void step_unit(const ga_float *a, ga_float z_hid, ga_uint options, ga_float *h, ga_float *c) {
    *c = gate(a[1], options) * *c + gate(a[0], options) * tanh(a[2]);
    *h = gate(a[3], options) * tanh(*c) * z_hid;
}

// The gradient of `step_unit`: a becomes the gradient of the preactivations, d_c that of the cell before, and d_z_hid
// grows by that of z_hid. c_before, c: the cell before and after. d_h: the gradient of the hidden state after.
WITHIN_KERNEL void step_unit_gradient(ga_float *a, ga_float z_hid, ga_uint options, ga_float c_before, ga_float c,
                                      ga_float d_h, ga_float *d_c, ga_float *d_z_hid);
WITHIN_KERNEL void step_unit_gradient(ga_float *a, ga_float z_hid, ga_uint options, ga_float c_before, ga_float c,
                                      ga_float d_h, ga_float *d_c, ga_float *d_z_hid) {
    // Recomputing the gates takes less time than reading them from memory.
    const ga_float in = gate(a[0], options), forget = gate(a[1], options), candidate = tanh(a[2]);
    const ga_float out = gate(a[3], options), tanh_c = tanh(c);
    *d_z_hid += d_h * (out * tanh_c);
    d_h *= z_hid;
    *d_c += d_h * out * (1.f - tanh_c * tanh_c);
    a[0] = *d_c * candidate * gate_slope(in, options);
    a[1] = *d_c * c_before * gate_slope(forget, options);
    a[2] = *d_c * in * (1.f - candidate * candidate);
    a[3] = d_h * tanh_c * gate_slope(out, options);
    *d_c *= forget;
}

// The arguments of the kernels, in the order of gpu.cpp. LIST(FLOATS) declares arrays, and LIST(MOVE_FLOATS) lets them
// point to their first elements. Each kernel of the recurrence takes one more array: all W_hid if it computes all time
// steps, otherwise the array that goes to the product of a time step or comes from it.
#define FLOATS(p) ARRAY(ga_float, p),
#define MOVE_FLOATS(p) MOVE(ga_float, p);
#define FORWARD(X) X(b) X(hid_init) X(cell_init) X(mask) X(z_gates) X(z_hid) X(hid) X(cell)
#define GRADIENT(X) X(b) X(cell_init) X(mask) X(z_gates) X(z_hid) X(cell) X(g_hid) X(g_cell) X(d_hid) X(d_cell) \
    X(d_a) X(d_z_gates) X(d_z_hid)
#define NUMBERS const ga_uint rows, const ga_uint all_units, const ga_uint z_gates_one, const ga_uint z_hid_one, \
    const ga_uint options, const ga_uint end

// Defines `joint` and `shared_gates`, the positions of the first gate of `unit` in arrays (rows, 4 all_units) and
// (4 all_units,), and `state`, that of the unit in arrays (rows, all_units).
#define POSITIONS \
    const ga_size state = (ga_size)row * all_units + unit; \
    const ga_size joint = (ga_size)row * 4 * all_units + 4 * begin + unit - begin; \
    const ga_uint shared_gates = 4 * begin + unit - begin;

// Defines the biases and the group variables of `unit`, 1 if there are none.
#define CONSTANTS_OF_UNIT \
    const ga_float z_h = options & Z_HID ? z_hid[z_hid_one ? unit : state] : 1.f; \
    ga_float z[4], bias[4]; \
    for (int g = 0; g < 4; g++) { \
        z[g] = options & Z_GATES ? z_gates[(z_gates_one ? shared_gates : joint) + g * units] : 1.f; \
        bias[g] = b[shared_gates + g * units]; \
    }

// Defines for this thread: `row`, `unit`, `part` and `units` of its component, positions, and the constants of the
// unit. gpu.py replaces $(...).
#define THIS_UNIT \
    const ga_size number = (ga_size)GID_0 * LDIM_0 + LID_0; \
    const ga_uint units_of_call = end - begin_0; \
    if (number >= (ga_size)rows * units_of_call) return; \
    const ga_uint row = number / units_of_call, unit = begin_0 + number % units_of_call; \
    GLOBAL_MEM ga_float *part; \
    ga_uint begin, units; \
    $(choose_component_of_unit) \
    POSITIONS \
    CONSTANTS_OF_UNIT \
    const ga_size own = ((ga_size)t * rows + row) * 4 * units + unit - begin; \
    const ga_size here = (ga_size)t * rows * all_units + state; \
    const ga_size before = (ga_size)(t_before < 0 ? 0 : t_before) * rows * all_units + state;

#section forward
// part: the preactivation. products (rows, 4 all_units): h W_hid, with h the preceding hidden state. t_before < 0: the
// initial state.
KERNEL void lstm_forward($(components) FORWARD(FLOATS) FLOATS(products) const ga_int t, const ga_int t_before,
                         NUMBERS) {
    FORWARD(MOVE_FLOATS) MOVE_FLOATS(products)
    THIS_UNIT
    const ga_float hid_before = t_before < 0 ? hid_init[before] : hid[before];
    const ga_float cell_before = t_before < 0 ? cell_init[before] : cell[before];
    if ((options & MASK) && mask[(ga_size)t * rows + row] == 0.f) {
        hid[here] = hid_before;
        cell[here] = cell_before;
        return;
    }
    ga_float a[4], h, c = cell_before;
    for (int g = 0; g < 4; g++) {
        const ga_float total = part[own + g * units] + products[joint + g * units];
        if (options & KEEP) part[own + g * units] = total;
        a[g] = total * z[g] + bias[g];
    }
    step_unit(a, z_h, options, &h, &c);
    cell[here] = c;
    hid[here] = h;
}

#section gradient
// part: the preactivation plus h W_hid, which is overwritten by the gradient of the preactivation. d_x (rows, 4
// all_units): the latter at this time step. d_hid and d_cell hold the gradient of the current state, which is
// propagated back to the initial one. d_a and d_z_gates (rows, 4 all_units), and d_z_hid are sums over the time steps.
KERNEL void lstm_gradient($(components) GRADIENT(FLOATS) FLOATS(d_x) const ga_int t, const ga_int t_before, NUMBERS) {
    GRADIENT(MOVE_FLOATS) MOVE_FLOATS(d_x)
    THIS_UNIT
    ga_float d_h = d_hid[state], d_c = d_cell[state];
    if (options & G_HID) d_h += g_hid[here];
    if (options & G_CELL) d_c += g_cell[here];
    if ((options & MASK) && mask[(ga_size)t * rows + row] == 0.f) {
        d_hid[state] = d_h;
        d_cell[state] = d_c;
        for (int g = 0; g < 4; g++) part[own + g * units] = d_x[joint + g * units] = 0.f;
        return;
    }
    ga_float totals[4], a[4];
    for (int g = 0; g < 4; g++) {
        totals[g] = part[own + g * units];
        a[g] = totals[g] * z[g] + bias[g];
    }
    ga_float d_z = 0.f;
    step_unit_gradient(a, z_h, options, t_before < 0 ? cell_init[before] : cell[before], cell[here], d_h, &d_c, &d_z);
    if (options & Z_HID) d_z_hid[state] += d_z;
    for (int g = 0; g < 4; g++) {
        d_a[joint + g * units] += a[g];
        if (options & Z_GATES) d_z_gates[joint + g * units] += a[g] * totals[g];
        part[own + g * units] = d_x[joint + g * units] = a[g] * z[g];
    }
    // gpu.cpp then adds the product of d_x with W_hid.
    d_hid[state] = 0.f;
    d_cell[state] = d_c;
}

#section sum
// The sum of `rows` rows.
KERNEL void lstm_sum_rows(FLOATS(x) FLOATS(y) const ga_uint rows, const ga_uint width) {
    const ga_uint column = GID_0 * LDIM_0 + LID_0;
    MOVE_FLOATS(x) MOVE_FLOATS(y)
    if (column >= width) return;
    ga_float sum = 0.f;
    for (ga_uint row = 0; row < rows; row++) sum += x[(ga_size)row * width + column];
    y[column] = sum;
}

#section whole
// Definitions of the kernels that compute all time steps.

#define MOST_UNITS 128
// Each thread keeps this many of its weights in registers: more would not fit. It reads the others, at most 8 KB for
// each warp, from the cache in every step.
#define IN_REGISTERS 64

#ifdef __CUDACC__
#define BLOCK_OF_ALL_GATES __launch_bounds__(4 * MOST_UNITS)
#else
#define BLOCK_OF_ALL_GATES
#endif

// Four neighbours in local memory, which all threads read at once.
#define FOUR(p, k) (((LOCAL_MEM_ARG float4 *)(p))[(k) / 4])

// The sum of x[k] * weight k over all k < units, for x in local memory, which is zero from `units` on. Weight k is
// w[k], in registers, or the array's element k * stride.
WITHIN_KERNEL ga_float dot(const ga_float *w, GLOBAL_MEM const ga_float *weights, ga_uint stride,
                           LOCAL_MEM_ARG const ga_float *x, ga_uint units);
WITHIN_KERNEL ga_float dot(const ga_float *w, GLOBAL_MEM const ga_float *weights, ga_uint stride,
                           LOCAL_MEM_ARG const ga_float *x, ga_uint units) {
    ga_float sum = 0.f, other = 0.f;
#pragma unroll
    for (int k = 0; k < IN_REGISTERS; k += 4) {
        const float4 four = FOUR(x, k);
        sum += four.x * w[k];
        other += four.y * w[k + 1];
        sum += four.z * w[k + 2];
        other += four.w * w[k + 3];
    }
#pragma unroll 8
    for (ga_uint k = IN_REGISTERS; k < units; k++) sum += x[k] * weights[(ga_size)k * stride];
    return sum + other;
}

// Defines for this block: `row`, `component`, `begin`, `units` and `part`; for this thread: `active`, whether it has a
// gate to multiply for, and, as in THIS_UNIT, the positions of the unit whose state it computes if `has_unit`. A thread
// without a gate multiplies for the first one, because PoCL 3.1 computes a product wrongly that only some threads need.
#define THIS_BLOCK \
    const ga_uint row = GID_0 / $(number_of_components), component = GID_0 % $(number_of_components); \
    const ga_uint thread = LID_0; \
    GLOBAL_MEM ga_float *part; \
    ga_uint begin, units; \
    $(choose_component_of_block) \
    if (units == 0) return; \
    const int active = thread < 4 * units, has_unit = thread < units; \
    const ga_uint unit = begin + (has_unit ? thread : 0); \
    POSITIONS

// The positions of time step t.
#define AT(t) ((ga_size)(t) * rows * all_units + state)
#define OWN(t) (((ga_size)(t) * rows + row) * 4 * units)

#section whole_forward
// W is (most units of a component, 4 all_units).
KERNEL void BLOCK_OF_ALL_GATES lstm_whole_forward($(components) FORWARD(FLOATS) FLOATS(W) const ga_int steps,
                                                  const ga_int backwards, NUMBERS) {
    LOCAL_MEM float4 h_four[MOST_UNITS / 4];
    LOCAL_MEM ga_float sums[4 * MOST_UNITS];
    LOCAL_MEM_ARG ga_float *h = (LOCAL_MEM_ARG ga_float *)h_four;
    FORWARD(MOVE_FLOATS) MOVE_FLOATS(W)
    THIS_BLOCK
    const ga_uint stride = 4 * all_units;
    GLOBAL_MEM const ga_float *weights = W + 4 * begin + (active ? thread : 0);
    ga_float w[IN_REGISTERS];
#pragma unroll
    for (int k = 0; k < IN_REGISTERS; k++) w[k] = k < units ? weights[(ga_size)k * stride] : 0.f;

    for (ga_uint k = thread; k < MOST_UNITS; k += LDIM_0) h[k] = 0.f;
    local_barrier();
    CONSTANTS_OF_UNIT
    ga_float h_now = 0.f, c = 0.f;
    if (has_unit) {
        h[thread] = h_now = hid_init[state];
        c = cell_init[state];
    }
    local_barrier();
    for (ga_int s = 0; s < steps; s++) {
        const ga_int t = backwards ? steps - 1 - s : s;
        const int computed = !(options & MASK) || mask[(ga_size)t * rows + row] != 0.f;
        if (computed) {                          // the same for all threads of the block
            const ga_float x = active ? part[OWN(t) + thread] : 0.f;
            const ga_float sum = x + dot(w, weights, stride, h, units);
            sums[thread] = sum;
            if (active && options & KEEP) part[OWN(t) + thread] = sum;
            local_barrier();
            if (has_unit) {
                ga_float a[4];
                for (int g = 0; g < 4; g++) a[g] = sums[thread + g * units] * z[g] + bias[g];
                step_unit(a, z_h, options, &h_now, &c);
                h[thread] = h_now;
            }
            local_barrier();
        }
        if (has_unit) {
            hid[AT(t)] = h_now;
            cell[AT(t)] = c;
        }
    }
}

#section whole_gradient
// The arguments are those of lstm_gradient, but W, transposed: (4 times the most units of a component, all_units).
KERNEL void BLOCK_OF_ALL_GATES lstm_whole_gradient($(components) GRADIENT(FLOATS) FLOATS(W) const ga_int steps,
                                                   const ga_int backwards, NUMBERS) {
    LOCAL_MEM float4 d_x_four[MOST_UNITS];       // the gradient of the preactivations of one gate after the other
    LOCAL_MEM ga_float products[4 * MOST_UNITS];
    LOCAL_MEM_ARG ga_float *d_x = (LOCAL_MEM_ARG ga_float *)d_x_four;
    GRADIENT(MOVE_FLOATS) MOVE_FLOATS(W)
    THIS_BLOCK
    // This thread multiplies the gradients of one gate by its weights from one unit.
    const ga_uint of_gate = active ? thread / units : 0, from_unit = active ? thread % units : 0;
    GLOBAL_MEM const ga_float *weights = W + (ga_size)of_gate * units * all_units + begin + from_unit;
    ga_float w[IN_REGISTERS];
#pragma unroll
    for (int k = 0; k < IN_REGISTERS; k++) w[k] = k < units ? weights[(ga_size)k * all_units] : 0.f;

    for (ga_uint k = thread; k < 4 * MOST_UNITS; k += LDIM_0) d_x[k] = 0.f;
    CONSTANTS_OF_UNIT
    ga_float d_h = 0.f, d_c = 0.f, d_z_h = 0.f, c = 0.f;
    ga_float sum_a[4] = {0.f, 0.f, 0.f, 0.f}, sum_z[4] = {0.f, 0.f, 0.f, 0.f};
    if (has_unit && steps) c = cell[AT(backwards ? 0 : steps - 1)];
    local_barrier();
    for (ga_int s = steps - 1; s >= 0; s--) {
        const ga_int t = backwards ? steps - 1 - s : s, t_before = backwards ? t + 1 : t - 1;
        if (has_unit) {
            if (options & G_HID) d_h += g_hid[AT(t)];
            if (options & G_CELL) d_c += g_cell[AT(t)];
        }
        if ((options & MASK) && mask[(ga_size)t * rows + row] == 0.f) {      // the same for all threads of the block
            if (active) part[OWN(t) + thread] = 0.f;
            continue;                            // the cell before is the cell after
        }
        if (has_unit) {
            ga_float totals[4], a[4];
            const ga_float c_before = s ? cell[AT(t_before)] : cell_init[state];
            for (int g = 0; g < 4; g++) {
                totals[g] = part[OWN(t) + thread + g * units];
                a[g] = totals[g] * z[g] + bias[g];
            }
            step_unit_gradient(a, z_h, options, c_before, c, d_h, &d_c, &d_z_h);
            c = c_before;
            for (int g = 0; g < 4; g++) {
                sum_a[g] += a[g];
                sum_z[g] += a[g] * totals[g];
                d_x[thread + g * MOST_UNITS] = a[g] * z[g];
                part[OWN(t) + thread + g * units] = a[g] * z[g];
            }
        }
        local_barrier();
        products[thread] = dot(w, weights, all_units, d_x + of_gate * MOST_UNITS, units);
        local_barrier();
        if (has_unit) {
            d_h = 0.f;
            for (int g = 0; g < 4; g++) d_h += products[thread + g * units];
        }
    }
    if (!has_unit) return;
    d_hid[state] = d_h;
    d_cell[state] = d_c;
    for (int g = 0; g < 4; g++) {
        d_a[joint + g * units] = sum_a[g];
        if (options & Z_GATES) d_z_gates[joint + g * units] = sum_z[g];
    }
    if (options & Z_HID) d_z_hid[state] = d_z_h;
}

#section pack
// Copies the W_hid of each component, (units, 4 units), to the matrix of all components: to (most units, 4 all_units)
// or, transposed, to (4 times the most units, all_units). The blocks of the components alternate.
KERNEL void lstm_pack($(components) FLOATS(all) const ga_uint all_units, const ga_uint transposed, const ga_uint end) {
    const ga_uint component = GID_0 % $(number_of_components), block = GID_0 / $(number_of_components);
    const ga_uint number = block * LDIM_0 + LID_0;
    GLOBAL_MEM ga_float *part;
    ga_uint begin, units;
    MOVE_FLOATS(all)
    $(choose_component_of_block)
    if (number >= 4 * units * units) return;
    const ga_uint unit = number / (4 * units), column = number % (4 * units);
    all[transposed ? (ga_size)column * all_units + begin + unit : (ga_size)unit * 4 * all_units + 4 * begin + column]
        = part[number];
}
