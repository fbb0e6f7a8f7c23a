// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import Logging
import NIOConcurrencyHelpers
import Placement
import Supervisor

/// Fills a small and a large catalog, and measures both in the same run.
struct CatalogBench: Sendable {
    /// What the small catalog holds, which the large one is compared with.
    static let smallInstanceCount = 10_000
    private static let roundCount = 5
    /// Entries under way at once while a catalog is filled.
    private static let fillWidth = 1024
    private static let pageSize = 100

    let directory: String
    let instanceCount: Int
    let clientCount: Int
    let searchCount: Int
    let storeCount: Int
    let progress: @Sendable (String) -> Void

    private let logger = Logger(label: "varve.bench") { _ in SwiftLogNoOpLogHandler() }

    func run() async throws -> CatalogBenchReport {
        try await withCatalog("small") { small in
            try await withCatalog("large") { large in
                _ = try await fill(small, Self.smallInstanceCount, "small")
                let fillPerSecond = try await fill(large, instanceCount, "large")
                return try await measure(small, large, fillPerSecond: fillPerSecond)
            }
        }
    }

    // MARK: - Databases

    private func withCatalog<Value: Sendable>(
        _ name: String,
        _ body: (BenchCatalog) async throws -> Value
    ) async throws -> Value {
        let supervisor = try ProcessSupervisor(directory: "\(directory)/\(name)", restart: false, logger: logger)
        let result: Result<Value, any Error>
        do {
            let postgres = try PrivatePostgres(supervisor: supervisor, logger: logger)
            try await postgres.start()
            var configuration = Catalog.Configuration(connectionString: postgres.connectionString)
            configuration.poolSize = max(4, clientCount)
            configuration.queryTimeout = .seconds(600)
            configuration.commitTimeout = .seconds(120)
            let catalog = try Catalog(configuration: configuration, logger: logger)
            _ = try await catalog.migrate()
            let nodes = (1...3).map { number in
                StorageMember(
                    id: NodeID(high: 0x1000, low: UInt64(number)),
                    name: "storage-\(number)",
                    host: "127.0.0.1",
                    port: 7000 + number,
                    domain: FailureDomain(host: "storage-\(number)")
                )
            }
            for node in nodes { try await catalog.register(node) }
            let archive = SyntheticArchive(nodes: nodes.map(\.id))
            result = .success(try await body(BenchCatalog(catalog: catalog, archive: archive)))
            await catalog.shutdown()
        } catch {
            result = .failure(error)
        }
        await supervisor.stopAll()
        supervisor.close()
        return try result.get()
    }

    /// Enters the first `count` instances; returns how many a second, or `nil` when they were there.
    private func fill(_ bench: BenchCatalog, _ count: Int, _ name: String) async throws -> Double? {
        let there = try await bench.catalog.totals(wantedCopies: 1).instanceCount
        guard there < count else { return nil }
        let start = ContinuousClock.now
        // A run that was broken off left gaps at its end; entering an instance again is harmless.
        let next = NIOLockedValueBox(max(0, there - Self.fillWidth))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for _ in 0..<Self.fillWidth {
                tasks.addTask {
                    while let number = next.withLockedValue({ $0 < count ? take(&$0) : nil }) {
                        _ = try await bench.catalog.commit(bench.archive.entry(number))
                        if number % 250_000 == 0, number > 0 { progress("\(name) catalog: \(number) of \(count)") }
                    }
                }
            }
            try await tasks.waitForAll()
        }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        progress("\(name) catalog: vacuum and statistics")
        try await bench.catalog.vacuum()
        return Double(count - there) / seconds
    }

    private func take(_ number: inout Int) -> Int {
        defer { number += 1 }
        return number
    }

    // MARK: - Measuring

    private func measure(
        _ small: BenchCatalog,
        _ large: BenchCatalog,
        fillPerSecond: Double?
    ) async throws -> CatalogBenchReport {
        // Before stores add to it.
        let sizes = try await large.catalog.tableSizes()
        let totals = try await large.catalog.totals(wantedCopies: 1)
        var rows: [CatalogBenchReport.Row] = []
        for search in CatalogSearch.all(studyCount: instanceCount / SyntheticArchive.instancesPerStudy) {
            progress("searching: \(search.name)")
            rows.append(try await measure(search, large))
        }
        let stores = try await measureStores(small, large)
        let perInstance = { (bytes: Int) in Double(bytes) / Double(max(1, totals.instanceCount)) }
        let parts = sizes.flatMap { table in
            [(table.name, table.rowByteCount)] + table.indexByteCounts.map { ($0.key, $0.value) }
        }
        return CatalogBenchReport(
            instances: totals.instanceCount,
            studies: totals.studyCount,
            clients: clientCount,
            fillPerSecond: fillPerSecond,
            operations: rows + stores.rows,
            sizes: parts.sorted { $0.1 > $1.1 }.map {
                CatalogBenchReport.Size(name: $0.0, bytes: $0.1, bytesAnInstance: perInstance($0.1))
            },
            bytesAnInstance: perInstance(sizes.reduce(0) { $0 + $1.byteCount }),
            storeRatio: stores.ratio
        )
    }

    private func measure(_ search: CatalogSearch, _ bench: BenchCatalog) async throws -> CatalogBenchReport.Row {
        // What the server has to read and to plan once is not what a client of a running archive waits for.
        for number in 0..<20 { _ = try await search.run(bench.catalog, number) }
        let timed = try await timed(count: searchCount) { client, number in
            try await search.run(bench.catalog, client * searchCount + number + 20)
        }
        return row(search.name, instanceCount, timed)
    }

    /// Entering instances, the small and the large catalog in turn: each client fills a study of its own, in order.
    private func measureStores(
        _ small: BenchCatalog,
        _ large: BenchCatalog
    ) async throws -> (rows: [CatalogBenchReport.Row], ratio: Double) {
        var all: [String: [Timed]] = [:]
        var ratios: [Double] = []
        let firstStudy = Int(Date().timeIntervalSince1970 * 1000)
        let studiesPerRound = (storeCount / SyntheticArchive.instancesPerStudy + 1) * clientCount
        for round in 0..<Self.roundCount {
            progress("entering instances: round \(round + 1) of \(Self.roundCount)")
            var p95: [Double] = []
            for (name, bench) in [("small", small), ("large", large)] {
                let timed = try await timed(count: storeCount) { client, number in
                    let study =
                        firstStudy + round * studiesPerRound
                        + client * (storeCount / SyntheticArchive.instancesPerStudy + 1)
                    let first = study * SyntheticArchive.instancesPerStudy
                    _ = try await bench.catalog.commit(bench.archive.entry(first + number))
                    return 1
                }
                p95.append(Latencies(timed.durations).milliseconds(0.95))
                all[name, default: []].append(timed)
            }
            ratios.append(p95[1] / p95[0])
        }
        let rows = [("small", Self.smallInstanceCount), ("large", instanceCount)].map { name, count in
            row("enter an instance", count, Timed(all[name] ?? []))
        }
        return (rows, ratios.sorted()[ratios.count / 2])
    }

    /// Runs `operation` `count` times at each client, all clients at once.
    private func timed(
        count: Int,
        _ operation: @escaping @Sendable (_ client: Int, _ number: Int) async throws -> Int
    ) async throws -> Timed {
        let start = ContinuousClock.now
        return try await withThrowingTaskGroup(of: Timed.self) { tasks in
            for client in 0..<clientCount {
                tasks.addTask {
                    var timed = Timed([])
                    for number in 0..<count {
                        let begin = ContinuousClock.now
                        timed.rowCount += try await operation(client, number)
                        timed.durations.append(ContinuousClock.now - begin)
                    }
                    return timed
                }
            }
            var parts: [Timed] = []
            for try await part in tasks { parts.append(part) }
            var whole = Timed(parts)
            whole.elapsed = ContinuousClock.now - start
            return whole
        }
    }

    private func row(_ operation: String, _ instances: Int, _ timed: Timed) -> CatalogBenchReport.Row {
        let latencies = Latencies(timed.durations)
        return CatalogBenchReport.Row(
            operation: operation,
            instances: instances,
            perSecond: Double(latencies.count) / max(timed.elapsed / .seconds(1), .leastNonzeroMagnitude),
            p50Milliseconds: latencies.milliseconds(0.5),
            p95Milliseconds: latencies.milliseconds(0.95),
            p99Milliseconds: latencies.milliseconds(0.99),
            slowestMilliseconds: latencies.milliseconds(1),
            rowsAnAnswer: Double(timed.rowCount) / Double(max(1, latencies.count))
        )
    }
}

/// A catalog under test and what is in it.
struct BenchCatalog: Sendable {
    let catalog: Catalog
    let archive: SyntheticArchive
}

/// What several clients did, and how long it took.
private struct Timed: Sendable {
    var durations: [Duration]
    var rowCount: Int
    var elapsed: Duration

    init(_ parts: [Timed]) {
        durations = parts.flatMap(\.durations)
        rowCount = parts.reduce(0) { $0 + $1.rowCount }
        elapsed = parts.reduce(.zero) { $0 + $1.elapsed }
    }
}
