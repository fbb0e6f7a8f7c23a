// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lifecycle
import LifecycleFiles
import Testing

@Suite struct RuleFileTests {
    @Test func `everything that can be said is read`() throws {
        let ruleSet = try RuleFile.read(
            text: """
                version: 1
                description: All of it.
                tiers:
                  hot: {nodes: hot}
                  cold: {packs: {directory: /srv/cold/}, offline-media: {retry-after: 90 minutes}}
                  offsite:
                    packs:
                      s3:
                        endpoint: https://s3.example.org:9000/
                        bucket: images.1
                        prefix: /varve/packs/
                        region: eu-central-1
                        path-style: yes
                        storage-class: STANDARD_IA
                        object-lock: {mode: compliance, for: 5 years}
                        credentials: /etc/varve/s3
                    offline-media: {retry-after: 1 hour, restore-for: 2 weeks}
                policies:
                  active: {copies: {hot: 2}, spread: rack, codec: balanced}
                  deep:
                    description: Cold.
                    copies: {cold: 1, offsite: 1}
                    recall-to: hot
                    codec: as-received
                    soak: 2 weeks
                    stay: 3 weeks
                    trash: 1 month
                  gone: {expire: true, trash: 90 days}
                default: active
                rules:
                  - name: first
                    description: >
                      A text of
                      two lines.
                    match:
                      modality: [CT, 'M*']
                      not: {any: [{station: CT1}, {institution: Elsewhere, size: under 2 GB}]}
                      study-age: over 5 years and at most 10 years
                    policy: gone
                  - {name: second, policy: deep, codec: dense}
                prefetch:
                  - {name: a, match: {modality: CT}, priors: {station: CT1}, same: [modality, body-part], at-most: 20}
                  - {name: b, same: body-part, at-most: 1}
                """
        )
        let years = try #require(CalendarDuration(5, .years))
        #expect(ruleSet.tiers.map(\.name) == ["hot", "cold", "offsite"])
        #expect(ruleSet.tiers[1].place == .directory("/srv/cold") && ruleSet.tiers[0].offlineMedia == nil)
        #expect(ruleSet.tiers[1].offlineMedia == Tier.OfflineMedia(retryAfterSeconds: 5400))
        #expect(ruleSet.tiers[2].offlineMedia == Tier.OfflineMedia(retryAfterSeconds: 3600, restoreDays: 14))
        #expect(
            ruleSet.tiers[2].place
                == .objectStore(
                    ObjectStore(
                        endpoint: "https://s3.example.org:9000",
                        bucket: "images.1",
                        prefix: "varve/packs",
                        region: "eu-central-1",
                        usesPathStyle: true,
                        storageClass: "STANDARD_IA",
                        lock: ObjectStore.Lock(isCompliance: true, period: years),
                        credentialsFile: "/etc/varve/s3"
                    )
                )
        )
        #expect(ruleSet.prefetches.map(\.name) == ["a", "b"] && ruleSet.prefetches.map(\.limit) == [20, 1])
        #expect(ruleSet.prefetches[0].same == [.modality, .bodyPart] && ruleSet.prefetches[1].same == [.bodyPart])
        #expect(ruleSet.prefetches[0].condition != nil && ruleSet.prefetches[1].priors == nil)
        #expect(ruleSet.prefetches[0].priors != nil && ruleSet.prefetches[1].condition == nil)
        #expect(ruleSet.policies[0].keeping?.spread == .rack && ruleSet.policies[0].keeping?.codec == .balanced)
        #expect(ruleSet.policies[0].trash == Policy.defaultTrash)
        let deep = try #require(ruleSet.policies[1].keeping)
        #expect(deep.copies == [TierCopies(tier: 1, count: 1), TierCopies(tier: 2, count: 1)])
        #expect(deep.recallTier == 0 && deep.codec == .asReceived && deep.spread == .host)
        #expect(deep.stay == CalendarDuration(3, .weeks) && ruleSet.policies[0].keeping?.stay == Policy.defaultStay)
        #expect(deep.soak == CalendarDuration(2, .weeks) && ruleSet.policies[1].trash == CalendarDuration(1, .months))
        #expect(ruleSet.policies[2].expires && ruleSet.policies[2].trash == CalendarDuration(90, .days))
        #expect(ruleSet.defaultPolicy == 0)
        #expect(ruleSet.rules.map(\.name) == ["first", "second"] && ruleSet.rules.map(\.policy) == [2, 1])
        #expect(ruleSet.rules[0].description == "A text of two lines.")
        #expect(ruleSet.rules[1].condition == nil && ruleSet.rules[1].codec == .dense)
        let five = try #require(CalendarDuration(5, .years))
        let ten = try #require(CalendarDuration(10, .years))
        #expect(
            ruleSet.rules[0].condition
                == .all([
                    .text(.modality, [TextPattern("CT"), TextPattern("M*")]),
                    .not(
                        .any([
                            .text(.station, [TextPattern("CT1")]),
                            .all([
                                .text(.institution, [TextPattern("Elsewhere")]),
                                .byteCount(Bounds(upper: .under(2_000_000_000))),
                            ]),
                        ])
                    ),
                    .age(.studyAge, Bounds(lower: .over(five), upper: .atMost(ten))),
                ])
        )
    }

    @Test func `every key of a condition is read and written alike`() throws {
        let keys = [
            "modality: CT", "all-modalities: CT, MR", "body-part: CHEST", "study-description: *THORAX*",
            "station: CT1", "institution: Elsewhere", "calling-ae: CT1", "tag: research", "later-study: MG",
            "study-age: over 5 years", "since-access: under 30 days", "since-receipt: at least 1 week",
            "patient-age: at most 18 months", "since-latest-visit: over 1 day and under 1 year",
            "birth-date-known: no", "size: at least 2 GB", "instances: over 500",
        ]
        for key in keys {
            let parts = key.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            let values = parts[1].split(separator: ",").map { "'\($0.trimmingCharacters(in: .whitespaces))'" }
            let value = values.count == 1 ? values[0] : "[\(values.joined(separator: ", "))]"
            let yaml = file(rules: "  - {name: a, policy: archive, match: {\(parts[0]): \(value)}}")
            #expect(try RuleFile.read(text: yaml).rules[0].condition?.description == key)
        }
    }

    @Test func `all that is wrong is told at once, in the order of the file`() {
        let yaml = """
            version: 1
            tiers:
              hot: {node: hot}
              cold: {packs: {directory: srv/cold}}
            policies:
              active: {copies: {hot: 12}, codec: dence}
              archive: {copies: {cold: 2, hott: 1}}
            default: activ
            rules:
              - name: a
                match: {modality: MG, study-age: 5 years}
                policy: archive
            """
        #expect(
            problems(yaml) == """
                3:8: the tier 'hot' needs either 'nodes' or 'packs'; write 'nodes: LABEL', 'packs: {directory: PATH}' or 'packs: {s3: ...}'
                3:9: the tier 'hot' has no key 'node'; did you mean 'nodes'?
                4:29: the directory of the tier 'cold' is 'srv/cold'; write the whole path, from '/' on
                6:26: the policy 'active' wants '12' copies in 'hot'; write a number from 1 to 9
                6:38: 'codec' of the policy 'active' is 'dence'; did you mean 'dense'? It is one of fast, balanced, dense, as-received
                7:31: there is no tier 'hott'; did you mean 'hot'?
                8:10: there is no policy 'activ'; did you mean 'active'?
                11:38: 'study-age' is '5 years'; write 'at least 5 years', 'over', 'under' or 'at most', or a lower 'and' an upper bound
                """
        )
    }

    @Test func `a file is read whole, and only when it is one`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("rules-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("rules.yaml").path
        #expect(throws: RuleSetError.self) { try RuleFile.read(path: path) }
        #expect(throws: RuleSetError.self) { try RuleFile.read(path: folder.path) }
        try Data(file().utf8).write(to: URL(fileURLWithPath: path))
        #expect(try RuleFile.read(path: path) == RuleFile.read(text: file()))
        #expect(problems("") == "it is empty; begin with 'version: 1'")
        #expect(problems("# nothing\n") == "it is empty; begin with 'version: 1'")
    }

    @Test func `bytes that are no UTF-8, or too many, are refused`() throws {
        let padding = { (count: Int) in "\n#" + String(repeating: "x", count: count - file().utf8.count - 2) }
        let largest = file() + padding(RuleFile.maximumByteCount)
        #expect(try RuleFile.read(bytes: Array(largest.utf8)).rules.isEmpty)
        #expect(problems(largest + "x").hasPrefix("it has more than 1048576 bytes"))
        #expect(throws: RuleSetError.self) { try RuleFile.read(bytes: Array(largest.utf8) + [0x20]) }
        #expect(throws: RuleSetError.self) { try RuleFile.read(path: "/dev/zero") }
        #expect(throws: RuleSetError.self) { try RuleFile.read(bytes: Array("version: \u{e9}".utf8) + [0xC3]) }
    }
}
