// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging
import Placement
package import SegmentFormat

/// All that a store takes from the world around it, so that a run can be repeated exactly.
package struct StoreEnvironment: Sendable {
    package var disk: any Disk
    package var clock: StoreClock
    package var indexes: any RecordIndexProvider
    /// The run of the operating system that this process is in.
    package var boot: BootID
    /// Told what an operator wants to know; nothing depends on it.
    package var logger: Logger

    package init(
        disk: any Disk,
        clock: StoreClock,
        indexes: any RecordIndexProvider,
        boot: BootID,
        logger: Logger
    ) {
        self.disk = disk
        self.clock = clock
        self.indexes = indexes
        self.boot = boot
        self.logger = logger
    }
}

/// What time it is.
package struct StoreClock: Sendable {
    /// Milliseconds since 1970; may jump.
    package let wallMilliseconds: @Sendable () -> Int64
    /// Nanoseconds from a fixed moment; never goes back.
    package let monotonicNanoseconds: @Sendable () -> Int64

    package init(
        wallMilliseconds: @escaping @Sendable () -> Int64,
        monotonicNanoseconds: @escaping @Sendable () -> Int64
    ) {
        self.wallMilliseconds = wallMilliseconds
        self.monotonicNanoseconds = monotonicNanoseconds
    }

    /// The clocks of the machine.
    package static let system = StoreClock(
        wallMilliseconds: {
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
        },
        monotonicNanoseconds: {
            var time = timespec()
            clock_gettime(CLOCK_MONOTONIC, &time)
            return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
        }
    )
}

extension BootID {
    /// The run of the operating system that this process is in; a new one each time when it can't be told.
    static func current() -> BootID {
        var text = [UInt8](repeating: 0, count: 64)
        let descriptor = Glibc.open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
        let count = descriptor >= 0 ? read(descriptor, &text, text.count) : -1
        if descriptor >= 0 { close(descriptor) }
        if count > 0, let id = NodeID(String(decoding: text.prefix(count).filter { $0 > 32 }, as: UTF8.self)) {
            return BootID(high: id.high, low: id.low)
        }
        var generator = SystemRandomNumberGenerator()
        return BootID(high: generator.next(), low: generator.next())
    }
}
