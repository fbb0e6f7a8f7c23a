// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import Lifecycle
import LifecycleFiles
import LifecyclePlanning
import Logging

/// Why an order about tiers is not taken, in words for the operator.
struct TierRefusal: Error {
    let message: String
    /// Whether something else has to end first; otherwise the order itself is wrong.
    var isConflict = false
}

extension AdminService {
    /// The tiers of the rules that hold, then those that only moves of the past know.
    func tiers() async throws(CatalogError) -> [TierReport] {
        var totals = try await catalog.tierTotals()
        var reports: [TierReport] = []
        for tier in try await rules()?.tiers ?? [] {
            let (kind, place) = Self.place(of: tier)
            let index = totals.firstIndex { $0.tier == tier.name && $0.place == place }
            reports.append(TierReport(tier.name, kind: kind, place: place, index.map { totals.remove(at: $0) }))
        }
        reports += totals.map { TierReport($0.tier, kind: "gone", place: $0.place, $0) }
        for deleted in await deletedInPacks() {
            guard let index = reports.firstIndex(where: { $0.tier == deleted.tier && $0.place == deleted.place }) else {
                continue
            }
            reports[index].deletedInstances = deleted.instanceCount
            reports[index].packsWithDeleted = deleted.packCount
        }
        return reports
    }

    /// None in a catalog that a coordinator of this version has not brought up to date yet.
    private func deletedInPacks() async -> [DeletedInPacks] {
        do throws(CatalogError) {
            return try await catalog.deletedInPacks()
        } catch {
            return []
        }
    }

    /// The packs that are to be removed from their stores or were, the last first.
    func packRemovals() async throws(CatalogError) -> [PackRemovalReport] {
        try await catalog.packRemovals(limit: Self.maximumMoveCount).map { PackRemovalReport($0) }
    }

    /// Moves of one answer.
    static let maximumMoveCount = 1000

    /// The moves that have not ended, those that need a person first.
    func openMoves() async throws(CatalogError) -> [MoveReport] {
        try await catalog.openMoves(limit: Self.maximumMoveCount).map { MoveReport($0) }
    }

    /// Nil in a catalog that a coordinator of this version has not brought up to date yet.
    func packs(of study: String) async -> [PackReport]? {
        do throws(CatalogError) {
            return try await catalog.packs(ofStudy: study).map { PackReport($0) }
        } catch {
            return nil
        }
    }

    /// Nil in a catalog that a coordinator of this version has not brought up to date yet.
    func moves(of study: String) async -> [MoveReport]? {
        do throws(CatalogError) {
            return try await catalog.moves(ofStudy: study).map { MoveReport($0) }
        } catch {
            return nil
        }
    }

    /// Enters that a study go into packs; what is asked for is under way then.
    func move(
        _ study: String,
        _ request: MoveRequest,
        requestedBy: String
    ) async throws(CatalogError) -> Result<MoveReport, TierRefusal> {
        guard let rules = try await rules() else {
            return .failure(
                TierRefusal(message: "there are no tiers: no rules are loaded, or this program can't read them")
            )
        }
        guard let tier = rules.tiers.first(where: { $0.name == request.tier }) else {
            let names = rules.tiers.filter { !$0.isOnNodes }.map(\.name).joined(separator: ", ")
            return .failure(TierRefusal(message: "there is no tier '\(request.tier)'; of packs there are: \(names)"))
        }
        guard !tier.isOnNodes else {
            return .failure(TierRefusal(message: "'\(tier.name)' is a tier of nodes: studies move to tiers of packs"))
        }
        let place = Self.place(of: tier).place
        do throws(ColdStoreError) {
            _ = try ColdPlace(place)
        } catch {
            return .failure(TierRefusal(message: "the tier '\(tier.name)': \(error.message)"))
        }
        let entered = try await catalog.enterMove(
            ofStudy: study,
            tier: tier.name,
            place: place,
            keepsHot: request.keepHot,
            soak: .seconds(request.soakSeconds),
            requestedBy: requestedBy,
            reason: request.reason
        )
        let id: Int64
        switch entered {
        case .entered(let move), .underWay(let move): id = move
        case .otherMove(let move):
            return .failure(
                TierRefusal(
                    message: "the study is being moved elsewhere (move \(move)); 'varve study show' tells how far",
                    isConflict: true
                )
            )
        case .beingRecalled(let recall):
            return .failure(
                TierRefusal(
                    message: "the study is being recalled (recall \(recall)); that has to end first, or"
                        + " 'varve study recall \(study) --cancel' ends it",
                    isConflict: true
                )
            )
        case .noSuchStudy: return .failure(TierRefusal(message: "there is no such study"))
        }
        guard let move = try await catalog.moves(ofStudy: study).first(where: { $0.id == id }) else {
            return .failure(TierRefusal(message: "the order is gone", isConflict: true))
        }
        return .success(MoveReport(move))
    }

    /// Ends the move of a study that is under way or needs a person; nil when there is none.
    func cancelMove(_ study: String, reason: String, requestedBy: String) async throws(CatalogError) -> MoveReport? {
        let note = "ended by order of \(requestedBy): \(reason)"
        guard let id = try await catalog.cancelMove(ofStudy: study, note: note) else { return nil }
        return try await catalog.moves(ofStudy: study).first { $0.id == id }.map { MoveReport($0) }
    }

    /// The rules that hold; nil when there are none, or when this program can't read them.
    private func rules() async throws(CatalogError) -> RuleSet? {
        guard let stored = try await catalog.currentRuleSet() else { return nil }
        do throws(RuleSetError) {
            return try RuleFile.read(text: stored.text)
        } catch {
            logger.error(
                "the rules in the catalog can't be read by this program",
                metadata: ["version": "\(stored.version)", "reason": "\(error)"]
            )
            return nil
        }
    }

    /// What kind of place a tier is, and where, as orders and the catalog name it.
    static func place(of tier: Tier) -> (kind: String, place: String) {
        tier.storePlace
    }
}
