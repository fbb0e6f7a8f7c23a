// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import FoundationNetworking

/// Where the commands that talk to a cluster find it.
struct ServerOptions: ParsableArguments {
    @Option(help: "The cluster's HTTP address (or VARVE_SERVER).")
    var server = ProcessInfo.processInfo.environment["VARVE_SERVER"] ?? "http://127.0.0.1:8042"

    @Option(help: "The access token (or VARVE_TOKEN).")
    var token: String?

    @Flag(help: "Print JSON instead of a table.")
    var json = false
}

/// Speaks to the administration API (`/api/v1`).
struct AdminClient {
    private let options: ServerOptions

    init(_ options: ServerOptions) {
        self.options = options
    }

    /// The body of a successful GET of `path`; a refusal or a dead server is an error that says so.
    func get(_ path: String) async throws -> Data {
        try await send("GET", path)
    }

    /// The decoded body of a successful POST of nothing to `path`.
    func post<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        try JSONDecoder().decode(type, from: await send("POST", path))
    }

    /// The body of a successful request with a body of JSON, or none.
    func send(_ method: String, _ path: String, body sent: Data? = nil) async throws -> Data {
        guard let url = URL(string: options.server + path) else {
            throw CommandError("'\(options.server)' is not an address: use one like http://127.0.0.1:8042")
        }
        var request = URLRequest(url: url, timeoutInterval: 600)
        request.httpMethod = method
        if let sent {
            request.httpBody = sent
            request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        }
        if let token = options.token ?? ProcessInfo.processInfo.environment["VARVE_TOKEN"] {
            request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        }
        let (body, response): (Data, URLResponse)
        do {
            (body, response) = try await URLSession.shared.data(for: request)
        } catch {
            throw CommandError(
                "cannot reach \(options.server) (\(error.localizedDescription)): is the cluster running? See --server"
            )
        }
        let status = (response as? HTTPURLResponse)?.statusCode ?? 0
        guard status == 200 else {
            let reason = String(decoding: body.prefix(500), as: UTF8.self)
            throw CommandError("\(options.server)\(path) answered \(status): \(reason)")
        }
        return body
    }

    /// A successful GET of `path`, decoded.
    func get<Value: Decodable>(_ path: String, as type: Value.Type) async throws -> Value {
        try JSONDecoder().decode(type, from: await get(path))
    }
}

/// A failed operation: its description goes to standard error, the exit status is 1.
struct CommandError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
