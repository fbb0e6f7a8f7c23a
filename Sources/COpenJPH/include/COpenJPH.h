// SPDX-License-Identifier: Apache-2.0
// High-throughput JPEG 2000 (ISO 15444-15) through OpenJPH, which has no C interface of its own.
//
// C++ ends here: no function throws, prints or exits, and all memory of a call is freed before it returns.
// OpenJPH 0.9.0 trusts the streams it reads (a QCD segment that is too long runs over a fixed array, for one), so
// there is no function that decodes: only one that checks a stream which the caller has just encoded.

#ifndef VARVE_COPENJPH_H
#define VARVE_COPENJPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The shape of a native frame: little endian, no padding, samples of 1, 2 or 4 bytes.
typedef struct {
    uint32_t rows;
    uint32_t columns;
    // 1 or 3.
    uint32_t components;
    uint32_t sample_byte_count;
    // Bits a sample in the stream; all samples are numbers of this many bits.
    uint32_t precision;
    bool is_signed;
    // The components one after the other, not pixel by pixel.
    bool is_planar;
    // The reversible colour transform, for three components.
    bool uses_colour_transform;
    // How often rows and columns are halved.
    uint32_t decompositions;
} varve_htj2k_frame;

typedef enum {
    VARVE_HTJ2K_OK = 0,
    // The stream decodes to something else, or not at all.
    VARVE_HTJ2K_DIFFERENT = 1,
    VARVE_HTJ2K_NO_MEMORY = 2,
    VARVE_HTJ2K_FAILED = 3,
} varve_htj2k_status;

// Gives a block of at least `byte_count` bytes that begins with what the block before held; NULL when it can't.
typedef void *_Nullable (*varve_htj2k_grow)(void *_Nullable context, size_t byte_count);

// Encodes `samples` losslessly into memory from `grow`; `*encoded_byte_count` is how much of it is the stream.
// On failure `message`, of `message_capacity` bytes, says why.
varve_htj2k_status varve_htj2k_encode(
    const varve_htj2k_frame *_Nonnull frame, const void *_Nonnull samples, varve_htj2k_grow _Nonnull grow,
    void *_Nullable context, size_t *_Nonnull encoded_byte_count, char *_Nonnull message, size_t message_capacity);

// Decodes a stream that varve_htj2k_encode has just made, line by line, and compares each line with `samples`.
varve_htj2k_status varve_htj2k_compare(
    const varve_htj2k_frame *_Nonnull frame, const void *_Nonnull samples, const void *_Nonnull encoded,
    size_t encoded_byte_count, char *_Nonnull message, size_t message_capacity);

#ifdef __cplusplus
}
#endif

#endif
