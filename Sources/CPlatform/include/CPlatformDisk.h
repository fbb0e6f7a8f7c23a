// SPDX-License-Identifier: Apache-2.0
// File operations that Swift's Glibc overlay lacks. Each returns 0 or an errno value unless it says otherwise.
#ifndef VARVE_CPLATFORM_DISK_H
#define VARVE_CPLATFORM_DISK_H

#include <pthread.h>
#include <stdint.h>

// Reserves blocks for [offset, offset + byteCount) and extends the file to its end.
int varve_file_allocate(int descriptor, int64_t offset, int64_t byteCount);

// The first offset at or after `offset` that may hold written data, or -1 when there is none.
int64_t varve_file_next_data(int descriptor, int64_t offset);

// Gives the blocks behind the last data that was ever written at or after `offset` back; never touches data.
int varve_file_release_unwritten(int descriptor, int64_t offset);

// Has a part of the file that was written brought to its disk from now on, without waiting for it; it is not durable before a sync,
// which also says what went wrong.
void varve_file_begin_writing(int descriptor, int64_t offset, int64_t byteCount);

// Drops the file's clean pages from the page cache.
int varve_file_drop_cache(int descriptor);

// Drops the clean pages of a part of the file from the page cache.
int varve_file_drop_cached_range(int descriptor, int64_t offset, int64_t byteCount);

// Reads what is in the page cache and waits for no disk: how many bytes were there from `offset` on, or -1 with errno
// (EAGAIN: none; EOPNOTSUPP: this file system can't say).
int64_t varve_file_read_cached(int descriptor, void *bytes, int64_t byteCount, int64_t offset);

// How often the calling thread has waited for a disk because a page that it touched was not in memory.
int64_t varve_thread_major_faults(void);

// The open file once more, for reading and writing past the page cache (O_DIRECT); -1 with errno where that can't be had.
int varve_file_open_direct(int descriptor);

// Takes the exclusive advisory lock of an open file without waiting.
int varve_file_lock(int descriptor);

// Lets the calling thread give way to others in CPU and disk time, as far as the system allows.
void varve_thread_make_background(void);

// Names a thread for tools like top; of a long name the first 15 bytes.
void varve_thread_name(pthread_t thread, const char *name);

#endif
