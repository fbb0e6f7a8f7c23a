// SPDX-License-Identifier: Apache-2.0

import Foundation

/// What `varve bench catalog` found.
struct CatalogBenchReport: Codable, Sendable {
    /// A kind of operation, at all clients together.
    struct Row: Codable, Sendable {
        var operation: String
        var instances: Int
        var perSecond: Double
        var p50Milliseconds: Double
        var p95Milliseconds: Double
        var p99Milliseconds: Double
        var slowestMilliseconds: Double
        /// What one answer holds on average.
        var rowsAnAnswer: Double
    }

    /// A table or index of the large catalog.
    struct Size: Codable, Sendable {
        var name: String
        var bytes: Int
        var bytesAnInstance: Double
    }

    var instances: Int
    var studies: Int
    var clients: Int
    /// Instances entered a second while the large catalog was filled, if it was.
    var fillPerSecond: Double?
    var operations: [Row]
    var sizes: [Size]
    var bytesAnInstance: Double
    /// The p95 of entering an instance in the large catalog, over that in the small one: median of the rounds.
    var storeRatio: Double

    var text: String {
        var lines = ["\(instances) instances, \(studies) studies; \(clients) clients at once"]
        if let fillPerSecond { lines.append(String(format: "filled at %.0f instances a second", fillPerSecond)) }
        var table = TextTable(
            ["OPERATION", "INSTANCES", "A SECOND", "P50 MS", "P95 MS", "P99 MS", "MAX MS", "ROWS"],
            rightAligned: [1, 2, 3, 4, 5, 6, 7]
        )
        for row in operations {
            table.add(
                [row.operation, "\(row.instances)", String(format: "%.0f", row.perSecond)]
                    + [row.p50Milliseconds, row.p95Milliseconds, row.p99Milliseconds, row.slowestMilliseconds].map {
                        String(format: "%.2f", $0)
                    } + [String(format: "%.1f", row.rowsAnAnswer)]
            )
        }
        lines += ["", table.text, ""]
        lines.append(String(format: "entering an instance, p95 large over small: %.2f", storeRatio))
        lines.append(String(format: "%.0f bytes an instance, all tables and indexes:", bytesAnInstance))
        var sizeTable = TextTable(["TABLE OR INDEX", "BYTES", "AN INSTANCE"], rightAligned: [1, 2])
        for size in sizes where size.bytesAnInstance >= 0.05 {
            sizeTable.add([size.name, readableBytes(Int64(size.bytes)), String(format: "%.1f", size.bytesAnInstance)])
        }
        lines.append(sizeTable.text)
        return lines.joined(separator: "\n")
    }
}
