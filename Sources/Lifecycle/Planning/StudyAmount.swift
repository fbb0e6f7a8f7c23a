// SPDX-License-Identifier: Apache-2.0

/// How much some studies are.
public struct StudyAmount: Hashable, Sendable {
    public var studies: Int64 = 0
    public var instances: Int64 = 0
    /// Of their instances as they were received.
    public var bytes: Int64 = 0

    public init(studies: Int64 = 0, instances: Int64 = 0, bytes: Int64 = 0) {
        self.studies = studies
        self.instances = instances
        self.bytes = bytes
    }

    /// One study; what is not counted is nothing.
    init(_ facts: StudyFacts) {
        self.init(studies: 1, instances: facts.instanceCount ?? 0, bytes: facts.byteCount ?? 0)
    }

    public static func += (left: inout Self, right: Self) {
        left.studies &+= right.studies
        left.instances &+= right.instances
        left.bytes &+= right.bytes
    }
}
