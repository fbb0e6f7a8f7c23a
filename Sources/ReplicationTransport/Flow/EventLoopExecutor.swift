// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Runs the jobs of tasks on an event loop, for tasks that hardly compute and have to come back to the loop anyway.
///
/// Such a task must not block: it waits for others (a reading thread) by suspending.
package final class EventLoopExecutor: TaskExecutor {
    private let eventLoop: any EventLoop

    package init(_ eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        eventLoop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
