// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// Pages of amendments, and the limits of what orders carry.
struct AmendmentPageTests {
    private static func amendments(_ count: Int, byteCount: Int) -> [RecordAmendment] {
        (0..<count).map { number in
            Samples.amendment(
                sequence: UInt64(number),
                payload: ByteBuffer(repeating: UInt8(truncatingIfNeeded: number), count: byteCount)
            )
        }
    }

    @Test func aPageHasWhatFitsIntoOneMessage() throws {
        // 3 of the largest and what is left of 256 KiB, to the byte.
        let large = Self.amendments(3, byteCount: RecordAmendment.maximumPayloadByteCount)
        let left = MessageHeader.maximumPayloadByteCount - 2 - 3 * (RecordAmendment.maximumPayloadByteCount + 64) - 64
        let fits = Samples.amendment(sequence: 3, payload: ByteBuffer(repeating: 0, count: left))
        let page = AmendmentPage(fitting: large + [fits], hasMore: false)
        #expect(page.amendments.count == 4)
        #expect(!page.hasMore)
        var buffer = ByteBuffer()
        Message.amendmentsResult(page).writePayload(to: &buffer)
        #expect(buffer.readableBytes == MessageHeader.maximumPayloadByteCount)
        #expect(try Message(.amendmentsResult, payload: buffer) == .amendmentsResult(page))

        let tooMuch = Samples.amendment(sequence: 3, payload: ByteBuffer(repeating: 0, count: left + 1))
        let cut = AmendmentPage(fitting: large + [tooMuch], hasMore: false)
        #expect(cut.amendments.count == 3)
        #expect(cut.hasMore)
    }

    @Test func moreThan1024AmendmentsAreRefused() throws {
        for count in [1024, 1025] {
            var buffer = ByteBuffer()
            Message.amendmentsResult(AmendmentPage(Self.amendments(count, byteCount: 0), hasMore: false))
                .writePayload(to: &buffer)
            let result = Result { () throws(ReplicationError) in try Message(.amendmentsResult, payload: buffer) }
            #expect((try? result.get()) != nil || count > 1024)
            if case .failure(let error) = result { #expect(error.code == .protocolViolation && count == 1025) }
        }
    }

    @Test func anAmendmentHasAtMost64KiB() throws {
        let most = Samples.amendment(payload: ByteBuffer(repeating: 1, count: RecordAmendment.maximumPayloadByteCount))
        var bytes = ByteBuffer()
        let message = Message.amend(AmendRequest(most, Samples.stamp))
        message.writePayload(to: &bytes)
        #expect(try Message(.amend, payload: bytes) == message)
        bytes.setInteger(UInt32(RecordAmendment.maximumPayloadByteCount + 1), at: 60, endianness: .little)
        bytes.writeInteger(UInt8(0))
        #expect(bytes.readableBytes <= MessageType.amend.maximumPayloadByteCount)
        #expect(throws: ReplicationError.self) { try Message(.amend, payload: bytes) }
    }

    /// A tail that is longer than we know is ignored, one that is cut is not.
    @Test func aStatusMayGrow() throws {
        let sample = try #require(Samples.all.first { $0.name == "STATUS-RESULT with the node's requests" })
        guard case .statusResult(var older) = sample.message else {
            Issue.record("the sample is another")
            return
        }
        older.foregroundRequestCount = nil
        var oldest = older
        oldest.capacity = nil
        let whole = [8: older, 20: oldest]
        var bytes = ByteBuffer()
        sample.message.writePayload(to: &bytes)
        for cut in 1...35 {
            let short = try #require(bytes.getSlice(at: 0, length: bytes.readableBytes - cut))
            if let report = whole[cut] {
                #expect(try Message(.statusResult, payload: short) == .statusResult(report))
                continue
            }
            #expect(throws: ReplicationError.self) { try Message(.statusResult, payload: short) }
        }
        bytes.writeRepeatingByte(7, count: 9)
        #expect(try Message(.statusResult, payload: bytes) == sample.message)
    }
}
