// SPDX-License-Identifier: Apache-2.0

import Catalog
import Foundation
import Testing

/// What happens when Postgres dies, hangs or is not there.
///
/// Each test has a server of its own to maltreat.
@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct FailureTests {
    @Test func `a server that crashes and comes back loses nothing that was committed`() async throws {
        let server = try PostgresServer()
        try await CatalogFixture.with(server: server) { fixture in
            let catalog = fixture.catalog
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<4 {
                    group.addTask {
                        for number in 0..<150 {
                            let entry = InstanceEntry.sample(study: "\(writer)", instance: number)
                            let outcome = try await catalog.commit(entry)
                            #expect(outcome == .committed)
                        }
                    }
                }
                group.addTask {
                    for _ in 0..<3 {
                        // Some commits further, whenever that is.
                        let before = (try? await catalog.studySummaries().map(\.instanceCount).reduce(0, +)) ?? 0
                        var now = before
                        while now < min(before + 40, 600) {
                            now = (try? await catalog.studySummaries().map(\.instanceCount).reduce(0, +)) ?? now
                        }
                        try server.stop()
                        try server.start()
                    }
                }
                try await group.waitForAll()
            }
            #expect(try fixture.count("instances") == 600)
        }
    }

    @Test func `a commit that hangs ends at its deadline with its outcome unknown, and can be repeated`() async throws {
        // A standby that never answers: COMMIT waits for it for ever, and statement_timeout does not count that.
        let server = try PostgresServer()
        try await CatalogFixture.with(server: server) { fixture in
            _ = try await fixture.catalog.commit(.sample(instance: 1))
            _ = try fixture.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            _ = try fixture.sql("SELECT pg_reload_conf()")
            let impatient = try CatalogFixture.open(server, fixture.database) { $0.commitTimeout = .seconds(1) }
            // Until the setting has reached the server's processes commits go through.
            var error: CatalogError?
            var number = 1
            while error == nil {
                number += 1
                do throws(CatalogError) {
                    _ = try await impatient.commit(.sample(instance: number))
                } catch let failure {
                    error = failure
                }
            }
            #expect(error?.code == .outcomeUnknown)
            _ = try server.sql("ALTER SYSTEM RESET synchronous_standby_names", database: "postgres")
            _ = try server.sql("SELECT pg_reload_conf()", database: "postgres")
            #expect(try await fixture.catalog.commit(.sample(instance: number)) == .committed)
            #expect(try fixture.count("instances") == number)
            await impatient.shutdown()
        }
    }

    @Test func `a server that is down is unavailable by the deadline, and used again when it is back`() async throws {
        let server = try PostgresServer()
        try await CatalogFixture.with(server: server) { fixture in
            try server.stop(mode: "fast")
            let impatient = try CatalogFixture.open(server, fixture.database) { configuration in
                configuration.commitTimeout = .milliseconds(300)
                configuration.queryTimeout = .milliseconds(300)
            }
            let committing = await #expect(throws: CatalogError.self) { try await impatient.commit(.sample()) }
            #expect(committing?.code == .unavailable)
            let asking = await #expect(throws: CatalogError.self) { try await impatient.nodes() }
            #expect(asking?.code == .unavailable)
            await impatient.shutdown()
            // Patient callers are served when the server is back.
            async let outcome = fixture.catalog.commit(.sample())
            async let nodes = fixture.catalog.nodes()
            try server.start()
            #expect(try await outcome == .committed)
            #expect(try await nodes.count == 3)
        }
    }

    @Test func `the host that takes writes is found among several`() async throws {
        let server = try PostgresServer()
        try await CatalogFixture.with(server: server) { fixture in
            let hosts = ["/nonexistent", server.directory, "/nonexistent/either"].joined(separator: ",")
            let configuration = Catalog.Configuration(
                connectionString: "host=\(hosts) user=postgres dbname=\(fixture.database)"
            )
            let catalog = try Catalog(configuration: configuration, logger: CatalogFixture.logger)
            #expect(try await catalog.commit(.sample()) == .committed)
            await catalog.shutdown()
        }
    }

    @Test func `a silent peer holds nobody beyond the deadline`() async throws {
        // A listening socket that nobody accepts from: connecting succeeds, and then nothing comes.
        let listener = try SilentListener()
        var configuration = Catalog.Configuration(
            connectionString: "host=127.0.0.1 port=\(listener.port) user=postgres dbname=none sslmode=disable"
        )
        configuration.connectTimeout = .milliseconds(100)
        configuration.commitTimeout = .milliseconds(400)
        configuration.queryTimeout = .milliseconds(400)
        configuration.poolSize = 1
        let catalog = try Catalog(configuration: configuration, logger: CatalogFixture.logger)
        let codes = await withTaskGroup(of: CatalogError.Code?.self) { group in
            for number in 0..<8 {
                group.addTask {
                    do throws(CatalogError) {
                        if number % 2 == 0 {
                            _ = try await catalog.nodes()
                        } else {
                            _ = try await catalog.commit(.sample())
                        }
                        return nil
                    } catch {
                        return error.code
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes == [CatalogError.Code?](repeating: .unavailable, count: 8))
        await catalog.shutdown()
    }

    @Test func `what exceeds the queue is refused at once`() async throws {
        let listener = try SilentListener()
        var configuration = Catalog.Configuration(
            connectionString: "host=127.0.0.1 port=\(listener.port) user=postgres dbname=none sslmode=disable"
        )
        configuration.commitTimeout = .milliseconds(500)
        configuration.maximumQueuedEntryCount = 2
        configuration.maximumBatchCount = 1
        let catalog = try Catalog(configuration: configuration, logger: CatalogFixture.logger)
        let codes = await withTaskGroup(of: CatalogError.Code?.self) { group in
            for number in 0..<12 {
                group.addTask {
                    do throws(CatalogError) {
                        _ = try await catalog.commit(.sample(instance: number))
                        return nil
                    } catch {
                        return error.code
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(codes.filter { $0 == .overloaded }.count >= 9)
        #expect(codes.allSatisfy { $0 == .overloaded || $0 == .unavailable })
        await catalog.shutdown()
        let error = await #expect(throws: CatalogError.self) { try await catalog.commit(.sample()) }
        #expect(error?.code == .closed)
    }

    @Test(arguments: ["host=a,b port=1,2,3", "nonsense", "postgresql://[", "host=a,b hostaddr=127.0.0.1"])
    func `a connection string that cannot be read is refused without being quoted`(text: String) async throws {
        let configuration = Catalog.Configuration(connectionString: text + " password=secret")
        let error = #expect(throws: CatalogError.self) {
            try Catalog(configuration: configuration, logger: CatalogFixture.logger)
        }
        #expect(error?.code == .configuration)
        #expect(error.map { "\($0)".contains("secret") } == false)
    }
}

/// A TCP port that takes connections and never answers.
private final class SilentListener: Sendable {
    private let descriptor: Int32
    let port: UInt16

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var count = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let status = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
            guard let base = bytes.baseAddress else { return -1 }
            let pointer = base.assumingMemoryBound(to: sockaddr.self)
            guard bind(descriptor, pointer, count) == 0, listen(descriptor, 64) == 0 else { return -1 }
            return getsockname(descriptor, pointer, &count)
        }
        guard status == 0 else { throw PostgresServer.Failure(description: "cannot listen: error \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
    }

    deinit { close(descriptor) }
}
