// SPDX-License-Identifier: Apache-2.0

extension Condition {
    /// A line a condition; the parts of a combination stand below it, indented.
    ///
    /// The outermost "all" is what several keys of a rule are, and has no line of its own.
    public var outline: [String] {
        if case .all(let conditions) = self { return conditions.flatMap { $0.outline(indent: "") } }
        return outline(indent: "")
    }

    private func outline(indent: String) -> [String] {
        [indent + description] + parts.flatMap { $0.outline(indent: indent + "  ") }
    }
}
