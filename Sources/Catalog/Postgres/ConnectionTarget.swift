// SPDX-License-Identifier: Apache-2.0

import CPostgres

/// Where one attempt to connect goes: a connection string's keywords, with one of its hosts.
///
/// libpq walks several hosts by itself, but only its blocking calls give each host a time of its own; with the
/// non-blocking ones a first host that swallows packets would use up the whole deadline. So the hosts are told apart
/// here and tried in turn.
struct ConnectionTarget: Sendable {
    struct Keyword: Sendable {
        let name: String
        let value: String
    }

    let keywords: [Keyword]

    /// One target for each host of a connection string, in its order.
    static func targets(
        connectionString: String,
        applicationName: String
    ) throws(CatalogError) -> [ConnectionTarget] {
        var given = try parse(connectionString)
        let hosts = list(given["host"])
        let addresses = list(given["hostaddr"])
        let ports = list(given["port"])
        let count = max(hosts.count, addresses.count, 1)
        guard hosts.isEmpty || hosts.count == count, addresses.isEmpty || addresses.count == count,
            ports.count <= 1 || ports.count == count
        else {
            throw CatalogError(.configuration, "the connection string names different numbers of hosts and ports")
        }
        given["client_encoding"] = "UTF8"
        if given["application_name"] == nil { given["application_name"] = applicationName }
        // With several hosts the one that takes writes is meant.
        if count > 1, given["target_session_attrs"] == nil { given["target_session_attrs"] = "read-write" }
        // A peer that vanished without a word is noticed in about a minute, also between statements.
        for (name, value) in [("keepalives_idle", "30"), ("keepalives_interval", "10"), ("keepalives_count", "3")]
        where given[name] == nil {
            given[name] = value
        }
        return (0..<count).map { index in
            var keywords = given
            if !hosts.isEmpty { keywords["host"] = hosts[index] }
            if !addresses.isEmpty { keywords["hostaddr"] = addresses[index] }
            if ports.count > 1 { keywords["port"] = ports[index] }
            return ConnectionTarget(
                keywords: keywords.filter { !$0.value.isEmpty }.sorted { $0.key < $1.key }
                    .map { Keyword(name: $0.key, value: $0.value) }
            )
        }
    }

    private static func list(_ value: String?) -> [String] {
        guard let value, !value.isEmpty else { return [] }
        return value.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
    }

    /// The keywords that a connection string sets; libpq does the parsing.
    private static func parse(_ connectionString: String) throws(CatalogError) -> [String: String] {
        guard let options = PQconninfoParse(connectionString, nil) else {
            // libpq's message may quote the string, and with it a password.
            throw CatalogError(
                .configuration,
                "the Postgres connection string cannot be read; give key=value pairs or postgresql://..."
            )
        }
        defer { PQconninfoFree(options) }
        var keywords: [String: String] = [:]
        var option = options
        while let name = option.pointee.keyword {
            if let value = option.pointee.val { keywords[String(cString: name)] = String(cString: value) }
            option += 1
        }
        return keywords
    }
}
