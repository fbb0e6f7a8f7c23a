// SPDX-License-Identifier: Apache-2.0

import DIMSE
import NIOCore
import Testing

@Suite struct PDUCodecTests {
    @Test(arguments: SamplePDUs.all) func encodesToTheBytesOfTheStandard(_ sample: SamplePDUs.Sample) {
        var buffer = ByteBuffer()
        sample.pdu.encode(into: &buffer)
        #expect(buffer == bytes(sample.hex))
    }

    @Test(arguments: [SamplePDUs.request, SamplePDUs.accept] + SamplePDUs.fixed)
    func decodesTheBytesOfTheStandard(_ sample: SamplePDUs.Sample) throws {
        #expect(try SamplePDUs.decode(bytes(sample.hex)) == [.pdu(sample.pdu)])
    }

    @Test func decodesSeveralValuesInOneDataPDU() throws {
        let elements = try SamplePDUs.decode(bytes(SamplePDUs.data.hex))
        #expect(
            elements == [
                .fragment(.init(contextID: 1, isCommand: true, isEnd: true, bytes: bytes("0102"))),
                .fragment(.init(contextID: 1, isCommand: false, isEnd: false, bytes: bytes("03040506"))),
            ]
        )
    }

    @Test func decodesTheRequestOfDCMTK() throws {
        guard case .pdu(.associateRequest(let request))? = try SamplePDUs.decode(bytes(SamplePDUs.dcmtkRequest)).first
        else { throw DIMSEError(.malformedPDU, "not an A-ASSOCIATE-RQ") }
        #expect(request.calledAETitle?.value == "VARVE")
        #expect(request.callingAETitle?.value == "MODALITY")
        #expect(request.applicationContext == UIDText.applicationContext)
        #expect(
            request.presentationContexts == [
                ProposedContext(id: 1, abstractSyntax: UIDText.verification, transferSyntaxes: ["1.2.840.10008.1.2"])
            ]
        )
        #expect(request.userInformation.maximumLength == 16384)
        #expect(request.userInformation.implementationClassUID == "1.2.276.0.7230010.3.0.3.6.7")
        #expect(request.userInformation.implementationVersionName == "OFFIS_DCMTK_367")
        #expect(request.userInformation.asynchronousWindow == nil)
    }

    @Test func skipsUnknownItemsAndSubItems() throws {
        var stream = bytes(SamplePDUs.request.hex)
        // An item of type 60H after all others, and one more sub-item in the user information, which is the last item.
        stream.writeImmutableBuffer(bytes("6f000003 010203"))
        stream.writeImmutableBuffer(bytes("60000002 ffff"))
        stream.setInteger(UInt32(stream.readableBytes - 6), at: 2)
        let userInformation = try #require(Self.offset(of: "5000004c", in: stream))
        stream.setInteger(UInt16(0x4C + 7), at: userInformation + 2)
        #expect(try SamplePDUs.decode(stream) == [.pdu(SamplePDUs.request.pdu)])
    }

    @Test func toleratesARejectedContextWithoutATransferSyntax() throws {
        var stream = bytes(SamplePDUs.accept.hex)
        let context = try #require(Self.offset(of: "21000008", in: stream))
        // No sub-item at all: the item shrinks to its 4 fixed bytes.
        stream.setInteger(UInt16(4), at: context + 2)
        let tail = stream.getSlice(at: context + 12, length: stream.writerIndex - context - 12)
        stream.moveWriterIndex(to: context + 8)
        stream.writeImmutableBuffer(try #require(tail))
        stream.setInteger(UInt32(stream.readableBytes - 6), at: 2)
        #expect(try SamplePDUs.decode(stream) == [.pdu(SamplePDUs.accept.pdu)])
    }

    @Test func trimsPaddingOfUIDs() throws {
        let hex = SamplePDUs.request.hex.replacing("40000003312e32", with: "40000003312000")
        guard case .pdu(.associateRequest(let request))? = try SamplePDUs.decode(bytes(hex)).first else {
            throw DIMSEError(.malformedPDU, "not an A-ASSOCIATE-RQ")
        }
        #expect(request.presentationContexts.first?.transferSyntaxes == ["1.2.5", "1"])
    }

    @Test func keepsARequestWithInvalidTitlesForTheServiceToReject() throws {
        let hex = SamplePDUs.request.hex.replacing(
            "4d4f44414c4954592020202020202020",
            with: "20202020202020202020202020202020"
        )
        guard case .pdu(.associateRequest(let request))? = try SamplePDUs.decode(bytes(hex)).first else {
            throw DIMSEError(.malformedPDU, "not an A-ASSOCIATE-RQ")
        }
        #expect(request.callingAETitle == nil)
        #expect(request.calledAETitle?.value == "VARVE")
    }

    @Test func describesRejectionsInWords() {
        #expect("\(AssociateReject.localLimitExceeded)" == "association rejected (transient): local limit exceeded")
        #expect(AssociateReject.localLimitExceeded.isTransient)
        #expect(!AssociateReject.calledAETitleNotRecognized.isTransient)
    }

    @Test func neverDescribesAPassword() {
        let identity = UserIdentity(
            type: 2,
            isResponseRequested: false,
            primaryField: Array("user".utf8),
            secondaryField: Array("secret".utf8)
        )
        #expect("\(identity)" == "user identity of type 2")
    }

    private static func offset(of hex: String, in buffer: ByteBuffer) -> Int? {
        let pattern = Array(bytes(hex).readableBytesView)
        let view = Array(buffer.readableBytesView)
        return (0...(view.count - pattern.count)).first { Array(view[$0..<($0 + pattern.count)]) == pattern }
    }
}
