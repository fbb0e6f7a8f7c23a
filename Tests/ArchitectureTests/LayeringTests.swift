// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// Holds the layering of docs/architecture.md: which target may import which of ours, and which libraries.
///
/// A new edge is a one-line change here that a reviewer sees. Layers are listed lowest first, and a target may only
/// name targets that stand above it in this list.
@Suite struct LayeringTests {
    struct Rule: Sendable, CustomTestStringConvertible {
        let target: String
        let ours: Set<String>
        let libraries: Set<String>

        init(_ target: String, _ ours: Set<String>, _ libraries: Set<String> = []) {
            self.target = target
            self.ours = ours
            self.libraries = libraries
        }

        var testDescription: String { target }
    }

    static let nio: Set<String> = ["NIOCore", "NIOPosix", "NIOConcurrencyHelpers"]

    /// Target, the targets of ours that it may import, the libraries that it may import.
    static let rules: [Rule] = [
        // Pure: no sockets, files, clocks, locks, tasks, Foundation.
        Rule("Checksums", ["CISAL"], ["NIOCore", "Crypto"]),
        Rule("Placement", ["Checksums"]),
        Rule("Reconciliation", ["Placement"]),
        Rule("Lifecycle", []),
        Rule("DICOM", ["CZlib"], ["NIOCore", "Glibc"]),
        Rule("DIMSE", ["DICOM"], ["NIOCore"]),
        Rule("DICOMWeb", ["DICOM", "CZlib"], ["NIOCore"]),
        Rule("Rendering", ["DICOM", "CZlib", "CJPEGShim"], ["NIOCore", "Glibc"]),
        Rule("SegmentFormat", ["Checksums", "Placement"], ["NIOCore"]),
        Rule("PackFormat", ["DICOM", "SegmentFormat", "Checksums", "Placement"], ["NIOCore"]),
        Rule("ReplicationProtocol", ["Checksums", "Placement"], ["NIOCore"]),
        // Engines: one kind of I/O each.
        Rule("Telemetry", [], ["Logging", "NIOConcurrencyHelpers", "Synchronization", "Glibc"]),
        Rule(
            "PixelCodecs",
            ["CCharLS", "COpenJPEG", "COpenJPH", "CJPEGShim", "CPlatform"],
            nio.union(["Glibc", "Synchronization"])
        ),
        // Files past the page cache.
        Rule("DirectIO", ["CPlatform"], ["NIOCore", "NIOConcurrencyHelpers", "Glibc"]),
        Rule(
            "SegmentStore",
            ["SegmentFormat", "Checksums", "Placement", "DirectIO", "CLMDB", "CPlatform"],
            nio.union(["Logging", "Glibc", "Synchronization"])
        ),
        Rule("SimulatedDisk", ["SegmentStore"], ["NIOCore", "NIOConcurrencyHelpers", "Glibc"]),
        // Decides what to fetch from where; its peers are passed in.
        Rule("Healing", ["ReplicationProtocol", "Placement"], ["Logging"]),
        Rule(
            "LocalSegments",
            ["SegmentStore", "SegmentFormat", "ReplicationProtocol", "Placement", "CPlatform"],
            nio.union(["Logging", "Glibc"])
        ),
        Rule("LifecycleFiles", ["Lifecycle"], ["Yams", "Foundation"]),
        Rule("ClusterCertificates", [], ["Crypto", "X509", "SwiftASN1", "Foundation", "Glibc"]),
        Rule(
            "ReplicationTransport",
            ["ReplicationProtocol", "Checksums", "Placement"],
            nio.union(["NIOSSL", "Logging", "Glibc", "Synchronization"])
        ),
        Rule(
            "DICOMNetworking",
            ["DIMSE", "DICOM", "CPlatform"],
            nio.union(["Logging", "Glibc", "Synchronization"])
        ),
        Rule(
            "Catalog",
            ["DICOM", "Lifecycle", "Checksums", "Placement", "CPostgres"],
            nio.union(["Logging", "Glibc", "Synchronization"])
        ),
        // Decides which copies to make, and has them made; ledger, peers and clock are passed in.
        Rule(
            "Repair",
            ["Catalog", "Reconciliation", "ReplicationProtocol", "Placement", "Checksums"],
            ["Logging", "NIOConcurrencyHelpers"]
        ),
        Rule(
            "ColdStore",
            ["PackFormat", "Checksums", "Placement", "DirectIO", "CPlatform"],
            ["NIOCore", "NIOPosix", "NIOConcurrencyHelpers", "NIOHTTP1", "AsyncHTTPClient", "Crypto", "Glibc"]
        ),
        Rule(
            "Simulation",
            [
                "SimulatedDisk", "Healing", "Repair", "Catalog", "Reconciliation", "SegmentStore", "SegmentFormat",
                "ColdStore", "PackFormat", "DICOM", "ReplicationProtocol", "Placement", "Checksums",
            ],
            ["NIOCore", "NIOConcurrencyHelpers", "Logging"]
        ),
        Rule("varve-sim", ["Simulation"], ["Glibc"]),
        // Judges the studies of the catalog by a rule set.
        Rule("LifecyclePlanning", ["Catalog", "ColdStore", "Lifecycle", "Placement"]),
        Rule("Supervisor", ["CSpawn"], ["Logging", "Glibc", "Foundation", "Synchronization", "NIOConcurrencyHelpers"]),
        // Above the engines.
        Rule(
            "ClusterClient",
            ["LocalSegments", "SegmentStore", "ReplicationTransport", "ReplicationProtocol", "Placement", "Checksums"],
            nio.union(["Logging"])
        ),
        // Roles: never each other.
        Rule(
            "StorageNode",
            [
                "SegmentStore", "LocalSegments", "SegmentFormat", "ReplicationTransport", "ReplicationProtocol",
                "ColdStore", "PackFormat", "DICOM", "Placement", "Checksums",
            ],
            nio.union(["Logging", "Glibc", "ServiceLifecycle"])
        ),
        Rule(
            "Coordinator",
            [
                "Catalog", "Healing", "Repair", "Reconciliation", "ReplicationTransport", "ReplicationProtocol",
                "Placement", "Checksums", "Lifecycle", "LifecycleFiles", "LifecyclePlanning", "Telemetry",
            ],
            nio.union(["Logging", "ServiceLifecycle"])
        ),
        Rule(
            "Ingest",
            [
                "DICOM", "DIMSE", "DICOMWeb", "Rendering", "DICOMNetworking", "PixelCodecs", "SegmentFormat",
                "ReplicationProtocol",
                "ReplicationTransport", "Placement", "Checksums", "Catalog", "ClusterClient", "Repair",
                "Reconciliation", "ColdStore", "PackFormat", "Lifecycle", "LifecycleFiles",
                "LifecyclePlanning", "Telemetry",
            ],
            nio.union([
                "Logging", "Glibc", "Foundation", "Hummingbird", "HummingbirdCore", "NIOHTTP1", "HTTPTypes",
                "ServiceLifecycle", "Synchronization",
            ])
        ),
        // Wiring.
        Rule(
            "varve",
            [
                "Ingest", "StorageNode", "Coordinator", "Supervisor", "Catalog", "Telemetry", "Placement", "DICOM",
                "DIMSE", "DICOMNetworking", "PixelCodecs", "Checksums", "CPlatform", "ClusterCertificates",
                "ReplicationTransport", "ReplicationProtocol", "Reconciliation", "Repair", "Lifecycle",
                "LifecycleFiles", "PackFormat", "ColdStore",
            ],
            nio.union([
                "Logging", "Glibc", "Foundation", "FoundationNetworking", "ArgumentParser", "Yams", "ServiceLifecycle",
                "UnixSignals",
            ])
        ),
    ]

    @Test(arguments: rules)
    func `a target imports only what its layer may`(rule: Rule) throws {
        for file in try SourceTree.swiftFiles(under: "Sources/\(rule.target)") {
            for module in file.imports where !rule.ours.union(rule.libraries).contains(module) {
                Issue.record("\(file.path) must not import \(module)")
            }
        }
    }

    @Test func `the table is ordered by layer and equals the folders in Sources`() throws {
        var below: Set<String> = []
        let cTargets = try SourceTree.folders(in: "Sources").filter {
            $0.hasPrefix("C") && $0.dropFirst().first?.isUppercase == true
        }
        for rule in Self.rules {
            let upward = rule.ours.subtracting(below).subtracting(cTargets)
            #expect(upward.isEmpty, "\(rule.target) names \(upward.sorted()), which do not stand above it in the table")
            below.insert(rule.target)
        }
        #expect(try below == SourceTree.folders(in: "Sources").subtracting(cTargets))
    }
}
