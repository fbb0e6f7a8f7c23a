// SPDX-License-Identifier: Apache-2.0
// Reads whole files by HTTP or whole records by VRP (docs/replication-protocol.md) as fast as the server gives them, the same
// way for both: CONNECTIONS threads, one request after another on each, what comes is counted and thrown away.
// Prints wall seconds and bytes of content.
// usage: bare_read http|vrp HOST PORT CONNECTIONS REQUESTS LIST [CLUSTER]    LIST: a path or record id in hex a line
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_in address;
static int connections, requests, is_vrp;
static char names[200000][80];
static int name_count;
static uint8_t cluster[16];
static uint32_t table[256];
static long long total;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    fprintf(stderr, "bare_read: %s\n", what);
    exit(1);
}

static uint32_t crc32c(const uint8_t *bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t index = 0; index < count; index++) crc = crc >> 8 ^ table[(crc ^ bytes[index]) & 255];
    return ~crc;
}

static void put32(uint8_t *at, uint32_t value) { memcpy(at, &value, 4); }
static uint32_t get32(const uint8_t *at) {
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static void send_all(int socket, const void *bytes, size_t count) {
    for (size_t sent = 0; sent < count;) {
        ssize_t got = send(socket, (const char *)bytes + sent, count - sent, 0);
        if (got <= 0) fail("cannot send");
        sent += got;
    }
}

static void read_all(int socket, void *bytes, size_t count) {
    for (size_t read = 0; read < count;) {
        ssize_t got = recv(socket, (char *)bytes + read, count - read, 0);
        if (got <= 0) fail("the server closed");
        read += got;
    }
}

static void send_message(int socket, int type, uint32_t stream, uint32_t sequence, const uint8_t *payload, uint32_t count) {
    uint8_t message[512] = {0x56, 0x52, 1, (uint8_t)type};
    put32(message + 8, count), put32(message + 12, stream), put32(message + 16, sequence);
    put32(message + 24, count ? crc32c(payload, count) : 0);
    put32(message + 28, crc32c(message, 28));
    memcpy(message + 32, payload, count);
    send_all(socket, message, 32 + count);
}

static long long get_record(int socket, uint32_t *stream, const char *name, uint8_t *buffer) {
    uint8_t request[44] = {0};
    for (int index = 0; index < 16; index++) {
        unsigned byte;
        sscanf(name + 2 * index, "%2x", &byte);
        request[index] = byte;
    }
    memset(request + 28, 255, 8);
    uint64_t credit = 1ull << 40;
    memcpy(request + 36, &credit, 8);
    *stream += 2;
    send_message(socket, 0x20, *stream, 0, request, 44);
    uint64_t expected = ~0ull, got = 0;
    while (got < expected) {
        uint8_t header[32];
        read_all(socket, header, 32);
        uint32_t count = get32(header + 8);
        if (count > 262144) fail("a header that is none");
        read_all(socket, buffer, count);
        if (header[3] == 0x21) memcpy(&expected, buffer + 48, 8);
        else if (header[3] == 0x12) got += count;
        else if (header[3] == 0x08) fail("the node answers with an error");
        else if (header[3] == 0x03) send_message(socket, 0x04, 0, 1, buffer, 8);
    }
    return got;
}

static long long get_file(int socket, const char *name, char *buffer) {
    char request[256];
    send_all(socket, request, snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", name));
    size_t have = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(socket, buffer + have, 262144 - 1 - have, 0);
        if (got <= 0) fail("the server closed");
        have += got, buffer[have] = 0;
        end = memmem(buffer, have, "\r\n\r\n", 4);
    }
    char *length = strcasestr(buffer, "content-length:");
    if (strncmp(buffer, "HTTP/1.1 200", 12) || !length || length > end) fail("not a 200 with a length");
    long long count = atoll(length + 15), got = have - (end + 4 - buffer);
    while (got < count) {
        ssize_t more = recv(socket, buffer, count - got < 262144 ? count - got : 262144, 0);
        if (more <= 0) fail("the server closed");
        got += more;
    }
    return count;
}

static void *run(void *argument) {
    int me = (int)(intptr_t)argument, handle = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (connect(handle, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uint8_t *buffer = malloc(1 << 20);
    uint32_t stream = (uint32_t)-1;
    if (is_vrp) {
        uint8_t hello[200] = {1, 0, 1, 0};
        memcpy(hello + 36, cluster, 16);
        memset(hello + 52, 0x20 + me, 16);
        hello[68] = 1, hello[76] = 4;
        // Epoch and term 0, four empty texts.
        send_message(handle, 0x01, 0, 0, hello, 36 + 16 + 16 + 8 + 1 + 8 + 8 + 4);
        uint8_t header[32];
        read_all(handle, header, 32);
        read_all(handle, buffer, get32(header + 8));
        if (header[3] != 0x02) fail("the node does not take this HELLO");
    }
    long long bytes = 0;
    for (int index = me; index < requests; index += connections) {
        const char *name = names[index % name_count];
        bytes += is_vrp ? get_record(handle, &stream, name, buffer) : get_file(handle, name, (char *)buffer);
    }
    close(handle);
    pthread_mutex_lock(&mutex);
    total += bytes;
    pthread_mutex_unlock(&mutex);
    return NULL;
}

int main(int count, char **arguments) {
    if (count < 7) fail("usage: bare_read http|vrp HOST PORT CONNECTIONS REQUESTS LIST [CLUSTER]");
    is_vrp = !strcmp(arguments[1], "vrp");
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(arguments[3]));
    inet_pton(AF_INET, arguments[2], &address.sin_addr);
    connections = atoi(arguments[4]), requests = atoi(arguments[5]);
    FILE *list = fopen(arguments[6], "r");
    if (!list) fail("no list");
    while (name_count < 200000 && fscanf(list, "%79s", names[name_count]) == 1) name_count += 1;
    if (!name_count) fail("an empty list");
    for (int index = 0; index < 256; index++) {
        uint32_t crc = index;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
        table[index] = crc;
    }
    if (is_vrp) {
        if (count < 8) fail("VRP needs the cluster's id");
        int digit = 0;
        for (char *at = arguments[7]; *at && digit < 32; at++)
            if (*at != '-') {
                unsigned value;
                char text[2] = {*at, 0};
                sscanf(text, "%x", &value);
                cluster[digit / 2] = cluster[digit / 2] << 4 | value;
                digit += 1;
            }
    }
    struct timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    pthread_t threads[256];
    for (int me = 0; me < connections; me++) pthread_create(&threads[me], NULL, run, (void *)(intptr_t)me);
    for (int me = 0; me < connections; me++) pthread_join(threads[me], NULL);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%.3f %lld\n", end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9, total);
    return 0;
}
