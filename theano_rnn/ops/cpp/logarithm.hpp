// Logarithms of vectors. Needs vectors.hpp.

#ifndef THEANO_RNN_LOGARITHM_HPP
#define THEANO_RNN_LOGARITHM_HPP

namespace theano_rnn {

// log(1 + x) in float32 for -0.3 < x < 0.42, accurate to 2 ulp (Cephes: polynomial of degree 8).
static inline vector_of<float>::type logarithm_near_one(vector_of<float>::type x) {
    typedef vector_of<float>::type V;
    const V s = x * x;
    V p = x * 7.0376836292e-2f + -1.1514610310e-1f;
    p = p * x + 1.1676998740e-1f;
    p = p * x + -1.2420140846e-1f;
    p = p * x + 1.4249322787e-1f;
    p = p * x + -1.6668057665e-1f;
    p = p * x + 2.0000714765e-1f;
    p = p * x + -2.4999993993e-1f;
    p = p * x + 3.3333331174e-1f;
    return p * (x * s) - 0.5f * s + x;
}

// log(x) in float32 for normal numbers x > 0, accurate to 2 ulp. NaN is not preserved.
static inline vector_of<float>::type logarithm(vector_of<float>::type x) {
    typedef vector_of<float>::type V;
    typedef vector_of<float>::integer I;
    const I bits = (I)x - 0x3F3504F3;            // bits of sqrt(0.5): the mantissa is in [sqrt(0.5), sqrt(2))
    const I exponent = bits >> 23;
    const V mantissa = (V)((bits & 0x7FFFFF) + 0x3F3504F3);
    const V shift = V{} + 12582912.0f;           // 1.5 * 2^23: converts a small integer in the low bits to float
    const V e = (V)(exponent + 0x4B400000) - shift;
    return e * 0.693359375f + (logarithm_near_one(mantissa - 1.0f) + e * -2.12194440e-4f);
}

static inline vector_of<double>::type logarithm(vector_of<double>::type x) {
    for (int j = 0; j < (int)lanes<double>::N; j++) x[j] = std::log(x[j]);
    return x;
}

}  // namespace theano_rnn

#endif
