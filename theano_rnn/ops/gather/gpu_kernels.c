// Additions to rows of a matrix on a GPU, in a fixed order, in the dialect of libgpuarray, which compiles as CUDA and as
// OpenCL. gpu.py creates and launches the kernels. The formula is in gpu.py.
//
// Atomic additions would be simpler, but their order, and thus the rounding, differs from run to run. Instead, the
// increments are sorted by their rows, and each thread adds a piece of the sorted list.
//
// A list has two parts: rows, and the positions of the increments. An index outside of the matrix counts as row
// `all_rows`, which comes last and is never added.

// Threads of a work group that sorts.
#define THREADS 256
// Increments that one thread adds.
#define PIECE 32

#section sort
// One pass of a radix sort, from the least significant digit: each work group collects the places with one digit. It
// keeps their order, and needs no results of other groups, because it also counts the places with smaller digits.
//
// The list between two passes has `padded` places, a multiple of THREADS, in an order in which neighbouring threads read
// neighbouring elements: place p is element p % each * THREADS + p / each, for each = padded / THREADS. The first pass
// reads the index in this way too, as if it were such a list, so that equal rows are not in the order of the index, but
// in another fixed one.
KERNEL void add_rows_sort(ARRAY($(index), index), GLOBAL_MEM ga_uint *lists, const ga_uint from, const ga_uint to,
                          const ga_uint count, const ga_uint padded, const ga_uint all_rows, const ga_uint shift,
                          const ga_uint is_last) {
    LOCAL_MEM ga_uint smaller[THREADS], equal[THREADS];
    const ga_uint thread = LID_0, digit = GID_0, each = padded / THREADS;
    ga_uint less = 0, same = 0, next = 0;
    MOVE($(index), index);
    for (int collects = 0; collects < 2; collects++) {
        for (ga_uint k = 0; k < each; k++) {
            const ga_uint element = k * THREADS + thread;
            if ((shift ? thread * each + k : element) >= count) break;
            ga_uint row, position = element;
            if (shift) {
                row = lists[from + element];
                position = lists[from + padded + element];
            } else {
                const ga_long signed_row = (ga_long)index[element] + (index[element] < 0 ? all_rows : 0);
                row = signed_row < 0 || signed_row >= all_rows ? all_rows : (ga_uint)signed_row;
            }
            const ga_uint key = (row >> shift) & 255;
            less += key < digit;
            same += key == digit;
            if (collects && key == digit) {
                const ga_uint place = is_last ? next : next % each * THREADS + next / each;
                lists[to + place] = row;
                lists[to + padded + place] = position;
                next++;
            }
        }
        if (collects) return;
        smaller[thread] = less;
        equal[thread] = same;
        for (ga_uint step = 1; step < THREADS; step *= 2) {            // sums over this thread and those before it
            local_barrier();
            const ga_uint less_before = thread < step ? 0 : smaller[thread - step];
            const ga_uint same_before = thread < step ? 0 : equal[thread - step];
            local_barrier();
            smaller[thread] += less_before;
            equal[thread] += same_before;
        }
        local_barrier();
        next = smaller[THREADS - 1] + equal[thread] - same;
    }
}

#section add
// Adds the increments of one piece of the list, for one column, to x. If the piece begins with a row that has increments
// in the piece before, their sum is stored in `sums`, (pieces, columns), because another thread writes this row of x.
KERNEL void add_rows_add(ARRAY(ga_float, x), ARRAY(ga_float, y), GLOBAL_MEM ga_uint *lists, const ga_uint from,
                         GLOBAL_MEM ga_float *sums, const ga_uint count, const ga_uint padded, const ga_uint columns,
                         const ga_uint all_rows, const ga_uint y_row, const ga_uint y_column,
                         GLOBAL_MEM ga_int *error) {
    const ga_size number = (ga_size)GID_0 * LDIM_0 + LID_0, begin = number / columns * PIECE, column = number % columns;
    GLOBAL_MEM ga_uint *rows = lists + from, *positions = lists + from + padded;
    if (begin >= count) return;
    const ga_size end = begin + PIECE < count ? begin + PIECE : count;
    ga_uint row = rows[begin];
    int continued = begin > 0 && rows[begin - 1] == row;
    ga_float sum = 0.f;
    MOVE(ga_float, x);
    MOVE(ga_float, y);
    for (ga_size place = begin; place < end; place++) {
        if (rows[place] != row) {
            if (continued) sums[number] = sum;
            else x[(ga_size)row * columns + column] += sum;
            row = rows[place];
            continued = 0;
            sum = 0.f;
        }
        sum += y[(ga_size)positions[place] * y_row + column * y_column];
    }
    if (row >= all_rows) *error = 1;
    else if (continued) sums[number] = sum;
    else x[(ga_size)row * columns + column] += sum;
}

#section join
// Adds the `sums` of a row whose increments are in several pieces, for one column. The thread of the second of these
// pieces does this.
KERNEL void add_rows_join(ARRAY(ga_float, x), GLOBAL_MEM ga_uint *lists, const ga_uint from, GLOBAL_MEM ga_float *sums,
                          const ga_uint count, const ga_uint columns, const ga_uint all_rows) {
    const ga_size number = (ga_size)GID_0 * LDIM_0 + LID_0, begin = number / columns * PIECE, column = number % columns;
    GLOBAL_MEM ga_uint *rows = lists + from;
    if (begin == 0 || begin >= count) return;
    const ga_uint row = rows[begin];
    if (row >= all_rows || rows[begin - 1] != row) return;
    if (begin > PIECE && rows[begin - PIECE - 1] == row) return;
    ga_float sum = 0.f;
    MOVE(ga_float, x);
    for (ga_size place = begin; place < count && rows[place] == row; place += PIECE)
        sum += sums[place / PIECE * columns + column];
    x[(ga_size)row * columns + column] += sum;
}
