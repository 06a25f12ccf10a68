// Arrays in the kernels, in the dialect of libgpuarray, which compiles as CUDA and as OpenCL. These definitions precede
// the source of each kernel.

// An array among the arguments of a kernel: its memory, and the offset of its first element in bytes.
#define ARRAY(type, p) GLOBAL_MEM type *p, const ga_size p##_offset
// The address of its first element.
#define START(type, p) ((GLOBAL_MEM type *)((GLOBAL_MEM char *)(p) + p##_offset))
// Lets the argument itself point to the first element.
#define MOVE(type, p) p = START(type, p)
