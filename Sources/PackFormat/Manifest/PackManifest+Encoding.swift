// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import NIOCore
import Placement
import SegmentFormat

/// Writes a manifest an instance at a time, one line each (`docs/formats/pack.md`).
///
/// Every text in it is a UID, a UUID, hexadecimal or base64, so that nothing has to be escaped.
struct ManifestWriter: Sendable {
    private var lines = ByteBuffer()
    private(set) var count = 0

    /// Bytes so far, without the head.
    var byteCount: Int { lines.readableBytes }

    mutating func add(_ entry: PackEntry) {
        lines.writeString(count == 0 ? "\n" : ",\n")
        let instance = entry.instance
        lines.writeString("{\"path\":\"\(entry.path)\"")
        lines.writeString(",\"series\":\"\(instance.seriesInstanceUID)\",\"instance\":\"\(instance.sopInstanceUID)\"")
        if let record = instance.record { lines.writeString(",\"record\":\"\(record)\"") }
        lines.writeString(",\"offset\":\(entry.offset),\"byteCount\":\(instance.byteCount)")
        lines.writeString(",\"sha256\":\"\(entry.digest)\",\"crc32\":\"\(Hexadecimal.text(entry.crc32))\"")
        if !instance.frames.isEmpty {
            lines.writeString(",\"frames\":[")
            for (index, frame) in instance.frames.enumerated() {
                lines.writeString("\(index == 0 ? "" : ",")[\(frame.offset),\(frame.byteCount)]")
            }
            lines.writeString("]")
        }
        if let metadata = instance.metadata { write("metadata", metadata) }
        if !instance.amendments.isEmpty {
            lines.writeString(",\"amendments\":[")
            for (index, amendment) in instance.amendments.enumerated() {
                if index > 0 { lines.writeString(",") }
                write(amendment)
            }
            lines.writeString("]")
        }
        lines.writeString("}")
        count += 1
    }

    private mutating func write(_ amendment: PackAmendment) {
        let fact = amendment.amendment
        let reference = Identifier128(high: fact.reference.high, low: fact.reference.low)
        lines.writeString("{\"kind\":\(fact.kind.rawValue),\"term\":\(fact.order.term.rawValue)")
        lines.writeString(",\"sequence\":\(fact.order.sequence),\"issued\":\(fact.issuedAtMilliseconds)")
        lines.writeString(",\"reference\":\"\(reference.text)\"")
        if amendment.payload.readableBytes > 0 { write("payload", amendment.payload) }
        lines.writeString("}")
    }

    private mutating func write(_ key: String, _ bytes: ByteBuffer) {
        lines.writeString(",\"\(key)\":\"")
        Base64.append(bytes, to: &lines)
        lines.writeString("\"")
    }

    /// The whole manifest; `byteCount` and `digest` are of all bytes before its entry.
    consuming func finished(
        _ description: PackDescription,
        contentByteCount byteCount: UInt64,
        contentDigest digest: SHA256Digest
    ) -> ByteBuffer {
        var text = "{\"format\":\"varve-pack\",\"version\":1,\"pack\":\"\(description.id)\""
        if let cluster = description.cluster { text += ",\"cluster\":\"\(cluster)\"" }
        text += ",\"study\":\"\(description.studyInstanceUID)\""
        text += ",\"part\":\(description.part),\"parts\":\(description.partCount)"
        text += ",\"created\":\(description.createdAtMilliseconds)"
        text += ",\"byteCount\":\(byteCount),\"sha256\":\"\(digest)\",\"instances\":["
        var buffer = ByteBuffer(string: text)
        buffer.writeImmutableBuffer(lines)
        buffer.writeString("\n]}\n")
        return buffer
    }
}
