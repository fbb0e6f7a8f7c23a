// SPDX-License-Identifier: Apache-2.0

import Placement
public import ReplicationProtocol

/// The node's fence on disk, `DIR/fence`: three lines of text, `term N`, `epoch N` and `member yes` or `member no`.
///
/// A damaged file is an error: a node that has forgotten a term would obey a deposed coordinator. Its calls block.
public struct FenceFile: Sendable {
    private let file: DurableTextFile

    public init(directory: String) {
        self.file = DurableTextFile("fence", in: directory)
    }

    /// What was written last; the position of a node that no coordinator has spoken to when there is no file.
    public func load() throws(StorageNodeError) -> FencePosition {
        guard let text = try file.read() else { return FencePosition() }
        guard let position = Self.parse(text) else {
            throw StorageNodeError(
                "\(file.path) is damaged: it must hold 'term N', 'epoch N' and 'member yes' or 'member no';"
                    + " the catalog knows term and epoch"
            )
        }
        return position
    }

    /// Durable when it returns.
    public func store(_ position: FencePosition) throws(StorageNodeError) {
        let member = position.isMember ? "yes" : "no"
        let (term, epoch) = (position.term.rawValue, position.mapEpoch.rawValue)
        try file.replace(with: "term \(term)\nepoch \(epoch)\nmember \(member)\n")
    }

    private static func parse(_ text: String) -> FencePosition? {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, lines[3].isEmpty,
            let term = number(lines[0], after: "term "), let epoch = number(lines[1], after: "epoch "),
            lines[2] == "member yes" || lines[2] == "member no"
        else { return nil }
        return FencePosition(
            term: Term(rawValue: term),
            mapEpoch: MapEpoch(rawValue: epoch),
            isMember: lines[2] == "member yes"
        )
    }

    private static func number(_ line: Substring, after word: String) -> UInt64? {
        line.hasPrefix(word) ? UInt64(line.dropFirst(word.count)) : nil
    }
}
