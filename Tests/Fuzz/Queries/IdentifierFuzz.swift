// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import DIMSE
import FuzzHarness
import Ingest
import NIOCore

/// Identifiers of C-FIND, C-GET and C-MOVE: what is understood can be answered, with the keys that were asked for.
///
/// Input: one byte for model, options and transfer syntax, then the identifier.
enum IdentifierFuzz {
    static let target = FuzzTarget("identifier", maximumByteCount: 1_024, seeds: seeds, run: run)

    private static let syntaxes: [TransferSyntax] = [
        .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian, .deflatedExplicitVRLittleEndian,
    ]
    private static let limits: ReadLimits = {
        var limits = ReadLimits()
        limits.maximumElementCount = 2_000
        limits.maximumItemCount = 2_000
        limits.maximumInflatedByteCount = 1 << 20
        return limits
    }()

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let selector = bytes.takeByte()
        let syntax = syntaxes[Int(selector >> 4 & 3)]
        let model: QueryRetrieveSOPClass.Model = selector & 1 == 0 ? .studyRoot : .patientRoot
        var options: QueryRetrieveOptions = []
        if selector & 2 != 0 { options.insert(.relational) }
        if selector & 4 != 0 { options.insert(.fuzzyNames) }
        if selector & 8 != 0 { options.insert(.combinedDateTime) }
        guard let identifier = try? DataSetReader.read(bytes, transferSyntax: syntax, limits: limits).dataSet else {
            return
        }
        if let keys = try? RetrieveKeys(identifier, model: model) {
            FuzzTarget.check(
                !keys.patientID.isEmpty || !keys.studies.isEmpty,
                "keys that name neither patient nor study would retrieve everything"
            )
        }
        guard let query = try? FindQuery(identifier, model: model, options: options, retrieveAETitle: "VARVE") else {
            return
        }
        FuzzTarget.check(
            zip(query.keys, query.keys.dropFirst()).allSatisfy { $0.tag < $1.tag },
            "the keys of a result are not in order"
        )
        do throws(DICOMError) {
            let response = try FindResult(values: [:]).identifier(for: query, syntax: syntax)
            let read = try DataSetReader.read(response, transferSyntax: syntax).dataSet
            for key in query.keys {
                FuzzTarget.check(read[key.tag] != nil, "a result lacks \(key.tag)")
            }
        } catch {
            FuzzTarget.fail("a result cannot be written and read: \(error)")
        }
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let keys: [[(Tag, VR, String)]] = [
            [(.queryRetrieveLevel, .cs, "STUDY"), (.patientName, .pn, "A*"), (.studyDate, .da, "20200101-")],
            [(.queryRetrieveLevel, .cs, "PATIENT"), (.patientID, .lo, "1"), (.numberOfPatientRelatedStudies, .is, "")],
            [
                (.queryRetrieveLevel, .cs, "SERIES"), (.patientID, .lo, "1"), (.studyInstanceUID, .ui, "1.2"),
                (.modality, .cs, "CT\\MR"), (.studyDate, .da, "20200101-20201231"), (.studyTime, .tm, "12-08"),
            ],
            [
                (.queryRetrieveLevel, .cs, "IMAGE"), (.patientID, .lo, "1"), (.studyInstanceUID, .ui, "1.2"),
                (.seriesInstanceUID, .ui, "1.3"), (.sopInstanceUID, .ui, "1.4\\1.5"), (.rows, .us, ""),
                (Tag(0x0009, 0x0010), .lo, "OWNER"), (Tag(0x0009, 0x1001), .lo, ""), (.instanceNumber, .is, "7"),
            ],
        ]
        return keys.flatMap { elements in
            syntaxes.indices.flatMap { index in
                [0, 1, 15].map { (low: UInt8) in
                    var dataSet = DataSet()
                    for (tag, vr, text) in elements {
                        if vr == .us {
                            dataSet.set(tag, vr, integers: [])
                        } else {
                            dataSet.set(tag, vr, text)
                        }
                    }
                    var seed = ByteBuffer(integer: UInt8(index << 4) | low)
                    // What can't be written would be a mistake of this file's.
                    if let bytes = try? DataSetWriter.write(dataSet, transferSyntax: syntaxes[index]) {
                        seed.writeImmutableBuffer(bytes)
                    }
                    return seed
                }
            }
        }
    }
}
