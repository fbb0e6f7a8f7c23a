// SPDX-License-Identifier: Apache-2.0

import Glibc
public import Logging

/// Writes one line a log entry to standard error: time (UTC), level, component, message, then `key=value` facts.
///
/// The supervisor or systemd appends standard error to a file; rotation is theirs. A line is written with a single
/// `write`, so that lines of several threads never mix. Contains no patient data because no caller may pass any.
public struct LineLogHandler: LogHandler {
    private let label: String

    public var logLevel: Logger.Level = .info
    public var metadata: Logger.Metadata = [:]

    /// Makes a handler for the component `label`.
    public init(label: String) {
        self.label = label
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var line = "\(Timestamp.now().text) \(event.level.rawValue) \(label): \(event.message)"
        let facts = metadata.merging(event.metadata ?? [:]) { _, new in new }
        for (key, value) in facts.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(Self.quoted("\(value)"))"
        }
        if let error = event.error {
            line += " error=\(Self.quoted("\(error)"))"
        }
        line += "\n"
        line.withUTF8 { bytes in
            // Nothing sensible can be done when standard error is gone: the entry is lost, the process lives on.
            _ = Glibc.write(STDERR_FILENO, bytes.baseAddress, bytes.count)
        }
    }

    /// The value as it is when it is one word, otherwise in quotes with line breaks and quotes escaped.
    private static func quoted(_ value: String) -> String {
        guard value.isEmpty || value.utf8.contains(where: { $0 <= 0x20 || $0 == UInt8(ascii: "\"") }) else {
            return value
        }
        var text = "\""
        for character in value.unicodeScalars {
            switch character {
            case "\"": text += "\\\""
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            default: text.unicodeScalars.append(character)
            }
        }
        return text + "\""
    }
}
