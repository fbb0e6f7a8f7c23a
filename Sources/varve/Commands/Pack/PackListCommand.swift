// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Checksums
import ColdStore
import DICOM
import Foundation
import PackFormat
import Placement

/// `varve pack list PACK`: what is in a pack, or which packs are in a store.
struct PackListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show what is in a pack; or, of a place that ends with a slash, which packs lie there.",
        discussion: """
            Reads the pack's end only. A store is gone through object by object: that takes a while, and needs no catalog.

            Example: varve pack list study.zip
                     varve pack list s3://archive/packs/ --endpoint https://s3.example.org --path-style
            """
    )

    @Argument(help: "A file, or a URL like file:///DIRECTORY/ or s3://BUCKET/KEY.") var place: String
    @OptionGroup var bucket: BucketOptions
    @Flag(help: "Print JSON; of a store one object a line.") var json = false

    /// Objects that are asked for at once.
    private static let pageCount = 1000

    private struct PackReport: Encodable {
        struct Instance: Encodable {
            let path: String
            let series: String
            let instance: String
            let record: String?
            let offset: UInt64
            let byteCount: UInt64
            let sha256: String
            let frames: Int
            let amendments: Int
        }

        let pack: String
        let cluster: String?
        let study: String
        let part: Int
        let parts: Int
        let created: String
        let instances: [Instance]
    }

    private struct ObjectReport: Encodable {
        let key: String
        let byteCount: UInt64
    }

    func run() async throws {
        guard place.hasSuffix("/") else {
            show(try await PackPlace.read(place, bucket) { pack in try await pack.packManifest() })
            return
        }
        if let path = try PackPlace.path(place) {
            try await list(try await DirectoryStore.open(path))
        } else {
            try await PackPlace.use(try bucket.store(place)) { store in try await list(store) }
        }
    }

    private func show(_ manifest: PackManifest) {
        let description = manifest.description
        let created = Date(timeIntervalSince1970: Double(description.createdAtMilliseconds) / 1000)
            .formatted(.iso8601)
        let report = PackReport(
            pack: description.id.description,
            cluster: description.cluster?.description,
            study: description.studyInstanceUID.string,
            part: description.part,
            parts: description.partCount,
            created: created,
            instances: manifest.entries.map { entry in
                PackReport.Instance(
                    path: entry.path,
                    series: entry.instance.seriesInstanceUID.string,
                    instance: entry.instance.sopInstanceUID.string,
                    record: entry.instance.record?.description,
                    offset: entry.offset,
                    byteCount: entry.instance.byteCount,
                    sha256: entry.digest.description,
                    frames: entry.instance.frames.count,
                    amendments: entry.instance.amendments.count
                )
            }
        )
        if json {
            output(Self.json(report, .prettyPrinted))
            return
        }
        output("pack     \(report.pack), part \(report.part) of \(report.parts)")
        output("study    \(report.study)")
        output("cluster  \(report.cluster ?? "none: made from files")")
        output("created  \(report.created)")
        output("")
        var table = TextTable(["SERIES", "INSTANCE", "BYTES", "SHA-256"], rightAligned: [2])
        for instance in report.instances {
            table.add([instance.series, instance.instance, String(instance.byteCount), instance.sha256])
        }
        output(table.text)
    }

    private func list(_ store: some ObjectStore) async throws {
        var last: ObjectKey?
        while true {
            let page = try await store.list(after: last, limit: Self.pageCount)
            for object in page {
                let report = ObjectReport(key: object.key.string, byteCount: object.byteCount)
                output(json ? Self.json(report, .sortedKeys) : "\(report.byteCount)\t\(report.key)")
            }
            guard let end = page.last else { return }
            last = end.key
        }
    }

    private static func json(_ report: some Encodable, _ formatting: JSONEncoder.OutputFormatting) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [formatting, .sortedKeys, .withoutEscapingSlashes]
        // Texts and numbers always encode.
        return (try? encoder.encode(report)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}
