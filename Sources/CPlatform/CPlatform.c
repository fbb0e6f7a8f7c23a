// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

int varve_tcp_quickack(void) { return TCP_QUICKACK; }

int varve_tcp_nodelay(void) { return TCP_NODELAY; }

void varve_keep_freed_memory(int byteCount) {
    // The largest threshold that glibc takes; setting either also ends its own adjusting.
    mallopt(M_MMAP_THRESHOLD, 32 << 20);
    mallopt(M_TRIM_THRESHOLD, byteCount);
}
