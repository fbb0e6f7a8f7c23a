// SPDX-License-Identifier: Apache-2.0
#ifndef VARVE_COpenJPHLibrary_SHIM_H
#define VARVE_COpenJPHLibrary_SHIM_H
// OpenJPH is C++ and only COpenJPH includes its headers: this module stands for where they and the library are.
#endif
