// SPDX-License-Identifier: Apache-2.0

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
