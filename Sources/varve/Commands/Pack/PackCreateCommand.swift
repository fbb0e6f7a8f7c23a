// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Checksums
import ColdStore
import DICOM
import Foundation
import NIOCore
import PackFormat
import Placement

/// `varve pack create PATH...`: makes a pack of DICOM files.
struct PackCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a pack of the DICOM files of one study, each byte for byte as it is.",
        discussion: """
            With --store the pack lies at ABC/STUDY/PACK.zip there; a directory has to be made a store first, by 'varve pack \
            init'. Nothing is written over. What an interrupted run leaves behind is a file whose name begins with a dot, or \
            unfinished parts in a bucket; run it again.

            Example: varve pack create --output study.zip ./study
                     varve pack create --store s3://archive/packs --endpoint https://s3.example.org --path-style ./study
            """
    )

    @Argument(help: "Files, or folders that are searched for DICOM files.") var paths: [String]
    @Option(help: "The file to write.") var output: String?
    @Option(help: "The store to write to: file:///DIRECTORY or s3://BUCKET/PREFIX.") var store: String?
    @Option(help: "The UUID of a cluster, to be noted in the pack; without, that of the store.") var cluster: String?
    @Option(help: "The storage class of the object in a bucket; without, the bucket's own.") var storageClass: String?
    @Option(
        help: ArgumentHelp(
            "Lock the object in its bucket against removal, like governance:365 (days) or compliance:365.",
            valueName: "mode:days"
        )
    )
    var objectLock: String?
    @OptionGroup var bucket: BucketOptions
    @Flag(help: "Print JSON.") var json = false

    /// Bytes that are read at once.
    private static let pieceByteCount: UInt64 = 1 << 20
    /// What a manifest and a directory have for each instance at most, when there is no metadata in them.
    private static let overheadByteCount: UInt64 = 2048

    func validate() throws {
        guard (output == nil) != (store == nil) else { throw ValidationError("name one of --output and --store") }
        _ = try PackPlace.cluster(cluster)
        guard let objectLock else { return }
        guard ObjectLock(objectLock) != nil else {
            throw ValidationError(
                "--object-lock \(objectLock): it must be like governance:365, for at most \(ObjectLock.maximumDays) days"
            )
        }
        guard store?.hasPrefix("s3://") == true else {
            throw ValidationError("--object-lock is for objects in a bucket: name one with --store s3://BUCKET/PREFIX")
        }
    }

    /// What was made, as JSON.
    private struct Report: Encodable {
        let pack: String
        let study: String
        let place: String
        let instances: Int
        let byteCount: UInt64
        let sha256: String
    }

    func run() async throws {
        let (sources, skipped) = try PackSource.find(paths)
        guard let first = sources.first else {
            throw CommandError("no DICOM files in \(paths.joined(separator: ", "))")
        }
        if let other = sources.first(where: { $0.study != first.study }) {
            throw CommandError(
                "these are files of several studies, \(first.study) and \(other.study): make a pack of each"
            )
        }
        if skipped > 0 { complain("left out: \(skipped) files that are not DICOM instances") }
        var generator = SystemRandomNumberGenerator()
        var description = PackDescription(
            id: PackID(using: &generator),
            cluster: try PackPlace.cluster(cluster),
            studyInstanceUID: first.study,
            createdAtMilliseconds: Int64(Date().timeIntervalSince1970 * 1000)
        )
        let summary: PackWriter.Summary
        let place: String
        if let output {
            place = output
            summary = try await write(sources, description, to: try await FileUpload.begin(at: output))
        } else {
            let store = store ?? ""
            let base = store.hasSuffix("/") ? String(store.dropLast()) : store
            guard let key = ObjectKey(description.key) else {
                throw CommandError("the Study Instance UID \(first.study) can't be a name in a store")
            }
            place = "\(base)/\(key)"
            if let path = try PackPlace.path(store) {
                let directory = try await DirectoryStore.open(path, cluster: description.cluster)
                description.cluster = description.cluster ?? directory.marker.cluster
                summary = try await write(sources, description, into: directory, key)
            } else {
                let found = description
                summary = try await PackPlace.use(
                    try bucket.store(store, storageClass: storageClass, lock: objectLock.flatMap { ObjectLock($0) })
                ) { bucket in
                    try await write(sources, found, into: bucket, key)
                }
            }
        }
        let report = Report(
            pack: description.id.description,
            study: first.study.string,
            place: place,
            instances: summary.instanceCount,
            byteCount: summary.byteCount,
            sha256: summary.digest.description
        )
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            varve.output(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            varve.output("\(report.instances) instances of study \(report.study), \(report.byteCount) bytes: \(place)")
            varve.output("sha256 \(report.sha256)")
        }
    }

    private func write(
        _ sources: [PackSource],
        _ description: PackDescription,
        into store: some ObjectStore,
        _ key: ObjectKey
    ) async throws -> PackWriter.Summary {
        let most = sources.reduce(UInt64(4096)) { $0 + $1.byteCount + Self.overheadByteCount }
        return try await write(sources, description, to: try await store.begin(key, maximumByteCount: most))
    }

    private func write(
        _ sources: [PackSource],
        _ description: PackDescription,
        to upload: some ObjectUpload
    ) async throws -> PackWriter.Summary {
        var upload = upload
        do {
            let summary = try await write(sources, description, pieceByPiece: &upload)
            try await upload.finish()
            return summary
        } catch {
            await upload.abort()
            throw error
        }
    }

    private func write(
        _ sources: [PackSource],
        _ description: PackDescription,
        pieceByPiece upload: inout some ObjectUpload
    ) async throws -> PackWriter.Summary {
        var writer = try PackWriter(description)
        var progress = PackProgress(total: sources.reduce(0) { $0 + $1.byteCount })
        for source in sources {
            let file = try await ObjectReader(path: source.path)
            let instance = PackInstance(
                seriesInstanceUID: source.series,
                sopInstanceUID: source.sopInstance,
                byteCount: file.byteCount,
                digest: nil
            )
            try await upload.write(try writer.begin(instance))
            var offset: UInt64 = 0
            while offset < file.byteCount {
                let end = min(offset + Self.pieceByteCount, file.byteCount)
                try await upload.write(try await writer.appendInParallel(try await file.read(offset..<end)))
                progress.add(end - offset)
                offset = end
            }
            try await upload.write(try writer.end())
        }
        let (bytes, summary) = try writer.finish()
        try await upload.write(bytes)
        return summary
    }
}
