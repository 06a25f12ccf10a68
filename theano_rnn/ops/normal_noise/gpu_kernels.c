// Standard normal samples from uniform numbers, in the dialect of libgpuarray, which compiles as CUDA and as OpenCL. gpu.py
// creates the kernel, and gpu.cpp launches it.

#section normal
// Each thread computes two samples. If `count` is odd, the last thread computes one.
KERNEL void normal_noise(ARRAY(ga_float, uniform), ARRAY(ga_float, normal), const ga_size count) {
    const ga_size k = (ga_size)GID_0 * LDIM_0 + LID_0, pairs = (count + 1) / 2;
    ga_float radius, angle;
    MOVE(ga_float, uniform);
    MOVE(ga_float, normal);
    if (k >= pairs) return;
    radius = sqrt(-2.f * log(uniform[k]));
    angle = 6.283185307179586f * uniform[pairs + k];
    normal[k] = radius * cos(angle);
    if (pairs + k < count) normal[pairs + k] = radius * sin(angle);
}
