// SPDX-License-Identifier: Apache-2.0

import Lifecycle

/// A look at the characters of a YAML text before it is parsed, for what must not reach the parser.
///
/// - A value with an anchor can be repeated by aliases, and by aliases of those: ten lines may stand for a billion values.
///   Tags are refused with them, so that nothing but the beginning of a node stands before an anchor.
/// - Keys that are lists or mappings, nested in each other, take the parser long to compare.
///
/// The parser hands out no events, so the characters are looked at, without regard to quotes and comments: that errs on the
/// safe side, and refuses a text with a colon and a `&NAME` after it.
enum YAMLScan {
    static func problem(in text: String) -> RuleSetError.Problem? {
        var location = SourceLocation(line: 1, column: 1)
        /// The last character that is no blank, of this line: what stands before a node's beginning. Nil: nothing does.
        var before: Unicode.Scalar?
        let scalars = text.unicodeScalars
        var index = scalars.startIndex
        while index < scalars.endIndex {
            let scalar = scalars[index]
            index = scalars.index(after: index)
            let next = index < scalars.endIndex ? scalars[index] : nil
            if isMark(scalar), before.map(isBeforeNode) ?? true, let problem = problem(scalar, next, location) {
                return problem
            }
            if scalar == ":", before == "]" || before == "}" {
                return RuleSetError.Problem(
                    at: location,
                    "a list is no key",
                    "write 'KEY: VALUE'; a text must not have a colon after ']' or '}'"
                )
            }
            if isLineBreak(scalar) {
                before = nil
                // CR LF is one line break.
                if scalar != "\r" || next != "\n" { location = SourceLocation(line: location.line + 1, column: 1) }
                continue
            }
            if scalar != " ", scalar != "\t", scalar != "\u{FEFF}" { before = scalar }
            location = SourceLocation(line: location.line, column: location.column + 1)
        }
        return nil
    }

    static func aliasProblem(at location: SourceLocation) -> RuleSetError.Problem {
        RuleSetError.Problem(
            at: location,
            "a value that begins with '*' is an alias in YAML, and there are none in rule sets",
            "put it into quotes: '*TEXT'"
        )
    }

    private static func problem(
        _ mark: Unicode.Scalar,
        _ next: Unicode.Scalar?,
        _ location: SourceLocation
    ) -> RuleSetError.Problem? {
        let isBlank = next.map { $0 == " " || $0 == "\t" || isLineBreak($0) } ?? true
        switch mark {
        case "&" where !isBlank:
            return RuleSetError.Problem(
                at: location,
                "there are no anchors ('&NAME') in rule sets",
                "repeat the value; put a text that begins with '&' into quotes"
            )
        case "!":
            return RuleSetError.Problem(
                at: location,
                "there are no tags ('!NAME') in rule sets",
                "leave it out; put a text that begins with '!' into quotes"
            )
        case "?":
            return RuleSetError.Problem(
                at: location,
                "there are no keys with '?' in rule sets",
                "write 'KEY: VALUE'; put a text that begins with '?' into quotes: '?TEXT'"
            )
        default:
            return nil
        }
    }

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool { scalar == "&" || scalar == "!" || scalar == "?" }

    /// What a node may follow on the same line; `-` also as the last of `---`.
    private static func isBeforeNode(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "-", ":", ",", "[", "{", "?": true
        default: false
        }
    }

    /// As libyaml has them.
    private static func isLineBreak(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}": true
        default: false
        }
    }
}
