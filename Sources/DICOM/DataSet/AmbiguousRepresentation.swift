// SPDX-License-Identifier: Apache-2.0

/// Representations that PS3.6 leaves open (`US or SS`): decided by other elements of the data set.
enum AmbiguousRepresentation {
    /// Corrects US to SS in what was read before Pixel Representation was, items included.
    static func resolveSigns(_ dataSet: inout DataSet, isSigned inherited: Bool) {
        let isSigned = dataSet.integer(.pixelRepresentation).map { $0 == 1 } ?? inherited
        for index in dataSet.elements.indices {
            let element = dataSet.elements[index]
            switch element.value {
            case .items(var items):
                for item in items.indices { self.resolveSigns(&items[item].dataSet, isSigned: isSigned) }
                dataSet.setItems(items, at: index)
            case .bytes where isSigned && element.vr == .us && !dataSet.encoding.isExplicitVR:
                if DataDictionary.vr(for: element.tag).ambiguity == .unsignedOrSigned {
                    dataSet.setRepresentation(.ss, at: index)
                }
            default: break
            }
        }
    }
}
