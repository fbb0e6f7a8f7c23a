// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PackFormat
import Placement

/// The cold store of a run: what lies in it, and what goes wrong with it.
///
/// Objects appear whole or not at all, and are never written over, as `ObjectStore` promises; bytes may be changed on
/// their way and where they lie. What it knows beyond its answers only the oracle asks.
final class ColdStoreModel {
    /// Where it is, for orders.
    static let place = "file:///cold"

    struct Object {
        /// What its writer gave it.
        let written: ByteBuffer
        /// What it has.
        var bytes: ByteBuffer
        let finishedAt: Int64
        let writer: String
    }

    let world: World
    /// By key.
    private(set) var objects: [String: Object] = [:]
    /// It is not there for anybody.
    var isAway = false
    /// Reads of whole packs that are under way or whose outcome is not entered yet, by pack.
    private var openProofs: [PackID: Int] = [:]

    init(_ world: World) { self.world = world }

    /// Whether something goes wrong now that the atlas allows.
    func fails(_ kind: FaultKind, percent: Double, _ detail: @autoclosure () -> String) -> Bool {
        guard !world.isCalm, world.plan.allows(kind), world.chance(percent) else { return false }
        world.count(kind, detail())
        return true
    }

    /// Puts an object in place, unless there is one; whether it was.
    func finish(_ key: String, _ bytes: ByteBuffer, by writer: String) -> Bool {
        guard objects[key] == nil else { return false }
        var stored = bytes
        if fails(.packRot, percent: 3, "\(key) is changed on its way") { flip(&stored) }
        objects[key] = Object(written: bytes, bytes: stored, finishedAt: world.now, writer: writer)
        return true
    }

    func flip(_ bytes: inout ByteBuffer) {
        guard bytes.readableBytes > 0 else { return }
        let place = bytes.readerIndex + world.number(0...bytes.readableBytes - 1)
        let old: UInt8 = bytes.getInteger(at: place) ?? 0
        bytes.setInteger(old ^ UInt8(1 << world.number(0...7)), at: place)
    }

    // MARK: What the oracle knows

    static func key(of pack: PackID, study: String) -> String { PackDescription.key(of: pack, study: study) }

    /// Whether an object is there as it was written.
    func isSound(_ key: String) -> Bool { objects[key].map { $0.bytes == $0.written } ?? false }

    /// The bytes of a record in an object, as it is now; nil when they can't be found.
    func payload(of record: RecordID, in key: String) -> ByteBuffer? {
        guard let object = objects[key], var reader = try? PackReader(byteCount: UInt64(object.bytes.readableBytes))
        else { return nil }
        var step = reader.first
        while case .read(let range) = step {
            guard let bytes = object.bytes.slice(range), let next = try? reader.receive(bytes) else { return nil }
            step = next
        }
        guard case .finished(let manifest) = step,
            let entry = manifest.entries.first(where: { $0.instance.record == record })
        else { return nil }
        return object.bytes.slice(entry.range)
    }

    // MARK: Rot

    func proofBegins(_ pack: PackID) { openProofs[pack, default: 0] += 1 }

    func proofEnds(_ pack: PackID) { openProofs[pack, default: 0] -= 1 }

    func isBeingProven(_ pack: PackID) -> Bool { openProofs[pack, default: 0] > 0 }

    /// An object is not what it was any more: changed, shorter, or gone.
    func spoil(_ key: String) {
        guard var object = objects[key] else { return }
        switch world.number(0...4) {
        case 0:
            world.count(.packRot, "\(key) is gone")
            objects[key] = nil
            return
        case 1:
            world.count(.packRot, "\(key) is cut short")
            let count = world.number(0...max(0, object.bytes.readableBytes - 1))
            object.bytes = object.bytes.getSlice(at: object.bytes.readerIndex, length: count) ?? ByteBuffer()
        default:
            world.count(.packRot, "\(key) rots")
            flip(&object.bytes)
        }
        objects[key] = object
    }
}

extension ByteBuffer {
    /// The bytes of a range; nil when they are not all there.
    func slice(_ range: Range<UInt64>) -> ByteBuffer? {
        guard range.upperBound <= UInt64(readableBytes) else { return nil }
        return getSlice(at: readerIndex + Int(range.lowerBound), length: range.count)
    }
}
