// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import NIOCore

/// The bulk data of one store transaction, one part behind the other: in memory up to a limit, beyond it in the spool.
///
/// For one task. Read only after ``finish()``.
final class BulkDataSpool {
    private let receiver: any InstanceReceiver
    private var memory = ByteBuffer()
    private var intake: SpoolIntake?
    private(set) var byteCount = 0

    init(receiver: any InstanceReceiver) { self.receiver = receiver }

    func append(_ bytes: ByteBuffer) async throws(DICOMNetworkError) {
        byteCount += bytes.readableBytes
        if let intake {
            try await intake.append(bytes)
            return
        }
        memory.writeImmutableBuffer(bytes)
        guard memory.readableBytes > receiver.maximumInMemoryByteCount else { return }
        let intake = receiver.makeIntake()
        self.intake = intake
        let collected = memory
        memory = ByteBuffer()
        try await intake.append(collected)
    }

    func finish() async throws(DICOMNetworkError) { try await intake?.finish() }

    func read(_ range: Range<Int>) async throws(DICOMNetworkError) -> ByteBuffer {
        guard !range.isEmpty else { return ByteBuffer() }
        if let intake { return try await intake.dataSet.read(range) }
        guard let bytes = memory.slice(at: range) else {
            throw DICOMNetworkError(.usage, "the bulk data end before byte \(range.upperBound)")
        }
        return bytes
    }
}
