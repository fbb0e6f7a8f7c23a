// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import Placement
import SegmentFormat

extension InstanceEntry {
    /// What the catalog learns of an instance: attributes decoded to UTF-8, digests, sizes, and where its copies are.
    init(_ instance: ReceivedInstance, form: StoredForm, nodes: [NodeID]) {
        self.init(
            header: instance.header,
            metadata: form.metadata,
            recordID: form.recordID,
            storedByteCount: form.payloadByteCount,
            nodes: nodes
        )
    }

    /// As above, from a record: `header` has the elements before Pixel Data, at least.
    init(header: DataSet, metadata: InstanceMetadata, recordID: RecordID, storedByteCount: Int, nodes: [NodeID]) {
        func text(_ tag: Tag) -> String { header.string(tag) ?? "" }
        self.init(
            patient: PatientAttributes(
                patientID: text(.patientID),
                issuer: text(.issuerOfPatientID),
                name: text(.patientName),
                birthDate: text(.patientBirthDate),
                sex: text(.patientSex)
            ),
            study: StudyAttributes(
                studyInstanceUID: metadata.studyInstanceUID,
                date: text(.studyDate),
                time: text(.studyTime),
                accessionNumber: text(.accessionNumber),
                description: text(.studyDescription),
                referringPhysicianName: text(.referringPhysicianName),
                studyID: text(.studyID)
            ),
            series: SeriesAttributes(
                seriesInstanceUID: metadata.seriesInstanceUID,
                modality: text(.modality),
                number: header.integer(.seriesNumber),
                description: text(.seriesDescription),
                bodyPartExamined: text(.bodyPartExamined),
                stationName: text(.stationName),
                laterality: text(.laterality),
                date: text(.seriesDate),
                time: text(.seriesTime),
                institutionName: text(.institutionName)
            ),
            instance: InstanceAttributes(
                sopInstanceUID: metadata.sopInstanceUID,
                sopClassUID: metadata.sopClassUID,
                number: header.integer(.instanceNumber),
                rows: header.integer(.rows),
                columns: header.integer(.columns),
                numberOfFrames: header.integer(.numberOfFrames)
            ),
            contentDigest: metadata.receivedDigest,
            pixelDigest: metadata.pixelDigest,
            receivedTransferSyntax: metadata.receivedTransferSyntax,
            storedTransferSyntax: metadata.storedTransferSyntax,
            receivedByteCount: metadata.receivedByteCount,
            storedByteCount: storedByteCount,
            recordID: recordID,
            nodes: nodes,
            receivedAtMilliseconds: metadata.receivedAtMilliseconds,
            callingAETitle: metadata.callingAETitle
        )
    }
}
