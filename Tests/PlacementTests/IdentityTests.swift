// SPDX-License-Identifier: Apache-2.0

import Checksums
import Placement
import Testing

@Suite struct IdentityTests {
    @Test func `identities convert to their UUID form and back`() throws {
        let text = "0123abcd-4567-89ef-0011-223344556677"
        let node = try #require(NodeID(text))
        #expect(node.description == text)
        #expect(NodeID("0123ABCD456789EF0011223344556677") == node)
        #expect(NodeID(text.dropLast()) == nil)
        #expect(NodeID(text + "0") == nil)
        #expect(NodeID("x" + text.dropFirst()) == nil)
    }

    @Test func `a record id carries its group in its first two bytes`() throws {
        let group = try #require(PlacementGroup(rawValue: 0x0203))
        let id = try #require(RecordID(group: group, digest: (1...20).map { UInt8($0) }))
        #expect(id.bytes == [2, 3] + (1...14).map { UInt8($0) })
        #expect(id.group == group)
        #expect(RecordID(id.description) == id)
        #expect(RecordID(high: 0x0400 << 48, low: 0) == nil)
        #expect(RecordID(group: group, digest: [1, 2, 3]) == nil)
    }

    @Test func `a study's record ids are a range, and in it an instance's`() throws {
        let payload = SHA256Digest(words: (1, 2, 3, 4))
        func id(_ study: String, _ instance: String, _ digest: SHA256Digest) throws -> RecordID {
            try #require(RecordID(studyInstanceUID: study, sopInstanceUID: instance, payloadDigest: digest))
        }
        let one = try id("1.2.3", "1.2.3.4", payload)
        #expect(one.description == "033ac47f-5b18-b866-94f8-3cebe9992d1e")
        #expect(one.group == PlacementGroup(studyInstanceUID: "1.2.3"))
        #expect(try id("1.2.3", "1.2.3.4", payload) == one)
        let ofStudy = try #require(RecordID.range(studyInstanceUID: "1.2.3"))
        let ofInstance = try #require(RecordID.range(studyInstanceUID: "1.2.3", sopInstanceUID: "1.2.3.4"))
        #expect(ofStudy.contains(ofInstance.lowerBound) && ofStudy.contains(ofInstance.upperBound))
        #expect(ofInstance.contains(one))
        let otherContent = try id("1.2.3", "1.2.3.4", SHA256Digest(words: (1, 2, 3, 5)))
        #expect(otherContent != one && ofInstance.contains(otherContent))
        let otherInstance = try id("1.2.3", "1.2.3.5", payload)
        #expect(!ofInstance.contains(otherInstance) && ofStudy.contains(otherInstance))
        #expect(!ofStudy.contains(try id("1.2.4", "1.2.3.4", payload)))
    }

    @Test func `the id before the first of a range is where a listing of it begins`() throws {
        let low = try #require(RecordID(high: 0x0003_0000_0000_0001, low: 0))
        #expect(low.predecessor == RecordID(high: 0x0003_0000_0000_0000, low: .max))
        #expect(RecordID(high: 3 << 48, low: 0)?.predecessor == nil)
        #expect(RecordID(high: 3 << 48, low: 1)?.predecessor == RecordID(high: 3 << 48, low: 0))
        #expect(RecordID(bytes: low.bytes) == low)
        #expect(RecordID(bytes: low.bytes.dropLast()) == nil)
    }

    @Test func `the group of a study is the one it had in every release`() {
        #expect(PlacementGroup(studyInstanceUID: "1.2.840.113619.2.1").rawValue == 354)
        #expect(PlacementGroup(studyInstanceUID: "1.3.12.2.1107.5.2.30.25299.1").rawValue == 796)
        var counts = [Int](repeating: 0, count: PlacementGroup.count)
        for number in 0..<102_400 {
            counts[Int(PlacementGroup(studyInstanceUID: "1.3.12.2.1107.5.2.30.25299.\(number)").rawValue)] += 1
        }
        // 100 expected a group; five standard deviations either way.
        #expect(counts.allSatisfy { (50...150).contains($0) })
    }
}
