// Standard normal samples on a GPU, with the kernel of gpu_kernels.c. Needs shapes.hpp and gpu.hpp.

namespace normal_noise_gpu {

using namespace theano_rnn;

// Returns false if a Python exception is set.
static bool run(PyGpuContextObject* context, GpuKernel* kernel, gpu_array* uniform, const std::vector<long>& lengths,
                gpu_array** samples) {
    const std::vector<size_t> shape(lengths.begin(), lengths.end());
    size_t count = 1;
    for (size_t length : shape) count *= length;
    const size_t pairs = (count + 1) / 2;
    if (!check_shape("normal_noise: the vector of uniform numbers", shape_of(uniform), {(long)(2 * pairs)}) ||
        theano_prep_output(samples, shape.size(), shape.data(), GA_FLOAT, GA_C_ORDER, context))
        return false;
    gpu_call call;
    call.give(uniform);
    call.give(*samples);
    call.give(count);
    return call.run_threads(kernel, pairs, "normal_noise");
}

}  // namespace normal_noise_gpu
