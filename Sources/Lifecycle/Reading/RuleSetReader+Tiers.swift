// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    mutating func readTiers(_ value: LocatedValue) {
        let advice = "write 'NAME: {nodes: LABEL}' for each"
        guard let entries = entries(of: value, "'tiers'", advice: advice) else { return }
        if entries.isEmpty { report(value.location, "there is no tier", advice) }
        if entries.count > RuleSetLimits.tiers {
            report(value.location, "there are \(entries.count) tiers", "leave at most \(RuleSetLimits.tiers)")
            return
        }
        for entry in entries {
            _ = validName(entry.key, at: entry.location, of: "a tier")
            let what = "the tier \(quoted(entry.key))"
            let fields = fields(of: entry.value, what, keys: ["nodes", "packs", "offline-media"])
            let place = fields.flatMap { readPlace($0, at: entry.value.location, of: what) }
            let media = fields?["offline-media"].flatMap { readOfflineMedia($0, of: what, in: place) }
            if let place, let other = tiers.first(where: { $0.place == place }) {
                report(
                    entry.location,
                    "the tiers \(quoted(other.name)) and \(quoted(entry.key)) are the same place",
                    "give them different ones: what has a copy in each would have one copy"
                )
            }
            // A tier that could not be read keeps its name, so that policies that name it are not reported for it.
            tiers.append(Tier(name: entry.key, place: place ?? .nodes(label: ""), offlineMedia: media))
        }
    }

    private mutating func readPlace(_ fields: Fields, at location: SourceLocation, of what: String) -> Tier.Place? {
        switch (fields["nodes"], fields["packs"]) {
        case (let nodes?, nil):
            guard let text = text(nodes, "'nodes' of \(what)"),
                let label = validName(text, at: nodes.location, of: "a label of storage nodes")
            else { return nil }
            return .nodes(label: label)
        case (nil, let packs?): return readPacks(packs, of: what)
        default:
            report(
                location,
                "\(what) needs either 'nodes' or 'packs'",
                "write 'nodes: LABEL', 'packs: {directory: PATH}' or 'packs: {s3: ...}'"
            )
            return nil
        }
    }

    private mutating func readPacks(_ value: LocatedValue, of what: String) -> Tier.Place? {
        guard let fields = fields(of: value, "'packs' of \(what)", keys: ["directory", "s3"]) else { return nil }
        switch (fields["directory"], fields["s3"]) {
        case (let directory?, nil): return readPath(directory, "the directory of \(what)").map { .directory($0) }
        case (nil, let store?): return readObjectStore(store, of: what).map { .objectStore($0) }
        default:
            report(
                value.location,
                "'packs' of \(what) needs either 'directory' or 's3'",
                "write 'directory: PATH' or 's3: {endpoint: URL, bucket: NAME}'"
            )
            return nil
        }
    }

    /// An absolute path, without slashes at its end.
    private mutating func readPath(_ value: LocatedValue, _ what: String) -> String? {
        guard let text = text(value, what) else { return nil }
        guard text.hasPrefix("/") else {
            report(value.location, "\(what) is \(quoted(text))", "write the whole path, from '/' on")
            return nil
        }
        let path = text[...(text.lastIndex { $0 != "/" } ?? text.startIndex)]
        return String(path)
    }
}

// MARK: Object stores

extension RuleSetReader {
    private static let objectStoreKeys = [
        "endpoint", "bucket", "prefix", "region", "path-style", "storage-class", "object-lock", "credentials",
    ]

    private mutating func readObjectStore(_ value: LocatedValue, of what: String) -> ObjectStore? {
        let what = "'s3' of \(what)"
        guard !hasSecrets(value, what), let fields = fields(of: value, what, keys: Self.objectStoreKeys) else {
            return nil
        }
        let endpoint = required("endpoint", of: fields, "write 'endpoint: https://HOST'").flatMap { readEndpoint($0) }
        let bucket = required("bucket", of: fields, "write 'bucket: NAME'").flatMap { readBucket($0) }
        let prefix = fields["prefix"].flatMap { text($0, "'prefix'") } ?? ""
        let usesPathStyle = fields["path-style"].flatMap { boolean($0, "'path-style'") } ?? false
        let region = fields["region"].flatMap { text($0, "'region'") }
        let storageClass = fields["storage-class"].flatMap { text($0, "'storage-class'") }
        let lock = fields["object-lock"].flatMap { readLock($0, of: what) }
        let credentials = fields["credentials"].flatMap { readPath($0, "'credentials'") }
        guard let endpoint, let bucket else { return nil }
        return ObjectStore(
            endpoint: endpoint,
            bucket: bucket,
            prefix: prefix.split(separator: "/").joined(separator: "/"),
            region: region,
            usesPathStyle: usesPathStyle,
            storageClass: storageClass,
            lock: lock,
            credentialsFile: credentials
        )
    }

    private enum LockMode: String, CaseIterable {
        case governance, compliance
    }

    private mutating func readLock(_ value: LocatedValue, of what: String) -> ObjectStore.Lock? {
        let what = "'object-lock' of \(what)"
        guard let fields = fields(of: value, what, keys: ["mode", "for"]) else { return nil }
        let advice = "write 'object-lock: {mode: governance, for: 5 years}'"
        let mode = required("mode", of: fields, advice).flatMap { choice($0, "'mode' of \(what)", of: LockMode.self) }
        guard let period = required("for", of: fields, advice), let duration = duration(period, "'for' of \(what)"),
            let mode
        else { return nil }
        guard let lock = ObjectStore.Lock(isCompliance: mode == .compliance, period: duration) else {
            report(
                period.location,
                "'for' of \(what) is \(quoted("\(duration)"))",
                "stores lock for a hundred years at most: write \(ObjectStore.Lock.maximumYears) years or less"
            )
            return nil
        }
        return lock
    }

    /// Rule sets are under version control and are shown to anybody who asks.
    private mutating func hasSecrets(_ value: LocatedValue, _ what: String) -> Bool {
        guard case .mapping(let entries) = value.content else { return false }
        let words = ["secret", "password", "token", "access-key", "access_key", "accesskey"]
        let secrets = entries.filter { entry in words.contains { entry.key.lowercased().contains($0) } }
        for entry in secrets {
            report(
                entry.location,
                "\(what) has \(quoted(entry.key)): a rule set is no place for secrets",
                "put them into a file and name it with 'credentials: PATH'; change them if this file was shared"
            )
        }
        return !secrets.isEmpty
    }

    private mutating func readEndpoint(_ value: LocatedValue) -> String? {
        guard let text = text(value, "'endpoint'") else { return nil }
        let rest = ["https://", "http://"].first { text.hasPrefix($0) }.map { text.dropFirst($0.count) }
        let host = rest.map { $0.last == "/" ? $0.dropLast() : $0 }
        guard let host, !host.isEmpty, host.utf8.allSatisfy(Self.isHostCharacter) else {
            report(
                value.location,
                "'endpoint' is no address of an object store",
                "write https://HOST or https://HOST:PORT, without a user, a path or a query"
            )
            return nil
        }
        return text.last == "/" ? String(text.dropLast()) : text
    }

    /// Of host names, addresses (IPv6 in brackets) and ports.
    private static func isHostCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x3A, 0x41...0x5B, 0x5D, 0x61...0x7A, 0x2D, 0x2E: true
        default: false
        }
    }

    private mutating func readBucket(_ value: LocatedValue) -> String? {
        guard let text = text(value, "'bucket'") else { return nil }
        let isPlain = text.utf8.allSatisfy { 0x30...0x39 ~= $0 || 0x61...0x7A ~= $0 || $0 == 0x2D || $0 == 0x2E }
        guard isPlain, 3...63 ~= text.utf8.count else {
            report(
                value.location,
                "\(quoted(text)) is no name of a bucket",
                "use small letters, digits, '-' and '.', 3 to 63 of them"
            )
            return nil
        }
        return text
    }
}
