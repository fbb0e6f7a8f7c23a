// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

extension SimulatedDisk {
    // MARK: Looking

    /// How many operations that change something were begun.
    package var effectCount: Int { state.withLockedValue { $0.effectCount } }

    package var isCrashed: Bool { state.withLockedValue { $0.isCrashed } }

    package func count(of operation: Operation) -> Int { state.withLockedValue { $0.counts[operation] ?? 0 } }

    package var paths: [String] { state.withLockedValue { $0.names.files.keys.sorted() } }

    /// What reads of a file see.
    package func bytes(at path: String) -> [UInt8]? { state.withLockedValue { $0.names.files[path]?.visible } }

    // MARK: Faults

    /// Has the next `operation` fail with `number`; may be called again for the one after it.
    package func failNext(_ operation: Operation, number: Int32) {
        state.withLockedValue { $0.failures.append((operation, number)) }
    }

    /// Asks `body` about each operation before it takes place; it may be called on any thread that uses the disk.
    package func setFaults(_ body: (@Sendable (Event) -> Fault?)?) { state.withLockedValue { $0.faults = body } }

    /// Stops at this effect from now on; `nil` for none.
    package func setCrash(at effect: Int?) { state.withLockedValue { $0.crashesAt = effect } }

    /// Takes back everything that was to go wrong, and the size.
    package func calmDown() {
        state.withLockedValue { state in
            state.crashesAt = nil
            state.failures = []
            state.faults = nil
            state.capacity = nil
        }
    }

    package func setFreeBytes(_ count: UInt64) { state.withLockedValue { $0.freeBytes = count } }

    /// Gives the disk a size, of which every file takes its part; writes that find no room fail.
    package func setCapacity(_ byteCount: UInt64?) { state.withLockedValue { $0.capacity = byteCount } }

    /// Runs `body` on the thread that is about to sync, outside of any lock.
    package func beforeSync(_ body: (@Sendable () -> Void)?) { state.withLockedValue { $0.beforeSync = body } }

    /// Changes what is on the disk of a file, which the page cache hides.
    package func rot(_ path: String, _ body: @Sendable (inout [UInt8]) -> Void) {
        state.withLockedValue { state in
            guard let content = state.names.files[path] else { return }
            body(&content.durable)
        }
    }

    /// Changes a file behind the store's back, on the disk as well as in memory: bit rot.
    package func tamper(_ path: String, _ body: @Sendable (inout [UInt8]) -> Void) {
        state.withLockedValue { state in
            guard let content = state.names.files[path] else { return }
            body(&content.visible)
            content.durable = content.visible
            content.pending = []
        }
    }

    /// Makes a range of a file unreadable until it is written again.
    package func breakSectors(of path: String, _ range: Range<Int>) {
        state.withLockedValue { $0.names.files[path]?.badRanges.append(range) }
    }

    // MARK: Ends

    /// The disk as the next process finds it when this one was killed: nothing that was written is lost.
    package func afterProcessKill(crashAt effect: Int? = nil) -> SimulatedDisk {
        state.withLockedValue { state in
            let generator = SeededGenerator(seed: state.generator.next())
            return SimulatedDisk(Self.next(state, names: state.names.mapped { $0.copy() }, generator, effect))
        }
    }

    /// The disk after a loss of power: what was synced, and of the rest any sectors or none.
    package func afterPowerLoss(
        using generator: inout some RandomNumberGenerator,
        crashAt effect: Int? = nil
    ) -> SimulatedDisk {
        let old = state.withLockedValue { state in
            var old = state
            // Nothing that this disk does later is to be seen there.
            old.names = state.names.mapped { $0.copy() }
            return old
        }
        let names = old.names.surviving(using: &generator).mapped { content in
            // All, none, or any part of what was not synced.
            let percent = [0, 50, 100].randomElement(using: &generator) ?? 0
            let bytes = content.surviving(
                sectorByteCount: old.sectorByteCount,
                percent: percent,
                using: &generator
            )
            return FileContent(durable: bytes, badRanges: content.badRanges)
        }
        return SimulatedDisk(Self.next(old, names: names, SeededGenerator(seed: generator.next()), effect))
    }

    private static func next(
        _ old: State,
        names: NameTable,
        _ generator: SeededGenerator,
        _ crashesAt: Int?
    ) -> State {
        var next = State(crashesAt: crashesAt, generator: generator, sectorByteCount: old.sectorByteCount)
        next.names = names
        next.freeBytes = old.freeBytes
        next.capacity = old.capacity
        return next
    }
}
