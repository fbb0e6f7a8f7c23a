// SPDX-License-Identifier: Apache-2.0

package import DICOM
package import DICOMWeb
package import NIOCore

/// One match of a C-FIND, as the catalog knows it: values by tag.
package struct FindResult: Sendable, Hashable {
    /// What is not here has no value.
    package var values: [Tag: DICOMJSONValue]
    /// What the instances of a series have in common, made once for all of them; `values` comes before it.
    private let common: [Tag: DICOMJSONValue]
    /// Of an instance, where the query has keys that the catalog does not hold.
    package var object: DataSet?

    package init(values: [Tag: DICOMJSONValue], common: [Tag: DICOMJSONValue] = [:]) {
        self.values = values
        self.common = common
    }

    init(_ result: SearchResult) {
        self.init(
            values: Dictionary(
                uniqueKeysWithValues: result.attributes.map { attribute, value in (Tag(attribute), value) }
            )
        )
    }

    private func value(_ tag: Tag) -> DICOMJSONValue? { values[tag] ?? common[tag] }

    /// The identifier of the response: every key of the query, in the encoding of `syntax` (PS3.4 §C.4.1.1.3.2).
    ///
    /// Text beyond ASCII goes out as UTF-8, and then only Specific Character Set is there.
    package func identifier(for query: FindQuery, syntax: TransferSyntax) throws(DICOMError) -> ByteBuffer {
        var dataSet = DataSet()
        var isASCII = true
        for key in query.keys {
            let text: String
            switch key.source {
            case .object(let shape):
                if let element = object?[key.tag], let object {
                    dataSet.set(element, of: object, shape: shape)
                    isASCII = isASCII && dataSet[key.tag]?.value.isASCII != false
                }
                if dataSet[key.tag] != nil || key.vr.isBulk { continue }
                text = ""
            // How soon a match can be had it says itself.
            case .constant(let constant):
                text = key.tag == .instanceAvailability ? values[key.tag]?.text ?? constant : constant
            case .catalog:
                let value = value(key.tag) ?? .empty
                if key.vr == .us {
                    dataSet.set(key.tag, .us, integers: value.integers)
                    continue
                }
                text = value.text
            }
            if key.vr == .sq {
                dataSet.set(DataElement(tag: key.tag, vr: .sq, value: .items([])))
                continue
            }
            isASCII = isASCII && text.utf8.allSatisfy { $0 < 0x80 }
            dataSet.set(key.tag, key.vr, text)
        }
        if !isASCII { dataSet.set(.specificCharacterSet, .cs, "ISO_IR 192") }
        return try DataSetWriter.write(dataSet, transferSyntax: syntax)
    }
}

extension FindResult {
    /// The value of a key that has one.
    func text(_ tag: Tag) -> String? {
        if case .strings(let texts)? = value(tag) { texts.first } else { nil }
    }
}

extension ElementValue {
    /// Whether all of it, items included, is below 80H.
    fileprivate var isASCII: Bool {
        switch self {
        case .bytes(let bytes): bytes.readableBytesView.allSatisfy { $0 < 0x80 }
        case .items(let items): items.allSatisfy { $0.dataSet.elements.allSatisfy { $0.value.isASCII } }
        default: true
        }
    }
}

extension DICOMJSONValue {
    /// As an element of a data set has it: values with backslashes between.
    fileprivate var text: String {
        switch self {
        case .empty: ""
        case .strings(let values), .personNames(let values), .numberTexts(let values):
            values.joined(separator: "\\")
        case .integers(let values): values.map { String($0) }.joined(separator: "\\")
        case .bulkDataURI(let uri): uri
        }
    }

    fileprivate var integers: [Int] {
        if case .integers(let values) = self { values } else { [] }
    }
}
