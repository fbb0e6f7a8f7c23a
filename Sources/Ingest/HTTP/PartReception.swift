// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMNetworking
import NIOCore

/// One part of a store transaction while it arrives.
///
/// In memory up to a limit; beyond it in the spool, and then it is stored while the rest arrives. For one task, which
/// ends with ``finish()`` or ``cancel()``.
final class PartReception {
    private enum State {
        case memory(ByteBuffer)
        /// The task is awaited by `finish` and `cancel`; it ends when the intake does.
        case spooled(SpoolIntake, Task<ReceivedOutcome, Never>)
        /// What comes is passed over.
        case refused(ReceivedOutcome)
    }

    private let receiver: any InstanceReceiver
    private let study: String?
    private var state = State.memory(ByteBuffer())

    /// `study` is the one that instances have to be of, if any.
    init(receiver: any InstanceReceiver, study: String?) {
        self.receiver = receiver
        self.study = study
    }

    /// Takes the next bytes of the part; waits while they are written.
    func append(_ bytes: ByteBuffer) async {
        switch state {
        case .memory(var memory):
            state = .memory(ByteBuffer())
            memory.writeImmutableBuffer(bytes)
            state = .memory(memory)
            if memory.readableBytes > receiver.maximumInMemoryByteCount { await spool(memory) }
        case .spooled(let intake, let storing):
            do throws(DICOMNetworkError) {
                try await intake.append(bytes)
            } catch {
                // The store task reads from the intake, and gets the same error.
                state = .refused(await storing.value)
            }
        case .refused: break
        }
    }

    /// The part is whole: what became of it.
    func finish() async -> ReceivedOutcome {
        switch state {
        case .memory(let file): return await receiver.receive(file, study: study)
        case .spooled(let intake, let storing):
            // An error is the store task's, too.
            try? await intake.finish()
            return await storing.value
        case .refused(let outcome): return outcome
        }
    }

    /// The rest of the part will not come.
    func cancel() async {
        guard case .spooled(let intake, let storing) = state else { return }
        intake.cancel()
        _ = await storing.value
    }

    /// Goes on in the spool, with what is behind the file meta information.
    private func spool(_ memory: ByteBuffer) async {
        do throws(StoreFailure) {
            let (syntax, dataSet) = try Self.split(memory)
            let intake = receiver.makeIntake()
            let (receiver, study, spooled) = (receiver, study, intake.dataSet)
            let storing = Task { await receiver.receive(spooled, transferSyntax: syntax, study: study) }
            state = .spooled(intake, storing)
            await append(dataSet)
        } catch {
            state = .refused(ReceivedOutcome(error))
        }
    }

    /// A Part 10 stream's transfer syntax and data set.
    ///
    /// The file's own meta information names the syntax; what the part's header declares is not to be trusted.
    static func split(_ file: ByteBuffer) throws(StoreFailure) -> (syntax: TransferSyntax, dataSet: ByteBuffer) {
        let header: Part10.Header
        do throws(DICOMError) {
            header = try Part10.readHeader(file)
        } catch {
            throw StoreFailure(.malformed, "\(error)")
        }
        guard let syntax = header.transferSyntax, let dataSet = file.slice(from: header.dataSetOffset) else {
            throw StoreFailure(.malformed, "its transfer syntax is not known")
        }
        return (syntax, dataSet)
    }
}
