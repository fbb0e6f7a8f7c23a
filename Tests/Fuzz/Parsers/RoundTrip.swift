// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

/// What was read and is written again reads equal, and what was written once is written the same again.
enum RoundTrip {
    // Safety: libFuzzer runs one input at a time, on one thread.
    nonisolated(unsafe) private static var first = ByteBuffer()
    nonisolated(unsafe) private static var second = ByteBuffer()

    static func check(_ result: ReadResult) {
        let dataSet = result.dataSet
        let encoding = dataSet.encoding
        let again = self.rewrite(dataSet, encoding, .standard, into: &self.first)
        // Implicit VR cannot carry what such an item says.
        if encoding.isExplicitVR || !self.hasExplicitItem(dataSet) {
            FuzzTarget.check(again == dataSet, "what was written reads differently: \(self.first.hexadecimal)")
        }
        _ = self.rewrite(again, encoding, .standard, into: &self.second)
        FuzzTarget.check(self.first == self.second, "what was written is written differently the second time")
    }

    /// An item in explicit VR: readers take it for what it is, also within implicit VR.
    private static func hasExplicitItem(_ dataSet: DataSet) -> Bool {
        dataSet.elements.contains { element in
            guard case .items(let items) = element.value else { return false }
            return items.contains { $0.dataSet.encoding.isExplicitVR || self.hasExplicitItem($0.dataSet) }
        }
    }

    /// A sequence that holds no items: bytes whose order nobody knows, which may look like items in the other order.
    private static func hasBrokenSequence(_ dataSet: DataSet) -> Bool {
        dataSet.elements.contains { element in
            switch element.value {
            case .bytes(let bytes): element.vr == .sq && bytes.readableBytes > 0
            case .items(let items): items.contains { self.hasBrokenSequence($0.dataSet) }
            case .fragments: false
            }
        }
    }

    /// In another encoding it can be read, and its canonical form is one: digests are made of that.
    static func checkConversion(_ result: ReadResult, to encoding: DataSetEncoding) {
        guard !self.hasBrokenSequence(result.dataSet) else { return }
        // Not every encoding has a form for everything.
        self.second.clear()
        if (try? DataSetWriter.append(result.dataSet, encoding: encoding, to: &self.second)) != nil {
            let converted = self.rewrite(result.dataSet, encoding, .standard, into: &self.first)
            _ = self.rewrite(converted, encoding, .standard, into: &self.second)
        }
        let canonical = self.rewrite(result.dataSet, .explicitLittleEndian, .canonical, into: &self.first)
        _ = self.rewrite(canonical, .explicitLittleEndian, .canonical, into: &self.second)
        FuzzTarget.check(
            self.first == self.second,
            "the canonical form has another: \(self.first.hexadecimal) \(self.second.hexadecimal)"
        )
    }

    /// Writes and reads.
    private static func rewrite(
        _ dataSet: DataSet,
        _ encoding: DataSetEncoding,
        _ options: DataSetWriter.Options,
        into buffer: inout ByteBuffer
    ) -> DataSet {
        buffer.clear()
        do throws(DICOMError) {
            try DataSetWriter.append(dataSet, encoding: encoding, options: options, to: &buffer)
        } catch {
            FuzzTarget.fail("what was read cannot be written: \(error)")
        }
        do throws(DICOMError) {
            return try DataSetReader.read(buffer, encoding: encoding).dataSet
        } catch {
            FuzzTarget.fail("what was written cannot be read: \(error); \(buffer.hexadecimal)")
        }
    }
}
