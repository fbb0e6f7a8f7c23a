// SPDX-License-Identifier: Apache-2.0

/// That nobody changes or removes an object of a bucket before a day (S3 Object Lock).
///
/// The bucket must have been made with it. Written as `governance:365`, mode and days.
public struct ObjectLock: Hashable, Sendable, CustomStringConvertible {
    /// Who may lift it before its time.
    public enum Mode: String, Hashable, Sendable, CaseIterable {
        /// Those to whom the bucket gives `s3:BypassGovernanceRetention`.
        case governance
        /// Nobody.
        case compliance
    }

    /// A hundred years, as S3 has it for the locks a bucket gives by itself.
    public static let maximumDays = 36_500

    public let mode: Mode
    /// From the moment at which the object is begun.
    public let days: Int

    /// A lock of one day to a hundred years; nil for others.
    public init?(_ mode: Mode, days: Int) {
        guard 1...Self.maximumDays ~= days else { return nil }
        self.mode = mode
        self.days = days
    }

    /// Reads `governance:365`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let mode = Mode(rawValue: String(parts[0])),
            parts[1].utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let days = Int(parts[1])
        else { return nil }
        self.init(mode, days: days)
    }

    public var description: String { "\(mode.rawValue):\(days)" }

    /// What is asked of an object that is begun `seconds` after the beginning of 1970.
    func retention(at seconds: Int64) -> S3Retention {
        let end = S3Time(seconds: seconds + Int64(days) * 86_400)
        return S3Retention(mode: mode.rawValue.uppercased(), end: end.extendedText)
    }
}

/// Mode and end of one object's lock, as S3 writes them.
struct S3Retention: Hashable, Sendable {
    static let modeField = "x-amz-object-lock-mode"
    static let endField = "x-amz-object-lock-retain-until-date"

    let mode: String
    /// `2030-05-24T00:00:00Z`.
    let end: String

    /// What the request says that makes the object.
    var fields: [S3Request.Field] {
        [
            (name: Self.modeField, value: mode), (name: Self.endField, value: end),
            // Asked for with a lock, beside the checksum itself.
            (name: "x-amz-sdk-checksum-algorithm", value: "SHA256"),
        ]
    }

    /// Whether the answer to HEAD says that the object is locked so, whatever fractions of a second it has.
    func isStated(in answer: S3Answer) -> Bool {
        answer.fields[Self.modeField] == mode && answer.fields[Self.endField]?.prefix(19) == end.prefix(19)
    }
}

extension S3Client {
    /// Sees to it that an object that is there is locked; `isEnough` judges what HEAD says of it first.
    func lock(
        _ key: ObjectKey,
        _ retention: S3Retention,
        unless isEnough: (S3Answer) -> Bool
    ) async throws(ColdStoreError) {
        guard !isEnough(try await send(.head(key))) else { return }
        _ = try await send(.retain(key, retention))
        guard retention.isStated(in: try await send(.head(key))) else {
            throw ColdStoreError(.failed, "\(location.name)\(key) is there, and the server does not lock it")
        }
    }
}

/// How objects are written into a bucket, where that is not as the bucket has it by itself.
package struct S3WriteOptions: Hashable, Sendable {
    package var storageClass: String?
    package var lock: ObjectLock?

    package init(storageClass: String? = nil, lock: ObjectLock? = nil) {
        self.storageClass = storageClass
        self.lock = lock
    }

    /// What the request says that makes an object, `seconds` after the beginning of 1970.
    package func fields(at seconds: Int64) -> [(name: String, value: String)] {
        var fields: [(name: String, value: String)] = []
        if let storageClass { fields.append((name: "x-amz-storage-class", value: storageClass)) }
        if let lock { fields += lock.retention(at: seconds).fields }
        return fields
    }
}
