// SPDX-License-Identifier: Apache-2.0

import ColdStore
import Coordinator
import DIMSE
import Ingest
import Placement
import Reconciliation
import Repair
import ReplicationTransport
import StorageNode

// The keys of each role's configuration file. deploy/varve.example.yaml documents them; keep both in step.

extension Settings {
    mutating func cluster() throws -> ClusterID {
        let text = try required("cluster")
        guard let cluster = ClusterID(text) else {
            throw SettingsError("'cluster' is '\(text)', it must be a UUID; every process of a cluster has the same")
        }
        return cluster
    }

    /// The stores of packs that the process may use.
    mutating func coldStores() throws -> [ColdPlace] {
        try list("cold-stores").map { text in
            do throws(ColdStoreError) {
                return try ColdPlace(text)
            } catch {
                throw SettingsError("'cold-stores' has '\(text)': \(error.message)")
            }
        }
    }

    /// Where storage nodes and ingest nodes of one host meet; `nil` when it is not given.
    mutating func socketDirectory() throws -> String? {
        let path = string("socket-directory", default: "")
        guard !path.isEmpty else { return nil }
        guard LocalSocket.isUsable(path) else {
            throw SettingsError("'socket-directory' is '\(path)', which is too long: a socket's path has 107 bytes")
        }
        return path
    }
}

extension StorageNodeConfiguration {
    init(_ settings: inout Settings) throws {
        let name = try settings.required("name")
        self.init(
            name: name,
            cluster: try settings.cluster(),
            dataDirectory: try settings.required("data"),
            host: settings.string("listen.host", default: "127.0.0.1"),
            port: try settings.integer("listen.port", default: 7_042, in: 0...65_535),
            domain: FailureDomain(
                site: settings.string("domain.site", default: "default"),
                rack: settings.string("domain.rack", default: "default"),
                host: settings.string("domain.host", default: name)
            )
        )
        socketDirectory = try settings.socketDirectory()
        diskDirectories = settings.list("disks")
        coldStores = try settings.coldStores()
        segmentByteCount = try settings.integer("segment-bytes", default: segmentByteCount, in: 1 << 20...1 << 36)
        minimumFreeBytes = try settings.integer("minimum-free-bytes", default: minimumFreeBytes, in: 0...1 << 50)
        compactionSeconds = try settings.integer("compaction-seconds", default: compactionSeconds, in: 0...1 << 31)
        deletionGraceSeconds = try settings.integer(
            "deletion-grace-seconds",
            default: deletionGraceSeconds,
            in: 0...1 << 31
        )
        trashGraceSeconds = try settings.integer("trash-grace-seconds", default: trashGraceSeconds, in: 0...1 << 31)
        scrubSeconds = try settings.integer("scrub-seconds", default: scrubSeconds, in: 0...1 << 31)
        let weight = try settings.integer("weight", default: -1, in: -1...1 << 31)
        self.weight = weight < 0 ? nil : UInt32(weight)
        try settings.finish()
    }
}

extension CoordinatorConfiguration {
    init(_ settings: inout Settings) throws {
        let nodes = try settings.list("storage-nodes").map { text in
            guard let node = NamedNode(text) else {
                throw SettingsError("'storage-nodes' has '\(text)', it must be NAME=HOST:PORT")
            }
            return node
        }
        guard !nodes.isEmpty else {
            throw SettingsError("'storage-nodes' is empty: list every storage node, NAME=HOST:PORT")
        }
        self.init(
            name: try settings.required("name"),
            cluster: try settings.cluster(),
            catalog: try settings.required("catalog"),
            storageNodes: nodes
        )
        leaseMilliseconds = Int64(try settings.integer("lease-milliseconds", default: 10_000, in: 1_000...600_000))
        heartbeatMilliseconds = Int64(
            try settings.integer("heartbeat-milliseconds", default: 1_000, in: 100...60_000)
        )
        lossSettlingSeconds = try settings.integer(
            "loss-settling-seconds",
            default: lossSettlingSeconds,
            in: 2...86_400
        )
        verifySeconds = try settings.integer("verify-seconds", default: verifySeconds, in: 0...31_536_000)
        packVerifySeconds = try settings.integer("pack-verify-seconds", default: packVerifySeconds, in: 0...315_360_000)
        lifecycleRoundSeconds = try settings.integer(
            "lifecycle-round-seconds",
            default: lifecycleRoundSeconds,
            in: 0...31_536_000
        )
        let purgeSeconds = try settings.integer("purge-seconds", default: 3_600, in: 0...31_536_000)
        purge.period = purgeSeconds > 0 ? .seconds(purgeSeconds) : nil
        purge.grace = .seconds(try settings.integer("purge-after-seconds", default: 7 * 86_400, in: 0...1 << 31))
        copies = try settings.integer("copies", default: copies, in: 1...16)
        try readMembership(&settings)
        repair.streamsPerNode = try settings.integer("repair-streams", default: repair.streamsPerNode, in: 1...16)
        repair.bytesPerSecond = Int64(
            try settings.integer("repair-bytes-per-second", default: Int(repair.bytesPerSecond), in: 0...1 << 40)
        )
        repair.backOff.first = .seconds(try settings.integer("repair-retry-seconds", default: 60, in: 1...3_600))
        repair.passingPause = min(repair.passingPause, repair.backOff.first)
        repair.surveyInterval = .seconds(try settings.integer("survey-seconds", default: 60, in: 1...86_400))
        let drops = settings.string("repair-drop-surplus", default: "yes")
        guard ["yes", "no"].contains(drops) else {
            throw SettingsError("'repair-drop-surplus' must be yes or no")
        }
        repair.dropsSurplus = drops == "yes"
        let dropsPacked = settings.string("drop-packed-copies", default: "no")
        guard ["yes", "no"].contains(dropsPacked) else {
            throw SettingsError("'drop-packed-copies' must be yes or no")
        }
        dropsPackedCopies = dropsPacked == "yes"
        let purges = settings.string("purge-packs", default: "no")
        guard ["yes", "no"].contains(purges) else { throw SettingsError("'purge-packs' must be yes or no") }
        purgesPacks = purges == "yes"
        packGraceSeconds = try settings.integer("pack-grace-seconds", default: packGraceSeconds, in: 0...31_536_000)
        try settings.finish()
    }

    private mutating func readMembership(_ settings: inout Settings) throws {
        let suspect = try settings.integer("suspect-seconds", default: 5, in: 1...86_400)
        let down = try settings.integer("down-seconds", default: 20, in: 1...86_400)
        let out = try settings.integer("out-seconds", default: 900, in: 1...31_536_000)
        guard suspect < down, down < out else {
            throw SettingsError(
                "it must be suspect-seconds < down-seconds < out-seconds, but they are \(suspect), \(down) and \(out)"
            )
        }
        membership.suspectAfter = .seconds(suspect)
        membership.downAfter = .seconds(down)
        membership.outAfter = .seconds(out)
        membership.steadyAfter = .seconds(try settings.integer("steady-seconds", default: 300, in: 0...86_400))
        membership.weightsSettleAfter = .seconds(
            try settings.integer("weights-settle-seconds", default: 3_600, in: 1...31_536_000)
        )
        membership.longestBeat = max(membership.longestBeat, .milliseconds(heartbeatMilliseconds * 3))
    }
}

extension IngestConfiguration {
    init(_ settings: inout Settings) throws {
        self.init(
            name: try settings.required("name"),
            cluster: try settings.cluster(),
            catalog: try settings.required("catalog"),
            spoolDirectory: try settings.required("spool")
        )
        dicomHost = settings.string("dicom.host", default: dicomHost)
        dicomPort = try settings.integer("dicom.port", default: dicomPort, in: 0...65_535)
        aeTitle = settings.string("dicom.ae-title", default: aeTitle)
        socketDirectory = try settings.socketDirectory()
        destinations = try settings.list("destinations").map { text in
            guard let destination = MoveDestination(text) else {
                throw SettingsError("'destinations' has '\(text)', it must be AE=HOST:PORT")
            }
            return destination
        }
        moveAssociations = try settings.integer("move-associations", default: moveAssociations, in: 1...16)
        coldStores = try settings.coldStores()
        httpHost = settings.string("http.host", default: httpHost)
        httpPort = try settings.integer("http.port", default: httpPort, in: 0...65_535)
        corsOrigins = settings.list("http.cors-origins")
        for origin in corsOrigins {
            if let problem = Self.problem(withOrigin: origin) {
                throw SettingsError("'http.cors-origins' has '\(origin)': \(problem)")
            }
        }
        let deletion = settings.string("http.delete", default: httpDelete.rawValue)
        guard let httpDelete = HTTPDeletePolicy(rawValue: deletion) else {
            let known = HTTPDeletePolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError("'http.delete' is '\(deletion)', it must be one of: \(known)")
        }
        self.httpDelete = httpDelete
        try readRejections(&settings)
        copies = try settings.integer("copies", default: copies, in: 1...16)
        acknowledgements = try settings.integer("ack", default: min(acknowledgements, copies), in: 1...copies)
        acknowledgementSpreadSeconds = try settings.integer(
            "acknowledgement-spread-seconds",
            default: acknowledgementSpreadSeconds,
            in: 1...43_200
        )
        commitmentPatienceSeconds = try settings.integer(
            "commitment-patience-seconds",
            default: commitmentPatienceSeconds,
            in: 0...604_800
        )
        try readWatch(&settings)
        codecThreads = try settings.integer("codec-threads", default: codecThreads, in: 0...256)
        maximumInMemoryDataSetByteCount = try settings.integer(
            "memory-data-set-bytes",
            default: maximumInMemoryDataSetByteCount,
            in: 1 << 20...1 << 30
        )
        maximumAssociations = try settings.integer(
            "dicom.maximum-associations",
            default: maximumAssociations,
            in: 1...10_000
        )
        catalogConnections = try settings.integer(
            "catalog-connections",
            default: catalogConnections,
            in: 2...100
        )
        catalogSweepHours = try settings.integer("catalog-sweep-hours", default: catalogSweepHours, in: 0...8_760)
        let codec = settings.string("codec", default: codec.rawValue)
        guard let codecClass = CodecClass(rawValue: codec) else {
            let known = CodecClass.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError("'codec' is '\(codec)', it must be one of: \(known)")
        }
        self.codec = codecClass
        let policy = settings.string("validation", default: validation.rawValue)
        guard let validation = ValidationPolicy(rawValue: policy) else {
            let known = ValidationPolicy.allCases.map(\.rawValue).joined(separator: ", ")
            throw SettingsError("'validation' is '\(policy)', it must be one of: \(known)")
        }
        self.validation = validation
        let quarantine = settings.string("quarantine", default: "")
        self.quarantineDirectory = quarantine.isEmpty ? nil : quarantine
        let metadata = settings.string("metadata-cache", default: "")
        self.metadataDirectory = metadata.isEmpty ? nil : metadata
        metadataByteCount = try settings.integer("metadata-cache-bytes", default: metadataByteCount, in: 0...1 << 50)
        let journal = settings.string("journal", default: "")
        self.journalDirectory = journal.isEmpty ? nil : journal
        try settings.finish()
    }

    private mutating func readRejections(_ settings: inout Settings) throws {
        rejectionSenders = try settings.list("rejection-notes-from").map { text in
            guard let title = try? AETitle(text) else {
                throw SettingsError("'rejection-notes-from' has '\(text)', it must be AE titles")
            }
            return title.value
        }
        let overHTTP = settings.string("rejection-notes-over-http", default: "no")
        guard ["yes", "no"].contains(overHTTP) else {
            throw SettingsError("'rejection-notes-over-http' must be yes or no")
        }
        rejectionsOverHTTP = overHTTP == "yes"
        let quality = settings.string("rejection-notes-quality", default: "hide")
        guard ["hide", "keep"].contains(quality) else {
            throw SettingsError("'rejection-notes-quality' must be hide or keep")
        }
        keepsRejectedForQuality = quality == "keep"
    }

    private mutating func readWatch(_ settings: inout Settings) throws {
        watch.sampleOneOf = try settings.integer("watch-sample", default: watch.sampleOneOf, in: 0...1_000_000)
        watch.limitPerMinute = try settings.integer("watch-per-minute", default: watch.limitPerMinute, in: 1...60)
        watch.sampleLimit = try settings.integer("watch-limit", default: watch.sampleLimit, in: 1...1_000_000)
        let ages = settings.list("watch-ages")
        if !ages.isEmpty {
            watch.agesInSeconds = try ages.map { text in
                guard let age = Int(text), (1...31_536_000).contains(age) else {
                    throw SettingsError("'watch-ages' has '\(text)', it must be seconds, from 1 to 31536000")
                }
                return age
            }
            guard ages.count <= 16 else { throw SettingsError("'watch-ages' has more than 16 ages") }
        }
        watch.patienceSeconds = try settings.integer(
            "watch-patience-seconds",
            default: watch.patienceSeconds,
            in: 0...604_800
        )
        watch.servers = try settings.list("watch-servers").map { text in
            guard let server = WatchServer(text) else {
                throw SettingsError("'watch-servers' has '\(text)', it must be http://HOST:PORT")
            }
            return server
        }
    }
}
