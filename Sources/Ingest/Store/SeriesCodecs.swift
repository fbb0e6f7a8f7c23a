// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import NIOCore
import PixelCodecs
import Telemetry

/// Chooses the codec of a series where the policy leaves a choice: sample frames are tried, the smallest wins.
///
/// A choice holds for all images of the series that are alike, on all ingest nodes, for ever: it is in the catalog. What
/// was chosen lately is remembered here.
final class SeriesCodecs: Sendable {
    /// Frames of the first instance that are tried, and native bytes of them at most (one frame may have more).
    private static let sampleCount = 3
    private static let sampleByteCount = 16 << 20
    /// Choices remembered; beyond that all are forgotten and asked of the catalog again.
    private static let memoryLimit = 4096

    private struct Key: Hashable {
        let series: String
        let scope: String
    }

    private let remembered = NIOLockedValueBox([Key: CodecTrial.Candidate]())
    private let store: any SeriesCodecStore
    private let codecs: CodecPool
    private let codecClass: CodecClass
    private let logger: Logger

    init(store: any SeriesCodecStore, codecs: CodecPool, codecClass: CodecClass, logger: Logger) {
        self.store = store
        self.codecs = codecs
        self.codecClass = codecClass
        self.logger = logger
    }

    /// The plan with the codec that the series has, or now gets.
    ///
    /// `frame` gives the instance's native frame with a number from 0. What keeps a trial from being made or recorded is
    /// logged, and the preferred candidate taken: an instance is never refused for it.
    func choose(
        _ plan: CompressionPlan,
        series: String,
        frame: (Int) async throws(StoreFailure) -> ByteBuffer
    ) async throws(StoreFailure) -> CompressionPlan {
        guard plan.candidates.count > 1 else { return plan }
        let key = Key(series: series, scope: Self.scope(of: plan.format, codecClass))
        if let known = remembered.withLockedValue({ $0[key] }) { return plan.choosing(known) }
        do throws(CatalogError) {
            if let found = try await store.seriesCodec(series, scope: key.scope),
                let candidate = plan.candidates.first(where: { $0.name == found.codec })
            {
                remember(candidate, for: key)
                return plan.choosing(candidate)
            }
        } catch {
            logger.warning("a series' codec cannot be looked up", error: error)
        }
        guard let trial = try await self.trial(of: plan, frame: frame), let winner = trial.winner else { return plan }
        let choice = SeriesCodec(
            seriesInstanceUID: series,
            scope: key.scope,
            codec: winner.name,
            note: trial.note,
            decidedAtMilliseconds: Timestamp.now().milliseconds
        )
        do throws(CatalogError) {
            try await store.record(choice)
            remember(winner, for: key)
        } catch {
            logger.warning("a series' codec cannot be recorded", error: error)
        }
        return plan.choosing(winner)
    }

    private func trial(
        of plan: CompressionPlan,
        frame: (Int) async throws(StoreFailure) -> ByteBuffer
    ) async throws(StoreFailure) -> CodecTrial? {
        var frames: [ByteBuffer] = []
        let count = max(1, min(Self.sampleCount, Self.sampleByteCount / plan.format.frameByteCount, plan.frameCount))
        for index in 0..<count { frames.append(try await frame(index)) }
        let (samples, format, candidates) = (frames, plan.format, plan.candidates)
        do {
            return try await codecs.run {
                try CodecTrial(frames: samples, format: format, candidates: candidates)
            }
        } catch {
            logger.warning("the codecs of a series cannot be compared", error: error)
            return nil
        }
    }

    private func remember(_ candidate: CodecTrial.Candidate, for key: Key) {
        remembered.withLockedValue { remembered in
            if remembered.count >= Self.memoryLimit { remembered.removeAll() }
            remembered[key] = candidate
        }
    }

    /// What a choice holds for: the class, and all that makes images compress alike.
    private static func scope(of format: PixelFormat, _ codecClass: CodecClass) -> String {
        let sign = format.isSigned ? "signed" : "unsigned"
        return "\(codecClass.rawValue), \(format.photometric), \(format.samplesPerPixel) samples of"
            + " \(format.bitsStored) in \(format.bitsAllocated) bits, \(sign)"
    }
}

/// Where choices are recorded: the catalog, or memory in tests.
protocol SeriesCodecStore: Sendable {
    func seriesCodec(_ seriesInstanceUID: String, scope: String) async throws(CatalogError) -> SeriesCodec?
    func record(_ choice: SeriesCodec) async throws(CatalogError)
}

/// The catalog, when it answers: no store waits for it only to learn a codec.
struct PromptSeriesCodecs: SeriesCodecStore {
    let catalog: Catalog
    let health: CatalogHealth

    func seriesCodec(_ seriesInstanceUID: String, scope: String) async throws(CatalogError) -> SeriesCodec? {
        try check()
        return try await catalog.seriesCodec(seriesInstanceUID, scope: scope)
    }

    func record(_ choice: SeriesCodec) async throws(CatalogError) {
        try check()
        try await catalog.record(choice)
    }

    private func check() throws(CatalogError) {
        if health.isAway { throw CatalogError(.unavailable, "the catalog does not answer") }
    }
}

extension CodecTrial {
    /// The candidates and what came of them, for people.
    fileprivate var note: String {
        let parts = outcomes.map { outcome in
            switch outcome.result {
            case .encoded(let byteCount): "\(outcome.candidate.name) \(byteCount) bytes"
            case .refused(let reason): "\(outcome.candidate.name) refused (\(reason))"
            }
        }
        return parts.joined(separator: ", ") + ", native \(nativeByteCount) bytes"
    }
}
