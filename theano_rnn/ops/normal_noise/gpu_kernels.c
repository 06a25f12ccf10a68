// Standard normal samples from uniform numbers, in the dialect of libgpuarray, which compiles as CUDA and as OpenCL. gpu.py
// creates the kernel, and gpu.cpp launches it.

// Adds an offset in bytes to a pointer.
#define FLOATS(p) ((GLOBAL_MEM ga_float *)((GLOBAL_MEM char *)(p) + p##_offset))

#section normal
// Each thread computes two samples. If `count` is odd, the last thread computes one.
KERNEL void normal_noise(GLOBAL_MEM ga_float *uniform, const ga_size uniform_offset, GLOBAL_MEM ga_float *normal,
                         const ga_size normal_offset, const ga_size count) {
    const ga_size k = (ga_size)GID_0 * LDIM_0 + LID_0, pairs = (count + 1) / 2;
    ga_float radius, angle;
    if (k >= pairs) return;
    radius = sqrt(-2.f * log(FLOATS(uniform)[k]));
    angle = 6.283185307179586f * FLOATS(uniform)[pairs + k];
    FLOATS(normal)[k] = radius * cos(angle);
    if (pairs + k < count) FLOATS(normal)[pairs + k] = radius * sin(angle);
}
