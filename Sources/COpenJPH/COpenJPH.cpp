// SPDX-License-Identifier: Apache-2.0

#include "COpenJPH.h"

#include <cstdio>
#include <cstring>
#include <mutex>
#include <new>

#include <openjph/ojph_arch.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_message.h>
#include <openjph/ojph_params.h>

namespace {

// What OpenJPH said last on this thread.
thread_local char last_message[256];

// OpenJPH 0.9.0 prints what goes wrong to a FILE and then throws; its handlers can't be replaced (configure_error
// assigns to a base object), only the FILE can. This one writes to no descriptor: it is unbuffered, so each line
// arrives here on the thread that says it.
ssize_t keep_message(void *, const char *text, size_t count) {
    size_t kept = count < sizeof last_message - 1 ? count : sizeof last_message - 1;
    memcpy(last_message, text, kept);
    last_message[kept] = 0;
    return static_cast<ssize_t>(count);
}

ssize_t drop_message(void *, const char *, size_t count) { return static_cast<ssize_t>(count); }

FILE *open_messages(cookie_write_function_t *write) {
    cookie_io_functions_t functions = {};
    functions.write = write;
    FILE *file = fopencookie(nullptr, "w", functions);
    if (file == nullptr) throw std::bad_alloc();
    setvbuf(file, nullptr, _IONBF, 0);
    return file;
}

// Once a process: where messages go, and OpenJPH's tables of functions, which its constructors fill without a lock.
void prepare_library() {
    static std::once_flag once;
    std::call_once(once, [] {
        FILE *quiet = open_messages(drop_message);
        ojph::set_info_stream(quiet);
        ojph::set_warning_stream(quiet);
        ojph::set_error_stream(open_messages(keep_message));
        ojph::codestream first;
    });
}

// The stream as it is written, in memory that belongs to the caller.
class Sink final : public ojph::outfile_base {
  public:
    Sink(varve_htj2k_grow grow, void *context) : grow(grow), context(context) {}

    size_t write(const void *bytes, size_t byte_count) override {
        if (byte_count > capacity - count) {
            size_t wanted = (count + byte_count) * 2;
            if (wanted < 65536) wanted = 65536;
            void *block = grow(context, wanted);
            if (block == nullptr) throw std::bad_alloc();
            memory = static_cast<uint8_t *>(block);
            capacity = wanted;
        }
        memcpy(memory + count, bytes, byte_count);
        count += byte_count;
        return byte_count;
    }

    ojph::si64 tell() override { return static_cast<ojph::si64>(count); }

    size_t byte_count() const { return count; }

  private:
    varve_htj2k_grow grow;
    void *context;
    uint8_t *memory = nullptr;
    size_t capacity = 0;
    size_t count = 0;
};

// A row of one component in a native frame. Loops with a constant step are what compilers make vector code of.
template <typename Sample, size_t step> void load_row(const uint8_t *source, ojph::si32 *line, size_t count) {
    for (size_t index = 0; index < count; ++index) {
        Sample sample;
        memcpy(&sample, source + index * step * sizeof(Sample), sizeof sample);
        line[index] = static_cast<ojph::si32>(sample);
    }
}

template <typename Sample, size_t step> bool row_differs(const uint8_t *source, const ojph::si32 *line, size_t count) {
    ojph::si32 difference = 0;
    for (size_t index = 0; index < count; ++index) {
        Sample sample;
        memcpy(&sample, source + index * step * sizeof(Sample), sizeof sample);
        difference |= static_cast<ojph::si32>(sample) ^ line[index];
    }
    return difference != 0;
}

using LoadRow = void (*)(const uint8_t *, ojph::si32 *, size_t);
using RowDiffers = bool (*)(const uint8_t *, const ojph::si32 *, size_t);

template <typename Sample> void choose(bool is_interleaved, LoadRow &load, RowDiffers &differs) {
    load = is_interleaved ? load_row<Sample, 3> : load_row<Sample, 1>;
    differs = is_interleaved ? row_differs<Sample, 3> : row_differs<Sample, 1>;
}

// Where the rows of a frame lie, and how its samples are read.
class Rows {
  public:
    Rows(const varve_htj2k_frame &frame, const void *samples) : samples(static_cast<const uint8_t *>(samples)) {
        bool is_interleaved = frame.components > 1 && !frame.is_planar;
        size_t width = frame.sample_byte_count;
        row_stride = frame.columns * width * (is_interleaved ? frame.components : 1);
        component_stride = is_interleaved ? width : frame.columns * width * frame.rows;
        if (width == 1 && frame.is_signed) choose<int8_t>(is_interleaved, load, differs);
        else if (width == 1) choose<uint8_t>(is_interleaved, load, differs);
        else if (width == 2 && frame.is_signed) choose<int16_t>(is_interleaved, load, differs);
        else if (width == 2) choose<uint16_t>(is_interleaved, load, differs);
        else choose<int32_t>(is_interleaved, load, differs);
    }

    const uint8_t *row(size_t row, size_t component) const {
        return samples + row * row_stride + component * component_stride;
    }

    LoadRow load = nullptr;
    RowDiffers differs = nullptr;

  private:
    const uint8_t *samples;
    size_t row_stride;
    size_t component_stride;
};

// Calls `body` for each row of each component in the order in which OpenJPH exchanges them; it stops at false.
template <typename Body> bool for_each_row(const varve_htj2k_frame &frame, bool is_planar, Body body) {
    uint32_t outer = is_planar ? frame.components : frame.rows;
    uint32_t inner = is_planar ? frame.rows : frame.components;
    for (uint32_t i = 0; i < outer; ++i)
        for (uint32_t j = 0; j < inner; ++j)
            if (!(is_planar ? body(j, i) : body(i, j))) return false;
    return true;
}

bool is_valid(const varve_htj2k_frame &frame) {
    return frame.rows > 0 && frame.columns > 0 && (frame.components == 1 || frame.components == 3)
        && (frame.sample_byte_count == 1 || frame.sample_byte_count == 2 || frame.sample_byte_count == 4)
        && frame.precision >= 1 && frame.precision <= 8 * frame.sample_byte_count && frame.precision <= 31
        && frame.decompositions <= 32 && !(frame.uses_colour_transform && frame.components != 3);
}

void say(char *message, size_t capacity, const char *text) {
    if (capacity > 0) snprintf(message, capacity, "%s", text);
}

// Runs `body` so that nothing thrown leaves; OpenJPH throws std::runtime_error, const char * and std::bad_alloc.
template <typename Body>
varve_htj2k_status guarded(varve_htj2k_status failure, char *message, size_t message_capacity, Body body) noexcept {
    try {
        last_message[0] = 0;
        prepare_library();
        return body();
    } catch (const std::bad_alloc &) {
        say(message, message_capacity, "no memory");
        return VARVE_HTJ2K_NO_MEMORY;
    } catch (const char *) {
        // The allocators' "malloc failed".
        say(message, message_capacity, "no memory");
        return VARVE_HTJ2K_NO_MEMORY;
    } catch (...) {
        say(message, message_capacity, last_message[0] != 0 ? last_message : "no reason given");
        return failure;
    }
}

}  // namespace

extern "C" varve_htj2k_status varve_htj2k_encode(
    const varve_htj2k_frame *frame, const void *samples, varve_htj2k_grow grow, void *context, size_t *encoded_byte_count,
    char *message, size_t message_capacity) {
    *encoded_byte_count = 0;
    if (!is_valid(*frame)) {
        say(message, message_capacity, "a frame of impossible shape");
        return VARVE_HTJ2K_FAILED;
    }
    return guarded(VARVE_HTJ2K_FAILED, message, message_capacity, [&] {
        Sink sink(grow, context);
        ojph::codestream codestream;
        ojph::param_siz size = codestream.access_siz();
        size.set_image_extent(ojph::point(frame->columns, frame->rows));
        size.set_num_components(frame->components);
        for (uint32_t component = 0; component < frame->components; ++component)
            size.set_component(component, ojph::point(1, 1), frame->precision, frame->is_signed);
        ojph::param_cod style = codestream.access_cod();
        style.set_num_decomposition(frame->decompositions);
        style.set_block_dims(64, 64);
        style.set_progression_order("RPCL");
        style.set_color_transform(frame->uses_colour_transform);
        style.set_reversible(true);
        bool is_planar = frame->is_planar && !frame->uses_colour_transform;
        codestream.set_planar(is_planar);
        codestream.write_headers(&sink);

        Rows rows(*frame, samples);
        ojph::ui32 next = 0;
        ojph::line_buf *line = codestream.exchange(nullptr, next);
        bool is_complete = for_each_row(*frame, is_planar, [&](uint32_t row, uint32_t component) {
            if (line == nullptr || next != component) return false;
            rows.load(rows.row(row, component), line->i32, frame->columns);
            line = codestream.exchange(line, next);
            return true;
        });
        if (!is_complete) {
            say(message, message_capacity, "rows were wanted in another order");
            return VARVE_HTJ2K_FAILED;
        }
        codestream.flush();
        codestream.close();
        *encoded_byte_count = sink.byte_count();
        return VARVE_HTJ2K_OK;
    });
}

extern "C" varve_htj2k_status varve_htj2k_compare(
    const varve_htj2k_frame *frame, const void *samples, const void *encoded, size_t encoded_byte_count, char *message,
    size_t message_capacity) {
    if (!is_valid(*frame)) {
        say(message, message_capacity, "a frame of impossible shape");
        return VARVE_HTJ2K_FAILED;
    }
    return guarded(VARVE_HTJ2K_DIFFERENT, message, message_capacity, [&] {
        ojph::mem_infile source;
        source.open(static_cast<const ojph::ui8 *>(encoded), encoded_byte_count);
        ojph::codestream codestream;
        codestream.read_headers(&source);
        ojph::param_siz size = codestream.access_siz();
        bool is_same = size.get_image_extent().x == frame->columns && size.get_image_extent().y == frame->rows
            && size.get_num_components() == frame->components;
        for (uint32_t component = 0; is_same && component < frame->components; ++component)
            is_same = size.get_bit_depth(component) == frame->precision && size.is_signed(component) == frame->is_signed
                && size.get_recon_width(component) == frame->columns
                && size.get_recon_height(component) == frame->rows;
        if (!is_same) {
            say(message, message_capacity, "the stream is of another shape");
            return VARVE_HTJ2K_DIFFERENT;
        }
        bool is_planar = frame->is_planar && !frame->uses_colour_transform;
        codestream.set_planar(is_planar);
        codestream.create();

        Rows rows(*frame, samples);
        bool is_equal = for_each_row(*frame, is_planar, [&](uint32_t row, uint32_t component) {
            ojph::ui32 found = 0;
            ojph::line_buf *line = codestream.pull(found);
            return line != nullptr && found == component
                && !rows.differs(rows.row(row, component), line->i32, frame->columns);
        });
        codestream.close();
        if (is_equal) return VARVE_HTJ2K_OK;
        say(message, message_capacity, "the stream decodes to other samples");
        return VARVE_HTJ2K_DIFFERENT;
    });
}
