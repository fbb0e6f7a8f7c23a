// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct MigrationTests {
    @Test func `processes that start at once apply each migration once`() async throws {
        let server = try PostgresServer.shared()
        let database = try server.makeDatabase()
        let catalogs = try (0..<8).map { _ in try CatalogFixture.open(server, database) }
        let applied = try await withThrowingTaskGroup(of: [Int].self) { group in
            for catalog in catalogs { group.addTask { try await catalog.migrate() } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(applied.sorted() == Array(1...Catalog.schemaVersion))
        let recorded = try server.sql("SELECT version FROM schema_migrations ORDER BY version", database: database)
        #expect(recorded == (1...Catalog.schemaVersion).map { String($0) })
        for catalog in catalogs { await catalog.shutdown() }
    }

    @Test func `a newer schema is refused and left alone`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql("INSERT INTO schema_migrations (version, name) VALUES (999, 'from the future')")
            let error = await #expect(throws: CatalogError.self) { try await fixture.catalog.migrate() }
            #expect(error?.code == .schema)
        }
    }

    @Test func `a database without schema says what to do`() async throws {
        let server = try PostgresServer.shared()
        let catalog = try CatalogFixture.open(server, try server.makeDatabase())
        let reading = await #expect(throws: CatalogError.self) { try await catalog.instance(sopInstanceUID: "1.2") }
        #expect(reading?.code == .schema)
        let committing = await #expect(throws: CatalogError.self) { try await catalog.commit(.sample()) }
        #expect(committing?.code == .schema)
        await catalog.shutdown()
    }

    @Test func `a database in another encoding is refused`() async throws {
        let server = try PostgresServer.shared()
        let catalog = try CatalogFixture.open(server, try server.makeDatabase(encoding: "LATIN1"))
        let error = await #expect(throws: CatalogError.self) { try await catalog.migrate() }
        #expect(error?.code == .configuration)
        await catalog.shutdown()
    }
}
