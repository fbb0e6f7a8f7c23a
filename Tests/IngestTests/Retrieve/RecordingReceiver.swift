// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import Ingest
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix

/// Remembers what it was given and answers as told.
final class RecordingReceiver: InstanceReceiver {
    let files = NIOLockedValueBox<[ByteBuffer]>([])
    /// Data sets that came through the spool, as far as they were whole.
    let spooled = NIOLockedValueBox<[ByteBuffer]>([])
    /// Data sets that came in memory, without file meta information, and their syntaxes.
    let dataSets = NIOLockedValueBox<[(syntax: TransferSyntax, bytes: ByteBuffer)]>([])
    let maximumInMemoryByteCount = 100_000
    let answer: @Sendable (Int) -> ReceivedOutcome

    init(_ answer: @escaping @Sendable (Int) -> ReceivedOutcome) { self.answer = answer }

    func makeIntake() -> SpoolIntake {
        SpoolIntake(directory: "/tmp", maximumByteCount: 5_000_000, pool: .singleton)
    }

    func receive(_ dataSet: SpooledDataSet, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome {
        do throws(DICOMNetworkError) {
            let bytes = try await dataSet.read(0..<(try await dataSet.byteCount()))
            let count = spooled.withLockedValue { spooled in
                spooled.append(bytes)
                return spooled.count
            }
            return answer(count)
        } catch {
            return failed(0xA700)
        }
    }

    func receive(_ dataSet: ByteBuffer, transferSyntax: TransferSyntax, study: String?) async -> ReceivedOutcome {
        answer(
            dataSets.withLockedValue { dataSets in
                dataSets.append((transferSyntax, dataSet))
                return dataSets.count
            }
        )
    }

    func receive(_ file: ByteBuffer, study: String?) async -> ReceivedOutcome {
        answer(
            files.withLockedValue { files in
                files.append(file)
                return files.count
            }
        )
    }
}

func stored(_ number: Int) -> ReceivedOutcome {
    var outcome = ReceivedOutcome(.stored)
    outcome.sopClassUID = "1.2"
    outcome.sopInstanceUID = "1.2.\(number)"
    outcome.studyInstanceUID = "1"
    outcome.seriesInstanceUID = "1.1"
    return outcome
}

func failed(_ reason: UInt16) -> ReceivedOutcome {
    var outcome = stored(1)
    outcome.result = .failed(reason, "because")
    return outcome
}
