// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import Placement
import Testing

extension WatchedInstance {
    /// Some instance whose bytes digest to `digest`.
    static func sample(
        digest: SHA256Digest = SHA256Digest(words: (1, 2, 3, 4)),
        pixels: SHA256Digest? = nil,
        received: TransferSyntax = .explicitVRLittleEndian,
        stored: TransferSyntax = .explicitVRLittleEndian,
        isNoted: Bool = false
    ) throws -> WatchedInstance {
        WatchedInstance(
            try entry(digest: digest, pixels: pixels, received: received, stored: stored),
            isNoted: isNoted
        )
    }

    static func entry(
        digest: SHA256Digest = SHA256Digest(words: (1, 2, 3, 4)),
        pixels: SHA256Digest? = nil,
        received: TransferSyntax = .explicitVRLittleEndian,
        stored: TransferSyntax = .explicitVRLittleEndian
    ) throws -> InstanceEntry {
        InstanceEntry(
            patient: PatientAttributes(patientID: "P"),
            study: StudyAttributes(studyInstanceUID: "1.2.3"),
            series: SeriesAttributes(seriesInstanceUID: "1.2.3.1", modality: "CT"),
            instance: InstanceAttributes(sopInstanceUID: "1.2.3.1.1", sopClassUID: "1.2"),
            contentDigest: digest,
            pixelDigest: pixels,
            receivedTransferSyntax: received.uid.string,
            storedTransferSyntax: stored.uid.string,
            receivedByteCount: 1,
            storedByteCount: 1,
            recordID: try #require(RecordID(high: 7, low: 1)),
            nodes: [],
            receivedAtMilliseconds: 0
        )
    }
}

/// Samples as the catalog keeps them, which may be away; remembers what it was told.
final class MemoryWatchLedger: WatchLedger {
    struct State {
        var isAway = false
        var hasRoom = true
        var standing = WatchStanding(isInTrash: false, isOther: false)
        var entered: [WatchedInstance] = []
        var due: [WatchLook] = []
        var running: [[Int64]] = []
        var told: [String] = []
    }

    let state = NIOLockedValueBox(State())

    private func tell<Value>(_ value: (inout State) -> Value) throws(CatalogError) -> Value {
        let told: Value? = state.withLockedValue { $0.isAway ? nil : value(&$0) }
        guard let told else { throw CatalogError(.unavailable, "away") }
        return told
    }

    func enterSample(
        _ instance: WatchedInstance,
        acceptedBy name: String,
        age: Duration,
        firstAgeSeconds: Int,
        limit: Int
    ) async throws(CatalogError) -> Bool {
        try tell { state in
            if state.hasRoom { state.entered.append(instance) }
            return state.hasRoom
        }
    }

    func claimLooks(
        by holder: String,
        for claim: Duration,
        deference: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [WatchLook] {
        try tell { state in
            state.running.append(running)
            return Array(state.due.filter { !running.contains($0.id) }.prefix(limit))
        }
    }

    func passLook(_ id: Int64, by holder: String, nextAgeSeconds: Int?) async throws(CatalogError) -> Bool {
        try tell { $0.told.append("passed, next \(nextAgeSeconds.map { "\($0)" } ?? "never")") }
        return true
    }

    func failLook(
        _ id: Int64,
        by holder: String,
        as failure: String,
        note: String,
        isAlarm: Bool,
        retryAfter delay: Duration
    ) async throws(CatalogError) -> Bool {
        try tell { $0.told.append("\(failure)\(isAlarm ? ", alarm" : "")") }
        return true
    }

    func dropSample(_ id: Int64, by holder: String) async throws(CatalogError) -> Bool {
        try tell { $0.told.append("dropped") }
        return true
    }

    func watchOverview() async throws(CatalogError) -> WatchOverview { try tell { _ in WatchOverview() } }

    func watchStanding(of instance: WatchedInstance) async throws(CatalogError) -> WatchStanding {
        try tell { $0.standing }
    }
}
