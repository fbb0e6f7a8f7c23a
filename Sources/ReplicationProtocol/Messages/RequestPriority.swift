// SPDX-License-Identifier: Apache-2.0

/// What a request is for, and so who goes first when both cannot go at once.
///
/// The number is in the flags of the message that opens the stream; both ends go by it.
public enum RequestPriority: UInt8, Sendable, CaseIterable {
    /// Somebody waits for the answer.
    case foreground = 0
    /// The cluster's own health: a few small messages.
    case control = 1
    /// Copies that are missing are made.
    case repair = 2
    /// Copies that are there are checked.
    case scrub = 3

    /// The share of each when all want to go on: of 85 bytes, 64 control, 16 foreground, 4 repair, 1 scrub.
    var weight: UInt64 {
        switch self {
        case .control: 64
        case .foreground: 16
        case .repair: 4
        case .scrub: 1
        }
    }

    /// Whether nobody waits for it.
    public var isBackground: Bool {
        switch self {
        case .control, .foreground: false
        case .repair, .scrub: true
        }
    }
}

extension MessageFlags {
    /// The two bits of a message that opens a stream which say its priority.
    private static let priorityShift: UInt16 = 1

    /// The flags of a message that opens a stream.
    public init(_ priority: RequestPriority) {
        self.init(rawValue: UInt16(priority.rawValue) << Self.priorityShift)
    }

    /// The priority of the stream that the message opens.
    public var priority: RequestPriority {
        // All four values of the two bits are priorities.
        RequestPriority(rawValue: UInt8(truncatingIfNeeded: rawValue >> Self.priorityShift & 3)) ?? .foreground
    }
}
