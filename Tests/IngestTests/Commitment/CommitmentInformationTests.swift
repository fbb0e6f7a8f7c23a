// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import Ingest
import NIOCore
import Testing

@Suite struct CommitmentInformationTests {
    private static func item(_ sopClass: String?, _ instance: String?) -> SequenceItem {
        var item = DataSet()
        if let sopClass { item.set(.referencedSOPClassUID, .ui, sopClass) }
        if let instance { item.set(.referencedSOPInstanceUID, .ui, instance) }
        return SequenceItem(item)
    }

    private static func action(
        transaction: String? = "2.25.7",
        _ items: [SequenceItem],
        syntax: TransferSyntax = .explicitVRLittleEndian
    ) throws -> ByteBuffer {
        var dataSet = DataSet()
        if let transaction { dataSet.set(Tag(0x0008, 0x1195), .ui, transaction) }
        dataSet.set(DataElement(tag: Tag(0x0008, 0x1199), vr: .sq, value: .items(items)))
        return try DataSetWriter.write(dataSet, transferSyntax: syntax)
    }

    private static func read(
        _ bytes: ByteBuffer,
        syntax: TransferSyntax = .explicitVRLittleEndian
    ) throws -> CommitmentRequest {
        try CommitmentInformation.read(bytes, syntax: syntax, requestor: "CT1", called: "VARVE")
    }

    @Test(arguments: [TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian])
    func readsTheTransactionAndEachInstanceOnce(syntax: TransferSyntax) throws {
        let items = [("1.2", "1.2.1"), ("1.3", "1.2.2"), ("1.2", "1.2.1")].map { Self.item($0.0, $0.1) }
        let request = try Self.read(Self.action(items, syntax: syntax), syntax: syntax)
        #expect(request.transactionUID == "2.25.7")
        #expect(request.requestor == "CT1")
        #expect(request.called == "VARVE")
        #expect(request.instances.map(\.sopInstanceUID) == ["1.2.1", "1.2.2"])
        #expect(request.instances.map(\.sopClassUID) == ["1.2", "1.3"])
    }

    @Test func refusesWhatNamesNothing() throws {
        let good = Self.item("1.2", "1.2.1")
        for (bytes, word) in [
            (try Self.action(transaction: nil, [good]), "Transaction UID"),
            (try Self.action(transaction: "not a uid", [good]), "Transaction UID"),
            (try Self.action([]), "empty"),
            (try Self.action([good, Self.item(nil, "1.2.3")]), "lacks a UID"),
            (try Self.action([good, Self.item("1.2", nil)]), "lacks a UID"),
            (ByteBuffer(), "Transaction UID"),
            (ByteBuffer(repeating: 0xFF, count: 100), "cannot be read"),
        ] {
            let error = #expect(throws: CommitmentInformation.Refusal.self) { try Self.read(bytes) }
            #expect(error?.reason.contains(word) == true, "\(error?.reason ?? "")")
        }
    }

    @Test(arguments: [[0, 0, 0], [0, 0x0112, 0x0110], [0x0112, 0x0112, 0x0112]])
    func reportsSayWhatIsCommittedAndWhatFailedAndWhy(failures: [Int]) throws {
        let request = CommitmentRequest(
            requestor: "CT1",
            called: "VARVE",
            transactionUID: "2.25.7",
            instances: (1...3).map { CommitmentInstance(sopClassUID: "1.2.\($0)", sopInstanceUID: "1.3.\($0)") }
        )
        let bytes = try CommitmentInformation.write(
            request,
            failures: failures,
            aeTitle: "VARVE",
            syntax: .implicitVRLittleEndian
        )
        let dataSet = try DataSetReader.read(bytes, transferSyntax: .implicitVRLittleEndian).dataSet
        #expect(dataSet.string(Tag(0x0008, 0x1195)) == "2.25.7")
        #expect(dataSet.string(.retrieveAETitle) == "VARVE")
        let committed = dataSet.items(Tag(0x0008, 0x1199))
        let failed = dataSet.items(Tag(0x0008, 0x1198))
        #expect(committed.count == failures.count { $0 == 0 })
        #expect(failed.compactMap { $0.integer(Tag(0x0008, 0x1197)) } == failures.filter { $0 != 0 })
        let named = (committed + failed).compactMap { $0.string(.referencedSOPInstanceUID) }
        #expect(Set(named) == ["1.3.1", "1.3.2", "1.3.3"])
        // An empty sequence would say less clearly that there is none.
        #expect((dataSet[Tag(0x0008, 0x1199)] == nil) == committed.isEmpty)
        #expect((dataSet[Tag(0x0008, 0x1198)] == nil) == failed.isEmpty)
    }
}
