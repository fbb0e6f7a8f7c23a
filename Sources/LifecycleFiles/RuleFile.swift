// SPDX-License-Identifier: Apache-2.0

import Foundation
public import Lifecycle

/// Rule sets as files are written: YAML, of which anchors, aliases, tags and explicit keys are left out.
///
/// Keeps nothing and may be used from any thread. For files of operators and bodies of requests alike: time and memory
/// are bounded by ``maximumByteCount``.
public enum RuleFile {
    /// Bytes of a file; a thousand rules of ten lines are a third of it.
    public static let maximumByteCount = 1 << 20

    /// Reads and checks the rule set in a file.
    public static func read(path: String) throws(RuleSetError) -> RuleSet {
        try read(bytes: contents(of: path))
    }

    /// Reads and checks a rule set, which must be UTF-8.
    public static func read(bytes: [UInt8]) throws(RuleSetError) -> RuleSet {
        guard bytes.count <= maximumByteCount else {
            throw RuleSetError.file("it has more than \(maximumByteCount) bytes", "shorten it")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw RuleSetError.file("it is not UTF-8", "save it as UTF-8")
        }
        return try read(text: text)
    }

    /// Reads and checks a rule set.
    public static func read(text: String) throws(RuleSetError) -> RuleSet {
        guard text.utf8.count <= maximumByteCount else {
            throw RuleSetError.file("it has more than \(maximumByteCount) bytes", "shorten it")
        }
        return try RuleSet(reading: LocatedValue(yaml: text))
    }

    private static func contents(of path: String) throws(RuleSetError) -> [UInt8] {
        // One byte more than may be tells a file that is too large, whatever it is that is read (a device has no size).
        do {
            let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            defer {
                // Nothing was written: what is lost is a file descriptor at worst.
                try? file.close()
            }
            return [UInt8](try file.read(upToCount: maximumByteCount + 1) ?? Data())
        } catch {
            throw RuleSetError.file("it cannot be read: \(error.localizedDescription)", "name a file of rules")
        }
    }
}

extension RuleSetError {
    /// What is wrong with a file as a whole.
    static func file(_ what: String, _ advice: String) -> RuleSetError {
        RuleSetError([Problem(at: nil, what, advice)])
    }
}
