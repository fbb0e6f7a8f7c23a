// SPDX-License-Identifier: Apache-2.0

import Ingest

extension PreviewReport {
    /// For a person, in some lines.
    var text: String {
        var lines = [summary]
        if reassignedGroups > 0 { lines.append("groups       \(reassignedGroups) of 1024 get other nodes") }
        if isEstimate {
            lines.append("estimated    from \(countedSets) of \(sets) sets of instances, which were counted")
        }
        if moves.copies > 0 { lines.append("time         \(time)") }
        lines.append("afterwards   \(afterwards)")
        if waitingGroups > 0 {
            lines.append("waits        copies in \(waitingGroups) groups wait for nodes that are away or full")
        }
        for node in nodes where node.isTooFull {
            let left = max(0, node.freeBytesAfterwards ?? 0)
            lines.append("too full     \(node.name) would have \(readableBytes(left)) free")
        }
        guard !nodes.isEmpty else { return lines.joined(separator: "\n") }
        var table = TextTable(["NODE", "RECEIVES", "GIVES UP", "RECEIVES ANYHOW", "FREE", "FREE THEN"])
        for node in nodes {
            table.add([
                node.name, node.receives.text, node.givesUp.text, node.alsoReceives.text,
                node.freeBytes.map(readableBytes) ?? "-",
                node.freeBytesAfterwards.map { readableBytes(max(0, $0)) } ?? "-",
            ])
        }
        return lines.joined(separator: "\n") + "\n" + table.text
    }

    /// `moves 3.2 GB in 41 groups, 1200 copies`.
    private var summary: String {
        guard groups > 0 else { return "moves nothing" }
        let about = isEstimate ? "about " : ""
        return "moves \(about)\(readableBytes(moves.bytes)) in \(groups) groups, \(about)\(moves.copies) copies"
    }

    private var time: String {
        guard let expectedSeconds, let bytesPerSecond else { return "not known: nothing was copied in the last minute" }
        let rate = "\(readableBytes(Int64(bytesPerSecond)))/s"
        return "about \(readableSeconds(expectedSeconds)) at the rate of the last minute, \(rate)"
    }

    private var afterwards: String {
        if isSpreadAfterwards {
            return copies == 1
                ? "every study has its copy" : "every study has its \(copies) copies on distinct hosts"
        }
        return "studies in \(shortGroups) groups have fewer than \(copies) copies on distinct hosts"
    }
}

extension PreviewReport.Amount {
    fileprivate var text: String { copies == 0 ? "-" : "\(copies) copies, \(readableBytes(bytes))" }
}
