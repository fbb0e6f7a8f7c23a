// SPDX-License-Identifier: Apache-2.0

/// A SOP class of the Query/Retrieve service (PS3.4 annex C.6): an information model and what is done with it.
public struct QueryRetrieveSOPClass: Sendable, Hashable {
    /// The information models that are not retired.
    public enum Model: String, Sendable, Hashable, CaseIterable {
        /// Patients, studies, series, instances (PS3.4 section C.6.1).
        case patientRoot = "1"
        /// Studies with their patient's attributes, series, instances (PS3.4 section C.6.2).
        case studyRoot = "2"
    }

    public enum Operation: String, Sendable, Hashable, CaseIterable {
        case find = "1"
        case move = "2"
        case get = "3"
    }

    public let model: Model
    public let operation: Operation

    public init(_ model: Model, _ operation: Operation) {
        self.model = model
        self.operation = operation
    }

    private static let root = "1.2.840.10008.5.1.4.1.2."

    public init?(uid: String) {
        guard let found = Self.all.first(where: { $0.uid == uid }) else { return nil }
        self = found
    }

    public var uid: String { "\(Self.root)\(self.model.rawValue).\(self.operation.rawValue)" }

    /// All of them.
    public static let all = Model.allCases.flatMap { model in Operation.allCases.map { Self(model, $0) } }
}

/// A level of the information models (PS3.4 section C.3.1), as Query/Retrieve Level (0008,0052) names it.
public enum QueryRetrieveLevel: Int, Sendable, Hashable, Comparable, CaseIterable {
    case patient, study, series, image

    public init?(_ text: some StringProtocol) {
        guard let level = Self.allCases.first(where: { $0.name == text }) else { return nil }
        self = level
    }

    public var name: String {
        switch self {
        case .patient: "PATIENT"
        case .study: "STUDY"
        case .series: "SERIES"
        case .image: "IMAGE"
        }
    }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
