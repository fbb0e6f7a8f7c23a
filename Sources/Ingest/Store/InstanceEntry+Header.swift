// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import DICOM
import Placement
import SegmentFormat
import Telemetry

extension InstanceEntry {
    /// What the catalog learns of an instance: attributes decoded to UTF-8, digests, sizes, and where its copies are.
    init(
        _ instance: ReceivedInstance,
        form: StoredForm,
        nodes: [NodeID],
        sender: StorePipeline.Sender,
        receivedAt: Timestamp
    ) {
        let header = instance.header
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
                studyInstanceUID: instance.studyInstanceUID,
                date: text(.studyDate),
                time: text(.studyTime),
                accessionNumber: text(.accessionNumber),
                description: text(.studyDescription),
                referringPhysicianName: text(.referringPhysicianName),
                studyID: text(.studyID)
            ),
            series: SeriesAttributes(
                seriesInstanceUID: instance.seriesInstanceUID,
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
                sopInstanceUID: instance.sopInstanceUID,
                sopClassUID: instance.sopClassUID,
                number: header.integer(.instanceNumber),
                rows: header.integer(.rows),
                columns: header.integer(.columns),
                numberOfFrames: header.integer(.numberOfFrames)
            ),
            contentDigest: form.metadata.receivedDigest,
            pixelDigest: form.metadata.pixelDigest,
            receivedTransferSyntax: form.metadata.receivedTransferSyntax,
            storedTransferSyntax: form.metadata.storedTransferSyntax,
            receivedByteCount: instance.byteCount,
            storedByteCount: form.payloadByteCount,
            recordID: form.recordID,
            nodes: nodes,
            receivedAtMilliseconds: receivedAt.milliseconds,
            callingAETitle: sender.callingAETitle
        )
    }
}
