// SPDX-License-Identifier: Apache-2.0
// A disk that fails when told to: loaded into a process with LD_PRELOAD, it stands before the C library's file calls.
//
// FAULTY_DISK_CONTROL names a file of rules, one a line; it is looked at before each call, and no file means no fault:
//
//     PREFIX CALL AFTER TIMES HOW
//
// PREFIX   of the file's path. CALL: write (pwrite, pwritev, pwritev2), sync (fdatasync, fsync), read (pread), open,
// allocate (fallocate). AFTER: how many such calls succeed first. TIMES: how many fail then, -1 all of them.
// HOW      EIO or ENOSPC; `short`: half of the bytes are written; `lose`: a sync fails with EIO, and what was written
//          to the file since its last sync becomes zeros, as on a disk that could not write it; `lie`: the same, and
//          the sync succeeds. No software can help that: it is there to show that the torture notices lost images.
//
// Every fault is noted in the file FAULTY_DISK_LOG: "CALL HOW PATH". Another rule file begins to count anew.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { maximum_rules = 16, maximum_writes = 65536 };

typedef enum { call_write, call_sync, call_read, call_open, call_allocate, call_count } call_kind;
static const char *const call_names[call_count] = {"write", "sync", "read", "open", "allocate"};

typedef enum { how_nothing, how_eio, how_enospc, how_short, how_lose, how_lie, how_count } fault_how;
static const char *const how_names[how_count] = {"-", "EIO", "ENOSPC", "short", "lose", "lie"};

typedef struct {
    char prefix[PATH_MAX];
    call_kind call;
    fault_how how;
    long after, times;
} rule;

typedef struct {
    dev_t device;
    ino_t inode;
    off_t offset;
    size_t length;
} written_range;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static rule rules[maximum_rules];
static int rule_count;
static struct stat control_seen;
// What was written and not synced; only kept while a rule says `lose` or `lie`.
static written_range writes[maximum_writes];
static int write_count;

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int real_open(const char *path, int flags, mode_t mode) {
    REAL(open);
    return real(path, flags, mode);
}

static ssize_t real_pwrite(int file, const void *bytes, size_t count, off_t offset) {
    REAL(pwrite);
    return real(file, bytes, count, offset);
}

static int real_fdatasync(int file) {
    REAL(fdatasync);
    return real(file);
}

static void read_rules(const char *control) {
    rule_count = write_count = 0;
    FILE *file = fopen(control, "re");
    if (!file) return;
    char call[16], how[16];
    rule next;
    while (rule_count < maximum_rules &&
           fscanf(file, "%4095s %15s %ld %ld %15s", next.prefix, call, &next.after, &next.times, how) == 5) {
        next.call = call_count;
        next.how = how_count;
        for (int index = 0; index < call_count; index++)
            if (strcmp(call, call_names[index]) == 0) next.call = (call_kind)index;
        for (int index = 1; index < how_count; index++)
            if (strcmp(how, how_names[index]) == 0) next.how = (fault_how)index;
        if (next.call != call_count && next.how != how_count) rules[rule_count++] = next;
    }
    fclose(file);
}

// With the lock held: whether there are rules, read anew when their file is another one.
static int has_rules(void) {
    const char *control = getenv("FAULTY_DISK_CONTROL");
    struct stat now;
    if (!control) return 0;
    if (stat(control, &now) != 0) {
        memset(&control_seen, 0, sizeof control_seen);
        rule_count = write_count = 0;
        return 0;
    }
    if (now.st_ino != control_seen.st_ino || now.st_mtim.tv_sec != control_seen.st_mtim.tv_sec ||
        now.st_mtim.tv_nsec != control_seen.st_mtim.tv_nsec) {
        control_seen = now;
        read_rules(control);
    }
    return rule_count > 0;
}

static void note(call_kind call, fault_how how, const char *path) {
    const char *log = getenv("FAULTY_DISK_LOG");
    int file = log ? real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (file < 0) return;
    dprintf(file, "%s %s %s\n", call_names[call], how_names[how], path);
    close(file);
}

static int path_of(int file, char path[PATH_MAX]) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t count = readlink(link, path, PATH_MAX - 1);
    if (count <= 0 || path[0] != '/') return 0;
    path[count] = 0;
    return 1;
}

// With the lock held: what is to happen to this call.
static fault_how judge(call_kind call, const char *path) {
    for (int index = 0; index < rule_count; index++) {
        rule *one = &rules[index];
        if (one->call != call || one->times == 0 || strncmp(path, one->prefix, strlen(one->prefix)) != 0) continue;
        if (one->after > 0) {
            one->after--;
            continue;
        }
        if (one->times > 0) one->times--;
        note(call, one->how, path);
        return one->how;
    }
    return how_nothing;
}

static fault_how fault_of_file(call_kind call, int file) {
    char path[PATH_MAX];
    fault_how how = how_nothing;
    pthread_mutex_lock(&lock);
    int before = errno;
    if (has_rules() && path_of(file, path)) how = judge(call, path);
    errno = before;
    pthread_mutex_unlock(&lock);
    return how;
}

static int loses(void) {
    for (int index = 0; index < rule_count; index++)
        if (rules[index].how == how_lose || rules[index].how == how_lie) return 1;
    return 0;
}

static void remember_write(int file, off_t offset, ssize_t length) {
    struct stat status;
    if (length <= 0) return;
    pthread_mutex_lock(&lock);
    int before = errno;
    if (loses() && write_count < maximum_writes && fstat(file, &status) == 0 && S_ISREG(status.st_mode))
        writes[write_count++] = (written_range){status.st_dev, status.st_ino, offset, (size_t)length};
    errno = before;
    pthread_mutex_unlock(&lock);
}

// The file was synced, or `lost`: then what was written is made zeros first.
static void settle_writes(int file, int lost) {
    static const char zeros[65536];
    struct stat status;
    pthread_mutex_lock(&lock);
    int before = errno;
    if (write_count > 0 && fstat(file, &status) == 0) {
        int kept = 0;
        for (int index = 0; index < write_count; index++) {
            written_range one = writes[index];
            if (one.device != status.st_dev || one.inode != status.st_ino) {
                writes[kept++] = one;
                continue;
            }
            while (lost && one.length > 0) {
                size_t count = one.length < sizeof zeros ? one.length : sizeof zeros;
                if (real_pwrite(file, zeros, count, one.offset) != (ssize_t)count) abort();
                one.offset += (off_t)count;
                one.length -= count;
            }
        }
        write_count = kept;
    }
    if (lost) {
        real_fdatasync(file);
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    }
    errno = before;
    pthread_mutex_unlock(&lock);
}

static int error_of(fault_how how) { return how == how_enospc ? ENOSPC : EIO; }

// MARK: The calls

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
    fault_how how = fault_of_file(call_write, file);
    if (how == how_short && count > 1) count /= 2;
    if (how == how_eio || how == how_enospc) {
        errno = error_of(how);
        return -1;
    }
    ssize_t result = real_pwrite(file, bytes, count, offset);
    remember_write(file, offset, result);
    return result;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t offset) { return pwrite(file, bytes, count, offset); }

ssize_t pwritev2(int file, const struct iovec *vectors, int count, off_t offset, int flags) {
    REAL(pwritev2);
    fault_how how = fault_of_file(call_write, file);
    if (how == how_short && count > 0) {
        if (count == 1) return pwrite(file, vectors[0].iov_base, (vectors[0].iov_len + 1) / 2, offset);
        count /= 2;
    }
    if (how == how_eio || how == how_enospc) {
        errno = error_of(how);
        return -1;
    }
    ssize_t result = real(file, vectors, count, offset, flags);
    remember_write(file, offset, result);
    return result;
}

ssize_t pwritev(int file, const struct iovec *vectors, int count, off_t offset) {
    return pwritev2(file, vectors, count, offset, 0);
}

ssize_t pwritev64(int file, const struct iovec *vectors, int count, off_t offset) {
    return pwritev2(file, vectors, count, offset, 0);
}

static int synced(int file, int (*real)(int)) {
    fault_how how = fault_of_file(call_sync, file);
    if (how != how_nothing) {
        if (how == how_lose || how == how_lie) settle_writes(file, 1);
        if (how == how_lie) return 0;
        errno = error_of(how);
        return -1;
    }
    int result = real(file);
    if (result == 0) settle_writes(file, 0);
    return result;
}

int fdatasync(int file) { return synced(file, real_fdatasync); }

int fsync(int file) {
    REAL(fsync);
    return synced(file, real);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    REAL(pread);
    fault_how how = fault_of_file(call_read, file);
    if (how == how_short && count > 1) count /= 2;
    if (how == how_eio || how == how_enospc) {
        errno = error_of(how);
        return -1;
    }
    return real(file, bytes, count, offset);
}

ssize_t pread64(int file, void *bytes, size_t count, off_t offset) { return pread(file, bytes, count, offset); }

int fallocate(int file, int mode, off_t offset, off_t count) {
    REAL(fallocate);
    fault_how how = mode == 0 ? fault_of_file(call_allocate, file) : how_nothing;
    if (how != how_nothing) {
        errno = error_of(how);
        return -1;
    }
    return real(file, mode, offset, count);
}

int fallocate64(int file, int mode, off_t offset, off_t count) { return fallocate(file, mode, offset, count); }

static int fails_open(int directory, const char *path) {
    fault_how how = how_nothing;
    // Paths in Varve are absolute; what is relative is somebody else's.
    (void)directory;
    if (path[0] != '/' || strncmp(path, "/proc/", 6) == 0) return 0;
    pthread_mutex_lock(&lock);
    int before = errno;
    if (has_rules()) how = judge(call_open, path);
    errno = before;
    pthread_mutex_unlock(&lock);
    if (how == how_nothing) return 0;
    errno = error_of(how);
    return 1;
}

static mode_t mode_of(int flags, va_list arguments) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails_open(AT_FDCWD, path) ? -1 : real_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails_open(AT_FDCWD, path) ? -1 : real_open(path, flags | O_LARGEFILE, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    REAL(openat);
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return fails_open(directory, path) ? -1 : real(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = mode_of(flags, arguments);
    va_end(arguments);
    return openat(directory, path, flags | O_LARGEFILE, mode);
}
