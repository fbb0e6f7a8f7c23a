// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Where packs lie: large objects that are written once, in one stream, and read by ranges.
///
/// Safe to use from any number of tasks. That an object is not there is only said by a store that is there.
public protocol ObjectStore: Sendable {
    /// What one object is written by.
    associatedtype Upload: ObjectUpload

    /// Begins an object of at most `maximumByteCount` bytes. Nobody sees anything of it before it is finished.
    ///
    /// - Throws: `.exists` when it is known already that there is one of that key.
    func begin(_ key: ObjectKey, maximumByteCount: UInt64) async throws(ColdStoreError) -> Upload

    /// What is known of an object; `nil` when there is none.
    func status(of key: ObjectKey) async throws(ColdStoreError) -> ObjectStatus?

    /// The bytes of a range, all of them.
    ///
    /// - Throws: `.notFound`; `.failed` when the object ends before the range does.
    func read(_ key: ObjectKey, _ range: Range<UInt64>) async throws(ColdStoreError) -> ByteBuffer

    /// At most `limit` objects whose keys come after `key`, in the order of their keys: for disaster recovery, as nothing
    /// else tells what is there by asking the store.
    func list(after key: ObjectKey?, limit: Int) async throws(ColdStoreError) -> [ObjectStatus]

    /// What it means that an object is not there: `.notFound`, or `.offline` where it may be on a medium that was taken out.
    var absence: ColdStoreError.Code { get }
}

extension ObjectStore {
    public var absence: ColdStoreError.Code { .notFound }
}

/// A store that objects can be removed from.
///
/// Apart from `ObjectStore`, so that what stores and reads is given nothing that deletes. Whether an object may go (holds,
/// permits, copies elsewhere) is for the caller to know before.
public protocol ObjectRemoval: Sendable {
    /// Removes an object; one that is not there has been removed.
    func remove(_ key: ObjectKey) async throws(ColdStoreError)

    /// Removes what uploads of an object have left that nobody goes on with.
    func removeUnfinished(_ key: ObjectKey) async throws(ColdStoreError)
}

/// An object that is being written, by one task.
public protocol ObjectUpload: Sendable {
    /// Writes the next bytes; returns when the store is ready for more.
    mutating func write(_ bytes: ByteBuffer) async throws(ColdStoreError)

    /// Makes the object durable and seen, in this order.
    ///
    /// - Throws: `.exists` when there is one of that key now; nothing of ours is left then. After any other error the object
    ///   may be there, whole, when it is the last step whose answer was lost or failed: ask for its status.
    mutating func finish() async throws(ColdStoreError)

    /// Gives up: nothing is left of it, as far as the store can be reached.
    mutating func abort() async
}
