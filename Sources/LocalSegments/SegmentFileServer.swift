// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
package import Logging
import NIOConcurrencyHelpers
import NIOPosix
package import SegmentFormat

/// Gives processes of the same user on the same host a storage node's segment files, open for reading.
///
/// One thread, one request after another: whoever has a file keeps it, so requests are few.
package final class SegmentFileServer: Sendable {
    private let listener: CInt
    private let path: String
    private let pathOfSegment: @Sendable (_ disk: UInt16, SegmentID) -> String?
    private let threads = NIOThreadPool(numberOfThreads: 1)
    private let logger: Logger

    /// Listens at `path`; `pathOfSegment` names the file of a segment that holds records.
    ///
    /// Throws when the path can't be listened at.
    package init(
        path: String,
        logger: Logger,
        pathOfSegment: @escaping @Sendable (_ disk: UInt16, SegmentID) -> String?
    ) throws(SegmentFileServerError) {
        listener = varve_local_listen(path)
        guard listener >= 0 else {
            throw SegmentFileServerError(
                description: "cannot listen at \(path): \(String(cString: strerror(errno))); its directory must exist "
                    + "and be writable, and the path be short"
            )
        }
        self.path = path
        self.pathOfSegment = pathOfSegment
        self.logger = logger
        threads.start()
        threads.submit { [self] _ in serve() }
    }

    /// Listens no more.
    ///
    /// Files that were given stay open with those who have them.
    package func shutdown() async {
        // Makes accept() return; the listener is closed when the thread is done with it.
        Glibc.shutdown(listener, CInt(SHUT_RDWR))
        // Fails only when it was shut down before.
        try? await threads.shutdownGracefully()
        close(listener)
        unlink(path)
    }

    private func serve() {
        while true {
            let socket = varve_local_accept(listener, SegmentFileRequest.patienceMilliseconds)
            guard socket >= 0 else {
                switch errno {
                case EPERM: logger.warning("another user's process asked for segment files and was refused")
                case EINVAL, EBADF: return
                case ECONNABORTED: break
                default:
                    // No descriptor or memory left, say: asked again at once it would be the same, over and over.
                    usleep(100_000)
                }
                continue
            }
            answer(socket)
            close(socket)
        }
    }

    private func answer(_ socket: CInt) {
        var bytes = [UInt8](repeating: 0, count: SegmentFileRequest.byteCount)
        guard varve_local_receive(socket, &bytes, CInt(bytes.count)) == 0 else { return }
        var descriptor: CInt = -1
        if let request = SegmentFileRequest(bytes: bytes), let path = pathOfSegment(request.disk, request.segment) {
            descriptor = open(path, O_RDONLY | O_CLOEXEC)
        }
        defer { if descriptor >= 0 { close(descriptor) } }
        let status = descriptor >= 0 ? SegmentFileRequest.given : SegmentFileRequest.refused
        // Whoever has gone away asks again.
        _ = varve_local_send_file(socket, status, descriptor)
    }
}

/// Why segment files can't be given.
package struct SegmentFileServerError: Error, Sendable, CustomStringConvertible {
    package let description: String
}
