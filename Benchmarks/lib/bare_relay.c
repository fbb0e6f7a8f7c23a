// SPDX-License-Identifier: Apache-2.0
// What sending a study costs at least when it lies on another node: a process that reads files from the page cache, checks a
// CRC-32C of each 64 KiB block and sends them framed, with a CRC-32C of each frame, over TCP; and one that takes a request by
// HTTP, asks the first for all files of the study at once, checks the frames, and passes on what is whole. Blocking sockets, a
// thread for each connection, no parsing, no catalog, no copies but those of the sockets.
// usage: bare_relay PORT DIRECTORY STUDIES INSTANCES    files: DIRECTORY/study-N/M.dcm, asked for by GET /study-N
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <isa-l.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <signal.h>
#include <unistd.h>

enum { BLOCK = 64 << 10, FRAME = 256 << 10 };

struct frame {
    uint32_t byte_count, crc;
    uint8_t rest[24];  // a header of the replication protocol has 32 bytes
};

static int studies, instances, node_port;
static int *files;
static size_t *sizes, largest;
static volatile uint32_t sum;  // so that no checksum is optimised away

static void fail(const char *what) {
    fprintf(stderr, "bare_relay: %s\n", what);
    exit(1);
}

static int receive_all(int socket, void *bytes, size_t count) {
    for (size_t got = 0; got < count;) {
        ssize_t part = recv(socket, (char *)bytes + got, count - got, 0);
        if (part <= 0) return 0;
        got += part;
    }
    return 1;
}

static int send_both(int socket, const void *head, size_t head_count, const void *bytes, size_t count) {
    struct iovec parts[2] = {{(void *)head, head_count}, {(void *)bytes, count}};
    size_t left = head_count + count;
    for (int first = 0; left > 0;) {
        ssize_t part = writev(socket, parts + first, 2 - first);
        if (part <= 0) return 0;
        left -= part;
        while (first < 2 && (size_t)part >= parts[first].iov_len) part -= parts[first++].iov_len;
        if (first < 2) parts[first].iov_base = (char *)parts[first].iov_base + part, parts[first].iov_len -= part;
    }
    return 1;
}

static uint32_t crc(const uint8_t *bytes, size_t count) { return crc32_iscsi((unsigned char *)bytes, count, ~0u); }

static void *serve_node(void *argument) {
    int socket = (int)(intptr_t)argument;
    uint8_t *buffer = malloc(largest);
    uint32_t number;
    while (receive_all(socket, &number, 4)) {
        if (pread(files[number], buffer, sizes[number], 0) != (ssize_t)sizes[number]) fail("cannot read a file");
        for (size_t at = 0; at < sizes[number]; at += BLOCK)
            sum += crc(buffer + at, sizes[number] - at < BLOCK ? sizes[number] - at : BLOCK);
        for (size_t at = 0; at < sizes[number]; at += FRAME) {
            struct frame frame = {.byte_count = sizes[number] - at < FRAME ? sizes[number] - at : FRAME};
            frame.crc = crc(buffer + at, frame.byte_count);
            if (!send_both(socket, &frame, sizeof frame, buffer + at, frame.byte_count)) break;
        }
    }
    close(socket);
    free(buffer);
    return NULL;
}

static void *serve_web(void *argument) {
    int client = (int)(intptr_t)argument, node = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(node_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(node, (struct sockaddr *)&address, sizeof address)) fail("cannot connect to the node");
    setsockopt(node, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    uint8_t *buffer = malloc(largest);
    uint32_t *numbers = malloc(4 * instances);
    char head[4096];
    for (size_t got = 0;;) {
        ssize_t part = recv(client, head + got, sizeof head - 1 - got, 0);
        if (part <= 0) break;
        got += part;
        head[got] = 0;
        if (!strstr(head, "\r\n\r\n")) continue;
        int study = -1;
        if (sscanf(head, "GET /study-%d ", &study) != 1 || study < 0 || study >= studies) fail("not a request for a study");
        got = 0;
        size_t total = 0;
        for (int index = 0; index < instances; index++) {
            numbers[index] = study * instances + index;
            total += sizes[numbers[index]];
        }
        int count = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", total);
        if (!send_both(node, NULL, 0, numbers, 4 * instances) || !send_both(client, head, count, NULL, 0)) break;
        for (int index = 0; index < instances; index++) {
            for (size_t at = 0; at < sizes[numbers[index]];) {
                struct frame frame;
                if (!receive_all(node, &frame, sizeof frame) || !receive_all(node, buffer + at, frame.byte_count))
                    fail("the node is gone");
                if (crc(buffer + at, frame.byte_count) != frame.crc) fail("a wrong checksum");
                at += frame.byte_count;
            }
            if (!send_both(client, NULL, 0, buffer, sizes[numbers[index]])) break;
        }
    }
    close(node);
    close(client);
    free(buffer);
    free(numbers);
    return NULL;
}

// Listens on a port of the loopback interface; 0: any, which is told.
static int listening(int *port) {
    int handle = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(handle, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(handle, (struct sockaddr *)&address, sizeof address) || listen(handle, 64)) fail("cannot listen");
    getsockname(handle, (struct sockaddr *)&address, &length);
    *port = ntohs(address.sin_port);
    return handle;
}

static void serve(int listener, void *(*work)(void *)) {
    for (;;) {
        int socket = accept(listener, NULL, NULL), on = 1;
        if (socket < 0) fail("cannot accept");
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)(intptr_t)socket)) fail("cannot start a thread");
        pthread_detach(thread);
    }
}

int main(int count, char **arguments) {
    if (count != 5) fail("usage: bare_relay PORT DIRECTORY STUDIES INSTANCES");
    int port = atoi(arguments[1]);
    studies = atoi(arguments[3]), instances = atoi(arguments[4]);
    files = calloc(studies * instances, sizeof *files), sizes = calloc(studies * instances, sizeof *sizes);
    for (int number = 0; number < studies * instances; number++) {
        char path[4096];
        struct stat facts;
        snprintf(path, sizeof path, "%s/study-%d/%d.dcm", arguments[2], number / instances, number % instances);
        if ((files[number] = open(path, O_RDONLY)) < 0 || fstat(files[number], &facts)) fail("cannot open a file");
        sizes[number] = facts.st_size;
        if (sizes[number] > largest) largest = sizes[number];
    }
    signal(SIGPIPE, SIG_IGN);
    int node = listening(&node_port), web = listening(&port);
    pid_t child = fork();
    if (child < 0) fail("cannot fork");
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        prctl(PR_SET_NAME, "relay-node");
        serve(node, serve_node);
    }
    serve(web, serve_web);
}
