// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lifecycle
import LifecycleFiles
import Testing

@Suite struct ProblemTests {
    @Test(arguments: [
        ("", "it is empty"), ("version: 1", "1:1: a rule set has no 'tiers'"), ("- a", "1:1: a rule set is a list"),
        ("text", "1:1: a rule set is a text"), ("version: 2", "1:10: the version is '2'"),
        ("a: 1\na: 2", "a key stands twice in one place: a"), ("a: [1, 2", "this is not YAML"),
        ("a: b: c", "this is not YAML"),
        ("a: 1\n---\nb: 2", "there is a second document"), ("a: 1\nb\u{1}: 1", "2:2: this is not YAML"),
        ("a\u{0}: 1", "1:2: this is not YAML"),
        ("[a, b]: 1", "1:7: a list is no key"), ("{{a: 1} : 2}", "1:9: a list is no key"),
        // What a parser would be led astray by.
        ("a: &x 1", "1:4: there are no anchors"), ("&x\na: 1", "1:1: there are no anchors"),
        ("a:\n  - &x 1", "2:5: there are no anchors"), ("a: [1,&x 2]", "1:7: there are no anchors"),
        ("{\"a\":&x 1}", "1:6: there are no anchors"), ("--- &x\na: 1", "1:5: there are no anchors"),
        ("\u{FEFF}&x\na: 1", "there are no anchors"), ("a: 1\u{85}&x : 2", "there are no anchors"),
        ("a: 1\r&x : 2", "2:1: there are no anchors"), ("a: *x", "1:4: a value that begins with '*'"),
        ("a: !!int 1", "1:4: there are no tags"), ("a: !x &y 1", "1:4: there are no tags"),
        ("? a\n: 1", "1:1: there are no keys with '?'"), ("a: [?b]", "1:5: there are no keys with '?'"),
        ("<<: 1", "has no key '<<'"),
    ])
    func `what is no rule set is told where`(yaml: String, problem: String) {
        let found = problems(yaml)
        #expect(!found.isEmpty && found.contains(problem), "\(found)")
    }

    @Test func `a bomb of aliases and a nest of a million lists are refused at once`() {
        let letters = "abcdefghij"
        var bomb = "version: 1\na: &a [x, x, x, x, x, x, x, x, x]\n"
        for (first, second) in zip(letters, letters.dropFirst()) {
            bomb += "\(second): &\(second) [\(Array(repeating: "*\(first)", count: 9).joined(separator: ","))]\n"
        }
        #expect(problems(bomb).contains("there are no anchors"))
        #expect(problems(String(repeating: "[", count: 1_000_000)).contains("not YAML"))
        #expect(problems(String(repeating: "- ", count: 500_000)).contains("not YAML"))
        #expect(problems(String(repeating: "{a: ", count: 250_000)).contains("not YAML"))
        #expect(!problems(String(repeating: "[", count: 900) + String(repeating: "]", count: 900)).isEmpty)
    }

    @Test func `texts may have any character where no node begins`() {
        #expect(
            problems(file(rules: "  - {name: a, policy: active, match: {station: ['*&CT!', \"?T\"], tag: R&D}}")) == ""
        )
        #expect(
            problems(file(rules: "  - name: a\n    description: Why? Because! (R & D, *)\n    policy: active")) == ""
        )
    }

    @Test(arguments: [
        ("{}", "'prefetch' is"), ("[a]", "an entry of 'prefetch' is a text"),
        ("[{at-most: 1}]", "an entry of 'prefetch' has no 'name'"), ("[{name: a}]", "has no 'at-most'"),
        ("[{name: a b, at-most: 1}]", "no name for an entry"),
        ("[{name: a, at-most: 0}]", "write a number from 1 to 20"),
        ("[{name: a, at-most: 21}]", "'at-most' of the entry 'a'"), ("[{name: a, at-most: -1}]", "write a number"),
        ("[{name: a, at-most: 1, same: station}]", "it is one of modality, body-part"),
        ("[{name: a, at-most: 1, match: {colour: red}}]", "'colour'"),
        ("[{name: a, at-most: 1, priors: {colour: red}}]", "'colour'"),
        ("[{name: a, at-most: 1, prior: {}}]", "did you mean 'priors'?"),
        ("[{name: a, at-most: 1}, {name: a, at-most: 2}]", "there are two entries 'a' of 'prefetch'"),
        ("[\(Array(repeating: "{name: a, at-most: 1}", count: 101).joined(separator: ","))]", "leave at most 100"),
    ])
    func `what is to be fetched is checked`(prefetch: String, problem: String) {
        let found = problems(file() + "\nprefetch: \(prefetch)")
        #expect(!found.isEmpty && found.contains(problem), "\(found)")
    }

    @Test(arguments: [
        ("  a: {}", "6:6: the policy 'a' has no copies; write 'copies: {TIER: COUNT}', or 'expire: yes'"),
        ("  a: 1", "the policy 'a' is a text"), ("  a:", "the policy 'a' is empty"), ("  {}", "there is no policy"),
        ("  a: {copies: {}}", "the policy 'a' has no copies; name a tier"),
        ("  a: {expire: no}", "the policy 'a' has no copies"),
        ("  a: {expire: yes, copies: {hot: 1}}", "the policy 'a' expires and has 'copies'"),
        ("  a: {expire: maybe}", "'expire' of the policy 'a' is 'maybe'; write yes or no"),
        ("  a: {copies: {hot: 0}}", "wants '0' copies"), ("  a: {copies: {hot: two}}", "wants 'two' copies"),
        ("  a: {copies: {cold: 2}}", "write 1: packs are there once"), ("  a: {copies: {warm: 1}}", "no tier 'warm'"),
        ("  a: {copies: {hot: 1}, spread: room}", "it is one of host, rack, site"),
        ("  a: {copies: {hot: 1}, soak: 7}", "'soak' of the policy 'a' is '7'; write a number of days"),
        ("  a: {copies: {hot: 1}, soak: [7 days]}", "'soak' of the policy 'a' is a list; write one text"),
        ("  a: {copies: {hot: 1}, trash: 0 days}", "'trash' of the policy 'a' is '0 days'"),
        ("  a: {copies: {hot: 1}, recall-to: cold}", "recalls to 'cold', which has packs"),
        ("  a: {copies: {hot: 1}, grace: 1 day}", "has no key 'grace'; its keys are copies, spread"),
        ("  a: {copies: {hot: 1}}\n  'a b': {copies: {hot: 1}}", "'a b' is no name for a policy"),
        ("  a: {copies: {hot: 1}, description: ''}", "'description' is empty"),
    ])
    func `policies are checked`(policies: String, problem: String) {
        let found = problems(file(policies: policies).replacingOccurrences(of: "default: active", with: "default: a"))
        #expect(!found.isEmpty && found.contains(problem), "\(found)")
    }

    @Test(arguments: [
        ("{nodes: hot, packs: {directory: /a}}", "needs either 'nodes' or 'packs'"), ("{nodes: ''}", "is empty"),
        ("{nodes: [a]}", "is a list"), ("{nodes: 'a b'}", "is no name for a label"),
        ("{packs: {}}", "needs either 'directory'"),
        ("{packs: {directory: a}}", "write the whole path"), ("{packs: {directory: \"/a\\nb\"}}", "line breaks"),
        ("{packs: {directory: /srv/cold//}}", "'cold' and 'x' are the same place"),
        ("{nodes: hot}", "'hot' and 'x' are the same"),
        ("{packs: {s3: {bucket: abc}}}", "has no 'endpoint'"),
        ("{packs: {s3: {endpoint: 'https://h'}}}", "has no 'bucket'"),
        ("{packs: {s3: {endpoint: 'ftp://h', bucket: abc}}}", "no address of an object store"),
        ("{packs: {s3: {endpoint: 'https://u:p@h', bucket: abc}}}", "without a user"),
        ("{packs: {s3: {endpoint: 'https://h/path', bucket: abc}}}", "no address"),
        ("{packs: {s3: {endpoint: 'https://', bucket: abc}}}", "no address"),
        ("{packs: {s3: {endpoint: 'https://h', bucket: AB}}}", "'AB' is no name of a bucket"),
        ("{packs: {s3: {endpoint: 'https://h', bucket: abc, object-lock: {mode: legal, for: 1 day}}}}", "'mode'"),
        ("{packs: {s3: {endpoint: 'https://h', bucket: abc, object-lock: {for: 1 day}}}}", "has no 'mode'"),
        ("{packs: {s3: {endpoint: 'https://h', bucket: abc, object-lock: {mode: compliance}}}}", "has no 'for'"),
        (
            "{packs: {s3: {endpoint: 'https://h', bucket: abc, object-lock: {mode: compliance, for: 100 years}}}}",
            "a hundred years at most"
        ),
        ("{packs: {s3: {endpoint: 'https://h', bucket: abc, secret-key: hunter2}}}", "no place for secrets"),
        ("{nodes: x, offline-media: {retry-after: 4 hours}}", "'x' has 'offline-media', and is one of nodes"),
        ("{packs: {directory: /x}, offline-media: yes}", "'offline-media' of the tier 'x' is a text, not keys"),
        ("{packs: {directory: /x}, offline-media: {}}", "has no 'retry-after'; write 'offline-media: {retry-after"),
        ("{packs: {directory: /x}, offline-media: {retry-after: 4}}", "write a number of minutes, hours or days"),
        ("{packs: {directory: /x}, offline-media: {retry-after: 0 hours}}", "'retry-after' of"),
        ("{packs: {directory: /x}, offline-media: {retry-after: 367 days}}", "up to a year"),
        ("{packs: {directory: /x}, offline-media: {retry-after: 9999999 days}}", "up to a year"),
        ("{packs: {directory: /x}, offline-media: {retry-after: 4 hours, mount: x}}", "has no key 'mount'"),
        (
            "{packs: {directory: /x}, offline-media: {retry-after: 4 hours, restore-for: 7 days}}",
            "has 'restore-for', and is one of a directory"
        ),
        (
            "{packs: {s3: {endpoint: 'https://h', bucket: abc}}, offline-media: {retry-after: 1 day, restore-for: 2 months}}",
            "write a number of days or weeks, up to 366 days"
        ),
        ("{packs: {s3: {endpoint: 'https://h', bucket: abc, aws_secret_access_key: hunter2}}}", "no place for secrets"),
    ])
    func `tiers are checked`(tier: String, problem: String) {
        let yaml = file().replacingOccurrences(of: "policies:", with: "  x: \(tier)\npolicies:")
        let found = problems(yaml)
        #expect(!found.isEmpty && found.contains(problem) && !found.contains("hunter2"), "\(found)")
    }

    @Test(arguments: [
        ("  - {policy: active}", "the rule has no 'name'"), ("  - {name: a}", "the rule 'a' has no 'policy'"),
        ("  - a", "the rule is a text"), ("  a: b", "'rules' is a list of keys"),
        ("  - {name: a b, policy: active}", "no name for a rule"),
        ("  - {name: a, policy: actve}", "there is no policy 'actve'; did you mean 'active'?"),
        ("  - {name: a, policy: active, matches: {}}", "has no key 'matches'; did you mean 'match'?"),
        ("  - {name: a, policy: active, match: {}}", "'match' of the rule 'a' is empty"),
        ("  - {name: a, policy: active, match: }", "'match' of the rule 'a' is empty"),
        ("  - {name: a, policy: active, match: {modalty: CT}}", "no key 'modalty'; did you mean 'modality'?"),
        ("  - {name: a, policy: active, match: {modality: []}}", "'modality' names 0 texts"),
        ("  - {name: a, policy: active, match: {modality: {a: b}}}", "'modality' is a list of keys"),
        ("  - {name: a, policy: active, match: {any: []}}", "'any' in 'match' of the rule 'a' is a list"),
        ("  - {name: a, policy: active, match: {all: {modality: CT}}}", "write a list of conditions"),
        ("  - {name: a, policy: active, match: {not: [a]}}", "is a list, not keys with values"),
        ("  - {name: a, policy: active, match: {study-age: over 5 decades}}", "'study-age' is 'over 5 decades'"),
        (
            "  - {name: a, policy: active, match: {study-age: under 5 years and over 3 years}}",
            "a lower 'and' an upper bound"
        ),
        (
            "  - {name: a, policy: active, match: {study-age: over 1 year and over 2 years}}",
            "a lower 'and' an upper bound"
        ),
        ("  - {name: a, policy: active, match: {study-age: over 5 years and under 60 months}}", "which nothing is"),
        ("  - {name: a, policy: active, match: {instances: at least 7 and at most 6}}", "which nothing is"),
        ("  - {name: a, policy: active, match: {instances: at least -1}}", "'instances' is 'at least -1'"),
        ("  - {name: a, policy: active, match: {size: over 99999999999 TB}}", "'size' is 'over 99999999999 TB'"),
        ("  - {name: a, policy: active, match: {birth-date-known: perhaps}}", "write yes or no"),
        (
            "  - {name: a, policy: active}\n  - {name: a, policy: archive, match: {modality: CT}}",
            "there are two rules 'a'"
        ),
        (
            "  - {name: a, policy: active}\n  - {name: b, policy: archive, match: {modality: CT}}",
            "'b' is never reached: 'a'"
        ),
        ("  - {name: a, policy: active, match: {tag: x}}\n  - {name: b, policy: archive, match: {tag: X}}", ""),
        (
            "  - {name: a, policy: active, match: {tag: x}}\n  - {name: b, policy: archive, match: {tag: x}}",
            "never reached: 'a'"
        ),
        ("  - {name: a, policy: expired}", "the rule 'a' lets every study expire"),
        ("  - {name: a, policy: expired, match: {modality: OT}}", "may let studies expire on the day they arrive"),
        ("  - {name: a, policy: expired, match: {study-age: under 5 years}}", "on the day they arrive"),
        (
            "  - {name: a, policy: expired, match: {any: [{tag: x}, {study-age: over 5 years}]}}",
            "on the day they arrive"
        ),
        ("  - {name: a, policy: expired, match: {not: {study-age: over 5 years}}}", "on the day they arrive"),
        ("  - {name: a, policy: expired, match: {not: {study-age: under 5 years}}}", ""),
        ("  - {name: a, policy: expired, match: {not: {any: [{tag: x}, {study-age: under 5 years}]}}}", ""),
        ("  - {name: a, policy: expired, codec: dense, match: {study-age: over 5 years}}", "expires and has 'codec'"),
        ("  - {name: a, policy: active, codec: lossy}", "it is one of fast, balanced, dense, as-received"),
    ])
    func `rules are checked`(rules: String, problem: String) {
        let found = problems(file(rules: rules))
        #expect(problem.isEmpty ? found.isEmpty : found.contains(problem), "\(found)")
    }

    @Test func `the default must not expire`() {
        let yaml = file().replacingOccurrences(of: "default: active", with: "default: expired")
        #expect(problems(yaml).contains("the default policy 'expired' expires"))
    }

    // MARK: Limits

    @Test func `rules nest as deep as the limit says, and no deeper`() {
        let nested = { (depth: Int) in
            String(repeating: "{not: ", count: depth - 1) + "{modality: CT}" + String(repeating: "}", count: depth - 1)
        }
        let rules = { (depth: Int) in "  - {name: a, policy: active, match: \(nested(depth))}" }
        #expect(problems(file(rules: rules(RuleSetLimits.depth))) == "")
        #expect(problems(file(rules: rules(RuleSetLimits.depth + 1))).contains("more than 8 deep"))
        #expect(problems(file(rules: rules(200))).contains("more than 8 deep"))
    }

    @Test(arguments: [false, true])
    func `as many as the limits say are read, and no more`(isBeyond: Bool) {
        let more = isBeyond ? 1 : 0
        let rules = (0..<RuleSetLimits.rules + more).map { "  - {name: r\($0), policy: active, match: {tag: t\($0)}}" }
        #expect(problems(file(rules: rules.joined(separator: "\n"))).isEmpty == !isBeyond)
        let policies = (1..<RuleSetLimits.policies + more).map { "  p\($0): {copies: {hot: 1}}" }
        let all = "  active: {copies: {hot: 1}}\n" + policies.joined(separator: "\n")
        #expect(problems(file(policies: all)).isEmpty == !isBeyond)
        let tiers = (2..<RuleSetLimits.tiers + more).map { "  t\($0): {nodes: t\($0)}" }.joined(separator: "\n")
        let yaml = file().replacingOccurrences(of: "policies:", with: tiers + "\npolicies:")
        #expect(problems(yaml).isEmpty == !isBeyond)
        let tags = (0..<RuleSetLimits.patterns + more).map { "t\($0)" }.joined(separator: ", ")
        #expect(problems(file(rules: "  - {name: a, policy: active, match: {tag: [\(tags)]}}")).isEmpty == !isBeyond)
        let any = (0..<RuleSetLimits.conditions - 1 + more).map { "{tag: t\($0)}" }.joined(separator: ", ")
        #expect(problems(file(rules: "  - {name: a, policy: active, match: {any: [\(any)]}}")).isEmpty == !isBeyond)
        let text = String(repeating: "x", count: RuleSetLimits.textCharacters + more)
        #expect(problems(file(rules: "  - {name: a, policy: active, match: {tag: \(text)}}")).isEmpty == !isBeyond)
        let name = String(repeating: "x", count: RuleSetLimits.nameCharacters + more)
        #expect(problems(file(rules: "  - {name: \(name), policy: active}")).isEmpty == !isBeyond)
        let description = String(repeating: "x", count: RuleSetLimits.descriptionCharacters + more)
        #expect(
            problems(file(rules: "  - {name: a, policy: active, description: \(description)}")).isEmpty == !isBeyond
        )
    }

    @Test func `of very many problems the first are told and the others counted`() {
        let rules = (0..<150).map { "  - {name: r\($0), policy: active, match: {tagg: x}}" }
        let found = problems(file(rules: rules.joined(separator: "\n"))).split(separator: "\n")
        #expect(found.count == RuleSetLimits.problems + 1 && found.last == "and 50 more")
    }
}
