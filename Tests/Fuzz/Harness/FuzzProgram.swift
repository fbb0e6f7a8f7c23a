// SPDX-License-Identifier: Apache-2.0

import CFuzzer
import Glibc
import NIOCore

/// The main of a fuzz program: libFuzzer over one of its targets.
///
///     fuzz-parsers --targets                              the names of its targets
///     fuzz-parsers --seeds TARGET FOLDER [FILE...]        writes the target's seeds
///     VARVE_FUZZ_TARGET=TARGET fuzz-parsers [OPTION...]   libFuzzer, with its own options
///
/// The target comes from the environment because libFuzzer starts copies of the program with the options it was given.
public enum FuzzProgram {
    // Safety: set once before libFuzzer, which calls back on this very thread, is started.
    nonisolated(unsafe) private static var current: FuzzTarget?
    // Safety: touched by the callback only.
    nonisolated(unsafe) private static var input = ByteBuffer()

    public static func main(_ targets: [FuzzTarget], usesAddressSanitizer: Bool = false) {
        let arguments = CommandLine.arguments
        switch arguments.dropFirst().first {
        case "--targets":
            for target in targets { print(target.name) }
        case "--seeds" where arguments.count >= 4:
            let target = self.target(named: arguments[2], in: targets)
            SeedFolder.write(target, to: arguments[3], files: Array(arguments.dropFirst(4)))
        default:
            guard let name = getenv("VARVE_FUZZ_TARGET") else { self.quit("VARVE_FUZZ_TARGET names no target") }
            self.fuzz(self.target(named: String(cString: name), in: targets), arguments, usesAddressSanitizer)
        }
    }

    static func quit(_ message: String) -> Never {
        let line = "error: \(message)\n"
        _ = write(STDERR_FILENO, line, line.utf8.count)
        exit(2)
    }

    private static func target(named name: String, in targets: [FuzzTarget]) -> FuzzTarget {
        guard let target = targets.first(where: { $0.name == name }) else {
            self.quit("there is no target '\(name)', only \(targets.map(\.name).joined(separator: ", "))")
        }
        return target
    }

    private static func fuzz(_ target: FuzzTarget, _ given: [String], _ usesAddressSanitizer: Bool) {
        self.current = target
        self.input.reserveCapacity(target.maximumByteCount)
        let limits = [
            "-max_len=\(target.maximumByteCount)", "-timeout=\(target.timeoutSeconds)",
            "-rss_limit_mb=\(target.maximumMegabytes)", "-malloc_limit_mb=\(target.maximumMegabytes / 2)",
        ]
        if !usesAddressSanitizer {
            // libFuzzer watches single allocations only with the address sanitizer's help: without it the kernel does.
            var limit = rlimit()
            limit.rlim_cur = rlim_t(target.maximumMegabytes) << 20
            limit.rlim_max = limit.rlim_cur
            setrlimit(__rlimit_resource_t(UInt32(RLIMIT_DATA.rawValue)), &limit)
        }
        // Later options win: those of the command line are the last.
        let arguments = given.prefix(1) + limits + given.dropFirst()
        var pointers: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        pointers.append(nil)
        var count = Int32(arguments.count)
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return LLVMFuzzerRunDriver(&count, &start) { bytes, byteCount in
                FuzzProgram.run(UnsafeRawBufferPointer(start: bytes, count: byteCount))
                return 0
            }
        }
        exit(status)
    }

    private static func run(_ bytes: UnsafeRawBufferPointer) {
        self.input.clear()
        self.input.writeBytes(bytes)
        self.current?.run(self.input)
    }
}
