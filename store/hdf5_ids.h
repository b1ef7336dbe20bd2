// hdf5_ids.h - what hdf5.c and hdf5_write.c share.
#ifndef MG_STORE_HDF5_IDS_H
#define MG_STORE_HDF5_IDS_H

#define MG_HDF5_WORDS 256 // bytes of what the library says

// Before the first call: the library is to print nothing, and to stay away from the process's end, where it
// falls over a file that could not be closed for lack of room. Files are closed by hand, always.
void mg_hdf5_begin(void);

// Its innermost words about the last call of this thread, which must be the one that failed.
const char *mg_hdf5_words(char words[MG_HDF5_WORDS]);
#endif
