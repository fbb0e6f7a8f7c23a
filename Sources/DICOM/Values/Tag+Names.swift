// SPDX-License-Identifier: Apache-2.0

/// Tags the archive names in code, by their PS3.6 keyword; any other: `DataDictionary.tag(forKeyword:)`.
extension Tag {
    @inlinable public static var commandGroupLength: Tag { Tag(0x0000, 0x0000) }
    @inlinable public static var affectedSOPClassUID: Tag { Tag(0x0000, 0x0002) }

    @inlinable public static var fileMetaInformationGroupLength: Tag { Tag(0x0002, 0x0000) }
    @inlinable public static var fileMetaInformationVersion: Tag { Tag(0x0002, 0x0001) }
    @inlinable public static var mediaStorageSOPClassUID: Tag { Tag(0x0002, 0x0002) }
    @inlinable public static var mediaStorageSOPInstanceUID: Tag { Tag(0x0002, 0x0003) }
    @inlinable public static var transferSyntaxUID: Tag { Tag(0x0002, 0x0010) }
    @inlinable public static var implementationClassUID: Tag { Tag(0x0002, 0x0012) }
    @inlinable public static var implementationVersionName: Tag { Tag(0x0002, 0x0013) }
    @inlinable public static var sourceApplicationEntityTitle: Tag { Tag(0x0002, 0x0016) }
    @inlinable public static var sendingApplicationEntityTitle: Tag { Tag(0x0002, 0x0017) }
    @inlinable public static var receivingApplicationEntityTitle: Tag { Tag(0x0002, 0x0018) }

    @inlinable public static var directoryRecordSequence: Tag { Tag(0x0004, 0x1220) }

    @inlinable public static var specificCharacterSet: Tag { Tag(0x0008, 0x0005) }
    @inlinable public static var imageType: Tag { Tag(0x0008, 0x0008) }
    @inlinable public static var instanceCreationDate: Tag { Tag(0x0008, 0x0012) }
    @inlinable public static var sopClassUID: Tag { Tag(0x0008, 0x0016) }
    @inlinable public static var sopInstanceUID: Tag { Tag(0x0008, 0x0018) }
    @inlinable public static var studyDate: Tag { Tag(0x0008, 0x0020) }
    @inlinable public static var seriesDate: Tag { Tag(0x0008, 0x0021) }
    @inlinable public static var acquisitionDate: Tag { Tag(0x0008, 0x0022) }
    @inlinable public static var contentDate: Tag { Tag(0x0008, 0x0023) }
    @inlinable public static var studyTime: Tag { Tag(0x0008, 0x0030) }
    @inlinable public static var seriesTime: Tag { Tag(0x0008, 0x0031) }
    @inlinable public static var acquisitionTime: Tag { Tag(0x0008, 0x0032) }
    @inlinable public static var contentTime: Tag { Tag(0x0008, 0x0033) }
    @inlinable public static var accessionNumber: Tag { Tag(0x0008, 0x0050) }
    @inlinable public static var queryRetrieveLevel: Tag { Tag(0x0008, 0x0052) }
    @inlinable public static var retrieveAETitle: Tag { Tag(0x0008, 0x0054) }
    @inlinable public static var instanceAvailability: Tag { Tag(0x0008, 0x0056) }
    @inlinable public static var modality: Tag { Tag(0x0008, 0x0060) }
    @inlinable public static var modalitiesInStudy: Tag { Tag(0x0008, 0x0061) }
    @inlinable public static var sopClassesInStudy: Tag { Tag(0x0008, 0x0062) }
    @inlinable public static var manufacturer: Tag { Tag(0x0008, 0x0070) }
    @inlinable public static var institutionName: Tag { Tag(0x0008, 0x0080) }
    @inlinable public static var referringPhysicianName: Tag { Tag(0x0008, 0x0090) }
    @inlinable public static var timezoneOffsetFromUTC: Tag { Tag(0x0008, 0x0201) }
    @inlinable public static var stationName: Tag { Tag(0x0008, 0x1010) }
    @inlinable public static var studyDescription: Tag { Tag(0x0008, 0x1030) }
    @inlinable public static var seriesDescription: Tag { Tag(0x0008, 0x103E) }
    @inlinable public static var performingPhysicianName: Tag { Tag(0x0008, 0x1050) }
    @inlinable public static var nameOfPhysiciansReadingStudy: Tag { Tag(0x0008, 0x1060) }
    @inlinable public static var manufacturerModelName: Tag { Tag(0x0008, 0x1090) }
    @inlinable public static var referencedSOPClassUID: Tag { Tag(0x0008, 0x1150) }
    @inlinable public static var referencedSOPInstanceUID: Tag { Tag(0x0008, 0x1155) }
    @inlinable public static var retrieveURL: Tag { Tag(0x0008, 0x1190) }

    @inlinable public static var lossyImageCompression: Tag { Tag(0x0028, 0x2110) }
    @inlinable public static var lossyImageCompressionRatio: Tag { Tag(0x0028, 0x2112) }
    @inlinable public static var lossyImageCompressionMethod: Tag { Tag(0x0028, 0x2114) }

    @inlinable public static var patientName: Tag { Tag(0x0010, 0x0010) }
    @inlinable public static var patientID: Tag { Tag(0x0010, 0x0020) }
    @inlinable public static var issuerOfPatientID: Tag { Tag(0x0010, 0x0021) }
    @inlinable public static var patientBirthDate: Tag { Tag(0x0010, 0x0030) }
    @inlinable public static var patientBirthTime: Tag { Tag(0x0010, 0x0032) }
    @inlinable public static var patientSex: Tag { Tag(0x0010, 0x0040) }
    @inlinable public static var otherPatientIDs: Tag { Tag(0x0010, 0x1000) }
    @inlinable public static var patientAge: Tag { Tag(0x0010, 0x1010) }
    @inlinable public static var patientSize: Tag { Tag(0x0010, 0x1020) }
    @inlinable public static var patientWeight: Tag { Tag(0x0010, 0x1030) }
    @inlinable public static var patientComments: Tag { Tag(0x0010, 0x4000) }

    @inlinable public static var bodyPartExamined: Tag { Tag(0x0018, 0x0015) }
    @inlinable public static var protocolName: Tag { Tag(0x0018, 0x1030) }
    @inlinable public static var patientPosition: Tag { Tag(0x0018, 0x5100) }

    @inlinable public static var studyInstanceUID: Tag { Tag(0x0020, 0x000D) }
    @inlinable public static var seriesInstanceUID: Tag { Tag(0x0020, 0x000E) }
    @inlinable public static var studyID: Tag { Tag(0x0020, 0x0010) }
    @inlinable public static var seriesNumber: Tag { Tag(0x0020, 0x0011) }
    @inlinable public static var acquisitionNumber: Tag { Tag(0x0020, 0x0012) }
    @inlinable public static var instanceNumber: Tag { Tag(0x0020, 0x0013) }
    @inlinable public static var laterality: Tag { Tag(0x0020, 0x0060) }
    @inlinable public static var imagePositionPatient: Tag { Tag(0x0020, 0x0032) }
    @inlinable public static var imageOrientationPatient: Tag { Tag(0x0020, 0x0037) }
    @inlinable public static var frameOfReferenceUID: Tag { Tag(0x0020, 0x0052) }
    @inlinable public static var numberOfPatientRelatedStudies: Tag { Tag(0x0020, 0x1200) }
    @inlinable public static var numberOfStudyRelatedSeries: Tag { Tag(0x0020, 0x1206) }
    @inlinable public static var numberOfStudyRelatedInstances: Tag { Tag(0x0020, 0x1208) }
    @inlinable public static var numberOfSeriesRelatedInstances: Tag { Tag(0x0020, 0x1209) }

    @inlinable public static var samplesPerPixel: Tag { Tag(0x0028, 0x0002) }
    @inlinable public static var photometricInterpretation: Tag { Tag(0x0028, 0x0004) }
    @inlinable public static var planarConfiguration: Tag { Tag(0x0028, 0x0006) }
    @inlinable public static var numberOfFrames: Tag { Tag(0x0028, 0x0008) }
    @inlinable public static var rows: Tag { Tag(0x0028, 0x0010) }
    @inlinable public static var columns: Tag { Tag(0x0028, 0x0011) }
    @inlinable public static var bitsAllocated: Tag { Tag(0x0028, 0x0100) }
    @inlinable public static var bitsStored: Tag { Tag(0x0028, 0x0101) }
    @inlinable public static var highBit: Tag { Tag(0x0028, 0x0102) }
    @inlinable public static var pixelRepresentation: Tag { Tag(0x0028, 0x0103) }
    @inlinable public static var smallestImagePixelValue: Tag { Tag(0x0028, 0x0106) }
    @inlinable public static var largestImagePixelValue: Tag { Tag(0x0028, 0x0107) }
    @inlinable public static var pixelPaddingValue: Tag { Tag(0x0028, 0x0120) }
    @inlinable public static var windowCenter: Tag { Tag(0x0028, 0x1050) }
    @inlinable public static var windowWidth: Tag { Tag(0x0028, 0x1051) }
    @inlinable public static var rescaleIntercept: Tag { Tag(0x0028, 0x1052) }
    @inlinable public static var rescaleSlope: Tag { Tag(0x0028, 0x1053) }
    @inlinable public static var lutDescriptor: Tag { Tag(0x0028, 0x3002) }
    @inlinable public static var lutData: Tag { Tag(0x0028, 0x3006) }

    @inlinable public static var performedProcedureStepStartDate: Tag { Tag(0x0040, 0x0244) }
    @inlinable public static var performedProcedureStepStartTime: Tag { Tag(0x0040, 0x0245) }
    @inlinable public static var requestAttributesSequence: Tag { Tag(0x0040, 0x0275) }
    @inlinable public static var scheduledProcedureStepID: Tag { Tag(0x0040, 0x0009) }
    @inlinable public static var requestedProcedureID: Tag { Tag(0x0040, 0x1001) }

    @inlinable public static var waveformBitsAllocated: Tag { Tag(0x5400, 0x1004) }
    @inlinable public static var waveformSequence: Tag { Tag(0x5400, 0x0100) }
    @inlinable public static var waveformData: Tag { Tag(0x5400, 0x1010) }

    @inlinable public static var extendedOffsetTable: Tag { Tag(0x7FE0, 0x0001) }
    @inlinable public static var extendedOffsetTableLengths: Tag { Tag(0x7FE0, 0x0002) }
    @inlinable public static var floatPixelData: Tag { Tag(0x7FE0, 0x0008) }
    @inlinable public static var doubleFloatPixelData: Tag { Tag(0x7FE0, 0x0009) }
    @inlinable public static var pixelData: Tag { Tag(0x7FE0, 0x0010) }
    @inlinable public static var dataSetTrailingPadding: Tag { Tag(0xFFFC, 0xFFFC) }

    // Structure of sequences and encapsulated values (PS3.5 section 7.5).
    @inlinable public static var item: Tag { Tag(0xFFFE, 0xE000) }
    @inlinable public static var itemDelimitation: Tag { Tag(0xFFFE, 0xE00D) }
    @inlinable public static var sequenceDelimitation: Tag { Tag(0xFFFE, 0xE0DD) }
}
