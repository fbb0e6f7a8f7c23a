// SPDX-License-Identifier: Apache-2.0

import Lifecycle
import Yams

extension LocatedValue {
    /// The one document of a YAML text.
    ///
    /// What is no YAML, and what is YAML that is refused here, is one problem alone.
    init(yaml text: String) throws(RuleSetError) {
        if let problem = YAMLScan.problem(in: text) { throw RuleSetError([problem]) }
        let root: Node?
        do {
            // Without rules for numbers, dates and the like: every scalar is the text that stands there.
            root = try Yams.compose(yaml: text, .basic, .default, .utf8)
        } catch {
            throw RuleSetError([Self.problem(error)])
        }
        guard let root else { throw RuleSetError.file("it is empty", "begin with 'version: 1'") }
        self = try Self.value(root, at: SourceLocation(line: 1, column: 1))
    }

    /// Depth is limited by libyaml: a thousand.
    private static func value(_ node: Node, at fallback: SourceLocation) throws(RuleSetError) -> LocatedValue {
        let location = node.mark.map { SourceLocation(line: $0.line, column: $0.column) } ?? fallback
        switch node {
        case .scalar(let scalar):
            return LocatedValue(.scalar(scalar.string), at: location)
        case .sequence(let nodes):
            var values: [LocatedValue] = []
            for node in nodes { values.append(try value(node, at: location)) }
            return LocatedValue(.sequence(values), at: location)
        case .mapping(let mapping):
            var entries: [Entry] = []
            for (key, node) in mapping {
                let place = key.mark.map { SourceLocation(line: $0.line, column: $0.column) } ?? location
                guard case .scalar(let name) = key else {
                    throw RuleSetError([RuleSetError.Problem(at: place, "a list is no key", "write 'KEY: VALUE'")])
                }
                entries.append(Entry(key: name.string, location: place, value: try value(node, at: place)))
            }
            return LocatedValue(.mapping(entries), at: location)
        case .alias:
            throw RuleSetError([YAMLScan.aliasProblem(at: location)])
        }
    }

    /// The place of a character.
    private static func location(of offset: Int, in text: String) -> SourceLocation {
        let lines = text.prefix(offset).split(omittingEmptySubsequences: false) { $0.isNewline }
        return SourceLocation(line: max(1, lines.count), column: 1 + (lines.last?.unicodeScalars.count ?? 0))
    }

    private static func problem(_ error: any Error) -> RuleSetError.Problem {
        switch error as? YamlError {
        case .duplicatedKeysInMapping(let keys, let context):
            RuleSetError.Problem(
                at: SourceLocation(line: context.mark.line, column: context.mark.column),
                "a key stands twice in one place: \(keys.sorted().joined(separator: ", "))",
                "leave one of them out"
            )
        case .composer(_, "found undefined alias", let mark, _):
            YAMLScan.aliasProblem(at: SourceLocation(line: mark.line, column: mark.column))
        case .composer(_, "but found another document", let mark, _):
            RuleSetError.Problem(
                at: SourceLocation(line: mark.line, column: mark.column),
                "there is a second document",
                "keep one rule set in a file"
            )
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            RuleSetError.Problem(
                at: SourceLocation(line: mark.line, column: mark.column),
                "this is not YAML: \(context.map { $0.text + ", " } ?? "")\(problem)",
                "look at indentation, colons and quotes here and in the line before"
            )
        case .reader(let problem, let offset, _, let text):
            RuleSetError.Problem(
                at: offset.map { Self.location(of: $0, in: text) },
                "this is not YAML: \(problem)",
                "leave the character out"
            )
        default:
            RuleSetError.Problem(at: nil, "this is not YAML", "look at indentation, colons and quotes")
        }
    }
}
