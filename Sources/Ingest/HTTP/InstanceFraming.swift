// SPDX-License-Identifier: Apache-2.0

import DICOMWeb
import NIOCore

/// What goes between instances of a body that holds several: parts of `multipart/related`, or files of an archive.
enum InstanceFraming: Sendable {
    case multipart(MultipartWriter, ServiceRoot)
    case zip(ZipWriter)

    var contentType: String {
        switch self {
        case .multipart(let writer, _): writer.contentType
        case .zip: "application/zip"
        }
    }

    /// What goes before an instance's bytes.
    mutating func begin(_ instance: StoredInstance, _ prepared: PreparedInstance) -> ByteBuffer {
        switch self {
        case .multipart(var writer, let root):
            let head = writer.head(
                transferSyntax: prepared.transferSyntax,
                location: root.url(
                    study: instance.studyInstanceUID,
                    series: instance.seriesInstanceUID,
                    instance: instance.sopInstanceUID
                ),
                byteCount: prepared.byteCount
            )
            self = .multipart(writer, root)
            return head
        case .zip:
            let uids = [instance.studyInstanceUID, instance.seriesInstanceUID, instance.sopInstanceUID]
            let name = uids.map(Self.fileName).joined(separator: "/") + ".dcm"
            return withZipWriter { $0.begin(name: name, byteCount: prepared.byteCount) } ?? ByteBuffer()
        }
    }

    /// Takes note of bytes of the instance begun last.
    mutating func add(_ buffers: [ByteBuffer]) {
        withZipWriter { writer in
            for buffer in buffers { writer.add(buffer) }
        }
    }

    /// What goes after the bytes of the instance begun last.
    mutating func end() -> ByteBuffer {
        withZipWriter { $0.end() } ?? ByteBuffer()
    }

    /// What goes after the last instance.
    func finish() -> ByteBuffer {
        switch self {
        case .multipart(let writer, _): writer.end()
        case .zip(let writer): writer.finish()
        }
    }

    /// Changes the archive's writer in place: a copy of it would copy its directory, once an instance.
    @discardableResult
    private mutating func withZipWriter<Result>(_ body: (inout ZipWriter) -> Result) -> Result? {
        guard case .zip(var writer) = self else { return nil }
        self = .zip(ZipWriter())
        defer { self = .zip(writer) }
        return body(&writer)
    }

    /// A UID as the name of a file: what is no UID must not lead out of the archive.
    private static func fileName(_ uid: String) -> String {
        let name = uid.utf8.reduce(into: "") { name, byte in
            let isPlain =
                switch byte {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."):
                    true
                default: false
                }
            name.unicodeScalars.append(isPlain ? Unicode.Scalar(byte) : "_")
        }
        return name.isEmpty || name.hasPrefix(".") ? "_\(name)" : name
    }
}
