// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
package import Placement

/// The last placement map, in a file: an ingest node that starts while the catalog is away stores and reads with it.
package struct MapCache: Sendable {
    private struct Content: Codable {
        var epoch: UInt64
        var members: [Member]
    }

    private struct Member: Codable {
        var id: String
        var name: String
        var host: String
        var port: Int
        var site: String
        var rack: String
        var domainHost: String
        var weight: UInt32
        var state: UInt8
    }

    private let path: String

    package init(path: String) {
        self.path = path
    }

    /// The map that was kept; nil when there is none that can be read.
    ///
    /// Blocks.
    package func load() -> PlacementMap? {
        guard let data = FileManager.default.contents(atPath: path),
            let content = try? JSONDecoder().decode(Content.self, from: data)
        else { return nil }
        let members = content.members.compactMap { member -> StorageMember? in
            guard let id = NodeID(member.id), let state = NodeState(rawValue: member.state) else { return nil }
            return StorageMember(
                id: id,
                name: member.name,
                host: member.host,
                port: member.port,
                domain: FailureDomain(site: member.site, rack: member.rack, host: member.domainHost),
                weight: member.weight,
                state: state
            )
        }
        guard members.count == content.members.count else { return nil }
        return PlacementMap(epoch: MapEpoch(rawValue: content.epoch), members: members)
    }

    /// Keeps a map in place of the one before it.
    ///
    /// Blocks.
    package func save(_ map: PlacementMap) throws {
        let members = map.members.map { member in
            Member(
                id: "\(member.id)",
                name: member.name,
                host: member.host,
                port: member.port,
                site: member.domain.site,
                rack: member.domain.rack,
                domainHost: member.domain.host,
                weight: member.weight,
                state: member.state.rawValue
            )
        }
        let data = try JSONEncoder().encode(Content(epoch: map.epoch.rawValue, members: members))
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)
    }
}
