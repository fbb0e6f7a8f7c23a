// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import DICOM
import DIMSE
package import NIOCore

/// The data sets of storage commitment: action information in, event information out (PS3.4 tables J.3-1 and J.3-2).
package enum CommitmentInformation {
    /// Why action information is not taken; the text names attributes, never values.
    package struct Refusal: Error, Sendable, Hashable {
        package let reason: String
    }

    /// The most instances of one request.
    package static let maximumInstanceCount = 100_000

    /// Reads action information: the transaction and its instances, each once, in their order.
    package static func read(
        _ information: ByteBuffer,
        syntax: TransferSyntax,
        requestor: String,
        called: String
    ) throws(Refusal) -> CommitmentRequest {
        let dataSet: DataSet
        do throws(DICOMError) {
            dataSet = try DataSetReader.read(information, transferSyntax: syntax).dataSet
        } catch {
            throw Refusal(reason: "the action information cannot be read: \(error.code)")
        }
        let transaction = dataSet.string(.transactionUID) ?? ""
        guard UIDText.isValid(transaction) else { throw Refusal(reason: "Transaction UID is no UID") }
        var seen: Set<String> = []
        var instances: [CommitmentInstance] = []
        for item in dataSet.items(.referencedSOPSequence) {
            let instance = CommitmentInstance(
                sopClassUID: item.string(.referencedSOPClassUID) ?? "",
                sopInstanceUID: item.string(.referencedSOPInstanceUID) ?? ""
            )
            guard UIDText.isValid(instance.sopClassUID), UIDText.isValid(instance.sopInstanceUID) else {
                throw Refusal(reason: "an item of Referenced SOP Sequence lacks a UID")
            }
            if seen.insert(instance.sopInstanceUID).inserted { instances.append(instance) }
        }
        guard !instances.isEmpty else { throw Refusal(reason: "Referenced SOP Sequence is empty") }
        guard instances.count <= maximumInstanceCount else {
            throw Refusal(reason: "more than \(maximumInstanceCount) instances in one request")
        }
        return CommitmentRequest(
            requestor: requestor,
            called: called,
            transactionUID: transaction,
            instances: instances
        )
    }

    /// Writes event information; `failures` has one for each instance: 0, or the Failure Reason (0008,1197).
    ///
    /// `aeTitle` is where the committed instances can be retrieved from.
    package static func write(
        _ request: CommitmentRequest,
        failures: [Int],
        aeTitle: String,
        syntax: TransferSyntax
    ) throws(DICOMError) -> ByteBuffer {
        var dataSet = DataSet()
        dataSet.set(.retrieveAETitle, .ae, aeTitle)
        dataSet.set(.transactionUID, .ui, request.transactionUID)
        var failed: [SequenceItem] = []
        var committed: [SequenceItem] = []
        for (instance, failure) in zip(request.instances, failures) {
            var item = DataSet()
            item.set(.referencedSOPClassUID, .ui, instance.sopClassUID)
            item.set(.referencedSOPInstanceUID, .ui, instance.sopInstanceUID)
            if failure == 0 {
                committed.append(SequenceItem(item))
            } else {
                item.set(.failureReason, .us, integers: [failure])
                failed.append(SequenceItem(item))
            }
        }
        for (tag, items) in [(Tag.failedSOPSequence, failed), (.referencedSOPSequence, committed)] where !items.isEmpty
        {
            dataSet.set(DataElement(tag: tag, vr: .sq, value: .items(items)))
        }
        return try DataSetWriter.write(dataSet, transferSyntax: syntax)
    }
}

extension Tag {
    fileprivate static var transactionUID: Tag { Tag(0x0008, 0x1195) }
    fileprivate static var failureReason: Tag { Tag(0x0008, 0x1197) }
    fileprivate static var failedSOPSequence: Tag { Tag(0x0008, 0x1198) }
    fileprivate static var referencedSOPSequence: Tag { Tag(0x0008, 0x1199) }
}
