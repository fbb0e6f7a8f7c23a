// SPDX-License-Identifier: Apache-2.0
// Sends C-FIND, C-GET or C-MOVE requests that were encoded beforehand, the same way whoever answers: CONNECTIONS threads with
// one association each, one request after another, for SECONDS; a request under way at the end is finished and counted.
// C-STORE sub-operations are answered with success, their data sets counted and thrown away, unread. With a PORT it is also
// the storage SCP to which C-MOVE sends, which takes presentation contexts in the transfer syntax SYNTAX only.
// Prints requests, requests a second (the sum of the associations' own rates), bytes of data sets, wall seconds, this
// process' CPU seconds, the median and 95th percentile of a request in milliseconds, and matches or instances received.
// usage: dimse_load HOST PORT CONNECTIONS SECONDS FILE [PORT SYNTAX]
//     FILE: blocks, each after its length (32 bits, little endian): an A-ASSOCIATE-RQ PDU, then the P-DATA-TF PDUs of each request
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_PDU = 131072, BUFFER = MOST_PDU + 6 + 131072, MOST_TIMES = 1 << 20, MOST_COMMAND = 4096 };

struct block {
    uint8_t *bytes;
    uint32_t count;
};

static struct sockaddr_in address;
static struct block *blocks;  // the first is the A-ASSOCIATE-RQ
static int block_count, connections;
static double deadline, rate;
static double *times;
static long long done, total, items;
static const char *wanted_syntax;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void fail(const char *what) {
    fprintf(stderr, "dimse_load: %s\n", what);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static uint16_t get16(const uint8_t *at) { return at[0] | at[1] << 8; }
static uint32_t get32(const uint8_t *at) { return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24; }
static uint32_t big16(const uint8_t *at) { return at[0] << 8 | at[1]; }
static uint32_t big32(const uint8_t *at) { return (uint32_t)at[0] << 24 | at[1] << 16 | at[2] << 8 | at[3]; }
static void put_big16(uint8_t *at, uint32_t value) { at[0] = value >> 8, at[1] = value; }
static void put_big32(uint8_t *at, uint32_t value) { put_big16(at, value >> 16), put_big16(at + 2, value & 0xFFFF); }

// One association, as requestor or acceptor, with what it has received and not yet looked at: buffer[start ..< end].
struct association {
    int socket;
    size_t start, end;
    uint8_t command[MOST_COMMAND];
    size_t command_count;
    int is_store;  // the data set that comes is a sub-operation's, to be answered
    uint8_t answer[MOST_COMMAND];
    size_t answer_count;
    long long bytes, items;
    uint8_t buffer[BUFFER];
};

static void send_all(int socket, const void *bytes, size_t count) {
    for (size_t sent = 0; sent < count;) {
        ssize_t got = send(socket, (const char *)bytes + sent, count - sent, MSG_NOSIGNAL);
        if (got <= 0) fail("cannot send");
        sent += got;
    }
}

// The next PDU, header included; NULL when the peer closed between two.
static uint8_t *next_pdu(struct association *one) {
    for (;;) {
        size_t there = one->end - one->start;
        if (there >= 6) {
            size_t count = 6 + (size_t)big32(one->buffer + one->start + 2);
            if (count > MOST_PDU + 6) fail("a PDU longer than was allowed");
            if (there >= count) {
                uint8_t *pdu = one->buffer + one->start;
                one->start += count;
                return pdu;
            }
        }
        if (one->start > 0 && (there == 0 || BUFFER - one->end < MOST_PDU + 6)) {
            memmove(one->buffer, one->buffer + one->start, there);
            one->start = 0, one->end = there;
        }
        ssize_t got = recv(one->socket, one->buffer + one->end, BUFFER - one->end, 0);
        if (got <= 0 && there == 0) return NULL;
        if (got <= 0) fail("the peer closed within a PDU");
        one->end += got;
    }
}

static const uint8_t *value(const struct association *one, uint16_t element, uint32_t *count) {
    for (size_t at = 0; at + 8 <= one->command_count;) {
        *count = get32(one->command + at + 4);
        if (at + 8 + *count > one->command_count) break;
        if (get16(one->command + at) == 0 && get16(one->command + at + 2) == element) return one->command + at + 8;
        at += 8 + *count;
    }
    *count = 0;
    return NULL;
}

static uint16_t number(const struct association *one, uint16_t element) {
    uint32_t count;
    const uint8_t *at = value(one, element, &count);
    return at && count == 2 ? get16(at) : 0xFFFF;
}

static size_t put_element(uint8_t *at, uint16_t element, const void *bytes, uint32_t count) {
    uint8_t head[8] = {0, 0, element, element >> 8, count, count >> 8, count >> 16, count >> 24};
    memcpy(at, head, 8);
    memcpy(at + 8, bytes, count);
    return 8 + count;
}

// Makes the C-STORE-RSP for the C-STORE-RQ in `command` (PS3.7 section 9.3.1.2), as a whole PDU.
static void prepare_answer(struct association *one, uint8_t context) {
    uint8_t *body = one->answer + 12, response[2] = {0x01, 0x80}, none[2] = {0x01, 0x01}, success[2] = {0, 0};
    uint32_t count;
    size_t at = 12;
    const uint8_t *found = value(one, 0x0002, &count);
    if (!found || count > 64) fail("a C-STORE-RQ without a SOP class");
    at += put_element(body + at, 0x0002, found, count);
    at += put_element(body + at, 0x0100, response, 2);
    found = value(one, 0x0110, &count);
    if (!found || count != 2) fail("a C-STORE-RQ without a message id");
    at += put_element(body + at, 0x0120, found, count);
    at += put_element(body + at, 0x0800, none, 2);
    at += put_element(body + at, 0x0900, success, 2);
    found = value(one, 0x1000, &count);
    if (!found || count > 64) fail("a C-STORE-RQ without a SOP instance");
    at += put_element(body + at, 0x1000, found, count);
    uint32_t length = at - 12;
    put_element(body, 0x0000, (uint8_t[]){length, length >> 8, 0, 0}, 4);
    uint8_t head[12] = {4};
    put_big32(head + 2, at + 6), put_big32(head + 6, at + 2);
    head[10] = context, head[11] = 3;
    memcpy(one->answer, head, 12);
    one->answer_count = 12 + at;
}

static void count_up(struct association *one) {
    pthread_mutex_lock(&mutex);
    total += one->bytes, items += one->items;
    pthread_mutex_unlock(&mutex);
    one->bytes = one->items = 0;
}

// Takes the parts of a P-DATA-TF PDU. Returns the status of a response that is the last one, or -1.
static int take(struct association *one, const uint8_t *pdu) {
    size_t end = 6 + (size_t)big32(pdu + 2), at = 6;
    int status = -1;
    while (at + 6 <= end) {
        size_t count = big32(pdu + at);
        if (count < 2 || at + 4 + count > end) fail("a fragment that runs past its PDU");
        uint8_t context = pdu[at + 4], control = pdu[at + 5];
        const uint8_t *fragment = pdu + at + 6;
        count -= 2, at += 6 + count;
        if (control & 1) {
            if (one->command_count + count > MOST_COMMAND) fail("a command that is too long");
            memcpy(one->command + one->command_count, fragment, count);
            one->command_count += count;
            if (!(control & 2)) continue;
            uint16_t field = number(one, 0x0100);
            one->is_store = field == 0x0001;
            if (one->is_store) {
                prepare_answer(one, context);
            } else if (field == 0x8020 || field == 0x8010 || field == 0x8021) {
                uint16_t found = number(one, 0x0900);
                if (found != 0xFF00 && found != 0xFF01) status = found;
            } else {
                fail("a command that was not expected");
            }
            one->command_count = 0;
        } else {
            one->bytes += count;
            if (!(control & 2)) continue;
            one->items += 1;
            if (!one->is_store) continue;
            one->is_store = 0;
            count_up(one);  // before the answer, after which everything may be over
            send_all(one->socket, one->answer, one->answer_count);
        }
    }
    return status;
}

static void check_acceptance(const uint8_t *pdu) {
    if (!pdu || pdu[0] != 2) fail("the association was not accepted");
    size_t end = 6 + (size_t)big32(pdu + 2);
    for (size_t at = 74; at + 4 <= end; at += 4 + big16(pdu + at + 2))
        if (pdu[at] == 0x21 && pdu[at + 6] != 0) fail("a presentation context was not accepted");
}

static void *run(void *argument) {
    int me = (int)(intptr_t)argument, on = 1, requests = block_count - 1;
    struct association *one = calloc(1, sizeof *one);
    one->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(one->socket, (struct sockaddr *)&address, sizeof address)) fail("cannot connect");
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    send_all(one->socket, blocks[0].bytes, blocks[0].count);
    check_acceptance(next_pdu(one));
    // Associations begin apart from each other, so that they do not all ask for the same.
    int index = (int)((long long)me * requests / connections), count = 0;
    double begin = now(), start, end;
    do {
        struct block request = blocks[1 + index % requests];
        start = now();
        send_all(one->socket, request.bytes, request.count);
        int status = -1;
        while (status < 0) {
            uint8_t *pdu = next_pdu(one);
            if (!pdu || pdu[0] != 4) fail("the association ended");
            status = take(one, pdu);
        }
        end = now();
        if (status != 0) {
            fprintf(stderr, "dimse_load: request %d: status %04XH\n", index % requests, status);
            exit(1);
        }
        pthread_mutex_lock(&mutex);
        if (done < MOST_TIMES) times[done] = end - start;
        done += 1;
        pthread_mutex_unlock(&mutex);
        index += 1, count += 1;
    } while (end < deadline);
    pthread_mutex_lock(&mutex);
    rate += count / (end - begin);
    pthread_mutex_unlock(&mutex);
    send_all(one->socket, (uint8_t[]){5, 0, 0, 0, 0, 4, 0, 0, 0, 0}, 10);
    next_pdu(one);
    close(one->socket);
    count_up(one);
    free(one);
    return NULL;
}

// Answers an A-ASSOCIATE-RQ: the contexts that offer `wanted_syntax` are accepted in it, others not (PS3.8 section 9.3.3).
static void accept_association(struct association *one, const uint8_t *request) {
    size_t end = 6 + (size_t)big32(request + 2), syntax_count = strlen(wanted_syntax);
    uint8_t *answer = calloc(1, end + 64 + 128 * (12 + syntax_count));
    memcpy(answer, request, 74);
    answer[0] = 2;
    size_t at = 74, put = 74;
    for (; at + 4 <= end; at += 4 + big16(request + at + 2)) {
        size_t count = 4 + big16(request + at + 2);
        if (request[at] == 0x10) {
            memcpy(answer + put, request + at, count);
            put += count;
        } else if (request[at] == 0x20) {
            int is_offered = 0;
            for (size_t part = at + 8; part + 4 <= at + count; part += 4 + big16(request + part + 2))
                is_offered |= request[part] == 0x40 && big16(request + part + 2) == syntax_count &&
                              !memcmp(request + part + 4, wanted_syntax, syntax_count);
            uint8_t head[12] = {0x21, 0, 0, 0, request[at + 4], 0, is_offered ? 0 : 4, 0, 0x40};
            put_big16(head + 2, 8 + syntax_count), put_big16(head + 10, syntax_count);
            memcpy(answer + put, head, 12);
            memcpy(answer + put + 12, wanted_syntax, syntax_count);
            put += 12 + syntax_count;
        }
    }
    uint8_t user[] = {0x50, 0, 0, 18, 0x51, 0, 0, 4, 0, 0, 0, 0, 0x52, 0, 0, 6, '2', '.', '2', '5', '.', '1'};
    put_big32(user + 8, MOST_PDU);
    memcpy(answer + put, user, sizeof user);
    put += sizeof user;
    put_big32(answer + 2, put - 6);
    send_all(one->socket, answer, put);
    free(answer);
}

static void *serve(void *argument) {
    int on = 1;
    struct association *one = calloc(1, sizeof *one);
    one->socket = (int)(intptr_t)argument;
    setsockopt(one->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    for (uint8_t *pdu; (pdu = next_pdu(one));) {
        if (pdu[0] == 1) accept_association(one, pdu);
        else if (pdu[0] == 4) take(one, pdu);
        else if (pdu[0] == 5) send_all(one->socket, (uint8_t[]){6, 0, 0, 0, 0, 4, 0, 0, 0, 0}, 10);
        else break;
    }
    close(one->socket);
    free(one);
    return NULL;
}

static void *listen_for(void *argument) {
    int listener = (int)(intptr_t)argument;
    for (;;) {
        int handle = accept(listener, NULL, NULL);
        pthread_t thread;
        if (handle < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)handle)) fail("cannot accept");
        pthread_detach(thread);
    }
    return NULL;
}

static void start_receiver(int port) {
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&own, sizeof own) || listen(listener, 64)) fail("cannot listen");
    pthread_t thread;
    pthread_create(&thread, NULL, listen_for, (void *)(intptr_t)listener);
    pthread_detach(thread);
}

static void read_blocks(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("cannot read the requests");
    uint8_t head[4];
    while (fread(head, 1, 4, file) == 4) {
        struct block block = {NULL, get32(head)};
        block.bytes = malloc(block.count);
        if (fread(block.bytes, 1, block.count, file) != block.count) fail("requests that break off");
        blocks = realloc(blocks, (block_count + 1) * sizeof *blocks);
        blocks[block_count++] = block;
    }
    if (block_count < 2) fail("no requests");
    fclose(file);
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    if (count != 6 && count != 8) fail("usage: dimse_load HOST PORT CONNECTIONS SECONDS FILE [PORT SYNTAX]");
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(arguments[2]));
    inet_pton(AF_INET, arguments[1], &address.sin_addr);
    connections = atoi(arguments[3]);
    if (connections < 1 || connections > 256) fail("CONNECTIONS is from 1 to 256");
    read_blocks(arguments[5]);
    if (count == 8) {
        wanted_syntax = arguments[7];
        start_receiver(atoi(arguments[6]));
    }
    times = malloc(MOST_TIMES * sizeof *times);
    double start = now();
    deadline = start + atof(arguments[4]);
    pthread_t threads[256];
    for (int me = 0; me < connections; me++) pthread_create(&threads[me], NULL, run, (void *)(intptr_t)me);
    for (int me = 0; me < connections; me++) pthread_join(threads[me], NULL);
    double seconds = now() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec + (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    long long measured = done < MOST_TIMES ? done : MOST_TIMES;
    qsort(times, measured, sizeof *times, ascending);
    pthread_mutex_lock(&mutex);
    printf("%lld %.4f %lld %.4f %.4f %.3f %.3f %lld\n", done, rate, total, seconds, cpu, times[measured / 2] * 1e3,
           times[measured * 95 / 100] * 1e3, items);
    return 0;
}
