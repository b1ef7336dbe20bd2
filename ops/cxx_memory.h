// cxx_memory.h - see cxx_memory.c.
#ifndef MG_OPS_CXX_MEMORY_H
#define MG_OPS_CXX_MEMORY_H

// Names the file, so that the linker takes it: whoever calls a C++ library calls this once before.
void mg_cxx_memory_use(void);
#endif
