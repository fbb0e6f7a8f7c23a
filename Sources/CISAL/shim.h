// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CISAL_SHIM_H
#define VARVE_CISAL_SHIM_H
#include <isa-l/crc.h>
#endif
