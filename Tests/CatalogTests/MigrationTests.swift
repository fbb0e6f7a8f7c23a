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

    @Test func `a schema from which something was taken away that this program needs is refused`() async throws {
        try await CatalogFixture.with { fixture in
            _ = try fixture.sql("INSERT INTO schema_migrations VALUES (999, 'from the future', now(), 'contract')")
            let error = await #expect(throws: CatalogError.self) { try await fixture.catalog.migrate() }
            #expect(error?.code == .schema)
            _ = try fixture.sql("UPDATE schema_migrations SET kind = 'expand' WHERE version = 999")
            #expect(try await fixture.catalog.migrate() == [])
        }
    }

    /// Version 8 gives instances another index, 9 takes the old one away.
    @Test func `old and new programs share a catalog until the operator says that the old ones are gone`() async throws
    {
        let server = try PostgresServer.shared()
        let database = try server.makeDatabase()
        let indexes = """
            SELECT indexname FROM pg_indexes WHERE tablename = 'instances' AND indexname LIKE 'instances_by_uid%'
            ORDER BY 1
            """
        let old = try CatalogFixture.open(server, database)
        #expect(try await old.migrate(to: 6) == Array(1...6))
        for node in CatalogFixture.nodes { try await old.register(node) }
        #expect(try await old.commit(.sample(instance: 1)) == .committed)

        // A new program starts while one of the old schema goes on storing.
        let new = try CatalogFixture.open(server, database)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                for instance in 2...200 {
                    let outcome = try await old.commit(.sample(instance: instance))
                    #expect(outcome == .committed)
                }
            }
            tasks.addTask {
                let applied = try await new.migrate()
                #expect(applied == [7, 8] + Array(10...32))
            }
            try await tasks.waitForAll()
        }
        #expect(try server.sql(indexes, database: database) == ["instances_by_uid", "instances_by_uid_key"])
        // The old one starts again, and finds what it needs.
        #expect(try await old.migrate(to: 6) == [])
        #expect(try await old.commit(.sample(instance: 201)) == .committed)
        #expect(try await new.commit(.sample(instance: 202)) == .committed)
        let row = try await new.instance(sopInstanceUID: InstanceEntry.sample(instance: 7).instance.sopInstanceUID)
        #expect(row?.instance.number == 7)
        #expect(try await new.commit(.sample(instance: 7)) == .committed, "the same record again")

        #expect(try await new.migrate() == [], "contracted without being asked")
        #expect(try await new.migrate(contracting: true) == [9])
        #expect(try server.sql(indexes, database: database) == ["instances_by_uid_key"])
        #expect(try await new.commit(.sample(instance: 203)) == .committed)
        let error = await #expect(throws: CatalogError.self) { try await old.migrate(to: 6) }
        #expect(error?.code == .schema)
        await old.shutdown()
        await new.shutdown()
    }

    @Test func `an index that broke off while it was built is built again`() async throws {
        let server = try PostgresServer.shared()
        let database = try server.makeDatabase()
        let catalog = try CatalogFixture.open(server, database)
        _ = try await catalog.migrate(to: 7)
        for node in CatalogFixture.nodes { try await catalog.register(node) }
        for instance in 1...20 { _ = try await catalog.commit(.sample(instance: instance)) }
        // As after a crash: there, but not valid.
        _ = try server.sql(
            """
            CREATE UNIQUE INDEX instances_by_uid_key ON instances (uid_key(uid));
            UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'instances_by_uid_key'::regclass;
            """,
            database: database
        )
        let applied = [8] + Array(10...32)
        #expect(try await catalog.migrate() == applied)
        let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'instances_by_uid_key'::regclass"
        #expect(try server.sql(valid, database: database) == ["t"])
        await catalog.shutdown()
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
