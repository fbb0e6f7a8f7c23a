// SPDX-License-Identifier: Apache-2.0
#include "CJPEGShim.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
// After jpeglib.h, which it needs.
#include <jerror.h>

struct failure {
    struct jpeg_error_mgr base;  // first: the library knows only this
    jmp_buf escape;
    char text[JMSG_LENGTH_MAX];
};

static void leave(j_common_ptr info) {
    struct failure *failure = (struct failure *)info->err;
    info->err->format_message(info, failure->text);
    longjmp(failure->escape, 1);
}

// Warnings that mean wrong pixels end the decoding; the others (a header that claims too much) do not matter.
static void note(j_common_ptr info, int level) {
    if (level >= 0) return;
    switch (info->err->msg_code) {
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
    case JWRN_BOGUS_PROGRESSION:
    case JWRN_TOO_MUCH_DATA: leave(info);
    default: break;
    }
}

static void stay_silent(j_common_ptr info) { (void)info; }

static void begin_source(j_decompress_ptr info) { (void)info; }

// A stream that ends without EOI gets one; missing coded data are then noticed as such.
static boolean refill(j_decompress_ptr info) {
    static const JOCTET end[2] = {0xFF, JPEG_EOI};
    info->src->next_input_byte = end;
    info->src->bytes_in_buffer = 2;
    return TRUE;
}

static void skip(j_decompress_ptr info, long byte_count) {
    if (byte_count <= 0) return;
    if ((size_t)byte_count > info->src->bytes_in_buffer) {
        refill(info);
        return;
    }
    info->src->next_input_byte += byte_count;
    info->src->bytes_in_buffer -= (size_t)byte_count;
}

static void end_source(j_decompress_ptr info) { (void)info; }

// All that the stack frame of setjmp changes lives here, so nothing of it is in a register that longjmp forgets.
struct decoding {
    struct jpeg_decompress_struct info;
    struct jpeg_source_mgr source;
    struct failure failure;
};

static int run(struct decoding *work, uint32_t rows, uint32_t columns, int components, int colour,
               long maximum_memory, uint8_t *destination) {
    struct jpeg_decompress_struct *info = &work->info;
    jpeg_create_decompress(info);
    info->mem->max_memory_to_use = maximum_memory;
    info->src = &work->source;
    jpeg_read_header(info, TRUE);
    if (info->image_width != columns || info->image_height != rows || info->num_components != components ||
        info->data_precision != 8)
        return VARVE_JPEG_DISAGREES;
    if (components == 1) {
        info->jpeg_color_space = JCS_GRAYSCALE;
        info->out_color_space = JCS_GRAYSCALE;
    } else if (colour == VARVE_JPEG_YCBCR_TO_RGB && components == 3) {
        info->jpeg_color_space = JCS_YCbCr;
        info->out_color_space = JCS_RGB;
    } else {
        // The library copies between equal spaces; which one it is does not matter then.
        info->jpeg_color_space = components == 3 ? JCS_YCbCr : JCS_UNKNOWN;
        info->out_color_space = info->jpeg_color_space;
    }
    info->dct_method = JDCT_ISLOW;
    info->do_fancy_upsampling = TRUE;
    jpeg_start_decompress(info);
    if (info->output_width != columns || info->output_height != rows || info->output_components != components)
        return VARVE_JPEG_DISAGREES;
    size_t row_byte_count = (size_t)columns * (size_t)components;
    while (info->output_scanline < info->output_height) {
        JSAMPROW row = destination + row_byte_count * info->output_scanline;
        jpeg_read_scanlines(info, &row, 1);
    }
    jpeg_finish_decompress(info);
    return VARVE_JPEG_SUCCESS;
}

int varve_jpeg_decode(const uint8_t *bytes, size_t byte_count, uint32_t rows, uint32_t columns, int components,
                      int colour, long maximum_memory, uint8_t *destination, char *message,
                      size_t message_byte_count) {
    struct decoding work;
    memset(&work, 0, sizeof work);
    work.info.err = jpeg_std_error(&work.failure.base);
    work.failure.base.error_exit = leave;
    work.failure.base.emit_message = note;
    work.failure.base.output_message = stay_silent;
    work.source.next_input_byte = bytes;
    work.source.bytes_in_buffer = byte_count;
    work.source.init_source = begin_source;
    work.source.fill_input_buffer = refill;
    work.source.skip_input_data = skip;
    work.source.resync_to_restart = jpeg_resync_to_restart;
    work.source.term_source = end_source;

    volatile int status;
    if (setjmp(work.failure.escape) == 0) {
        status = run(&work, rows, columns, components, colour, maximum_memory, destination);
    } else {
        switch (work.failure.base.msg_code) {
        case JERR_OUT_OF_MEMORY: status = VARVE_JPEG_NO_MEMORY; break;
        // Where memory would not suffice it asks for a temporary file, which this library was built without.
        case JERR_NO_BACKING_STORE: status = VARVE_JPEG_TOO_LARGE; break;
        default: status = VARVE_JPEG_CORRUPT;
        }
    }
    jpeg_destroy_decompress(&work.info);
    if (message_byte_count > 0) snprintf(message, message_byte_count, "%s", work.failure.text);
    return status;
}

static int encode(struct jpeg_compress_struct *info, const uint8_t *samples, uint32_t rows, uint32_t columns,
                  int components, int quality, unsigned char **bytes, unsigned long *byte_count) {
    jpeg_create_compress(info);
    jpeg_mem_dest(info, bytes, byte_count);
    info->image_width = columns;
    info->image_height = rows;
    info->input_components = components;
    info->in_color_space = components == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(info);
    jpeg_set_quality(info, quality, TRUE);
    for (int index = 0; index < info->num_components; index += 1) {
        info->comp_info[index].h_samp_factor = 1;
        info->comp_info[index].v_samp_factor = 1;
    }
    info->dct_method = JDCT_ISLOW;
    jpeg_start_compress(info, TRUE);
    size_t row_byte_count = (size_t)columns * (size_t)components;
    while (info->next_scanline < info->image_height) {
        // The library reads only, though its interface says otherwise.
        JSAMPROW row = (JSAMPROW)(samples + row_byte_count * info->next_scanline);
        jpeg_write_scanlines(info, &row, 1);
    }
    jpeg_finish_compress(info);
    return VARVE_JPEG_SUCCESS;
}

// What longjmp must not forget is in memory of its own here, too; jpeg_mem_dest replaces `bytes` when it finishes.
struct encoding {
    struct jpeg_compress_struct info;
    struct failure failure;
    unsigned char *bytes;
    unsigned long byte_count;
};

int varve_jpeg_encode(const uint8_t *samples, uint32_t rows, uint32_t columns, int components, int quality,
                      uint8_t **bytes, size_t *byte_count) {
    struct encoding work;
    memset(&work, 0, sizeof work);
    work.info.err = jpeg_std_error(&work.failure.base);
    work.failure.base.error_exit = leave;
    work.failure.base.emit_message = note;
    work.failure.base.output_message = stay_silent;
    volatile int status;
    if (setjmp(work.failure.escape) == 0) {
        status = encode(&work.info, samples, rows, columns, components, quality, &work.bytes, &work.byte_count);
    } else {
        status = work.failure.base.msg_code == JERR_OUT_OF_MEMORY ? VARVE_JPEG_NO_MEMORY : VARVE_JPEG_CORRUPT;
    }
    jpeg_destroy_compress(&work.info);
    if (status != VARVE_JPEG_SUCCESS) {
        free(work.bytes);
        work.bytes = NULL;
        work.byte_count = 0;
    }
    *bytes = work.bytes;
    *byte_count = work.byte_count;
    return status;
}

void varve_jpeg_free(uint8_t *bytes) { free(bytes); }
