// SPDX-License-Identifier: Apache-2.0

import Catalog

extension AdminService {
    /// The recalls that have not ended, those that need a person first.
    func openRecalls() async throws(CatalogError) -> [RecallReport] {
        try await catalog.openRecalls(limit: Self.maximumMoveCount).map { RecallReport($0) }
    }

    /// Nil in a catalog that a coordinator of this version has not brought up to date yet.
    func recalls(of study: String) async -> [RecallReport]? {
        do throws(CatalogError) {
            return try await catalog.recalls(ofStudy: study).map { RecallReport($0) }
        } catch {
            return nil
        }
    }

    /// Enters that what is in packs only of a study come back; that is under way then.
    func recall(
        _ study: String,
        reason: String,
        requestedBy: String
    ) async throws(CatalogError) -> Result<RecallReport, TierRefusal> {
        let entered = try await catalog.enterRecall(
            ofStudy: study,
            urgency: .person,
            requestedBy: requestedBy,
            reason: reason
        )
        let id: Int64
        switch entered {
        case .entered(let recall), .underWay(let recall): id = recall
        case .nothingToDo:
            let message =
                "nothing of the study is in packs only; a move of it that is under way goes on,"
                + " 'varve study move \(study) --cancel' ends it"
            return .failure(TierRefusal(message: message, isConflict: true))
        case .beingMoved:
            return .failure(TierRefusal(message: "the study is being moved", isConflict: true))
        case .noSuchStudy: return .failure(TierRefusal(message: "there is no such study"))
        }
        guard let recall = try await catalog.recalls(ofStudy: study).first(where: { $0.id == id }) else {
            return .failure(TierRefusal(message: "the order is gone", isConflict: true))
        }
        return .success(RecallReport(recall))
    }

    /// Ends the recall of a study that is under way or needs a person; nil when there is none.
    func cancelRecall(
        _ study: String,
        reason: String,
        requestedBy: String
    ) async throws(CatalogError) -> RecallReport? {
        let note = "ended by order of \(requestedBy): \(reason)"
        guard let id = try await catalog.cancelRecall(ofStudy: study, note: note) else { return nil }
        return try await catalog.recalls(ofStudy: study).first { $0.id == id }.map { RecallReport($0) }
    }
}
