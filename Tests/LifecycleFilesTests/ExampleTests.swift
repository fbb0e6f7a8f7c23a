// SPDX-License-Identifier: Apache-2.0

import Foundation
import Lifecycle
import LifecycleFiles
import Testing

/// The examples that are shipped do what they say.
@Suite struct ExampleTests {
    /// What is known of one study, and what an example makes of it on a day; dates as DICOM has them, empty: not known.
    struct Case: Sendable, CustomTestStringConvertible {
        let what: String
        var modalities = ["CT"]
        var study = "20150310"
        var birth = "19600101"
        var visit = "20150310"
        var later: [String]? = []
        var access = "20150310"
        var byteCount: Int64 = 300_000_000
        var tags: [String] = []
        var isHeld = false
        let on: String
        let policy: String
        var rule: String?
        var due: String?

        var testDescription: String { "\(what), on \(on)" }

        var facts: StudyFacts {
            var facts = StudyFacts(isHeld: isHeld)
            facts.modalities = KnownTexts(modalities)
            facts.studyDate = CalendarDate(dicom: study)
            facts.received = facts.studyDate
            facts.lastAccess = CalendarDate(dicom: access)
            facts.birthDate = CalendarDate(dicom: birth)
            facts.latestVisit = CalendarDate(dicom: visit)
            if let later { facts.laterModalities = KnownTexts(later) }
            facts.byteCount = byteCount
            facts.tags = KnownTexts(tags)
            return facts
        }
    }

    private func check(_ example: String, _ one: Case) throws {
        let ruleSet = try Examples.read(example)
        let day = try #require(CalendarDate(dicom: one.on))
        let decision = ruleSet.decide(one.facts, on: day)
        let explanation = Comment(rawValue: ruleSet.explain(one.facts, on: day).description)
        #expect(ruleSet.policies[decision.policy].name == one.policy, explanation)
        if let rule = one.rule { #expect(decision.rule.map { ruleSet.rules[$0].name } == rule, explanation) }
        if let due = one.due { #expect(decision.nextDue == CalendarDate(dicom: due), explanation) }
    }

    @Test func `every file that is shipped is right`() throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: Examples.folder.path).sorted()
        #expect(names == ["mammography.yaml", "radiology.yaml", "retention.yaml"])
        for name in names { #expect(throws: Never.self) { try Examples.read(name) } }
    }

    // MARK: Mammograms

    static let mammograms: [Case] = [
        Case(what: "new", modalities: ["MG"], on: "20150311", policy: "active", due: "20180311"),
        Case(what: "after three years", modalities: ["MG"], on: "20180311", policy: "archive", due: "20250311"),
        Case(what: "five years, none later, the day", modalities: ["MG"], on: "20200310", policy: "archive"),
        Case(what: "five years, none later", modalities: ["MG"], on: "20200311", policy: "archive", due: "20250311"),
        Case(
            what: "five years, one later, the day",
            modalities: ["MG"],
            visit: "20190101",
            later: ["MG"],
            on: "20200310",
            policy: "archive",
            due: "20200311"
        ),
        Case(
            what: "five years, one later",
            modalities: ["MG"],
            visit: "20190101",
            later: ["MG"],
            on: "20200311",
            policy: "expired",
            rule: "mammograms-followed-by-another"
        ),
        Case(
            what: "five years, a later CT",
            modalities: ["MG"],
            visit: "20190101",
            later: ["CT", "SR"],
            on: "20200311",
            policy: "archive"
        ),
        Case(
            what: "five years, not known whether one is later",
            modalities: ["MG"],
            later: nil,
            on: "20200311",
            policy: "archive"
        ),
        Case(what: "ten years, the day", modalities: ["MG"], on: "20250310", policy: "archive", due: "20250311"),
        Case(what: "ten years", modalities: ["MG"], on: "20250311", policy: "expired", rule: "mammograms"),
        Case(
            what: "ten years, not known whether one is later",
            modalities: ["MG"],
            later: nil,
            on: "20250311",
            policy: "expired"
        ),
        Case(what: "with a report", modalities: ["MG", "SR"], on: "20250311", policy: "expired"),
        Case(what: "with an ultrasound", modalities: ["MG", "US"], on: "20250311", policy: "archive"),
        Case(what: "held", modalities: ["MG"], isHeld: true, on: "20400101", policy: "archive"),
        Case(what: "of a leap day", modalities: ["MG"], study: "20160229", on: "20260301", policy: "archive"),
        Case(what: "of a leap day, over", modalities: ["MG"], study: "20160229", on: "20260302", policy: "expired"),
        Case(what: "without a date", modalities: ["MG"], study: "", on: "20400101", policy: "active"),
        Case(
            what: "of the future",
            modalities: ["MG"],
            study: "20620310",
            on: "20400101",
            policy: "active",
            due: "20620310"
        ),
        Case(
            what: "of a clock that was never set",
            modalities: ["MG"],
            study: "19700101",
            on: "20400101",
            policy: "active"
        ),
        Case(what: "a CT", on: "20400101", policy: "active"),
    ]

    @Test(arguments: mammograms)
    func `mammograms are kept for five years, and for ten without a later one`(one: Case) throws {
        try check("mammography.yaml", one)
    }

    // MARK: A department

    static let retention: [Case] = [
        Case(what: "new", on: "20150311", policy: "active", due: "20150911"),
        Case(what: "half a year", on: "20150911", policy: "archive", due: "20180311"),
        Case(what: "three years", on: "20180311", policy: "deep", due: "20250311"),
        Case(what: "ten years after the latest visit, the day", on: "20250310", policy: "deep", due: "20250311"),
        Case(what: "ten years after the latest visit", on: "20250311", policy: "expired"),
        Case(what: "a new visit", visit: "20240601", later: ["US"], on: "20250311", policy: "deep", due: "20340602"),
        Case(what: "the visit is not known", visit: "", on: "20400101", policy: "deep"),
        Case(what: "the visit is of the future", visit: "20620101", on: "20400101", policy: "deep", due: "20620101"),
        Case(what: "the visit was before the study", visit: "20010101", on: "20400101", policy: "deep"),
        Case(what: "held", isHeld: true, on: "20400101", policy: "deep"),
        Case(what: "marked", tags: ["Research"], on: "20400101", policy: "deep", rule: "marked"),
        Case(what: "radiotherapy", modalities: ["RTDOSE", "CT"], on: "20400101", policy: "deep", rule: "radiotherapy"),
        Case(what: "a child, new", birth: "20100310", on: "20150311", policy: "active", rule: "children-lately"),
        Case(what: "a child, ten years later", birth: "20100310", on: "20250311", policy: "deep", due: "20350310"),
        Case(what: "the day before the 25th birthday", birth: "20100310", on: "20350309", policy: "deep"),
        Case(what: "the 25th birthday", birth: "20100310", on: "20350310", policy: "expired"),
        Case(
            what: "born on a leap day, 28 February",
            birth: "20080229",
            on: "20330228",
            policy: "deep",
            due: "20330301"
        ),
        Case(what: "born on a leap day, 1 March", birth: "20080229", on: "20330301", policy: "expired"),
        Case(what: "born on a day that is not known", birth: "", on: "20400101", policy: "deep"),
        Case(what: "born on a day that stands for none", birth: "19000101", on: "20400101", policy: "deep"),
        Case(what: "born after the study", birth: "20150311", on: "20450101", policy: "deep"),
        Case(what: "born in the future", birth: "20620101", on: "20400101", policy: "deep"),
        Case(what: "a mammogram", modalities: ["MG"], visit: "20240601", later: ["US"], on: "20250310", policy: "deep"),
        Case(
            what: "a mammogram of ten years",
            modalities: ["MG"],
            visit: "20240601",
            later: ["US"],
            on: "20250311",
            policy: "expired"
        ),
        Case(
            what: "a mammogram before a later one",
            modalities: ["MG"],
            visit: "20190101",
            later: ["MG"],
            on: "20200311",
            policy: "expired"
        ),
        Case(what: "a young woman's mammogram", modalities: ["MG"], birth: "19960101", on: "20201231", policy: "deep"),
        Case(
            what: "a mammogram and a CT",
            modalities: ["MG", "CT"],
            on: "20250311",
            policy: "expired",
            rule: "ten-years-after-the-latest-visit"
        ),
        Case(what: "without any date", study: "", birth: "", visit: "", on: "20400101", policy: "active"),
    ]

    @Test(arguments: retention)
    func `a department keeps children, then everybody by the latest visit`(one: Case) throws {
        try check("retention.yaml", one)
    }

    @Test func `what may be a child's keeps the copies of both answers`() throws {
        let ruleSet = try Examples.read("retention.yaml")
        let one = Case(what: "a birth date that is not known", birth: "", on: "20150401", policy: "")
        let decision = ruleSet.decide(one.facts, on: try #require(CalendarDate(dicom: one.on)))
        #expect(decision.rule == nil && decision.alsoPossible.isEmpty, "a child's is active in the first year, too")
        let later = ruleSet.decide(one.facts, on: try #require(CalendarDate(dicom: "20160401")))
        let copies = ruleSet.copies(for: later).map { "\(ruleSet.tiers[$0.tier].name) \($0.count)" }
        #expect(copies == ["hot 2", "cold 1", "offsite 1"])
    }

    // MARK: Layers

    static let layers: [Case] = [
        Case(what: "new", on: "20150311", policy: "active", rule: "read-lately", due: "20150409"),
        Case(what: "a month old", on: "20150409", policy: "active", due: "20150611"),
        Case(what: "three months", on: "20150611", policy: "quiet", due: "20170311"),
        Case(what: "two years", on: "20170311", policy: "deep", due: nil),
        Case(what: "two years, read today", access: "20170311", on: "20170311", policy: "active", due: "20170410"),
        Case(what: "large", byteCount: 30_000_000_000, on: "20150410", policy: "deep", rule: "large-and-old"),
        Case(what: "for teaching", tags: ["teaching"], on: "20300101", policy: "quiet", rule: "teaching"),
        Case(what: "last access not known", access: "", on: "20170311", policy: "deep"),
    ]

    @Test(arguments: layers)
    func `studies go down as they age, and come up when they are read`(one: Case) throws {
        try check("radiology.yaml", one)
    }
}
