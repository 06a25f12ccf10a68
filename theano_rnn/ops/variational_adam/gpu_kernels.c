// Divergences, gradient norms and Adam of all parameters, in the dialect of libgpuarray, which compiles as CUDA and as
// OpenCL. gpu.py creates kernels from this file, and gpu.cpp launches them. The formulas are in __init__.py, reference.py
// and fused.cpp.
//
// The arguments of a kernel are the arrays of all groups. Each block (work group) processes PIECE consecutive elements of
// one group. Sums are added in a fixed order: those of a thread, of the threads of a block, and of the blocks of a group.
// gpu.py replaces $(...).

#define THREADS $(threads)
#define PIECE $(piece)

#define NO_PRIOR 0
#define NORMAL 1
#define LOG_UNIFORM 2

// ------------------------------------------------------------------------------------------ divergence from the prior

// The divergence of one weight, and its derivatives with respect to mean and log sigma. See `log_uniform` in fused.cpp.
WITHIN_KERNEL ga_float divergence(ga_uint prior, ga_float mean, ga_float log_sigma, ga_float *by_mean,
                                  ga_float *by_log_sigma);
WITHIN_KERNEL ga_float divergence(ga_uint prior, ga_float mean, ga_float log_sigma, ga_float *by_mean,
                                  ga_float *by_log_sigma) {
    const ga_float smallest = 0.018315638888734179f, largest = 54.598150033144236f;      // exp(-4), exp(4)
    ga_float exponent, ratio, r, e, r1, e1, slope;
    if (prior == NORMAL) {
        const ga_float variance = exp(2.f * log_sigma);
        *by_mean = mean;
        *by_log_sigma = variance - 1.f;
        return (variance + mean * mean - 1.f) * 0.5f - log_sigma;
    }
    // The exponent is clipped, so that 0 * infinity does not occur. Comparisons preserve NaN.
    exponent = -log_sigma < -87.f ? -87.f : -log_sigma > 87.f ? 87.f : -log_sigma;
    ratio = fabs(mean * exp(exponent));
    ratio = ratio < smallest ? smallest : ratio > largest ? largest : ratio;
    r = ratio * ratio;
    e = r * ratio * 0.14227407158651357f;        // exp(-1.95)
    r1 = r + 1.f;
    e1 = e + 1.f;
    slope = (r * (e1 * e1) * -0.5f - e * r1 * 0.96f) / (r1 * (e1 * e1));
    if (ratio <= smallest || ratio >= largest) slope = 0.f;
    *by_mean = slope == 0.f ? 0.f : slope * -2.f / mean;
    *by_log_sigma = slope * 2.f;
    return log(r1) * 0.5f - 0.03f - 0.64f / e1;
}

// ----------------------------------------------------------------------------------------------- gradient of the data

// The position of a number in a vector of increasing numbers, or -1.
WITHIN_KERNEL ga_int position_of(ga_long wanted, GLOBAL_MEM const ga_long *numbers, ga_uint count);
WITHIN_KERNEL ga_int position_of(ga_long wanted, GLOBAL_MEM const ga_long *numbers, ga_uint count) {
    ga_uint low = 0, high = count;
    while (low < high) {
        const ga_uint middle = (low + high) / 2;
        if (numbers[middle] < wanted) low = middle + 1;
        else high = middle;
    }
    return low < count && numbers[low] == wanted ? (ga_int)low : -1;
}

// Defines the part of this block: the arrays of its group, and the elements from `begin` to `end`. If the gradient of the
// data loss is given for some rows of `columns` elements only, `place` is the position of each row of the block among
// them, or -1.
#define THIS_PIECE \
    LOCAL_MEM ga_int place[$(places)]; \
    GLOBAL_MEM ga_long *rows = 0; \
    ga_size size = 0, begin, end, first_row; \
    ga_uint first_block = 0, prior = NO_PRIOR, columns = 0, given = 0, number; \
    $(choose_group) \
    begin = (ga_size)(GID_0 - first_block) * PIECE; \
    end = begin + PIECE < size ? begin + PIECE : size; \
    first_row = columns ? begin / columns : 0; \
    if (columns) \
        for (number = LID_0; first_row + number <= (end - 1) / columns; number += THREADS) \
            place[number] = position_of((ga_long)(first_row + number), rows, given); \
    local_barrier();

// Defines the position of the element `k` in the gradient of the data loss, and whether it is there.
#define PLACE_OF_GRADIENT \
    const ga_uint of_rows = (ga_uint)(k - first_row * columns), row = columns ? of_rows / columns : 0; \
    const ga_int at = columns ? place[row] : 0; \
    const ga_size j = columns ? (ga_size)at * columns + (of_rows - row * columns) : k; \
    const ga_uint is_given = at >= 0;

// Adds the numbers of all threads of a block, by halves, to that of the first thread.
#define SUM_OF_BLOCK(sums) \
    for (number = THREADS / 2; number; number /= 2) { \
        local_barrier(); \
        if (LID_0 < number) sums[LID_0] += sums[LID_0 + number]; \
    } \
    local_barrier();

#section norms
// Writes for each block: the divergence, and the squared norms of the gradients for the mean and log sigma.
KERNEL void variational_norms($(arrays) ARRAY(ga_float, kl_weight), ARRAY(ga_float, sums)) {
    GLOBAL_MEM ga_float *mean = 0, *log_sigma = 0, *g_mean = 0, *g_log_sigma = 0;
    LOCAL_MEM ga_float kl[THREADS], square_mean[THREADS], square_log_sigma[THREADS];
    const ga_float weight = START(ga_float, kl_weight)[0];
    ga_float kl_here = 0.f, square_here = 0.f, square_log_sigma_here = 0.f;
    THIS_PIECE
    for (ga_size k = begin + LID_0; k < end; k += THREADS) {
        PLACE_OF_GRADIENT
        ga_float by_mean = 0.f, by_log_sigma = 0.f, g = is_given ? g_mean[j] : 0.f;
        if (prior != NO_PRIOR) {
            kl_here += divergence(prior, mean[k], log_sigma[k], &by_mean, &by_log_sigma);
            by_log_sigma = (is_given ? g_log_sigma[j] : 0.f) + weight * by_log_sigma;
            square_log_sigma_here += by_log_sigma * by_log_sigma;
        }
        g += weight * by_mean;
        square_here += g * g;
    }
    kl[LID_0] = kl_here;
    square_mean[LID_0] = square_here;
    square_log_sigma[LID_0] = square_log_sigma_here;
    SUM_OF_BLOCK(kl)
    SUM_OF_BLOCK(square_mean)
    SUM_OF_BLOCK(square_log_sigma)
    if (LID_0 == 0) {
        GLOBAL_MEM ga_float *to = START(ga_float, sums) + 3 * (ga_size)GID_0;
        to[0] = kl[0];
        to[1] = square_mean[0];
        to[2] = square_log_sigma[0];
    }
}

#section sums
// Adds the sums of the blocks of each group; one block per group. first_group, first_parameter: positions of the results
// of the first group.
KERNEL void variational_sums($(blocks) ARRAY(ga_float, sums), ARRAY(ga_float, kl), ARRAY(ga_float, squares),
                             const ga_uint all_blocks, const ga_uint first_group, const ga_uint first_parameter) {
    LOCAL_MEM ga_float total[3][THREADS];
    ga_uint first_block = 0, last_block = 0, parameter = 0, parameters = 0, number;
    MOVE(ga_float, sums);
    MOVE(ga_float, kl);
    MOVE(ga_float, squares);
    $(choose_blocks)
    total[0][LID_0] = total[1][LID_0] = total[2][LID_0] = 0.f;
    for (ga_uint block = first_block + LID_0; block < last_block; block += THREADS)
        for (ga_uint k = 0; k < 3; k++) total[k][LID_0] += sums[3 * (ga_size)block + k];
    SUM_OF_BLOCK(total[0])
    SUM_OF_BLOCK(total[1])
    SUM_OF_BLOCK(total[2])
    if (LID_0 == 0) kl[first_group + GID_0] = total[0][0];
    if (LID_0 < parameters) squares[first_parameter + parameter + LID_0] = total[1 + LID_0][0];
}

#section adam
// A step of Adam for one parameter with the moments `mean` and `square`.
WITHIN_KERNEL void adam(ga_float gradient, ga_float step_size, ga_float *value, ga_float *mean, ga_float *square);
WITHIN_KERNEL void adam(ga_float gradient, ga_float step_size, ga_float *value, ga_float *mean, ga_float *square) {
    *mean = $(old_mean) * *mean + $(new_mean) * gradient;
    *square = $(old_square) * *square + $(new_square) * (gradient * gradient);
    *value -= step_size * *mean / (sqrt(*square) + $(epsilon));
}

KERNEL void variational_adam($(arrays) ARRAY(ga_float, kl_weight), ARRAY(ga_float, factor),
                             ARRAY(ga_float, step_size), ARRAY(ga_byte, finite)) {
    GLOBAL_MEM ga_float *mean = 0, *log_sigma = 0, *m_mean = 0, *m_log_sigma = 0, *v_mean = 0, *v_log_sigma = 0;
    GLOBAL_MEM ga_float *g_mean = 0, *g_log_sigma = 0;
    const ga_float weight = START(ga_float, kl_weight)[0], scale = START(ga_float, factor)[0];
    const ga_float step = START(ga_float, step_size)[0];
    THIS_PIECE
    if (!START(ga_byte, finite)[0]) return;
    for (ga_size k = begin + LID_0; k < end; k += THREADS) {
        PLACE_OF_GRADIENT
        // All numbers are read before the first is written, because the kernel would wait for each read after a write.
        ga_float g = is_given ? g_mean[j] : 0.f, value = mean[k], m = m_mean[k], v = v_mean[k];
        if (prior != NO_PRIOR) {
            ga_float h = is_given ? g_log_sigma[j] : 0.f, by_mean, by_log_sigma;
            ga_float s = log_sigma[k], m_s = m_log_sigma[k], v_s = v_log_sigma[k];
            divergence(prior, value, s, &by_mean, &by_log_sigma);
            g += weight * by_mean;
            h += weight * by_log_sigma;
            adam(scale * h, step * $(log_sigma_rate), &s, &m_s, &v_s);
            log_sigma[k] = s;
            m_log_sigma[k] = m_s;
            v_log_sigma[k] = v_s;
        }
        adam(scale * g, step, &value, &m, &v);
        mean[k] = value;
        m_mean[k] = m;
        v_mean[k] = v;
    }
}
