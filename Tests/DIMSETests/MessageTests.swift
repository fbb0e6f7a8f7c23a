// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import Testing

/// Command sets, and messages taken apart and put together again.
@Suite struct MessageTests {
    /// C-ECHO-RQ with message id 7, written down from PS3.7 table 9.3-12 and section 6.3.1.
    private static let echo = """
        00000000 04000000 38000000
        00000200 12000000 312e322e3834302e31303030382e312e3100
        00000001 02000000 3000
        00001001 02000000 0700
        00000008 02000000 0101
        """

    @Test func encodesToTheBytesOfTheStandard() {
        var buffer = ByteBuffer()
        CommandSet.echoRequest(messageID: 7).encode(into: &buffer)
        #expect(buffer == bytes(Self.echo))
    }

    @Test func decodesTheBytesOfTheStandard() throws {
        let command = try CommandSet(decoding: bytes(Self.echo))
        #expect(command == CommandSet.echoRequest(messageID: 7))
        #expect(command.commandField == .echoRequest)
        #expect(command.affectedSOPClassUID == UIDText.verification)
        #expect(!command.hasDataSet)
    }

    @Test func answersWithTheIdentityOfTheRequest() throws {
        let request = CommandSet.storeRequest(
            messageID: 9,
            sopClassUID: "1.2.3",
            sopInstanceUID: "1.2.3.4",
            moveOriginator: (try AETitle("WORKSTATION"), 12)
        )
        #expect(request.hasDataSet)
        #expect(request.text(.moveOriginatorAETitle) == "WORKSTATION")
        let comment = String(repeating: "long \\ ", count: 20)
        let response = request.response(status: .outOfResources, errorComment: comment)
        #expect(response.commandField == .storeResponse)
        #expect(response.messageIDBeingRespondedTo == 9)
        #expect(response.affectedSOPClassUID == "1.2.3")
        #expect(response.affectedSOPInstanceUID == "1.2.3.4")
        #expect(response.status == .outOfResources)
        #expect(response.errorComment?.utf8.count ?? 0 <= 64)
        #expect(response.errorComment?.hasPrefix("long ? ") == true)
        #expect(!response.hasDataSet)
    }

    @Test func decodesElementsInAnyOrderAndKeepsUnknownOnes() throws {
        let command = try CommandSet(
            decoding: bytes("00000008 02000000 0101 0000ff0f 04000000 01020304 00000001 02000000 ff0f")
        )
        #expect(command.commandField == .cancelRequest)
        #expect(command[CommandSet.Element(rawValue: 0x0FFF)] == 0x0201)
        var again = ByteBuffer()
        command.encode(into: &again)
        #expect(try CommandSet(decoding: again) == command)
    }

    @Test func refusesMalformedCommandSets() {
        for hex in ["0000", "00000001 04000000 3000", "08000500 02000000 4141", "00000001 ffffffff 3000"] {
            #expect(throws: DIMSEError.self) { try CommandSet(decoding: bytes(hex)) }
        }
        var many = ByteBuffer()
        for element in UInt16(1)...200 {
            many.writeMultipleIntegers(UInt16(0), element, UInt32(0), endianness: .little)
        }
        #expect(throws: DIMSEError.self) { try CommandSet(decoding: many) }
    }

    @Test func survivesTruncationAndDamage() {
        var random = SeededGenerator("command damage")
        let whole = Array(bytes(Self.echo).readableBytesView)
        for count in whole.indices {
            // Any outcome is right, a trap is not.
            _ = try? CommandSet(decoding: ByteBuffer(bytes: whole.prefix(count)))
        }
        for _ in 0..<5_000 {
            var damaged = whole
            damaged[Int.random(in: damaged.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            _ = try? CommandSet(decoding: ByteBuffer(bytes: damaged))
        }
    }

    // MARK: Fragments

    @Test(arguments: [(nil, 16384 - 6), (0, 131072 - 6), (16384, 16378), (16383, 16376), (8, 2), (.max, 131072 - 6)])
    func honoursThePeersMaximumLength(_ peer: UInt32?, _ expected: Int) throws {
        #expect(try MessageFragmenter(peerMaximumLength: peer).fragmentByteCount == expected)
    }

    @Test func refusesAMaximumLengthWithoutRoom() {
        for peer in UInt32(1)...7 {
            #expect(throws: DIMSEError.self) { try MessageFragmenter(peerMaximumLength: peer) }
        }
    }

    @Test(arguments: [8, 10, 64, 1024, 65536]) func joinsWhatItTookApart(_ maximum: UInt32) throws {
        let fragmenter = try MessageFragmenter(peerMaximumLength: maximum)
        let command = CommandSet.storeRequest(messageID: 1, sopClassUID: "1.2.3", sopInstanceUID: "1.2.3.4")
        let dataSet = ByteBuffer(bytes: (0..<1001).map { UInt8(truncatingIfNeeded: $0) })
        var stream = ByteBuffer()
        fragmenter.write(command, contextID: 5, into: &stream)
        var rest = dataSet
        while let next = fragmenter.nextFragment(from: &rest, contextID: 5, isLast: true) {
            #expect(next.headers.readableBytes + next.data.readableBytes - 6 <= Int(maximum))
            #expect(next.data.readableBytes.isMultiple(of: 2) || rest.readableBytes == 0)
            stream.writeImmutableBuffer(next.headers)
            stream.writeImmutableBuffer(next.data)
        }
        var decoder = PDUDecoder(limits: .init(dataByteCount: maximum))
        var assembler = MessageAssembler()
        var received: CommandSet?
        var collected = ByteBuffer()
        var isEnd = false
        while let element = try decoder.next(from: &stream) {
            guard case .fragment(let fragment) = element else { continue }
            switch try assembler.receive(fragment) {
            case .incomplete: continue
            case .command(let command, let contextID):
                #expect(contextID == 5)
                received = command
            case .dataSet(let end):
                collected.writeImmutableBuffer(fragment.bytes)
                isEnd = end
            }
        }
        #expect(received == command)
        #expect(collected == dataSet)
        #expect(isEnd)
        #expect(assembler.isIdle)
    }

    @Test func holdsTheLastFragmentBackUntilTheEndIsKnown() throws {
        let fragmenter = try MessageFragmenter(peerMaximumLength: 16)
        var dataSet = ByteBuffer(repeating: 1, count: 20)
        #expect(fragmenter.nextFragment(from: &dataSet, contextID: 1, isLast: false)?.data.readableBytes == 10)
        // Exactly one fragment is left: it may be the last.
        #expect(fragmenter.nextFragment(from: &dataSet, contextID: 1, isLast: false) == nil)
        let last = try #require(fragmenter.nextFragment(from: &dataSet, contextID: 1, isLast: true))
        #expect(last.headers == bytes("0400 00000010 0000000c 01 02"))
    }

    @Test func refusesFragmentsOfAnotherMessage() throws {
        func fragment(
            _ context: UInt8,
            command: Bool,
            end: Bool,
            _ content: ByteBuffer = ByteBuffer()
        ) -> PDUDecoder.Fragment {
            PDUDecoder.Fragment(contextID: context, isCommand: command, isEnd: end, bytes: content)
        }
        var encoded = ByteBuffer()
        CommandSet.storeRequest(messageID: 1, sopClassUID: "1.2", sopInstanceUID: "1.3").encode(into: &encoded)

        var assembler = MessageAssembler()
        #expect(throws: DIMSEError.self) { try assembler.receive(fragment(1, command: false, end: true)) }
        assembler = MessageAssembler()
        _ = try assembler.receive(fragment(1, command: true, end: false))
        #expect(throws: DIMSEError.self) { try assembler.receive(fragment(3, command: true, end: true)) }
        assembler = MessageAssembler()
        _ = try assembler.receive(fragment(1, command: true, end: true, encoded))
        #expect(!assembler.isIdle)
        #expect(throws: DIMSEError.self) { try assembler.receive(fragment(1, command: true, end: true, encoded)) }
        #expect(throws: DIMSEError.self) { try assembler.receive(fragment(3, command: false, end: true)) }
    }

    @Test func boundsACommandSet() throws {
        var assembler = MessageAssembler()
        let piece = PDUDecoder.Fragment(
            contextID: 1,
            isCommand: true,
            isEnd: false,
            bytes: ByteBuffer(repeating: 0, count: 32 * 1024)
        )
        _ = try assembler.receive(piece)
        _ = try assembler.receive(piece)
        #expect(throws: DIMSEError.self) { try assembler.receive(piece) }
    }
}
