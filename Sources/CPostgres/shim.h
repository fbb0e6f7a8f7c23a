// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_CPostgres_SHIM_H
#define VARVE_CPostgres_SHIM_H
#include <libpq-fe.h>
#endif
