// What the operations in C++ share: vectors, the exponential, threads, and the arguments as numpy arrays.
//
// Pasted before each operation's own file (Python.h and numpy/arrayobject.h come before it); the guard is for modules
// that Theano makes of several operations.

#ifndef BAYES_RNN_VECTORS_HPP
#define BAYES_RNN_VECTORS_HPP

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>
#ifdef __linux__
#include <sched.h>
#include <sys/mman.h>
#endif

namespace bayes_rnn {

// ------------------------------------------------------------------------------------------------------- vectors

#if defined(__AVX512F__)
enum { VECTOR_BYTES = 64 };
#elif defined(__AVX__)
enum { VECTOR_BYTES = 32 };
#else
enum { VECTOR_BYTES = 16 };
#endif

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

static inline vector_of<double>::type exponential(vector_of<double>::type x) {
    for (int j = 0; j < lanes<double>::N; j++) x[j] = std::exp(x[j]);
    return x;
}

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

// The threads of one call, which can wait for each other.
class team {
public:
    int size;
    std::mutex mutex;

    team() : size(1), arrived(0), round(0) {}

    // Returns when all have called it.
    void meet() {
        if (size == 1) return;
        const unsigned now = round.load();
        if (arrived.fetch_add(1) + 1 == size) {
            arrived.store(0);
            {
                std::lock_guard<std::mutex> lock(mutex);
                round.store(now + 1);
            }
            everybody_is_here.notify_all();
            return;
        }
        // Sleeping comes last: a scheduler likes to wake two threads that sleep in turn on one and the same core.
        for (int i = 0; i < 20000; i++) {
            if (round.load() != now) return;
            if (i < 2000) pause();
            else std::this_thread::yield();
        }
        std::unique_lock<std::mutex> lock(mutex);
        everybody_is_here.wait(lock, [&] { return round.load() != now; });
    }

private:
    std::atomic<int> arrived;
    std::atomic<unsigned> round;
    std::condition_variable everybody_is_here;

    static inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#endif
    }
};

// part(0, team), ..., part(team.size - 1, team), each in its own thread, where team.size is n, or less if there are no
// more threads to be had. The threads end here: none is left waiting or spinning.
template <typename F>
static void in_team(int n, F part) {
    team all;
    std::vector<std::thread> threads;
    {
        std::lock_guard<std::mutex> until_all_are_there(all.mutex);
        try {
            threads.reserve(n);
            for (int i = 1; i < n; i++) {
                threads.emplace_back([&all, &part, i] {
                    { std::lock_guard<std::mutex> all_are_there(all.mutex); }
                    part(i, all);
                });
                all.size++;
            }
        } catch (const std::exception&) {
        }
    }
    part(0, all);
    for (auto& thread : threads) thread.join();
}

// part(0), ..., part(n - 1), each in its own thread as far as there are threads.
template <typename F>
static void in_parallel(int n, F part) {
    in_team(n, [&part, n](int first, const team& all) {
        for (int i = first; i < n; i += all.size) part(i);
    });
}

struct range { long begin, end; };

// The i-th of n nearly equal parts of 0..total, in multiples of `unit`: where it begins, and the part.
static inline long part_begin(long total, long unit, int i, int n) {
    const long units = (total + unit - 1) / unit;
    return std::min(total, units * i / n * unit);
}
static inline range part_of(long total, long unit, int i, int n) {
    return {part_begin(total, unit, i, n), part_begin(total, unit, i + 1, n)};
}

template <typename T> struct buffer {            // uninitialised, aligned to vectors
    T* p;
    explicit buffer(size_t n) : p(0) {
        const size_t huge_page = 2 << 20, bytes = std::max<size_t>(64, n * sizeof(T));
        void* q = 0;
        if (posix_memalign(&q, bytes < 2 * huge_page ? 64 : huge_page, bytes) == 0) p = (T*)q;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
        if (p && bytes >= 2 * huge_page) madvise(p, bytes, MADV_HUGEPAGE);     // fewer misses of the address cache
#endif
    }
    ~buffer() { free(p); }
    buffer(const buffer&) = delete;
    buffer& operator=(const buffer&) = delete;
};

// --------------------------------------------------------------------------------------------------- numpy arrays

struct reference {                               // an owned reference, or null
    PyArrayObject* array;
    reference() : array(0) {}
    ~reference() { Py_XDECREF(array); }
    template <typename T> T* data() const { return array ? (T*)PyArray_DATA(array) : 0; }
    reference(reference&& other) : array(other.array) { other.array = 0; }
    reference(const reference&) = delete;
    reference& operator=(const reference&) = delete;
};

// `array` in C order (null stays null), after checking its shape; its first dimension may be 1 if `one_row_allowed`.
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
        PyErr_Format(PyExc_ValueError, "%s has shape (%s), but (%s) was expected", name, got.c_str(),
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

}  // namespace bayes_rnn

#endif
