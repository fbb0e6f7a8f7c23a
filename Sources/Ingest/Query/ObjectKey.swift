// SPDX-License-Identifier: Apache-2.0

package import DICOM

/// A key of a C-FIND that the catalog does not hold: matched against what instances say of themselves.
package struct ObjectKey: Sendable, Hashable {
    package enum Condition: Sendable, Hashable {
        /// Any of these values: plain, with wildcards where the VR allows them, or a range of dates or times.
        case values([String])
        /// One item of the sequence that matches all of these (PS3.4 section C.2.2.2.6).
        case item([ObjectKey])
    }

    package let tag: Tag
    package let vr: VR
    package let condition: Condition

    /// Reads a key of an identifier; nil where it matches everything: no value, no item, or an item of such keys.
    ///
    /// Throws A900H for a sequence of more than one item.
    package init?(_ element: DataElement, of identifier: DataSet) throws(QueryRefusal) {
        self.tag = element.tag
        self.vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
        if case .items(let items) = element.value {
            guard items.count <= 1 else {
                throw .identifier("a sequence must have one item to be matched", element.tag)
            }
            guard let item = items.first?.dataSet else { return nil }
            var keys: [ObjectKey] = []
            for inner in item.elements where !inner.tag.isGroupLength && inner.tag != .specificCharacterSet {
                if let key = try ObjectKey(inner, of: item) { keys.append(key) }
            }
            if keys.isEmpty { return nil }
            self.condition = .item(keys)
        } else {
            let values = identifier.strings(of: element).filter { !$0.isEmpty }
            if values.allSatisfy({ value in value.utf8.allSatisfy { $0 == UInt8(ascii: "*") } }) { return nil }
            self.condition = .values(values)
        }
    }

    /// Whether the data set has a value, or an item, that matches.
    package func matches(_ dataSet: DataSet) -> Bool {
        switch condition {
        case .item(let keys): dataSet.items(tag).contains { item in keys.allSatisfy { $0.matches(item) } }
        case .values(let wanted):
            dataSet.strings(tag).contains { value in
                !value.isEmpty && wanted.contains { Self.matches(value, $0, vr: vr) }
            }
        }
    }

    /// One value against one of a key's: a range of dates and times, a number, or text.
    private static func matches(_ value: String, _ wanted: String, vr: VR) -> Bool {
        switch vr {
        case .da, .tm, .dt:
            let found = instant(value)
            guard let dash = wanted.firstIndex(of: "-") else {
                let single = instant(wanted)
                return !single.isEmpty && found.hasPrefix(single)
            }
            let lower = instant(wanted[..<dash])
            let upper = instant(wanted[wanted.index(after: dash)...])
            // A bound without its last digits means all of that hour or day.
            return (!lower.isEmpty || !upper.isEmpty) && found >= lower
                && (upper.isEmpty || found <= upper || found.hasPrefix(upper))
        case .is, .us, .ss, .ul, .sl, .uv, .sv:
            return Int(value.filter { $0 != " " }).map { $0 == Int(wanted.filter { $0 != " " }) } ?? false
        case .ds, .fl, .fd:
            return Double(value.filter { $0 != " " }).map { $0 == Double(wanted.filter { $0 != " " }) } ?? false
        case .ui: return value == wanted
        case .pn:
            return matches(Array(value.lowercased().unicodeScalars), Array(wanted.lowercased().unicodeScalars))
        default: return matches(Array(value.unicodeScalars), Array(wanted.unicodeScalars))
        }
    }

    /// Digits only: old dates have dots, old times colons.
    private static func instant(_ text: some StringProtocol) -> String { String(text).filter { $0.isNumber } }

    /// `*` is any number of characters, `?` one; case counts (PS3.4 section C.2.2.2.4).
    ///
    /// Takes steps at most in proportion to the product of both lengths.
    private static func matches(_ text: [Unicode.Scalar], _ pattern: [Unicode.Scalar]) -> Bool {
        var (at, position) = (0, 0)
        var star: (pattern: Int, text: Int)?
        while at < text.count {
            if position < pattern.count, pattern[position] == "*" {
                star = (position, at)
                position += 1
            } else if position < pattern.count, pattern[position] == "?" || pattern[position] == text[at] {
                at += 1
                position += 1
            } else if let last = star {
                star = (last.pattern, last.text + 1)
                at = last.text + 1
                position = last.pattern + 1
            } else {
                return false
            }
        }
        return pattern[position...].allSatisfy { $0 == "*" }
    }
}
