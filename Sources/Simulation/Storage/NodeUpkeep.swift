// SPDX-License-Identifier: Apache-2.0

import SegmentFormat
import SegmentStore
import SimulatedDisk

/// What a storage node does by itself: it checks its segments one after another, and compacts them.
///
/// Follows `Scrubber` and `SegmentStore.compactNext`, whose steps take turns with all others. Compacts now and then what has
/// little that is dead, too.
final class NodeUpkeep {
    private unowned let node: StorageProcess
    private var world: World { node.world }

    init(_ node: StorageProcess) { self.node = node }

    /// How much slower it goes when nothing goes wrong any more.
    private var idling: Int64 { world.isCalm ? 5 : 1 }

    func start() {
        scrubSoon()
        compactSoon()
        recordDamageSoon()
    }

    // MARK: Checking

    private func scrubSoon() {
        // When an end is waited for nobody has to be patient.
        let pause = node.unchecked.isEmpty ? world.time(100_000...900_000) * idling : world.time(500...5_000)
        node.after(pause) { [self] in
            node.step { engine in
                engine.view.oldestScrub()
            } _: { [self] scrub in
                if let scrub { check(scrub) } else { scrubSoon() }
            }
        }
    }

    private func check(_ scrub: SegmentScrub) {
        node.step(100...2_000) { [world] _ -> (SegmentScrub, Bool) in
            var scrub = scrub
            let hasMore = !world.has(.scrubReadsNothing) && scrub.step() != nil
            return (scrub, hasMore)
        } _: { [self] scrub, hasMore in
            guard !hasMore else { return check(scrub) }
            world.note("\(node.name) has checked \(scrub.segment)")
            node.step { engine in
                Result { () throws(SegmentStoreError) in
                    try engine.recordDamage()
                    try engine.noteScrubbed(scrub.segment)
                }
            } _: { [self] (result: Result<Void, SegmentStoreError>) in
                for id in scrub.damaged { world.note("\(node.name) finds \(id) damaged") }
                if case .failure(let error) = result { world.note("\(node.name) could not note it: \(error)") }
                if case .success = result { node.unchecked.remove(scrub.segment) }
                scrubSoon()
            }
        }
    }

    /// Damage that a read found goes into the manifest.
    private func recordDamageSoon() {
        node.after(world.time(50_000...500_000) * idling) { [self] in
            node.step { engine in
                Result { () throws(SegmentStoreError) in try engine.recordDamage() }
            } _: { [self] (_: Result<Void, SegmentStoreError>) in
                recordDamageSoon()
            }
        }
    }

    // MARK: Compacting

    private func compactSoon() {
        node.after(world.time(100_000...900_000) * idling) { [self] in
            guard let segment = world.pick(node.store.segments) else { return compactSoon() }
            node.step { engine in
                Result { () throws(SegmentStoreError) in try engine.view.usage(of: segment) }
            } _: { [self] (result: Result<SegmentUsage?, SegmentStoreError>) in
                guard case .success(let usage?) = result, usage.deadFraction >= 0.3 || world.chance(20) else {
                    return compactSoon()
                }
                begin(usage)
            }
        }
    }

    private func begin(_ usage: SegmentUsage) {
        world.note("\(node.name) compacts \(usage.segment)")
        perform({ (engine) throws(SegmentStoreError) in try engine.beginCompaction(usage) }) { [self] compaction in
            if world.has(.removeBeforeCopy) {
                let path = "/data/store/segments/\(usage.segment.fileName)"
                // The mistake is to do it at all; whether it works is the disk's affair.
                _ = Result { () throws(DiskError) in try node.store.disk.removeFile(path) }
            }
            copy(compaction)
        }
    }

    private func copy(_ compaction: Compaction) {
        perform({ _ throws(SegmentStoreError) -> (Compaction, Bool) in
            var compaction = compaction
            let hasMore = try compaction.step()
            return (compaction, hasMore)
        }) { [self] compaction, hasMore in
            if hasMore { copy(compaction) } else { publish(compaction) }
        }
    }

    private func publish(_ compaction: Compaction) {
        perform({ (engine) throws(SegmentStoreError) in try engine.publish(compaction) }) { [self] in move(compaction) }
    }

    private func move(_ compaction: Compaction) {
        perform({ (engine) throws(SegmentStoreError) -> (Compaction, Bool) in
            var compaction = compaction
            let hasMore = try engine.move(&compaction)
            return (compaction, hasMore)
        }) { [self] compaction, hasMore in
            if hasMore { move(compaction) } else { retire(compaction) }
        }
    }

    private func retire(_ compaction: Compaction) {
        perform({ (engine) throws(SegmentStoreError) in try engine.retire(compaction) }) { [self] in
            world.mix(0xC0)
            compactSoon()
        }
    }

    /// One step of a compaction; a failed one ends it.
    private func perform<Value>(
        _ work: @escaping (inout StoreEngine) throws(SegmentStoreError) -> Value,
        _ next: @escaping (Value) -> Void
    ) {
        node.step(100...1_500) { engine in
            Result { () throws(SegmentStoreError) in try work(&engine) }
        } _: { [self] (result: Result<Value, SegmentStoreError>) in
            switch result {
            case .success(let value): next(value)
            case .failure(let error):
                world.note("\(node.name) does not compact: \(error)")
                compactSoon()
            }
        }
    }
}
