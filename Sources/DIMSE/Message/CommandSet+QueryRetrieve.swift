// SPDX-License-Identifier: Apache-2.0

extension CommandSet {
    /// C-FIND-RQ, C-GET-RQ or C-MOVE-RQ (PS3.7 tables 9.3-3, 9.3-6, 9.3-9); `destination` for C-MOVE only.
    public static func queryRetrieveRequest(
        _ sopClass: QueryRetrieveSOPClass,
        messageID: UInt16,
        priority: DIMSEPriority = .medium,
        destination: AETitle? = nil
    ) -> CommandSet {
        var command = CommandSet(CommandField(sopClass.operation))
        command.setUID(.affectedSOPClassUID, sopClass.uid)
        command[.messageID] = messageID
        command[.priority] = priority.rawValue
        command.hasDataSet = true
        command.setText(.moveDestination, destination?.value)
        return command
    }

    /// C-CANCEL-RQ (PS3.7 table 9.3-5).
    public static func cancelRequest(of messageID: UInt16) -> CommandSet {
        var command = CommandSet(.cancelRequest)
        command[.messageIDBeingRespondedTo] = messageID
        return command
    }

    /// The counts of a response to C-GET or C-MOVE; nil when none of them is there.
    ///
    /// What is more than a field can say is said as the most it can.
    public var suboperationCounts: SuboperationCounts? {
        get {
            let fields = Self.countElements.map { self[$0] }
            guard fields.contains(where: { $0 != nil }) else { return nil }
            let counts = fields.map { Int($0 ?? 0) }
            return SuboperationCounts(
                remaining: counts[0],
                completed: counts[1],
                failed: counts[2],
                warning: counts[3]
            )
        }
        set {
            let counts = newValue.map { [$0.remaining, $0.completed, $0.failed, $0.warning] }
            for (index, element) in Self.countElements.enumerated() {
                self[element] = counts.map { UInt16(clamping: $0[index]) }
            }
        }
    }

    private static let countElements: [Element] = [
        .remainingSuboperations, .completedSuboperations, .failedSuboperations, .warningSuboperations,
    ]
}

extension CommandField {
    /// The command that asks for an operation.
    public init(_ operation: QueryRetrieveSOPClass.Operation) {
        switch operation {
        case .find: self = .findRequest
        case .get: self = .getRequest
        case .move: self = .moveRequest
        }
    }

    /// The operation that a request asks for; nil for other commands.
    public var queryRetrieveOperation: QueryRetrieveSOPClass.Operation? {
        QueryRetrieveSOPClass.Operation.allCases.first { CommandField($0) == self }
    }
}
