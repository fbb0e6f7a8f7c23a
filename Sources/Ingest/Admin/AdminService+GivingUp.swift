// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging

extension AdminService {
    /// Gives up a study's packs of a tier, as far as proven packs of other tiers hold all that is in them.
    func giveUp(
        _ study: String,
        _ request: GivingUpRequest,
        requestedBy: String
    ) async throws(CatalogError) -> Result<GivingUpReport, TierRefusal> {
        let packs = try await catalog.packs(ofStudy: study).filter { $0.tier == request.tier && $0.state == .counted }
        guard !packs.isEmpty else {
            return .failure(
                TierRefusal(message: "the study has no packs in the tier '\(request.tier)' that are read from")
            )
        }
        let outcome = try await catalog.giveUpPacks(
            ofStudy: study,
            inTiers: [request.tier],
            note: "given up by order of \(requestedBy): \(request.reason)"
        )
        switch outcome {
        case .busy:
            return .failure(
                TierRefusal(
                    message: "the study is being moved or recalled; that has to end first,"
                        + " 'varve study show \(study)' tells how far it is",
                    isConflict: true
                )
            )
        case .done(let givenUp, let unproven, let needed):
            logger.notice(
                "packs were given up by order",
                metadata: ["tier": "\(request.tier)", "packs": "\(givenUp)", "by": "\(requestedBy)"]
            )
            return .success(
                GivingUpReport(
                    study: study,
                    tier: request.tier,
                    givenUp: givenUp,
                    unproven: unproven,
                    needed: needed
                )
            )
        }
    }
}
