// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import DIMSE
import Ingest
import NIOCore
import Testing

/// Identifiers of C-FIND with bytes changed, cut out, doubled and put in: understood or refused, and never answered with what
/// cannot be read.
@Suite struct HostileIdentifierTests {
    private static let syntaxes: [TransferSyntax] = [
        .implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
    ]
    private static let values: [(Tag, VR, [String])] = [
        (.patientName, .pn, ["Doe*", "*", "山田^太郎", "M?ller^J\u{F6}rg=a=b", ""]),
        (.patientID, .lo, ["4711", "A\\B", "?", ""]),
        (.studyDate, .da, ["20240101-20241231", "-20240101", "20240101-", "2024.01.01", "", "-"]),
        (.studyTime, .tm, ["10-12", "101500.5-", "", "24"]),
        (.studyInstanceUID, .ui, ["1.2.3", "1.2.3\\1.2.4", "*", ""]),
        (.seriesInstanceUID, .ui, ["1.2.3.4", ""]),
        (.modalitiesInStudy, .cs, ["CT", "CT\\MR", "C*", ""]),
        (.instanceNumber, .is, ["1", "01", "x", ""]),
        (.rows, .us, [""]),
        (.protocolName, .lo, ["HEAD*", ""]),
        (.specificCharacterSet, .cs, ["ISO_IR 192", "ISO 2022 IR 6\\ISO 2022 IR 87", "ISO_IR 100", "X"]),
    ]

    private static func identifier(_ random: inout SplitMix64) -> DataSet {
        var dataSet = DataSet()
        let levels = ["PATIENT", "STUDY", "STUDY", "STUDY", "SERIES", "IMAGE", "study"]
        dataSet.set(.queryRetrieveLevel, .cs, levels.randomElement(using: &random) ?? "")
        for (tag, vr, choices) in values where Int.random(in: 0..<3, using: &random) > 0 {
            dataSet.set(tag, vr, choices.randomElement(using: &random) ?? "")
        }
        if Bool.random(using: &random) {
            var item = DataSet()
            item.set(.scheduledProcedureStepID, .sh, ["S?", "", "A"].randomElement(using: &random) ?? "")
            dataSet.set(
                DataElement(tag: .requestAttributesSequence, vr: .sq, value: .items([SequenceItem(item)]))
            )
        }
        return dataSet
    }

    private static func damage(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
        for _ in 0..<Int.random(in: 0...3, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            let end = min(bytes.count, place + Int.random(in: 1...16, using: &random))
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
            default: bytes.removeSubrange(place...)
            }
        }
    }

    @Test func `whatever an identifier holds, it is understood and answered, or refused`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var random = SplitMix64(state: seed)
        var understoodCount = 0
        for round in 0..<20_000 {
            let syntax = Self.syntaxes[round % Self.syntaxes.count]
            var bytes = Array(
                try DataSetWriter.write(Self.identifier(&random), transferSyntax: syntax).readableBytesView
            )
            Self.damage(&bytes, &random)
            guard let read = try? DataSetReader.read(ByteBuffer(bytes: bytes), transferSyntax: syntax).dataSet else {
                continue
            }
            let model: QueryRetrieveSOPClass.Model = round % 2 == 0 ? .studyRoot : .patientRoot
            let options: QueryRetrieveOptions = round % 3 == 0 ? [.combinedDateTime, .relational] : []
            let query: FindQuery
            do throws(QueryRefusal) {
                query = try FindQuery(read, model: model, options: options, retrieveAETitle: "VARVE")
            } catch {
                #expect(!error.comment.isEmpty, "seed \(seed), round \(round)")
                continue
            }
            understoodCount += 1
            var result = FindResult(
                values: [
                    .patientName: .personNames(["山田^太郎"]), .rows: .integers([512]), .studyDate: .strings(["20240101"]),
                ],
                common: [.patientID: .strings(["4711"])]
            )
            result.object = read
            _ = query.objectKeys.map { $0.matches(read) }
            let answer = try result.identifier(for: query, syntax: syntax)
            let back = try DataSetReader.read(answer, transferSyntax: syntax).dataSet
            #expect(query.keys.allSatisfy { back[$0.tag] != nil || $0.vr.isBulk }, "seed \(seed), round \(round)")
        }
        #expect(understoodCount > 1000)
    }
}

private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
