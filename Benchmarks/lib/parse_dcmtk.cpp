// SPDX-License-Identifier: Apache-2.0
// What ParseBenchmark does, with DCMTK: compiled by Benchmarks/parse.sh. Files are parsed from memory, through the
// buffer stream that DCMTK's own network code uses, up to Pixel Data.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcistrmb.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iterator>
#include <vector>

static bool read(const std::vector<char> &bytes, const DcmTagKey &stop) {
    DcmInputBufferStream stream;
    stream.setBuffer(bytes.data(), static_cast<offile_off_t>(bytes.size()));
    stream.setEos();
    DcmFileFormat file;
    file.transferInit();
    OFCondition condition = file.readUntilTag(stream, EXS_Unknown, EGL_noChange, DCM_MaxReadLength, stop);
    file.transferEnd();
    return condition.good() && file.getDataset()->card() > 0;
}

static long allocatedBytes() {
    using Counter = long (*)();
    static auto counter = reinterpret_cast<Counter>(dlsym(RTLD_DEFAULT, "benchmark_allocated_bytes"));
    return counter ? counter() : 0;
}

int main(int argc, char **argv) {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL);
    if (!dcmDataDict.isDictionaryLoaded()) {
        std::fprintf(stderr, "error: DCMTK has no dictionary\n");
        return 1;
    }
    const int passCount = argc > 1 ? std::atoi(argv[1]) : 5;
    const int readingsInPass = 20;
    for (int index = 2; index < argc; index++) {
        std::ifstream input(argv[index], std::ios::binary);
        std::vector<char> bytes{std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>()};
        double fastest = 1e18;
        bool isRead = true;
        for (int pass = 0; pass < passCount && isRead; pass++) {
            auto start = std::chrono::steady_clock::now();
            for (int reading = 0; reading < readingsInPass && isRead; reading++) isRead = read(bytes, DCM_PixelData);
            std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
            fastest = std::min(fastest, time.count() / readingsInPass);
        }
        long before = allocatedBytes();
        isRead = isRead && read(bytes, DCM_PixelData);
        long header = allocatedBytes() - before;
        before = allocatedBytes();
        read(bytes, DCM_UndefinedTagKey);
        long whole = allocatedBytes() - before;
        if (isRead)
            std::printf("%.3f\t%ld\t%ld\t%zu\t%s\n", fastest, header, whole, bytes.size(), argv[index]);
        else
            std::printf("-\t-\t-\t%zu\t%s\n", bytes.size(), argv[index]);
    }
    return 0;
}
