// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE
#include "CPlatformDisk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

int varve_file_allocate(int descriptor, int64_t offset, int64_t byteCount) {
    int result;
    do {
        result = fallocate(descriptor, 0, offset, byteCount);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

int64_t varve_file_next_data(int descriptor, int64_t offset) {
    off_t data = lseek(descriptor, offset, SEEK_DATA);
    if (data >= 0) return data;
    // ENXIO: only holes up to the end. Anything else: this file system can't say, so everything may be data.
    return errno == ENXIO ? -1 : offset;
}

int varve_file_release_unwritten(int descriptor, int64_t offset) {
    struct stat status;
    if (fstat(descriptor, &status) != 0) return errno;
    off_t end = offset;
    for (;;) {
        off_t data = lseek(descriptor, end, SEEK_DATA);
        if (data < 0) {
            if (errno == ENXIO) break;
            return errno;
        }
        end = lseek(descriptor, data, SEEK_HOLE);
        if (end < 0) return errno;
    }
    end = (end + 4095) & ~(off_t)4095;
    if (end >= status.st_size) return 0;
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(descriptor, mode, end, status.st_size - end) == 0 ? 0 : errno;
}

void varve_file_begin_writing(int descriptor, int64_t offset, int64_t byteCount) {
    sync_file_range(descriptor, offset, byteCount, SYNC_FILE_RANGE_WRITE);
}

int varve_file_drop_cache(int descriptor) { return posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED); }

int varve_file_lock(int descriptor) { return flock(descriptor, LOCK_EX | LOCK_NB) == 0 ? 0 : errno; }

void varve_thread_name(pthread_t thread, const char *name) {
    char text[16];
    strncpy(text, name, sizeof text - 1);
    text[sizeof text - 1] = 0;
    pthread_setname_np(thread, text);
}

int64_t varve_file_read_cached(int descriptor, void *bytes, int64_t byteCount, int64_t offset) {
    struct iovec vector = {.iov_base = bytes, .iov_len = (size_t)byteCount};
    ssize_t count;
    do {
        count = preadv2(descriptor, &vector, 1, offset, RWF_NOWAIT);
    } while (count < 0 && errno == EINTR);
    return count;
}

int64_t varve_thread_major_faults(void) {
    struct rusage usage;
    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_majflt : 0;
}

int varve_file_open_direct(int descriptor) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    return open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
}

int varve_file_drop_cached_range(int descriptor, int64_t offset, int64_t byteCount) {
    return posix_fadvise(descriptor, offset, byteCount, POSIX_FADV_DONTNEED);
}

void varve_thread_make_background(void) {
    long thread = syscall(SYS_gettid);
    setpriority(PRIO_PROCESS, (id_t)thread, 15);
    // IOPRIO_WHO_PROCESS; class best effort (2), the lowest of its levels (7).
    syscall(SYS_ioprio_set, 1, thread, (2 << 13) | 7);
}
