// SPDX-License-Identifier: Apache-2.0

import Checksums
import Glibc
import Logging
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import SegmentStore

/// Drives the segment store for `Benchmarks/storage.sh`, which says what the numbers are compared with.
///
///     storage-benchmark put DIR WRITERS RECORDS BYTES     durable appends in this process; prints seconds
///     storage-benchmark fill HOST PORT CLUSTER RECORDS BYTES FOLDER
///         puts to a storage node, and writes the same payloads to files of FOLDER, named as the records' ids in hex
///     storage-benchmark wire HOST PORT CLUSTER RECORDS BYTES CONNECTIONS [CA CERTIFICATE KEY]
///         puts to a storage node and reads back, one request at once on each connection; prints seconds and this
///         process's processor seconds of the puts, then of the reads
///     storage-benchmark index DIR RECORDS                 small records, then starts, clean and not; prints a table row
@main
enum StorageBenchmark {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let numbers = arguments.compactMap { Int($0) }
        do {
            switch arguments.first {
            case "put" where arguments.count == 5 && numbers.count == 3:
                try await put(in: arguments[1], writers: numbers[0], records: numbers[1], byteCount: numbers[2])
            case "fill" where arguments.count == 7:
                guard let port = Int(arguments[2]), let cluster = ClusterID(arguments[3]),
                    let records = Int(arguments[4]), let byteCount = Int(arguments[5])
                else { usage() }
                try await fill(arguments[1], port, cluster, records, byteCount, folder: arguments[6])
            case "wire" where arguments.count == 7 || arguments.count == 10:
                guard let port = Int(arguments[2]), let cluster = ClusterID(arguments[3]),
                    let records = Int(arguments[4]), let byteCount = Int(arguments[5]),
                    let connections = Int(arguments[6])
                else { usage() }
                let files = arguments.dropFirst(7)
                let tls =
                    files.isEmpty
                    ? nil : try ReplicationTLS(authority: files[7], certificate: files[8], key: files[9])
                let wire = WireBenchmark(
                    host: arguments[1],
                    port: port,
                    cluster: cluster,
                    tls: tls,
                    connections: connections
                )
                let seconds = try await wire.run(records: records, byteCount: byteCount)
                print(seconds.map { "\($0)" }.joined(separator: " "))
            case "index" where arguments.count == 3 && numbers.count == 1:
                try await index(in: arguments[1], records: numbers[0])
            default: usage()
            }
        } catch {
            complain("\(error)")
            exit(1)
        }
    }

    private static func usage() -> Never {
        complain(
            "usage: storage-benchmark put DIR WRITERS RECORDS BYTES | fill HOST PORT CLUSTER RECORDS BYTES FOLDER |"
                + " wire HOST PORT CLUSTER RECORDS BYTES CONNECTIONS [CA CERTIFICATE KEY] | index DIR RECORDS"
        )
        exit(2)
    }

    // MARK: Records

    /// Bytes that no file system can make smaller, other ones for each record.
    static func payload(_ number: Int, byteCount: Int) -> ByteBuffer {
        var state = UInt64(truncatingIfNeeded: number) &* 0x9E37_79B9_7F4A_7C15 | 1
        var buffer = ByteBufferAllocator().buffer(capacity: byteCount + 8)
        while buffer.readableBytes < byteCount {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            buffer.writeInteger(state)
        }
        return buffer.getSlice(at: 0, length: byteCount) ?? buffer
    }

    static func id(_ number: Int) throws -> RecordID {
        var hasher = SHA256Hasher()
        hasher.update(Array("record \(number)".utf8))
        let digest = hasher.digest()
        guard
            let id = RecordID(
                studyInstanceUID: "1.2.\(number / 500)",
                sopInstanceUID: "1.2.\(number / 500).\(number)",
                payloadDigest: digest
            )
        else { throw BenchmarkError("no record id") }
        return id
    }

    private static func record(_ number: Int, _ payload: ByteBuffer, digest: SHA256Digest) throws -> NewRecord {
        NewRecord(
            id: try id(number),
            type: .instance,
            metadata: ByteBuffer(repeating: 7, count: 500),
            payload: payload,
            payloadDigest: digest,
            mapEpoch: MapEpoch(rawValue: 1),
            writtenAtMilliseconds: 1_700_000_000_000,
            // As in production: docs/decisions/0006-who-computes-digests.md.
            digestIsVerified: true
        )
    }

    private static func configuration(_ directory: String) -> SegmentStore.Configuration {
        SegmentStore.Configuration(
            directory: directory,
            clusterID: ClusterID(high: 1, low: 2),
            nodeID: NodeID(high: 3, low: 4)
        )
    }

    // MARK: Put

    private static func put(in directory: String, writers: Int, records: Int, byteCount: Int) async throws {
        mkdir(directory, 0o700)
        let store = try SegmentStore.open(configuration(directory), logger: quiet())
        let payloads = (0..<64).map { payload($0, byteCount: byteCount) }
        let digests = payloads.map { SHA256Hasher.digest(of: $0) }
        let clock = ContinuousClock()
        let before = processorSeconds()
        let start = clock.now
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for writer in 0..<writers {
                tasks.addTask {
                    for number in stride(from: writer, to: records, by: writers) {
                        let kind = number % payloads.count
                        _ = try await store.append(try record(number, payloads[kind], digest: digests[kind]))
                    }
                }
            }
            try await tasks.waitForAll()
        }
        let seconds = (clock.now - start).inSeconds
        let processor = processorSeconds() - before
        let batches = store.status.batchCount
        await store.close()
        print("\(seconds) \(processor) \(batches)")
    }

    // MARK: Fill

    private static func fill(
        _ host: String,
        _ port: Int,
        _ cluster: ClusterID,
        _ records: Int,
        _ byteCount: Int,
        folder: String
    ) async throws {
        mkdir(folder, 0o755)
        let client = ReplicationClient(
            host: host,
            port: port,
            identity: HelloIdentity(clusterID: cluster, nodeID: NodeID(high: 9, low: 9), incarnation: 1, role: .tool),
            expectedNodeID: nil,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: quiet()
        )
        for number in 0..<records {
            let payload = payload(number, byteCount: byteCount)
            let request = PutRequest(
                recordID: try id(number),
                recordType: RecordType.instance.rawValue,
                metadata: ByteBuffer(repeating: 7, count: 500),
                payloadByteCount: UInt64(payload.readableBytes),
                payloadDigest: SHA256Hasher.digest(of: payload),
                mapEpoch: MapEpoch(rawValue: 0)
            )
            _ = try await client.put(request, pieces: [payload])
            let name = request.recordID.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            try write(payload, to: "\(folder)/\(name)")
        }
        await client.shutdown()
    }

    private static func write(_ bytes: ByteBuffer, to path: String) throws {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        defer { close(file) }
        let count = bytes.withUnsafeReadableBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        guard count == bytes.readableBytes else { throw BenchmarkError("cannot write \(path)") }
    }

    // MARK: Index

    private static func index(in directory: String, records: Int) async throws {
        mkdir(directory, 0o700)
        let payload = payload(1, byteCount: 300)
        let digest = SHA256Hasher.digest(of: payload)
        let clock = ContinuousClock()
        var store = try SegmentStore.open(configuration(directory), logger: quiet())
        let filling = try await clock.measure {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                let writers = 256
                for writer in 0..<writers {
                    tasks.addTask { [store] in
                        for number in stride(from: writer, to: records, by: writers) {
                            _ = try await store.append(try record(number, payload, digest: digest))
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }
        let memory = residentMegabytes()
        await store.close()
        func open() throws -> Duration {
            try clock.measure { store = try SegmentStore.open(configuration(directory), logger: quiet()) }
        }
        let clean = try open()
        guard store.status.recordCount == records else { throw BenchmarkError("records are missing") }
        await store.close()
        let index = megabytes(of: directory + "/index")
        for name in names(in: directory + "/index") { unlink("\(directory)/index/\(name)") }
        let rebuilt = try open()
        guard store.status.recordCount == records else { throw BenchmarkError("records are missing") }
        await store.close()
        print(
            "\(records) filled \(filling.inSeconds) s, resident \(memory) MB, index \(index) MB,"
                + " start after a clean stop \(clean.inSeconds) s, with a rebuilt index \(rebuilt.inSeconds) s"
        )
    }

    // MARK: The machine

    static func quiet() -> Logger {
        var logger = Logger(label: "storage-benchmark")
        logger.logLevel = .error
        return logger
    }

    static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    private static func residentMegabytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 200)
        guard fgets(&line, 200, file) != nil else { return 0 }
        let fields = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(
            separator: " "
        )
        let pageCount = fields.count > 1 ? Int(fields[1]) ?? 0 : 0
        return (pageCount * Int(getpagesize())) >> 20
    }

    private static func names(in directory: String) -> [String] {
        guard let entries = opendir(directory) else { return [] }
        defer { closedir(entries) }
        var names: [String] = []
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    private static func megabytes(of directory: String) -> Int {
        names(in: directory).reduce(0) { sum, name in
            var status = stat()
            return stat("\(directory)/\(name)", &status) == 0 ? sum + Int(status.st_blocks) * 512 : sum
        } >> 20
    }

    private static func complain(_ text: String) {
        let line = Array("storage-benchmark: \(text)\n".utf8)
        // There is nobody to tell when this fails.
        _ = Glibc.write(2, line, line.count)
    }
}

struct BenchmarkError: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

extension Duration {
    var inSeconds: Double {
        (Double(components.seconds) + Double(components.attoseconds) / 1e18).rounded(toPlaces: 3)
    }
}

extension Double {
    func rounded(toPlaces places: Int) -> Double {
        let factor = (0..<places).reduce(1.0) { power, _ in power * 10 }
        return (self * factor).rounded() / factor
    }
}
