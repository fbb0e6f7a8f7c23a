// SPDX-License-Identifier: Apache-2.0

/// The forms in which a resource can be sent (PS3.18 §8.7.3).
public enum Representation: Sendable, Hashable, CaseIterable {
    /// `multipart/related; type="application/dicom"`: one instance a part.
    case multipartDICOM
    /// `application/dicom`: the body is one instance.
    case singleDICOM
    /// `application/zip`: one instance a file.
    case zip
    /// `application/dicom+json`, also asked for as `application/json`.
    case dicomJSON
    /// `multipart/related; type="application/octet-stream"`: one bulk data value or frame a part.
    case multipartOctetStream
    /// `application/octet-stream`: the body is one bulk data value.
    case singleOctetStream
    /// `image/jpeg` and `image/png`: the body is one rendered picture.
    case jpeg, png
    /// `multipart/related; type="image/jpeg"` and `"image/png"`: one rendered picture a part.
    case multipartJPEG, multipartPNG
    /// `application/vnd.sun.wadl+xml`: the description of the service.
    case capabilities

    /// The media types it answers to, without parameters.
    fileprivate var essences: [String] {
        switch self {
        case .multipartDICOM, .multipartOctetStream, .multipartJPEG, .multipartPNG: ["multipart/related"]
        case .jpeg: ["image/jpeg"]
        case .png: ["image/png"]
        case .singleDICOM: ["application/dicom"]
        case .zip: ["application/zip"]
        case .dicomJSON: ["application/dicom+json", "application/json"]
        case .singleOctetStream: ["application/octet-stream"]
        case .capabilities: [CapabilitiesDescription.mediaType]
        }
    }

    /// The media type of the parts.
    fileprivate var partEssence: String? {
        switch self {
        case .multipartDICOM: "application/dicom"
        case .multipartOctetStream: "application/octet-stream"
        case .multipartJPEG: "image/jpeg"
        case .multipartPNG: "image/png"
        case .singleDICOM, .zip, .dicomJSON, .singleOctetStream, .jpeg, .png, .capabilities: nil
        }
    }

    /// How it is written in a message.
    public var text: String {
        partEssence.map { "multipart/related; type=\"\($0)\"" } ?? essences[0]
    }
}

/// A representation the client takes, and in which transfer syntaxes.
public struct AcceptedRepresentation: Sendable, Hashable {
    public let representation: Representation
    /// The best quality of any of `syntaxes`, in thousandths, 1 to 1000.
    public let quality: Int
    /// What the client asks of the transfer syntax, best first.
    public let syntaxes: [SyntaxDemand]
    /// Syntaxes that the client refuses (`q=0`).
    public let refused: [String]
}

/// A demand for a transfer syntax.
public struct SyntaxDemand: Sendable, Hashable {
    public enum Kind: Sendable, Hashable {
        /// Nothing said: Explicit VR Little Endian (PS3.18 §8.7.3.5.2).
        case unspecified
        /// `transfer-syntax=*`: whatever the instance is stored in.
        case asStored
        /// This one.
        case uid(String)
    }

    public let kind: Kind
    /// In thousandths, 1 to 1000.
    public let quality: Int
}

/// The transfer syntax an instance is sent in.
public enum SyntaxChoice: Sendable, Hashable {
    /// As it is stored, byte for byte.
    case stored
    /// Converted to this one.
    case converted(String)
}

extension AcceptedRepresentation {
    /// The UID of Explicit VR Little Endian, which every DICOMweb client reads.
    public static let explicitVRLittleEndian = "1.2.840.10008.1.2.1"

    /// Chooses for one instance; `nil` when no demand can be met.
    ///
    /// Among demands of equal quality, the stored syntax wins: it costs nothing. A client that names no syntax gets
    /// Explicit VR Little Endian, and the stored one, named in the part's header, only where the pixel data can't be
    /// decoded: more useful to it than nothing.
    ///
    /// `stored` is the UID of the syntax in which the instance is stored; `canConvert` says whether it can be converted
    /// to the syntax with this UID.
    public func choice(stored: String, canConvert: (String) -> Bool) -> SyntaxChoice? {
        var rest = syntaxes[...]
        while let best = rest.first?.quality {
            let equals = rest.prefix { $0.quality == best }
            rest = rest.dropFirst(equals.count)
            let takesStored = equals.contains { demand in
                switch demand.kind {
                case .asStored: !refused.contains(stored)
                case .uid(let uid): uid == stored
                case .unspecified: stored == Self.explicitVRLittleEndian
                }
            }
            if takesStored { return .stored }
            for demand in equals {
                switch demand.kind {
                case .asStored: continue
                case .uid(let uid):
                    if canConvert(uid) { return .converted(uid) }
                case .unspecified:
                    if canConvert(Self.explicitVRLittleEndian) { return .converted(Self.explicitVRLittleEndian) }
                    if !refused.contains(stored) { return .stored }
                }
            }
        }
        return nil
    }
}

/// Decides what to send from what the client accepts (PS3.18 §8.7.3 to §8.7.5).
public enum Negotiation {
    /// The offers that the client takes, best first; never empty: throws 406 instead, and 400 for a malformed list.
    ///
    /// `headers` are the values of the `Accept` headers; none means everything. `parameter` is the `accept` query
    /// parameter; when there it stands for the header (PS3.18 §8.3.3.1), which a link in a page can't set. `offers` are
    /// what the server can send of the resource, best first.
    public static func accepted(
        headers: [String],
        parameter: String? = nil,
        offers: [Representation]
    ) throws(DICOMWebError) -> [AcceptedRepresentation] {
        var ranges: [MediaType] = []
        for text in parameter.map({ [$0] }) ?? headers { ranges += try MediaType.list(text) }
        if ranges.isEmpty { ranges = [MediaType("*", "*")] }
        let candidates = try ranges.enumerated().map { (index, range) throws(DICOMWebError) in
            try Candidate(range, index: index)
        }
        var found: [(accepted: AcceptedRepresentation, rank: Rank)] = []
        for (order, offer) in offers.enumerated() {
            guard let match = match(offer, candidates, order: order) else { continue }
            found.append(match)
        }
        guard !found.isEmpty else {
            let list = offers.map(\.text).joined(separator: ", ")
            throw DICOMWebError(.notAcceptable, "nothing in the Accept header can be sent here; this can: \(list)")
        }
        return found.sorted { $0.rank < $1.rank }.map(\.accepted)
    }

    private struct Candidate {
        let range: MediaType
        let quality: Int
        let index: Int

        init(_ range: MediaType, index: Int) throws(DICOMWebError) {
            self.range = range
            self.index = index
            self.quality = try Self.quality(range.parameter("q"))
        }

        /// `qvalue` of RFC 9110 §12.4.2 in thousandths.
        private static func quality(_ text: String?) throws(DICOMWebError) -> Int {
            guard let text else { return 1000 }
            guard let quality = QualityValue.thousandths(text) else {
                throw DICOMWebError(.badRequest, "a quality in the Accept header is not between 0 and 1 (q=0.5)")
            }
            return quality
        }

        /// How closely the range names the offer: 3 with the type of the parts, 2 by its type, 1 and 0 by wildcards;
        /// `nil` when it doesn't.
        func specificity(for offer: Representation) -> Int? {
            if range.essence == "*/*" { return 0 }
            let essences = offer.essences
            if range.subtype == "*" { return essences.contains { $0.hasPrefix("\(range.type)/") } ? 1 : nil }
            guard essences.contains(range.essence) else { return nil }
            guard let part = offer.partEssence, let type = range.parameter("type")?.lowercased() else { return 2 }
            // Clients write wildcards there too.
            if type == "*/*" || (type.hasSuffix("/*") && part.hasPrefix(type.dropLast())) { return 2 }
            return type == part ? 3 : nil
        }
    }

    private struct Rank: Comparable {
        let quality: Int
        let specificity: Int
        let index: Int
        let order: Int

        static func < (left: Self, right: Self) -> Bool {
            // Better first: higher quality, closer match, earlier in the header, earlier among the offers.
            (right.quality, right.specificity, left.index, left.order)
                < (left.quality, left.specificity, right.index, right.order)
        }
    }

    /// The most specific ranges decide (RFC 9110 §12.5.1); of those, each may name another transfer syntax.
    private static func match(
        _ offer: Representation,
        _ candidates: [Candidate],
        order: Int
    ) -> (AcceptedRepresentation, Rank)? {
        let matching = candidates.compactMap { candidate in
            candidate.specificity(for: offer).map { (candidate: candidate, specificity: $0) }
        }
        guard let specificity = matching.map(\.specificity).max() else { return nil }
        var demands: [SyntaxDemand] = []
        var refused: [String] = []
        var first: Int?
        for (candidate, _) in matching.filter({ $0.specificity == specificity }) {
            let syntax = candidate.range.parameter("transfer-syntax")
            if candidate.quality == 0 {
                if let syntax { refused.append(syntax) }
                continue
            }
            first = first ?? candidate.index
            let kind: SyntaxDemand.Kind =
                switch syntax {
                case nil: .unspecified
                case "*": .asStored
                case let uid?: .uid(uid)
                }
            demands.append(SyntaxDemand(kind: kind, quality: candidate.quality))
        }
        // A stable order: equal qualities stay in the order of the header.
        demands = demands.enumerated().sorted {
            ($1.element.quality, $0.offset) < ($0.element.quality, $1.offset)
        }.map(\.element)
        guard let best = demands.first, let first else { return nil }
        let accepted = AcceptedRepresentation(
            representation: offer,
            quality: best.quality,
            syntaxes: demands,
            refused: refused
        )
        return (accepted, Rank(quality: best.quality, specificity: specificity, index: first, order: order))
    }
}
