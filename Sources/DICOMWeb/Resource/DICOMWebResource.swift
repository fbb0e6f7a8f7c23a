// SPDX-License-Identifier: Apache-2.0

/// What a path below the service root names (PS3.18 §8.2, §10.1.1).
public enum DICOMWebResource: Sendable, Hashable {
    /// `studies`, `studies/{}/series`, `series`, and so on: a collection that can be searched.
    case collection(QIDOLevel, study: String?, series: String?)
    /// A study, series or instance, or something made of it.
    case item(DICOMWebItem, DICOMWebAspect)

    /// Reads the path below the service root, percent-encoded, slashes at the ends ignored.
    public init(path: some StringProtocol) throws(DICOMWebError) {
        var segments: [String] = []
        for segment in path.split(separator: "/", omittingEmptySubsequences: true) {
            guard segments.count < 12 else { throw Self.unknown }
            segments.append(try PercentCoding.decode(segment))
        }
        self = try Self.parse(segments)
    }

    private static let unknown = DICOMWebError(.notFound, "no DICOMweb resource has this path (PS3.18 section 10.1.1)")

    private static func parse(_ segments: [String]) throws(DICOMWebError) -> Self {
        var rest = segments[...]
        guard let first = rest.popFirst() else { throw unknown }
        switch first {
        case "studies":
            guard let text = rest.popFirst() else { return .collection(.study, study: nil, series: nil) }
            let study = try uid(text, "study")
            switch rest.first {
            case "series":
                rest.removeFirst()
                guard let text = rest.popFirst() else { return .collection(.series, study: study, series: nil) }
                let series = try uid(text, "series")
                guard rest.first == "instances" else {
                    return .item(.series(study: study, series: series), try aspect(rest, isInstance: false))
                }
                rest.removeFirst()
                guard let text = rest.popFirst() else { return .collection(.instance, study: study, series: series) }
                let instance = try uid(text, "SOP")
                let item = DICOMWebItem.instance(study: study, series: series, instance: instance)
                return .item(item, try aspect(rest, isInstance: true))
            case "instances":
                guard rest.count == 1 else { throw unknown }
                return .collection(.instance, study: study, series: nil)
            default:
                return .item(.study(study), try aspect(rest, isInstance: false))
            }
        case "series" where rest.isEmpty:
            return .collection(.series, study: nil, series: nil)
        case "instances" where rest.isEmpty:
            return .collection(.instance, study: nil, series: nil)
        default:
            throw unknown
        }
    }

    private static func aspect(_ rest: ArraySlice<String>, isInstance: Bool) throws(DICOMWebError) -> DICOMWebAspect {
        guard let first = rest.first else { return .whole }
        let tail = rest.dropFirst()
        switch (first, tail.isEmpty) {
        case ("metadata", true): return .metadata
        case ("rendered", true): return .rendered
        case ("thumbnail", true): return .thumbnail
        case ("frames", false) where isInstance && tail.count <= 2:
            let numbers = try frameNumbers(tail.first ?? "")
            switch tail.dropFirst().first {
            case nil: return .frames(numbers)
            case "rendered": return .renderedFrames(numbers)
            case "thumbnail": return .frameThumbnail(numbers)
            default: throw unknown
            }
        case ("bulkdata", false) where isInstance:
            return .bulkData(Array(tail))
        default: throw unknown
        }
    }

    /// A comma-separated list of frame numbers, the first frame being 1 (PS3.18 §10.1.1).
    private static func frameNumbers(_ text: String) throws(DICOMWebError) -> [Int] {
        var numbers: [Int] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard let number = Int(part), number > 0, part.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }) else {
                throw DICOMWebError(.badRequest, "frame numbers are positive integers separated by commas")
            }
            numbers.append(number)
        }
        return numbers
    }

    private static func uid(_ text: String, _ kind: String) throws(DICOMWebError) -> String {
        guard UIDText.isValid(text) else {
            throw DICOMWebError(.badRequest, "the \(kind) instance UID in the path is not a UID (PS3.5 section 9.1)")
        }
        return text
    }
}

/// A study, a series or an instance named by a path.
public enum DICOMWebItem: Sendable, Hashable {
    case study(String)
    case series(study: String, series: String)
    case instance(study: String, series: String, instance: String)

    public var study: String {
        switch self {
        case .study(let study), .series(let study, _), .instance(let study, _, _): study
        }
    }

    public var series: String? {
        switch self {
        case .study: nil
        case .series(_, let series), .instance(_, let series, _): series
        }
    }

    public var instance: String? {
        switch self {
        case .study, .series: nil
        case .instance(_, _, let instance): instance
        }
    }
}

/// What of an item is asked for.
public enum DICOMWebAspect: Sendable, Hashable {
    /// The DICOM instances themselves.
    case whole
    case metadata
    case rendered
    case thumbnail
    /// Frames by number, from 1.
    case frames([Int])
    case renderedFrames([Int])
    /// Of the first of them.
    case frameThumbnail([Int])
    /// A bulk data value: tags (eight hexadecimal digits) and item numbers (from 0) in turn, a tag last.
    case bulkData([String])
}

/// The spelling of UIDs (PS3.5 §9.1), lenient about leading zeros, as archives must be.
enum UIDText {
    static func isValid(_ text: some StringProtocol) -> Bool {
        let bytes = text.utf8
        guard (1...64).contains(bytes.count) else { return false }
        return bytes.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ".") }
    }
}
