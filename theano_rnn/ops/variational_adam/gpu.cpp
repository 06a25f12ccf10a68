// Divergences, gradient norms and Adam of all parameters on a GPU, with the kernels of gpu_kernels.c. Needs shapes.hpp and
// gpu.hpp.

namespace variational_adam_gpu {

using namespace theano_rnn;

struct layout { size_t threads, piece; };        // threads of a block, and the elements that it processes

struct group {
    size_t parameters, states;                   // states: parameters and their moments
    bool rows;                                   // whether the gradients are given for some rows only
    std::vector<gpu_array*> arrays;              // states, gradients and, if `rows`, the row indices
};

struct part { GpuKernel *kernel, *sums; size_t groups; };       // kernels for some of the groups; sums may be null

// Checks the shapes of a group. Sets a Python exception if one is wrong.
static bool fits(const group& g) {
    const std::vector<long> shape = shape_of(g.arrays[0]);
    std::vector<long> given = shape;
    if (g.rows && !shape.empty()) given[0] = g.arrays.back()->ga.dimensions[0];
    for (size_t k = 0; k < g.states + g.parameters; k++)
        if (!check_shape(k < g.states ? "variational_adam: a parameter or a moment" : "variational_adam: a gradient",
                         shape_of(g.arrays[k]), k < g.states ? shape : given))
            return false;
    return true;
}

// An array in C order: the array itself or a copy; null if a Python exception is set.
static gpu_array* in_c_order(gpu_array* array) {
    if (!is_in_c_order(array)) return pygpu_copy(array, GA_C_ORDER);
    Py_INCREF(array);
    return array;
}

static size_t blocks_of(const group& g, const layout& way) {
    return (size_of(g.arrays[0]) + way.piece - 1) / way.piece;
}

// Replaces the arrays of the groups, from the `first`-th array of each on, by arrays in C order, which `held` owns.
static bool take(std::vector<group>& groups, std::deque<owned_gpu_array>& held, bool states) {
    for (group& g : groups) {
        if (!fits(g)) return false;
        for (size_t k = states ? 0 : g.states; k < g.arrays.size(); k++) {
            held.emplace_back(in_c_order(g.arrays[k]));
            g.arrays[k] = held.back().a;
            if (!g.arrays[k]) return false;
        }
    }
    return true;
}

// Gives a kernel the arrays of some groups. Returns the number of blocks.
static size_t give_groups(gpu_call& call, const group* groups, size_t count, const layout& way) {
    size_t blocks = 0;
    for (const group* g = groups; g < groups + count; g++) {
        for (gpu_array* array : g->arrays) call.give(array);
        const size_t size = size_of(g->arrays[0]);
        call.give(size);
        call.give((unsigned)blocks);
        if (g->rows) {
            const size_t rows = g->arrays[0]->ga.dimensions[0];
            call.give((unsigned)(rows ? size / rows : 0));
            call.give((unsigned)g->arrays.back()->ga.dimensions[0]);
        }
        blocks += blocks_of(*g, way);
    }
    return blocks;
}

static const char NAME[] = "variational_adam";

// The two entry points. They return false if a Python exception is set.

static bool run_norms(PyGpuContextObject* context, const layout& way, std::vector<group> groups,
                      const std::vector<part>& parts, gpu_array* kl_weight, gpu_array** kl, gpu_array** squares) {
    std::deque<owned_gpu_array> held;
    if (!take(groups, held, true)) return false;
    size_t parameters = 0, most_blocks = 1;
    for (const group& g : groups) {
        parameters += g.parameters;
        most_blocks += blocks_of(g, way);
    }
    const size_t count = groups.size(), size = 3 * most_blocks;
    owned_gpu_array sums(pygpu_empty(1, &size, GA_FLOAT, GA_C_ORDER, context, Py_None));
    if (!sums.a || theano_prep_output(kl, 1, &count, GA_FLOAT, GA_C_ORDER, context) ||
        theano_prep_output(squares, 1, &parameters, GA_FLOAT, GA_C_ORDER, context))
        return false;
    const group* g = groups.data();
    size_t first_group = 0, first_parameter = 0;
    for (const part& p : parts) {
        gpu_call norms, add;
        const size_t blocks = give_groups(norms, g, p.groups, way);
        norms.give(kl_weight);
        norms.give(sums.a);
        size_t first_block = 0;
        for (size_t k = 0; k < p.groups; k++) {
            add.give((unsigned)first_block);
            first_block += blocks_of(g[k], way);
        }
        add.give(sums.a);
        add.give(*kl);
        add.give(*squares);
        for (size_t number : {blocks, first_group, first_parameter}) add.give((unsigned)number);
        if (!norms.run(p.kernel, blocks, way.threads, NAME) || !add.run(p.sums, p.groups, way.threads, NAME))
            return false;
        for (size_t k = 0; k < p.groups; k++) first_parameter += g[k].parameters;
        first_group += p.groups;
        g += p.groups;
    }
    return true;
}

// scalars: kl_weight, factor, step_size, finite. outputs: the states of all groups.
static bool run_adam(PyGpuContextObject* context, const layout& way, std::vector<group> groups,
                     const std::vector<part>& parts, const std::vector<gpu_array*>& scalars, bool inplace,
                     const std::vector<gpu_array**>& outputs) {
    std::deque<owned_gpu_array> held;
    if (!take(groups, held, false)) return false;
    std::vector<gpu_array**>::const_iterator output = outputs.begin();
    for (group& g : groups)
        for (size_t k = 0; k < g.states; k++) {
            gpu_array* state = inplace && is_in_c_order(g.arrays[k]) ? in_c_order(g.arrays[k])
                                                                     : pygpu_copy(g.arrays[k], GA_C_ORDER);
            if (!state) return false;
            Py_XDECREF(**output);
            **output = g.arrays[k] = state;
            ++output;
        }
    const group* g = groups.data();
    for (const part& p : parts) {
        gpu_call adam;
        const size_t blocks = give_groups(adam, g, p.groups, way);
        for (gpu_array* scalar : scalars) adam.give(scalar);
        if (!adam.run(p.kernel, blocks, way.threads, NAME)) return false;
        g += p.groups;
    }
    return true;
}

}  // namespace variational_adam_gpu
