// The distinct values of an integer vector, and the position of each element among them.
//
// Radix sort of the differences to the smallest value, beginning with the lowest digit. The number of passes is the
// number of digits of the largest difference: two for the words of a minibatch.

namespace unique {

using namespace theano_rnn;

enum { BITS = 11, DIGITS = 1 << BITS };

struct element { unsigned long key; long position; };

// Sorts by key; elements with equal keys keep their order. `sorted` has the same length.
static void sort(std::vector<element>& elements, std::vector<element>& sorted, unsigned long largest) {
    for (int shift = 0; shift < 64 && largest >> shift; shift += BITS) {
        size_t begins[DIGITS + 1] = {};
        for (const element& e : elements) begins[(e.key >> shift) % DIGITS + 1]++;
        for (int digit = 0; digit < DIGITS; digit++) begins[digit + 1] += begins[digit];
        for (const element& e : elements) sorted[begins[(e.key >> shift) % DIGITS]++] = e;
        elements.swap(sorted);
    }
}

// Returns false if a Python exception is set. I: the type of the values; the index is int64.
template <typename I>
static bool run(PyArrayObject* values, int type, PyArrayObject** distinct, PyArrayObject** index) {
    reference held;
    const npy_intp n = PyArray_DIM(values, 0);
    if (!take(held, values, "unique: values", {n}) || !prepare(index, NPY_INT64, {n})) return false;
    const I* value = held.data<I>();
    npy_int64* to = (npy_int64*)PyArray_DATA(*index);
    std::vector<element> elements, sorted;
    try {
        elements.resize(n);
        sorted.resize(n);
    } catch (const std::bad_alloc&) {
        PyErr_NoMemory();
        return false;
    }
    unsigned long smallest = 0;
    Py_BEGIN_ALLOW_THREADS
    if (n) {
        const auto ends = std::minmax_element(value, value + n);
        smallest = *ends.first;
        // Unsigned, so that the difference of any two values fits.
        for (npy_intp k = 0; k < n; k++) elements[k] = {(unsigned long)value[k] - smallest, k};
        sort(elements, sorted, (unsigned long)*ends.second - smallest);
    }
    npy_int64 count = 0;
    unsigned long last = 0;
    for (const element& e : elements) {
        if (!count || e.key != last) count++;
        last = e.key;
        to[e.position] = count - 1;
    }
    Py_END_ALLOW_THREADS
    const npy_intp found = n ? to[elements.back().position] + 1 : 0;
    if (!prepare(distinct, type, {found})) return false;
    I* out = (I*)PyArray_DATA(*distinct);
    for (const element& e : elements) out[to[e.position]] = (I)(e.key + smallest);
    return true;
}

}  // namespace unique
