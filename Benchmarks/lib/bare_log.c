// SPDX-License-Identifier: Apache-2.0
// A bare log with group commit, to compare the segment store with: WRITERS threads hand in RECORDS records of BYTES bytes,
// one thread writes what waits, at most 64 records or 4 MiB, at aligned places past the page cache, calls fdatasync, and
// wakes their writers. No checksums, no index, no metadata. Prints wall and processor seconds, and the batches.
// usage: bare_log FILE WRITERS RECORDS BYTES
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { most_records = 64, most_bytes = 4 << 20, kinds = 64, step = 64 << 20 };

static int writers, records, bytes, file;
static unsigned char *payloads[kinds], *batch;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t comes = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static int waiting[1 << 12], waiting_count, finished[1 << 12], company = 1, batches;
static int left;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void *write_records(void *argument) {
    int me = (int)(intptr_t)argument;
    for (int record = me; record < records; record += writers) {
        pthread_mutex_lock(&mutex);
        finished[me] = 0;
        waiting[waiting_count++] = me | (record % kinds) << 12;
        pthread_cond_signal(&comes);
        while (!finished[me]) pthread_cond_wait(&done, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    pthread_mutex_lock(&mutex);
    left -= 1;
    pthread_cond_signal(&comes);
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: bare_log FILE WRITERS RECORDS BYTES\n");
        return 2;
    }
    writers = left = atoi(arguments[2]), records = atoi(arguments[3]), bytes = atoi(arguments[4]);
    file = open(arguments[1], O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0600);
    if (file < 0) fail("open");
    uint64_t state = 88172645463325252ull;
    for (int kind = 0; kind < kinds; kind++) {
        payloads[kind] = malloc(bytes + 8);
        for (int at = 0; at < bytes; at += 8) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memcpy(payloads[kind] + at, &state, 8);
        }
    }
    if (posix_memalign((void **)&batch, 4096, most_bytes + (size_t)bytes + 4096)) fail("memory");
    double start = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int me = 0; me < writers; me++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, write_records, (void *)(intptr_t)me)) fail("thread");
    }
    off_t position = 0, reserved = 0;
    int taken[most_records];
    for (;;) {
        pthread_mutex_lock(&mutex);
        while (!waiting_count && left) pthread_cond_wait(&comes, &mutex);
        if (!waiting_count) break;
        // Those just answered come again at once: wait for them, at most 2 ms.
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 2000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec += 1, until.tv_nsec -= 1000000000;
        int wanted = company < left ? company : left;
        while (waiting_count < wanted && waiting_count < most_records && (long)waiting_count * bytes < most_bytes)
            if (pthread_cond_timedwait(&comes, &mutex, &until) == ETIMEDOUT) break;
        int number = 0;
        size_t length = 0;
        while (number < waiting_count && number < most_records && (number == 0 || length + bytes <= most_bytes))
            taken[number] = waiting[number], number += 1, length += bytes;
        memmove(waiting, waiting + number, (waiting_count - number) * sizeof *waiting);
        waiting_count -= number;
        company = number + waiting_count;
        pthread_mutex_unlock(&mutex);

        size_t filled = 0;
        for (int index = 0; index < number; index++)
            memcpy(batch + filled, payloads[taken[index] >> 12], bytes), filled += bytes;
        size_t padded = (filled + 4095) & ~4095ul;
        memset(batch + filled, 0, padded - filled);
        while (position + (off_t)padded > reserved) {
            if (posix_fallocate(file, reserved, step)) fail("fallocate");
            reserved += step;
        }
        for (size_t at = 0; at < padded;) {
            ssize_t got = pwrite(file, batch + at, padded - at, position + at);
            if (got <= 0) fail("pwrite");
            at += got;
        }
        position += padded;
        if (fdatasync(file)) fail("fdatasync");
        batches += 1;

        pthread_mutex_lock(&mutex);
        for (int index = 0; index < number; index++) finished[taken[index] & 4095] = 1;
        pthread_cond_broadcast(&done);
        pthread_mutex_unlock(&mutex);
    }
    printf("%.3f %.3f %d\n", seconds(CLOCK_MONOTONIC) - start, seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu, batches);
    return 0;
}
