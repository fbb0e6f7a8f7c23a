// SPDX-License-Identifier: Apache-2.0

import DIMSE

/// An application entity that C-MOVE may send to, and that reports of storage commitment go to.
public struct MoveDestination: Sendable, Hashable {
    /// As it is called, and as C-MOVE names it; 1 to 16 characters.
    public var aeTitle: String
    public var host: String
    public var port: Int

    public init(aeTitle: String, host: String, port: Int) {
        self.aeTitle = aeTitle
        self.host = host
        self.port = port
    }

    /// Reads `AE=HOST:PORT`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        guard let equals = text.firstIndex(of: "="), let colon = text.lastIndex(of: ":"), equals < colon,
            let port = Int(text[text.index(after: colon)...]), (1...65_535).contains(port),
            // Why it is no title does not matter.
            let aeTitle = try? AETitle(text[..<equals])
        else { return nil }
        var host = text[text.index(after: equals)..<colon]
        // An address of IPv6, which has colons of its own.
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        guard !host.isEmpty else { return nil }
        self.init(aeTitle: aeTitle.value, host: String(host), port: port)
    }

    /// The destinations by title; throws where a title is none, or comes twice.
    static func byTitle(_ destinations: [MoveDestination]) throws(IngestError) -> [AETitle: MoveDestination] {
        var byTitle: [AETitle: MoveDestination] = [:]
        for destination in destinations {
            guard let title = try? AETitle(destination.aeTitle) else {
                throw IngestError("the move destination '\(destination.aeTitle)' is not an AE title")
            }
            guard byTitle.updateValue(destination, forKey: title) == nil else {
                throw IngestError("the move destination '\(title)' is listed twice")
            }
        }
        return byTitle
    }
}
