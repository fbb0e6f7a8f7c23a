// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Testing

private typealias Machine = AssociationStateMachine
private typealias State = AssociationStateMachine.State
private typealias Event = AssociationStateMachine.Event

/// Table 9-10 of PS3.8, columns Sta1 to Sta13, "-" for an empty cell.
private let standardTable: [Event: String] = [
    .associateRequested: "AE-1 - - - - - - - - - - - -",
    .transportConnected: "- - - AE-2 - - - - - - - - -",
    .associateAcceptReceived: "- AA-1 AA-8 - AE-3 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    .associateRejectReceived: "- AA-1 AA-8 - AE-4 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    .transportAccepted: "AE-5 - - - - - - - - - - - -",
    .associateRequestReceived: "- AE-6 AA-8 - AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",
    .associateAccepted: "- - AE-7 - - - - - - - - - -",
    .associateRejected: "- - AE-8 - - - - - - - - - -",
    .dataRequested: "- - - - - DT-1 - AR-7 - - - - -",
    .dataReceived: "- AA-1 AA-8 - AA-8 DT-2 AR-6 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    .releaseRequested: "- - - - - AR-1 - - - - - - -",
    .releaseRequestReceived: "- AA-1 AA-8 - AA-8 AR-2 AR-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-6",
    .releaseResponseReceived: "- AA-1 AA-8 - AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6",
    .releaseResponded: "- - - - - - - AR-4 AR-9 - - AR-4 -",
    .abortRequested: "- - AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1 -",
    .abortReceived: "- AA-2 AA-3 - AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-3 AA-2",
    .transportClosed: "- AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AR-5",
    .artimExpired: "- AA-2 - - - - - - - - - - AA-2",
    .invalidPDUReceived: "- AA-1 AA-8 - AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-8 AA-7",
]

/// The next states of tables 9-6 to 9-9.
private let nextStates: [String: UInt8] = [
    "AE-1": 4, "AE-2": 5, "AE-3": 6, "AE-4": 1, "AE-5": 2, "AE-6": 3, "AE-7": 6, "AE-8": 13, "DT-1": 6, "DT-2": 6,
    "AR-1": 7, "AR-2": 8, "AR-3": 1, "AR-4": 13, "AR-5": 1, "AR-6": 7, "AR-7": 8, "AR-9": 11, "AR-10": 12, "AA-1": 13,
    "AA-2": 1, "AA-3": 1, "AA-4": 1, "AA-5": 1, "AA-6": 13, "AA-7": 13, "AA-8": 13,
]

/// Events that lead a new machine to a state; nil where its role never gets there.
private func path(to state: State, role: Machine.Role) -> [Event]? {
    let opening: [Event] =
        role == .requestor
        ? [.associateRequested, .transportConnected, .associateAcceptReceived]
        : [.transportAccepted, .associateRequestReceived, .associateAccepted]
    switch (state, role) {
    case (.idle, _): return []
    case (.awaitingAssociateRequest, .acceptor): return [.transportAccepted]
    case (.awaitingLocalAssociateResponse, .acceptor): return [.transportAccepted, .associateRequestReceived]
    case (.awaitingTransportOpening, .requestor): return [.associateRequested]
    case (.awaitingAssociateResponse, .requestor): return [.associateRequested, .transportConnected]
    case (.established, _): return opening
    case (.awaitingReleaseResponse, _): return opening + [.releaseRequested]
    case (.awaitingLocalReleaseResponse, _): return opening + [.releaseRequestReceived]
    case (.collisionRequestorAwaitingLocalResponse, .requestor),
        (.collisionAcceptorAwaitingReleaseResponse, .acceptor):
        return opening + [.releaseRequested, .releaseRequestReceived]
    case (.collisionRequestorAwaitingReleaseResponse, .requestor):
        return opening + [.releaseRequested, .releaseRequestReceived, .releaseResponded]
    case (.collisionAcceptorAwaitingLocalResponse, .acceptor):
        return opening + [.releaseRequested, .releaseRequestReceived, .releaseResponseReceived]
    case (.awaitingTransportClose, _): return opening + [.abortRequested]
    default: return nil
    }
}

private func machine(in state: State, role: Machine.Role) -> Machine? {
    guard let path = path(to: state, role: role) else { return nil }
    var machine = Machine(role: role)
    for event in path {
        _ = machine.handle(event)
    }
    return machine.state == state ? machine : nil
}

@Suite struct AssociationStateMachineTests {
    @Test(arguments: Event.allCases) func followsTheTable(_ event: AssociationStateMachine.Event) throws {
        let row = try #require(standardTable[event]).split(separator: " ").map(String.init)
        #expect(row.count == State.allCases.count)
        for (state, cell) in zip(State.allCases, row) {
            var isReached = false
            for role in [Machine.Role.requestor, .acceptor] {
                guard var machine = machine(in: state, role: role) else { continue }
                isReached = true
                let action = machine.handle(event)
                #expect(action?.rawValue ?? "-" == cell, "Evt\(event.rawValue) in Sta\(state.rawValue) as \(role)")
                let next =
                    cell == "AR-8" ? (role == .requestor ? 9 : 10) : cell == "-" ? state.rawValue : nextStates[cell]
                #expect(machine.state.rawValue == next, "Evt\(event.rawValue) in Sta\(state.rawValue) as \(role)")
            }
            #expect(isReached, "Sta\(state.rawValue) is never reached")
        }
    }

    @Test func rejectsWhatTheProviderCannotAccept() {
        var machine = Machine(role: .acceptor)
        _ = machine.handle(.transportAccepted)
        let action = machine.handle(.associateRequestReceived, isAcceptable: false)
        #expect(action == .rejectByProvider)
        #expect(action?.effects == [.sendPDU, .stopTimer, .startTimer])
        #expect(machine.state == .awaitingTransportClose)
    }

    /// The columns of tables 9-6 to 9-9 that the owner carries out.
    @Test func tellsTheOwnerWhatToDo() {
        #expect(Machine.Action.awaitAssociateRequest.effects == .startTimer)
        #expect(Machine.Action.indicateAssociate.effects == [.stopTimer, .indicate])
        #expect(Machine.Action.confirmReject.effects == [.indicate, .closeTransport])
        #expect(Machine.Action.sendAssociateReject.effects == [.sendPDU, .startTimer])
        #expect(Machine.Action.confirmRelease.effects == [.indicate, .closeTransport])
        #expect(Machine.Action.sendReleaseResponse.effects == [.sendPDU, .startTimer])
        #expect(Machine.Action.finish.effects == .stopTimer)
        #expect(Machine.Action.sendAbort.effects == [.sendUserAbort, .startTimer])
        #expect(Machine.Action.closeTransport.effects == [.stopTimer, .closeTransport])
        #expect(Machine.Action.indicateAbort.effects == [.indicate, .closeTransport])
        #expect(Machine.Action.ignorePDU.effects == [])
        #expect(Machine.Action.sendAbortAgain.effects == .sendProviderAbort)
        #expect(Machine.Action.sendProviderAbort.effects == [.sendProviderAbort, .startTimer, .indicate])
    }

    @Test func releasesInOrder() {
        var machine = Machine(role: .acceptor)
        let transcript: [(Event, State)] = [
            (.transportAccepted, .awaitingAssociateRequest),
            (.associateRequestReceived, .awaitingLocalAssociateResponse),
            (.associateAccepted, .established),
            (.dataReceived, .established),
            (.dataRequested, .established),
            (.releaseRequestReceived, .awaitingLocalReleaseResponse),
            (.dataRequested, .awaitingLocalReleaseResponse),
            (.releaseResponded, .awaitingTransportClose),
            (.transportClosed, .idle),
        ]
        for (event, state) in transcript {
            #expect(machine.handle(event) != nil)
            #expect(machine.state == state)
        }
    }

    @Test func survivesAnyEvents() {
        var random = SeededGenerator("any events")
        for _ in 0..<2_000 {
            var machine = Machine(role: Bool.random(using: &random) ? .requestor : .acceptor)
            for _ in 0..<30 {
                let before = machine.state
                let event = Event.allCases.randomElement(using: &random) ?? .abortRequested
                if machine.handle(event, isAcceptable: Bool.random(using: &random)) == nil {
                    #expect(machine.state == before)
                }
            }
        }
    }
}
