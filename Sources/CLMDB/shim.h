// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CLMDB_SHIM_H
#define VARVE_CLMDB_SHIM_H
#include <lmdb.h>
#endif
