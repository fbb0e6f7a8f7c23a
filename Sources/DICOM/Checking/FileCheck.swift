// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Checks what stands before the data set of a file (PS3.10 section 7.1), then the data set.
struct FileCheck {
    private let options: DataSetCheck.Options
    private var report: CheckReport

    init(options: DataSetCheck.Options) {
        self.options = options
        self.report = CheckReport(options: options)
    }

    mutating func run(_ file: ByteBuffer) -> CheckReport {
        let header: Part10.Header
        do throws(DICOMError) {
            header = try Part10.readHeader(file)
        } catch {
            self.report.add(.fileMeta, error.tagPath, error.message, offset: error.offset)
            return self.report
        }
        self.checkPrefix(file, header)
        self.checkMeta(file, header)
        guard let syntax = header.transferSyntax else {
            self.report.add(
                .transferSyntax,
                Tag.transferSyntaxUID.description,
                "the transfer syntax is none of PS3.6: the data set is not checked"
            )
            return self.report
        }
        var bytes = file
        bytes.moveReaderIndex(forwardBy: header.dataSetOffset)
        var walk = DataSetWalk(transferSyntax: syntax, options: self.options)
        walk.report = self.report
        let result = walk.run(bytes)
        if let result { Self.checkIdentity(header.meta, result.dataSet, &walk.report) }
        return walk.report
    }

    private mutating func checkPrefix(_ file: ByteBuffer, _ header: Part10.Header) {
        guard header.preamble == nil else { return }
        let hasPrefix = file.getBytes(at: file.readerIndex, length: 4) == Array("DICM".utf8)
        self.report.add(
            .filePrefix,
            nil,
            hasPrefix ? "the preamble of 128 bytes is missing" : "preamble and prefix DICM are missing",
            offset: 0
        )
    }

    private mutating func checkMeta(_ file: ByteBuffer, _ header: Part10.Header) {
        let elements = header.meta.elements
        guard !elements.isEmpty else {
            self.report.add(.fileMeta, nil, "the file meta information is missing")
            return
        }
        if elements.encoding != .explicitLittleEndian {
            self.report.add(.fileMeta, nil, "the file meta information is not in explicit VR little endian")
        }
        let required: [Tag] = [
            .fileMetaInformationGroupLength, .fileMetaInformationVersion, .mediaStorageSOPClassUID,
            .mediaStorageSOPInstanceUID, .transferSyntaxUID, .implementationClassUID,
        ]
        for tag in required where elements[tag]?.value.isEmpty != false {
            let name = DataDictionary.entry(for: tag)?.name ?? ""
            self.report.add(.fileMeta, tag.description, "\(name) is missing")
        }
        if let declared = elements.integer(.fileMetaInformationGroupLength), elements.elements.first?.tag.element == 0 {
            let prefix = header.preamble != nil ? 132 : 0
            let actual = header.dataSetOffset - prefix - 12
            if declared != actual, header.preamble != nil {
                self.report.add(
                    .fileMeta,
                    Tag.fileMetaInformationGroupLength.description,
                    "the group length says \(declared) bytes; the group has \(actual)"
                )
            }
        }
        var previous = Tag(0, 0)
        for element in elements.elements {
            self.check(element, elements, previous)
            previous = element.tag
        }
    }

    private mutating func check(_ element: DataElement, _ elements: DataSet, _ previous: Tag) {
        let place = element.tag.description
        if element.tag <= previous {
            self.report.add(.elementOrder, place, "the element comes after one with a greater tag, or twice")
        }
        if element.tag.group != 2 || DataDictionary.entry(for: element.tag) == nil {
            self.report.add(.fileMetaElement, place, "the element does not belong to file meta information")
            return
        }
        let values = ValueCheck(element: element, dataSet: elements)
        values.run { rule, message in self.report.add(rule, place, message) }
        if let bytes = element.value.bytes, bytes.readableBytes % 2 != 0 {
            self.report.add(.oddLength, place, "the value has \(bytes.readableBytes) bytes, an odd number")
        }
    }

    private static func checkIdentity(_ meta: FileMeta, _ dataSet: DataSet, _ report: inout CheckReport) {
        for (inMeta, inDataSet) in [
            (Tag.mediaStorageSOPClassUID, Tag.sopClassUID), (.mediaStorageSOPInstanceUID, .sopInstanceUID),
        ] {
            guard let one = meta.elements.string(inMeta), let other = dataSet.string(inDataSet), one != other else {
                continue
            }
            let name = DataDictionary.entry(for: inMeta)?.name ?? ""
            report.add(.fileMetaIdentity, inMeta.description, "\(name) differs from \(inDataSet) in the data set")
        }
    }
}
