// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import Testing

@Suite struct QueryRetrieveTests {
    @Test func namesTheSOPClassesOfPS34() {
        #expect(QueryRetrieveSOPClass(.patientRoot, .find).uid == "1.2.840.10008.5.1.4.1.2.1.1")
        #expect(QueryRetrieveSOPClass(.studyRoot, .move).uid == "1.2.840.10008.5.1.4.1.2.2.2")
        #expect(QueryRetrieveSOPClass(.studyRoot, .get).uid == "1.2.840.10008.5.1.4.1.2.2.3")
        for sopClass in QueryRetrieveSOPClass.all { #expect(QueryRetrieveSOPClass(uid: sopClass.uid) == sopClass) }
        // Patient/Study Only is retired.
        #expect(QueryRetrieveSOPClass(uid: "1.2.840.10008.5.1.4.1.2.3.1") == nil)
    }

    @Test(
        arguments: [
            ([1, 1, 1, 1, 1], [1, 1, 1, 0, 0]), ([1], [1]), ([0, 1], [0, 1]), ([0, 0, 1, 1], [0, 0, 1, 0]),
            ([2, 1, 0], [0, 1, 0]), ([], [0]), ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0]),
        ] as [([UInt8], [UInt8])]
    )
    func grantsWhatIsWantedAndSupported(wanted: [UInt8], granted: [UInt8]) {
        let wish = ExtendedNegotiation(sopClassUID: "1.2", information: wanted)
        let answer = wish.answer(supported: [.relational, .combinedDateTime, .fuzzyNames])
        #expect(answer == ExtendedNegotiation(sopClassUID: "1.2", information: granted))
    }

    @Test func writesARequestAsPS37LaysItDown() throws {
        let command = CommandSet.queryRetrieveRequest(
            .init(.studyRoot, .move),
            messageID: 7,
            priority: .high,
            destination: try AETitle("STORESCP1")
        )
        var bytes = ByteBuffer()
        command.encode(into: &bytes)
        let read = try CommandSet(decoding: bytes)
        #expect(read.commandField == .moveRequest)
        #expect(read.commandField?.queryRetrieveOperation == .move)
        #expect(read.text(.moveDestination) == "STORESCP1")
        #expect(read[.priority] == 1)
        #expect(read.messageID == 7)
        #expect(read.hasDataSet)
        #expect(CommandSet.cancelRequest(of: 7).messageIDBeingRespondedTo == 7)
        #expect(CommandField.storeRequest.queryRetrieveOperation == nil)
    }

    @Test func namesOffendingElements() throws {
        let request = CommandSet.queryRetrieveRequest(.init(.studyRoot, .find), messageID: 1)
        let response = request.response(
            status: .identifierDoesNotMatchSOPClass,
            errorComment: "no level",
            offendingElements: [0x0008_0052, 0x0020_000D]
        )
        var bytes = ByteBuffer()
        response.encode(into: &bytes)
        let read = try CommandSet(decoding: bytes)
        #expect(read.tags(.offendingElement) == [0x0008_0052, 0x0020_000D])
        #expect(read.status?.rawValue == 0xA900)
        #expect(!read.hasDataSet)
    }

    @Test func countsSuboperations() {
        var counts = SuboperationCounts(remaining: 4)
        counts.add(.success)
        counts.add(.coercionOfDataElements)
        counts.add(.outOfResources)
        #expect(counts == SuboperationCounts(remaining: 1, completed: 1, failed: 1, warning: 1))
        counts.add(.success)
        #expect(counts.remaining == 0)
    }

    @Test(
        arguments: [
            (SuboperationCounts(remaining: 0), 0x0000), (SuboperationCounts(remaining: 0, completed: 3), 0x0000),
            (SuboperationCounts(remaining: 0, completed: 3, failed: 1), 0xB000),
            (SuboperationCounts(remaining: 0, completed: 3, warning: 1), 0xB000),
            (SuboperationCounts(remaining: 0, failed: 1, warning: 1), 0xB000),
            (SuboperationCounts(remaining: 0, failed: 2), 0xA702),
        ] as [(SuboperationCounts, UInt16)]
    )
    func allFailedIsAFailure(counts: SuboperationCounts, status: UInt16) {
        #expect(counts.finalStatus.rawValue == status)
    }

    @Test func moreMatchesThanAFieldCanSay() {
        var command = CommandSet(.moveResponse)
        command.suboperationCounts = SuboperationCounts(remaining: 70_000, completed: 3)
        #expect(command[.remainingSuboperations] == 65_535)
        #expect(command.suboperationCounts == SuboperationCounts(remaining: 65_535, completed: 3))
        command.suboperationCounts = nil
        #expect(command.suboperationCounts == nil)
    }

    @Test func queriesTakeNativeSyntaxesInTheirOwnOrder() {
        let policy = NegotiationPolicy(transferSyntaxes: ["1.2.840.10008.1.2.4.80"]) { _ in true }
        let results = policy.answer([
            ProposedContext(
                id: 1,
                abstractSyntax: QueryRetrieveSOPClass(.studyRoot, .find).uid,
                transferSyntaxes: ["1.2.840.10008.1.2.4.80", UIDText.implicitVRLittleEndian]
            )
        ])
        #expect(results.map(\.transferSyntax) == [UIDText.implicitVRLittleEndian])
    }
}
