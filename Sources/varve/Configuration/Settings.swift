// SPDX-License-Identifier: Apache-2.0

import Foundation
import Yams

/// The settings of one process: a YAML file's keys, each overridden by its environment variable when that is set.
///
/// Nested keys are joined by dots (`dicom.port`); the variable of a key is `VARVE_` and the key in capitals with dots
/// and hyphens as underscores (`VARVE_DICOM_PORT`). Lists of plain values are held as one text, joined by commas.
/// Every key has to be asked for: ``finish()`` refuses a file with keys that nobody asked for, so that a misspelt key
/// is an error instead of a default.
struct Settings {
    private let file: [String: String]
    private let environment: [String: String]
    private let path: String
    private var known: Set<String> = []

    /// Reads `path` (YAML); a missing or unreadable file is an error, `nil` means environment and defaults only.
    init(path: String?, environment: [String: String] = ProcessInfo.processInfo.environment) throws {
        self.environment = environment
        self.path = path ?? "the environment"
        guard let path else {
            self.file = [:]
            return
        }
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw SettingsError("cannot read the configuration file \(path): \(error.localizedDescription)")
        }
        do {
            var flat: [String: String] = [:]
            try Self.flatten(Yams.compose(yaml: text), under: "", into: &flat)
            self.file = flat
        } catch let error as SettingsError {
            throw SettingsError("\(path): \(error.message)")
        } catch {
            throw SettingsError("\(path) is not valid YAML: \(error)")
        }
    }

    private static func flatten(_ node: Node?, under prefix: String, into flat: inout [String: String]) throws {
        switch node {
        case .mapping(let mapping):
            for (key, value) in mapping {
                guard let key = key.string else { throw SettingsError("a key under '\(prefix)' is not plain text") }
                try flatten(value, under: prefix.isEmpty ? key : "\(prefix).\(key)", into: &flat)
            }
        case .sequence(let items):
            flat[prefix] = try items.map { item in
                guard let text = item.scalar?.string else {
                    throw SettingsError(
                        "'\(prefix)' is a list of plain values, line \(item.mark?.line ?? 0) is not one"
                    )
                }
                return text
            }.joined(separator: ",")
        case .scalar(let scalar):
            if prefix.isEmpty {
                if !scalar.string.isEmpty { throw SettingsError("the file is not a list of 'key: value' lines") }
            } else {
                flat[prefix] = scalar.string
            }
        case .alias, .none:
            break
        }
    }

    /// The variable that overrides `key`.
    static func variable(for key: String) -> String {
        "VARVE_" + key.uppercased().replacingOccurrences(of: ".", with: "_").replacingOccurrences(of: "-", with: "_")
    }

    /// The value of `key`, or nil when neither the environment nor the file has it.
    mutating func optional(_ key: String) -> String? {
        known.insert(key)
        let value = environment[Self.variable(for: key)] ?? file[key]
        return value == "" ? nil : value
    }

    mutating func string(_ key: String, default fallback: String) -> String {
        optional(key) ?? fallback
    }

    mutating func required(_ key: String) throws -> String {
        guard let value = optional(key) else {
            throw SettingsError("'\(key)' is missing: set it in \(path) or as \(Self.variable(for: key))")
        }
        return value
    }

    mutating func integer(_ key: String, default fallback: Int, in range: ClosedRange<Int>) throws -> Int {
        guard let text = optional(key) else { return fallback }
        guard let value = Int(text), range.contains(value) else {
            throw SettingsError(
                "'\(key)' is '\(text)', it must be a whole number from \(range.lowerBound) to \(range.upperBound)"
            )
        }
        return value
    }

    mutating func list(_ key: String) -> [String] {
        (optional(key) ?? "").split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter {
            !$0.isEmpty
        }
    }

    /// Refuses keys of the file that were never asked for.
    func finish() throws {
        let unknown = file.keys.filter { !known.contains($0) }.sorted()
        guard unknown.isEmpty else {
            throw SettingsError(
                "\(path) has unknown keys: \(unknown.joined(separator: ", ")); known are \(known.sorted().joined(separator: ", "))"
            )
        }
    }
}

/// What is wrong with a configuration, in words for the operator.
struct SettingsError: Error, CustomStringConvertible {
    let message: String

    init(_ message: String) {
        self.message = message
    }

    var description: String { message }
}
