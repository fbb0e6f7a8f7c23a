// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Checks one element's VR against the dictionary and its value against its VR (PS3.5 section 6.2).
struct ValueCheck {
    let element: DataElement
    let dataSet: DataSet
    /// UN of a known element is what the dictionary says.
    private let vr: VR

    init(element: DataElement, dataSet: DataSet) {
        self.element = element
        self.dataSet = dataSet
        self.vr = element.vr == .un ? DataDictionary.vr(for: element.tag).vr : element.vr
    }

    func run(_ add: (CheckRule, String) -> Void) {
        self.checkDictionary(add)
        guard case .bytes(let bytes) = self.element.value, bytes.readableBytes > 0 else { return }
        let count: Int
        if self.vr.isText {
            if self.element.tag == .specificCharacterSet { CharacterSetTermCheck.run(bytes, add) }
            count = TextCheck(vr: self.vr, characterSet: self.dataSet.characterSet).run(bytes, add)
        } else {
            guard self.vr != .sq, self.vr.isKnown else { return }
            let width = self.vr == .at ? 4 : self.vr.wordByteCount
            guard bytes.readableBytes % width == 0 else {
                // An odd length of bytes is reported as such.
                if width > 1 {
                    add(.numberLength, "\(self.vr) has \(bytes.readableBytes) bytes, no multiple of \(width)")
                }
                return
            }
            guard !self.vr.isBulk else { return }
            count = bytes.readableBytes / width
        }
        self.checkMultiplicity(count, add)
    }

    private func checkDictionary(_ add: (CheckRule, String) -> Void) {
        let tag = self.element.tag
        guard !tag.isPrivate else { return }
        let (known, ambiguity) = DataDictionary.vr(for: tag)
        guard known != .un else {
            if DataDictionary.entry(for: tag) == nil, !tag.isGroupLength {
                add(.unknownElement, "the element is not in the data dictionary")
            }
            return
        }
        // UN is for those who did not know the element (PS3.5 section 6.2.2 note 1).
        guard self.element.vr != .un, self.element.vr.isKnown else { return }
        let allowed: [VR]
        switch ambiguity {
        case .none: allowed = [known]
        case .unsignedOrSigned: allowed = [.us, .ss, .ow]
        case .bytesOrWords: allowed = [.ow, .ob]
        case .unsignedOrWords: allowed = [.us, .ss, .ow]
        }
        guard !allowed.contains(self.element.vr) else { return }
        add(
            .dictionaryVR,
            "the VR is \(self.element.vr); the dictionary has \(allowed.map(\.description).joined(separator: " or "))"
        )
    }

    private func checkMultiplicity(_ count: Int, _ add: (CheckRule, String) -> Void) {
        guard let entry = DataDictionary.entry(for: self.element.tag), !entry.multiplicity.isEmpty,
            !Self.allows(entry.multiplicity, count)
        else { return }
        add(.multiplicity, "the element has \(count) values; the dictionary has \(entry.multiplicity)")
    }

    /// Understands `1`, `1-3`, `1-n` and `2-2n`.
    static func allows(_ multiplicity: String, _ count: Int) -> Bool {
        // Two alternatives, as in `1-n or 1`: not worth a rule.
        guard !multiplicity.contains(" ") else { return true }
        let parts = multiplicity.split(separator: "-")
        guard let first = parts.first, let least = Int(first) else { return true }
        guard parts.count == 2, let last = parts.last else { return count == least }
        guard last.last == "n" else { return count >= least && count <= Int(last) ?? Int.max }
        let step = Int(last.dropLast()) ?? 1
        return count >= least && count % step == 0
    }
}

/// The terms of Specific Character Set (PS3.3 section C.12.1.1.2).
enum CharacterSetTermCheck {
    static func run(_ bytes: ByteBuffer, _ add: (CheckRule, String) -> Void) {
        let terms = bytes.readableBytesView.split(separator: 0x5C, omittingEmptySubsequences: false)
            .map { SpecificCharacterSet.trim(String(decoding: $0, as: UTF8.self), vr: .cs) }
        for (index, term) in terms.enumerated() {
            let place = terms.count > 1 ? "term \(index + 1)" : "the term"
            guard !term.isEmpty else {
                if index > 0 { add(.characterSetForm, "\(place) is empty; only the first may be") }
                continue
            }
            guard let defined = Repertoire.definedTerm(for: term) else {
                add(.characterSetTerm, "\(place) names no character set of the standard")
                continue
            }
            if defined == "ISO_IR 6" {
                add(.characterSetForm, "\(place), ISO_IR 6, is no defined term; the default is an empty value")
            } else if defined != term {
                add(.characterSetForm, "\(place) is misspelt; it is understood as \(defined)")
            }
            let isExtension = defined.hasPrefix("ISO 2022")
            if terms.count > 1, !isExtension {
                let isAlone = !Repertoire(term: term.utf8).allowsExtensions
                add(
                    isAlone ? .characterSetTerm : .characterSetForm,
                    isAlone
                        ? "\(place), \(defined), takes no code extensions"
                        : "\(place), \(defined), is without code extensions; several terms use ISO 2022"
                )
            }
            if index == 0, ["87", "159", "149", "58"].contains(where: { defined == "ISO 2022 IR \($0)" }) {
                add(.characterSetForm, "\(defined) has two bytes a character and can't be the first term")
            }
        }
    }
}
