// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb

/// An instance of a C-GET or C-MOVE, and how it goes out; without a syntax it cannot.
///
/// A class, since it goes through many hands on its way.
final class SuboperationDelivery: Sendable {
    let instance: StoredInstance
    let syntax: SuboperationSyntax?

    init(instance: StoredInstance, syntax: SuboperationSyntax?) {
        self.instance = instance
        self.syntax = syntax
    }

    static let notAccepted = RetrieveFailure(
        .notAcceptable,
        "its SOP class, or a transfer syntax that it can be sent in, was not accepted"
    )

    /// The bytes of memory that it takes until it is sent, about.
    func cost(_ retrieve: RetrieveService) -> Int {
        guard let syntax else { return 0 }
        let cost = retrieve.cost(of: instance, choice: syntax.choice)
        // Gathered, and written again.
        return syntax.isRewritten ? cost + 2 * instance.receivedByteCount : cost
    }

    /// Whether it goes out as it is stored, and is read in one piece for that.
    func isReadWhole(_ retrieve: RetrieveService) -> Bool {
        guard let syntax, !syntax.isRewritten else { return false }
        return retrieve.isReadWhole(instance, syntax.choice)
    }

    /// Begins to make it ready; never fails, so that one failure does not keep the others.
    func startPreparing(
        _ retrieve: RetrieveService,
        _ completion:
            @escaping @Sendable (
                Result<Result<(SuboperationDelivery, PreparedInstance), RetrieveFailure>, any Error>
            ) -> Void
    ) -> RunningWork {
        guard isReadWhole(retrieve) else { return RunningWork.task({ await self.prepared(retrieve) }, completion) }
        return retrieve.startReading(instance) { result in completion(.success(result.map { (self, $0) })) }
    }

    /// Makes it ready.
    private func prepared(
        _ retrieve: RetrieveService
    ) async -> Result<(SuboperationDelivery, PreparedInstance), RetrieveFailure> {
        do throws(RetrieveFailure) {
            guard let syntax else { throw Self.notAccepted }
            guard !syntax.isRewritten || instance.receivedByteCount <= retrieve.configuration.conversionByteCount else {
                throw RetrieveFailure(.notAcceptable, "it is too large to be written in another syntax")
            }
            return .success(
                (self, try await retrieve.prepare(instance, choice: syntax.choice, allowsStored: false))
            )
        } catch {
            return .failure(error)
        }
    }
}

extension SuboperationSyntax {
    var choice: SyntaxChoice {
        form == .stored ? .stored : .converted(TransferSyntax.explicitVRLittleEndian.uid.string)
    }

    var nativeSyntax: TransferSyntax? {
        if case .native(let syntax) = form { syntax } else { nil }
    }

    /// Whether the data set is written in another native syntax than retrieval makes.
    var isRewritten: Bool {
        nativeSyntax.map { $0 != .explicitVRLittleEndian } ?? false
    }
}
