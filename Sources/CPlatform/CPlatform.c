// SPDX-License-Identifier: Apache-2.0
#include "CPlatform.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

int varve_tcp_quickack(void) { return TCP_QUICKACK; }

int varve_tcp_nodelay(void) { return TCP_NODELAY; }
