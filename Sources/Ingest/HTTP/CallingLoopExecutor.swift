// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore
import NIOCore
import NIOPosix

/// Runs the jobs of tasks on the event loop that brings them about, and on the global pool what comes from elsewhere.
///
/// The tasks of HTTP connections run on it: a request that was read on an event loop is begun there, without waking a
/// thread. Whatever computes for longer than it takes to check a megabyte leaves the loop (``ResponseBody/leavingLoop``,
/// ``LoopLeavingMiddleware``), since other connections wait for it.
final class CallingLoopExecutor: TaskExecutor {
    func enqueue(_ job: consuming ExecutorJob) {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop else {
            return globalConcurrentExecutor.enqueue(job)
        }
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

extension ResponseBody {
    /// A body that is made away from the event loop of its connection.
    static func leavingLoop(
        contentLength: Int? = nil,
        _ write: @escaping @Sendable (inout any ResponseBodyWriter) async throws -> Void
    ) -> ResponseBody {
        ResponseBody(contentLength: contentLength) { writer in
            try await withTaskExecutorPreference(globalConcurrentExecutor) { try await write(&writer) }
        }
    }
}

/// Answers requests away from the event loops of their connections, but for DICOMweb, which knows better which need it.
struct LoopLeavingMiddleware: RouterMiddleware {
    typealias Context = IngestRequestContext

    @concurrent
    func handle(
        _ request: Request,
        context: Context,
        next: @concurrent (Request, Context) async throws -> Response
    ) async throws -> Response {
        if request.uri.path.hasPrefix(DICOMWebService.path) { return try await next(request, context) }
        return try await withTaskExecutorPreference(globalConcurrentExecutor) { try await next(request, context) }
    }
}
