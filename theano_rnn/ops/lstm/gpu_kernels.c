// The elementwise part of a time step of the LSTM recurrence on a GPU, for all gates of all components, in the dialect
// of libgpuarray, which compiles as CUDA and as OpenCL. gpu.py creates kernels from this file, and gpu.cpp launches
// them between the matrix products. The formulas are in lstm/__init__.py.
//
// Each thread computes one unit of one row. Arrays are (rows, all_units), (rows, 4 all_units) or, with the time step as
// first axis, (steps, rows, ...). The array of one component, `total`, has only the columns of that component.

// The bits of `options`, as in gpu.cpp.
#define HARD 1
#define MASK 2
#define Z_GATES 4
#define Z_HID 8
#define G_HID 16
#define G_CELL 32

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

// Adds an offset in bytes to a pointer to floats.
#define MOVE(p) p = (GLOBAL_MEM ga_float *)(((GLOBAL_MEM char *)p) + p##_offset)

// Defines for this thread: `row`, `unit`, `total` and `units` of its component, and the columns at which the gates of
// its unit begin, in the shared arrays and in those of the component. gpu.py replaces $(...).
#define THIS_UNIT \
    const ga_size number = (ga_size)GID_0 * LDIM_0 + LID_0; \
    if (number >= (ga_size)rows * all_units) return; \
    const ga_uint row = number / all_units, unit = number % all_units; \
    GLOBAL_MEM ga_float *total; \
    ga_uint begin, units; \
    $(choose component) \
    const ga_size joint = (ga_size)row * 4 * all_units + 4 * begin + unit - begin; \
    const ga_size own = ((ga_size)t * rows + row) * 4 * units + unit - begin; \
    const ga_uint shared_gates = 4 * begin + unit - begin; \
    const ga_size shared_z = z_gates_one ? shared_gates : joint; \
    const ga_size here = ((ga_size)t * rows + row) * all_units + unit; \
    const ga_size before = ((ga_size)(t_before < 0 ? 0 : t_before) * rows + row) * all_units + unit;

#section forward
// total is the preactivation plus h W_hid, with h the preceding hidden state. t_before < 0: the initial state.
KERNEL void lstm_forward($(components)
                         GLOBAL_MEM ga_float *b, const ga_size b_offset,
                         GLOBAL_MEM ga_float *hid_init, const ga_size hid_init_offset,
                         GLOBAL_MEM ga_float *cell_init, const ga_size cell_init_offset,
                         GLOBAL_MEM ga_float *mask, const ga_size mask_offset,
                         GLOBAL_MEM ga_float *z_gates, const ga_size z_gates_offset,
                         GLOBAL_MEM ga_float *z_hid, const ga_size z_hid_offset,
                         GLOBAL_MEM ga_float *hid, const ga_size hid_offset,
                         GLOBAL_MEM ga_float *cell, const ga_size cell_offset,
                         const ga_int t, const ga_int t_before, const ga_uint rows, const ga_uint all_units,
                         const ga_uint z_gates_one, const ga_uint z_hid_one, const ga_uint options) {
    MOVE(b); MOVE(hid_init); MOVE(cell_init); MOVE(mask); MOVE(z_gates); MOVE(z_hid); MOVE(hid); MOVE(cell);
    THIS_UNIT
    const ga_float hid_before = t_before < 0 ? hid_init[before] : hid[before];
    const ga_float cell_before = t_before < 0 ? cell_init[before] : cell[before];
    if ((options & MASK) && mask[(ga_size)t * rows + row] == 0.f) {
        hid[here] = hid_before;
        cell[here] = cell_before;
        return;
    }
    ga_float a[4];
    for (int g = 0; g < 4; g++) {
        a[g] = total[own + g * units];
        if (options & Z_GATES) a[g] *= z_gates[shared_z + g * units];
        a[g] += b[shared_gates + g * units];
    }
    const ga_float c = gate(a[1], options) * cell_before + gate(a[0], options) * tanh(a[2]);
    ga_float h = gate(a[3], options) * tanh(c);
    if (options & Z_HID) h *= z_hid[z_hid_one ? unit : (ga_size)row * all_units + unit];
    cell[here] = c;
    hid[here] = h;
}

#section gradient
// d_hid and d_cell hold the gradient of the current state, which is propagated back to the initial one. d_a and
// d_z_gates (rows, 4 all_units), and d_z_hid are sums over the time steps. total is overwritten by the gradient of the
// preactivation.
KERNEL void lstm_gradient($(components)
                          GLOBAL_MEM ga_float *b, const ga_size b_offset,
                          GLOBAL_MEM ga_float *cell_init, const ga_size cell_init_offset,
                          GLOBAL_MEM ga_float *mask, const ga_size mask_offset,
                          GLOBAL_MEM ga_float *z_gates, const ga_size z_gates_offset,
                          GLOBAL_MEM ga_float *z_hid, const ga_size z_hid_offset,
                          GLOBAL_MEM ga_float *cell, const ga_size cell_offset,
                          GLOBAL_MEM ga_float *g_hid, const ga_size g_hid_offset,
                          GLOBAL_MEM ga_float *g_cell, const ga_size g_cell_offset,
                          GLOBAL_MEM ga_float *d_hid, const ga_size d_hid_offset,
                          GLOBAL_MEM ga_float *d_cell, const ga_size d_cell_offset,
                          GLOBAL_MEM ga_float *d_a, const ga_size d_a_offset,
                          GLOBAL_MEM ga_float *d_z_gates, const ga_size d_z_gates_offset,
                          GLOBAL_MEM ga_float *d_z_hid, const ga_size d_z_hid_offset,
                          const ga_int t, const ga_int t_before, const ga_uint rows, const ga_uint all_units,
                          const ga_uint z_gates_one, const ga_uint z_hid_one, const ga_uint options) {
    MOVE(b); MOVE(cell_init); MOVE(mask); MOVE(z_gates); MOVE(z_hid); MOVE(cell); MOVE(g_hid); MOVE(g_cell);
    MOVE(d_hid); MOVE(d_cell); MOVE(d_a); MOVE(d_z_gates); MOVE(d_z_hid);
    THIS_UNIT
    const ga_size state = (ga_size)row * all_units + unit;
    ga_float d_h = d_hid[state], d_c = d_cell[state];
    if (options & G_HID) d_h += g_hid[here];
    if (options & G_CELL) d_c += g_cell[here];
    if ((options & MASK) && mask[(ga_size)t * rows + row] == 0.f) {
        d_hid[state] = d_h;
        d_cell[state] = d_c;
        for (int g = 0; g < 4; g++) total[own + g * units] = 0.f;
        return;
    }
    ga_float sums[4], z[4], a[4];
    for (int g = 0; g < 4; g++) {
        sums[g] = total[own + g * units];
        z[g] = options & Z_GATES ? z_gates[shared_z + g * units] : 1.f;
        a[g] = sums[g] * z[g] + b[shared_gates + g * units];
    }
    // Recomputing the gates takes less time than reading them from memory.
    const ga_float in = gate(a[0], options), forget = gate(a[1], options), candidate = tanh(a[2]);
    const ga_float out = gate(a[3], options), tanh_cell = tanh(cell[here]);
    const ga_float cell_before = t_before < 0 ? cell_init[before] : cell[before];
    if (options & Z_HID) {
        d_z_hid[state] += d_h * (out * tanh_cell);
        d_h *= z_hid[z_hid_one ? unit : state];
    }
    d_c += d_h * out * (1.f - tanh_cell * tanh_cell);
    a[0] = d_c * candidate * gate_slope(in, options);
    a[1] = d_c * cell_before * gate_slope(forget, options);
    a[2] = d_c * in * (1.f - candidate * candidate);
    a[3] = d_h * tanh_cell * gate_slope(out, options);
    for (int g = 0; g < 4; g++) {
        d_a[joint + g * units] += a[g];
        if (options & Z_GATES) d_z_gates[joint + g * units] += a[g] * sums[g];
        total[own + g * units] = a[g] * z[g];
    }
    // gpu.cpp then adds the product with W_hid.
    d_hid[state] = 0.f;
    d_cell[state] = d_c * forget;
}

#section sum
// The sum of `rows` rows.
KERNEL void lstm_sum_rows(GLOBAL_MEM ga_float *x, const ga_size x_offset, GLOBAL_MEM ga_float *y,
                          const ga_size y_offset, const ga_uint rows, const ga_uint width) {
    const ga_uint column = GID_0 * LDIM_0 + LID_0;
    MOVE(x); MOVE(y);
    if (column >= width) return;
    ga_float sum = 0.f;
    for (ga_uint row = 0; row < rows; row++) sum += x[(ga_size)row * width + column];
    y[column] = sum;
}
