// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
public import ReplicationProtocol

/// Comparing what nodes have.
extension ReplicationClient {
    /// Counts and digests of the records whose ids begin with the first bits of `prefix`, split by the next bits.
    ///
    /// `prefixBitCount` is 16 (a whole group) to 128, `splitBitCount` 0 to 8: the answer has 2 to that power parts.
    public func digest(
        prefix: RecordID,
        prefixBitCount: Int = 16,
        splitBitCount: Int = 0,
        priority: RequestPriority = .scrub,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> [DigestPart] {
        let asked = DigestRequest(prefix: prefix, prefixBitCount: prefixBitCount, splitBitCount: splitBitCount)
        guard let asked else {
            throw ReplicationError(
                .invalidRequest,
                "\(prefixBitCount) bits split by \(splitBitCount); 16 ... 128 and 0 ... 8 are allowed"
            )
        }
        return try await ask(priority, timeout) {
            var question = asked
            question.timeoutMilliseconds = $0
            return .digest(question)
        } read: { message throws(ReplicationError) in
            guard case .digestResult(let parts) = message else { return .unexpected }
            guard parts.count == asked.partCount else {
                throw ReplicationError(.protocolViolation, "a DIGEST-RESULT of \(parts.count) parts")
            }
            return .answer(parts)
        }
    }

    /// The amendments of the records from `first` to `last` (of one group), ascending by id and order.
    ///
    /// To go on when the page has more: from its last amendment's record and the order after its own.
    public func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order = RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0),
        to last: RecordID,
        limit: Int = AmendmentsRequest.maximumCount,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> AmendmentPage {
        guard first <= last, first.group == last.group, (1...AmendmentsRequest.maximumCount).contains(limit) else {
            throw ReplicationError(
                .invalidRequest,
                "amendments are asked for in a range of ids of one group, 1 ... \(AmendmentsRequest.maximumCount) at once"
            )
        }
        return try await ask(priority, timeout) {
            .amendments(
                AmendmentsRequest(
                    first: first,
                    firstOrder: firstOrder,
                    last: last,
                    limit: limit,
                    timeoutMilliseconds: $0
                )
            )
        } read: { message throws(ReplicationError) in
            guard case .amendmentsResult(let page) = message else { return .unexpected }
            guard page.isAnswer(from: (first, firstOrder), to: last, limit: limit) else {
                throw ReplicationError(.protocolViolation, "an AMENDMENTS-RESULT out of order or range")
            }
            return .answer(page)
        }
    }
}

extension AmendmentPage {
    /// Whether it is in order and in range; callers page by its last one.
    fileprivate func isAnswer(from first: (RecordID, RecordAmendment.Order), to last: RecordID, limit: Int) -> Bool {
        guard amendments.count <= limit, !(hasMore && amendments.isEmpty) else { return false }
        var previous: (RecordID, RecordAmendment.Order)?
        for amendment in amendments {
            let place = (amendment.recordID, amendment.order)
            guard place >= first, place.0 <= last, previous.map({ $0 < place }) ?? true else { return false }
            previous = place
        }
        return true
    }
}
