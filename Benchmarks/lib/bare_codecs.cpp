// SPDX-License-Identifier: Apache-2.0
// The bare side of Benchmarks/codecs.sh: encode and decode every frame with nothing but CharLS, OpenJPEG and OpenJPH,
// and compare. Arguments and output are those of `codec-benchmark frames` (FrameContest.swift).

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <charls/charls.h>
#include <openjpeg.h>
#include <openjph/ojph_arch.h>
#include <openjph/ojph_codestream.h>
#include <openjph/ojph_file.h>
#include <openjph/ojph_mem.h>
#include <openjph/ojph_params.h>

using Bytes = std::vector<uint8_t>;
using Clock = std::chrono::steady_clock;

struct Shape {
    uint32_t rows, columns, samples, allocated, stored;
    int is_signed;
    bool uses_colour_transform;
    size_t pixels() const { return size_t(rows) * columns; }
    size_t byte_count() const { return pixels() * samples * allocated / 8; }
};

static int32_t get(const Shape &shape, const uint8_t *frame, size_t index) {
    if (shape.allocated == 8) return shape.is_signed ? int8_t(frame[index]) : frame[index];
    uint16_t value;
    memcpy(&value, frame + 2 * index, 2);
    return shape.is_signed ? int16_t(value) : value;
}

static void put(const Shape &shape, uint8_t *frame, size_t index, int32_t value) {
    if (shape.allocated == 8) frame[index] = uint8_t(value);
    else {
        uint16_t sample = uint16_t(value);
        memcpy(frame + 2 * index, &sample, 2);
    }
}

[[noreturn]] static void fail(const char *what) {
    fprintf(stderr, "bare_codecs: %s\n", what);
    exit(1);
}

struct JPEGLS {
    static void encode(const Shape &shape, const uint8_t *frame, Bytes &out) {
        out.resize(shape.byte_count() + 4096);
        charls::jpegls_encoder encoder;
        encoder.frame_info({shape.columns, shape.rows, int32_t(shape.stored), int32_t(shape.samples)});
        encoder.interleave_mode(shape.samples == 3 ? charls::interleave_mode::line : charls::interleave_mode::none);
        encoder.destination(out.data(), out.size());
        out.resize(encoder.encode(frame, shape.byte_count()));
    }
    static void decode(const Shape &, const Bytes &in, Bytes &frame) {
        charls::jpegls_decoder decoder(in.data(), in.size(), true);
        decoder.decode(frame.data(), frame.size());
    }
};

struct Memory {
    uint8_t *bytes;
    Bytes *growing;
    size_t count, offset;
};

static OPJ_SIZE_T write_memory(void *bytes, OPJ_SIZE_T count, void *context) {
    auto *memory = static_cast<Memory *>(context);
    if (memory->growing->size() < memory->offset + count) memory->growing->resize(memory->offset + count);
    memcpy(memory->growing->data() + memory->offset, bytes, count);
    memory->offset += count;
    return count;
}
static OPJ_SIZE_T read_memory(void *bytes, OPJ_SIZE_T count, void *context) {
    auto *memory = static_cast<Memory *>(context);
    size_t rest = memory->count - memory->offset;
    if (rest == 0) return OPJ_SIZE_T(-1);
    if (count > rest) count = rest;
    memcpy(bytes, memory->bytes + memory->offset, count);
    memory->offset += count;
    return count;
}
static OPJ_OFF_T skip_memory(OPJ_OFF_T count, void *context) {
    static_cast<Memory *>(context)->offset += count;
    return count;
}
static OPJ_BOOL seek_memory(OPJ_OFF_T offset, void *context) {
    static_cast<Memory *>(context)->offset = offset;
    return 1;
}

static opj_stream_t *open_memory(Memory &memory, bool reads) {
    opj_stream_t *stream = opj_stream_create(64 << 10, reads);
    opj_stream_set_user_data(stream, &memory, nullptr);
    opj_stream_set_user_data_length(stream, memory.count);
    opj_stream_set_write_function(stream, write_memory);
    opj_stream_set_read_function(stream, read_memory);
    opj_stream_set_skip_function(stream, skip_memory);
    opj_stream_set_seek_function(stream, seek_memory);
    return stream;
}

struct JPEG2000 {
    static void encode(const Shape &shape, const uint8_t *frame, Bytes &out) {
        opj_image_cmptparm_t components[3] = {};
        for (auto &component : components) {
            component.dx = component.dy = 1;
            component.w = shape.columns;
            component.h = shape.rows;
            component.prec = shape.stored;
            component.sgnd = shape.is_signed;
        }
        opj_image_t *image =
            opj_image_create(shape.samples, components, shape.samples == 3 ? OPJ_CLRSPC_SRGB : OPJ_CLRSPC_GRAY);
        image->x1 = shape.columns;
        image->y1 = shape.rows;
        for (size_t sample = 0; sample < shape.samples; ++sample)
            for (size_t index = 0; index < shape.pixels(); ++index)
                image->comps[sample].data[index] = get(shape, frame, index * shape.samples + sample);
        opj_codec_t *codec = opj_create_compress(OPJ_CODEC_J2K);
        opj_cparameters_t parameters;
        opj_set_default_encoder_parameters(&parameters);
        parameters.tcp_numlayers = 1;
        parameters.tcp_rates[0] = 0;
        parameters.cp_disto_alloc = 1;
        parameters.tcp_mct = shape.uses_colour_transform;
        out.clear();
        Memory memory{nullptr, &out, 0, 0};
        opj_stream_t *stream = open_memory(memory, false);
        if (!opj_setup_encoder(codec, &parameters, image) || !opj_start_compress(codec, image, stream)
            || !opj_encode(codec, stream) || !opj_end_compress(codec, stream))
            fail("OpenJPEG does not encode");
        opj_stream_destroy(stream);
        opj_destroy_codec(codec);
        opj_image_destroy(image);
    }
    static void decode(const Shape &shape, const Bytes &in, Bytes &frame) {
        opj_codec_t *codec = opj_create_decompress(OPJ_CODEC_J2K);
        opj_dparameters_t parameters;
        opj_set_default_decoder_parameters(&parameters);
        Memory memory{const_cast<uint8_t *>(in.data()), nullptr, in.size(), 0};
        opj_stream_t *stream = open_memory(memory, true);
        opj_image_t *image = nullptr;
        if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &image)
            || !opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream))
            fail("OpenJPEG does not decode");
        for (size_t sample = 0; sample < shape.samples; ++sample)
            for (size_t index = 0; index < shape.pixels(); ++index)
                put(shape, frame.data(), index * shape.samples + sample, image->comps[sample].data[index]);
        opj_stream_destroy(stream);
        opj_destroy_codec(codec);
        opj_image_destroy(image);
    }
};

struct HTJ2K {
    static void encode(const Shape &shape, const uint8_t *frame, Bytes &out) {
        ojph::codestream codestream;
        ojph::param_siz size = codestream.access_siz();
        size.set_image_extent(ojph::point(shape.columns, shape.rows));
        size.set_num_components(shape.samples);
        for (uint32_t sample = 0; sample < shape.samples; ++sample)
            size.set_component(sample, ojph::point(1, 1), shape.stored, shape.is_signed);
        ojph::param_cod style = codestream.access_cod();
        style.set_color_transform(shape.uses_colour_transform);
        style.set_reversible(true);
        codestream.set_planar(false);
        ojph::mem_outfile file;
        file.open(shape.byte_count());
        codestream.write_headers(&file);
        ojph::ui32 sample = 0;
        ojph::line_buf *line = codestream.exchange(nullptr, sample);
        for (size_t row = 0; row < shape.rows; ++row)
            for (size_t turn = 0; turn < shape.samples; ++turn) {
                for (size_t column = 0; column < shape.columns; ++column)
                    line->i32[column] = get(shape, frame, (row * shape.columns + column) * shape.samples + sample);
                line = codestream.exchange(line, sample);
            }
        codestream.flush();
        out.assign(file.get_data(), file.get_data() + file.tell());
        codestream.close();
    }
    static void decode(const Shape &shape, const Bytes &in, Bytes &frame) {
        ojph::mem_infile file;
        file.open(in.data(), in.size());
        ojph::codestream codestream;
        codestream.read_headers(&file);
        codestream.set_planar(false);
        codestream.create();
        for (size_t row = 0; row < shape.rows; ++row)
            for (size_t turn = 0; turn < shape.samples; ++turn) {
                ojph::ui32 sample = 0;
                ojph::line_buf *line = codestream.pull(sample);
                for (size_t column = 0; column < shape.columns; ++column)
                    put(shape, frame.data(), (row * shape.columns + column) * shape.samples + sample,
                        line->i32[column]);
            }
        codestream.close();
    }
};

struct Totals {
    size_t frames = 0, encoded = 0;
    double encode = 0, prove = 0;
};

static double milliseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

template <typename Codec> static Totals race(const Shape &shape, const Bytes &data, size_t start, int threads, int rounds) {
    Totals totals;
    std::mutex lock;
    std::vector<std::thread> running;
    size_t frames = (data.size() - start) / shape.byte_count();
    for (int number = 0; number < threads; ++number)
        running.emplace_back([&, number] {
            Totals mine;
            Bytes encoded, decoded(shape.byte_count());
            for (size_t index = number; index < frames * rounds; index += threads) {
                const uint8_t *frame = data.data() + start + index % frames * shape.byte_count();
                auto begin = Clock::now();
                Codec::encode(shape, frame, encoded);
                auto middle = Clock::now();
                Codec::decode(shape, encoded, decoded);
                if (memcmp(decoded.data(), frame, decoded.size()) != 0) fail("a frame decodes to something else");
                mine.prove += milliseconds(Clock::now() - middle);
                mine.encode += milliseconds(middle - begin);
                mine.frames += 1;
                mine.encoded += encoded.size();
            }
            std::lock_guard<std::mutex> guard(lock);
            totals.frames += mine.frames;
            totals.encoded += mine.encoded;
            totals.encode += mine.encode;
            totals.prove += mine.prove;
        });
    for (auto &thread : running) thread.join();
    return totals;
}

int main(int count, char **arguments) {
    if (count != 5) fail("usage: bare_codecs jpeg-ls|jpeg2000|htj2k THREADS ROUNDS FILE");
    std::string codec = arguments[1];
    int threads = atoi(arguments[2]), rounds = atoi(arguments[3]);
    std::ifstream file(arguments[4], std::ios::binary);
    Bytes data((std::istreambuf_iterator<char>(file)), {});
    Shape shape = {};
    int used = 0;
    data.push_back(0);
    if (sscanf(reinterpret_cast<char *>(data.data()), "%u %u %u %u %u %d%n", &shape.rows, &shape.columns, &shape.samples,
               &shape.allocated, &shape.stored, &shape.is_signed, &used) != 6)
        fail("no frame file");
    data.pop_back();
    shape.uses_colour_transform = codec != "jpeg-ls" && shape.samples == 3;
    auto run = codec == "jpeg-ls" ? race<JPEGLS> : codec == "jpeg2000" ? race<JPEG2000> : race<HTJ2K>;
    run(shape, data, used + 1, threads, 1);
    auto begin = Clock::now();
    Totals totals = run(shape, data, used + 1, threads, rounds);
    double wall = milliseconds(Clock::now() - begin), frames = double(totals.frames);
    printf("%zu %.3f %.3f %.3f %zu %zu\n", totals.frames, totals.encode / frames, totals.prove / frames, wall / frames,
           shape.byte_count() * totals.frames, totals.encoded);
}
