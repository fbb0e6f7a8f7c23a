// SPDX-License-Identifier: Apache-2.0

import Hummingbird

/// The body of a response while it is written: Hummingbird's writer in a form that can be handed to functions.
// Safety: belongs to the one task that writes the body, whose calls follow one another.
final class BodyWriter: @unchecked Sendable {
    private var writer: any ResponseBodyWriter

    init(_ writer: any ResponseBodyWriter) { self.writer = writer }

    @concurrent
    func write(_ buffers: [ByteBuffer]) async throws {
        try await writer.write(contentsOf: buffers.filter { $0.readableBytes > 0 })
    }

    @concurrent
    func finish() async throws {
        try await writer.finish(nil)
    }
}
