// SPDX-License-Identifier: Apache-2.0

import DICOM
import FuzzHarness
import NIOCore

/// The JSON model of what the data set parser read: it must be JSON, whatever text, numbers and bytes were in it.
///
/// Input as for `DataSetFuzz`.
enum JSONFuzz {
    static let target = FuzzTarget("json", seeds: DataSetFuzz.seeds, run: run)

    // Safety: libFuzzer runs one input at a time, on one thread.
    nonisolated(unsafe) private static var output = ByteBuffer()
    nonisolated(unsafe) private static var second = ByteBuffer()

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let selector = bytes.takeByte()
        let syntax = DataSetFuzz.syntaxes[Int(selector & 0x0F) % DataSetFuzz.syntaxes.count]
        guard let result = try? DataSetReader.read(bytes, transferSyntax: syntax, limits: DataSetFuzz.limits) else {
            return
        }
        self.output.clear()
        let usesURI = selector & 0x10 != 0
        DICOMJSON.write(result.dataSet, into: &self.output) { path, _ in usesURI ? "http://host/\(path)" : nil }
        let isSound = self.output.withUnsafeReadableBytes { text in
            var checker = JSONChecker(text)
            return checker.isOneObject()
        }
        FuzzTarget.check(isSound, "this is no JSON: \(self.output.hexadecimal)")
        if !usesURI { self.checkReading(result.dataSet) }
    }

    /// What was written can be read; what comes of that is written the same as often as one likes.
    ///
    /// The first writing drops what JSON has no form for, such as unknown VRs, and the second may then know more of an
    /// element than the first: from the third on nothing changes.
    static func checkReading(_ dataSet: DataSet) {
        self.write(dataSet, into: &self.output)
        self.write(self.read(self.output), into: &self.second)
        self.write(self.read(self.second), into: &self.output)
        self.write(self.read(self.output), into: &self.second)
        FuzzTarget.check(
            self.output == self.second,
            "JSON reads differently: \(String(buffer: self.output)) \(String(buffer: self.second))"
        )
    }

    private static func write(_ dataSet: DataSet, into buffer: inout ByteBuffer) {
        buffer.clear()
        DICOMJSON.write(dataSet, into: &buffer)
    }

    private static func read(_ text: ByteBuffer) -> DataSet {
        do throws(DICOMError) {
            return try DICOMJSON.read(text)
        } catch {
            FuzzTarget.fail("JSON of ours cannot be read: \(error) \(String(buffer: text))")
        }
    }
}

/// JSON as a client sends it: what was read can be written, as JSON that reads equal and as a data set.
enum JSONReadFuzz {
    static let target = FuzzTarget("json-read", maximumByteCount: 2_048, seeds: seeds, run: run)

    static func run(_ input: ByteBuffer) {
        guard let dataSets = try? DICOMJSON.readAll(input, limits: DataSetFuzz.limits, bulkData: self.bulkData) else {
            return
        }
        for dataSet in dataSets {
            JSONFuzz.checkReading(dataSet)
            do throws(DICOMError) {
                let bytes = try DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian)
                let read = try DataSetReader.read(bytes, transferSyntax: .explicitVRLittleEndian).dataSet
                FuzzTarget.check(read == dataSet, "a data set from JSON reads differently: \(bytes.hexadecimal)")
            } catch {
                FuzzTarget.fail("what was read from JSON cannot be written and read: \(error)")
            }
        }
    }

    private static func bulkData(_ reference: DICOMJSON.BulkDataReference) throws(DICOMError) -> ElementValue {
        .bytes(ByteBuffer(string: "bulk"))
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let written = SampleDataSets.all.map { dataSet in
            var text = ByteBuffer()
            DICOMJSON.write(dataSet, into: &text) { _, element in element.tag.isPixelData ? "../bulk" : nil }
            return text
        }
        let texts = [
            #"[{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"},null]}}]"#,
            #"{"00280010":{"vr":"US","Value":["12",3]},"00091010":{"vr":"SV","Value":["-9223372036854775808"]}}"#,
            #"{"0018 0050":{},"00180050":{"Value":[1.25e2,-0.5]},"00091014":{"vr":"FD","Value":["NaN",1e308]}}"#,
            #"{"00081115":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2"]}},{},null]}}"#,
            #"{"00081140":{"vr":"SQ","Value":[{"00080005":{"vr":"CS"},"00100020":{"vr":"LO","Value":["é"]}}]}}"#,
            #"{"00091001":{"vr":"UN","InlineBinary":"AQIDBA=="},"00200062":{"vr":"CS","Value":["\u004c\\\/"]}}"#,
        ]
        return written + texts.map { ByteBuffer(string: $0) }
    }
}

/// The grammar of RFC 8259, and UTF-8, checked without building anything.
struct JSONChecker {
    private let text: UnsafeRawBufferPointer
    private var index = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    mutating func isOneObject() -> Bool {
        guard self.peek == UInt8(ascii: "{"), self.value(), self.index == self.text.count else { return false }
        return String(validating: self.text, as: UTF8.self) != nil
    }

    private var peek: UInt8 { self.index < self.text.count ? self.text[self.index] : 0 }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.index += 1
        return true
    }

    private mutating func take(_ word: StaticString) -> Bool {
        word.withUTF8Buffer { bytes in bytes.allSatisfy { self.take($0) } }
    }

    private mutating func value() -> Bool {
        switch self.peek {
        case UInt8(ascii: "{"): self.list(UInt8(ascii: "}")) { $0.string() && $0.take(UInt8(ascii: ":")) && $0.value() }
        case UInt8(ascii: "["): self.list(UInt8(ascii: "]")) { $0.value() }
        case UInt8(ascii: "\""): self.string()
        case UInt8(ascii: "n"): self.take("null")
        case UInt8(ascii: "t"): self.take("true")
        case UInt8(ascii: "f"): self.take("false")
        default: self.number()
        }
    }

    private mutating func list(_ end: UInt8, _ entry: (inout Self) -> Bool) -> Bool {
        self.index += 1
        if self.take(end) { return true }
        repeat {
            guard entry(&self) else { return false }
        } while self.take(UInt8(ascii: ","))
        return self.take(end)
    }

    private mutating func string() -> Bool {
        guard self.take(UInt8(ascii: "\"")) else { return false }
        while self.index < self.text.count {
            let byte = self.text[self.index]
            self.index += 1
            if byte == UInt8(ascii: "\"") { return true }
            if byte < 0x20 { return false }
            if byte == UInt8(ascii: "\\"), !self.escape() { return false }
        }
        return false
    }

    private mutating func escape() -> Bool {
        let letter = self.peek
        self.index += 1
        guard letter == UInt8(ascii: "u") else { return "\"\\/bfnrt".utf8.contains(letter) }
        for _ in 0..<4 {
            guard Character(UnicodeScalar(self.peek)).isHexDigit else { return false }
            self.index += 1
        }
        return true
    }

    private mutating func number() -> Bool {
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")), !self.digits() { return false }
        if self.take(UInt8(ascii: ".")), !self.digits() { return false }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            return self.digits()
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = self.index
        while (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self.peek) { self.index += 1 }
        return self.index > start
    }
}
