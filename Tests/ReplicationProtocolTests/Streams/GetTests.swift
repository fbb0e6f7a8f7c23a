// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import Testing

/// Gets and heads as transcripts, one side at a time.
struct GetTests {
    private static func request(_ range: Range<UInt64>? = nil, credit: UInt64) -> GetRequest {
        GetRequest(recordID: Samples.record(1), range: range, credit: credit, timeoutMilliseconds: 0)
    }

    private static func begin(_ range: Range<UInt64>, of total: UInt64 = 1000) -> GetBegin {
        GetBegin(payloadByteCount: total, payloadDigest: Samples.digest, range: range)
    }

    // MARK: - Server

    @Test func theServerSendsAsFarAsTheCreditReaches() {
        var get = GetSender(Self.request(credit: 100))
        #expect(get.next(availableByteCount: 50) == .idle)
        #expect(get.opened(Self.begin(0..<250)) == true)
        #expect(get.next(availableByteCount: 0) == .awaitSource)
        #expect(get.next(availableByteCount: 80) == .sendData(byteCount: 80))
        #expect(get.next(availableByteCount: 80) == .sendData(byteCount: 20))
        #expect(get.next(availableByteCount: 60) == .awaitCredit)
        get.creditReceived(byteCount: 1000)
        #expect(get.next(availableByteCount: 60) == .sendData(byteCount: 60))
        #expect(get.next(availableByteCount: 500) == .sendData(byteCount: 90))
        #expect(get.next(availableByteCount: 410) == .finish)
        #expect(get.next(availableByteCount: 410) == .idle)
    }

    @Test func creditThatComesEarlyCounts() {
        var get = GetSender(Self.request(credit: 0))
        get.creditReceived(byteCount: .max)
        get.creditReceived(byteCount: .max)
        _ = get.opened(Self.begin(0..<1_000_000, of: 1_000_000))
        #expect(get.next(availableByteCount: 1_000_000) == .sendData(byteCount: MessageHeader.maximumPayloadByteCount))
    }

    @Test func anEmptyRangeIsDoneAtOnce() {
        var get = GetSender(Self.request(credit: 0))
        #expect(get.opened(Self.begin(7..<7)) == true)
        #expect(get.next(availableByteCount: 0) == .finish)
    }

    @Test func whatIsOverStaysOver() {
        var get = GetSender(Self.request(credit: 10))
        #expect(get.ended() == true)
        #expect(get.ended() == false)
        #expect(get.opened(Self.begin(0..<10)) == false)
        #expect(get.next(availableByteCount: 10) == .idle)
    }

    // MARK: - Client

    @Test func theClientCountsWhatComes() {
        var get = GetReceiver(Self.request(credit: 150))
        #expect(get.beginReceived(Self.begin(0..<200, of: 200)) == .begin(Self.begin(0..<200, of: 200)))
        #expect(get.dataReceived(byteCount: 150) == .take(isLast: false))
        #expect(!get.isWaitingForPeer)
        get.granted(byteCount: 50)
        #expect(get.isWaitingForPeer)
        #expect(get.dataReceived(byteCount: 50) == .take(isLast: true))
        #expect(get.dataReceived(byteCount: 1) == .ignore)
    }

    @Test func windowsAreGrantedAnew() {
        var get = GetReceiver(Self.request(credit: 100))
        _ = get.beginReceived(Self.begin(0..<1000))
        _ = get.dataReceived(byteCount: 100)
        #expect(get.consumed(byteCount: 49, windowByteCount: 100) == nil)
        #expect(get.consumed(byteCount: 1, windowByteCount: 100) == 50)
        #expect(get.dataReceived(byteCount: 50) == .take(isLast: false))
        #expect(get.dataReceived(byteCount: 1).closeReason?.code == .protocolViolation)
    }

    @Test func whatIsNotAskedForIsAnOffence() {
        let ranges: [(Range<UInt64>?, Range<UInt64>)] = [
            (nil, 0..<999), (nil, 1..<1000), (100..<200, 100..<201), (100..<200, 99..<200), (900..<1100, 900..<999),
        ]
        for (asked, answered) in ranges {
            var get = GetReceiver(Self.request(asked, credit: 2000))
            #expect(get.beginReceived(Self.begin(answered)).closeReason != nil, "\(answered) for \(asked as Any)")
        }
        for (asked, answered) in [(nil, 0..<1000), (900..<1100, 900..<1000), (1000..<1100, 1000..<1000)]
            as [(Range<UInt64>?, Range<UInt64>)]
        {
            var get = GetReceiver(Self.request(asked, credit: 2000))
            #expect(get.beginReceived(Self.begin(answered)) == .begin(Self.begin(answered)))
        }
    }

    @Test func dataOutOfPlaceIsAnOffence() {
        var early = GetReceiver(Self.request(credit: 100))
        #expect(early.dataReceived(byteCount: 1).closeReason != nil)
        var twice = GetReceiver(Self.request(credit: 100))
        _ = twice.beginReceived(Self.begin(0..<1000))
        #expect(twice.beginReceived(Self.begin(0..<1000)).closeReason != nil)
        var long = GetReceiver(Self.request(0..<10, credit: 100))
        _ = long.beginReceived(Self.begin(0..<10))
        #expect(long.dataReceived(byteCount: 11).closeReason != nil)
    }

    @Test func errorsEndAGet() {
        let error = ReplicationError(.corrupt, "damaged")
        var get = GetReceiver(Self.request(credit: 100))
        _ = get.beginReceived(Self.begin(0..<1000))
        #expect(get.errorReceived(error) == .fail(error))
        #expect(get.errorReceived(error) == .ignore)
        #expect(get.dataReceived(byteCount: 1) == .ignore)
    }

    // MARK: - HEAD

    @Test func metadataIsPutTogether() {
        let whole = Samples.counting(300_000)
        let result = HeadResult(metadata: whole, payloadByteCount: 5, payloadDigest: Samples.digest)
        let begin = HeadBegin(result)
        #expect(begin.result.metadata.readableBytes == PutBegin.maximumInlineMetadataByteCount)
        var head = HeadReceiver()
        #expect(head.resultReceived(begin) == .wait)
        var rest = whole
        rest.moveReaderIndex(forwardBy: begin.result.metadata.readableBytes)
        #expect(head.metadataReceived(rest.readSlice(length: 100_000) ?? ByteBuffer()) == .wait)
        #expect(head.metadataReceived(rest) == .finish(result))
    }

    @Test func headsOutOfOrderAreOffences() {
        var early = HeadReceiver()
        #expect(early.metadataReceived(Samples.counting(1)).isClose)
        var twice = HeadReceiver()
        #expect(twice.resultReceived(nil) == .finish(nil))
        #expect(twice.resultReceived(nil).isClose)
        var long = HeadReceiver()
        let result = HeadResult(metadata: Samples.counting(4), payloadByteCount: 5, payloadDigest: Samples.digest)
        #expect(long.resultReceived(HeadBegin(result: result, metadataByteCount: 8)) == .wait)
        #expect(long.metadataReceived(Samples.counting(5)).isClose)
    }
}

extension GetReceiver.Action {
    fileprivate var closeReason: ReplicationError? {
        if case .closeConnection(let error) = self { error } else { nil }
    }
}

extension HeadReceiver.Action {
    fileprivate var isClose: Bool {
        if case .closeConnection = self { true } else { false }
    }
}
