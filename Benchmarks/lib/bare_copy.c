// SPDX-License-Identifier: Apache-2.0
// What making copies of records on other nodes costs at least, to compare repair with: for each of TARGETS a log file, to which
// STREAMS connections over loopback TCP bring records; one thread reads a record from its file and sends it, another takes it,
// writes it to the log, calls fdatasync, and answers, upon which the next is sent. No checksums, no index, no catalog. The disk is read
// and written past the page cache: through it, a virtual machine's rate is that of the memory its host gives it that minute.
// Prints wall seconds and bytes. With `cached`, it goes through the page cache all the same. With `checked`, it computes what proves a copy, as storage nodes do, and nothing else: a CRC-32C
// of each 64 KiB read from the file, one of each 256 KiB sent and taken, one of each 64 KiB written, and the SHA-256 of the record
// that was taken (libcrypto and ISA-L, which use what the processor has for them).
// usage: bare_copy DIRECTORY TARGETS STREAMS RECORDS BYTES [checked | cached]
// BYTES is a multiple of 4096. Reads DIRECTORY/source, which it makes first.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <isa-l/crc.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BLOCK = 64 << 10, FRAME = 256 << 10, SECTOR = 4096 };

static int targets, streams, records, bytes, source, is_checked;
static volatile uint32_t sum;
static int logs[64];
static volatile int next_record, places[64];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

// Memory for a record, as reading and writing past the page cache want it.
static char *room_for_record(void) {
    char *record = aligned_alloc(SECTOR, (size_t)bytes);
    if (!record) fail("aligned_alloc");
    return record;
}

struct pair {
    int sends, takes, target;
};

static void whole(int descriptor, char *at, size_t count, int writes) {
    while (count > 0) {
        ssize_t done = writes ? send(descriptor, at, count, 0) : recv(descriptor, at, count, 0);
        if (done <= 0) fail(writes ? "send" : "recv");
        at += done, count -= (size_t)done;
    }
}

// As many passes over the record as there are checksums of it.
static void check(char *record, int block) {
    if (!is_checked) return;
    for (int at = 0; at < bytes; at += block)
        sum += crc32_iscsi((unsigned char *)record + at, bytes - at < block ? bytes - at : block, ~0u);
}

static void digest(char *record) {
    unsigned char value[32];
    if (is_checked && EVP_Digest(record, (size_t)bytes, value, NULL, EVP_sha256(), NULL) != 1) fail("EVP_Digest");
    if (is_checked) sum += value[0];
}

static void *send_records(void *argument) {
    struct pair *pair = argument;
    char *record = room_for_record(), answer;
    for (;;) {
        int number = __sync_fetch_and_add(&next_record, 1);
        if (number >= records) break;
        if (pread(source, record, (size_t)bytes, (off_t)number * bytes) != bytes) fail("pread");
        check(record, BLOCK), check(record, FRAME);
        whole(pair->sends, record, (size_t)bytes, 1);
        whole(pair->sends, &answer, 1, 0);
    }
    shutdown(pair->sends, SHUT_WR);
    free(record);
    return NULL;
}

static void *take_records(void *argument) {
    struct pair *pair = argument;
    char *record = room_for_record(), answer = 1;
    for (;;) {
        ssize_t first = recv(pair->takes, record, (size_t)bytes, 0);
        if (first < 0) fail("recv");
        if (first == 0) break;
        whole(pair->takes, record + first, (size_t)(bytes - first), 0);
        check(record, FRAME), digest(record), check(record, BLOCK);
        int place = __sync_fetch_and_add(&places[pair->target], 1);
        if (pwrite(logs[pair->target], record, (size_t)bytes, (off_t)place * bytes) != bytes) fail("pwrite");
        if (fdatasync(logs[pair->target])) fail("fdatasync");
        whole(pair->takes, &answer, 1, 1);
    }
    free(record);
    return NULL;
}

static void connect_pair(int listener, struct sockaddr_in *address, struct pair *pair) {
    int on = 1;
    pair->sends = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(pair->sends, (struct sockaddr *)address, sizeof *address)) fail("connect");
    pair->takes = accept(listener, NULL, NULL);
    if (pair->takes < 0) fail("accept");
    setsockopt(pair->sends, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(pair->takes, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

int main(int count, char **arguments) {
    is_checked = count == 7 && strcmp(arguments[6], "checked") == 0;
    int is_cached = count == 7 && strcmp(arguments[6], "cached") == 0;
    if (count != 6 && !is_checked && !is_cached) {
        fprintf(stderr, "usage: bare_copy DIRECTORY TARGETS STREAMS RECORDS BYTES [checked | cached]\n");
        return 2;
    }
    int mode = O_RDWR | O_CREAT | O_TRUNC | (is_cached ? 0 : O_DIRECT);
    targets = atoi(arguments[2]), streams = atoi(arguments[3]), records = atoi(arguments[4]), bytes = atoi(arguments[5]);
    if (targets < 1 || targets > 64 || streams < 1 || bytes < SECTOR || bytes % SECTOR != 0) return 2;
    char path[4096];
    snprintf(path, sizeof path, "%s/source", arguments[1]);
    source = open(path, mode, 0600);
    if (source < 0) fail("open");
    char *record = room_for_record();
    uint64_t state = 88172645463325252ull;
    for (int number = 0; number < records; number++) {
        for (int at = 0; at < bytes; at += 8) {
            state ^= state << 13, state ^= state >> 7, state ^= state << 17;
            memcpy(record + at, &state, 8);
        }
        if (write(source, record, (size_t)bytes) != bytes) fail("write");
    }
    if (fdatasync(source)) fail("fdatasync");
    for (int target = 0; target < targets; target++) {
        snprintf(path, sizeof path, "%s/log-%d", arguments[1], target);
        logs[target] = open(path, mode, 0600);
        if (logs[target] < 0) fail("open");
        // As segments are: what a sync writes is data alone. Half more than an even share.
        if (posix_fallocate(logs[target], 0, ((off_t)3 * records / targets / 2 + 1) * bytes)) fail("posix_fallocate");
        if (fsync(logs[target])) fail("fsync");
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16)) fail("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    int pair_count = targets * streams;
    struct pair *pairs = calloc((size_t)pair_count, sizeof *pairs);
    pthread_t *threads = calloc((size_t)pair_count * 2, sizeof *threads);
    for (int number = 0; number < pair_count; number++) {
        pairs[number].target = number % targets;
        connect_pair(listener, &address, &pairs[number]);
    }
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int number = 0; number < pair_count; number++) {
        if (pthread_create(&threads[2 * number], NULL, send_records, &pairs[number])) fail("thread");
        if (pthread_create(&threads[2 * number + 1], NULL, take_records, &pairs[number])) fail("thread");
    }
    for (int number = 0; number < 2 * pair_count; number++) pthread_join(threads[number], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%.3f %lld\n", seconds, (long long)records * bytes);
    return 0;
}
