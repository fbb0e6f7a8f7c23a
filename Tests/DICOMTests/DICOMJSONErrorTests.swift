// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

@Suite struct DICOMJSONErrorTests {
    @Test(
        arguments: [
            ("", DICOMError.Code.truncated), ("{", .truncated), ("nul", .invalidJSON), ("1", .invalidJSON),
            ("{}x", .invalidJSON), ("{} {}", .invalidJSON), (#"{"a":1}"#, .invalidJSON),
            (#"{"FFFEE000":{}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS"},"00100010":{"vr":"PN"},"00080060":{"vr":"CS","Value":["CT"]}}"#, .invalidJSON),
            (#"{"00081140":{"vr":"SQ","Value":[{"00080060":{"vr":"CS"},"00080060":{"vr":"UN"}}]}}"#, .invalidJSON),
            (#"{"00080060":1}"#, .invalidJSON), (#"{"00080060":{"vr":"ZZ"}}"#, .invalidJSON),
            (#"{"00080060":{"vr":5}}"#, .invalidJSON), (#"{"00091001":{"Value":["x"]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":"CT"}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":[true]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":[{}]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["CT"}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["CT",]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["\q"]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["\ud800"]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["\udc00\ud800"]}}"#, .invalidJSON),
            (#"{"00080060":{"vr":"CS","Value":["\u00g0"]}}"#, .invalidJSON),
            ("{\"00080060\":{\"vr\":\"CS\",\"Value\":[\"a\nb\"]}}", .invalidJSON),
            (#"{"00280010":{"vr":"US","Value":[65536]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"US","Value":[-1]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"US","Value":[1.5]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"US","Value":["x"]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"US","Value":[01]}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"US","Value":[1.]}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"US","Value":[--1]}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"FL","Value":[1e300]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"FD","Value":["0x10"]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"AT","Value":["0010"]}}"#, .invalidValue),
            (#"{"00280010":{"vr":"OB","Value":["AQ=="]}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"OB","Value":[1]}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"OB","InlineBinary":"A"}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"OB","InlineBinary":"A=Q="}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"OB","InlineBinary":"AQ="}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"OB","InlineBinary":"*"}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"SQ","InlineBinary":"AQ=="}}"#, .invalidJSON),
            (#"{"00280010":{"vr":"SQ","Value":[1]}}"#, .invalidJSON),
            (#"{"00280010":{"Value":[{"00100010":{"vr":"PN"}}],"vr":"LO"}}"#, .invalidJSON),
            (#"{"00280010":{"Value":[{},null,{"Alphabetic":"x"}],"vr":"SQ"}}"#, .invalidJSON),
        ] as [(String, DICOMError.Code)]
    )
    func refused(json: String, code: DICOMError.Code) {
        let error = readError { _ = try DICOMJSON.read(ByteBuffer(string: json)) }
        #expect(error?.code == code, "\(json)")
    }

    @Test func bytesThatAreNoUTF8() {
        let json = Array(#"{"00100020":{"vr":"LO","Value":[""#.utf8) + [0xE9] + Array("\"]}}".utf8)
        #expect(readError { _ = try DICOMJSON.read(ByteBuffer(bytes: json)) }?.code == .invalidJSON)
    }

    @Test func errorsSayWhereAndNameNoValues() {
        let json = #"{"00400275":{"vr":"SQ","Value":[{},{"00280010":{"vr":"US","Value":[1,70000]}}]}}"#
        let error = readError { _ = try DICOMJSON.read(ByteBuffer(string: json)) }
        #expect(
            error?.description
                == "invalidValue: US has a value that is no integer of 16 bits, at (0040,0275)[1].(0028,0010), "
                + "byte offset 69"
        )
    }

    @Test func truncationAtEveryOffset() throws {
        var buffer = ByteBuffer()
        DICOMJSON.write(DICOMJSONReadingTests.everyRepresentation, into: &buffer)
        for count in 0..<buffer.readableBytes {
            let cut = try #require(buffer.getSlice(at: 0, length: count))
            let error = readError { _ = try DICOMJSON.read(cut) }
            // A cut within a character of several bytes is no UTF-8.
            #expect(error?.code == .truncated || error?.code == .invalidJSON)
        }
    }

    @Test func limits() {
        var limits = ReadLimits()
        limits.maximumElementCount = 2
        limits.maximumItemCount = 3
        limits.maximumJSONByteCount = 200
        for json in [
            #"{"00080060":{"vr":"CS"},"00080061":{"vr":"CS"},"00080062":{"vr":"CS"}}"#,
            #"{"00081140":{"vr":"SQ","Value":[{},{},{},{}]}}"#, "[{},{},{},{}]", String(repeating: " ", count: 201),
        ] {
            let error = readError { _ = try DICOMJSON.readAll(ByteBuffer(string: json), limits: limits) }
            #expect(error?.code == .limitExceeded, "\(json)")
        }
    }

    @Test(arguments: [64, 65, 100_000], [true, false])
    func nestedSequences(depth: Int, isOrdered: Bool) {
        let (open, close) =
            isOrdered
            ? (#"{"00081140":{"vr":"SQ","Value":["#, "]}}") : (#"{"00081140":{"Value":["#, #"],"vr":"SQ"}}"#)
        let json = String(repeating: open, count: depth) + "{}" + String(repeating: close, count: depth)
        let error = readError { _ = try DICOMJSON.read(ByteBuffer(string: json)) }
        #expect(error?.code == (depth == 64 ? nil : .limitExceeded))
    }

    @Test(arguments: ["[", #"{"a":"#])
    func nestedJSON(open: String) {
        let json = #"{"00080060":{"other":"# + String(repeating: open, count: 1_000_000)
        #expect(readError { _ = try DICOMJSON.read(ByteBuffer(string: json)) }?.code == .limitExceeded)
    }

    @Test func mutations() throws {
        var buffer = ByteBuffer()
        DICOMJSON.write(DICOMJSONReadingTests.everyRepresentation, into: &buffer)
        let original = buffer.array
        var random = SplitMix64(state: HostileInputTests.seed)
        for _ in 0..<2000 {
            var mutant = original
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<mutant.count, using: &random)
                let bytes = Array(#"{}[]",:\0e.-"#.utf8) + [0xFF, 0]
                mutant[index] = bytes.randomElement(using: &random) ?? 0
            }
            let error = readError {
                let dataSet = try DICOMJSON.read(ByteBuffer(bytes: mutant))
                var again = ByteBuffer()
                DICOMJSON.write(dataSet, into: &again)
                _ = try DICOMJSON.read(again)
            }
            if let error { #expect(!error.message.isEmpty) }
        }
    }
}
