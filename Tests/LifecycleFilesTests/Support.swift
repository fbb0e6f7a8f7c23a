// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lifecycle
import LifecycleFiles

/// The examples that are shipped, in `deploy/lifecycle`.
enum Examples {
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("deploy/lifecycle")

    static func read(_ name: String) throws -> RuleSet {
        try RuleFile.read(path: folder.appendingPathComponent(name).path)
    }
}

/// What is wrong with a text, a line a problem; empty when nothing is.
func problems(_ yaml: String) -> String {
    do throws(RuleSetError) {
        _ = try RuleFile.read(text: yaml)
        return ""
    } catch {
        return error.description
    }
}

/// A whole file with some rules, or with other policies.
func file(policies: String? = nil, rules: String = "") -> String {
    let policies =
        policies ?? "  active: {copies: {hot: 2}}\n  archive: {copies: {hot: 1, cold: 1}}\n  expired: {expire: yes}"
    return """
        version: 1
        tiers:
          hot: {nodes: hot}
          cold: {packs: {directory: /srv/cold}}
        policies:
        \(policies)
        default: active
        \(rules.isEmpty ? "" : "rules:\n" + rules)
        """
}
