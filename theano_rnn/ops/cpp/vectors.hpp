// SIMD vectors, and the exponential function.

#ifndef THEANO_RNN_VECTORS_HPP
#define THEANO_RNN_VECTORS_HPP

#include <cmath>
#include <cstring>
#include <limits>

namespace theano_rnn {

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

// Loads the first n lanes and sets the others to 0. Only the last vector of a row may be incomplete.
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

// Clamps by comparisons: NaN stays NaN.
template <typename V, typename S>
static inline V clamp(V x, S low, S high) {
    const V l = V{} + low, h = V{} + high;
    x = x < l ? l : x;
    return x > h ? h : x;
}

// exp in float32, accurate to 2 ulp between -87 and 88 (Cephes: Cody-Waite reduction, polynomial of degree 5).
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

}  // namespace theano_rnn

#endif
